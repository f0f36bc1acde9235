"""The feed is shortened behind its listeners, never before one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pater.store.database import Database
from pater.store.feed import advance, purge, read_feed
from tests.conftest import Clock

OLD = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("one", "other")


async def filled(db: Database, count: int, at: datetime = OLD) -> None:
    for number in range(count):
        await db.execute(
            "insert into feed (at, changes) values ($1, '[]')", at + timedelta(minutes=number)
        )


async def left(db: Database) -> int:
    found: int = await db.fetchval("select count(*) from feed")
    return found


async def test_what_a_listener_waits_for_stays(database: Database, clock: Clock) -> None:
    await filled(database, 6)
    late = OLD + timedelta(days=1)
    assert await purge(database, late, NAMES) == 0  # nobody has read anything
    events = await read_feed(database, "one", 10)
    await advance(database, "one", events[3])
    assert await purge(database, late, NAMES) == 0  # the other has read nothing
    await advance(database, "other", events[1])
    assert await purge(database, late, NAMES) == 2
    assert await read_feed(database, "other", 10) == events[2:]
    assert await read_feed(database, "one", 10) == events[4:]
    await advance(database, "other", events[5])
    assert await purge(database, late, NAMES) == 2
    assert await read_feed(database, "one", 10) == events[4:]
    # a cursor of a listener that is no more holds nothing up
    assert await purge(database, late, ["other"]) == 2
    assert await left(database) == 0


async def test_what_is_young_stays_and_a_round_is_bounded(database: Database, clock: Clock) -> None:
    await filled(database, 10)
    await filled(database, 3, OLD + timedelta(days=9))
    for name in NAMES:
        await advance(database, name, (await read_feed(database, name, 20))[-1])
    late = OLD + timedelta(days=1)
    assert [await purge(database, late, NAMES, 4) for _ in range(4)] == [4, 4, 2, 0]
    assert await left(database) == 3


async def test_a_purge_reads_only_the_head_of_the_feed(database: Database, clock: Clock) -> None:
    await filled(database, 300, OLD + timedelta(days=9))
    await database.execute("analyze feed")
    for name in NAMES:
        await advance(database, name, (await read_feed(database, name, 500))[-1])
    assert await purge(database, OLD, NAMES, 10) == 0
