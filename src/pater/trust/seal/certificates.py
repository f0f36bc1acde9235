"""Whether a certificate was good at a time: paths to a trusted authority, rules, revocation.

Paths are built and validated by pyhanko-certvalidator (RFC 5280 section 6.1); what is asked of
them, and what the answer means in EN 319 102-1 (5.2.6), is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    DisallowedAlgorithmError,
    PathValidationError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    CertRevTrustPolicy,
    DisallowWeakAlgorithmsPolicy,
    PKIXValidationParams,
)
from pyhanko_certvalidator.validate import async_validate_path

from pater.trust.seal import texts
from pater.trust.seal.model import (
    MOST_CERTIFICATES,
    Material,
    Rules,
    SealError,
    Sub,
    Text,
)
from pater.trust.seal.revocation import status

_MOST_PATHS: Final = 8
_LONGEST_PATH: Final = 8
_MOST_STEPS: Final = 300  # signatures tried while a path is looked for
_NO_MATERIAL: Final = Material()
_ALL_HASHES: Final = frozenset({"md2", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_NOTHING: Final[Mapping[bytes, datetime]] = {}
# what reading and checking foreign certificates has been seen to raise
UNREADABLE: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    NotImplementedError, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
)  # fmt: skip


class Purpose(StrEnum):
    """What the certificate was used for."""

    SEAL = "seal"
    STAMP = "stamp"


@dataclass(frozen=True, slots=True)
class PathResult:
    """Whether the certificate was good at the time: `problem` is None; else why not.

    `chain` is DER, the certificate first, the trusted authority last; `used` is what shows that
    none of them was revoked (for level LT); `revoked` says when the certificate itself was.
    """

    problem: Sub | None
    text: Text
    chain: tuple[bytes, ...] = ()
    used: Material = _NO_MATERIAL
    revoked: datetime | None = None


async def check_path(
    certificate: bytes,
    others: Sequence[bytes],
    at: datetime,
    rules: Rules,
    *,
    purpose: Purpose = Purpose.SEAL,
    known: Mapping[bytes, datetime] = _NOTHING,
) -> PathResult:
    """Whether a certificate (DER) was good at a time.

    `others` are further certificates (DER) that the path may go through, beside those of
    `rules.material`. `known` says since when a list or an answer is known to exist, by SHA-256
    digest: what an archive stamp covers. What is missing is asked of `rules.evidence`.
    """
    try:
        leaf = _loaded(certificate)
        wrong = _use(leaf, purpose)
    except UNREADABLE:
        return _result(Sub.NO_SIGNING_CERTIFICATE_FOUND)
    if wrong is not None:
        return PathResult(Sub.CHAIN_CONSTRAINTS_FAILURE, wrong)
    anchors = rules.anchors
    if purpose is Purpose.STAMP and rules.stamp_anchors:
        anchors = rules.stamp_anchors
    pool = tuple(dict.fromkeys((*others, *rules.material.certificates)))[:MOST_CERTIFICATES]
    ways = await asyncio.to_thread(_ways, certificate, pool, anchors)
    if not ways and rules.evidence is not None:
        fetched = await _fetched(certificate, pool, anchors, rules)
        if fetched:
            ways = await asyncio.to_thread(_ways, certificate, (*pool, *fetched), anchors)
    if not ways:
        return _result(Sub.NO_CERTIFICATE_CHAIN_FOUND)
    results = []
    for way in ways:
        result = await _check(way, at, rules, known)
        if result.problem is None:
            return result
        results.append(result)
    return results[0]


def _result(sub: Sub) -> PathResult:
    return PathResult(sub, texts.OF[sub])


def _ways(
    certificate: bytes, pool: Sequence[bytes], anchors: Sequence[bytes]
) -> list[tuple[bytes, ...]]:
    """Ways from the certificate to an anchor, each signed by the next; a bounded search, because
    certificates of strangers can be made to name each other in very many ways."""
    if certificate in anchors:
        return [(certificate,)]
    found: list[tuple[bytes, ...]] = []
    left = [_MOST_STEPS]

    def walk(way: tuple[bytes, ...]) -> None:
        for anchor in anchors:
            if len(found) < _MOST_PATHS and anchor not in way and _above(anchor, way[-1], left):
                found.append((*way, anchor))
        if len(way) >= _LONGEST_PATH:
            return
        for one in pool:
            if len(found) >= _MOST_PATHS or left[0] <= 0:
                return
            if one not in way and one not in anchors and _above(one, way[-1], left):
                walk((*way, one))

    walk((certificate,))
    return found


async def _fetched(
    certificate: bytes, pool: Sequence[bytes], anchors: Sequence[bytes], rules: Rules
) -> list[bytes]:
    """Authorities above the certificate that the seal did not bring, by asking for them."""
    found: list[bytes] = []
    current = certificate
    for _ in range(_LONGEST_PATH):
        if rules.evidence is None or any(_above(one, current) for one in anchors):
            break
        above = next((one for one in (*pool, *found) if _above(one, current)), None)
        if above is None:
            asked = await rules.evidence.issuers(current)
            above = next((one for one in asked if _above(one, current)), None)
            if above is None:
                break
            found.append(above)
        if above == current:
            break
        current = above
    return found


def _above(one: bytes, current: bytes, left: list[int] | None = None) -> bool:
    """Whether `one` signed `current`; `left` counts how many signatures may still be tried."""
    try:
        above, below = _loaded(one), _loaded(current)
        if above.subject != below.issuer:
            return False
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                return False
        below.verify_directly_issued_by(above)
    except (InvalidSignature, UnsupportedAlgorithm, *UNREADABLE):
        return False
    return True


async def _check(
    chain: tuple[bytes, ...], at: datetime, rules: Rules, known: Mapping[bytes, datetime]
) -> PathResult:
    loaded = [_loaded(one) for one in chain]
    problem = _validity(loaded, at)
    if problem is not None:
        return PathResult(problem, texts.OF[problem], chain)
    parameters = PKIXValidationParams(
        user_initial_policy_set=rules.policies or frozenset({"any_policy"}),
        initial_explicit_policy=bool(rules.policies),
    )
    try:
        await async_validate_path(*_parts(chain, at, rules), parameters)
    except DisallowedAlgorithmError:
        sub = Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        return PathResult(sub, texts.OF[sub], chain)
    except (PathValidationError, ValidationError, *UNREADABLE):
        sub = Sub.CHAIN_CONSTRAINTS_FAILURE
        return PathResult(sub, texts.OF[sub], chain)
    return await _revocations(chain, loaded, at, rules, known)


def _parts(
    chain: tuple[bytes, ...], at: datetime, rules: Rules
) -> tuple[ValidationContext, ValidationPath]:
    """The path in the words of pyhanko-certvalidator, which looks at all but revocation."""
    certificates = [_parsed(one) for one in reversed(chain)]
    context = ValidationContext(
        trust_roots=[certificates[0]],
        moment=at,
        allow_fetching=False,
        revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
        algorithm_usage_policy=DisallowWeakAlgorithmsPolicy(  # type: ignore[no-untyped-call]  # theirs
            weak_hash_algos=_ALL_HASHES - rules.hashes, rsa_key_size_threshold=rules.smallest_rsa
        ),
    )
    anchor = CertTrustAnchor(certificates[0])
    if len(certificates) == 1:
        return context, ValidationPath(anchor, [], None)
    return context, ValidationPath(anchor, certificates[1:-1], certificates[-1])


def _validity(chain: Sequence[x509.Certificate], at: datetime) -> Sub | None:
    for one in chain:
        if at > one.not_valid_after_utc:
            return Sub.OUT_OF_BOUNDS_NO_POE
        if at < one.not_valid_before_utc:
            return Sub.NOT_YET_VALID
    return None


async def _revocations(
    chain: tuple[bytes, ...],
    loaded: Sequence[x509.Certificate],
    at: datetime,
    rules: Rules,
    known: Mapping[bytes, datetime],
) -> PathResult:
    """The authorities first, because what a revoked one says of others counts for nothing."""
    used = Material(certificates=chain)
    for place in reversed(range(len(chain) - 1)):
        if chain[place + 1] in rules.unrevocable:
            continue
        certificate, issuer = loaded[place], loaded[place + 1]
        arguments = (certificate, issuer, at)
        found = await asyncio.to_thread(status, *arguments, rules.material, rules, known)
        if found is None and rules.evidence is not None:
            asked = await rules.evidence.revocation(chain[place], chain[place + 1])
            found = await asyncio.to_thread(status, *arguments, asked, rules, known)
        if found is None:
            if not rules.revocation_needed:
                continue
            return PathResult(Sub.TRY_LATER, texts.OF[Sub.TRY_LATER], chain, used)
        used += Material(crls=(found.by,)) if found.is_list else Material(ocsps=(found.by,))
        if found.revoked is not None:
            sub = Sub.REVOKED_CA_NO_POE if place else Sub.REVOKED_NO_POE
            when = None if place else found.revoked
            return PathResult(sub, texts.OF[sub], chain, used, revoked=when)
    return PathResult(None, texts.GOOD["path"], chain, used)


def _use(certificate: x509.Certificate, purpose: Purpose) -> Text | None:
    """What speaks against using the certificate for this."""
    usage = _extension(certificate, x509.KeyUsage)
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    signs = usage is None or usage.value.digital_signature or usage.value.content_commitment
    if purpose is Purpose.STAMP:
        only = extended is not None and list(extended.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
        if not (signs and only and extended is not None and extended.critical):
            return Text(
                "Certifikát není určen jen pro časová razítka.",
                "The certificate is not one for time stamps alone.",
            )
        return None
    others = {
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    if not signs or (extended is not None and set(extended.value) <= others):
        return Text(
            "Klíč certifikátu není určen k podepisování.",
            "The key of the certificate is not meant for signing.",
        )
    return None


E = TypeVar("E", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


@lru_cache(maxsize=256)
def _loaded(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


@lru_cache(maxsize=256)
def _parsed(der: bytes) -> asn1.Certificate:
    found = asn1.Certificate.load(der, strict=True)
    found.native  # noqa: B018  reads all of it, so that what cannot be read is found here
    return found


def subject_of(der: bytes) -> str:
    """The subject of a certificate (RFC 4514); empty when it cannot be read."""
    try:
        return _loaded(der).subject.rfc4514_string()
    except UNREADABLE:
        return ""


def anchors_of(folder: Path) -> tuple[bytes, ...]:
    """The certificates of a folder (`*.pem`, `*.crt`, `*.cer`; PEM or DER). Raises SealError."""
    found: list[bytes] = []
    try:
        files = sorted(one for one in folder.iterdir() if one.suffix in (".pem", ".crt", ".cer"))
        for file in files:
            data = file.read_bytes()
            found += pem_or_der(data)
    except OSError as error:
        raise SealError(
            "key",
            Text(
                f"Složku {folder} s důvěryhodnými autoritami nelze číst.",
                f"The folder {folder} of trusted authorities cannot be read.",
            ),
        ) from error
    return tuple(dict.fromkeys(found))


def pem_or_der(data: bytes) -> list[bytes]:
    """The certificates of a file, as DER. Raises SealError."""
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except UNREADABLE as error:
        raise SealError(
            "format",
            Text("Certifikát nelze přečíst.", "A certificate cannot be read."),
        ) from error
    return [one.public_bytes(Encoding.DER) for one in found]
