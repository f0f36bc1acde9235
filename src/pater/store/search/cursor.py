"""Paging cursors: where the last page ended, readable and forgeable only by us."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pater.fhir.issues import Issue
from pater.fhir.search.query import SearchError, SearchRequest
from pater.store.remembered import remembered

SortValue = str | float | datetime | None


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: `phase` 0 = rows with the first sort key, 1 = rows without it.

    `began` is when the first page was read, `seen` what it saw (`moved.SEEN`).
    """

    phase: int
    values: tuple[SortValue, ...]
    rid: int
    began: datetime | None = None
    seen: str = ""


@remembered
def digest(request: SearchRequest) -> bytes:
    """What makes a search the same search: everything but the place and size of the page."""
    same = replace(request, cursor=None, count=None)
    return hashlib.sha256(repr(same).encode()).digest()


def seal(position: Position, request: SearchRequest, key: bytes) -> str:
    """The cursor text of a position (base64url), valid for this search only.

    Sealed (AES-SIV, RFC 5297) and not only signed: a sort key may be a name or a date of birth,
    and a cursor stands in the address of the next page. Deterministic: equal pages, equal links.
    """
    plain = orjson.dumps([position.phase, position.rid, [_out(v) for v in position.values],
                          _out(position.began), position.seen])  # fmt: skip
    sealed = _cipher(key).encrypt(plain, [digest(request)])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unseal(text: str, request: SearchRequest, key: bytes) -> Position:
    """The position in a cursor; SearchError when forged, damaged or of another search."""
    try:
        sealed = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        phase, rid, values, *more = orjson.loads(_cipher(key).decrypt(sealed, [digest(request)]))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise SearchError(
            [Issue("error", "invalid", "", "the page cursor does not belong to this search")]
        ) from error
    began = _in(more[0]) if more else None
    seen = more[1] if len(more) > 1 else ""
    return Position(phase, tuple(map(_in, values)), rid, began, seen)  # type: ignore[arg-type]  # sealed by ourselves


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESSIV:
    """AES-256-SIV under a key derived from the service's cursor key (HMAC-SHA512, own label)."""
    return AESSIV(hmac.digest(key, b"pater search cursor", "sha512"))


def _out(value: SortValue) -> Any:
    if isinstance(value, datetime):
        # the open end of a period comes from the database without a time zone
        at = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return {"at": at.isoformat()}
    return {"number": repr(value)} if isinstance(value, float) else value  # JSON has no infinity


def _in(value: Any) -> SortValue:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["at"]) if "at" in value else float(value["number"])
    return value  # type: ignore[no-any-return]  # str or None: sealed by ourselves
