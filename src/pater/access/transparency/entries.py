"""Rows of the journal as leaves: their canonical bytes, read in the order of their numbers."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

from pater.store.database import Connection, Database, Record

COLUMNS: Final = (
    "seq", "id", "at", "person", "patient", "action", "interaction", "outcome", "reason",
    "agent_kind", "agent", "agent_name", "role", "organization", "organization_name", "purpose",
    "entity_type", "entity_id", "entity_version", "query", "request_id", "source",
)  # fmt: skip
"""The columns of `journal_entry` in the order in which they stand in a line, behind the salt."""
ACT: Final = 1 << 16
"""Entries of one act have numbers from a multiple of this on; see the journal."""
SALT_SIZE: Final = 16
_AGENT = COLUMNS.index("agent")
_OWN = 5  # the columns that the entries of an act do not share
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BATCH = 100  # hashed in one go while requests wait: some 3 ms

_COLUMNS = ", ".join("id::text" if name == "id" else name for name in COLUMNS)
# The rows themselves and not the view: the first entry of an act comes before the others, so
# nothing needs to be looked up.
_ROWS = f"""
select {_COLUMNS} from journal where seq > $1 and seq <= $2 order by seq
"""  # noqa: S608 constants
_MONTH = f"select {_COLUMNS} from journal where at >= $1 and at < $2 order by seq"  # noqa: S608
_ONE = f"select {_COLUMNS} from journal_entry where at = $1 and seq = $2"  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the journal with all its columns, in the order of COLUMNS."""

    values: tuple[Any, ...]

    @property
    def seq(self) -> int:
        """Its number."""
        number: int = self.values[0]
        return number

    @property
    def at(self) -> datetime:
        """Its time."""
        time: datetime = self.values[2]
        return time

    def line(self, salt: bytes) -> bytes:
        """The canonical bytes: a JSON array of the salt in hexadecimal and the columns.

        Compact UTF-8 without escapes that are not needed; times are RFC 3339 in UTC (`Z`), with
        six digits of a second where they are not all zero.
        """
        return orjson.dumps([salt.hex(), *self.values], option=orjson.OPT_UTC_Z)

    def placed(self, seq: int, at: datetime) -> Entry:
        """The same entry under another number or time."""
        return replace(self, values=(seq, self.values[1], at, *self.values[3:]))


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse."""
    return _EPOCH + microseconds * _MICROSECOND


def month_of(time: datetime) -> date:
    """The month of a time, in UTC, as its first day."""
    return time.astimezone(UTC).date().replace(day=1)


def leaf_salt(salt: bytes, index: int) -> bytes:
    """The salt of the leaf with this index, from that of its tile."""
    return hmac.digest(salt, index.to_bytes(8), sha256)[:SALT_SIZE]


async def walk(connection: Connection, after: int, through: int) -> AsyncIterator[list[Entry]]:
    """Batches of the entries with numbers above `after`, up to `through`, in their order.

    Both have to stand at the end of an act. Needs a transaction; holds one batch in memory.
    """
    cursor = await connection.cursor(_ROWS, after, through)
    shared = _Shared()
    while rows := await cursor.fetch(_BATCH):
        if found := list(shared.entries(rows)):
            yield found


async def walk_month(
    connection: Connection, low: datetime, high: datetime, count: int
) -> AsyncIterator[list[Entry]]:
    """Batches of the entries of a span of whole months, in the order of their numbers.

    An act has one time, so none is cut. Needs a transaction; holds one batch in memory.
    """
    cursor = await connection.cursor(_MONTH, low, high)
    shared = _Shared()
    while rows := await cursor.fetch(count):
        if found := list(shared.entries(rows)):
            yield found


async def entry_at(db: Database, at: datetime, seq: int) -> Entry | None:
    """One entry by its place."""
    row = await db.fetchrow(_ONE, at, seq)
    return None if row is None else Entry(tuple(row.values()))


class _Shared:
    """Gives the entries of an act what its first entry says, as the view does."""

    def __init__(self) -> None:
        self._act: tuple[int, datetime] | None = None
        self._said: Sequence[Any] = ()

    def entries(self, rows: Sequence[Record]) -> Iterator[Entry]:
        """One entry a row; none for a row whose act is not there, which the view has not either."""
        for row in rows:
            values = tuple(row.values())
            if values[_AGENT] is not None:
                self._act, self._said = (values[0], values[2]), values[_OWN:]
            elif self._act == (values[0] // ACT * ACT, values[2]):
                values = values[:_OWN] + tuple(self._said)
            else:
                continue
            yield Entry(values)
