"""Many new resources at once: their rows in PostgreSQL's binary COPY format, and the COPY itself.

A row is encoded where it is made (in another process) all but for its first column, the person,
which only the database knows; so the one process that writes has little left to do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from itertools import repeat
from typing import Final, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES
from pater.store.database import Connection
from pater.store.feed import Change, encode_changes
from pater.store.write_batch import name_lock
from pater.store.write_rows import Indexed

_HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_END: Final = struct.pack("!h", -1)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NULL: Final = struct.pack("!i", -1)
_INT8_OID: Final = 20

_RESOURCE: Final = (
    "person", "rid", "type", "id", "version", "updated", "method", "deleted", "date", "date_end",
    "tokens", "dict", "body", "coded", "label",
)  # fmt: skip
_STRINGS: Final = ("person", "rid", "type", "param", "value")
_DATES: Final = ("person", "rid", "type", "param", "low", "high")
_NUMBERS: Final = ("person", "rid", "type", "param", "unit", "low", "high")
_CODES: Final = ("person", "rid", "token", "date")
_FEED: Final = "insert into feed (at, changes) select $1, c from unnest($2::text[]) as c"
_LOCK: Final = "select pg_advisory_xact_lock(k) from unnest($1::bigint[]) as k"
_PRESENT: Final = (
    "select r.type, r.id from unnest($1::smallint[], $2::text[]) as k(type, id)"
    " join resource r on r.type = k.type and r.id = k.id"
)
CHANGES: Final = 500
"""Changes of one feed row."""

_person = struct.Struct("!hiq").pack
_start = struct.Struct("!iqihi").pack  # rid, type, length of the id
_pair_size = struct.Struct("!iii").pack  # int4, length of what follows
_string = struct.Struct("!iqihiii").pack  # rid, type, param, length of the text
_date = struct.Struct("!iqihiiiqiq").pack  # rid, type, param, low, high
_number = struct.Struct("!iqihiiiqidid").pack  # rid, type, param, unit, low, high
_code = struct.Struct("!iqiq").pack  # rid, token
_int8 = struct.Struct("!iq").pack
_last = struct.Struct("!ibiq").pack


class Tails(NamedTuple):
    """The rows of one resource without their person: its own, and those of the side tables."""

    resource: bytes
    strings: tuple[bytes, ...]
    dates: tuple[bytes, ...]
    numbers: tuple[bytes, ...]
    codes: tuple[bytes, ...]


def tails(indexed: Indexed, rid: int, updated: datetime, dictionary: int, body: bytes) -> Tails:
    """The rows of a first version, written as by PUT; `body` is compressed."""
    type_ = indexed.type_number
    id_ = indexed.put.id.encode()
    date = _NULL if indexed.date is None else _time(indexed.date)
    resource = (
        _start(8, rid, 2, type_, len(id_)),
        id_,
        _first_version(updated),
        date,
        _NULL if indexed.date_end is None else _time(indexed.date_end),
        _array(indexed.tokens),
        _pair_size(4, dictionary, len(body)),
        body,
        _last(1, 1, 8, indexed.label),  # coded, label
    )
    strings = [(param, value.encode("utf-8", "replace")) for param, value in indexed.strings]
    return Tails(
        b"".join(resource),
        tuple([_string(8, rid, 2, type_, 4, p, len(text)) + text for p, text in strings]),
        tuple(
            [
                _date(8, rid, 2, type_, 4, param, 8, _since_epoch(low), 8, _since_epoch(high))
                for param, low, high in indexed.dates
            ]
        ),
        tuple(
            [
                _number(8, rid, 2, type_, 4, param, 8, unit, 8, low, 8, high)
                for param, unit, low, high in indexed.numbers
            ]
        ),
        tuple([_code(8, rid, 8, code) + date for code in indexed.codes]),
    )


@lru_cache(maxsize=8_192)
def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=8_192)
def _time(moment: datetime) -> bytes:
    return _int8(8, (moment - _EPOCH) // _MICROSECOND)


@lru_cache(maxsize=64)
def _first_version(updated: datetime) -> bytes:
    """The columns version, updated, method and deleted."""
    one, put_undeleted = b"\0\0\0\x04\0\0\0\x01", b"\0\0\0\x01U\0\0\0\x01\0"
    return one + _time(updated) + put_undeleted


def _array(values: Sequence[int]) -> bytes:
    if not values:
        return struct.pack("!iiii", 12, 0, 0, _INT8_OID)
    count = len(values)
    flat = [8] * (2 * count)
    flat[1::2] = values
    return _array_of(count)(20 + 12 * count, 1, 0, _INT8_OID, count, 1, *flat)


@lru_cache(maxsize=256)
def _array_of(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"!iiiiii{'iq' * count}").pack


class Side(NamedTuple):
    """Rows of a side table, and of which resource each is (its place among the resources)."""

    of: list[int]
    rows: list[bytes]


class Rows(NamedTuple):
    """New resources, column by column, without their persons.

    Made where there is time for it, so that who writes them handles columns and not rows.
    """

    types: list[int]
    ids: list[str]
    locks: list[int]
    resources: list[bytes]
    strings: Side
    dates: Side
    numbers: Side
    codes: Side

    def chosen(self, places: Sequence[int]) -> Rows:
        """Only the resources at these places."""
        new = {old: at for at, old in enumerate(places)}
        own = [[column[old] for old in places] for column in self[:4]]
        sides = [
            Side([new[of] for of in side.of if of in new],
                 [row for of, row in zip(side.of, side.rows, strict=True) if of in new])
            for side in (self.strings, self.dates, self.numbers, self.codes)
        ]  # fmt: skip
        return Rows(*own, *sides)  # type: ignore[arg-type]  # four lists, four sides


def rows_of(found: Iterable[tuple[int, str, Tails]]) -> Rows:
    """Columns of (number of the type, id, rows) of each new resource."""
    rows = Rows([], [], [], [], Side([], []), Side([], []), Side([], []), Side([], []))
    sides = (rows.strings, rows.dates, rows.numbers, rows.codes)
    for place, (type_, id_, made) in enumerate(found):
        rows.types.append(type_)
        rows.ids.append(id_)
        rows.locks.append(name_lock((type_, id_)))
        rows.resources.append(made.resource)
        for side, more in zip(sides, made[1:], strict=True):
            if more:
                side.of.extend([place] * len(more))
                side.rows.extend(more)
    return rows


async def present(
    connection: Connection, types: Sequence[int], ids: Sequence[str]
) -> frozenset[tuple[int, str]]:
    """Those addresses (number of the type, id) where a resource is or was."""
    if not types:
        return frozenset()
    rows = await connection.fetch(_PRESENT, types, ids)
    return frozenset((row["type"], row["id"]) for row in rows)


async def take_names(connection: Connection, rows: Rows) -> frozenset[tuple[int, str]]:
    """Keeps others from creating these resources until the transaction ends.

    Gives those that are there already. Nothing may wait for another writer of this process
    afterwards: that one may be waiting for us.
    """
    await connection.execute(_LOCK, sorted(rows.locks))
    return await present(connection, rows.types, rows.ids)


async def copy_rows(
    connection: Connection, rows: Rows, persons: Sequence[int], updated: datetime
) -> None:
    """Writes new resources with their index and feed, in the transaction that took their names.

    `persons` are theirs in order; `updated` is what their rows carry: it must not lie before the
    transaction's beginning.
    """
    if not persons:
        return
    everybody = range(len(persons))
    for table, columns, side in (
        ("resource", _RESOURCE, Side(everybody, rows.resources)),  # type: ignore[arg-type]  # read
        ("string_index", _STRINGS, rows.strings),
        ("date_index", _DATES, rows.dates),
        ("number_index", _NUMBERS, rows.numbers),
        ("code_index", _CODES, rows.codes),
    ):
        width = len(columns)
        heads = {person: _person(width, 8, person) for person in set(persons)}
        by_place = [heads[person] for person in persons]
        parts = [b""] * (2 * len(side.rows))
        parts[::2] = map(by_place.__getitem__, side.of)
        parts[1::2] = side.rows
        await _copy(connection, table, columns, parts)
    changes = list(
        map(Change, map(RESOURCE_TYPES.__getitem__, rows.types), rows.ids, repeat(1),
            repeat("PUT"), persons)
    )  # fmt: skip
    texts = [
        encode_changes(changes[first : first + CHANGES])
        for first in range(0, len(changes), CHANGES)
    ]
    await connection.execute(_FEED, updated, texts)


async def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[bytes]
) -> None:
    if rows:
        data = BytesIO(b"".join((_HEAD, *rows, _END)))
        await connection.copy_to_table(table, source=data, columns=list(columns), format="binary")
