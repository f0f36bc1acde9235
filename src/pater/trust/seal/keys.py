"""Keys that seal and lie in files: PEM or PKCS #12, opened with a password from somewhere safe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from pater.trust.keys import KeysError, read_private
from pater.trust.seal.model import Algorithm, SealError, Text

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_HASHES: Final[dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def hash_of(name: str) -> hashes.HashAlgorithm:
    """The hash in the words of `cryptography`."""
    return _HASHES[name]()


def best_algorithm(public: object, *, pss: bool = False) -> Algorithm:
    """The algorithm a key is best used with: its hash is as strong as the key.

    Raises SealError for a key that does not seal.
    """
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < 2048:
            raise _bad("an RSA key of less than 2048 bits", "klíč RSA kratší než 2048 bitů")
        name = "sha512" if public.key_size >= 4096 else "sha256"
        return Algorithm(f"{'pss' if pss else 'rsa'}-{name}")
    if isinstance(public, ec.EllipticCurvePublicKey):
        sizes = {256: "sha256", 384: "sha384", 521: "sha512"}
        if public.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
            raise _bad("a curve that is not of NIST", "křivka, která není od NIST")
        return Algorithm(f"ecdsa-{sizes[public.curve.key_size]}")
    raise _bad("a key that is neither RSA nor EC", "klíč, který není RSA ani EC")


def _bad(en: str, cs: str) -> SealError:
    return SealError("key", Text(f"Tímto se nepečetí: {cs}.", f"This does not seal: {en}."))


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A key in the memory of this process, with its certificate (DER)."""

    key: PrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    algorithm: Algorithm = Algorithm.ECDSA_SHA256

    @classmethod
    def of(
        cls,
        key: PrivateKey,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate] = (),
        *,
        pss: bool = False,
    ) -> LocalKey:
        """The key with its best algorithm. Raises SealError when it is not the certificate's."""
        if spki(key.public_key()) != spki(certificate.public_key()):
            raise SealError(
                "key",
                Text("Klíč nepatří k certifikátu.", "The key does not belong to the certificate."),
            )
        ders = [one.public_bytes(Encoding.DER) for one in (certificate, *chain)]
        algorithm = best_algorithm(key.public_key(), pss=pss)
        return cls(key, ders[0], tuple(ders[1:]), algorithm)

    async def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        return await asyncio.to_thread(sign_with, self.key, data, algorithm)


def spki(key: object) -> bytes:
    """The public key as bytes that can be compared."""
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign_with(key: PrivateKey, data: bytes, algorithm: Algorithm) -> bytes:
    """A signature with a key at hand. Raises SealError for an algorithm of another kind."""
    digest = hash_of(algorithm.hash)
    if isinstance(key, rsa.RSAPrivateKey) and algorithm.kind == "rsa":
        return key.sign(data, padding.PKCS1v15(), digest)
    if isinstance(key, rsa.RSAPrivateKey) and algorithm.kind == "pss":
        scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(data, scheme, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey) and algorithm.kind == "ecdsa":
        return key.sign(data, ec.ECDSA(digest))
    raise _bad(f"this key with {algorithm}", f"tento klíč s {algorithm}")


def of_file(path: Path, password: bytes | None = None) -> LocalKey:
    """The key of a PEM file (key, certificate, those above it) or a PKCS #12 file.

    The file must be readable by its owner only. Raises SealError.
    """
    try:
        data = read_private(path)
    except KeysError as error:
        raise SealError(
            "key",
            Text(f"Soubor s klíčem {path} mohou číst jiní uživatelé.", f"{error}. {error.advice}"),
        ) from error
    except OSError as error:
        raise SealError(
            "key",
            Text(f"Soubor s klíčem {path} nelze číst.", f"The key file {path} cannot be read."),
        ) from error
    try:
        key, certificate, chain = _opened(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if isinstance(error, SealError):
            raise
        raise SealError(
            "key",
            Text(
                f"Soubor s klíčem {path} nelze otevřít: je poškozen, nebo heslo nesouhlasí.",
                f"The key file {path} cannot be opened: it is damaged, or the password is wrong.",
            ),
        ) from error
    return LocalKey.of(key, certificate, chain)


def _opened(
    data: bytes, password: bytes | None
) -> tuple[PrivateKey, x509.Certificate, list[x509.Certificate]]:
    if data.lstrip().startswith(b"-----BEGIN"):
        key = load_pem_private_key(data, password)
        first, *rest = x509.load_pem_x509_certificates(data)
        own = spki(key.public_key())
        ordered = sorted([first, *rest], key=lambda one: spki(one.public_key()) != own)
        return _private(key), ordered[0], ordered[1:]
    found = pkcs12.load_pkcs12(data, password)
    if found.key is None or found.cert is None:
        raise ValueError("no key or no certificate")
    above = [one.certificate for one in found.additional_certs]
    return _private(found.key), found.cert.certificate, above


def _private(key: PrivateKeyTypes | object) -> PrivateKey:
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise _bad("a key that is neither RSA nor EC", "klíč, který není RSA ani EC")
    return key
