"""Whom the register knew by itself, written down to be counted and judged later."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pater.store.write import Statement

Way = Literal["number", "alike"]

_IDENTIFIED: Final = "insert into identified (at, way, weight, key) values ($1, $2, $3, $4)"


def identified(way: Way, now: datetime, weight: float | None = None, *source: str) -> Statement:
    """By a verified number or by comparison (with its weight in bits). `source` is name, system and
    value of the number that was told; nothing for a document's Patient.
    """
    return Statement(_IDENTIFIED, (now, way, weight, "|".join(source)))
