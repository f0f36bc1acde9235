"""A person's record as a whole, or everybody's, or an encounter's part of it: in a stable order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pater.fhir.definitions import TYPE_NUMBER, compartment
from pater.fhir.search.index import MAIN_DATE
from pater.store.database import Database
from pater.store.read import COLUMNS, Stored, to_stored
from pater.store.tokens import reference_hash, reference_url_hash
from pater.store.veils import After, Veils, shown_sql
from pater.store.wall import wall

_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_RECORD = (
    f"select {COLUMNS}, rid from resource"  # noqa: S608 constants
    " where person = $1 and type = any($2::smallint[]) and not deleted and updated >= $3"
    " and (type, rid) > ($4, $5)"
)
_RECORD_END = " order by type, rid limit $6"
# What has no date of care is always there.
_CARE = (
    " and (type = any($7::smallint[]) or date is null"
    " or (date <= $9 and coalesce(date_end, date) >= $8))"
)
_EVERYBODY = (
    f"select {COLUMNS}, rid from resource"  # noqa: S608 constants
    " where person >= $1 and (person, type, rid) > ($1, $4, $5) and person > 0"
    " and type = any($2::smallint[]) and not deleted and updated >= $3"
)
_EVERYBODY_END = " order by person, type, rid limit $6"
# The encounter, its patient, and what refers to it: by the index of tokens, of one person only.
_ENCOUNTER = f"""
select {COLUMNS}, rid from (
  select {COLUMNS}, rid from resource where type = $7 and id = $8 and person = $1 and not deleted
  union all
  select {COLUMNS}, rid from resource where person = $1 and type = $9 and not deleted
  union all
  select {COLUMNS}, rid from resource
  where tokens && $10::bigint[] and person = $1 and type <> $7 and not deleted
) found
where type = any($2::smallint[]) and updated >= $3 and (type, rid) > ($4, $5)
"""  # noqa: S608 constants
_NO_CARE: Final = sorted(
    TYPE_NUMBER[name]
    for name, param in MAIN_DATE.items()
    if param == "birthdate" or name in ("PractitionerRole", "OrganizationAffiliation")
)
"""Types whose main date is no date of care."""


@dataclass(frozen=True, slots=True)
class Care:
    """The dates of care that are asked for, both ends included; None = open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a page of a record ended: the number of its last resource's type, and its row."""

    type: int
    rid: int

    def text(self) -> str:
        """As a cursor."""
        return f"{self.type}.{self.rid}"

    @staticmethod
    def of(text: str) -> RecordPlace | None:
        """The place that `text` gave; None for another text."""
        found = _dotted(text, (4, 18))
        return RecordPlace(*found) if found else None


@dataclass(frozen=True, slots=True)
class EverybodyPlace:
    """Where a page of everybody's records ended: the person beside the place in their record."""

    person: int
    inside: RecordPlace

    def text(self) -> str:
        """As a cursor."""
        return f"{self.person}.{self.inside.text()}"

    @staticmethod
    def of(text: str) -> EverybodyPlace | None:
        """The place that `text` gave; None for another text."""
        found = _dotted(text, (18, 4, 18))
        return EverybodyPlace(found[0], RecordPlace(*found[1:])) if found else None


def _dotted(text: str, digits: Sequence[int]) -> list[int] | None:
    """Numbers with dots between them, each of so many digits at most; None of another text."""
    parts = text.split(".", len(digits))
    if len(parts) != len(digits):
        return None
    for part, most in zip(parts, digits, strict=True):
        if not (part.isascii() and part.isdigit()) or len(part) > most:
            return None
    return [int(part) for part in parts]


async def record(
    db: Database,
    person: int,
    types: Iterable[str],
    since: datetime | None,
    after: RecordPlace | None,
    count: int,
    care: Care | None = None,
    *,
    veils: Veils = (),
) -> tuple[list[Stored], RecordPlace | None]:
    """Up to `count` resources of the person, and where the next page begins (None: at the end).

    What `veils` hold back is not there. Updates meanwhile do not move a resource: none is left out
    or comes twice over the pages.
    """
    place = after or RecordPlace(-1, 0)
    arguments = [person, _numbers(types), max(since or _FIRST, _FIRST), place.type, place.rid]
    return await _page(db, _RECORD, _RECORD_END, arguments, count, care, veils, frozenset({person}))


async def everybody(
    db: Database,
    types: Iterable[str],
    since: datetime | None,
    after: EverybodyPlace | None,
    count: int,
    care: Care | None = None,
    *,
    veils: Veils = (),
) -> tuple[list[Stored], EverybodyPlace | None]:
    """As `record`, of one person after the other; what belongs to nobody is not there."""
    place = after or EverybodyPlace(0, RecordPlace(-1, 0))
    arguments = [
        place.person, _numbers(types), max(since or _FIRST, _FIRST),
        place.inside.type, place.inside.rid,
    ]  # fmt: skip
    page, inside = await _page(db, _EVERYBODY, _EVERYBODY_END, arguments, count, care, veils, None)
    return page, EverybodyPlace(page[-1].person, inside) if inside else None


async def of_encounter(
    db: Database,
    person: int,
    id: str,
    base_url: str,
    types: Iterable[str],
    since: datetime | None,
    after: RecordPlace | None,
    count: int,
    *,
    veils: Veils = (),
) -> tuple[list[Stored], RecordPlace | None]:
    """As `record`, of what is in the compartment of one Encounter of the person."""
    place = after or RecordPlace(-1, 0)
    hashes = [
        number
        for type_, params in compartment("Encounter").items()
        for param in params
        if param != "{def}"
        for number in (
            reference_hash(type_, param, "Encounter", id),
            reference_url_hash(type_, param, f"{base_url}/Encounter/{id}"),
        )
    ]
    veiled = After(10)
    shown = shown_sql(veils, veiled, "found", persons=frozenset({person}))
    with wall({person}):
        rows = await db.read(
            _ENCOUNTER + shown + _RECORD_END, person, _numbers(types), max(since or _FIRST, _FIRST),
            place.type, place.rid, count + 1, TYPE_NUMBER["Encounter"], id,
            TYPE_NUMBER["Patient"], hashes, *veiled.values,
        )  # fmt: skip
    return await _cut(db, rows, count)


def _numbers(types: Iterable[str]) -> list[int]:
    return sorted(TYPE_NUMBER[each] for each in types)


async def _page(
    db: Database,
    sql: str,
    end: str,
    arguments: list[Any],
    count: int,
    care: Care | None,
    veils: Veils,
    persons: frozenset[int] | None,
) -> tuple[list[Stored], RecordPlace | None]:
    dates = []
    if care is not None:
        sql += _CARE
        dates = [_NO_CARE, care.start or _FIRST, care.end or _LAST]
    veiled = After(len(arguments) + 1 + len(dates))
    sql += shown_sql(veils, veiled, "resource", persons=persons) + end
    with wall(persons):
        rows = await db.read(sql, *arguments, count + 1, *dates, *veiled.values)
    return await _cut(db, rows, count)


async def _cut(
    db: Database, rows: list[Any], count: int
) -> tuple[list[Stored], RecordPlace | None]:
    page = await to_stored(db, rows[:count])
    more = len(rows) > count
    return page, RecordPlace(rows[count - 1]["type"], rows[count - 1]["rid"]) if more else None
