"""The journal: who did what with whose record, when, why and with what outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from pater.store.database import Connection, Database


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing done or refused. Empty text and 0 mean "does not apply".

    `person` and `patient` (a Patient id) say whose record; `action` is C, R, U, D or E and
    `outcome` 0 (done), 4 or 8 (refused or failed), as AuditEvent has them; `reason` is the key of
    the policy's reason; `query` must not carry identifying values (their hashes stand for them);
    `organization` is an IČO; `source` a network address.
    """

    at: datetime
    person: int
    patient: str
    action: str
    interaction: str
    outcome: str
    reason: str
    agent_kind: str
    agent: str
    agent_name: str
    role: str
    organization: str
    organization_name: str
    purpose: str
    entity_type: str
    entity_id: str
    entity_version: int
    query: str
    request_id: str
    source: str


@dataclass(frozen=True, slots=True)
class JournalRow(JournalEntry):
    """An entry as it was written: `id` is its AuditEvent id, `seq` its own number."""

    id: UUID
    seq: int


_COLUMNS = tuple(field.name for field in fields(JournalEntry))
_SQL_TYPES = {"at": "timestamptz", "person": "bigint", "entity_version": "int"}


def insert_sql(first: int) -> str:
    """The statement that inserts `entry_columns`, its arguments numbered from `first`."""
    arrays = (
        f"${number}::{_SQL_TYPES.get(name, 'text')}[]"
        for number, name in enumerate(_COLUMNS, start=first)
    )
    return (
        f"insert into journal ({', '.join(_COLUMNS)})"  # noqa: S608 constants
        f" select * from unnest({', '.join(arrays)})"
    )


def entry_columns(entries: Sequence[JournalEntry]) -> list[list[Any]]:
    """The arguments of `insert_sql`: one array a column."""
    return [[_clean(getattr(entry, name)) for entry in entries] for name in _COLUMNS]


_INSERT = insert_sql(1)
_SELECT = f"select {', '.join(_COLUMNS)}, id, seq from journal"  # noqa: S608 constants


async def write_entries(connection: Connection | Database, entries: Sequence[JournalEntry]) -> None:
    """Writes entries in one statement, in the caller's transaction or as one of its own."""
    if entries:
        await connection.execute(_INSERT, *entry_columns(entries))


def _clean(value: Any) -> Any:
    """PostgreSQL's text cannot hold NUL; what a client sent may."""
    return value.replace("\0", "") if isinstance(value, str) else value


async def read_journal(
    db: Database,
    person: int | None,
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    count: int,
    before: int | None = None,
) -> list[JournalRow]:
    """Up to `count` entries, newest first: of a person, of an agent, of a span [since, until).

    `before` is the `seq` of the last row of the previous page. None = without that limit.
    """
    conditions: list[str] = []
    args: list[Any] = []

    def condition(sql: str, value: Any) -> None:
        args.append(value)
        conditions.append(sql.format(f"${len(args)}"))

    if person is not None:
        condition("person = {}", person)
    if agent is not None:
        condition("agent = {}", agent)
    if since is not None:
        condition("at >= {}", since)
    if until is not None:
        condition("at < {}", until)
    if before is not None:
        condition("(at, seq) < (select l.at, l.seq from journal l where l.seq = {})", before)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    args.append(count)
    sql = f"{_SELECT}{where} order by at desc, seq desc limit ${len(args)}"
    return [JournalRow(**dict(row)) for row in await db.fetch(sql, *args)]


async def read_entry(db: Database, entry_id: UUID) -> JournalRow | None:
    """One entry by its AuditEvent id."""
    row = await db.fetchrow(f"{_SELECT} where id = $1", entry_id)
    return None if row is None else JournalRow(**dict(row))
