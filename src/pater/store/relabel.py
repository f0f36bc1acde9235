"""Works out the labels of what was written before there were any: by type and content.

One walk by row numbers, resumable at each step. Who wrote an old version is not told by it, so
provider and document stay unknown. What is being written meanwhile gets its label anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.json import JsonError, parse
from pater.fhir.labelling import label_of
from pater.store.database import Connection, Database, Record
from pater.store.jobs import Job

KIND: Final = "relabel"
"""The job; the migration that brings labels asks for it when there is anything to walk."""
STEP: Final = 200
"""Resources of one transaction."""

_LAST = "select coalesce(max(rid), 0) from resource"
_NEXT = "select rid from resource where rid > $1 and rid <= $2 order by rid limit $3"
# Never waits for a writer, so no writer and this can wait for each other.
_CURRENT = """
select r.type, r.id, r.rid, r.version, r.deleted, r.dict, r.body from resource r
where r.rid = any($1::bigint[]) and r.label = 0 for update skip locked
"""
_PAST = """
select h.type, h.id, h.rid, h.version, h.deleted, h.dict, h.body from resource r
join history h on h.type = r.type and h.id = r.id
where r.rid = any($1::bigint[]) and h.label = 0
"""
_LABEL_CURRENT = """
update resource r set label = n.label from unnest($1::bigint[], $2::bigint[]) as n(rid, label)
where r.rid = n.rid
"""
_LABEL_PAST = """
update history h set label = n.label
from unnest($1::smallint[], $2::text[], $3::int[], $4::bigint[]) as n(type, id, version, label)
where h.type = n.type and h.id = n.id and h.version = n.version
"""
# A deletion is of the kind of what it deleted.
_LABEL_DELETIONS = """
update {table} d set label = (
  select h.label from history h where h.type = d.type and h.id = d.id and h.version < d.version
    and not h.deleted order by h.version desc limit 1)
from unnest($1::smallint[], $2::text[], $3::int[]) as n(type, id, version)
where d.type = n.type and d.id = n.id and d.version = n.version and exists (
  select from history h where h.type = d.type and h.id = d.id and h.version < d.version
    and not h.deleted)
"""


async def relabel(job: Job, *, step: int = STEP) -> Mapping[str, Any]:
    """The job: every row whose label is 0, current and superseded."""
    last = job.state.get("last") or await job.db.fetchval(_LAST)
    rid: int = job.state.get("rid", 0)
    changed = 0
    while True:
        async with job.db.transaction() as connection:
            rows = await connection.fetch(_NEXT, rid, last, step)
            if not rows:
                return {"labelled": changed}
            rids = [row["rid"] for row in rows]
            changed += await _step(job.db, connection, rids)
            rid = rids[-1]
            state = {"rid": rid, "last": last}
            await job.checkpoint(state, done=job.done + len(rids), connection=connection)
        await asyncio.sleep(0.001)  # whoever waits for the machine comes first


async def _step(db: Database, connection: Connection, rids: Sequence[int]) -> int:
    current = await connection.fetch(_CURRENT, rids)
    past = await connection.fetch(_PAST, rids)
    await db.bodies.ensure(cast(Database, connection), {row["dict"] for row in [*current, *past]})
    made = [(row["rid"], label) for row in current if (label := _label(db, row))]
    before = [
        (row["type"], row["id"], row["version"], label)
        for row in past
        if (label := _label(db, row))
    ]
    if made:
        await connection.execute(_LABEL_CURRENT, *zip(*made, strict=True))
    if before:
        await connection.execute(_LABEL_PAST, *zip(*before, strict=True))
    for table, rows in (("resource", current), ("history", past)):
        gone = [(row["type"], row["id"], row["version"]) for row in rows if row["deleted"]]
        if gone:
            sql = _LABEL_DELETIONS.format(table=table)
            await connection.execute(sql, *zip(*gone, strict=True))
    return len(made) + len(before)


def _label(db: Database, row: Record) -> int:
    """The label of a stored version; 0 of a deletion and of bytes that are no JSON."""
    if row["deleted"]:
        return 0
    try:
        resource = parse(db.bodies.decompress(row["dict"], row["body"]))
    except JsonError:
        return 0
    return label_of(RESOURCE_TYPES[row["type"]], resource)
