"""The RSA key that signs identity tokens: OpenID Connect wants every client to manage RS256."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from pater.trust.keys import KeysError, read_or_create

FILE: Final = "identity.pem"
_BITS: Final = 2048


def new_pem() -> bytes:
    """A new private key (PKCS#8, PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_or_create(folder: Path) -> RSAKey:
    """The key of an installation from its folder of keys, made when it is not there (0600).

    Raises KeysError when it cannot be used.
    """
    path = folder / FILE
    try:
        pem = path.read_bytes() if path.exists() else new_pem()
        return RSAKey.import_key(read_or_create(path, pem))
    except (JoseError, ValueError, OSError) as error:
        raise KeysError(
            f"the key file {path} is damaged or cannot be used",
            "Restore it from the backup, or remove it: apps then fetch the new key by themselves.",
        ) from error


def public_jwk(key: RSAKey) -> dict[str, Any]:
    """The public part as a member of a JWK Set (RFC 7517)."""
    public = key.as_dict(private=False)
    return {**public, "kid": key.thumbprint(), "use": "sig", "alg": "RS256"}
