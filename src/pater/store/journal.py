"""The journal: who did what with whose record, when, why and with what outcome.

A search discloses many persons at once. Such entries are one act: the first of them holds what
they have in common, the others only the person (see the migration that says so).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

from pater.store.database import Connection, Database, Record


# Nobody changes one. Frozen ones take three times as long to make, and a search makes many.
@dataclass(slots=True, unsafe_hash=True)
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


@dataclass(slots=True, unsafe_hash=True)
class Act(JournalEntry):
    """An entry that stands for others too: the same of further persons and Patient ids.

    At most 65,536 in all; see `together`.
    """

    others: Sequence[tuple[int, str]]


@dataclass(slots=True, unsafe_hash=True)
class JournalRow(JournalEntry):
    """An entry as it was written: `id` is its AuditEvent id, `seq` its own number."""

    id: UUID
    seq: int


_COLUMNS = tuple(field.name for field in fields(JournalEntry))
_PERSONAL = ("person", "patient")
_FIELDS = attrgetter(*_COLUMNS)
_COMMON = attrgetter(*(name for name in _COLUMNS if name not in _PERSONAL))
_SQL_TYPES = {"at": "timestamptz", "person": "bigint", "entity_version": "int"}
_TEXTS = tuple(n for n, name in enumerate(_COLUMNS) if name not in _SQL_TYPES)
_SAID = itemgetter(*_TEXTS)
_PATIENTS = len(_COLUMNS) + 1
ARGUMENTS = len(_COLUMNS) + 4
"""How many `entry_columns` are."""
_ACT_BITS = 16
_BETWEEN = ","  # stands in no id
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def insert_sql(first: int) -> str:
    """The statement that inserts `entry_columns`, its arguments numbered from `first`."""
    arrays = [
        f"${number}::{_SQL_TYPES.get(name, 'text')}[]"
        for number, name in enumerate(_COLUMNS, start=first)
    ]
    person, patient, act, place = range(first + len(_COLUMNS), first + ARGUMENTS)
    nulls = "null, " * (len(_COLUMNS) - 4) + "null"
    return f"""
  with acts as materialized (
    select array_agg(nextval('journal_seq') << {_ACT_BITS}) as seqs
    from generate_series(1, cardinality({arrays[0]}))
  )
  insert into journal (seq, {", ".join(_COLUMNS)})
  select acts.seqs[f.n], {", ".join(f"f.{name}" for name in _COLUMNS)}
  from acts, unnest({", ".join(arrays)}) with ordinality as f({", ".join(_COLUMNS)}, n)
  union all
  select acts.seqs[o.act] + o.place, ({arrays[0]})[o.act], o.person, o.patient, {nulls}
  from acts, unnest(${person}::bigint[], ${patient}::text[], ${act}::int[], ${place}::int[])
    as o(person, patient, act, place)"""  # noqa: S608 constants


def entry_columns(entries: Iterable[JournalEntry]) -> list[Sequence[Any]]:
    """The arguments of `insert_sql`: the first entries of acts, one array a column, and of the
    others the person, the patient, the number of the act and the place in it.
    """
    return _columns(*_acts(entries))


_Firsts = list[tuple[Any, ...]]
_Others = tuple[list[int], list[str], list[int], list[int]]


def _acts(entries: Iterable[JournalEntry]) -> tuple[_Firsts, _Others]:
    """The first entries of acts, and of the others the four columns that `entry_columns` names."""
    firsts: _Firsts = []
    others: _Others = ([], [], [], [])
    persons, patients, acts, places = others
    last: tuple[Any, ...] = ()
    place = 0
    for entry in entries:
        if isinstance(entry, Act):
            firsts.append(_FIELDS(entry))
            last, many = (), len(entry.others)
            for person, patient in entry.others:
                persons.append(person)
                patients.append(patient)
            acts += [len(firsts)] * many
            places += range(1, many + 1)
            continue
        common = _COMMON(entry)
        place += 1
        if common == last and place >> _ACT_BITS == 0:
            persons.append(entry.person)
            patients.append(entry.patient)
            acts.append(len(firsts))
            places.append(place)
        else:
            firsts.append(_FIELDS(entry))
            last, place = common, 0
    return firsts, others


def _columns(firsts: _Firsts, others: _Others) -> list[Sequence[Any]]:
    columns: list[Sequence[Any]] = [
        *(zip(*firsts, strict=True) if firsts else [()] * len(_COLUMNS)),
        *others,
    ]
    for number in (*_TEXTS, _PATIENTS):
        column = columns[number]
        if "\0" in "".join(column):
            columns[number] = [_storable(text) for text in column]
    return columns


def _storable(value: Any) -> Any:
    """PostgreSQL's text cannot hold NUL; what a client sent may."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _literal(numbers: Iterable[int]) -> str:
    """An array of numbers as PostgreSQL reads it from text."""
    return f"{{{','.join(map(str, numbers))}}}"


def together(entry: JournalEntry, persons: Sequence[tuple[int, str]]) -> list[Act]:
    """The same entry for each of several persons, given with their Patient ids."""
    at, _, _, *rest = _FIELDS(entry)
    acts = [persons[n : n + (1 << _ACT_BITS)] for n in range(0, len(persons), 1 << _ACT_BITS)]
    return [Act(*(at, *those[0], *rest, those[1:])) for those in acts]


def place_id(at: datetime, seq: int) -> UUID:
    """The AuditEvent id of an entry: its place in the journal, as a UUID of version 8 (RFC 9562).

    60 bits are the microseconds since 1970 and 62 the number. It is no secret: who may read an
    entry is decided each time.
    """
    ticks = (at - _EPOCH) // _TICK
    return UUID(int=ticks >> 12 << 80 | 8 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | seq)


def place_of(id: UUID) -> tuple[datetime, int] | None:
    """`at` and `seq` of the entry with this id; None when it is not made of them."""
    number = id.int
    if id.version != 8:
        return None
    ticks = number >> 80 << 12 | number >> 64 & 0xFFF
    try:
        return _EPOCH + ticks * _TICK, number & ((1 << 62) - 1)
    except OverflowError:
        return None


_MOST_ROWS = 8
"""First entries of acts that are handed over as plain values: arrays cost twice as much to read."""


@lru_cache(maxsize=2 * _MOST_ROWS)
def _rows_sql(count: int, several: bool) -> str:
    """The statement that inserts `count` first entries of acts, given value by value.

    With `several` four more arguments say for whom else the acts were: lists written as one text
    each, which costs the client a fraction of an array.
    """
    width = len(_COLUMNS)
    rows = [
        ", ".join(
            f"${row * width + number}::{_SQL_TYPES.get(name, 'text')}"
            for number, name in enumerate(_COLUMNS, start=1)
        )
        for row in range(count)
    ]
    seq, names = f"nextval('journal_seq') << {_ACT_BITS}", ", ".join(_COLUMNS)
    if not several:
        values = ", ".join(f"({seq}, {row})" for row in rows)
        return f"insert into journal (seq, {names}) values {values}"  # noqa: S608 constants
    values = ", ".join(f"({act}, {seq}, {row})" for act, row in enumerate(rows, start=1))
    person, act, place, patient = range(count * width + 1, count * width + 5)
    nulls = "null, " * (width - 4) + "null"
    return f"""
  with acts (act, seq, {names}) as materialized (values {values})
  insert into journal (seq, {names})
  select seq, {names} from acts
  union all
  select a.seq + o.place, a.at, o.person, coalesce(o.patient, ''), {nulls}
  from unnest(${person}::text::bigint[], ${act}::text::int[], ${place}::text::int[],
              string_to_array(${patient}::text, '{_BETWEEN}')) as o(person, act, place, patient)
  join acts a on a.act = o.act"""  # noqa: S608 constants


_INSERT = insert_sql(1)
_SELECT = f"select id, seq, {', '.join(_COLUMNS)} from journal_entry"  # noqa: S608 constants
# The view asks for the act of an entry; here the acts are known, and their entries are asked for.
_SELECT_OF_AGENT = f"""
select e.id, e.seq, e.at, e.person, e.patient, {", ".join(f"a.{name}" for name in _COLUMNS[3:])}
from journal a
cross join lateral (
  select * from journal
  where at = a.at and seq >= a.seq and seq <= (a.seq | {(1 << _ACT_BITS) - 1})
    and (agent is null or seq = a.seq)
  order by seq desc limit {1 << _ACT_BITS}
) e
"""  # noqa: S608 constants


async def write_entries(connection: Connection | Database, entries: Sequence[JournalEntry]) -> None:
    """Writes entries in one statement, in the caller's transaction or as one of its own."""
    if not entries:
        return
    firsts, others = _acts(entries)
    if len(firsts) > _MOST_ROWS or any(_BETWEEN in patient for patient in others[1]):
        await connection.execute(_INSERT, *_columns(firsts, others))
        return
    values: list[Any] = []
    for first in firsts:
        values += map(_storable, first) if "\0" in "".join(_SAID(first)) else first
    if others[0]:
        persons, patients, acts, places = others
        values += map(_literal, (persons, acts, places))
        values.append(_storable(_BETWEEN.join(patients)))
    await connection.execute(_rows_sql(len(firsts), bool(others[0])), *values)


async def read_journal(
    db: Database,
    person: int | Sequence[int] | None,
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    count: int,
    before: tuple[datetime, int] | None = None,
) -> list[JournalRow]:
    """Up to `count` entries, newest first: of a person (or of all numbers that one had), of an
    agent, of a span [since, until).

    `before` is `at` and `seq` of the last row of the previous page. None = without that limit.
    """
    by_agent = agent is not None and person is None
    own, act = ("e.", "a.") if by_agent else ("", "")
    conditions: list[str] = []
    args: list[Any] = []

    def condition(sql: str, *values: Any) -> None:
        numbers = [f"${len(args) + n}" for n in range(1, len(values) + 1)]
        args.extend(values)
        conditions.append(sql.format(*numbers))

    if isinstance(person, int):
        condition("person = {}", person)
    elif person is not None:
        condition("person = any({}::bigint[])", list(person))
    if agent is not None:
        condition(f"{act}agent = {{}}", agent)
    if since is not None:
        condition(f"{act}at >= {{}}", since)
    if until is not None:
        condition(f"{act}at < {{}}", until)
    if before is not None:
        # The first half alone says which months need no look.
        condition(f"{act}at <= {{0}} and ({own}at, {own}seq) < ({{0}}, {{1}})", *before)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = "a.at desc, a.seq desc, e.seq desc" if by_agent else "at desc, seq desc"
    args.append(count)
    select = _SELECT_OF_AGENT if by_agent else _SELECT
    rows = await db.fetch(f"{select}{where} order by {order} limit ${len(args)}", *args)
    return [_row(row) for row in rows]


async def read_entry(db: Database, entry_id: UUID) -> JournalRow | None:
    """One entry by its AuditEvent id."""
    place = place_of(entry_id)
    if place is None:
        row = await db.fetchrow(f"{_SELECT} where id = $1", entry_id)
    else:
        row = await db.fetchrow(f"{_SELECT} where at = $1 and seq = $2 and id is null", *place)
    return None if row is None else _row(row)


def _row(row: Record) -> JournalRow:
    values = dict(row)
    values["id"] = values["id"] or place_id(values["at"], values["seq"])
    return JournalRow(**values)
