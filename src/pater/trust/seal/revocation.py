"""Whether a certificate was revoked at a time: what lists (CRL) and answers (OCSP) show.

RFC 5280 section 6.3 and RFC 6960, for lists that an authority signs itself and answers signed by
it or by a responder it certified. Indirect and delta lists show nothing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pater.trust.seal.model import Material, Rules

LONGEST_CRL: Final = 16 * 1024 * 1024
LONGEST_OCSP: Final = 64 * 1024
_TOLERANCE: Final = timedelta(minutes=5)
_HASHES: Final[dict[type[hashes.HashAlgorithm], str]] = {
    hashes.SHA1: "sha1",  # names keys in questions, protects nothing
    hashes.SHA256: "sha256",
    hashes.SHA384: "sha384",
    hashes.SHA512: "sha512",
}
_UNREADABLE: Final = (
    ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion,
    x509.ExtensionNotFound, x509.DuplicateExtension, NotImplementedError,
)  # fmt: skip
_KNOWN_CRL_EXTENSIONS: Final = frozenset({x509.IssuingDistributionPoint.oid})


@dataclass(frozen=True, slots=True)
class Status:
    """What is known: revoked since when, or good; `by` is the item that shows it (DER)."""

    revoked: datetime | None
    by: bytes
    is_list: bool


def status(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    material: Material,
    rules: Rules,
    known: Mapping[bytes, datetime],
) -> Status | None:
    """What the material says of the certificate at a time; None when it says nothing.

    `known` says since when a thing is known to exist, by its SHA-256 digest; else since now.
    Revoked counts from whatever item shows it first; an item that says good must be one that was
    made after the time, or still held at it.
    """
    found: list[tuple[Status, datetime]] = []
    for crl in material.crls:
        since = known.get(hashlib.sha256(crl).digest(), rules.at)
        found += _by_list(crl, certificate, issuer, at, rules, since)
    for answer in material.ocsps:
        since = known.get(hashlib.sha256(answer).digest(), rules.at)
        found += _by_answer(answer, certificate, issuer, at, rules, since)
    revoked = [one for one, _ in found if one.revoked is not None]
    if revoked:
        return min(revoked, key=lambda one: one.revoked or at)
    good = sorted(found, key=lambda pair: (pair[0].is_list, -pair[1].timestamp()))
    return good[0][0] if good else None


def _by_list(
    der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    rules: Rules,
    since: datetime,
) -> list[tuple[Status, datetime]]:
    try:
        crl = _crl(der)
        if crl.issuer != certificate.issuer or not _list_holds(der, _der(issuer)):
            return []
        if not _safe(crl.signature_hash_algorithm, rules) or not _covers(crl, certificate):
            return []
        made = crl.last_update_utc
        if made > rules.at + _TOLERANCE:
            return []
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is not None:
            when = entry.revocation_date_utc
            if when <= at:
                return [(Status(when, der, True), made)]
        good = _shows_good(issuer, certificate, at, made, crl.next_update_utc, since)
        return [(Status(None, der, True), made)] if good else []
    except _UNREADABLE:
        return []


@lru_cache(maxsize=4)
def _crl(der: bytes) -> x509.CertificateRevocationList:
    if len(der) > LONGEST_CRL:
        raise ValueError("the list is too long")
    return x509.load_der_x509_crl(der)


@lru_cache(maxsize=4)
def _list_holds(der: bytes, issuer: bytes) -> bool:
    """Whether the list is signed by this authority, which may sign lists."""
    by = x509.load_der_x509_certificate(issuer)
    try:
        usage = by.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    key = by.public_key()
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return False
    return _crl(der).is_signature_valid(key)


def _covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether certificates such as this one stand on the list when they are revoked."""
    for extension in crl.extensions:
        if extension.oid == x509.DeltaCRLIndicator.oid:
            return False
        if extension.critical and extension.oid not in _KNOWN_CRL_EXTENSIONS:
            return False
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs:
        return False
    if point.full_name and not _same_point(point.full_name, certificate):
        return False
    return not (point.only_contains_user_certs if _is_ca(certificate)
                else point.only_contains_ca_certs)  # fmt: skip


def _same_point(names: Sequence[x509.GeneralName], certificate: x509.Certificate) -> bool:
    """Whether the certificate names this list as its own (RFC 5280, 6.3.3 b 2)."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return False
    wanted = {one.value for one in names if isinstance(one, x509.UniformResourceIdentifier)}
    return any(
        isinstance(name, x509.UniformResourceIdentifier) and name.value in wanted
        for point in points
        for name in point.full_name or ()
    )


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _by_answer(
    der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    rules: Rules,
    since: datetime,
) -> list[tuple[Status, datetime]]:
    try:
        if len(der) > LONGEST_OCSP:
            return []
        answer = ocsp.load_der_ocsp_response(der)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return []
        single = next((one for one in answer.responses if _names(one, certificate, issuer)), None)
        if single is None or not _safe(answer.signature_hash_algorithm, rules):
            return []
        produced = answer.produced_at_utc
        if not _answer_holds(answer, issuer, produced, since, rules):
            return []
        made, until = single.this_update_utc, single.next_update_utc
        if made > rules.at + _TOLERANCE:
            return []
        if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            when = single.revocation_time_utc or made
            if when <= at:
                return [(Status(when, der, False), made)]
        elif single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
            return []
        good = _shows_good(issuer, certificate, at, made, until, since)
        return [(Status(None, der, False), made)] if good else []
    except _UNREADABLE:
        return []


def _names(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    name = _HASHES.get(type(single.hash_algorithm))
    if name is None or single.serial_number != certificate.serial_number:
        return False
    return (single.issuer_name_hash, single.issuer_key_hash) == (
        _digest(name, issuer.subject.public_bytes()),
        _digest(name, _key_bits(issuer)),
    )


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The bits of the public key without what is around them (RFC 6960, 4.1.1)."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def _answer_holds(
    answer: ocsp.OCSPResponse,
    issuer: x509.Certificate,
    produced: datetime,
    since: datetime,
    rules: Rules,
) -> bool:
    """Whether the authority itself, or a responder it certified for that, signed the answer."""
    for by in (issuer, *answer.certificates[:5]):
        if _signed(answer, by) and (by == issuer or _delegated(by, issuer, produced, since, rules)):
            return True
    return False


def _signed(answer: ocsp.OCSPResponse, by: x509.Certificate) -> bool:
    key, algorithm = by.public_key(), answer.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            scheme = padding.PKCS1v15()
            key.verify(answer.signature, answer.tbs_response_bytes, scheme, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _delegated(
    responder: x509.Certificate,
    issuer: x509.Certificate,
    produced: datetime,
    since: datetime,
    rules: Rules,
) -> bool:
    """A responder's certificate (RFC 6960, 4.2.2.2): it is believed without asking about itself
    only when it says so (ocsp-nocheck)."""
    try:
        responder.verify_directly_issued_by(issuer)
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    except (InvalidSignature, *_UNREADABLE):
        return False
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        return False
    if not _safe(responder.signature_hash_algorithm, rules):
        return False
    begins, ends = responder.not_valid_before_utc, responder.not_valid_after_utc
    # an answer that is only known to exist after its responder's end could be made up by then
    return begins - _TOLERANCE <= produced <= ends and since <= ends


def _shows_good(
    issuer: x509.Certificate,
    certificate: x509.Certificate,
    at: datetime,
    made: datetime,
    until: datetime | None,
    since: datetime,
) -> bool:
    """Whether an item that does not name the certificate as revoked shows it was good at a time.

    It was made after that time or still held at it; while its authority was valid, and is known
    to have existed then; and while the certificate was: what has expired leaves the lists.
    """
    if made > certificate.not_valid_after_utc:
        return False
    if not issuer.not_valid_before_utc - _TOLERANCE <= made:
        return False
    if since > issuer.not_valid_after_utc:
        return False
    return made >= at - _TOLERANCE or (until is not None and until >= at)


def _safe(algorithm: hashes.HashAlgorithm | None, rules: Rules) -> bool:
    return algorithm is not None and algorithm.name in rules.hashes


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
