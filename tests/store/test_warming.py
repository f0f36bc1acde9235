"""What finding persons touches is read into the database's memory, and who cannot is told so."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import asyncpg
import pytest
from click.testing import CliRunner

from pater.cli import main
from pater.store import warming
from pater.store.database import Database

HELD = """
select count(*) from pg_buffercache b join pg_class c on b.relfilenode = pg_relation_filenode(c.oid)
where c.relname = $1
and b.reldatabase = (select oid from pg_database where datname = current_database())
"""


async def filled(db: Database) -> None:
    await db.execute("create extension if not exists pg_buffercache")
    await db.execute("insert into person_key select n % 1000, n from generate_series(1, 60000) n")
    await db.execute(
        "insert into person_index select n, 'features' from generate_series(1, 20000) n"
    )
    await db.execute("checkpoint")


async def pages(db: Database, name: str) -> int:
    size: int = await db.fetchval("select pg_relation_size(to_regclass($1)) / 8192", name)
    return size


async def forgotten(db: Database) -> None:
    await db.execute("select pg_buffercache_evict_relation(to_regclass('person_key_found'))")
    await db.execute("select pg_buffercache_evict_relation(to_regclass('person_index'))")
    assert await db.fetchval(HELD, "person_key_found") == 0


async def test_all_of_it_is_in_memory_afterwards(database: Database) -> None:
    await filled(database)
    await forgotten(database)
    assert await warming.available(database)
    told = [each async for each in warming.warm(database, gently=False)]
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].done == told[-1].whole
    assert max(b.done - a.done for a, b in pairwise(told)) <= 8192 * warming.STEP
    for name in ("person_key_found", "person_index"):
        assert await database.fetchval(HELD, name) == await pages(database, name)


async def test_no_more_than_there_is_room_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first come first; what is left over of the room is for what is asked."""
    await filled(database)
    await forgotten(database)
    assert await warming.available(database)
    buffers = await database.fetchval(
        "select setting::int from pg_settings where name = 'shared_buffers'"
    )
    room = await pages(database, "person_index_pkey") + 100
    monkeypatch.setattr(warming, "SHARE", (room + 0.5) / buffers)
    async for progress in warming.warm(database, gently=False):
        assert progress.whole == room * 8192
    assert await database.fetchval(HELD, "person_key_found") == 100
    assert await database.fetchval(HELD, "person_index") == 0


async def test_a_table_that_shrinks_meanwhile_is_no_failure(database: Database) -> None:
    await filled(database)
    assert await warming.available(database)
    reading = warming.warm(database, gently=False)
    await anext(reading)
    await database.execute("truncate person_key, person_index")
    assert not [each async for each in reading if each.done == each.whole]


async def test_a_start_ends_it_and_a_database_that_cannot_is_left_in_peace(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(database)
    stop = asyncio.Event()
    stop.set()
    await forgotten(database)
    await warming.after_start(database, stop)
    assert await database.fetchval(HELD, "person_key_found") == 0
    stop.clear()
    await warming.after_start(database, stop)
    assert await database.fetchval(HELD, "person_key_found") > 0

    async def refused(db: Database) -> bool:
        raise asyncpg.InsufficientPrivilegeError("no")

    monkeypatch.setattr(warming, "available", refused)
    await warming.after_start(database, stop)


async def test_the_command_says_how_far_it_is_or_what_is_missing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said() -> tuple[int, str]:
        environment = {"PATER_DATABASE_URL": database.dsn}
        done = await asyncio.to_thread(CliRunner().invoke, main, ["db", "warm"], env=environment)
        return done.exit_code, done.output

    code, text = await said()
    assert code == 0 and "MB are in memory" in text

    async def missing(db: Database) -> bool:
        return False

    monkeypatch.setattr(warming, "available", missing)
    code, text = await said()
    assert code != 0 and "create extension pg_prewarm" in text
