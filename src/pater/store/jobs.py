"""Durable jobs: asked for in a transaction, run by any worker, going on where a dead one stopped.

A handler gets a `Job` and returns its result. It may be started again at any time, also after it
has nearly ended: what it did before its last `checkpoint` must be harmless to do twice. A worker
holds a job by a lease that it renews; another worker takes the job when the lease has run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from pater.store.database import Connection, Database, Record
from pater.store.write_shapes import Statement

__all__ = [
    "Handler",
    "Job",
    "JobFailed",
    "JobRow",
    "LeaseLost",
    "cancel",
    "ended",
    "enqueue",
    "enqueue_statement",
    "forget",
    "known",
    "listing",
    "look",
    "purge",
    "schedule",
    "unfinished",
]

ATTEMPTS: Final = 8
"""Failures in a row, checkpoints not counted, after which a job has failed for good."""
KEEP: Final = timedelta(days=1)
MOST_LISTED: Final = 1_000
_UNFINISHED: Final = ("waiting", "running")

_ENQUEUE = """
insert into job (id, kind, owner, dedupe, payload, most, due, keep)
values ($1, $2, $3, $4, $5, $6, now() + $7::interval, $8)
on conflict (kind, dedupe) where dedupe <> '' and state in ('waiting', 'running') do nothing
"""
_TWIN = (
    "select id from job where kind = $1 and dedupe = $2 and dedupe <> ''"
    " and state in ('waiting', 'running')"
)
_COLUMNS = (
    "id, kind, owner, state, payload, checkpoint, result, done, total, note, attempts, error,"
    " created, due, finished, expires"
)
_LOOK = f"select {_COLUMNS} from job where id = $1"  # noqa: S608 constants
_LIST = (
    f"select {_COLUMNS} from job"  # noqa: S608 constants
    " where ($1 = '' or kind = $1) and ($2 = '' or state = $2) order by created desc limit $3"
)
_UNFINISHED_OF = (
    "select count(*) from job where kind = $1 and owner = $2 and state in ('waiting', 'running')"
)
_WAITED_FOR = "select state in ('waiting', 'running') from job where id = $1"
_PAUSE: Final = 0.05
"""Seconds between the first looks at a job that somebody waits for."""
_CANCEL = """
update job set state = 'cancelled', finished = now(), expires = now() + keep, worker = null
where id = $1 and state in ('waiting', 'running')
"""
_FORGET = "delete from job where id = $1 and state not in ('waiting', 'running')"
_CHECKPOINT = """
update job set checkpoint = $3, done = $4, total = $5, note = $6, attempts = 1
where id = $1 and worker = $2 and state = 'running'
returning true
"""
_TELL = """
update job set done = $3, total = $4 where id = $1 and worker = $2 and state = 'running'
returning true
"""
_HELD = """
select 1 / count(*) from (
  select from job where id = $1 and worker = $2 and state = 'running' for update) held
"""
_SCHEDULE = """
insert into job_schedule (name, kind, payload, every, due) values ($1, $2, $3, $4, now())
on conflict (name) do update
set kind = excluded.kind, payload = excluded.payload, every = excluded.every,
    due = least(job_schedule.due, now() + excluded.every)
"""
_PURGE = """
delete from job where id in (
  select id from job where expires < now() order by expires limit $1)
returning id
"""


class JobFailed(Exception):  # noqa: N818 it says what is so
    """It cannot succeed: no further attempt. The text is for the owner, without personal data."""


class LeaseLost(Exception):  # noqa: N818 it says what is so
    """The job was cancelled, or another worker has it: stop, and write nothing more."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it stands; `result` is None until it is done. `total` 0 = not known."""

    id: str
    kind: str
    owner: str
    state: str
    payload: dict[str, Any]
    checkpoint: dict[str, Any]
    result: dict[str, Any] | None
    done: int
    total: int
    note: str
    attempts: int
    error: str
    created: datetime
    due: datetime
    finished: datetime | None
    expires: datetime | None

    @property
    def unfinished(self) -> bool:
        """Whether it waits or runs."""
        return self.state in _UNFINISHED


@dataclass(slots=True)
class Job:
    """A job in the hands of its handler; `state` is what its last checkpoint said, {} at first."""

    id: str
    kind: str
    owner: str
    payload: dict[str, Any]
    state: dict[str, Any]
    attempt: int
    created: datetime
    db: Database
    worker: UUID
    done: int = 0
    total: int = 0
    note: str = ""

    async def checkpoint(
        self,
        state: Mapping[str, Any],
        *,
        done: int | None = None,
        total: int | None = None,
        note: str | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Durably says from where to go on. On the `connection` of a transaction it stands or
        falls with what the handler wrote there. Raises LeaseLost.
        """
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.note = self.note if note is None else note
        held = await (connection or self.db).fetchval(
            _CHECKPOINT,
            UUID(self.id),
            self.worker,
            orjson.dumps(dict(state)).decode(),
            self.done,
            self.total,
            self.note,
        )
        if not held:
            raise LeaseLost
        self.state, self.attempt = dict(state), 1

    async def tell(self, done: int, total: int) -> None:
        """Says how far it is, without a place to go on from. Raises LeaseLost."""
        self.done, self.total = done, total
        if not await self.db.fetchval(_TELL, UUID(self.id), self.worker, done, total):
            raise LeaseLost

    def held(self) -> Statement:
        """The last statement of a transaction that must not stand when the lease was lost: it fails
        then (DivisionByZeroError).
        """
        return Statement(_HELD, (UUID(self.id), self.worker))


Handler = Callable[[Job], Awaitable["Mapping[str, Any] | None"]]


def enqueue_statement(
    kind: str,
    payload: Mapping[str, Any],
    *,
    id: str,
    owner: str = "",
    dedupe: str = "",
    delay: timedelta = timedelta(0),
    attempts: int = ATTEMPTS,
    keep: timedelta = KEEP,
) -> Statement:
    """A job as a further statement of a write set: it is asked for when the set is committed."""
    text = orjson.dumps(dict(payload)).decode()
    return Statement(_ENQUEUE, (UUID(id), kind, owner, dedupe, text, attempts, delay, keep))


async def enqueue(
    db: Database | Connection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    owner: str = "",
    dedupe: str = "",
    delay: timedelta = timedelta(0),
    attempts: int = ATTEMPTS,
    keep: timedelta = KEEP,
    id: str = "",
) -> str:
    """Asks for a job, at once or in the transaction of a connection, and gives its id.

    While a job of the kind with the same `dedupe` waits or runs, that one's id is given instead.
    `keep` is how long it can be looked at after its end.
    """
    number = id or str(uuid4())
    statement = enqueue_statement(
        kind,
        payload,
        id=number,
        owner=owner,
        dedupe=dedupe,
        delay=delay,
        attempts=attempts,
        keep=keep,
    )
    while True:
        if (await db.execute(statement.sql, *statement.args)).endswith(" 1"):
            if isinstance(db, Database):
                db.job_asked.set()
            return number
        twin = await db.fetchval(_TWIN, kind, dedupe)
        if twin is not None:  # else it ended between our two looks
            return str(twin)


async def look(db: Database, id: str) -> JobRow | None:
    """One job, or None; also for a text that is no id."""
    try:
        number = UUID(id)
    except ValueError:
        return None
    row = await db.fetchrow(_LOOK, number)
    return None if row is None else _row(row)


async def ended(db: Database, id: str, patience: float) -> None:
    """Returns when a job has ended, or after `patience` seconds.

    Of a worker in this process that is known at once, else it is looked for now and then.
    """
    end = asyncio.get_running_loop().time() + patience
    pause = _PAUSE
    while True:
        sign = db.job_ended
        unfinished = await db.fetchval(_WAITED_FOR, UUID(id))
        left = end - asyncio.get_running_loop().time()
        if not unfinished or left <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, pause)):
                await sign.wait()
        pause *= 2


async def listing(
    db: Database, *, kind: str = "", state: str = "", count: int = 100
) -> list[JobRow]:
    """The newest jobs, of a kind and in a state when these are given."""
    rows = await db.fetch(_LIST, kind, state, max(0, min(count, MOST_LISTED)))
    return [_row(row) for row in rows]


async def unfinished(db: Database, kind: str, owner: str) -> int:
    """How many jobs of the kind wait or run for an owner."""
    found: int = await db.fetchval(_UNFINISHED_OF, kind, owner)
    return found


async def cancel(db: Database, id: str) -> bool:
    """Ends a job that waits or runs (its worker notices within seconds); whether there was one."""
    try:
        number = UUID(id)
    except ValueError:
        return False
    return (await db.execute(_CANCEL, number)).endswith(" 1")


async def forget(db: Database, id: str) -> None:
    """Removes a job that has ended."""
    await db.execute(_FORGET, UUID(id))


async def schedule(
    db: Database, name: str, kind: str, every: timedelta, payload: Mapping[str, Any] | None = None
) -> None:
    """Has a job of the kind asked for now and then again each `every`; never two at a time."""
    await db.execute(_SCHEDULE, name, kind, orjson.dumps(dict(payload or {})).decode(), every)


async def purge(db: Database, most: int = 1_000) -> int:
    """Removes up to `most` jobs whose time to be kept is over; says how many."""
    return len(await db.fetch(_PURGE, most))


async def known(db: Database, ids: list[str]) -> frozenset[str]:
    """Those of the ids that are jobs, or no ids at all: what is kept under the others is left."""
    numbers = {}
    for id in ids:
        try:
            numbers[id] = UUID(id)
        except ValueError:
            continue
    sql = "select id from job where id = any($1::uuid[])"
    there = {row["id"] for row in await db.fetch(sql, list(numbers.values()))}
    return frozenset(id for id in ids if id not in numbers or numbers[id] in there)


def _row(row: Record) -> JobRow:
    values = dict(row)
    for name in ("payload", "checkpoint"):
        values[name] = orjson.loads(values[name]) if values[name] else {}
    values["result"] = orjson.loads(values["result"]) if values["result"] else None
    return JobRow(**{**values, "id": str(values["id"])})
