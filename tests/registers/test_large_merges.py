"""Records too large to be moved while somebody waits: a job moves them, at one moment for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from unittest.mock import patch

import pytest

from pater.records.errors import Conflict
from pater.registers.merging import Merge
from pater.registers.underway import KIND, Task
from pater.store.jobs import cancel, look
from pater.store.workers import Workers
from tests.registers.merging_world import (
    REGISTRAR,
    Ward,
    consent,
    large,
    observation,
    same,
)
from tests.waiting import until


class Middle:
    """A large act stands in the middle of what it moves, until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


@contextmanager
def in_the_middle() -> Iterator[Middle]:
    """The next large act stops after its first resources."""
    middle, step = Middle(), Task.step

    async def held(self: Task, count: int) -> None:
        await step(self, count)
        middle.reached.set()
        await middle.go.wait()

    with patch.object(Task, "step", held):
        try:
            yield middle
        finally:
            middle.go.set()


@asynccontextmanager
async def worker(ward: Ward) -> AsyncIterator[asyncio.Task[None]]:
    """A process that does large acts, until the end or until it is cancelled."""
    stop = asyncio.Event()
    workers = Workers(ward.db, {KIND: ward.merging.work}, lease=1.0, pause=0.05)
    running = asyncio.create_task(workers.run(stop))
    try:
        yield running
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)


async def pair(ward: Ward) -> tuple[str, str]:
    """Two persons, each with a document and some observations."""
    (_, one), (_, other) = await ward.somebody("Velká"), await ward.somebody("Obsáhlá")
    for number in range(3):
        await ward.create(observation(other, 60 + number))
    return one, other


async def accepted(ward: Ward, one: str, other: str) -> Merge:
    """A merge that is left to a job."""
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    assert act.job
    return act


async def test_nobody_sees_a_part_of_it_and_it_is_theirs_alone(ward: Ward) -> None:
    one, other = await pair(ward)
    mine = await ward.found(f"Observation?patient={one}&_count=50")
    theirs = await ward.found(f"Observation?patient={other}&_count=50")
    before = await ward.picture()
    fed = await ward.db.fetchval("select count(*) from feed")
    with large(), in_the_middle() as middle:
        act = await accepted(ward, one, other)
        async with worker(ward):
            await middle.reached.wait()
            assert same(before, await ward.picture()) == []
            assert await ward.found(f"Observation?patient={one}&_count=50") == mine
            assert await ward.found(f"Observation?patient={other}&_count=50") == theirs
            assert await ward.db.fetchval("select count(*) from feed") == fed
            progress = await ward.merging.underway.of(other)
            assert progress is not None and progress.unfinished
            assert progress.total > len(theirs)
            for doing in (
                ward.merging.merge(REGISTRAR, one, other, "again"),
                ward.merging.merge(REGISTRAR, other, one, "the other way round"),
                ward.merging.link(REGISTRAR, one, other, "perhaps"),
                ward.merging.split(REGISTRAR, other, "two", resources=[("Observation", theirs[0])]),
                ward.merging.cancel(REGISTRAR, one, "nobody"),
                ward.merging.undo(REGISTRAR, act.id),
            ):
                with pytest.raises(Conflict, match="under way"):
                    await doing
            middle.go.set()
            await ward.done(act)
    both = await ward.found(f"Observation?patient={one}&_count=50")
    assert both == sorted([*mine, *theirs])
    assert await ward.found(f"Observation?patient={other}&_count=50") == both
    assert await ward.merging.underway.of(other) is None
    with large():
        undone = await ward.merging.undo(REGISTRAR, act.id)
        assert undone.job and (await ward.done(undone)).undone
    assert same(before, await ward.picture()) == []


async def test_what_is_written_meanwhile_follows_and_protects(ward: Ward) -> None:
    one, other = await pair(ward)
    [changed, *_] = await ward.found(f"Observation?patient={other}&code=8867-4&_count=50")
    body = await ward.get(f"Observation/{changed}")
    body["valueQuantity"]["value"] = 199
    with large(), in_the_middle() as middle:
        act = await accepted(ward, one, other)
        async with worker(ward):
            await middle.reached.wait()
            new = await ward.create(observation(other, 111))
            held_back = await ward.create(consent(other))
            late = asyncio.create_task(ward.call("PUT", f"Observation/{changed}", json=body))
            will = "select person from will where source = $1"
            assert await ward.db.fetchval(will, held_back) == act.former
            assert not late.done()  # what is moved stays as it is meanwhile
            middle.go.set()
            await ward.done(act)
            answer = await late
    assert answer.status_code in (200, 409), answer.text
    found = await ward.found(f"Observation?patient={one}&_count=50")
    assert new in found and changed in found
    assert await ward.person(new) == await ward.person(one)
    assert await ward.db.fetchval(will, held_back) == await ward.person(one)
    left = "select count(*) from resource where person = $1"
    assert await ward.db.fetchval(left, act.former) == 0


@pytest.mark.parametrize("end", ["killed", "lost"])
async def test_who_dies_in_the_middle_leaves_nothing_and_another_does_it(
    ward: Ward, end: str
) -> None:
    one, other = await pair(ward)
    before = await ward.picture()
    for what in ("merge", "undo"):
        with large():
            with in_the_middle() as middle:
                if what == "merge":
                    act = await accepted(ward, one, other)
                else:
                    before, after = await ward.picture(), before
                    act = await ward.merging.undo(REGISTRAR, act.id)
                async with worker(ward) as running:
                    await middle.reached.wait()
                    if end == "killed":  # like kill -9: the server finds the connection gone
                        ended = await ward.db.fetchval(
                            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                            " where datname = current_database() and state like 'idle in%'"
                        )
                        assert ended == 1
                        running.cancel()
                    else:  # it slept too long, and another one has the job by now
                        await ward.db.execute(
                            "update job set worker = gen_random_uuid() where id = $1::text::uuid",
                            act.job,
                        )
                        middle.go.set()
                        await until(lambda: _nobody_writes(ward))
                assert same(before, await ward.picture()) == []
            await ward.db.execute("update job set due = now() where id = $1::text::uuid", act.job)
            done = await ward.done(act)
            assert bool(done.undone) is (what == "undo")
    assert same(after, await ward.picture()) == []


async def _nobody_writes(ward: Ward) -> bool:
    writing = await ward.db.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and backend_xid is not null and pid <> pg_backend_pid()"
    )
    return bool(writing == 0)


async def test_what_cannot_be_done_any_more_is_told_and_can_be_asked_for_again(ward: Ward) -> None:
    one, other = await pair(ward)
    with large():
        seen = [
            int((await ward.get(f"Patient/{each}"))["meta"]["versionId"]) for each in (one, other)
        ]
        act = await ward.merging.merge(REGISTRAR, one, other, "is one", (seen[0], seen[1]))
        changed = await ward.get(f"Patient/{other}")
        answer = await ward.call("PUT", f"Patient/{other}", json={**changed, "gender": "other"})
        assert answer.status_code == 200, answer.text
        before = await ward.picture()
        assert (await ward.worked(act.job)).state == "failed"
        assert same(before, await ward.picture()) == []
        progress = await ward.merging.underway.of(one)
        assert progress is not None and "somebody changed" in progress.error
        stopped = await accepted(ward, one, other)
        assert await cancel(ward.db, stopped.job)
        progress = await ward.merging.underway.of(one)
        assert progress is not None and progress.state == "cancelled"
        assert (await ward.done(await accepted(ward, one, other))).settled
    found = await look(ward.db, act.job)
    assert found is not None and found.result is None


async def test_of_two_who_ask_at_once_one_is_told(ward: Ward) -> None:
    one, other = await pair(ward)
    with large():
        asked = await asyncio.gather(
            ward.merging.merge(REGISTRAR, one, other, "is one"),
            ward.merging.merge(REGISTRAR, other, one, "is one"),
            return_exceptions=True,
        )
        [act] = [each for each in asked if isinstance(each, Merge)]
        [told] = [each for each in asked if not isinstance(each, Merge)]
        assert isinstance(told, Conflict) and "under way" in str(told)
        assert (await ward.done(act)).survivor == act.survivor
