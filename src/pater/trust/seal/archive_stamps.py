"""The archive time stamp of CAdES, version 3 (EN 319 122-1, 5.5.2 and 5.5.3).

It is over the content's hash, the signature, and an index of the hashes of all certificates,
lists and unsigned attributes that stand there when it is made. The index stands in the stamp.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from asn1crypto import algos, cms, core

from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.cms_parts import HASH_INDEX, add_attribute, attributes, material_of
from pater.trust.seal.judging import StampFound, sha256
from pater.trust.seal.model import Material

_HASHES: Final = ("sha256", "sha384", "sha512")
DigestOf = Callable[[str], bytes | None]


class _Hashes(core.SequenceOf):  # type: ignore[misc]  # asn1crypto has no types
    _child_spec = core.OctetString


class HashIndex(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """ATSHashIndexV3."""

    _fields: ClassVar = [
        ("algorithm", algos.DigestAlgorithm),
        ("certificates", _Hashes),
        ("crls", _Hashes),
        ("attributes", _Hashes),
    ]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an index can list, each as the bytes that are hashed, with what it holds (DER)."""

    certificates: list[tuple[bytes, bytes]]
    crls: list[tuple[bytes, bytes]]
    attributes: list[tuple[bytes, bytes]]


def _parts(signed: cms.SignedData, signer: cms.SignerInfo) -> _Parts:
    certificates, crls, others = [], [], []
    if not isinstance(signed["certificates"], core.Void):
        certificates = [(one.dump(), one.chosen.dump()) for one in signed["certificates"]]
    if not isinstance(signed["crls"], core.Void):
        for one in signed["crls"]:
            inside = one.chosen
            if one.name != "crl" and inside["other_rev_info_format"].native == "ocsp_response":
                inside = inside["other_rev_info"].parsed
            crls.append((one.dump(), inside.dump()))
    if not isinstance(signer["unsigned_attrs"], core.Void):
        for one in signer["unsigned_attrs"]:
            kind = one["type"].dump()
            others += [(kind + value.dump(), value.dump()) for value in one["values"]]
    return _Parts(certificates, crls, others)


def index_of(signed: cms.SignedData, signer: cms.SignerInfo, name: str) -> bytes:
    """The index (DER) of all that stands there now."""
    parts = _parts(signed, signer)

    def hashed(found: list[tuple[bytes, bytes]]) -> list[bytes]:
        return [hashlib.new(name, one).digest() for one, _ in found]

    made: bytes = HashIndex(
        {
            "algorithm": {"algorithm": name},
            "certificates": hashed(parts.certificates),
            "crls": hashed(parts.crls),
            "attributes": hashed(parts.attributes),
        }
    ).dump()
    return made


def imprint_of(
    signed: cms.SignedData, signer: cms.SignerInfo, index: bytes, digest_of: DigestOf, name: str
) -> bytes | None:
    """The digest that an archive stamp is over; None when the content is not there."""
    content = digest_of(name)
    if content is None or name not in _HASHES:
        return None
    made = hashlib.new(name)
    made.update(signed["encap_content_info"]["content_type"].dump())
    made.update(content)
    for field in ("version", "sid", "digest_algorithm", "signed_attrs"):
        made.update(signer[field].dump())
    for field in ("signature_algorithm", "signature"):
        made.update(signer[field].dump())
    made.update(index)
    return made.digest()


def with_index(token: bytes, index: bytes) -> cms.ContentInfo:
    """The stamp with its index within, as an unsigned attribute."""
    info = cms.ContentInfo.load(token)
    add_attribute(info["content"]["signer_infos"][0], HASH_INDEX, [HashIndex.load(index)])
    return info


def found(
    token: bytes, signed: cms.SignedData, signer: cms.SignerInfo, digest_of: DigestOf
) -> StampFound:
    """An archive stamp as it is judged. One whose index lists what is not there is over
    something else."""

    def nothing(_: str) -> bytes | None:
        return None

    try:
        inner = cms.ContentInfo.load(token)["content"]["signer_infos"][0]
        values = attributes(inner["unsigned_attrs"], HASH_INDEX)
        if len(values) != 1:
            return StampFound(token, nothing, "archive")
        index = values[0].dump()
        listed = HashIndex.load(index, strict=True)
        covered = _covered(listed, _parts(signed, signer))
    except UNREADABLE:
        return StampFound(token, nothing, "archive")
    if covered is None:
        return StampFound(token, nothing, "archive")

    def imprint(name: str) -> bytes | None:
        return imprint_of(signed, signer, index, digest_of, name)

    return StampFound(token, imprint, "archive", frozenset(covered))


def _covered(listed: HashIndex, parts: _Parts) -> set[bytes] | None:
    """SHA-256 digests of all that the index lists; None when something of it is not there."""
    name = listed["algorithm"]["algorithm"].native
    if name not in _HASHES:
        return None
    covered: set[bytes] = set()
    for field, there in (
        ("certificates", parts.certificates),
        ("crls", parts.crls),
        ("attributes", parts.attributes),
    ):
        by_hash = {hashlib.new(name, one).digest(): inside for one, inside in there}
        for digest in listed[field].native:
            if digest not in by_hash:
                return None
            covered.add(sha256(by_hash[digest]))
            if field == "attributes":
                covered |= inside_of(by_hash[digest])
    return covered


def inside_of(token: bytes) -> set[bytes]:
    """SHA-256 digests of what a time-stamp token brings with it; empty for anything else."""
    try:
        material = token_material(token)
    except UNREADABLE:
        return set()
    items = (*material.certificates, *material.crls, *material.ocsps)
    return {sha256(one) for one in items}


def token_material(token: bytes) -> Material:
    """The certificates, lists and answers within a token."""
    info = cms.ContentInfo.load(token)
    if info["content_type"].native != "signed_data":
        return Material()
    return material_of(info["content"])
