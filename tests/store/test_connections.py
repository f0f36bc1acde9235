"""Lending connections: bounded, none lost, none lent in the middle of somebody else's statement."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import asyncpg
import pytest

from pater.store.database import Database
from tests.waiting import until


@pytest.fixture
async def two(database: Database) -> Database:
    return await Database.open(database.dsn, min_size=1, max_size=2)


async def test_more_users_than_connections_all_get_their_turn(two: Database) -> None:
    found = await asyncio.gather(*(two.fetchval("select $1::int", n) for n in range(50)))
    assert found == list(range(50))
    sessions = await two.fetchval(
        "select count(*) from pg_stat_activity where pid in"
        " (select pid from pg_stat_activity where query like '%select $1::int%')"
    )
    assert sessions <= 3  # ours are two; this question is of one of them
    await two.close()


async def at_work(database: Database, sql: str, sessions: int) -> bool:
    """Whether so many sessions of the database are in the middle of a statement."""
    found: int = await database.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and state = 'active' and query = $1",
        sql,
    )
    return found == sessions


async def test_who_is_cancelled_leaves_nothing_behind(two: Database, database: Database) -> None:
    for number in range(3):
        wait = f"select pg_sleep(600 + {number})"
        sleeping = [asyncio.create_task(two.execute(wait)) for _ in range(4)]
        # on all connections that there are; the others wait for one
        await until(partial(at_work, database, wait, 2))
        for task in sleeping:
            task.cancel()
        await asyncio.gather(*sleeping, return_exceptions=True)
        assert await asyncio.gather(*(two.fetchval("select 7") for _ in range(6))) == [7] * 6
    await two.close()


async def test_a_task_that_is_thrown_away_gives_its_connection_up(two: Database) -> None:
    statement = two.execute("select pg_sleep(30)")
    statement.send(None)  # begun, and never gone on with
    statement.close()
    gc.collect()
    assert await asyncio.gather(*(two.fetchval("select 7") for _ in range(6))) == [7] * 6
    await two.close()


async def test_an_open_transaction_ends_with_its_user(two: Database) -> None:
    async with two.connection() as connection:
        await connection.execute("begin")
        await connection.execute("create table left_open (n int)")
    assert await two.fetchval("select to_regclass('left_open')") is None
    await two.close()


async def test_a_lost_connection_is_replaced(two: Database, database: Database) -> None:
    pid = await two.fetchval("select pg_backend_pid()")
    await database.execute("select pg_terminate_backend($1)", pid)
    lost = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
    # the server ends it in its own time: until then it answers, at that moment it may fail once,
    # and from then on somebody else answers
    failed = 0
    answered = pid
    while answered == pid:
        try:
            answered = await two.fetchval("select pg_backend_pid()")
        except lost:
            failed += 1
            assert failed == 1
    # and its place is free again: two are lent at once
    async with two.connection() as one, two.connection() as other:
        both = {await each.fetchval("select pg_backend_pid()") for each in (one, other)}
    assert len(both - {pid}) == 2
    await two.close()


async def test_closing_waits_for_those_at_work_and_ends_the_rest(
    two: Database, database: Database
) -> None:
    wait = "select 7 from pg_advisory_lock(4711)"
    async with database.connection() as holder:
        await holder.execute("select pg_advisory_lock(4711)")
        working = asyncio.create_task(two.fetchval(wait))
        await until(partial(at_work, database, wait, 1))
        closing = asyncio.create_task(two.close())
        await asyncio.sleep(0)  # it has begun
        assert not closing.done()
        await holder.execute("select pg_advisory_unlock(4711)")
    await closing
    assert await working == 7
    with pytest.raises(asyncpg.InterfaceError):
        await two.fetchval("select 7")
