"""Histories: the versions of one resource, of a type, of everything; newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.store.database import Database, Record
from pater.store.read import COLUMNS, Stored, to_stored
from pater.store.veils import After, Veils, past_sql, shown_sql
from pater.store.wall import wall

Key = tuple[str, str, int | None]
"""Type, id and version of what a history is about; version None = each."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_MOST = 2**63 - 1
_NOBODY = 0
_V = ", ".join(f"v.{column}" for column in COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class Period:
    """Versions written in [since, until) that were still current after `current_after`.

    `_since` is `since`; `_at` [low, high) is `until` = high and `current_after` = low.
    """

    since: datetime = _FIRST
    until: datetime = _LAST
    current_after: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a page ended: no two versions have the same time and row number."""

    updated: datetime
    rid: int

    def text(self) -> str:
        """As a cursor: microseconds since 1970 and the row number."""
        return f"{(self.updated - _EPOCH) // timedelta(microseconds=1)}.{self.rid}"

    @staticmethod
    def of(text: str) -> Place | None:
        """The place that `text` gave; None for another text."""
        time, dot, rid = text.partition(".")
        good = all(part.isascii() and part.isdigit() and len(part) < 19 for part in (time, rid))
        if not dot or not good:
            return None
        try:
            return Place(_EPOCH + timedelta(microseconds=int(time)), int(rid))
        except OverflowError:
            return None


# A version was superseded when the next one was written. All arguments are always there, so that
# each shape of a history is one prepared statement.
_KEPT = """
 v.updated >= $1 and v.updated < $2
 and ($3::timestamptz is null or not (
   exists (select from resource n where n.type = v.type and n.id = v.id
           and n.version > v.version and n.updated <= $3)
   or exists (select from history n where n.type = v.type and n.id = v.id
              and n.version = v.version + 1 and n.updated <= $3)))
"""
_PAGE = """
 and (v.updated, v.rid) < ($4, $5) order by v.updated desc, v.rid desc limit $6
"""
# Where a statement says what is held back: of current versions, and of superseded ones.
_NOW, _PAST = " /* current */", " /* superseded */"
_PARTS = (
    (f"select {_V}, v.rid from resource v where not v.deleted", _NOW),  # noqa: S608 constants
    (f"select {_V}, v.rid from resource v where v.deleted", _NOW),  # noqa: S608 constants
    (f"select {_V}, v.rid from history v where true", _PAST),  # noqa: S608 constants
)


def _sql(only: str) -> str:
    """Each part in its own index order, then the newest of all parts."""
    parts = " union all ".join(
        f"({part} and {only} and {_KEPT}{veiled}{_PAGE})" for part, veiled in _PARTS
    )
    return f"select * from ({parts}) v"  # noqa: S608 constants


_EVERYBODY = (
    "select v.* from unnest($7::smallint[]) as t(type) cross join lateral"  # noqa: S608 constants
    f" ({_sql('v.type = t.type')}) v order by v.updated desc, v.rid desc limit $6"
)
_PERSONS = (
    f"{_sql('v.person = any($8::bigint[]) and v.type = any($7::smallint[])')}"
    " order by v.updated desc, v.rid desc limit $6"
)
# What belongs to nobody: a register of half a million among the physicians of all documents.
_NOBODYS = (
    "select v.* from unnest($7::smallint[]) as t(type) cross join lateral"  # noqa: S608 constants
    f" ({_sql('v.type = t.type and v.person = 0')}) v"
    " order by v.updated desc, v.rid desc limit $6"
)
_ONE = f"{_sql('v.type = $7 and v.id = $8')} order by v.updated desc, v.rid desc limit $6"
# Of listed resources or versions, whoever they belong to or of these persons only.
_LISTED = (
    "select v.* from unnest($7::smallint[], $8::text[], $9::int[]) as k(type, id, version)"  # noqa: S608 constants
    " cross join lateral ("
    + _sql(
        "v.type = k.type and v.id = k.id and (k.version is null or v.version = k.version)"
        " and ($10::bigint[] is null or v.person = any($10))"
    )
    + ") v order by v.updated desc, v.rid desc limit $6"
)
_COUNTED = (
    ("select {what} as person from resource v where not v.deleted", _NOW),
    ("select {what} as person from resource v where v.deleted", _NOW),
    ("select {what} as person from history v where true", _PAST),
)


def _count(only: str, limit: str, what: str = "0") -> str:
    parts = " union all ".join(
        f"({part.format(what=what)} and {only} and {_KEPT}{veiled})" for part, veiled in _COUNTED
    )
    return f"select person, count(*) as found from ({parts}{limit}) v group by person"  # noqa: S608 constants


_COUNT_ONE = _count("v.type = $4 and v.id = $5", "", "v.person")
_COUNT_EVERYBODY = _count("v.type = any($4::smallint[])", " limit $5")
_COUNT_PERSONS = _count(
    "v.person = any($6::bigint[]) and v.type = any($4::smallint[])", " limit $5"
)
# An update of what was deleted made it anew.
_REVIVED = (
    "select k.type, k.id, k.version from unnest($1::smallint[], $2::text[], $3::int[])"
    " as k(type, id, version)"
    " join history h on h.type = k.type and h.id = k.id and h.version = k.version - 1"
    " where h.deleted"
)

# The first page of the whole history of one resource, which is what is nearly always asked for:
# its current version and the newest superseded ones. Later versions are written later.
_NEWEST = (
    f"select * from (select {_V}, v.rid from resource v where v.type = $1 and v.id = $2"  # noqa: S608 constants
    f" union all (select {_V}, v.rid from history v where v.type = $1 and v.id = $2"
    " order by v.version desc limit $3)) v order by v.updated desc, v.rid desc limit $3"
)


async def walk(
    db: Database,
    types: Iterable[str],
    persons: frozenset[int] | None,
    period: Period,
    before: Place | None,
    count: int,
    only: Collection[Key] | None = None,
    *,
    veils: Veils = (),
) -> tuple[list[Stored], Place | None]:
    """Up to `count` versions of the types, of these persons (None = everybody), before a place.

    Gives the place of the next page, None at the end. Versions written meanwhile come before the
    first page, so they do not disturb the walk. `only` = of these resources and versions alone.
    What `veils` hold back is not there: no version of what is held back as it stands now, nor a
    past version that is.
    """
    if only is not None:
        known = set(types)
        keys = [key for key in only if key[0] in known]
        with wall(persons):
            return await _page(
                db, _LISTED, veils, period, before, count, [TYPE_NUMBER[key[0]] for key in keys],
                [key[1] for key in keys], [key[2] for key in keys],
                None if persons is None else sorted(persons),
            )  # fmt: skip
    numbers = sorted(TYPE_NUMBER[each] for each in types)
    if persons is None:
        return await _page(db, _EVERYBODY, veils, period, before, count, numbers)
    with wall(persons):
        if persons == {_NOBODY}:
            return await _page(db, _NOBODYS, veils, period, before, count, numbers)
        return await _page(db, _PERSONS, veils, period, before, count, numbers, sorted(persons))


async def of_one(
    db: Database,
    type_name: str,
    id: str,
    period: Period,
    before: Place | None,
    count: int,
    only: Collection[Key] | None = None,
    *,
    veils: Veils = (),
) -> tuple[list[Stored], Place | None]:
    """Up to `count` versions of one resource within a period; as `walk`."""
    if only is not None:
        return await walk(db, [type_name], None, period, before, count, only, veils=veils)
    number = TYPE_NUMBER[type_name]
    if before is None and period == Period() and not veils:
        return await _cut(db, await db.ask(_NEWEST, number, id, count + 1, kept=True), count)
    return await _page(db, _ONE, veils, period, before, count, number, id)


async def counted(
    db: Database,
    types: Iterable[str],
    persons: frozenset[int] | None,
    period: Period,
    most: int,
    *,
    veils: Veils = (),
) -> int:
    """How many versions `walk` gives over all its pages, counted up to `most` and one more."""
    numbers = sorted(TYPE_NUMBER[each] for each in types)
    arguments = [*_bounds(period), numbers, most + 1]
    if persons is None:
        rows = await _fetch(db, _COUNT_EVERYBODY, veils, arguments)
    else:
        with wall(persons):
            rows = await _fetch(db, _COUNT_PERSONS, veils, [*arguments, sorted(persons)])
    return sum(row["found"] for row in rows)


async def counted_of_one(
    db: Database, type_name: str, id: str, period: Period, *, veils: Veils = ()
) -> dict[int, int]:
    """How many versions of one resource each person has, of a period."""
    rows = await _fetch(db, _COUNT_ONE, veils, [*_bounds(period), TYPE_NUMBER[type_name], id])
    return {row["person"]: row["found"] for row in rows}


async def revived(db: Database, page: Sequence[Stored]) -> frozenset[tuple[str, str, int]]:
    """Those versions of a page (type, id, version) that made what was deleted anew."""
    shown = {(each.type, each.id, each.version): each for each in page}
    found: set[tuple[str, str, int]] = set()
    asked: list[tuple[str, str, int]] = []
    for key, each in shown.items():
        if each.method == "PUT" and each.version > 1:
            last = shown.get((key[0], key[1], key[2] - 1))
            if last is None:
                asked.append(key)
            elif last.deleted:
                found.add(key)
    if asked:
        types, ids, versions = zip(*asked, strict=True)
        numbers = [TYPE_NUMBER[type_name] for type_name in types]
        rows = await db.fetch(_REVIVED, numbers, ids, versions)
        found.update((RESOURCE_TYPES[row["type"]], row["id"], row["version"]) for row in rows)
    return frozenset(found)


def _bounds(period: Period) -> tuple[datetime, datetime, datetime | None]:
    return max(period.since, _FIRST), min(period.until, _LAST), period.current_after


async def _fetch(db: Database, sql: str, veils: Veils, arguments: Sequence[Any]) -> list[Record]:
    """The rows of a statement, without what is held back."""
    if not veils:
        return await db.read(sql, *arguments)
    more = After(len(arguments))
    sql = sql.replace(_NOW, shown_sql(veils, more, "v"))
    sql = sql.replace(_PAST, past_sql(veils, more, "v"))
    return await db.read(sql, *arguments, *more.values)


async def _page(
    db: Database,
    sql: str,
    veils: Veils,
    period: Period,
    before: Place | None,
    count: int,
    *args: Any,
) -> tuple[list[Stored], Place | None]:
    place = before or Place(_LAST, _MOST)
    arguments = [*_bounds(period), place.updated, place.rid, count + 1, *args]
    rows: Sequence[Any] = await _fetch(db, sql, veils, arguments)
    return await _cut(db, rows, count)


async def _cut(db: Database, rows: Sequence[Any], count: int) -> tuple[list[Stored], Place | None]:
    page = await to_stored(db, rows[:count])
    more = len(rows) > count
    return page, Place(rows[count - 1]["updated"], rows[count - 1]["rid"]) if more else None
