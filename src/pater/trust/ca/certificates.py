"""Makes certificates and revocation lists (RFC 5280): plain values in, DER out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from pater.trust.ca.errors import CaError
from pater.trust.ca.profiles import Profile, Subject, alternatives, name_of
from pater.trust.ca.signer import PublicKey, Signer, private_key

SLACK: Final = timedelta(minutes=5)  # clocks of others that are behind ours
ROOT_DAYS: Final = 20 * 365
ISSUING_DAYS: Final = 10 * 365
REASONS: Final = {
    "unspecified": x509.ReasonFlags.unspecified,
    "keyCompromise": x509.ReasonFlags.key_compromise,
    "affiliationChanged": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessationOfOperation": x509.ReasonFlags.cessation_of_operation,
    "privilegeWithdrawn": x509.ReasonFlags.privilege_withdrawn,
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority at work: its certificate, its key, and where it can be asked about."""

    certificate: x509.Certificate
    signer: Signer
    crl_url: str
    certificate_url: str
    ocsp_url: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One line of a revocation list."""

    serial: int
    at: datetime
    reason: str


def der(certificate: x509.Certificate) -> bytes:
    """The certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def span(now: datetime, days: int, issuer: x509.Certificate) -> tuple[datetime, datetime]:
    """From when until when a certificate of so many days is valid, within its issuer's life.

    Raises CaError when the issuer has ended.
    """
    begin = now.replace(microsecond=0) - SLACK
    end = min(begin + timedelta(days=days), issuer.not_valid_after_utc)
    if end <= now:
        raise CaError("authority-expired", "the authority's own certificate has expired")
    return max(begin, issuer.not_valid_before_utc), end


def root(name: str, signer: Signer, serial: int, now: datetime) -> x509.Certificate:
    """A root: signed by itself, for one authority below it."""
    subject = _authority_name(f"{name} Root CA", signer)
    begin = now.replace(microsecond=0) - SLACK
    end = begin + timedelta(days=ROOT_DAYS)
    builder = _begun(subject, subject, signer.public_key, serial, begin, end)
    builder = _authority(builder, signer.public_key, 1)
    return builder.sign(private_key(signer), signer.digest)


def issuing(name: str, by: Issuer, key: Signer, serial: int, now: datetime) -> x509.Certificate:
    """The authority that issues, below the root."""
    begin, end = span(now, ISSUING_DAYS, by.certificate)
    subject = _authority_name(f"{name} Issuing CA", key)
    builder = _begun(subject, by.certificate.subject, key.public_key, serial, begin, end)
    builder = _authority(builder, key.public_key, 0)
    return _issued(builder, by).sign(private_key(by.signer), by.signer.digest)


def leaf(
    profile: Profile,
    subject: Subject,
    key: PublicKey,
    by: Issuer,
    serial: int,
    valid: tuple[datetime, datetime],
) -> x509.Certificate:
    """The certificate of a system, a person or a service."""
    builder = _begun(name_of(profile, subject), by.certificate.subject, key, serial, *valid)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    # TLS 1.2 with RSA key exchange is the one use of a server's key beside signing
    enciphers = "hosts" in profile.needs and isinstance(key, rsa.RSAPublicKey)
    usage = _usage(signs=True, commits=profile.commits, enciphers=enciphers)
    builder = builder.add_extension(usage, True)
    extended = x509.ExtendedKeyUsage(profile.extended)
    builder = builder.add_extension(extended, profile.extended_critical)
    if subject.hosts:
        names = x509.SubjectAlternativeName(alternatives(subject))
        builder = builder.add_extension(names, False)
    if profile.ocsp_no_check:
        builder = builder.add_extension(x509.OCSPNoCheck(), False)
    builder = _identified(builder, key)
    return _issued(builder, by).sign(private_key(by.signer), by.signer.digest)


def revocation_list(
    by: Issuer, number: int, revoked: Iterable[Revoked], now: datetime, until: datetime
) -> bytes:
    """A complete CRL in DER."""
    lines = []
    for one in revoked:
        line = x509.RevokedCertificateBuilder(one.serial, one.at.replace(microsecond=0))
        reason = REASONS[one.reason]
        if reason is not x509.ReasonFlags.unspecified:  # RFC 5280 5.3.1: is left out
            line = line.add_extension(x509.CRLReason(reason), False)
        lines.append(line.build())
    # all at once: the builder copies its list for each line that is added
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=by.certificate.subject,
        last_update=now.replace(microsecond=0),
        next_update=until.replace(microsecond=0),
        revoked_certificates=lines,
    )
    builder = builder.add_extension(_key_identifier(by.certificate), False)
    builder = builder.add_extension(x509.CRLNumber(number), False)
    made = builder.sign(private_key(by.signer), by.signer.digest)
    return made.public_bytes(Encoding.DER)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, as people compare it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _authority_name(name: str, signer: Signer) -> x509.Name:
    """A name that no other installation's authority has: the key is part of it."""
    mark = x509.SubjectKeyIdentifier.from_public_key(signer.public_key).digest[:4].hex()
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CZ"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {mark}"),
        ]
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    serial: int,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=serial,
        not_valid_before=begin,
        not_valid_after=end,
    )


def _authority(
    builder: x509.CertificateBuilder, key: PublicKey, length: int
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=length), True)
    builder = builder.add_extension(_usage(certifies=True), True)
    return _identified(builder, key)


def _identified(builder: x509.CertificateBuilder, key: PublicKey) -> x509.CertificateBuilder:
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _issued(builder: x509.CertificateBuilder, by: Issuer) -> x509.CertificateBuilder:
    """What leads from a certificate to its issuer and to whether it still holds."""
    access = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier(by.certificate_url),
        )
    ]
    if by.ocsp_url:
        where = x509.UniformResourceIdentifier(by.ocsp_url)
        access.insert(0, x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where))
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(by.crl_url)], None, None, None)
    builder = builder.add_extension(_key_identifier(by.certificate), False)
    builder = builder.add_extension(x509.AuthorityInformationAccess(access), False)
    return builder.add_extension(x509.CRLDistributionPoints([point]), False)


def _usage(
    *,
    signs: bool = False,
    commits: bool = False,
    enciphers: bool = False,
    certifies: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=commits,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )
