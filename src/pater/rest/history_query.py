"""The parameters of a history: `_count`, `_since`, `_at` and the place of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pater.fhir.search.query import DateTerm, SearchError, parse_search
from pater.rest.errors import HttpError
from pater.store.history import Period, Place


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What a history was asked for; `kept` are the parameters that its pages have in common."""

    count: int
    cursor: str | None
    period: Period
    kept: tuple[tuple[str, str], ...]


def history_query(parameters: Sequence[tuple[str, str]]) -> HistoryQuery:
    """Reads them (FHIR R4 3.1.0.9). Raises HttpError 400."""
    count, cursor, period = 50, None, Period()
    kept: dict[str, str] = {}
    for name, value in parameters:
        if name in kept:
            raise HttpError(400, "value", f"{name} stands here once")
        if name == "_count" and value.isascii() and value.isdigit() and len(value) < 7:
            count = int(value)
        elif name == "_since":
            period = replace(period, since=span(name, value)[0])
        elif name == "_at":
            low, high = span(name, value)
            period = replace(period, until=high, current_after=low)
        elif name == "_cursor" and Place.of(value):
            cursor = value
            continue
        else:
            text = f"a history has no parameter {name[:64]} like this"
            raise HttpError(400, "not-supported", text)
        kept[name] = value
    kept["_count"] = str(count)
    return HistoryQuery(count, cursor, period, tuple(kept.items()))


def moment(name: str, value: str) -> datetime:
    """The beginning of what a FHIR date or time means. Raises HttpError 400."""
    return span(name, value)[0]


def span(name: str, value: str, path: str = "") -> tuple[datetime, datetime]:
    """The moments that a FHIR date or time means, as [low, high). Raises HttpError 400."""
    try:
        request = parse_search("Basic", [("_lastUpdated", value)])
    except SearchError:
        request = None
    terms = request.conditions[0].values if request else ()
    if len(terms) != 1 or not isinstance(terms[0], DateTerm) or not value[:1].isdigit():
        raise HttpError(400, "value", f"{name} is a FHIR date or time", path=path)
    return terms[0].low, terms[0].high
