"""Reads a XAdES seal: what it is over, what it says, whether hashes and signature agree.

Nothing is looked for by name alone: the signed references must be the whole document, an object
of the same signature, a content that was brought, or its own signed properties. So nothing that
was moved or added elsewhere can be taken for what was signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from cryptography import x509

from pater.trust.seal.broken import Broken
from pater.trust.seal.jose import same_kind, verified
from pater.trust.seal.model import (
    MOST_CERTIFICATES,
    MOST_SIGNATURES,
    Algorithm,
    Content,
    Material,
    Sub,
)
from pater.trust.seal.xades_making import (
    BASE64,
    DIGESTS,
    ENVELOPED,
    METHODS,
    SIGNED_PROPERTIES,
    content_named,
)
from pater.trust.seal.xml import (
    ASIC,
    CANONICAL,
    DS,
    EXCLUSIVE,
    INCLUSIVE,
    XADES,
    XADES141,
    Element,
    XmlProblem,
    bytes_of,
    canonical,
    id_of,
    only,
    parse,
    path_of,
    q,
    text_of,
    without,
)

_MOST_REFERENCES: Final = 210
_MOST_TRANSFORMS: Final = 4
_XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_FILTER: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
ALL_SEALS: Final = "all seals"
WHOLE: Final = ""
"""The name under which a report says that the whole document is sealed."""
ARCHIVE: Final = q(XADES141, "ArchiveTimeStamp")
SIGNATURE: Final = q(XADES, "SignatureTimeStamp")
STAMPS: Final = frozenset({ARCHIVE, SIGNATURE})
_BRINGING: Final = frozenset(
    {
        q(XADES, "CertificateValues"),
        q(XADES, "RevocationValues"),
        q(XADES141, "TimeStampValidationData"),
        q(XADES141, "AnyValidationData"),
    }
)


@dataclass(slots=True)
class Read:
    """One signature that was taken apart; `octets` are those of each reference, as digested."""

    signature: Element
    info: Element
    value: Element
    algorithm: Algorithm | None = None
    certificates: list[bytes] = field(default_factory=list)
    certificate: bytes = b""
    claimed: datetime | None = None
    covers: list[str] = field(default_factory=list)
    octets: list[bytes | None] = field(default_factory=list)  # None: only a hash was brought
    hashes: set[str] = field(default_factory=set)


def signatures_of(root: Element) -> list[Element]:
    """The signatures of a document that are its own: the root, those of a container, or one within.

    Raises XmlProblem when there is none, or when they are too many.
    """
    if root.tag == q(DS, "Signature"):
        return [root]
    if root.tag == q(ASIC, "XAdESSignatures"):
        found = list(root)
        if any(one.tag != q(DS, "Signature") for one in found):
            raise XmlProblem("the container of signatures holds something else")
    else:
        found = list(root.iter(q(DS, "Signature")))
    if not 0 < len(found) <= MOST_SIGNATURES:
        raise XmlProblem(f"a document has 1 to {MOST_SIGNATURES} signatures")
    return found


def taken_apart(root: Element, signature: Element, content: Sequence[Content]) -> Read:
    """The signature with all its hashes checked and its value too. Raises Broken."""
    try:
        info = only(signature, DS, "SignedInfo")
        found = Read(signature, info, only(signature, DS, "SignatureValue"))
        qualifying = _qualifying(signature)
        _certificate(found, qualifying)
        _check_references(found, root, qualifying, content)
        _check_value(found)
        found.claimed = _claimed(qualifying)
    except XmlProblem as problem:
        raise Broken(Sub.FORMAT_FAILURE, str(problem)) from problem
    return found


def _qualifying(signature: Element) -> Element:
    held = [
        one
        for each in signature.findall(q(DS, "Object"))
        for one in each.findall(q(XADES, "QualifyingProperties"))
    ]
    if len(held) != 1 or held[0].get("Target", "").removeprefix("#") != id_of(signature):
        raise XmlProblem("the signature has not exactly one set of its own properties")
    return held[0]


def _check_references(
    found: Read, root: Element, qualifying: Element, content: Sequence[Content]
) -> None:
    references = found.info.findall(q(DS, "Reference"))
    if not 0 < len(references) <= _MOST_REFERENCES:
        raise XmlProblem("the signature has no references, or too many")
    properties = only(qualifying, XADES, "SignedProperties")
    signed_properties = False
    for one in references:
        uri = one.get("URI")
        if uri is None:
            raise XmlProblem("a reference names nothing")
        target = _within(found.signature, uri)
        if one.get("Type") == SIGNED_PROPERTIES or target is properties:
            if target is not properties or signed_properties:
                raise XmlProblem("the reference to the signed properties leads elsewhere")
            signed_properties = True
            _compare(found, one, _octets(one, target, None))
        elif uri == "" or (id_of(root) and uri == f"#{id_of(root)}" and root is not target):
            if root is found.signature:
                raise XmlProblem("a signature cannot be over itself")
            _compare(found, one, _octets(one, root, found.signature, whole=uri == ""))
            found.covers.append(WHOLE)
        elif target is not None:
            if target.tag == q(DS, "KeyInfo"):
                _compare(found, one, _octets(one, target, None))
                continue
            if target.tag != q(DS, "Object"):
                raise XmlProblem("a reference leads to a part that is no sealed content")
            _compare(found, one, _octets(one, target, None))
            found.covers.append(uri[1:])
        elif uri.startswith("#"):
            # an element elsewhere in the document: what is around it would not be sealed
            raise Broken(
                Sub.SIG_CONSTRAINTS_FAILURE,
                "the signature is over a part of the document, not over the whole",
            )
        else:
            _outside(found, one, unquote(uri), content)
    if not signed_properties:
        raise Broken(Sub.SIG_CONSTRAINTS_FAILURE, "the signed properties are not signed")
    if not found.covers:
        raise Broken(Sub.SIGNED_DATA_NOT_FOUND, "the signature is over no content")


def _within(signature: Element, uri: str) -> Element | None:
    """What a reference means among the parts of the signature itself, by structure."""
    if not uri.startswith("#") or len(uri) < 2:
        return None
    places = [
        *signature.findall(q(DS, "KeyInfo")),
        *signature.findall(q(DS, "Object")),
        *signature.findall(
            f"{q(DS, 'Object')}/{q(XADES, 'QualifyingProperties')}/{q(XADES, 'SignedProperties')}"
        ),
    ]
    return next((one for one in places if id_of(one) == uri[1:]), None)


def _transforms(reference: Element) -> list[tuple[str, str]]:
    """The transforms with the prefixes of exclusive canonicalization; raises XmlProblem, Broken."""
    holders = reference.findall(q(DS, "Transforms"))
    if len(holders) > 1 or (holders and not 0 < len(holders[0]) <= _MOST_TRANSFORMS):
        raise XmlProblem("the transforms are not as they should be")
    found: list[tuple[str, str]] = []
    for one in holders[0] if holders else ():
        method = str(one.get("Algorithm"))
        if one.tag != q(DS, "Transform"):
            raise XmlProblem("the transforms are not as they should be")
        if method in (_XPATH, _FILTER) and _all_seals(one):
            found.append((ALL_SEALS, ""))
            continue
        if method not in CANONICAL and method not in (ENVELOPED, BASE64):
            raise Broken(Sub.SIG_CONSTRAINTS_FAILURE, "a transform is used that is not on the list")
        found.append((method, prefixes_of(one)))
    return found


def _all_seals(transform: Element) -> bool:
    """Whether an XPath leaves out the signatures of the document and nothing else: the one use of
    XPath that is understood, because others make documents of that kind by default."""
    if len(transform) != 1:
        return False
    path = transform[0]
    text = "".join((path.text or "").split())
    prefix = next((name for name, uri in path.nsmap.items() if uri == DS and name), "")
    if path.tag == q(DS, "XPath"):
        return text == f"not(ancestor-or-self::{prefix}:Signature)"
    subtracts = path.get("Filter") == "subtract"
    return (
        path.tag == q(_FILTER, "XPath")
        and subtracts
        and (text in (f"/descendant::{prefix}:Signature", f"//{prefix}:Signature"))
    )


def prefixes_of(holder: Element) -> str:
    """The PrefixList that a method of exclusive canonicalization brings."""
    inclusive = holder.find(f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    if len(holder) > (inclusive is not None):
        raise XmlProblem("a method has parameters that it does not know")
    return str(inclusive.get("PrefixList", "")) if inclusive is not None else ""


def _octets(
    reference: Element, target: Element, enclosed: Element | None, *, whole: bool = False
) -> bytes:
    """What the digest of a reference within the document is over. Comments are left out, as for
    every reference of the same document (XML Signature, 4.4.3.3)."""
    transforms = _transforms(reference)
    methods = [method for method, _ in transforms]
    if enclosed is not None:
        leaving = [each for each in methods if each in (ENVELOPED, ALL_SEALS)]
        if not leaving or methods[: len(leaving)] != leaving:
            raise XmlProblem("a seal within its document does not leave itself out")
        seals = [enclosed]
        if ALL_SEALS in leaving:
            seals = list(target.iter(q(DS, "Signature")))
            if any(one.getparent() is not target for one in seals):
                raise XmlProblem("seals that are left out do not stand side by side")
        target = without(target, [_below(one, target) for one in seals])
        transforms, methods = transforms[len(leaving) :], methods[len(leaving) :]
    if methods == [BASE64]:
        if len(target):
            raise XmlProblem("base64 content holds elements")
        try:
            return base64.b64decode("".join((target.text or "").split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise XmlProblem("the content is not base64") from error
    if len(transforms) > 1 or any(method not in CANONICAL for method in methods):
        raise Broken(Sub.SIG_CONSTRAINTS_FAILURE, "a transform is used that is not on the list")
    method, prefixes = transforms[0] if transforms else (INCLUSIVE, "")
    method = method.removesuffix("WithComments")
    node = target.getroottree() if whole else target
    return canonical(node, method if method in CANONICAL else method.rstrip("#"), prefixes)


def _below(element: Element, root: Element) -> list[int]:
    if root.getparent() is not None:
        raise XmlProblem("a seal within its document is over a part of it")
    return path_of(element)


def _outside(found: Read, reference: Element, name: str, content: Sequence[Content]) -> None:
    brought = content_named(content, name)
    if brought is None:
        raise Broken(Sub.SIGNED_DATA_NOT_FOUND, "what was sealed was not brought")
    transforms = _transforms(reference)
    data = brought.data
    if transforms:
        if len(transforms) > 1 or transforms[0][0] not in CANONICAL or data is None:
            raise Broken(Sub.SIG_CONSTRAINTS_FAILURE, "a transform is used that is not on the list")
        data = canonical(parse(data).getroottree(), *transforms[0])
    if data is not None:
        _compare(found, reference, data)
    else:
        name_of_hash, wanted = _digest(reference)
        if dict(brought.digests).get(name_of_hash) is None:
            raise Broken(Sub.SIGNED_DATA_NOT_FOUND, f"a {name_of_hash} hash was not brought")
        if dict(brought.digests)[name_of_hash] != wanted:
            raise Broken(Sub.HASH_FAILURE, "the hash of what was sealed does not agree")
        found.octets.append(None)
    found.covers.append(name)


def _digest(reference: Element) -> tuple[str, bytes]:
    method = str(only(reference, DS, "DigestMethod").get("Algorithm"))
    if method not in DIGESTS:
        raise Broken(Sub.CRYPTO_CONSTRAINTS_FAILURE, "the hash algorithm is not safe")
    return DIGESTS[method], bytes_of(only(reference, DS, "DigestValue"))


def _compare(found: Read, reference: Element, octets: bytes) -> None:
    name, wanted = _digest(reference)
    found.hashes.add(name)
    if hashlib.new(name, octets).digest() != wanted:
        raise Broken(Sub.HASH_FAILURE, "the hash of what was sealed does not agree")
    found.octets.append(octets)


def _check_value(found: Read) -> None:
    method = str(only(found.info, DS, "SignatureMethod").get("Algorithm"))
    if "hmac" in method.lower():
        raise XmlProblem("a seal is not made with a shared secret")
    if method not in METHODS:
        raise Broken(Sub.CRYPTO_CONSTRAINTS_FAILURE, "the signature algorithm is not safe")
    found.algorithm = METHODS[method]
    found.hashes.add(found.algorithm.hash)
    way = only(found.info, DS, "CanonicalizationMethod")
    data = canonical(found.info, str(way.get("Algorithm")), prefixes_of(way))
    certificate = x509.load_der_x509_certificate(found.certificate)
    if not same_kind(found.algorithm, certificate):
        raise Broken(Sub.SIG_CRYPTO_FAILURE, "the key of the certificate is of another kind")
    if not verified(found.algorithm, certificate, bytes_of(found.value), data):
        raise Broken(Sub.SIG_CRYPTO_FAILURE, "the signature does not agree")


def _certificate(found: Read, qualifying: Element) -> None:
    """Which certificate signed: the one in KeyInfo whose hash the signed properties hold."""
    key = found.signature.findall(q(DS, "KeyInfo"))
    if len(key) > 1:
        raise XmlProblem("the signature says twice what its key is")
    texts = key[0].iterfind(f"{q(DS, 'X509Data')}/{q(DS, 'X509Certificate')}") if key else ()
    found.certificates = [bytes_of(one) for one in texts]
    if len(found.certificates) > MOST_CERTIFICATES:
        raise XmlProblem("the signature holds too many certificates")
    signed = only(only(qualifying, XADES, "SignedProperties"), XADES, "SignedSignatureProperties")
    named = signed.findall(q(XADES, "SigningCertificateV2")) + signed.findall(
        q(XADES, "SigningCertificate")
    )
    if len(named) != 1:
        raise Broken(
            Sub.SIG_CONSTRAINTS_FAILURE, "the signed properties do not name the certificate"
        )
    digest = only(named[0].find(q(XADES, "Cert")), XADES, "CertDigest")
    name, wanted = _digest(digest)
    held = [one for one in found.certificates if hashlib.new(name, one).digest() == wanted]
    if not held:
        raise Broken(Sub.NO_SIGNING_CERTIFICATE_FOUND, "the certificate that is named is not there")
    found.certificate = held[0]
    try:
        x509.load_der_x509_certificate(held[0])
    except (ValueError, x509.InvalidVersion) as error:
        raise XmlProblem("the certificate cannot be read") from error


def _claimed(qualifying: Element) -> datetime | None:
    path = "/".join(
        q(XADES, each) for each in ("SignedProperties", "SignedSignatureProperties", "SigningTime")
    )
    said = qualifying.find(path)
    if said is None:
        return None
    try:
        when = datetime.fromisoformat(text_of(said))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise XmlProblem("the signing time cannot be read") from error


def unsigned_properties(signature: Element) -> list[Element]:
    """What was added after signing, in order."""
    return [
        one
        for each in _qualifying(signature).findall(q(XADES, "UnsignedProperties"))
        for group in each.findall(q(XADES, "UnsignedSignatureProperties"))
        for one in group
        if isinstance(one.tag, str)
    ]


def material_in(signature: Element) -> Material:
    """The certificates, lists and answers that the seal brings along. Raises XmlProblem."""
    found = Material()
    for prop in unsigned_properties(signature):
        found += material_of(prop)
    return found


def material_of(prop: Element) -> Material:
    """Those of one property, when it is one that brings them. Raises XmlProblem."""
    if prop.tag not in _BRINGING:
        return Material()
    found: list[tuple[bytes, ...]] = []
    for name in ("X509Certificate", "CRLValue", "OCSPValue"):
        held = list(prop.iter(q(XADES, f"Encapsulated{name}")))
        if len(held) > MOST_CERTIFICATES:
            raise XmlProblem("the seal brings too many certificates, lists or answers")
        found.append(tuple(bytes_of(one) for one in held))
    return Material(*found)


def stamp_tokens(prop: Element) -> list[bytes]:
    """The time-stamp tokens of a property. Raises XmlProblem."""
    return [bytes_of(one) for one in prop.findall(q(XADES, "EncapsulatedTimeStamp"))]


def way_of(prop: Element) -> tuple[str, str]:
    """How the parts under a time stamp are made canonical. Raises XmlProblem."""
    way = prop.find(q(DS, "CanonicalizationMethod"))
    return (INCLUSIVE, "") if way is None else (str(way.get("Algorithm")), prefixes_of(way))


def stamped_value(found: Read, prop: Element) -> bytes:
    """What a SignatureTimeStamp is over (5.3)."""
    return canonical(found.value, *way_of(prop))


def archive_input(found: Read, before: Element | None, way: tuple[str, str]) -> bytes:
    """What an archive stamp is over that stands at `before`, or after all (5.5.2.3).

    Raises XmlProblem when sealed content was brought only as a hash.
    """
    if any(each is None for each in found.octets):
        raise XmlProblem("an archive stamp needs the content, not its hash")
    parts = [each for each in found.octets if each is not None]
    parts += [canonical(found.info, *way), canonical(found.value, *way)]
    parts += [canonical(one, *way) for one in found.signature.findall(q(DS, "KeyInfo"))]
    for prop in unsigned_properties(found.signature):
        if prop is before:
            break
        parts.append(canonical(prop, *way))
    for held in found.signature.findall(q(DS, "Object")):
        if held.find(q(XADES, "QualifyingProperties")) is None:
            parts.append(canonical(held, *way))
    return b"".join(parts)
