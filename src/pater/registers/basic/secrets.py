"""Pseudonyms of the register of persons: they belong to it, and never stand here in the open."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_CONTEXT = b"pseudonym of the register of persons"


class Pseudonyms:
    """Keyed hashes to find them by, and sealed ones to ask by once more; `secret` is 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._hashing = hmac.digest(secret, b"hashing", hashlib.sha256)
        self._sealing = AESGCM(hmac.digest(secret, b"sealing", hashlib.sha256))

    def key(self, pseudonym: str) -> bytes:
        """The same for the same pseudonym, 32 bytes; without the secret nothing follows from it."""
        return hmac.digest(self._hashing, pseudonym.encode(), hashlib.sha256)

    def seal(self, pseudonym: str) -> bytes:
        """The pseudonym, to be opened here only."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._sealing.encrypt(nonce, pseudonym.encode(), _CONTEXT)

    def open(self, sealed: bytes) -> str:
        """What was sealed. Raises cryptography's InvalidTag when it was by another key."""
        return self._sealing.decrypt(sealed[:_NONCE], sealed[_NONCE:], _CONTEXT).decode()
