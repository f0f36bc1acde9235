"""Carries what an app asked through a login: sealed, in the browser of whom it asks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from pater.web.forms import Signer

LIFETIME: Final = timedelta(minutes=15)
LONGEST: Final = 3500  # browsers keep cookies of up to 4096 bytes
_MOST_BYTES: Final = 20_000

Pairs = Sequence[tuple[str, str]]


def seal(signer: Signer, whom: str, pairs: Pairs, now: datetime) -> str:
    """The parameters for `whom` (an account, or "" for a visitor); unsealing needs the same."""
    packed = zlib.compress(orjson.dumps([whom, pairs]), 9)
    return signer.seal(base64.urlsafe_b64encode(packed).decode(), now + LIFETIME)


def unseal(signer: Signer, whom: str, sealed: str, now: datetime) -> list[tuple[str, str]] | None:
    """The parameters again; None when they are not ours, not theirs, or too old."""
    text = _opened(signer, sealed, now)
    if text is None:
        return None
    try:
        # a limit, although only what we sealed ourselves comes as far as this
        packed = base64.urlsafe_b64decode(text)
        raw = zlib.decompressobj().decompress(packed, _MOST_BYTES)
        found, pairs = orjson.loads(raw)
    except (binascii.Error, zlib.error, ValueError):
        return None
    return [(str(name), str(value)) for name, value in pairs] if found == whom else None


def mark(sealed: str) -> str:
    """A short name of a sealed request, so that two windows do not mix theirs up."""
    return hashlib.sha256(sealed.encode()).hexdigest()[:16]


def _opened(signer: Signer, sealed: str, now: datetime) -> str | None:
    if not sealed.isascii() or sealed.count(".") != 2:
        return None
    try:
        return signer.open(sealed, now)
    except ValueError:
        return None
