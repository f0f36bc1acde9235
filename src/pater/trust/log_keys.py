"""The key that signs the heads of the transparency log (Ed25519), and its public part."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pater.trust.keys import KeysError, read_or_create

FILE: Final = "log.pem"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A private key and the RFC 7638 thumbprint that names it."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def generate(cls) -> LogKey:
        """A new key that is kept nowhere (for tests)."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> LogKey:
        """A key with its name."""
        return cls(private, thumbprint(private.public_key()))

    @classmethod
    def load_or_create(cls, folder: Path) -> LogKey:
        """The key of an installation, made on first use. Raises KeysError."""
        path = folder / FILE
        fresh = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        try:
            key = load_pem_private_key(read_or_create(path, fresh), password=None)
        except OSError as error:
            raise KeysError(
                f"the key file {path} cannot be used: {error.strerror}",
                "Give the user who runs Páteř the right to read and write this folder.",
            ) from error
        except (ValueError, TypeError) as error:
            raise _damaged(path) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _damaged(path)
        return cls.of(key)

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032)."""
        return self.private.sign(data)

    def jwks(self) -> dict[str, Any]:
        """The public part as a JWK Set (RFC 7517, RFC 8037)."""
        x = _coded(_raw(self.private.public_key()))
        key = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig"}
        return {"keys": [{**key, "alg": "EdDSA"}]}


def public_keys(jwks: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWK Set by their thumbprints. Raises ValueError."""
    found: dict[str, Ed25519PublicKey] = {}
    keys = jwks.get("keys")
    if not isinstance(keys, list):
        raise ValueError("this is no JWK Set")
    for each in keys:
        if isinstance(each, dict) and each.get("crv") == "Ed25519":
            text = str(each.get("x", ""))
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            key = Ed25519PublicKey.from_public_bytes(raw)
            found[thumbprint(key)] = key
    return found


def verified(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the signature over the data is by this key."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def thumbprint(key: Ed25519PublicKey) -> str:
    """The RFC 7638 SHA-256 thumbprint of a key (RFC 8037, appendix A.3)."""
    text = f'{{"crv":"Ed25519","kty":"OKP","x":"{_coded(_raw(key))}"}}'
    return _coded(sha256(text.encode()).digest())


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _damaged(path: Path) -> KeysError:
    return KeysError(
        f"the key file {path} is damaged",
        "Restore it from the backup; heads by a new key are believed by nobody who has the old.",
    )
