"""Reads CAdES signatures (EN 319 122-1) and plain CMS ones (RFC 5652) for judgement."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from asn1crypto import cms, core, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko_certvalidator.errors import AlgorithmNotSupported

from pater.trust.seal import archive_stamps
from pater.trust.seal.archive_stamps import DigestOf, token_material
from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.cms_parts import (
    ARCHIVE_STAMP,
    SIGNATURE_STAMP,
    attributes,
    content_of,
    material_of,
    signed_tokens,
    tokens,
)
from pater.trust.seal.judging import Found, StampFound, good, sha256, stamp_time
from pater.trust.seal.model import Check, Content, Format, Material, Sub, Text

KNOWN: Final = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512"})
_SIGNING_CERTIFICATE: Final = ("signing_certificate_v2", "signing_certificate")
_BY_SERIAL: Final = Check(
    "certificate",
    True,
    Text(
        "Podpis svůj certifikát jmenuje jen číslem (prosté CMS, ne CAdES).",
        "The signature names its certificate by number only (plain CMS, not CAdES).",
    ),
)
_TWICE: Final = Text(
    "Povinný podepsaný atribut chybí nebo je tu dvakrát.",
    "A signed attribute that must be there is missing, or there twice.",
)


def digests(data: bytes) -> DigestOf:
    """The digests of bytes, each computed once."""
    made: dict[str, bytes] = {}

    def digest_of(name: str) -> bytes | None:
        if name not in KNOWN:
            return None
        if name not in made:
            made[name] = hashlib.new(name, data, usedforsecurity=False).digest()
        return made[name]

    return digest_of


def digests_of(content: Content) -> DigestOf:
    """The digests of what is sealed, which may be there as digests only."""
    if content.data is not None:
        return digests(content.data)
    return dict(content.digests).get


def read(
    signed: cms.SignedData,
    content: Content | None,
    kind: Format,
    covers: tuple[str, ...] = (),
    extra: Sequence[StampFound] = (),
) -> list[Found]:
    """Each signature of SignedData, as it is judged.

    `content` is what was sealed when it is not within; `extra` are stamps over the whole that
    stand outside (a PDF's, a container's), newest last.
    """
    within = content_of(signed)
    if within is not None:
        if content is not None and content.data is not None and content.data != within:
            return [_bad(kind, Sub.HASH_FAILURE, "content") for _ in signed["signer_infos"]]
        digest_of: DigestOf | None = digests(within)
    else:
        digest_of = digests_of(content) if content is not None else None
    return [_one(signed, one, digest_of, kind, covers, extra) for one in signed["signer_infos"]]


def _bad(
    kind: Format,
    sub: Sub,
    code: str = "structure",
    text: Text | None = None,
    **rest: Any,
) -> Found:
    return Found(kind, problem=sub, code=code, text=text, **rest)


def _one(
    signed: cms.SignedData,
    signer: cms.SignerInfo,
    digest_of: DigestOf | None,
    kind: Format,
    covers: tuple[str, ...],
    extra: Sequence[StampFound],
) -> Found:
    try:
        return _read(signed, signer, digest_of, kind, covers, extra)
    except UNREADABLE:
        return _bad(kind, Sub.FORMAT_FAILURE)


def _read(
    signed: cms.SignedData,
    signer: cms.SignerInfo,
    digest_of: DigestOf | None,
    kind: Format,
    covers: tuple[str, ...],
    extra: Sequence[StampFound],
) -> Found:
    if isinstance(signer["signed_attrs"], core.Void):
        return _bad(kind, Sub.FORMAT_FAILURE, text=_TWICE)
    if any(len(_values(signer, one)) != 1 for one in ("content_type", "message_digest")):
        return _bad(kind, Sub.FORMAT_FAILURE, text=_TWICE)
    checks = good("structure")
    material = material_of(signed)
    certificate, certified = _certificate(signer, material)
    if certificate is None:
        return _bad(kind, Sub.NO_SIGNING_CERTIFICATE_FOUND, "certificate", checks=checks)
    checks = (*checks, certified)
    known: dict[str, Any] = {
        "certificate": certificate, "claimed": _claimed(signer), "covers": covers,
    }  # fmt: skip
    name = signer["digest_algorithm"]["algorithm"].native
    if digest_of is None:
        return _bad(kind, Sub.SIGNED_DATA_NOT_FOUND, "content", checks=checks, **known)
    digest = digest_of(name)
    if digest is None:
        sub = Sub.SIGNED_DATA_NOT_FOUND if name in KNOWN else Sub.CRYPTO_CONSTRAINTS_FAILURE
        return _bad(kind, sub, "content", checks=checks, **known)
    wrong = _verify(signed, signer, certificate, digest)
    if wrong is not None:
        code, sub, text = wrong
        return _bad(kind, sub, code, text, checks=checks, **known)
    stamps = _stamps(signed, signer, digest_of)
    inside = Material()
    for one in (*stamps, *extra):
        inside += _material(one.token)
    return Found(
        kind,
        checks=(*checks, *good("content", "signature")),
        others=material.certificates,
        material=material + inside,
        hashes=_hashes(signer, name),
        stamps=(*stamps, *extra),
        **known,
    )


def _values(signer: cms.SignerInfo, name: str) -> list[Any]:
    return [v for a in signer["signed_attrs"] if a["type"].native == name for v in a["values"]]


def _certificate(signer: cms.SignerInfo, material: Material) -> tuple[bytes | None, Check]:
    """The certificate that the signature names by its hash, else by its number (5.2.2)."""
    for attribute in _SIGNING_CERTIFICATE:
        values = _values(signer, attribute)
        if not values:
            continue
        first = values[0]["certs"][0]
        name = "sha1"
        if attribute == "signing_certificate_v2":
            name = first["hash_algorithm"]["algorithm"].native
        wanted = first["cert_hash"].native
        for one in material.certificates:
            if name in KNOWN and _digest(name, one) == wanted and _is_named(signer, one):
                return one, good("certificate")[0]
        return None, good("certificate")[0]
    for one in material.certificates:
        if _is_named(signer, one):
            return one, _BY_SERIAL
    return None, _BY_SERIAL


def _digest(name: str, data: bytes) -> bytes:
    # SHA-1 only names the certificate here, in seals of the first version of the attribute
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _is_named(signer: cms.SignerInfo, der: bytes) -> bool:
    one = x509.Certificate.load(der)
    sid = signer["sid"]
    if sid.name == "issuer_and_serial_number":
        number = sid.chosen["serial_number"].native
        return bool(one.issuer == sid.chosen["issuer"] and one.serial_number == number)
    return bool(one.key_identifier == sid.chosen.native)


def _verify(
    signed: cms.SignedData, signer: cms.SignerInfo, certificate: bytes, digest: bytes
) -> tuple[str, Sub, Text | None] | None:
    """What is wrong with the signature over this content: code of the check, reason, words."""
    said = signed["encap_content_info"]["content_type"].native
    try:
        intact, valid = validate_sig_integrity(
            signer, x509.Certificate.load(certificate), said, digest
        )
    except AlgorithmNotSupported:
        return "algorithms", Sub.CRYPTO_CONSTRAINTS_FAILURE, None
    except SignatureValidationError as error:
        if "certificate" in str(error).lower():
            return "certificate", Sub.NO_SIGNING_CERTIFICATE_FOUND, None
        return "structure", Sub.FORMAT_FAILURE, None
    except (InvalidSignature, UnsupportedAlgorithm):
        return "signature", Sub.SIG_CRYPTO_FAILURE, None
    if not intact:
        return "content", Sub.HASH_FAILURE, None
    return None if valid else ("signature", Sub.SIG_CRYPTO_FAILURE, None)


def _hashes(signer: cms.SignerInfo, name: str) -> tuple[str, ...]:
    found = [name]
    try:
        found.append(signer["signature_algorithm"].hash_algo)
    except ValueError:
        pass  # an algorithm that leaves the hash to the digest algorithm
    return tuple(dict.fromkeys(found))


def _claimed(signer: cms.SignerInfo) -> datetime | None:
    values = _values(signer, "signing_time")
    claimed: datetime | None = values[0].native if values else None
    return claimed


def _stamps(
    signed: cms.SignedData, signer: cms.SignerInfo, digest_of: DigestOf
) -> list[StampFound]:
    signature = digests(signer["signature"].native)
    content = [StampFound(one, digest_of, "content") for one in signed_tokens(signer)]
    over = [StampFound(one, signature, "signature") for one in tokens(signer, SIGNATURE_STAMP)]
    archive = [
        archive_stamps.found(one, signed, signer, digest_of)
        for one in tokens(signer, ARCHIVE_STAMP)
    ]
    return content + in_order(over) + in_order(archive)


def in_order(stamps: list[StampFound]) -> list[StampFound]:
    """Oldest first, as they say; those that cannot be read come last."""
    timed = [(stamp_time(one.token), one) for one in stamps]
    readable = sorted(
        ((when, one) for when, one in timed if when is not None), key=lambda pair: pair[0]
    )
    return [one for _, one in readable] + [one for when, one in timed if when is None]


def _material(token: bytes) -> Material:
    try:
        return token_material(token)
    except UNREADABLE:
        return Material()


def everything(signed: cms.SignedData) -> frozenset[bytes]:
    """SHA-256 digests of all that stands in a signature: what a stamp over its file proves."""
    material = material_of(signed)
    found = {sha256(one) for one in (*material.certificates, *material.crls, *material.ocsps)}
    for signer in signed["signer_infos"]:
        for one in attributes(signer["unsigned_attrs"], SIGNATURE_STAMP):
            found |= {sha256(one.dump()), *archive_stamps.inside_of(one.dump())}
        for one in attributes(signer["unsigned_attrs"], ARCHIVE_STAMP):
            found |= {sha256(one.dump()), *archive_stamps.inside_of(one.dump())}
    return frozenset(found)
