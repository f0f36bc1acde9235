"""Sorting by what no index holds in order: codes, references, URIs, from the bodies of few hits.

Tokens are hashes and have no order. A search that asks for one is sorted in memory when it has at
most SORT_LIMIT matches, and refused beyond.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pater.fhir.definitions import search_parameters
from pater.fhir.json import parse
from pater.fhir.search.extract import values_of
from pater.fhir.search.index import normalise
from pater.fhir.search.parameters import Indexed, sorted_as
from pater.fhir.search.query import Sort
from pater.fhir.search.values import IndexValues
from pater.store.read import Stored
from pater.store.search.cursor import Position, SortValue
from pater.store.search.rows import indexed

SORT_LIMIT = 1000
"""Matches that are sorted in memory."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A hit with its place in the order; the end of the last page is one without a resource."""

    place: Position
    stored: Stored | None = None


def sorts_by_body(type_: str, sort: Sequence[Sort]) -> bool:
    """Whether a sort key is of a kind that only bodies can tell."""
    parameters = search_parameters(type_)
    for key in sort:
        own = key.source.definition if isinstance(key.source, Indexed) else None
        known = own or parameters.get(key.param)
        if key.param != "_id" and known and known.type in ("token", "reference", "uri"):
            return True
    return False


def placed(stored: Stored, rid: int, sort: Sequence[Sort]) -> Placed:
    """A hit with the values of all sort keys."""
    index = indexed(stored)
    return Placed(Position(0, tuple(_value(stored, index, key) for key in sort), rid), stored)


def in_order(hits: list[Placed], sort: Sequence[Sort]) -> list[Placed]:
    """Hits by the sort keys, missing values last, ties by rid."""
    hits = sorted(hits, key=lambda hit: hit.place.rid)
    for number, key in reversed(list(enumerate(sort))):
        if key.descending:
            hits.sort(key=lambda hit: _least_missing(hit.place.values[number]), reverse=True)
        else:
            hits.sort(key=lambda hit: _last_missing(hit.place.values[number]))
    return hits


def _least_missing(value: SortValue) -> tuple[bool, SortValue]:
    return value is not None, "" if value is None else value


def _last_missing(value: SortValue) -> tuple[bool, SortValue]:
    return value is None, "" if value is None else value


def _value(stored: Stored, index: IndexValues, key: Sort) -> SortValue:
    """The least value of a parameter, the greatest when descending, None without any."""
    if key.param == "_id":
        return stored.id
    if key.param == "_lastUpdated":
        return stored.updated
    if isinstance(key.source, Indexed):
        index = values_of(key.param, key.source, parse(stored.body))
    # All values of one parameter are of one kind, hence comparable with each other.
    found: list[SortValue] = [
        value for param in sorted_as(stored.type, key.param) for value in _values(index, param)
    ]
    choose = max if key.descending else min
    return choose(found, default=None)  # type: ignore[type-var]  # see above


def _values(index: IndexValues, param: str) -> Iterator[SortValue]:
    yield from (v.code or "" for v in index.tokens if v.param == param)
    yield from (
        f"{v.type}/{v.id}" if v.id else v.url or "" for v in index.references if v.param == param
    )
    yield from (normalise(v.value) for v in index.strings if v.param == param)
    yield from (v.low for v in index.dates if v.param == param)
    yield from (v.low for v in index.numbers if v.param == param)
    yield from (v.value for v in index.uris if v.param == param)
