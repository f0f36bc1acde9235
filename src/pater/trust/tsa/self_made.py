"""An authority for installations that have no other: its key and certificate in one file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pater.trust.keys import KeysError, read_or_create
from pater.trust.tsa.authority import Authority, key_signer

FILE: Final = "time-stamps.pem"
POLICY: Final = "2.25.290412733871920137511208463011557142877"
"""The policy of a self-made authority: the best it can, without any promise."""
_YEARS: Final = 10
_BEGINNING: Final = b"-----BEGIN CERTIFICATE-----"


def self_made(folder: Path, clock: Callable[[], datetime]) -> Authority:
    """The authority of an installation, made on first use.

    Its root signs one certificate and its key is kept nowhere, so nothing else can be issued
    under it. Raises KeysError.
    """
    path = folder / FILE
    try:
        return read(read_or_create(path, new(clock())), clock)
    except OSError as error:
        raise KeysError(
            f"the key file {path} cannot be used: {error.strerror}",
            "Give the user who runs Páteř the right to read and write this folder.",
        ) from error
    except (ValueError, TypeError, IndexError) as error:
        raise KeysError(
            f"the key file {path} is damaged",
            "Restore it from the backup, or remove it: a new authority is made, whose stamps"
            " others have to trust anew.",
        ) from error


def read(pem: bytes, clock: Callable[[], datetime]) -> Authority:
    """The authority of a file that `new` made. Raises ValueError."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC private key")
    certificate, root = x509.load_pem_x509_certificates(pem[pem.index(_BEGINNING) :])
    return Authority(key_signer(key, certificate, (root,)), POLICY, clock)


def new(now: datetime) -> bytes:
    """A fresh key, its certificate and that of its root, as PEM."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, name = (_name(f"Páteř, {what}") for what in ("time stamps root", "time stamps"))
    root = (
        _certificate(root_name, root_name, root_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _certificate(name, root_name, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
        .sign(root_key, hashes.SHA256())
    )
    return b"".join(
        [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            certificate.public_bytes(Encoding.PEM),
            root.public_bytes(Encoding.PEM),
        ]
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
