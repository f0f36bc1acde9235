"""The feed: every commit in order, for listeners that must miss none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg
import orjson

from pater.store.database import Connection, Database

# A commit may become visible after a later one. A row is handed out only when every transaction
# that began before it has ended (xid < xmin of the snapshot), so (xid, seq) never grows a row
# behind a cursor that has passed.
_READ = """
select f.seq, f.xid::text as xid, f.at, f.changes
from feed f
where (f.xid, f.seq) > (
        coalesce((select c.xid from feed_cursor c where c.listener = $1), '0'::xid8),
        coalesce((select c.seq from feed_cursor c where c.listener = $1), 0))
  and f.xid < pg_snapshot_xmin(pg_current_snapshot())
order by f.xid, f.seq
limit $2
"""
_ADVANCE = """
insert into feed_cursor as c (listener, xid, seq, updated) values ($1, $2::text::xid8, $3, now())
on conflict (listener) do update
set xid = excluded.xid, seq = excluded.seq, updated = excluded.updated, failures = 0, error = ''
where (c.xid, c.seq) < (excluded.xid, excluded.seq)
"""
_FAILED = """
insert into feed_cursor as c (listener, xid, seq, updated, failures, error)
values ($1, '0', 0, now(), 1, $2)
on conflict (listener) do update
set failures = c.failures + 1, error = excluded.error, updated = excluded.updated
"""
# The first rows in the order of the feed, as far as they are old and behind every listener. One
# without a cursor has read nothing yet.
_PURGE = """
delete from feed f using (select xid, seq, at from feed order by xid, seq limit $3) o
where f.seq = o.seq and o.at < $1
  and (o.xid, o.seq) <= (
    select coalesce(c.xid, '0'::xid8) as xid, coalesce(c.seq, 0) as seq
    from unnest($2::text[]) as l(name) left join feed_cursor c on c.listener = l.name
    order by 1, 2 limit 1)
"""
_BATCH = 100
_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 300.0


class Change(NamedTuple):
    """One resource of a commit; `method` is POST, PUT, PATCH or DELETE."""

    type: str
    id: str
    version: int
    method: str
    person: int


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One write set; (`xid`, `seq`) is its place in the order."""

    seq: int
    xid: int
    at: datetime
    changes: list[Change]


def encode_changes(changes: Sequence[Change]) -> str:
    """The text of the `changes` column."""
    return orjson.dumps([*map(tuple, changes)]).decode()


async def read_feed(db: Database, listener: str, limit: int) -> list[FeedEvent]:
    """Up to `limit` events after the listener's cursor, in order, none missing."""
    return [
        FeedEvent(
            seq=row["seq"],
            xid=int(row["xid"]),
            at=row["at"],
            changes=[*map(Change._make, orjson.loads(row["changes"]))],
        )
        for row in await db.fetch(_READ, listener, limit)
    ]


async def advance(connection: Connection | Database, listener: str, event: FeedEvent) -> None:
    """Puts the cursor behind `event`, never back; in a listener's own transaction: exactly once."""
    await connection.execute(_ADVANCE, listener, str(event.xid), event.seq)


async def purge(
    db: Database, before: datetime, listeners: Collection[str], most: int = 10_000
) -> int:
    """Removes up to `most` rows written before a moment that all the listeners have passed."""
    tag = await db.execute(_PURGE, before, list(listeners), most)
    return int(tag.rsplit(" ", 1)[-1])


async def run_listener(
    db: Database,
    listener: str,
    handle: Callable[[FeedEvent], Awaitable[None]],
    *,
    stop: asyncio.Event,
    pause: float = 1.0,
) -> None:
    """Hands every event to `handle` at least once, in order, until `stop` is set.

    `pause` is the seconds between looks at an idle feed. A handler that raises is asked again with
    the same event after a growing pause; the failure stands in `feed_cursor` (kind of error only:
    its text might name a person), and no later event overtakes it.
    """
    failures = 0
    while not stop.is_set():
        more = False
        try:
            events = await read_feed(db, listener, _BATCH)
            for event in events:
                await handle(event)
                await advance(db, listener, event)
                failures = 0
                if stop.is_set():
                    return
            more = len(events) == _BATCH
            failures = 0
        except Exception as error:
            failures += 1
            await _record_failure(db, listener, type(error).__name__)
        if not more:
            wait = min(pause * 2 ** min(failures, 16), _LONGEST_PAUSE)
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                continue


async def _record_failure(db: Database, listener: str, kind: str) -> None:
    _LOG.warning("listener %s failed: %s", listener, kind)
    try:
        await db.execute(_FAILED, listener, kind)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        # The database itself is away: the log has it, and the next look tries again.
        _LOG.warning("listener %s: its failure could not be recorded", listener)
