"""Runs jobs: takes what is due, renews leases, retries with a growing pause, stops gracefully."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from pater.store.database import Database, Record
from pater.store.jobs import Handler, Job, JobFailed, LeaseLost

_LOG = logging.getLogger(__name__)
_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_LONGEST_PAUSE: Final = 3600.0
"""Seconds between two attempts at most."""
_SCHEDULE_PAUSE: Final = 1.0
"""Seconds between looks at the schedule at least."""

# The lock is skipped, not waited for: several workers take different jobs.
_TAKE = """
update job set state = 'running', worker = $1, due = now() + $3::interval, attempts = attempts + 1
where id = (
  select id from job
  where state in ('waiting', 'running') and due <= now() and kind = any($2::text[])
  order by due limit 1 for update skip locked)
returning id, kind, owner, payload, checkpoint, attempts, most, created, done, total, note
"""
_RENEW = """
update job set due = now() + $3::interval
where id = any($2::uuid[]) and worker = $1 and state = 'running'
returning id
"""
_DONE = """
update job set state = 'done', result = $3, finished = now(), expires = now() + keep,
               worker = null, error = '', done = $4, total = $5, note = $6
where id = $1 and worker = $2 and state = 'running'
"""
_FAILED = """
update job set state = 'failed', error = $3, finished = now(), expires = now() + keep, worker = null
where id = $1 and worker = $2 and state = 'running'
"""
_AGAIN = """
update job set state = 'waiting', error = $3, due = now() + $4::interval, worker = null
where id = $1 and worker = $2 and state = 'running'
"""
_GIVE_BACK = """
update job set state = 'waiting', due = now(), worker = null, attempts = attempts - 1
where id = $1 and worker = $2 and state = 'running'
"""
_SCHEDULED = """
with due as (
  update job_schedule s set due = now() + s.every
  where s.name in (select name from job_schedule where due <= now() and kind = any($1::text[])
                   for update skip locked)
  returning s.name, s.kind, s.payload)
insert into job (id, kind, dedupe, payload, most, due, keep)
select gen_random_uuid(), d.kind, d.name, d.payload, 8, now(), interval '1 hour' from due d
on conflict (kind, dedupe) where dedupe <> '' and state in ('waiting', 'running') do nothing
"""


class Workers:
    """The workers of one process: up to `lanes` jobs at a time, `each` of one kind.

    `lease` and `pause` (between looks at an empty queue) are seconds.
    """

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        *,
        lanes: int = 4,
        each: int = 2,
        lease: float = 10.0,
        pause: float = 0.5,
        backoff: float = 2.0,
    ) -> None:
        self._db = db
        self._handlers = dict(handlers)
        self._lanes, self._each = lanes, each
        self._lease, self._pause, self._backoff = lease, pause, backoff
        self._me = uuid4()
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._kinds: Counter[str] = Counter()
        self._lost: set[UUID] = set()
        self._free = asyncio.Event()
        self._look_at_schedule = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; what is being done then is given back to other workers."""
        if not self._handlers:
            await stop.wait()
            return
        renewing = asyncio.create_task(self._renew())
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if not await self._take():
                    await self._rest(stopped)
        finally:
            stopped.cancel()
            renewing.cancel()
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, renewing, stopped, return_exceptions=True)

    async def _rest(self, stopped: asyncio.Task[bool]) -> None:
        """Until it is time to look again, or a job has ended, or the end."""
        signs = (self._free, self._db.job_asked)
        waiting = [asyncio.create_task(sign.wait()) for sign in signs]
        await asyncio.wait(
            {stopped, *waiting}, timeout=self._pause, return_when=asyncio.FIRST_COMPLETED
        )
        for sign, task in zip(signs, waiting, strict=True):
            task.cancel()
            sign.clear()

    async def _take(self) -> bool:
        """Begins one job; whether there was one and a free lane."""
        kinds = [kind for kind in self._handlers if self._kinds[kind] < self._each]
        if len(self._running) >= self._lanes or not kinds:
            return False
        try:
            now = asyncio.get_running_loop().time()
            if now >= self._look_at_schedule:
                self._look_at_schedule = now + max(self._pause, _SCHEDULE_PAUSE)
                await self._db.execute(_SCHEDULED, kinds)
            row = await self._db.fetchrow(_TAKE, self._me, kinds, self._span(self._lease))
        except _AWAY as error:
            _LOG.warning("jobs cannot be looked at: %s", type(error).__name__)
            return False
        if row is None:
            return False
        number: UUID = row["id"]
        self._kinds[row["kind"]] += 1
        self._running[number] = asyncio.create_task(self._work(row))
        return True

    async def _work(self, row: Record) -> None:
        number: UUID = row["id"]
        try:
            if row["attempts"] > row["most"]:  # a worker died with it too often
                await self._end(_FAILED, number, "its worker was lost too often")
                return
            await self._try(row)
        except _AWAY as error:
            # the lease runs out, and somebody takes it from its checkpoint
            _LOG.warning("job %s could not be put away: %s", number, type(error).__name__)
        finally:
            self._running.pop(number, None)
            self._lost.discard(number)
            self._kinds[row["kind"]] -= 1
            self._free.set()

    async def _try(self, row: Record) -> None:
        number: UUID = row["id"]
        job = Job(
            id=str(number),
            kind=row["kind"],
            owner=row["owner"],
            payload=orjson.loads(row["payload"]),
            state=orjson.loads(row["checkpoint"]) if row["checkpoint"] else {},
            attempt=row["attempts"],
            created=row["created"],
            db=self._db,
            worker=self._me,
            done=row["done"],
            total=row["total"],
            note=row["note"],
        )
        try:
            result = await self._handlers[job.kind](job)
        except asyncio.CancelledError:
            if number not in self._lost:
                await self._db.execute(_GIVE_BACK, number, self._me)
            return
        except LeaseLost:
            return
        except JobFailed as error:
            await self._end(_FAILED, number, str(error))
            return
        except Exception as error:
            # The kind only: the text of an error may hold data.
            kind = type(error).__name__
            _LOG.warning("job %s (%s) failed: %s", number, job.kind, kind, exc_info=_debug())
            if job.attempt >= row["most"]:
                await self._end(_FAILED, number, kind)
                return
            wait = min(self._backoff * 2 ** (job.attempt - 1), _LONGEST_PAUSE)
            await self._db.execute(_AGAIN, number, self._me, kind, self._span(wait))
            return
        text = orjson.dumps(dict(result or {})).decode()
        await self._end(_DONE, number, text, job.done, job.total, job.note)

    async def _end(self, sql: str, number: UUID, text: str, *more: object) -> None:
        await self._db.execute(sql, number, self._me, text.replace("\0", ""), *more)
        sign, self._db.job_ended = self._db.job_ended, asyncio.Event()
        sign.set()

    async def _renew(self) -> None:
        """Keeps the leases; a job that is no longer ours is stopped."""
        while True:
            await asyncio.sleep(self._lease / 5)
            ours = list(self._running)
            if not ours:
                continue
            with suppress(*_AWAY):
                rows = await self._db.fetch(_RENEW, self._me, ours, self._span(self._lease))
                for number in set(ours) - {row["id"] for row in rows}:
                    task = self._running.get(number)
                    if task is not None:
                        self._lost.add(number)
                        task.cancel()

    @staticmethod
    def _span(seconds: float) -> timedelta:
        return timedelta(seconds=seconds)


def _debug() -> bool:
    return _LOG.isEnabledFor(logging.DEBUG)
