"""Makes XAdES seals and adds to them (EN 319 132-1): SignedInfo, properties, what comes later."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC
from typing import Final
from urllib.parse import quote
from uuid import uuid4

from cryptography import x509
from lxml import etree

from pater.trust.seal.jades_making import digest_of, no_key
from pater.trust.seal.jose import NAMES, fits, raw_signature
from pater.trust.seal.judging import stamped as stamp_token
from pater.trust.seal.model import (
    Algorithm,
    Content,
    Material,
    Order,
    SealError,
    Text,
    Tools,
)
from pater.trust.seal.xml import (
    DS,
    EXCLUSIVE,
    XADES,
    XADES141,
    Element,
    XmlProblem,
    canonical,
    parse,
    q,
)

ENVELOPED: Final = f"{DS}enveloped-signature"
SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
OBJECT: Final = f"{DS}Object"
BASE64: Final = f"{DS}base64"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_NEWER: Final = "http://www.w3.org/2007/05/xmldsig-more#"
DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
DIGEST_NAMES: Final = {name: uri for uri, name in DIGESTS.items()}
METHODS: Final = {
    **{f"{_MORE}rsa-sha{n}": Algorithm(f"rsa-sha{n}") for n in (256, 384, 512)},
    **{f"{_MORE}ecdsa-sha{n}": Algorithm(f"ecdsa-sha{n}") for n in (256, 384, 512)},
    **{f"{_NEWER}sha{n}-rsa-MGF1": Algorithm(f"pss-sha{n}") for n in (256, 384, 512)},
}
METHOD_NAMES: Final = {name: uri for uri, name in METHODS.items()}
_MAP: Final = {"ds": DS, "xades": XADES}
_MOST: Final = 200


async def enveloped(order: Order, tools: Tools) -> Element:
    """The document with a seal of level B as the last child of its root. Raises SealError."""
    if len(order.content) != 1 or order.content[0].data is None:
        raise SealError(
            "content",
            Text(
                "Pečeť uvnitř dokumentu potřebuje právě jeden celý dokument XML.",
                "A seal within its document needs exactly one whole XML document.",
            ),
        )
    try:
        root = parse(order.content[0].data)
    except XmlProblem as problem:
        raise SealError(
            "format",
            Text("Tento dokument XML nelze zapečetit.", f"The XML cannot be sealed: {problem}."),
        ) from problem
    if next(root.iter(q(DS, "Signature")), None) is not None:
        raise SealError(
            "unsupported",
            Text(
                "Dokument už jednu pečeť nese; druhá by ji porušila.",
                "The document carries a seal already; a second one would break it.",
            ),
        )
    hash_name = _hash(tools)
    # nothing of the document is excluded but the signature: what is signed is all that is there
    digest = hashlib.new(hash_name, canonical(root.getroottree(), EXCLUSIVE)).digest()
    signature = _outline(tools, [("", digest, (ENVELOPED, EXCLUSIVE), order.content[0].mime)])
    root.append(signature)
    await _sign(signature, tools)
    return root


async def detached(order: Order, tools: Tools) -> Element:
    """A seal of level B over contents that stay outside. Raises SealError."""
    if not 0 < len(order.content) <= _MOST:
        raise SealError(
            "content",
            Text(f"Zapečetit lze 1 až {_MOST} obsahů.", f"1 to {_MOST} contents can be sealed."),
        )
    names = [one.name or f"content-{place}" for place, one in enumerate(order.content, 1)]
    if len(set(names)) != len(names):
        raise SealError(
            "content", Text("Dva obsahy mají totéž jméno.", "Two contents have the same name.")
        )
    hash_name = _hash(tools)
    signature = _outline(
        tools,
        [
            (quote(name, safe="/:@!$&'()*+,;=~-._"), digest_of(one, hash_name), (), one.mime)
            for name, one in zip(names, order.content, strict=True)
        ],
    )
    await _sign(signature, tools)
    return signature


async def enveloping(order: Order, tools: Tools) -> Element:
    """A seal of level B that holds its content as base64 (ds:Object). Raises SealError."""
    if len(order.content) != 1 or order.content[0].data is None:
        raise SealError(
            "content",
            Text(
                "Připojit k podpisu lze právě jeden celý obsah.",
                "Exactly one whole content can be attached.",
            ),
        )
    content, hash_name, name = order.content[0], _hash(tools), f"content-{uuid4()}"
    data = content.data or b""
    digest = hashlib.new(hash_name, data).digest()
    signature = _outline(tools, [(f"#{name}", digest, (BASE64,), content.mime)])
    held = etree.Element(
        q(DS, "Object"), attrib={"Id": name, "MimeType": content.mime, "Encoding": BASE64}
    )
    held.text = base64.b64encode(data).decode()
    signature.append(held)
    await _sign(signature, tools)
    return signature


def _hash(tools: Tools) -> str:
    if tools.key is None:
        raise no_key()
    return tools.key.algorithm.hash


def _outline(
    tools: Tools, references: Sequence[tuple[str, bytes, tuple[str, ...], str]]
) -> Element:
    """The signature without its values: references are (URI, digest, transforms, media type)."""
    key = tools.key
    if key is None:
        raise no_key()
    if not fits(NAMES[key.algorithm], x509.load_der_x509_certificate(key.certificate)):
        raise SealError(
            "key",
            Text(
                f"Klíč certifikátu se nehodí k algoritmu {key.algorithm}.",
                f"The key of the certificate does not fit the algorithm {key.algorithm}.",
            ),
        )
    name = f"seal-{uuid4()}"
    signature = etree.Element(q(DS, "Signature"), attrib={"Id": name}, nsmap=_MAP)
    info = _add(signature, DS, "SignedInfo")
    _add(info, DS, "CanonicalizationMethod", Algorithm=EXCLUSIVE)
    _add(info, DS, "SignatureMethod", Algorithm=METHOD_NAMES[key.algorithm])
    digest_method = DIGEST_NAMES[key.algorithm.hash]
    for place, (uri, digest, transforms, _) in enumerate(references, 1):
        one = _add(info, DS, "Reference", Id=f"{name}-r{place}", URI=uri)
        _reference(one, transforms, digest_method, digest)
    properties = f"{name}-properties"
    _add(info, DS, "Reference", Type=SIGNED_PROPERTIES, URI=f"#{properties}")
    _add(signature, DS, "SignatureValue", Id=f"{name}-value")
    data = _add(_add(signature, DS, "KeyInfo"), DS, "X509Data")
    for one in (key.certificate, *key.chain):
        _add(data, DS, "X509Certificate").text = base64.b64encode(one).decode()
    qualifying = _add(_add(signature, DS, "Object"), XADES, "QualifyingProperties")
    qualifying.set("Target", f"#{name}")
    signed = _add(qualifying, XADES, "SignedProperties", Id=properties)
    of_signature = _add(signed, XADES, "SignedSignatureProperties")
    moment = tools.clock().astimezone(UTC).replace(microsecond=0)
    _add(of_signature, XADES, "SigningTime").text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    cert = _add(_add(of_signature, XADES, "SigningCertificateV2"), XADES, "Cert")
    hashed = _add(cert, XADES, "CertDigest")
    _add(hashed, DS, "DigestMethod", Algorithm=DIGEST_NAMES["sha256"])
    value = hashlib.sha256(key.certificate).digest()
    _add(hashed, DS, "DigestValue").text = base64.b64encode(value).decode()
    of_data = _add(signed, XADES, "SignedDataObjectProperties")
    for place, (_, _, _, mime) in enumerate(references, 1):
        form = _add(of_data, XADES, "DataObjectFormat", ObjectReference=f"#{name}-r{place}")
        _add(form, XADES, "MimeType").text = mime
    return signature


def _reference(one: Element, transforms: Sequence[str], method: str, digest: bytes) -> None:
    if transforms:
        inside = _add(one, DS, "Transforms")
        for each in transforms:
            _add(inside, DS, "Transform", Algorithm=each)
    _add(one, DS, "DigestMethod", Algorithm=method)
    _add(one, DS, "DigestValue").text = base64.b64encode(digest).decode()


async def _sign(signature: Element, tools: Tools) -> None:
    """Fills in the reference to the properties, and signs."""
    key = tools.key
    assert key is not None
    info = signature.find(q(DS, "SignedInfo"))
    signed = signature.find(f"{q(DS, 'Object')}/{q(XADES, 'QualifyingProperties')}")[0]
    digest = hashlib.new(key.algorithm.hash, canonical(signed, EXCLUSIVE)).digest()
    _reference(info[-1], (EXCLUSIVE,), DIGEST_NAMES[key.algorithm.hash], digest)
    value = await key.sign(canonical(info, EXCLUSIVE), key.algorithm)
    if key.algorithm.kind == "ecdsa":  # r and s side by side (RFC 6931, 2.3.6)
        value = raw_signature(NAMES[key.algorithm], value)
    signature.find(q(DS, "SignatureValue")).text = base64.b64encode(value).decode()


def _add(parent: Element, namespace: str, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, q(namespace, name), attrib=attributes)


def unsigned_of(signature: Element) -> Element:
    """Where properties that nobody signed are, made when they are not there."""
    qualifying = next(
        found
        for each in signature.findall(q(DS, "Object"))
        for found in each.findall(q(XADES, "QualifyingProperties"))
    )
    unsigned = qualifying.find(q(XADES, "UnsignedProperties"))
    if unsigned is None:
        unsigned = _add(qualifying, XADES, "UnsignedProperties")
    inside = unsigned.find(q(XADES, "UnsignedSignatureProperties"))
    return _add(unsigned, XADES, "UnsignedSignatureProperties") if inside is None else inside


async def stamped(signature: Element, tools: Tools) -> None:
    """Adds a time stamp over the signature value (EN 319 132-1, 5.3). Raises SealError."""
    value = canonical(signature.find(q(DS, "SignatureValue")), EXCLUSIVE)
    await _add_stamp(signature, tools, XADES, "SignatureTimeStamp", value)


async def archived(signature: Element, over: bytes, tools: Tools) -> None:
    """Adds an archive time stamp over what `archive_input` gave. Raises SealError."""
    await _add_stamp(signature, tools, XADES141, "ArchiveTimeStamp", over)


async def _add_stamp(
    signature: Element, tools: Tools, namespace: str, name: str, over: bytes
) -> None:
    token = await stamp_token(tools, hashlib.sha256(over).digest(), "sha256")
    inside = unsigned_of(signature)
    stamp = etree.SubElement(
        inside,
        q(namespace, name),
        attrib={"Id": f"stamp-{uuid4()}"},
        nsmap={"xades141": XADES141} if namespace == XADES141 else None,
    )
    _add(stamp, DS, "CanonicalizationMethod", Algorithm=EXCLUSIVE)
    _add(stamp, XADES, "EncapsulatedTimeStamp").text = base64.b64encode(token).decode()


def add_material(signature: Element, found: Material, *, of_stamps: bool = False) -> None:
    """Adds certificates, lists and answers (5.4), `of_stamps` as validation data of stamps."""
    inside = unsigned_of(signature)
    if of_stamps:
        inside = etree.SubElement(
            inside, q(XADES141, "TimeStampValidationData"), nsmap={"xades141": XADES141}
        )
    if found.certificates:
        values = _add(inside, XADES, "CertificateValues")
        for one in found.certificates:
            _add(values, XADES, "EncapsulatedX509Certificate").text = _coded(one)
    if found.crls or found.ocsps:
        values = _add(inside, XADES, "RevocationValues")
        for group, item, each in (
            ("CRLValues", "EncapsulatedCRLValue", found.crls),
            ("OCSPValues", "EncapsulatedOCSPValue", found.ocsps),
        ):
            if each:
                held = _add(values, XADES, group)
                for one in each:
                    _add(held, XADES, item).text = _coded(one)


def _coded(der: bytes) -> str:
    return base64.b64encode(der).decode()


def content_named(content: Sequence[Content], name: str) -> Content | None:
    """The content of this name; the only one there is serves for any name."""
    found = next((one for one in content if one.name == name), None)
    if found is None and len(content) == 1 and not content[0].name:
        return content[0]
    return found
