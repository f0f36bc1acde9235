"""Pages of an order that updates change: everything stands where it stood for the first page.

A cursor says which transactions the first page had seen. What they had not seen and has changed a
resource since is found by the index of `updated`; such a resource takes the place that its version
of then had, which stands in `history`. It is shown as it is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any

from pater.fhir.json import parse
from pater.fhir.search.custom import Custom
from pater.fhir.search.index import MAIN_DATE, index_values
from pater.fhir.search.parameters import sorted_as
from pater.fhir.search.query import Condition, Sort, matches
from pater.store.database import Record
from pater.store.read import COLUMNS, Stored
from pater.store.search.cursor import Position, SortValue
from pater.store.search.errors import too_costly
from pater.store.search.order import Order, orders
from pater.store.search.rows import Reader
from pater.store.search.sql import Args
from pater.store.tokens import param_number
from pater.store.write_rows import index
from pater.store.write_shapes import Put

SEEN = "(select pg_current_snapshot()::text || '/' || last_value from resource_rid) as seen"
"""The column of a first page that says what it saw: its snapshot, and the last row numbers lent."""
CHANGED_LIMIT = 1000
"""Matches changed since the first page that a later one takes to their places."""
_ALONE = frozenset({"token", "reference", "uri", "date", "string", "number", "quantity"})
_LENT = 1000  # row numbers of one step of the sequence
_ON_THE_WAY = timedelta(seconds=10)
"""How long before it is visible a write may have looked at the clock."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the first page of a search saw, and when it was asked for."""

    at: datetime
    snapshot: str
    last_row: int

    @staticmethod
    def of(at: datetime | None, text: str) -> Seen | None:
        """From a time and the column SEEN; None without either."""
        if at is None or not text:
            return None
        snapshot, _, last = text.partition("/")
        return Seen(at, snapshot, int(last) + _LENT - 1)


@dataclass(frozen=True, slots=True)
class Changed:
    """A match that was changed since: as it is now, and the version that gives its place.

    Without `was` it has none: it was made, or began to exist again, after the first page.
    """

    rid: int
    now: Stored
    was: Stored | None


def changed_sql(seen: Seen, args: Args, row: str) -> str:
    """The condition of rows that may have been changed since a first page."""
    floor = args.add(seen.at - _ON_THE_WAY, "timestamptz")
    # Of what was made since, the row numbers are larger: the index alone passes it over.
    return (
        f"{row}.updated > {floor} and {row}.rid <= {args.add(seen.last_row, 'bigint')}"
        f" and {row}.version > 1"
    )


def unseen_sql(seen: Seen, args: Args, row: str) -> str:
    """The condition of rows that a first page did not see as they are."""
    return f"({changed_sql(seen, args, row)} and not {_visible(seen, args, row)})"


def _visible(seen: Seen, args: Args, row: str) -> str:
    """Whether the transaction that wrote a row version belonged to what was seen.

    `xmin` has the lower half of the transaction's number; the nearest to the snapshot is meant.
    """
    edge = int(seen.snapshot.split(":")[1])
    at = args.add(edge, "bigint")
    near = f"({row}.xmin::text::bigint - ({at} & 4294967295) + 6442450944) % 4294967296"
    number = f"({at} + {near} - 2147483648)::text::xid8"
    return f"pg_visible_in_snapshot({number}, {args.add(seen.snapshot, 'text')}::pg_snapshot)"


async def changed(
    reader: Reader, type_: str, where: str, args: Args, seen: Seen, *, kept: bool
) -> list[Changed]:
    """The matches (rows `r` that meet `where`) that were changed since a first page.

    Raises SearchError when there are more than CHANGED_LIMIT.
    """
    columns = ", ".join(f"r.{column}" for column in COLUMNS.split(", "))
    limit = args.add(CHANGED_LIMIT + 1, "int")
    sql = (
        f"select {columns}, r.rid from resource r where {where} and"  # noqa: S608 constants and argument numbers
        f" {changed_sql(seen, args, 'r')} limit {limit}"
    )
    rows = await reader.fetch(sql, *args.values, kept=kept)
    if not rows:
        return []
    if len(rows) > CHANGED_LIMIT:
        raise too_costly(
            f"more than {CHANGED_LIMIT} of the matches were changed since the first page:"
            " search again from the beginning"
        )
    return await _placed(reader, rows, seen)


async def _placed(reader: Reader, rows: Sequence[Record], seen: Seen) -> list[Changed]:
    """Each row with the version that followed the last one which had been superseded then."""
    args = Args()
    types = args.add([row["type"] for row in rows], "smallint[]")
    ids = args.add([row["id"] for row in rows], "text[]")
    columns = ", ".join(f"h.{column}" for column in COLUMNS.split(", "))
    sql = f"""
select {columns}, p.was, k.place from unnest({types}, {ids}) with ordinality as k(type, id, place)
cross join lateral (select 1 + coalesce((
  select g.version from history g where g.type = k.type and g.id = k.id
   and {_visible(seen, args, "g")} order by g.version desc limit 1), 0) as was) p
left join lateral (
  select {COLUMNS} from history o where o.type = k.type and o.id = k.id and o.version = p.was
  limit 1) h on true
order by k.place
"""  # noqa: S608 constants and argument numbers
    places = await reader.fetch(sql, *args.values)
    current = await reader.stored(rows)
    past = await reader.stored([row for row in places if row["version"] is not None])
    then = {(each.id, each.version): each for each in past}
    made: list[Changed] = []
    for row, now, place in zip(rows, current, places, strict=True):
        was = now if place["was"] == now.version else then.get((now.id, place["was"]))
        if was is None or was.deleted or (was.version == 1 and was.updated > seen.at):
            made.append(Changed(row["rid"], now, None))
        elif was is not now or now.updated > seen.at:
            made.append(Changed(row["rid"], now, was))
    return made


def met(was: Stored, conditions: Sequence[Condition]) -> bool:
    """Whether a version met those conditions that ask for nothing but the resource itself."""
    alone = [each for each in conditions if each.kind in _ALONE]
    if not alone:
        return True
    resource = parse(was.body)
    values = index_values(was.type, resource)
    return all(matches(each, resource, values) for each in alone)


class Places:
    """The order of one search over all its phases: where versions stand, and what comes first."""

    def __init__(self, type_: str, sort: tuple[Sort, ...], *, bound: bool) -> None:
        self._type = type_
        self._sort = sort
        self._orders: list[Order] = []
        while order := orders(type_, sort, Args(), "r", len(self._orders), bound=bound):
            self._orders.append(order)

    def of(self, was: Stored, rid: int, custom: Custom) -> Position:
        """Where a version stands: with the values that the index had for it."""
        rows = index(Put(was.type, was.id, was.person, parse(was.body)), custom)
        values: list[SortValue] = []
        for key in self._sort:
            named = {param_number(each) for each in sorted_as(self._type, key.param)}
            found: list[Any] = [value for param, value in rows.strings if param in named]
            found += [low for param, low, _ in rows.dates if param in named]
            found += [low for param, unit, low, _ in rows.numbers if param in named and not unit]
            if key.param == "_id":
                found = [was.id]
            elif key.param == "_lastUpdated":
                found = [was.updated]
            elif MAIN_DATE.get(self._type) == key.param:
                found = [] if rows.date is None else [rows.date]
            values.append((max if key.descending else min)(found, default=None))
        if len(self._orders) > 1 and values[0] is None:
            return Position(1, tuple(values[1:]), rid)
        return Position(0, tuple(values), rid)

    def compared(self, one: Position, other: Position) -> int:
        """Negative when the first stands before the second, 0 at the same place."""
        if one.phase != other.phase:
            return one.phase - other.phase
        order = self._orders[one.phase]
        for key, a, b in zip(order.keys, one.values, other.values, strict=True):
            a, b = _aware(a), _aware(b)
            if a == b:
                continue
            if a is None or b is None:
                return 1 if a is None else -1
            first = a < b  # type: ignore[operator]  # values of one key are of one kind
            return -1 if first is not key.descending else 1
        return (other.rid - one.rid) if order.rid_descending else (one.rid - other.rid)

    def ordered(self, hits: list[tuple[Position, Stored]]) -> list[tuple[Position, Stored]]:
        """The hits, first things first."""

        def compared(one: tuple[Position, Stored], other: tuple[Position, Stored]) -> int:
            return self.compared(one[0], other[0])

        return sorted(hits, key=cmp_to_key(compared))


def _aware(value: SortValue) -> SortValue:
    # the open end of a period comes from the database without a time zone
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
