"""Reads a certification request (PKCS #10, RFC 2986) and says what is wrong with it.

Only the public key is taken from it, and the proof that the sender holds the private one. Whom the
certificate names is said by the operator, never by the request.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from math import gcd, prod
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pater.trust.ca.errors import CaError
from pater.trust.ca.signer import PublicKey

LONGEST: Final = 16_384  # bytes; a request with an RSA key of 4096 bits has about 1,700
_RSA_BITS: Final = range(2048, 4097)
_LEAST_EXPONENT: Final = 65_537
_DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})
_ARMOUR: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_REQUEST: Final = (b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")
_SMALL_PRIMES: Final = prod(
    n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))
)


@dataclass(frozen=True, slots=True)
class Request:
    """The public key of a request whose signature proved the private one."""

    key: PublicKey

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return spki_of(self.key)


def spki_of(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo of a key, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate of ours. Raises CaError for a kind that we make none of."""
    key = certificate.public_key()
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return key
    raise CaError("key-kind", "the authority's key is neither RSA nor EC")


def key_hash(spki: bytes) -> bytes:
    """What a key is known by: the SHA-256 of its SubjectPublicKeyInfo."""
    return hashlib.sha256(spki).digest()


def read_request(data: bytes) -> Request:
    """The request of a PEM or DER file. Raises CaError with what to do about it."""
    if len(data) > LONGEST:
        raise CaError("request-too-large", f"a request has at most {LONGEST} bytes")
    request = _parsed(data)
    try:
        digest = request.signature_hash_algorithm
        key = request.public_key()
    except (UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise CaError(
            "request-algorithm", "the key or the signature is of a kind that is not taken: "
            "make an RSA key of 2048 to 4096 bits or an EC key on P-256",
        ) from error  # fmt: skip
    checked = check_key(key)
    if digest is None or digest.name not in _DIGESTS:
        raise CaError("request-digest", "the request is signed with SHA-256, SHA-384 or SHA-512")
    try:
        proven = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        proven = False
    if not proven:
        raise CaError(
            "request-signature", "the signature of the request does not fit its key: "
            "it was changed on the way, or was not made with that key",
        )  # fmt: skip
    return Request(checked)


def check_key(key: object) -> PublicKey:
    """The key, when it is one that is certified. Raises CaError."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP256R1):
            return key
        raise CaError("key-curve", f"EC keys are on the curve P-256, not {key.curve.name}")
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise CaError("key-size", f"RSA keys have 2048 to 4096 bits, not {key.key_size}")
        numbers = key.public_numbers()
        if numbers.e < _LEAST_EXPONENT or numbers.e % 2 == 0:
            raise CaError("key-exponent", "the exponent of an RSA key is 65537 (or odd and larger)")
        if numbers.n % 2 == 0 or gcd(numbers.n, _SMALL_PRIMES) != 1:
            raise CaError("key-weak", "the RSA key is weak: its modulus has a small factor")
        return key
    raise CaError("key-kind", "the key is RSA of 2048 to 4096 bits, or EC on the curve P-256")


def _parsed(data: bytes) -> x509.CertificateSigningRequest:
    labels = _ARMOUR.findall(data)
    if any(b"PRIVATE KEY" in label for label in labels):
        raise CaError(
            "request-private-key", "this file holds a private key. Keep that to yourself; "
            "send the request only (openssl req -new -key KEY -out request.pem)",
        )  # fmt: skip
    wrong = "this is no certification request (PKCS #10, PEM or DER)"
    if labels and labels[0] not in _REQUEST:
        raise CaError("request-kind", f"{wrong}, but a {labels[0].decode('ascii').lower()}")
    if len(labels) > 1:
        raise CaError("request-several", "one request at a time: the file holds several")
    try:
        if labels:
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CaError("request-unreadable", wrong) from error
