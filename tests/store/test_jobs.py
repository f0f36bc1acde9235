"""Durable jobs: done once when all goes well, gone on with when a worker dies, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from pater.store import jobs
from pater.store.database import Database
from pater.store.jobs import Handler, Job, JobFailed, JobRow
from pater.store.workers import Workers
from pater.store.write import Committer, WriteSet
from tests.conftest import Clock
from tests.store.makers import put
from tests.waiting import PATIENCE


@asynccontextmanager
async def working(db: Database, handlers: Mapping[str, Handler], **how: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    options = {"pause": 0.02, "lease": 60.0, "backoff": 0.01, **how}
    task = asyncio.create_task(Workers(db, handlers, **options).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


async def ended(db: Database, id: str) -> JobRow:
    async with asyncio.timeout(PATIENCE):
        while True:
            row = await jobs.look(db, id)
            if row is not None and not row.unfinished:
                return row
            await asyncio.sleep(0.01)


async def test_a_job_gives_its_result(database: Database) -> None:
    async def add(job: Job) -> dict[str, Any]:
        await job.checkpoint({"at": 1}, done=1, total=2, note="half")
        return {"sum": job.payload["a"] + job.payload["b"]}

    id = await jobs.enqueue(database, "add", {"a": 1, "b": 2}, owner="me")
    waiting = await jobs.look(database, id)
    assert waiting is not None and (waiting.state, waiting.result) == ("waiting", None)
    async with working(database, {"add": add}):
        row = await ended(database, id)
    assert (row.state, row.result, row.owner) == ("done", {"sum": 3}, "me")
    assert (row.done, row.total, row.note, row.checkpoint) == (1, 2, "half", {"at": 1})
    assert row.finished and row.expires and row.expires > row.finished


async def test_each_job_is_done_once_by_many_workers(database: Database) -> None:
    seen: list[int] = []

    async def note(job: Job) -> None:
        seen.append(job.payload["n"])
        await asyncio.sleep(0)

    ids = [await jobs.enqueue(database, "note", {"n": n}) for n in range(60)]
    async with (
        working(database, {"note": note}),
        working(database, {"note": note}),
        working(database, {"note": note}),
    ):
        for id in ids:
            await ended(database, id)
    assert sorted(seen) == list(range(60))


async def test_a_kind_nobody_knows_waits(database: Database) -> None:
    async def other(job: Job) -> None: ...

    id = await jobs.enqueue(database, "unknown", {})
    mark = await jobs.enqueue(database, "known", {})
    async with working(database, {"known": other}):
        await ended(database, mark)
    row = await jobs.look(database, id)
    assert row is not None and row.state == "waiting"


async def test_failures_are_tried_again_and_at_last_given_up(database: Database) -> None:
    tries: list[int] = []

    async def shaky(job: Job) -> dict[str, Any]:
        tries.append(job.attempt)
        if len(tries) < 3:
            raise ValueError("secret of a person")
        return {}

    async def broken(job: Job) -> None:
        raise ValueError("secret of a person")

    async def impossible(job: Job) -> None:
        raise JobFailed("no such file")

    one = await jobs.enqueue(database, "shaky", {})
    two = await jobs.enqueue(database, "broken", {}, attempts=2)
    three = await jobs.enqueue(database, "impossible", {})
    handlers: dict[str, Handler] = {"shaky": shaky, "broken": broken, "impossible": impossible}
    async with working(database, handlers):
        first, second, third = [await ended(database, id) for id in (one, two, three)]
    assert (first.state, tries) == ("done", [1, 2, 3])
    assert (second.state, second.error, second.attempts) == ("failed", "ValueError", 2)
    assert (third.state, third.error, third.attempts) == ("failed", "no such file", 1)


async def test_a_dead_workers_job_goes_on_from_its_checkpoint(database: Database) -> None:
    steps: list[int] = []
    hung = asyncio.Event()

    async def hang(job: Job) -> None:
        await job.checkpoint({"next": 3}, done=3)
        hung.set()
        await asyncio.Event().wait()

    async def go_on(job: Job) -> dict[str, Any]:
        for step in range(job.state.get("next", 0), 5):
            steps.append(step)
            await job.checkpoint({"next": step + 1}, done=step + 1)
        return {}

    id = await jobs.enqueue(database, "steps", {})
    dead = asyncio.create_task(
        Workers(database, {"steps": hang}, lease=0.5, pause=0.02).run(asyncio.Event())
    )
    await asyncio.wait_for(hung.wait(), PATIENCE)
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    # as after SIGKILL: nobody renews the lease, nobody gave the job back
    await database.execute("update job set state = 'running', worker = $1, due = now()", uuid4())
    async with working(database, {"steps": go_on}):
        row = await ended(database, id)
    assert (row.state, row.done, steps) == ("done", 5, [3, 4])


async def test_who_lost_the_lease_cannot_write(database: Database) -> None:
    lost = asyncio.Event()
    begun = asyncio.Event()

    async def slow(job: Job) -> dict[str, Any]:
        begun.set()
        await asyncio.wait_for(lost.wait(), PATIENCE)
        async with job.db.transaction() as connection:
            await connection.execute("insert into claim values ('k', 0, 'late')")
            await job.checkpoint({}, connection=connection)
        return {}

    id = await jobs.enqueue(database, "slow", {})
    async with working(database, {"slow": slow}, lease=60.0):
        await begun.wait()
        assert await jobs.cancel(database, id)
        lost.set()
        row = await ended(database, id)
    assert row.state == "cancelled"
    assert await database.fetchval("select count(*) from claim") == 0
    assert not await jobs.cancel(database, id)


async def test_cancelling_stops_a_running_handler(database: Database) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def forever(job: Job) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    id = await jobs.enqueue(database, "forever", {})
    async with working(database, {"forever": forever}, lease=0.1):
        await begun.wait()
        assert await jobs.cancel(database, id)
        await asyncio.wait_for(stopped.wait(), PATIENCE)


async def test_a_graceful_stop_gives_the_job_back_at_once(database: Database) -> None:
    begun = asyncio.Event()

    async def long(job: Job) -> None:
        await job.checkpoint({"half": True})
        begun.set()
        await asyncio.Event().wait()

    id = await jobs.enqueue(database, "long", {})
    async with working(database, {"long": long}, lease=60.0):
        await begun.wait()
    row = await jobs.look(database, id)
    assert row is not None
    assert (row.state, row.attempts, row.checkpoint) == ("waiting", 0, {"half": True})


async def test_the_same_work_waits_once(database: Database) -> None:
    one = await jobs.enqueue(database, "index", {}, dedupe="Patient")
    assert await jobs.enqueue(database, "index", {}, dedupe="Patient") == one
    assert await jobs.enqueue(database, "index", {}, dedupe="Observation") != one
    assert await jobs.enqueue(database, "other", {}, dedupe="Patient") != one
    assert await jobs.cancel(database, one)
    assert await jobs.enqueue(database, "index", {}, dedupe="Patient") != one


async def test_a_job_stands_or_falls_with_its_transaction(database: Database, clock: Clock) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            await jobs.enqueue(connection, "kind", {})
            raise RuntimeError
    assert await jobs.listing(database) == []
    committer = Committer(database, clock)
    id = str(uuid4())
    statement = jobs.enqueue_statement("kind", {"a": "ž"}, id=id, owner="x")
    await committer.commit(WriteSet(puts=[put("a")], statements=[statement]))
    await committer.stop()
    [row] = await jobs.listing(database, kind="kind", state="waiting")
    assert (row.id, row.payload) == (id, {"a": "ž"})


async def test_schedules_ask_again_and_old_jobs_go(database: Database) -> None:
    runs = asyncio.Semaphore(0)

    async def tick(job: Job) -> None:
        runs.release()

    await jobs.schedule(database, "tick", "tick", timedelta(milliseconds=1), {"x": 1})
    async with working(database, {"tick": tick}), asyncio.timeout(PATIENCE):
        await runs.acquire()
        await runs.acquire()
    assert await jobs.look(database, "no id") is None
    [row, *_] = await jobs.listing(database)
    gone = str(uuid4())
    assert await jobs.known(database, [row.id, gone, "no id"]) == {row.id, "no id"}
    await database.execute("update job set expires = now() - interval '1 s' where state = 'done'")
    assert await jobs.purge(database) >= 1
    assert [row for row in await jobs.listing(database) if row.state == "done"] == []
