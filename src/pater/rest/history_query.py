"""The parameters of a history: `_count`, `_since`, `_at`, `_list` and the place of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pater.fhir.references import parse_reference
from pater.fhir.search.query import DateTerm, SearchError, parse_search
from pater.rest.errors import HttpError
from pater.rest.requests import is_id
from pater.store.history import Key, Period, Place

MOST_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What a history was asked for; `kept` are the parameters that its pages have in common."""

    count: int
    cursor: str | None
    period: Period
    list: str  # the id of a List, "" for none
    kept: tuple[tuple[str, str], ...]


def history_query(parameters: Sequence[tuple[str, str]]) -> HistoryQuery:
    """Reads them (FHIR R4 3.1.0.9). Raises HttpError 400."""
    count, cursor, period, listed = 50, None, Period(), ""
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
        elif name == "_list" and is_id(value):
            listed = value
        elif name == "_sort" and value in ("-_lastUpdated", "none"):
            pass  # there is one order
        elif name == "_sort":
            raise HttpError(400, "not-supported", "a history has its newest version first")
        elif name == "_cursor" and Place.of(value):
            cursor = value
            continue
        else:
            text = f"a history has no parameter {name[:64]} like this"
            raise HttpError(400, "not-supported", text)
        kept[name] = value
    kept["_count"] = str(count)
    return HistoryQuery(count, cursor, period, listed, tuple(kept.items()))


def listed_keys(resource: Mapping[str, Any], base_url: str) -> list[Key]:
    """The resources and versions that a List names on this server, each once. Raises HttpError."""
    found: dict[tuple[str, str], set[int | None]] = {}
    for entry in resource.get("entry", ()):
        text = entry.get("item", {}).get("reference")
        named = parse_reference(text.removeprefix(f"{base_url}/")) if text else None
        if named is None or named.kind != "relative" or not named.id or named.type is None:
            continue
        version = named.version or ""
        number = int(version) if version.isascii() and version.isdigit() else None
        if not version or (number is not None and number < 2**31):
            found.setdefault((named.type, named.id), set()).add(number)
    if sum(map(len, found.values())) > MOST_LISTED:
        text = f"a history is held to a List of at most {MOST_LISTED} entries"
        raise HttpError(400, "too-costly", text)
    return [
        (type, id, version)
        for (type, id), versions in found.items()
        for version in ([None] if None in versions else sorted(v for v in versions if v))
    ]


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
