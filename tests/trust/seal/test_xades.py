"""XAdES seals and containers with them: made, raised, validated; refused with the reason."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml import methods
from signxml.xades import XAdESDataObjectFormat, XAdESSigner, XAdESVerifier

from pater.trust.seal import families
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Order,
    Packaging,
    Report,
    SealError,
    Sub,
)
from tests.trust.seal.ground import YEAR, Ground

NS = {
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xades": "http://uri.etsi.org/01903/v1.3.2#",
}
XML = (
    '<?xml version="1.0"?><!-- first --><list xmlns="urn:a" xmlns:b="urn:b" xml:lang="cs" n="1">\n'
    "  <b:item b:k='v'>Žluťoučký &amp; kůň<![CDATA[ <x> ]]></b:item><!-- in -->\n</list>"
).encode()
DOC = Content(XML, "list.xml", "text/xml")
Change = Callable[[etree._Element], None]


def order(
    level: Level = Level.B, packaging: Packaging = Packaging.ENVELOPED, *content: Content
) -> Order:
    return Order(Format.XADES, level, packaging, content or (DOC,))


async def check(ground: Ground, seal: bytes, *content: Content, **rules: object) -> Report:
    return await families.validate(seal, ground.rules(**rules), content)


@pytest.mark.parametrize("packaging", list(Packaging))
@pytest.mark.parametrize("level", list(Level))
async def test_made_and_validated_at_every_level(level: Level, packaging: Packaging) -> None:
    ground = Ground()
    seal = await families.create(order(level, packaging), ground.tools())
    content = (DOC,) if packaging is Packaging.DETACHED else ()
    report = await check(ground, seal, *content)
    assert report.passed, report.as_dict()
    [one] = report.signatures
    assert (one.level, one.format, one.claimed) == (level, Format.XADES, ground.clock())


@pytest.mark.parametrize("kind", ["P-384", "RSA", "PSS"])
async def test_each_kind_of_key_seals(kind: str) -> None:
    ground = Ground()
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP384R1())
    if kind != "P-384":
        key = rsa.generate_private_key(65537, 2048)
    tools = ground.tools(ground.key(ground.leaf("Seal", key=key), pss=kind == "PSS"))
    report = await check(ground, await families.create(order(), tools))
    assert report.passed, report.as_dict()


@pytest.mark.parametrize("packaging", list(Packaging))
async def test_a_seal_outlives_its_certificate_and_its_lists(packaging: Packaging) -> None:
    ground = Ground()
    content = (DOC,) if packaging is Packaging.DETACHED else ()
    seal = await families.create(order(Level.LTA, packaging), ground.tools())
    ground.silent.add(ground.issuing.der)
    ground.clock.forward(3 * YEAR)
    assert (await check(ground, seal, *content)).passed
    ground.authority = ground.stamps_of(5 * YEAR)
    again = await families.extend(seal, Level.LTA, ground.tools(), content)
    ground.clock.forward(3 * YEAR)
    report = await check(ground, again, *content)
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is Level.LTA


async def test_the_content_stays_what_it_was() -> None:
    ground = Ground()
    seal = await families.create(order(Level.LTA), ground.tools())
    root = etree.fromstring(seal)
    root.remove(root.find("ds:Signature", NS))
    assert etree.tostring(root, method="c14n") == etree.tostring(
        etree.fromstring(XML), method="c14n"
    )


def changed(seal: bytes, change: Change) -> bytes:
    root = etree.fromstring(seal)
    change(root)
    return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


def _find(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, NS)
    assert found is not None, path
    return found


def _set(path: str, **attributes: str) -> Change:
    return lambda root: _find(root, path).attrib.update(attributes)


def _text(path: str, text: str) -> Change:
    def change(root: etree._Element) -> None:
        _find(root, path).text = text

    return change


def _away(path: str) -> Change:
    def change(root: etree._Element) -> None:
        one = _find(root, path)
        parent = one.getparent()
        assert parent is not None
        parent.remove(one)

    return change


def _moved(root: etree._Element) -> None:
    """The sealed document is moved inside another one, whose root says something else."""
    inner = etree.fromstring(etree.tostring(root))
    inner.set("Id", "original")
    root.clear()
    root.append(inner)
    root.set("n", "2")


def _by_id(root: etree._Element) -> None:
    """The reference names an element that an attacker put a copy of the content in."""
    copy = etree.SubElement(root, "copy", Id="target")
    copy.text = "what was signed"
    _find(root, ".//ds:Reference[1]").set("URI", "#target")


def _second_properties(root: etree._Element) -> None:
    held = _find(root, ".//ds:Object")
    signature = _find(root, ".//ds:Signature")
    signature.append(etree.fromstring(etree.tostring(held)))


def _fake_properties(root: etree._Element) -> None:
    """The signed properties are moved aside; others with another time stand in their place."""
    properties = _find(root, ".//xades:SignedProperties")
    parent = properties.getparent()
    assert parent is not None
    fake = etree.fromstring(etree.tostring(properties))
    fake.set("Id", "fake")
    _find(fake, ".//xades:SigningTime").text = "2020-01-01T00:00:00Z"
    signature = _find(root, ".//ds:Signature")
    aside = etree.SubElement(signature, f"{{{NS['ds']}}}Object")
    parent.replace(properties, fake)
    aside.append(properties)


BROKEN: dict[str, tuple[Change, Sub]] = {
    "changed content": (lambda root: root.set("n", "2"), Sub.HASH_FAILURE),
    "added content": (lambda root: root.append(etree.Element("x")), Sub.HASH_FAILURE),
    "changed time": (
        _text(".//xades:SigningTime", "2020-01-01T00:00:00Z"), Sub.HASH_FAILURE,
    ),
    "changed digest": (
        _text(".//ds:Reference[1]/ds:DigestValue", base64.b64encode(bytes(32)).decode()),
        Sub.HASH_FAILURE,
    ),
    "changed signature": (
        _text(".//ds:SignatureValue", base64.b64encode(bytes(64)).decode()),
        Sub.SIG_CRYPTO_FAILURE,
    ),
    "changed signed information": (
        _set(".//ds:Reference[1]", Id="other"), Sub.SIG_CRYPTO_FAILURE,
    ),
    "HMAC": (
        _set(".//ds:SignatureMethod", Algorithm=f"{NS['ds']}hmac-sha1"), Sub.FORMAT_FAILURE,
    ),
    "SHA-1": (
        _set(".//ds:SignatureMethod", Algorithm=f"{NS['ds']}rsa-sha1"),
        Sub.CRYPTO_CONSTRAINTS_FAILURE,
    ),
    "RSA instead of EC": (
        _set(
            ".//ds:SignatureMethod",
            Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        ), Sub.SIG_CRYPTO_FAILURE,
    ),
    "SHA-1 of the content": (
        _set(".//ds:Reference[1]/ds:DigestMethod", Algorithm=f"{NS['ds']}sha1"),
        Sub.CRYPTO_CONSTRAINTS_FAILURE,
    ),
    "XSLT": (
        _set(".//ds:Reference[1]//ds:Transform[2]",
             Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"),
        Sub.SIG_CONSTRAINTS_FAILURE,
    ),
    "XPath": (
        _set(".//ds:Reference[1]//ds:Transform[2]",
             Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"),
        Sub.SIG_CONSTRAINTS_FAILURE,
    ),
    "many transforms": (
        lambda root: [etree.SubElement(_find(root, ".//ds:Transforms"), "x") for _ in range(9)]
        and None, Sub.FORMAT_FAILURE,
    ),
    "wrapped in another document": (_moved, Sub.HASH_FAILURE),
    "a part instead of the whole": (_by_id, Sub.SIG_CONSTRAINTS_FAILURE),
    "no certificate": (_away(".//ds:X509Data"), Sub.NO_SIGNING_CERTIFICATE_FOUND),
    "no properties": (_away(".//xades:QualifyingProperties"), Sub.FORMAT_FAILURE),
    "two sets of properties": (_second_properties, Sub.FORMAT_FAILURE),
    "properties put aside": (_fake_properties, Sub.FORMAT_FAILURE),
    "properties not signed": (_away(".//ds:Reference[2]"), Sub.SIG_CONSTRAINTS_FAILURE),
    "content not signed": (_away(".//ds:Reference[1]"), Sub.SIGNED_DATA_NOT_FOUND),
    "target elsewhere": (_set(".//xades:QualifyingProperties", Target="#x"), Sub.FORMAT_FAILURE),
    "two values": (
        lambda root: _find(root, ".//ds:Signature").append(
            etree.fromstring(etree.tostring(_find(root, ".//ds:SignedInfo")))
        ), Sub.FORMAT_FAILURE,
    ),
    "unreadable value": (_text(".//ds:SignatureValue", "!"), Sub.FORMAT_FAILURE),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BROKEN))
async def test_each_kind_of_broken_seal_is_refused_with_its_reason(name: str) -> None:
    ground = Ground()
    seal = await families.create(order(), ground.tools())
    change, reason = BROKEN[name]
    report = await check(ground, changed(seal, change))
    assert report.sub is reason, report.as_dict()


async def test_ids_that_stand_twice_are_refused() -> None:
    ground = Ground()
    seal = await families.create(order(Level.B, Packaging.ATTACHED), ground.tools())
    root = etree.fromstring(seal)
    held = root.findall("ds:Object", NS)[-1]
    fake = etree.fromstring(etree.tostring(held))
    fake.text = base64.b64encode(b"other").decode()
    root.insert(0, fake)
    assert (await check(ground, etree.tostring(root))).sub is Sub.FORMAT_FAILURE
    held.text = base64.b64encode(b"other").decode()
    root.remove(fake)
    assert (await check(ground, etree.tostring(root))).sub is Sub.HASH_FAILURE


LAUGHS = b"""<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><l xmlns:d="http://www.w3.org/2000/09/xmldsig#">&c;</l>"""
OUTSIDE = b"""<?xml version="1.0"?><!-- x --><!DOCTYPE l SYSTEM "http://192.0.2.1/x.dtd">
<l xmlns:d="http://www.w3.org/2000/09/xmldsig#"/>"""


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        OUTSIDE,
        b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;'
        b"http://www.w3.org/2000/09/xmldsig#</l>",
        b'<?xml version="1.0" encoding="UTF-16"?><l>http://www.w3.org/2000/09/xmldsig#</l>',
        b'<?xml version="1.0" encoding="iso-8859-2"?><l>http://www.w3.org/2000/09/xmldsig#</l>',
        b"<l>http://www.w3.org/2000/09/xmldsig#",
        b"<l>" * 5000 + b"http://www.w3.org/2000/09/xmldsig#",
        b"<l>http://www.w3.org/2000/09/xmldsig#\xff</l>",
    ],
)
async def test_dangerous_xml_is_not_taken(text: bytes) -> None:
    ground = Ground()
    report = await check(ground, text)
    assert report.sub is Sub.FORMAT_FAILURE
    with pytest.raises(SealError) as error:
        await families.create(order(Level.B, Packaging.ENVELOPED, Content(text)), ground.tools())
    assert error.value.code == "format"


async def test_a_document_is_not_sealed_twice() -> None:
    ground = Ground()
    seal = await families.create(order(), ground.tools())
    with pytest.raises(SealError) as error:
        await families.create(order(Level.B, Packaging.ENVELOPED, Content(seal)), ground.tools())
    assert error.value.code == "unsupported"


async def test_a_hash_is_enough() -> None:
    ground = Ground()
    digest = (("sha256", hashlib.sha256(XML).digest()),)
    hashed = Content(None, "list.xml", "text/xml", digest)
    seal = await families.create(order(Level.T, Packaging.DETACHED, hashed), ground.tools())
    assert (await check(ground, seal, DOC)).passed
    assert (await check(ground, seal, hashed)).passed
    assert (await check(ground, seal, Content(b"x", "list.xml"))).sub is Sub.HASH_FAILURE
    assert (await check(ground, seal)).sub is Sub.SIGNED_DATA_NOT_FOUND
    assert (await check(ground, seal, Content(XML, "other"), DOC)).passed


async def test_names_of_files_are_coded() -> None:
    ground = Ground()
    strange = Content(b"x", "zpráva #1 (a?b)&c.txt", "text/plain")
    seal = await families.create(order(Level.LTA, Packaging.DETACHED, strange), ground.tools())
    report = await check(ground, seal, strange)
    assert report.passed, report.as_dict()
    assert report.signatures[0].covers == (strange.name,)


@settings(max_examples=40, deadline=None)
@given(st.data())
async def test_no_change_of_a_byte_passes_or_crashes(data: st.DataObject) -> None:
    if not _KEPT:
        ground = Ground()
        _KEPT.append((ground, await families.create(order(), ground.tools())))
    ground, seal = _KEPT[0]
    place = data.draw(st.integers(0, len(seal) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != seal[place]))
    other = seal[:place] + bytes([value]) + seal[place + 1 :]
    try:
        report = await check(ground, other)
    except SealError:
        return
    if report.passed:  # the declaration, comments, or what stands in no canonical form
        assert _content(other) == _content(seal)


_KEPT: list[tuple[Ground, bytes]] = []


def _content(seal: bytes) -> bytes:
    root = etree.fromstring(seal)
    root.remove(_find(root, "ds:Signature"))
    return etree.tostring(root, method="c14n", with_comments=False)


# containers


def container(level: Level, kind: Format = Format.ASIC_E, *content: Content) -> Order:
    held = content or (DOC, Content(b"more", "a/more.txt", "text/plain"))
    return Order(kind, level, Packaging.ATTACHED, held, inner=Format.XADES)


def repacked(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        files = {name: source.read(name) for name in source.namelist()}
    change(files)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, one in files.items():
            made.writestr(name, one)
    return target.getvalue()


@pytest.mark.parametrize("level", list(Level))
async def test_containers(level: Level) -> None:
    ground = Ground()
    made = await families.create(container(level), ground.tools())
    report = await check(ground, made)
    assert report.passed, report.as_dict()
    assert (report.format, report.signatures[0].level) == (Format.ASIC_E, level)
    assert report.signatures[0].covers == ("list.xml", "a/more.txt")
    single = await families.create(container(level, Format.ASIC_S, DOC), ground.tools())
    report = await check(ground, single)
    assert report.passed and report.format is Format.ASIC_S
    if level < Level.LTA:
        raised = await families.extend(made, Level.LTA, ground.tools())
        assert (await check(ground, raised)).signatures[0].level is Level.LTA


CONTAINERS: dict[str, tuple[Callable[[dict[str, bytes]], None], Sub]] = {
    "changed": (lambda f: f.update({"list.xml": b"x"}), Sub.HASH_FAILURE),
    "missing": (lambda f: f.pop("a/more.txt") and None, Sub.SIGNED_DATA_NOT_FOUND),
    "added": (lambda f: f.update({"new.txt": b"x"}), Sub.SIG_CONSTRAINTS_FAILURE),
    "another mimetype": (lambda f: f.update(mimetype=b"x"), Sub.FORMAT_FAILURE),
    "broken seal": (lambda f: f.update({"META-INF/signatures.xml": b"<x"}), Sub.FORMAT_FAILURE),
    "a name that leads out": (lambda f: f.update({"../x": b"x"}), Sub.FORMAT_FAILURE),
}


@pytest.mark.parametrize("name", list(CONTAINERS))
async def test_broken_containers(name: str) -> None:
    ground = Ground()
    made = await families.create(container(Level.B), ground.tools())
    change, reason = CONTAINERS[name]
    try:
        report = await check(ground, repacked(made, change))
    except SealError as error:  # not even its kind can be told
        assert error.code == "format" and name == "another mimetype"
        return
    assert report.sub is reason, report.as_dict()


# others' tools


async def test_signxml_validates_ours() -> None:
    ground = Ground()
    seal = await families.create(order(Level.LTA), ground.tools())
    found = XAdESVerifier().verify(
        seal, x509_cert=ground.seal.certificate, expect_signature_policy=None, expect_references=2,
    )  # fmt: skip
    assert any(one.signed_xml is not None for one in found)
    with pytest.raises(Exception, match=r"(?i)digest|mismatch|signature"):
        XAdESVerifier().verify(
            seal.replace(b'n="1"', b'n="2"'), x509_cert=ground.seal.certificate,
            expect_references=2,
        )  # fmt: skip


@pytest.mark.parametrize(
    "method",
    [
        methods.enveloped,
        methods.enveloping,
    ],
)
@pytest.mark.parametrize(
    "way",
    [
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    ],
)
async def test_theirs_are_validated_by_us(method: object, way: str) -> None:
    ground = Ground()
    leaf = ground.leaf("Theirs", key=rsa.generate_private_key(65537, 2048))
    signer = XAdESSigner(
        method=method,  # type: ignore[arg-type]  # one of signxml's own
        signature_algorithm="rsa-sha256",
        digest_algorithm="sha256",
        c14n_algorithm=way,
        data_object_format=XAdESDataObjectFormat("List", "text/xml"),
    )
    pem = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    cert = leaf.certificate.public_bytes(Encoding.PEM) + ground.issuing.certificate.public_bytes(
        Encoding.PEM
    )
    # signxml leaves out inherited xml: attributes, which canonical XML does not
    content = XML.replace(b' xml:lang="cs"', b"")
    root = signer.sign(etree.fromstring(content), key=pem, cert=cert.decode())
    seal = etree.tostring(root)
    report = await check(ground, seal)
    assert report.passed, report.as_dict()
    raised = await families.extend(seal, Level.LTA, ground.tools())
    report = await check(ground, raised)
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is Level.LTA
    broken = seal.replace("kůň".encode(), b"pes").replace(b"k&#367;&#328;", b"pes")
    assert broken != seal
    assert (await check(ground, broken)).sub is Sub.HASH_FAILURE
