"""From a put to its rows: body with its metadata, search columns, rows of the side tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.extract import add_values
from pater.fhir.search.index import MAIN_DATE, IndexValues, index_values, normalise
from pater.fhir.search.parameters import Indexed as Parameter
from pater.store.codes import codes
from pater.store.tokens import param_number, resource_tokens, unit_hash
from pater.store.write_shapes import Put

STRING_LENGTH = 200
"""Characters of a string value that are indexed; search rechecks against the body."""


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


def index(put: Put, custom: Custom = NONE) -> Indexed:
    """The search columns of a put; `custom` are the search parameters beyond R4 that are in force.

    KeyError for a type that is not of R4.
    """
    indexed = Indexed(put, TYPE_NUMBER[put.type])
    if put.resource is None:
        return indexed
    values = index_values(put.type, put.resource)
    if put.type in custom.by_type:
        _add_custom(put.type, put.resource, custom, values)
    indexed.tokens = resource_tokens(put.type, values)
    indexed.codes = codes(put.type, values)
    indexed.strings = list(
        dict.fromkeys(
            # PostgreSQL's text cannot hold NUL; JSON's can.
            (param_number(value.param), normalise(value.value)[:STRING_LENGTH].replace("\0", ""))
            for value in values.strings
        )
    )
    main = MAIN_DATE.get(put.type)
    for span in values.dates:
        if span.param == main:
            # Several spans make one column pair: their hull; search rechecks against the body.
            indexed.date = span.low if indexed.date is None else min(indexed.date, span.low)
            indexed.date_end = (
                span.high if indexed.date_end is None else max(indexed.date_end, span.high)
            )
        else:
            indexed.dates.append((param_number(span.param), span.low, span.high))
    indexed.dates = list(dict.fromkeys(indexed.dates))
    indexed.numbers = list(
        dict.fromkeys(
            (param_number(n.param), unit_hash(n.system, n.code), n.low, n.high)
            for n in values.numbers
        )
    )
    return indexed


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
    stamped: dict[str, Any] = {
        "resourceType": put.type,
        "id": put.id,
        "meta": {
            "versionId": str(version),
            "lastUpdated": instant(updated),
        },
    }
    if isinstance(meta, dict):
        for name, value in meta.items():
            stamped["meta"].setdefault(name, value)
    for name, value in resource.items():
        stamped.setdefault(name, value)
    return dumps(stamped)


@lru_cache(maxsize=256)
def instant(moment: datetime) -> str:
    """A time as a FHIR instant in UTC with milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"
