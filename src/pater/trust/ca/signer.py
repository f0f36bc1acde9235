"""The private keys of the authority behind one small interface: files now, other holders as well.

Whatever signs through PKCS#11 or at a remote provider has a `public_key`, a `digest` and `sign`,
and is handed out by something with a `signer`; nothing else of the authority knows keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pater.trust.keys import KeysError, read_or_create, read_private

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

# The two authorities live for decades, what answers for them for weeks.
_CURVES: Final = {"root": ec.SECP384R1, "issuing": ec.SECP384R1}


class Signer(Protocol):
    """A private key that signs, wherever it is kept."""

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def digest(self) -> Digest:
        """The hash that belongs to the signature."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature of the data: RSA PKCS #1 v1.5, or ECDSA as DER (RFC 3279)."""
        ...


class Signers(Protocol):
    """Holds private keys by name: `root`, `issuing`, and those of services (`ocsp`, `tsa`)."""

    def signer(self, name: str, *, create: bool) -> Signer:
        """The key; with `create` made when it is not there. Raises KeysError."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """A private key in the memory of this process."""

    key: PrivateKey

    @property
    def public_key(self) -> PublicKey:
        return self.key.public_key()

    @property
    def digest(self) -> Digest:
        strong = isinstance(self.key, ec.EllipticCurvePrivateKey) and self.key.key_size > 256
        return hashes.SHA384() if strong else hashes.SHA256()

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), self.digest)
        return self.key.sign(data, ec.ECDSA(self.digest))


@dataclass(frozen=True, slots=True)
class FileSigners:
    """Keys as files `NAME.key` (PKCS #8, 0600) of one folder (0700)."""

    folder: Path

    def signer(self, name: str, *, create: bool) -> Signer:
        path = self.folder / f"{name}.key"
        try:
            if create:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                pem = read_or_create(path, _fresh(name))
            else:
                pem = read_private(path)
        except FileNotFoundError as error:
            raise KeysError(
                f"the key {path} of the certification authority is not there",
                "Put it back from where it is kept; no other key can stand for it.",
            ) from error
        except OSError as error:
            raise KeysError(
                f"the key {path} cannot be used: {error.strerror}",
                "Run this as the user who runs Páteř, who may read and write that folder.",
            ) from error
        try:
            return _loaded(pem)
        except (ValueError, TypeError) as error:
            raise KeysError(f"the key {path} is damaged", "Restore it from the backup.") from error


def _fresh(name: str) -> bytes:
    key = ec.generate_private_key(_CURVES.get(name, ec.SECP256R1)())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _loaded(pem: bytes) -> LocalSigner:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ValueError("neither RSA nor EC")
    return LocalSigner(key)


def private_key(signer: Signer) -> PrivateKey:
    """The signer in the shape that the builders of `cryptography` sign with."""
    if isinstance(signer.public_key, rsa.RSAPublicKey):
        return _Rsa(signer)
    return _Elliptic(signer)


def _kept() -> NoReturn:
    raise TypeError("this key only signs")


class _Rsa(rsa.RSAPrivateKey):
    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def public_key(self) -> rsa.RSAPublicKey:
        key = self._signer.public_key
        return key if isinstance(key, rsa.RSAPublicKey) else _kept()

    @property
    def key_size(self) -> int:
        return self.public_key().key_size

    def sign(self, data: Any, *_: Any) -> bytes:
        return self._signer.sign(bytes(data))

    def decrypt(self, *_: Any) -> bytes:
        _kept()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        _kept()

    def private_bytes(self, *_: Any) -> bytes:
        _kept()

    def __copy__(self) -> rsa.RSAPrivateKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> rsa.RSAPrivateKey:
        return self


class _Elliptic(ec.EllipticCurvePrivateKey):
    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def public_key(self) -> ec.EllipticCurvePublicKey:
        key = self._signer.public_key
        return key if isinstance(key, ec.EllipticCurvePublicKey) else _kept()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self.public_key().curve

    @property
    def key_size(self) -> int:
        return self.public_key().key_size

    def sign(self, data: Any, *_: Any) -> bytes:
        return self._signer.sign(bytes(data))

    def exchange(self, *_: Any) -> bytes:
        _kept()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        _kept()

    def private_bytes(self, *_: Any) -> bytes:
        _kept()

    def __copy__(self) -> ec.EllipticCurvePrivateKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> ec.EllipticCurvePrivateKey:
        return self
