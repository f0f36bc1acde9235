"""The committer: write sets that arrive together are committed together, each by itself right."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from pater.store.database import Connection, Database
from pater.store.journal import JournalEntry
from pater.store.tokens import claim_key
from pater.store.write_batch import (
    Outcome,
    Prepared,
    TryAgainError,
    surely_new,
    write_batch,
    write_long,
)
from pater.store.write_rows import index
from pater.store.write_shapes import (
    Claim,
    ClaimTaken,
    Method,
    PersonMoved,
    Put,
    Statement,
    VersionConflict,
    WriteSet,
    Written,
)

__all__ = [
    "Before",
    "Claim",
    "ClaimTaken",
    "Committer",
    "Method",
    "PersonMoved",
    "Put",
    "Statement",
    "VersionConflict",
    "WriteSet",
    "Written",
    "claim_key",
]

_RID_BLOCK = 1000
"""The increment of the sequence `resource_rid`."""
# Several at a time: a round trip for each new person would be one of the dearest parts of it.
_PERSON_BLOCK = "select nextval('person_number') as number from generate_series(1, 50)"
_MOST_SETS = 256
_MOST_PUTS = 2_000
_ATTEMPTS = 5
_YIELD_EVERY = 50
# The connection broke: whether the batch was committed is not known, so it must not be repeated.
_UNKNOWN = (OSError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
# Another process was in the way; nothing is wrong with the set.
_PASSING = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, TryAgainError)


Before = Callable[[Connection], AsyncGenerator[WriteSet, None]]
"""Makes the sets that come first in a long transaction, in which it may look and lock."""


@dataclass(slots=True, eq=False)
class _Job:
    prepared: Prepared
    keys: frozenset[object]
    done: asyncio.Future[list[Written]]


class Committer:
    """Writes of one process. Several processes may each have one over the same database.

    A commit costs one flush of the disk; sets that wait while one is under way share the next.
    `clock` gives aware times. `lanes` transactions run at a time: while one waits for the disk,
    another is being made ready.
    """

    def __init__(self, db: Database, clock: Callable[[], datetime], *, lanes: int = 2) -> None:
        self._db = db
        self._clock = clock
        self._lanes = lanes
        self._waiting: deque[_Job] = deque()
        self._busy: set[object] = set()
        self._held: frozenset[object] = frozenset()
        self._running: set[asyncio.Task[None]] = set()
        self._noting = 0  # batches under way that touch nothing: journal entries
        self._woken = False
        self._stopped = False
        self._rids: deque[int] = deque()
        self._persons: deque[int] = deque()

    async def start(self) -> None:
        """Loads the compression dictionaries to write with."""
        await self._db.bodies.load(self._db)

    async def stop(self) -> None:
        """Takes no further sets and waits until those taken are written."""
        self._stopped = True
        self._held = frozenset()
        while self._waiting or self._running:
            self._wake()
            if self._running:
                await asyncio.wait(self._running)

    async def next_person(self) -> int:
        """A person number never given before."""
        if not self._persons:
            rows = await self._db.fetch(_PERSON_BLOCK)
            self._persons.extend(row["number"] for row in rows)
        return self._persons.popleft()

    async def journal_only(self, entries: Sequence[JournalEntry]) -> None:
        """Writes journal entries; durable when it returns."""
        if entries:
            await self.commit(WriteSet(journal=list(entries)))

    async def commit(self, ws: WriteSet) -> list[Written]:
        """Writes a set wholly or not at all; durable when it returns. One Written for each put.

        Raises VersionConflict, ClaimTaken and PersonMoved (nothing of this set was written, others
        may be), and whatever the database says to a statement of the set. A caller that is
        cancelled while it waits does not know whether its set was written.
        """
        if self._stopped:
            raise RuntimeError("the committer has been stopped")
        resources = [(put.type, put.id) for put in ws.puts]
        keys: frozenset[object] = frozenset([*resources, *(claim.key for claim in ws.claims)])
        if len(keys) != len(resources) + len(ws.claims):
            raise ValueError("a resource or a claim stands twice in one write set")
        prepared = await self._prepared(ws)
        job = _Job(prepared, keys, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._wake_soon()
        return await job.done

    async def commit_long(self, before: Before, last: WriteSet) -> list[Written]:
        """Writes many sets in one transaction of their own: those that `before` makes, each
        forgotten before the next is asked for, and the last one. Gives the Written of the last.

        It waits for nobody's batch and nobody's batch for it, but for the rows that it locks: see
        `hold`. Raises as `commit`; then nothing is written.
        """

        async def prepared(connection: Connection) -> AsyncGenerator[Prepared, None]:
            async with aclosing(before(connection)) as sets:
                async for ws in sets:
                    yield await self._prepared(ws)

        return await write_long(
            self._db, prepared, await self._prepared(last), self._now, self._take_rids
        )

    def hold(self, persons: Collection[int], patients: Collection[str]) -> None:
        """Sets that change resources of these persons, or these Patients, wait from now on.

        Their rows are locked for long by somebody: whoever waits here holds up nobody else. What
        is new is written. Empty = nothing is held any more.
        """
        self._held = frozenset([*persons, *(("Patient", each) for each in patients)])
        self._wake_soon()

    async def _prepared(self, ws: WriteSet) -> Prepared:
        puts = []
        for number, put in enumerate(ws.puts, start=1):
            puts.append(index(put, self._db.parameters.custom))
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # a large document must not hold up everybody's requests
        return Prepared(ws, puts)

    def _wake_soon(self) -> None:
        # After those callers that are ready now: they belong to the same batch.
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._woken = False
        while len(self._running) < self._lanes:
            if self._noting and not any(job.keys for job in self._waiting):
                return  # journal entries alone gain more by going together than by going at once
            jobs = self._pick()
            if not jobs:
                return
            for job in jobs:
                self._busy |= job.keys
            self._noting += not any(job.keys for job in jobs)
            task = asyncio.create_task(self._run(jobs))
            self._running.add(task)

    def _pick(self) -> list[_Job]:
        """The next batch, in order of arrival; what touches the same things waits its turn."""
        jobs: list[_Job] = []
        later: deque[_Job] = deque()
        blocked = set(self._busy)
        puts = 0
        while self._waiting and len(jobs) < _MOST_SETS and puts < _MOST_PUTS:
            job = self._waiting.popleft()
            if job.done.cancelled():
                continue
            if blocked.isdisjoint(job.keys) and not (self._held and self._holds(job)):
                jobs.append(job)
                puts += len(job.prepared.puts)
            else:
                later.append(job)
            blocked |= job.keys
        self._waiting.extendleft(reversed(later))
        return jobs

    def _holds(self, job: _Job) -> bool:
        if not self._held.isdisjoint(job.keys):
            return True
        return any(
            one.put.person in self._held and not surely_new(one.put) for one in job.prepared.puts
        )

    async def _run(self, jobs: list[_Job]) -> None:
        try:
            await self._write(jobs)
        finally:
            self._noting -= not any(job.keys for job in jobs)
            for job in jobs:
                self._busy -= job.keys
                if not job.done.done():  # only when this task itself is being cancelled
                    job.done.cancel()
            task = asyncio.current_task()
            assert task is not None
            self._running.discard(task)
            self._wake_soon()

    async def _write(self, jobs: list[_Job]) -> None:
        try:
            outcomes = await self._batch(jobs, careful=False)
        except _UNKNOWN as error:
            for job in jobs:
                _tell(job, error)
            return
        except Exception:
            # One poisoned set must not fail its neighbours: each by itself, with its own error.
            for job in jobs:
                await self._alone(job)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            _tell(job, outcome)

    async def _alone(self, job: _Job) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                [outcome] = await self._batch([job], careful=True)
            except Exception as error:
                if isinstance(error, _PASSING) and attempt < _ATTEMPTS:
                    continue
                _tell(job, error)
                return
            _tell(job, outcome)
            return

    async def _batch(self, jobs: list[_Job], *, careful: bool) -> list[Outcome]:
        sets = [job.prepared for job in jobs]
        rids = await self._take_rids(sum(len(one.puts) for one in sets))
        return await write_batch(self._db, sets, self._now, rids, careful=careful)

    def _now(self) -> datetime:
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def _take_rids(self, count: int) -> Iterator[int]:
        while len(self._rids) < count:
            first = await self._db.fetchval("select nextval('resource_rid')")
            self._rids.extend(range(first, first + _RID_BLOCK))
        return iter([self._rids.popleft() for _ in range(count)])


def _tell(job: _Job, outcome: Outcome | Exception) -> None:
    if job.done.done():
        return  # its caller was cancelled meanwhile
    if isinstance(outcome, Exception):
        job.done.set_exception(outcome)
    else:
        job.done.set_result(outcome)
