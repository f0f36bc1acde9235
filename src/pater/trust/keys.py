"""The secret keys of one installation: made once, kept in files only their owner can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

SIGNING_FILE = "signing.pem"
CURSOR_FILE = "cursor.key"
SECRET_FILE = "secret.key"  # noqa: S105 (a file name)

_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeysError(Exception):
    """The keys cannot be read or written; `advice` says what the administrator can do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one installation.

    `signing` is an EC P-256 private key (ES256, RFC 7518 3.4) with its RFC 7638 thumbprint as
    `kid`; `cursor_key` signs paging cursors; `secret_key` encrypts small secrets at rest. Both
    are 32 bytes. None of them shows in `repr`.
    """

    signing: ECKey = field(repr=False)
    cursor_key: bytes = field(repr=False)
    secret_key: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Keys:
        """New keys that are kept nowhere (for tests and for one-off tools)."""
        return cls(
            _signing_key(_new_signing_pem()),
            secrets.token_bytes(_KEY_BYTES),
            secrets.token_bytes(_KEY_BYTES),
        )

    @classmethod
    def load_or_create(cls, folder: Path) -> Keys:
        """Read the keys from the folder; what is not there yet is made (files 0600, folder 0700).

        Two processes that start at once end with the same keys. Raises KeysError when a file is
        damaged, open to other users, or cannot be read or written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            pem = read_or_create(folder / SIGNING_FILE, _new_signing_pem())
            cursor = read_or_create(folder / CURSOR_FILE, secrets.token_bytes(_KEY_BYTES))
            secret = read_or_create(folder / SECRET_FILE, secrets.token_bytes(_KEY_BYTES))
        except OSError as error:
            raise KeysError(
                f"the key folder {folder} cannot be used: {error.strerror}",
                "Give the user who runs Páteř the right to read and write this folder.",
            ) from error
        for name, value in ((CURSOR_FILE, cursor), (SECRET_FILE, secret)):
            if len(value) != _KEY_BYTES:
                raise _damaged(folder / name)
        try:
            signing = _signing_key(pem)
        except (ValueError, TypeError) as error:
            raise _damaged(folder / SIGNING_FILE) from error
        return cls(signing, cursor, secret)

    @property
    def kid(self) -> str:
        """The identifier of the signing key: its RFC 7638 SHA-256 thumbprint."""
        return self.signing.thumbprint()

    def jwks(self) -> dict[str, Any]:
        """The public part of the signing key as a JWK Set (RFC 7517 section 5)."""
        public = self.signing.as_dict(private=False)
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "ES256"}]}

    def encrypt(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt a small secret (AES-256-GCM, random nonce in front) bound to its context."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.secret_key).encrypt(nonce, secret, context)

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Undo `encrypt`; raises KeysError for another key, another context or changed bytes."""
        try:
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(self.secret_key).decrypt(nonce, rest, context)
        except (InvalidTag, ValueError) as error:
            raise KeysError(
                "a stored secret does not open with this installation's key",
                f"Restore the {SECRET_FILE} that belongs to this database from the backup.",
            ) from error

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for one further purpose, so that no key serves two."""
        return hmac.new(self.secret_key, purpose.encode(), hashlib.sha256).digest()


def _damaged(path: Path) -> KeysError:
    return KeysError(
        f"the key file {path} is damaged",
        "Restore it from the backup; a new key would make what the old one protected unreadable.",
    )


def _new_signing_pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _signing_key(pem: bytes) -> ECKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not an EC P-256 private key")
    return ECKey.import_key(pem)


def read_or_create(path: Path, fresh: bytes) -> bytes:
    """The file's bytes; when it is not there, `fresh` unless another process was faster (0600).

    The file appears complete or not at all: it is written and synced under another name and
    then linked, which fails (and does not overwrite) when the name exists.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(fresh)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # the other process's key is read below
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    return read_private(path)


def read_private(path: Path) -> bytes:
    """The bytes of a key file; raises KeysError when others may read it too."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeysError(
            f"the key file {path} can be read by other users",
            f"Run: chmod 600 {path}",
        )
    return path.read_bytes()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
