"""Online re-indexing: walks a type and writes the index of each resource anew.

Resources that are written meanwhile have the new index already; the walk begins only when every
process knows the set of parameters that it is for. A kill costs the step that was under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.json import JsonError, parse
from pater.store.database import Connection, Database, Record
from pater.store.jobs import Job
from pater.store.parameters import EVERY, refresh
from pater.store.write_rows import Indexed, index
from pater.store.write_shapes import Put

STEP: Final = 200
"""Resources of one transaction."""
GRACE: Final = 5 * EVERY
"""Seconds after the request in which every process has noticed the new set."""

_NEXT = """
select type, wanted, extract(epoch from now() - asked)::float8 as age, until, updated, rid, done
from reindex where complete < wanted order by type limit 1
"""
_BEGIN = """
update reindex w set until = t.until, total = t.total, done = 0, rid = 0,
                     updated = timestamptz '0001-01-01 00:00:00Z'
from (select max(r.updated) as until, count(*) as total from resource r
      where r.type = $1 and not r.deleted) t
where w.type = $1 and w.wanted = $2 and w.updated is null
"""
# Two jobs may walk the same type: they take turns, each going on where the other stopped.
_PLACE = "select wanted, until, updated, rid from reindex where type = $1 for update"
_WALK = """
select r.updated, r.rid from resource r
where r.type = $1 and not r.deleted and (r.updated, r.rid) > ($2, $3) and r.updated <= $4
order by r.updated, r.rid limit $5
"""
# One order everywhere, so that a writer and this walk cannot wait for each other.
_LOCK = """
select r.type, r.id, r.person, r.rid, r.dict, r.body from resource r
where r.rid = any($1::bigint[]) and not r.deleted order by r.type, r.id for update
"""
_UPDATE = """
update resource r set date = n.date, date_end = n.date_end, tokens = ($4::bigint[])[n.first:n.last]
from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $5::int[], $6::int[])
  as n(rid, date, date_end, first, last)
where r.rid = n.rid and (r.tokens, r.date, r.date_end)
  is distinct from (($4::bigint[])[n.first:n.last], n.date, n.date_end)
"""
_FORGET = (
    "delete from string_index where rid = any($1::bigint[])",
    "delete from date_index where rid = any($1::bigint[])",
    "delete from number_index where rid = any($1::bigint[])",
)
_STRINGS = """
insert into string_index (person, rid, type, param, value)
select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::int[], $5::text[])
"""
_DATES = """
insert into date_index (person, rid, type, param, low, high)
select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::int[], $5::timestamptz[],
                     $6::timestamptz[])
"""
_NUMBERS = """
insert into number_index (person, rid, type, param, unit, low, high)
select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::int[], $5::bigint[],
                     $6::float8[], $7::float8[])
"""
_ADVANCE = """
update reindex set updated = $3, rid = $4, done = done + $5
where type = $1 and wanted = $2 and updated is not null
returning done, total
"""
_FINISH = """
update reindex set complete = wanted, done = total, updated = null, rid = null, until = null
where type = $1 and wanted = $2
"""
_STATUS = """
select type, complete, wanted, done, total, asked from reindex order by type
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a type is."""

    type: str
    finished: bool
    done: int
    total: int
    asked: datetime


async def progress(db: Database) -> list[Progress]:
    """Of every type that was ever indexed anew."""
    return [
        Progress(
            RESOURCE_TYPES[row["type"]],
            row["complete"] >= row["wanted"],
            row["done"],
            row["total"],
            row["asked"],
        )
        for row in await db.fetch(_STATUS)
    ]


async def reindex(job: Job, *, grace: float = GRACE, step: int = STEP) -> dict[str, Any]:
    """The job: all types that are behind, one after the other. Goes on where it was stopped."""
    total = 0
    while (row := await job.db.fetchrow(_NEXT)) is not None:
        if row["age"] < grace:
            await asyncio.sleep(grace - row["age"])
        await refresh(job.db)
        if row["until"] is None and row["updated"] is None:
            await job.db.execute(_BEGIN, row["type"], row["wanted"])
            continue
        if row["until"] is not None and (done := await _step(job, row, step)):
            total += done
            await asyncio.sleep(0.001)  # whoever waits for the machine comes first
            continue
        await job.db.execute(_FINISH, row["type"], row["wanted"])
        await refresh(job.db)
    return {"indexed": total}


async def _step(job: Job, row: Record, step: int) -> int:
    """One step of the walk; 0 when it is at its end, or has to begin anew."""
    async with job.db.transaction() as connection:
        here = await connection.fetchrow(_PLACE, row["type"])
        if here is None or here["wanted"] != row["wanted"] or here["until"] is None:
            return 0
        found = await connection.fetch(
            _WALK, row["type"], here["updated"], here["rid"], here["until"], step
        )
        if not found:
            return 0
        await _write(job.db, connection, [each["rid"] for each in found])
        last = found[-1]
        place = await connection.fetchrow(
            _ADVANCE, row["type"], row["wanted"], last["updated"], last["rid"], len(found)
        )
        if place is not None:
            note = RESOURCE_TYPES[row["type"]]
            await job.checkpoint(
                {}, done=place["done"], total=place["total"], note=note, connection=connection
            )
    return len(found)


async def _write(db: Database, connection: Connection, rids: Sequence[int]) -> None:
    rows = await connection.fetch(_LOCK, rids)
    await db.bodies.ensure(cast(Database, connection), {row["dict"] for row in rows})
    made = [(row, one) for row in rows if (one := _indexed(db, row)) is not None]
    tokens: list[int] = []
    first, last = [], []
    for _, one in made:
        first.append(len(tokens) + 1)
        tokens += one.tokens
        last.append(len(tokens))
    await connection.execute(
        _UPDATE,
        [row["rid"] for row, _ in made],
        [one.date for _, one in made],
        [one.date_end for _, one in made],
        tokens,
        first,
        last,
    )
    known = [row["rid"] for row, _ in made]
    for sql in _FORGET:
        await connection.execute(sql, known)
    strings: list[tuple[Any, ...]] = []
    dates: list[tuple[Any, ...]] = []
    numbers: list[tuple[Any, ...]] = []
    for row, one in made:
        head = (row["person"], row["rid"], row["type"])
        strings += [(*head, *each) for each in one.strings]
        dates += [(*head, *each) for each in one.dates]
        numbers += [(*head, *each) for each in one.numbers]
    for sql, values in ((_STRINGS, strings), (_DATES, dates), (_NUMBERS, numbers)):
        if values:
            await connection.execute(sql, *zip(*values, strict=True))


def _indexed(db: Database, row: Record) -> Indexed | None:
    """The index of a stored row; None when its bytes are no JSON (kept as they came)."""
    try:
        resource = parse(db.bodies.decompress(row["dict"], row["body"]))
    except JsonError:
        return None
    put = Put(RESOURCE_TYPES[row["type"]], row["id"], row["person"], resource)
    return index(put, db.parameters.custom)
