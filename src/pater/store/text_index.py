"""The index of words: made from the feed after the writes, and made current before it is asked.

Writes pay nothing for it. A search for words first indexes what was written since, so that it
finds what is there; when that is too much for one request it says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final, cast

import orjson

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import JsonError, parse
from pater.fhir.search.words import resource_words
from pater.store.database import Connection, Database, Record
from pater.store.feed import FeedEvent, advance, read_feed
from pater.store.jobs import Job
from pater.store.search.errors import too_costly
from pater.store.search.sql import NARRATIVE, storable

KIND: Final = "text-index"
"""The job that indexes what no search has had indexed, and the reader of the feed."""
MOST: Final = 4_000
"""Resources that a search may have to index before it begins."""
_EVENTS: Final = 200
_CHUNK: Final = 200
_STEP: Final = 1_000  # resources of one transaction, but for one write set that has more
_PATIENCE: Final = 5.0  # seconds
_PAUSE: Final = 0.02
# One at a time: two would only do the same work.
_LOCK: Final = 0x70617465725F7478
_SHARE: Final = 9  # seconds of rest for each second of work: writes are what the machine is for
_LONGEST: Final = 3_000_000
"""Bytes of a body that is looked at; larger ones are files, not texts."""
_UNSETTLED = """
select f.changes from feed f
where (f.xid, f.seq) > (
        coalesce((select c.xid from feed_cursor c where c.listener = $1), '0'::xid8),
        coalesce((select c.seq from feed_cursor c where c.listener = $1), 0))
order by f.xid, f.seq limit $2
"""
_ROWS = """
select r.person, r.rid, r.type, r.version, r.deleted, r.dict, r.body
from unnest($1::smallint[], $2::text[]) as k(type, id)
join resource r on r.type = k.type and r.id = k.id
"""
_FORGET = "delete from text_index where rid = any($1::bigint[])"
_INSERT = """
insert into text_index (person, rid, type, version, words)
select n.person, n.rid, n.type, n.version, array_to_tsvector(string_to_array(n.words, ' '))
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::int[], $5::text[])
  as n(person, rid, type, version, words)
"""
_Key = tuple[str, str]


async def make_current(db: Database) -> None:
    """Indexes all that was written before this call. SearchError when it is too much."""
    left, patience = MOST, _PATIENCE
    while left > 0 and patience > 0:
        async with db.transaction() as connection:
            mine = await connection.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK)
            if mine:
                done, more = await _settled(db, connection)
                left -= done
                if not more:
                    await _rest(db, connection, left)
                    return
        if not mine:
            # somebody else does it; waiting takes no connection from those who write
            await asyncio.sleep(_PAUSE)
            patience -= _PAUSE
    raise too_costly(
        "many resources were written just now and their words are being indexed: ask later"
    )


async def index_words(job: Job) -> dict[str, Any]:
    """The job: all that is settled, slowly. Harmless at any time, in any number."""
    total = 0
    more = True
    while more:
        begun = perf_counter()
        async with job.db.transaction() as connection:
            held = await connection.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK)
            if not held:
                break
            done, more = await _settled(job.db, connection)
        total += done
        await job.checkpoint({}, done=total)
        await asyncio.sleep((perf_counter() - begun) * _SHARE)
    return {"indexed": total}


async def _settled(db: Database, connection: Connection) -> tuple[int, bool]:
    """One step along the feed: how many resources, and whether more may follow."""
    events: Sequence[FeedEvent] = await read_feed(cast(Database, connection), KIND, _EVENTS)
    keys: set[_Key] = set()
    last: FeedEvent | None = None
    for last in events:
        keys |= {(change.type, change.id) for change in last.changes}
        if len(keys) >= _STEP:
            break
    if last is None:
        return 0, False
    await _index(db, connection, sorted(keys))
    await advance(connection, KIND, last)
    return len(keys), last is not events[-1] or len(events) == _EVENTS


async def _rest(db: Database, connection: Connection, left: int) -> None:
    """What is committed and visible, but may yet be overtaken: indexed, and once more later."""
    rows = await connection.fetch(_UNSETTLED, KIND, max(left, 1))
    keys = {
        (change[0], change[1]) for row in rows for change in orjson.loads(row["changes"])
    }  # fmt: skip
    if keys:
        await _index(db, connection, sorted(keys))


async def _index(db: Database, connection: Connection, keys: Sequence[_Key]) -> None:
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        types, ids = [TYPE_NUMBER[type_] for type_, _ in part], [id_ for _, id_ in part]
        rows = await connection.fetch(_ROWS, types, ids)
        await db.bodies.ensure(cast(Database, connection), {row["dict"] for row in rows})
        await connection.execute(_FORGET, [row["rid"] for row in rows])
        made = [(row, words) for row in rows if (words := _words(db, row))]
        if made:
            await connection.execute(
                _INSERT,
                [row["person"] for row, _ in made],
                [row["rid"] for row, _ in made],
                [row["type"] for row, _ in made],
                [row["version"] for row, _ in made],
                [words for _, words in made],
            )
        await asyncio.sleep(0)


def _words(db: Database, row: Record) -> str:
    """The words of a row with blanks between, each once; "" for a deletion."""
    if row["deleted"] or RESOURCE_TYPES[row["type"]] == "Binary":
        return ""
    body = db.bodies.decompress(row["dict"], row["body"])
    if len(body) > _LONGEST:
        return ""
    try:
        resource = parse(body)
    except JsonError:
        return ""
    words, narrative = resource_words(resource)
    return storable(" ".join([*words, *(NARRATIVE + word for word in narrative)]))
