"""A long transaction of many sets is one to everybody else, and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from pater.store.database import Connection, Database
from pater.store.feed import read_feed
from pater.store.read import read
from pater.store.write import Committer, Put, VersionConflict, WriteSet
from tests.waiting import until

from ..conftest import Clock
from .makers import put


async def test_many_sets_are_written_at_one_moment_or_not_at_all(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    await committer.start()
    await committer.commit(WriteSet([put("last")]))
    begun = len(await read_feed(database, "test", 100))

    async def parts(connection: Connection) -> AsyncGenerator[WriteSet, None]:
        for number in range(3):
            assert await read(database, "Observation", "part-0") is None
            yield WriteSet([put(f"part-{number}")])
        assert (
            await connection.fetchval("select count(*) from resource where id like 'part-%'") == 3
        )

    wrong = put("last")
    late = Put(wrong.type, wrong.id, wrong.person, wrong.resource, expected=9)
    with pytest.raises(VersionConflict):
        await committer.commit_long(parts, WriteSet([late]))
    assert await read(database, "Observation", "part-0") is None
    assert len(await read_feed(database, "test", 100)) == begun
    [done] = await committer.commit_long(parts, WriteSet([put("last")]))
    assert (done.id, done.version) == ("last", 2)
    assert await read(database, "Observation", "part-2") is not None
    events = (await read_feed(database, "test", 100))[begun:]
    told = [change.id for event in events for change in event.changes]
    assert told == ["part-0", "part-1", "part-2", "last"]
    await committer.stop()


async def test_changes_of_what_is_held_wait_and_hold_up_nobody(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    await committer.start()
    await committer.commit(WriteSet([put("held", person=7), put("free", person=8)]))
    committer.hold({7}, {"pat"})
    waiting = [
        asyncio.create_task(committer.commit(WriteSet([each])))
        for each in (put("held", person=7), Put("Patient", "pat", 9, {"resourceType": "Patient"}))
    ]
    for _ in range(5):  # more than there are lanes
        await committer.commit(WriteSet([put("free", person=8)]))
    new = put("x", person=7)
    fresh = Put(new.type, str(uuid4()), 7, new.resource, expected=0, method="POST")
    [made] = await committer.commit(WriteSet([fresh]))
    assert made.created
    assert not any(each.done() for each in waiting)
    committer.hold((), ())
    await until(lambda: all(each.done() for each in waiting))
    assert [each.result()[0].version for each in waiting] == [2, 1]
    await committer.stop()


async def test_who_stops_does_not_wait_for_what_is_held(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)
    await committer.start()
    committer.hold({7}, ())
    waiting = asyncio.create_task(committer.commit(WriteSet([put("held", person=7)])))
    await asyncio.sleep(0)
    await committer.stop()
    [written] = await waiting
    assert written.version == 1
