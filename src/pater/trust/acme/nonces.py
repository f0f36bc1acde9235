"""Nonces that prove a message to be new (RFC 8555, section 6.5), each good once in any process.

One that is handed out costs no row: it carries its time and our mark. Only used ones are kept, for
as long as they would be taken.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from pater.store.database import Database
from pater.trust.acme import tables
from pater.trust.acme.errors import AcmeError
from pater.trust.acme.jose import decoded, encoded

LIVES: Final = timedelta(hours=1)
_TIME: Final = 8
_RANDOM: Final = 16
_MARK: Final = 16


class Nonces:
    """Hands out nonces and takes each back once."""

    def __init__(self, db: Database, key: bytes, clock: Callable[[], datetime]) -> None:
        self._db, self._key, self._clock = db, key, clock

    def made(self) -> str:
        """A new one."""
        at = int(self._clock().timestamp()).to_bytes(_TIME, "big")
        body = at + secrets.token_bytes(_RANDOM)
        return encoded(body + self._mark(body))

    async def take(self, nonce: str) -> None:
        """Uses a nonce up. Raises AcmeError when it is not ours, too old or was used."""
        try:
            data = decoded(nonce)
        except AcmeError:
            raise _bad() from None
        body, mark = data[:-_MARK], data[-_MARK:]
        if len(body) != _TIME + _RANDOM or not hmac.compare_digest(mark, self._mark(body)):
            raise _bad()
        # ours by its mark, so the time is one that a clock said
        until = datetime.fromtimestamp(int.from_bytes(body[:_TIME], "big"), UTC) + LIVES
        if until < self._clock() or not await tables.use_nonce(self._db, body, until):
            raise _bad()

    def _mark(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MARK]


def _bad() -> AcmeError:
    return AcmeError("badNonce", "the nonce was used, is too old or is not ours: take a new one")
