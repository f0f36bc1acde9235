"""Makes the index anew for Patients that were written before there was one, or by another rule."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.registers.matching.index import RULE, entry_of
from pater.store.database import Database
from pater.store.jobs import Job, enqueue

KIND: Final = "person-index"
STEP: Final = 500
"""Persons of one transaction."""

_PATIENT: Final = TYPE_NUMBER["Patient"]
_MADE: Final = "select rule from person_index_made"
_ANY: Final = f"select exists (select from resource where type = {_PATIENT})"  # noqa: S608
_BY: Final = """
insert into person_index_made (rule) values ($1) on conflict (one) do update set rule = $1
"""
_NEXT: Final = f"""
select id from resource where type = {_PATIENT} and id > $1 order by id limit $2
"""  # noqa: S608 a number of the program
# Never waits for a writer: who is writing a Patient writes its entry, too.
_BODIES: Final = f"""
select r.id, r.person, r.dict, r.body from resource r
where r.type = {_PATIENT} and r.id = any($1::text[]) and not r.deleted and r.person > 0
for update skip locked
"""  # noqa: S608 a number of the program
_WRITE: Final = """
with n as materialized (
  select n.person, n.keys::int[] as keys, n.features
  from unnest($1::bigint[], $2::text[], $3::bytea[]) as n(person, keys, features)),
entry as (
  insert into person_index (person, features) select n.person, n.features from n
  on conflict (person) do update set features = excluded.features
  where person_index.features <> excluded.features),
gone as (
  delete from person_key k using n where k.person = n.person::int and k.key <> all(n.keys))
insert into person_key (key, person)
select k.key, n.person from n cross join unnest(n.keys) as k(key)
where not exists (select from person_key h where h.person = n.person::int and h.key = k.key)
"""


async def ask(db: Database) -> bool:
    """Asks for the job where the entries were made by another rule, or never.

    True where it is not needed: all entries are of today's rule.
    """
    if await db.fetchval(_MADE) == RULE:
        return True
    if await db.fetchval(_ANY):
        await enqueue(db, KIND, {}, dedupe=RULE)
        return False
    await db.execute(_BY, RULE)
    return True


async def reindex(job: Job) -> Mapping[str, Any]:
    """The job: every Patient in the order of their ids, resumable at each step."""
    last, done = job.state.get("last", ""), job.state.get("done", 0)
    while ids := [row["id"] for row in await job.db.fetch(_NEXT, last, STEP)]:
        async with job.db.transaction() as connection:
            rows = await connection.fetch(_BODIES, ids)
            dictionaries = {row["dict"] for row in rows}
            await job.db.bodies.ensure(cast(Database, connection), dictionaries)
            made = {}
            for row in rows:
                entry = entry_of(parse(job.db.bodies.decompress(row["dict"], row["body"])))
                if entry is not None:
                    made[row["person"]] = entry
            if made:
                keys = ["{" + ",".join(map(str, each.keys)) + "}" for each in made.values()]
                features = [each.features for each in made.values()]
                await connection.execute(_WRITE, list(made), keys, features)
            last, done = ids[-1], done + len(ids)
            state = {"last": last, "done": done}
            await job.checkpoint(state, done=done, connection=connection)
        await asyncio.sleep(0.001)  # whoever waits for the machine comes first
    await job.db.execute(_BY, RULE)
    return {"persons": done}
