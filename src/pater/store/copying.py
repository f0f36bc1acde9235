"""Many new resources at once: their rows in PostgreSQL's binary COPY format, and the COPY itself.

A row is encoded where it is made (in another process) all but for its first column, the person,
which only the database knows; so the one process that writes has little left to do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Final, NamedTuple

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
    "tokens", "dict", "body", "coded",
)  # fmt: skip
_STRINGS: Final = ("person", "rid", "type", "param", "value")
_DATES: Final = ("person", "rid", "type", "param", "low", "high")
_NUMBERS: Final = ("person", "rid", "type", "param", "unit", "low", "high")
_CODES: Final = ("person", "rid", "token", "date", "updated")
_FEED: Final = "insert into feed (at, changes) select $1, c from unnest($2::text[]) as c"
_LOCK: Final = "select pg_advisory_xact_lock(k) from unnest($1::bigint[]) as k"
_PRESENT: Final = (
    "select r.type, r.id from unnest($1::smallint[], $2::text[]) as k(type, id)"
    " join resource r on r.type = k.type and r.id = k.id"
)
CHANGES: Final = 500
"""Changes of one feed row."""

_person = struct.Struct("!hiq").pack
_rid_type = struct.Struct("!iqih").pack
_int4 = struct.Struct("!ii").pack
_int8 = struct.Struct("!iq").pack
_two_float8 = struct.Struct("!idid").pack
_size = struct.Struct("!i").pack


class Tails(NamedTuple):
    """The rows of one resource without their person: its own, and those of the side tables."""

    resource: bytes
    strings: tuple[bytes, ...]
    dates: tuple[bytes, ...]
    numbers: tuple[bytes, ...]
    codes: tuple[bytes, ...]


def tails(indexed: Indexed, rid: int, updated: datetime, dictionary: int, body: bytes) -> Tails:
    """The rows of a first version, written as by PUT; `body` is compressed."""
    number = _int8(8, rid)
    head = _rid_type(8, rid, 2, indexed.type_number)
    id_ = indexed.put.id.encode()
    date = _NULL if indexed.date is None else _time(indexed.date)
    parts = (
        head,
        _size(len(id_)),
        id_,
        _int4(4, 1),
        _time(updated),
        b"\x00\x00\x00\x01U\x00\x00\x00\x01\x00",  # method, deleted
        date,
        _NULL if indexed.date_end is None else _time(indexed.date_end),
        _array(indexed.tokens),
        _int4(4, dictionary),
        _size(len(body)),
        body,
        b"\x00\x00\x00\x01\x01",  # coded
    )
    strings = [(param, value.encode("utf-8", "replace")) for param, value in indexed.strings]
    return Tails(
        b"".join(parts),
        tuple([b"".join((head, _int4(4, p), _size(len(text)), text)) for p, text in strings]),
        tuple([head + _int4(4, p) + _time(low) + _time(high) for p, low, high in indexed.dates]),
        tuple(
            [
                head + _int4(4, param) + _int8(8, unit) + _two_float8(8, low, 8, high)
                for param, unit, low, high in indexed.numbers
            ]
        ),
        tuple([number + _int8(8, code) + date + _time(updated) for code in indexed.codes]),
    )


def _time(moment: datetime) -> bytes:
    return _int8(8, (moment - _EPOCH) // _MICROSECOND)


def _array(values: Sequence[int]) -> bytes:
    if not values:
        return struct.pack("!iiii", 12, 0, 0, _INT8_OID)
    count = len(values)
    flat = [8] * (2 * count)
    flat[1::2] = values
    return struct.pack(f"!iiiiii{'iq' * count}", 20 + 12 * count, 1, 0, _INT8_OID, count, 1, *flat)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new resource: its address, its person and its rows."""

    type: str
    type_number: int
    id: str
    person: int
    tails: Tails


class TakenError(Exception):
    """Somebody wrote one of the resources meanwhile; nothing of these was written."""


async def present(
    connection: Connection, keys: Iterable[tuple[int, str]]
) -> frozenset[tuple[int, str]]:
    """Those addresses (number of the type, id) where a resource is or was."""
    wanted = list(keys)
    if not wanted:
        return frozenset()
    types, ids = zip(*wanted, strict=True)
    rows = await connection.fetch(_PRESENT, types, ids)
    return frozenset((row["type"], row["id"]) for row in rows)


async def copy_fresh(connection: Connection, rows: Sequence[Fresh], updated: datetime) -> None:
    """Writes new resources with their index and feed, in the transaction of the connection.

    `updated` is what their rows carry: it must not lie before the transaction's beginning.
    Raises TakenError when one of them is there already.
    """
    if not rows:
        return
    keys = [(row.type_number, row.id) for row in rows]
    await connection.execute(_LOCK, sorted(map(name_lock, keys)))
    if await present(connection, keys):
        raise TakenError
    await _copy(connection, "resource", _RESOURCE, [
        _person(len(_RESOURCE), 8, row.person) + row.tails.resource for row in rows
    ])  # fmt: skip
    for table, columns, field in (
        ("string_index", _STRINGS, "strings"),
        ("date_index", _DATES, "dates"),
        ("number_index", _NUMBERS, "numbers"),
        ("code_index", _CODES, "codes"),
    ):
        width = len(columns)
        parts = []
        for row in rows:
            found: tuple[bytes, ...] = getattr(row.tails, field)
            if found:
                head = _person(width, 8, row.person)
                parts.append(head + head.join(found))
        await _copy(connection, table, columns, parts)
    changes = [Change(row.type, row.id, 1, "PUT", row.person) for row in rows]
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
