"""Indexes that wait until a load is done: they come back as they were, whoever stops in between."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner

from pater.cli import main
from pater.store import indexes_later
from pater.store.database import Database
from pater.store.indexes_later import LATER, TABLES

_THERE = "select indexname, indexdef from pg_indexes where indexname = any($1::text[])"


def _silent(name: str, phase: str, percent: float) -> None:
    pass


async def _there(db: Database) -> dict[str, str]:
    return {row[0]: row[1] for row in await db.fetch(_THERE, [*LATER])}


async def _resting(db: Database) -> set[str]:
    """The tables that nobody vacuums."""
    rows = await db.fetch(
        "select relname from pg_class where 'autovacuum_enabled=off' = any(reloptions)"
    )
    return {row["relname"] for row in rows}


async def test_they_come_back_as_they_were(database: Database) -> None:
    before = await _there(database)
    assert set(before) == set(LATER)
    assert set(await indexes_later.put_off(database)) == set(LATER)
    assert await _there(database) == {}
    assert await indexes_later.waiting(database) == sorted(LATER)
    assert await _resting(database) == set(TABLES)
    assert await indexes_later.put_off(database) == []  # a load that goes on
    assert set(await indexes_later.make(database, _silent)) == set(LATER)
    assert await _there(database) == before
    assert await indexes_later.waiting(database) == []
    assert await _resting(database) == set()
    assert await indexes_later.make(database, _silent) == []


async def test_two_who_make_them_at_once_make_each_once(database: Database) -> None:
    before = await _there(database)
    await indexes_later.put_off(database)
    made = await asyncio.gather(*(indexes_later.make(database, _silent) for _ in range(2)))
    assert sorted([*made[0], *made[1]]) == sorted(LATER)
    assert await _there(database) == before


async def test_a_failure_leaves_the_rest_to_be_made(database: Database) -> None:
    await indexes_later.put_off(database)
    hidden = "alter table person_key rename column key to kept_key"
    await database.execute(hidden)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await indexes_later.make(database, _silent)
    assert "person_key_found" in await indexes_later.waiting(database)
    await database.execute("alter table person_key rename column kept_key to key")
    await indexes_later.make(database, _silent)
    assert set(await _there(database)) == set(LATER)


async def test_the_command_tells_and_makes(database: Database) -> None:
    async def said(*words: str) -> str:
        environment = {"PATER_DATABASE_URL": database.dsn}
        done = await asyncio.to_thread(
            CliRunner().invoke, main, ["db", "indexes", *words], env=environment
        )
        assert done.exit_code == 0, done.output
        return done.output

    assert "All indexes are there." in await said()
    await indexes_later.put_off(database)
    told = await said()
    assert all(name in told for name in LATER) and "--make" in told
    made = await said("--make")
    assert "resource_tokens is there" in made and "All indexes are there." in made
