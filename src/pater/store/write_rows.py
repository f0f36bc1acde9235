"""From a put to its rows: body with its metadata, search columns, rows of the side tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.fhir.labelling import label_of
from pater.fhir.search.contained import ANYWHERE, add_contained
from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.extract import add_values
from pater.fhir.search.index import MAIN_DATE, IndexValues, normalise, repeated_values
from pater.fhir.search.parameters import Indexed as Parameter
from pater.store.codes import codes
from pater.store.tokens import param_number, resource_tokens, unit_hash
from pater.store.write_shapes import Put

STRING_LENGTH = 200
"""Characters of a string value that are indexed; search rechecks against the body."""
_Row = TypeVar("_Row")


@dataclass(slots=True)
class Indexed:
    """A put with everything that can be known of it before the database is asked."""

    put: Put
    type_number: int
    tokens: list[int] = field(default_factory=list)
    date: datetime | None = None
    date_end: datetime | None = None
    strings: list[tuple[int, str]] = field(default_factory=list)
    dates: list[tuple[int, datetime, datetime]] = field(default_factory=list)
    numbers: list[tuple[int, int, float, float]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    label: int = 0


def index(put: Put, custom: Custom = NONE) -> Indexed:
    """The search columns of a put; `custom` are the search parameters beyond R4 that are in force.

    KeyError for a type that is not of R4.
    """
    number = TYPE_NUMBER[put.type]
    if put.resource is None:
        return Indexed(put, number)
    values = repeated_values(put.type, put.resource)
    if put.type in custom.by_type:
        _add_custom(put.type, put.resource, custom, values)
    inner = add_contained(put.type, put.resource, values) if "contained" in put.resource else None
    main = MAIN_DATE.get(put.type)
    low: datetime | None = None
    high: datetime | None = None
    dates = []
    for param, first, last in values.dates:
        if param == main:
            # Several spans make one column pair: their hull; search rechecks against the body.
            low = first if low is None else min(low, first)
            high = last if high is None else max(high, last)
        else:
            dates.append((param_number(param), first, last))
    strings = [(param_number(param), _indexed_text(text)) for param, text in values.strings]
    numbers = [
        (param_number(param), unit_hash(system, code) if system or code else 0, first, last)
        for param, first, last, system, code in values.numbers
    ]
    return Indexed(
        put,
        number,
        _tokens(put.type, values, inner),
        low,
        high,
        _once(strings),
        _once(dates),
        _once(numbers),
        codes(put.type, values),
        label_of(put.type, put.resource) if put.label is None else put.label,
    )


def _tokens(type_name: str, values: IndexValues, inner: IndexValues | None) -> list[int]:
    tokens = resource_tokens(type_name, values)
    return tokens if inner is None else sorted({*tokens, *resource_tokens(ANYWHERE, inner)})


def _once(rows: list[_Row]) -> list[_Row]:
    return list(dict.fromkeys(rows)) if len(rows) > 1 else rows


def _indexed_text(text: str) -> str:
    return _kept_text(text) if len(text) <= _SHORT else _stored_text(text)


def _stored_text(text: str) -> str:
    # PostgreSQL's text cannot hold NUL; JSON's can.
    return normalise(text)[:STRING_LENGTH].replace("\0", "")


_SHORT = 64  # names, towns and countries come again
_kept_text = lru_cache(maxsize=8_192)(_stored_text)


def _add_custom(
    type_name: str, resource: dict[str, Any], custom: Custom, values: IndexValues
) -> None:
    for code, parameter in custom.of(type_name).items():
        # a composite one is asked as its parts
        if isinstance(parameter, Parameter):
            add_values(code, parameter, resource, values)


def body_of(put: Put, version: int, updated: datetime) -> bytes:
    """The bytes to store: `raw` as it is, else the resource with id, versionId and lastUpdated.

    `updated` is in UTC, written to the millisecond (FHIR R4 `instant`).
    """
    if put.raw is not None:
        return put.raw
    assert put.resource is not None
    resource = put.resource
    meta = resource.get("meta")
    ours = {"versionId": str(version), "lastUpdated": instant(updated)}
    # Named twice: first for their place, and again because the resource may say otherwise.
    head = {
        "resourceType": put.type,
        "id": put.id,
        "meta": {**ours, **meta, **ours} if isinstance(meta, dict) else ours,
    }
    return dumps({**head, **resource, **head})


@lru_cache(maxsize=256)
def instant(moment: datetime) -> str:
    """A time as a FHIR instant in UTC with milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"
