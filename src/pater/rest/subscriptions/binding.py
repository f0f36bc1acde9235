"""Binding tokens: what a websocket shows instead of an access token, for a few minutes."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

LIFETIME: Final = timedelta(minutes=10)
MOST: Final = 100
"""Subscriptions that one token, and one connection, may be for."""
_LONGEST: Final = 16 * 1024


def issue(key: bytes, ids: Sequence[str], now: datetime) -> tuple[str, datetime]:
    """A token for these subscriptions, and until when it can be used."""
    until = now + LIFETIME
    payload = orjson.dumps([int(until.timestamp()), list(ids)])
    return f"{_text(payload)}.{_text(_seal(key, payload))}", until


def verify(key: bytes, token: str, now: datetime) -> list[str]:
    """The subscriptions of a token that we issued and that is valid now; else []."""
    head, _, seal = token.partition(".")
    if len(token) > _LONGEST:
        return []
    try:
        payload = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
        given = base64.urlsafe_b64decode(seal + "=" * (-len(seal) % 4))
    except ValueError:
        return []
    if not hmac.compare_digest(given, _seal(key, payload)):
        return []
    until, ids = orjson.loads(payload)
    return list(ids) if now.timestamp() < until else []


def _seal(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
