"""The order of a search and where a page goes on: sort keys as SQL, keyset conditions.

Missing values come last in both directions; `rid` breaks every tie. When the first key may be
missing and no person bounds the search, rows are read in two phases (those that have the key, in
the order of its index, then the others), so that a page never sorts a whole type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pater.fhir.definitions import TYPE_NUMBER, search_parameters
from pater.fhir.search.index import MAIN_DATE
from pater.fhir.search.parameters import Indexed, sorted_as
from pater.fhir.search.query import Sort
from pater.store.search.cursor import Position
from pater.store.search.errors import not_supported
from pater.store.search.sql import Args, side_params

_TABLES = {"string": "string_index", "date": "date_index", "number": "number_index",
           "quantity": "number_index"}  # fmt: skip
_CASTS = {"string": "text", "date": "timestamptz", "number": "double precision",
          "quantity": "double precision"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key: `sql` gives its value on a row; `join` is what must stand in FROM for it."""

    sql: str
    cast: str
    descending: bool
    nullable: bool
    join: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """The keys of one phase; `only` is the condition that makes the phase; ties go by rid."""

    keys: tuple[Key, ...]
    rid_descending: bool
    only: str = ""

    @property
    def joins(self) -> str:
        return "".join(key.join for key in self.keys)

    def columns(self) -> str:
        """The sort values as further columns s0, s1 …"""
        return "".join(f", {key.sql} as s{n}" for n, key in enumerate(self.keys))

    def by(self, row: str) -> str:
        """The text behind ORDER BY."""
        parts = [
            key.sql + (" desc" if key.descending else "") + (" nulls last" if key.nullable else "")
            for key in self.keys
        ]
        return ", ".join([*parts, f"{row}.rid" + (" desc" if self.rid_descending else "")])

    def after(self, position: Position, args: Args, row: str) -> str:
        """The condition of the rows that stand behind a position (keyset)."""
        rid = args.add(position.rid, "bigint")
        rest = f"{row}.rid {'<' if self.rid_descending else '>'} {rid}"
        outer = ""
        for key, value in reversed(list(zip(self.keys, position.values, strict=True))):
            if value is None:
                rest, outer = f"({key.sql} is null and {rest})", ""
                continue
            at = args.add(value, key.cast)
            sign = "<" if key.descending else ">"
            behind = f"{key.sql} {sign} {at} or ({key.sql} = {at} and {rest})"
            missing = f"{key.sql} is null or " if key.nullable else ""
            rest = f"({missing}{behind})"
            # This follows from the rest; said apart, it is where an index walk begins.
            outer = "" if key.nullable else f"{key.sql} {sign}= {at} and "
        return outer + rest


def orders(
    type_: str, sort: tuple[Sort, ...], args: Args, row: str, phase: int, *, bound: bool
) -> Order | None:
    """The order of one phase, None when the search has no such phase.

    bound: a person or a few ids bound the search, so that one phase and a sort in memory do.
    Raises SearchError for a parameter that cannot be sorted by.
    """
    if not sort:
        # The newest rows first. An update leaves a resource at its place, so that nobody who is
        # turning pages meanwhile misses it or gets it twice.
        return None if phase else Order((), rid_descending=True)
    first = sort[0]
    kind = _kind(type_, first)
    split = not bound and kind in ("main", *_TABLES)
    if phase > int(split):
        return None
    rest = [_key(type_, s, args, row, n) for n, s in enumerate(sort) if n or not split]
    if not split:
        ties = first.descending if kind == "updated" else False
        return Order(tuple(rest), ties)
    if kind == "main":
        # The index is (type, date desc, rid): read backwards, rids fall.
        present, absent = f"{row}.date is not null", f"{row}.date is null"
        leading = Key(f"{row}.date", "timestamptz", first.descending, nullable=False)
        ties = not first.descending
    else:
        leading, present, absent = _walk(type_, first, args, row)
        ties = first.descending
    if phase == 1:
        return Order(tuple(rest), False, absent)
    return Order((leading, *rest), ties, present)


def _kind(
    type_: str, sort: Sort
) -> Literal["id", "updated", "main", "string", "date", "number", "quantity"]:
    param = sort.param
    if param == "_id":
        return "id"
    if param == "_lastUpdated":
        return "updated"
    if MAIN_DATE.get(type_) == param:
        return "main"
    if isinstance(sort.source, Indexed):
        kind = sort.source.definition.type
    else:
        parameter = search_parameters(type_).get(param)
        kind = parameter.type if parameter else ""
    if kind in ("string", "date", "number", "quantity"):
        return kind  # type: ignore[return-value]  # narrowed by the line above
    raise not_supported(f"_sort={param}")


def _key(type_: str, sort: Sort, args: Args, row: str, number: int) -> Key:
    match kind := _kind(type_, sort):
        case "id":
            return Key(f"{row}.id", "text", sort.descending, nullable=False)
        case "updated":
            return Key(f"{row}.updated", "timestamptz", sort.descending, nullable=False)
        case "main":
            return Key(f"{row}.date", "timestamptz", sort.descending, nullable=True)
    side, value = f"k{number}", _value(kind)
    best = "max" if sort.descending else "min"
    join = (
        f" cross join lateral (select {best}(x.{value}) as value from {_TABLES[kind]} x"  # noqa: S608
        f" where x.rid = {row}.rid and {_param(type_, sort, args, 'x')}"
        f") {side}"
    )
    return Key(f"{side}.value", _CASTS[kind], sort.descending, nullable=True, join=join)


def _walk(type_: str, sort: Sort, args: Args, row: str) -> tuple[Key, str, str]:
    """A side table in the order of its index, each resource at its first value only.

    Returns the key, the condition of that first value, and that of resources without any.
    """
    kind = _kind(type_, sort)
    table, value = _TABLES[kind], _value(kind)
    which = _param(type_, sort, args, "k")
    better = ">" if sort.descending else "<"
    several = len(sorted_as(type_, sort.param)) > 1
    join = f" join {table} k on k.rid = {row}.rid and {which}"
    first = (
        f"not exists (select from {table} o where o.rid = k.rid and o.type = k.type"
        f" and {_better(kind, better, which.replace('k.', 'o.') if several else '')})"
    )
    absent = f"not exists (select from {table} k where k.rid = {row}.rid and {which})"
    key = Key(f"k.{value}", _CASTS[kind], sort.descending, nullable=False, join=join)
    return key, first, absent


def _better(kind: str, sign: str, which: str) -> str:
    """Row `o` comes before row `k` of the same resource; equal rows do not occur.

    `which`: the condition of the rows of a parameter that is asked as several; "" for one.
    """
    if kind == "string":
        return f"o.param = k.param and o.value {sign} k.value"
    if which:
        tie = "o.low = k.low and (o.high, o.param) < (k.high, k.param)"
        return f"{which} and (o.low {sign} k.low or {tie})"
    unit = " and o.unit = 0" if kind in ("number", "quantity") else ""
    return (
        f"o.param = k.param and (o.low {sign} k.low or (o.low = k.low and o.high < k.high)){unit}"
    )


def _param(type_: str, sort: Sort, args: Args, alias: str) -> str:
    # A quantity has a row for each of its units; unit 0 is the one that it always has.
    unit = f" and {alias}.unit = 0" if _kind(type_, sort) in ("number", "quantity") else ""
    return (
        f"{alias}.type = {args.add(TYPE_NUMBER[type_], 'smallint')}"
        f" and {side_params(sorted_as(type_, sort.param), args, alias)}"
        f"{unit}"
    )


def _value(kind: str) -> str:
    return "value" if kind == "string" else "low"
