"""The state of the database at one past moment, walked in batches, however long it takes.

A row number belongs to a resource for good, whatever is written to it. So a walk by row numbers
meets every resource once, and each step looks up which version stood at the moment: the current
one, or a superseded one of `history`. No transaction has to stay open, and a walk can go on at
any place in another process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pater.store.database import READING, Database, Record
from pater.store.veils import After, Veils, shown_sql
from pater.store.wall import wall

_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_TICK: Final = 0.001
"""Seconds; the times of rows are rounded down to it."""
_LOOK: Final = 0.005
"""Seconds between looks at what is still open."""
# A transaction holds the lock of its own number from its beginning until what it wrote can be seen.
_OPEN: Final = """
select l.virtualtransaction as number from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and a.datname = current_database()
 and a.usename = current_user and a.application_name <> $1 and a.pid <> pg_backend_pid()
"""

LARGE: Final = 128 * 1024
"""Bytes of a packed body from which it is not read with the others but by `large`."""
_COLUMNS = (
    "v.type, v.person, v.id, v.version, v.deleted, v.dict, v.label,"
    f" case when octet_length(v.body) < {LARGE} then v.body end as body"
)
# $1 moment, $2 since, $3 types of everybody, $4 types of nobody only, $5 lowest person,
# $6 with deletions
_KEPT = """
 v.updated > $2
 and (v.type = any($3::smallint[]) or (v.type = any($4::smallint[]) and v.person = 0))
 and v.person >= $5 and (not v.deleted or $6)
"""
_THEN = f"""
select {_COLUMNS}, r.rid, r.label as now from resource r
cross join lateral (
  select h.* from history h where h.type = r.type and h.id = r.id and h.updated <= $1
  order by h.version desc limit 1) v
where r.updated > $1 and (r.type = any($3::smallint[]) or r.type = any($4::smallint[]))
 and {_KEPT}
"""  # noqa: S608 constants
_BY_ROWS = f"""
select {_COLUMNS}, v.rid, v.label as now from resource v
where v.rid > $7 and v.rid <= $8 and v.updated <= $1 and {_KEPT}
union all ({_THEN} and r.rid > $7 and r.rid <= $8)
"""  # noqa: S608 constants
# Two parts for the two partial indexes of a person's current rows and deletions. `+ 0` keeps the
# planner from walking the index of row numbers in search of these few persons.
_BY_PERSONS = f"""
select * from (
  select {_COLUMNS}, v.rid, v.label as now from resource v
  where v.person = any($7::bigint[]) and not v.deleted and v.updated <= $1 and {_KEPT}
  union all
  select {_COLUMNS}, v.rid, v.label from resource v
  where v.person = any($7::bigint[]) and v.deleted and v.updated <= $1 and {_KEPT}
  union all ({_THEN} and r.person = any($7::bigint[]) and not r.deleted)
  union all ({_THEN} and r.person = any($7::bigint[]) and r.deleted)
) w where w.rid + 0 > $8
"""  # noqa: S608 constants
_BY_PERSONS_END = " order by w.rid + 0 limit $9"


_LARGE = """
select v.type, v.id, v.version, v.person, v.deleted, v.dict, v.body
from unnest($1::smallint[], $2::text[], $3::int[]) as k(type, id, version)
cross join lateral (
  select r.type, r.id, r.version, r.person, r.deleted, r.dict, r.body from resource r
  where r.type = k.type and r.id = k.id and r.version = k.version
  union all
  select h.type, h.id, h.version, h.person, h.deleted, h.dict, h.body from history h
  where h.type = k.type and h.id = k.id and h.version = k.version
  limit 1) v
"""


@dataclass(frozen=True, slots=True)
class Walk:
    """What is walked: versions of `moment` written after `since`, of all these types.

    Types are numbers. Of `shared` types only what belongs to nobody. `personal`: nothing of
    nobody. `deletions`: also tombstones. What `veils` hold back is not there: neither a version of
    the moment that is, nor one of what is now.
    """

    moment: datetime
    since: datetime | None
    types: Sequence[int]
    shared: Sequence[int] = ()
    personal: bool = False
    deletions: bool = False
    veils: Veils = ()

    def _args(self) -> tuple[object, ...]:
        return (
            self.moment,
            max(self.since or _FIRST, _FIRST),
            list(self.types),
            list(self.shared),
            1 if self.personal else 0,
            self.deletions,
        )


async def settled(db: Database, age: float, *, patience: float = 60.0) -> None:
    """Returns when every write that may carry a time before a moment is visible.

    `age` is how many seconds ago the moment was. Writers look at the clock inside their
    transaction, so those that were open then are all there is to wait for. Raises TimeoutError
    when one takes longer than `patience` seconds.
    """
    await asyncio.sleep(max(0.0, _TICK - age))
    left = await _open(db)
    async with asyncio.timeout(patience):
        while left:
            await asyncio.sleep(_LOOK)
            left &= await _open(db)


async def _open(db: Database) -> set[str]:
    """The transactions under way that may write."""
    return {row["number"] for row in await db.fetch(_OPEN, READING)}


async def last_row(db: Database) -> int:
    """The highest row number there is."""
    return await db.fetchval("select max(rid) from resource") or 0


async def large(db: Database, rows: Sequence[Record]) -> list[Record]:
    """The same versions with their bodies; a few at a time, for they are large."""
    keys = [[row[name] for row in rows] for name in ("type", "id", "version")]
    return await db.read(_LARGE, *keys)


async def by_rows(db: Database, walk: Walk, after: int, upto: int) -> list[Record]:
    """All versions whose row numbers are in (after, upto], in no set order."""
    sql, veiled = _BY_ROWS, After(8)
    if walk.veils:
        sql = f"select * from ({sql}) w where true{_shown(walk, veiled, None)}"  # noqa: S608 constants
    return await db.read(sql, *walk._args(), after, upto, *veiled.values)


async def by_persons(
    db: Database, walk: Walk, persons: Sequence[int], after: int, count: int
) -> list[Record]:
    """Up to `count` versions of some persons by row number, those after `after`."""
    veiled = After(9)
    sql = _BY_PERSONS + _shown(walk, veiled, frozenset(persons)) + _BY_PERSONS_END
    with wall(persons):
        return await db.read(sql, *walk._args(), list(persons), after, count, *veiled.values)


def _shown(walk: Walk, args: After, persons: frozenset[int] | None) -> str:
    return "".join(
        shown_sql(walk.veils, args, "w", persons=persons, column=column)
        for column in ("label", "now")
    )
