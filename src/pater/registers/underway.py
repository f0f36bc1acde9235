"""Acts that are so large that a job does them: who is waiting for which, and how far they are.

While one runs, changes of what it moves wait in every process (`Gate.hold`), and nobody else acts
upon the same persons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import structlog

from pater.access.caller import Caller
from pater.records.errors import Conflict
from pater.store import jobs
from pater.store.database import Database
from pater.store.jobs import Job
from pater.store.write import Statement

KIND: Final = "merge"
EVERY: Final = 1.0  # seconds between looks at what others move
_TOLD_EVERY: Final = 1_000  # resources
_UNDER_WAY: Final = "another large merge of one of these persons is under way: wait for its end"
_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended('merge_moving', 0))"
_BUSY: Final = """
select 1 from merge_moving m join job j on j.id = m.job
where m.patient = any($1::text[]) and j.state in ('waiting', 'running') limit 1
"""
_TAKE: Final = """
insert into merge_moving as m (patient, person, act, job)
select k.patient, k.person, $3::text::uuid, $4::text::uuid
from unnest($1::text[], $2::bigint[]) as k(patient, person)
on conflict (patient) do update
set person = excluded.person, act = excluded.act, job = excluded.job
"""
_LEFT: Final = "delete from merge_moving where job = $1::text::uuid"
_OF: Final = """
select m.act::text as act, j.state, j.done, j.total, j.error
from merge_moving m join job j on j.id = m.job where m.patient = $1
"""
_OF_ACT: Final = """
select m.act::text as act, j.state, j.done, j.total, j.error
from merge_moving m join job j on j.id = m.job where m.act::text = $1 limit 1
"""
_RUNNING: Final = """
select m.patient, m.person from merge_moving m join job j on j.id = m.job
where j.state = 'running'
"""
_log = structlog.get_logger("pater.registers")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an act is; `error` says why it was not done."""

    act: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    error: str

    @property
    def unfinished(self) -> bool:
        """Whether it has still to come."""
        return self.state in ("waiting", "running")


class Task:
    """An act in the hands of its job; `act` is its id."""

    def __init__(self, job: Job) -> None:
        self.act = str(job.payload["act"])
        self._job = job
        self._done = self._total = self._told = 0

    async def begin(self, total: int) -> None:
        """Begins, perhaps again, to move so many resources. Raises LeaseLost."""
        self._done, self._total, self._told = 0, total, 0
        await self._job.tell(0, total)

    async def step(self, count: int) -> None:
        """So many more are moved. Raises LeaseLost."""
        self._done += count
        if self._done - self._told >= _TOLD_EVERY:
            self._told = self._done
            await self._job.tell(self._done, max(self._done, self._total))

    def end(self) -> list[Statement]:
        """The last of the transaction: fails (DivisionByZeroError) when another worker has it."""
        return [Statement(_LEFT, (self._job.id,)), self._job.held()]


class Underway:
    """The large acts. `hold` lets changes of persons and Patients wait in this process."""

    def __init__(
        self, db: Database, hold: Callable[[Collection[int], Collection[str]], None]
    ) -> None:
        self._db, self._hold = db, hold

    async def free(self, *patients: str) -> None:
        """Raises Conflict while one of the Patients is moved."""
        if await self._db.fetchval(_BUSY, list(filter(_storable, patients))):
            raise Conflict(_UNDER_WAY)

    async def accept(
        self,
        caller: Caller,
        act: str,
        patients: Sequence[tuple[str, int]],
        payload: Mapping[str, Any],
    ) -> str:
        """Asks for an act upon Patients, each with the person whose resources will be kept as they
        are meanwhile; the id of its job. Raises Conflict.
        """
        whole = {**payload, "act": act, "caller": asdict(caller)}
        async with self._db.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            ids, persons = zip(*patients, strict=True)
            if await connection.fetchval(_BUSY, ids):
                raise Conflict(_UNDER_WAY)
            job = await jobs.enqueue(connection, KIND, whole, owner=f"{caller.kind}:{caller.id}")
            await connection.execute(_TAKE, ids, persons, act, job)
        self._db.job_asked.set()
        return job

    async def of(self, patient: str) -> Progress | None:
        """The large act upon a Patient that is under way or was not done."""
        row = await self._db.fetchrow(_OF, patient)
        return None if row is None else Progress(**dict(row))

    async def of_act(self, act: str) -> Progress | None:
        """As `of`, by the id of the act."""
        row = await self._db.fetchrow(_OF_ACT, act) if _storable(act) else None
        return None if row is None else Progress(**dict(row))

    async def refresh(self) -> None:
        """Lets changes wait for what runs now, and for nothing else."""
        rows = await self._db.fetch(_RUNNING)
        persons = {row["person"] for row in rows} - {0}
        self._hold(persons, {row["patient"] for row in rows})

    async def follow(self, stop: asyncio.Event) -> None:
        """In each process: looks again and again what runs anywhere."""
        while not stop.is_set():
            try:
                await self.refresh()
            except Exception as error:
                _log.error("large merges are not known", kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)


def _storable(id: str) -> bool:
    """Whether the database takes a text at all; nothing has an id that it does not take."""
    return id.isascii() and id.isprintable()


def asker(job: Job) -> Caller:
    """In whose name a job goes on."""
    given = job.payload["caller"]
    return Caller(**{**given, "scopes": tuple(given["scopes"])})
