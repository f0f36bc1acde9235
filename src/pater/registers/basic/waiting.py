"""What the register of persons is still to be asked: rows that go when they were answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pater.registers.basic.secrets import Pseudonyms
from pater.store.database import Connection, Database
from pater.store.person_tables import PersonTable
from pater.store.write import claim_key

SHORTEST: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(hours=1)
PERSON_TABLE: Final = PersonTable("basic_waiting", "encode(t.key, 'hex')")

# Whom the register of persons has told of already needs no question.
_WHO: Final = """
insert into basic_waiting (key, kind, person, asked, due)
select n.key, 'who', n.person, $3, $3 from unnest($1::bytea[], $2::bigint[]) as n(key, person)
where not exists (
  select from source_record s where s.person = n.person and s.source = 'rob')
on conflict (key) do nothing
"""
# Asked anew in any case, at once.
_WHO_AGAIN: Final = """
insert into basic_waiting (key, kind, person, asked, due) values ($1, 'who', $2, $3, $3)
on conflict (key) do update set due = excluded.due
"""
_CHANGED: Final = """
insert into basic_waiting (key, kind, person, sealed, asked, due)
select n.key, 'changed', 0, n.sealed, $3, $3 from unnest($1::bytea[], $2::bytea[]) as n(key, sealed)
on conflict (key) do update set asked = excluded.asked, due = excluded.due
"""
_DUE: Final = """
select key, kind, person, sealed, asked, attempts from basic_waiting
where due <= $1 order by due, key limit $2
"""
# What was asked for anew meanwhile stays.
_DONE: Final = "delete from basic_waiting where key = $1 and asked = $2"
_AGAIN: Final = """
update basic_waiting
set attempts = attempts + 1, error = $3,
    due = $2::timestamptz + least($4::interval * power(2, least(attempts, 20)), $5::interval)
where key = $1
"""
_ALL: Final = "update basic_waiting set due = $1 where due > $1"
_SINCE: Final = "select min(asked) from basic_waiting where person = $1 and person <> 0"
# Nobody needs a count of millions.
_COUNT: Final = """
select (select count(*) from (select from basic_waiting limit $1) counted) as waiting,
       (select min(asked) from basic_waiting) as oldest
"""
COUNTED: Final = 100_000
"""So many are counted, then it is "at least"."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something to be asked."""

    key: bytes
    kind: str
    person: int
    sealed: bytes | None
    asked: datetime
    attempts: int


def _key(person: int) -> bytes:
    return claim_key("basic-who", str(person))


async def who(db: Database | Connection, persons: Collection[int], now: datetime) -> None:
    """Has the register of persons asked who these are, unless it told already."""
    if persons:
        numbers = sorted(persons)
        await db.execute(_WHO, [_key(each) for each in numbers], numbers, now)


async def who_again(db: Database, person: int, now: datetime) -> None:
    """Has it asked who somebody is, whatever it told."""
    await db.execute(_WHO_AGAIN, _key(person), person, now)


async def changed(
    db: Database | Connection, names: Pseudonyms, pseudonyms: Collection[str], now: datetime
) -> None:
    """Has it asked what changed of these."""
    distinct = sorted(set(pseudonyms))
    await db.execute(
        _CHANGED, [names.key(each) for each in distinct], [names.seal(each) for each in distinct],
        now,
    )  # fmt: skip


async def since(db: Database, person: int) -> datetime | None:
    """Since when it waits to be asked who somebody is, None = nothing waits."""
    found: datetime | None = await db.fetchval(_SINCE, person)
    return found


async def due(db: Database, now: datetime, most: int) -> list[Wait]:
    """What is to be asked now, the longest due first."""
    return [Wait(**row) for row in await db.fetch(_DUE, now, most)]


async def done(db: Database, one: Wait) -> None:
    """It was answered."""
    await db.execute(_DONE, one.key, one.asked)


async def again(db: Database, one: Wait, now: datetime, error: str) -> None:
    """It was not: once more, after a pause that grows."""
    await db.execute(_AGAIN, one.key, now, error, SHORTEST, LONGEST)


async def hurry(db: Database, now: datetime) -> int:
    """Everything is due now; how much that is beyond what was."""
    return int((await db.execute(_ALL, now)).rsplit(" ", 1)[-1])


async def length(db: Database) -> tuple[int, datetime | None]:
    """How much waits (no more than `COUNTED` is counted), and since when the oldest does."""
    row = await db.fetchrow(_COUNT, COUNTED)
    return (row["waiting"], row["oldest"]) if row else (0, None)
