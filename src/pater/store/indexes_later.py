"""Indexes that wait until a load of millions is done, as nearly each of their entries would touch
a page of its own; how they are made again is kept in the database until they are.

The tables that grow are not vacuumed meanwhile either: each pass would read all their indexes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pater.store.database import Connection, Database

LATER: Final = ("person_key_found", "resource_tokens", "string_index_value")
"""The largest indexes, and none that a load itself asks."""

TABLES: Final = ("claim", "person", "person_index", "person_key", "resource", "string_index")
"""The tables that a load of persons fills."""

_KEEP: Final = """
insert into index_later (name, definition)
select n, pg_get_indexdef(to_regclass(n)) from unnest($1::text[]) as n
where to_regclass(n) is not null on conflict (name) do nothing returning name
"""
_MEMORY: Final = "set local maintenance_work_mem = '1GB'"
_NO_HURRY: Final = "set local statement_timeout = 0"
_LONGEST: Final = 24 * 3600.0  # seconds that one index may take
_EXIST: Final = "select n from unnest($1::text[]) as n where to_regclass(n) is not null"
_RESTING: Final = """
select relname from pg_class where oid = any(select to_regclass(n) from unnest($1::text[]) as n)
and 'autovacuum_enabled=off' = any(reloptions)
"""
_WAITING: Final = "select name, definition from index_later order by name"
_FAR: Final = """
select p.phase, 100.0 * case when p.blocks_total > 0 then p.blocks_done::float8 / p.blocks_total
                             when p.tuples_total > 0 then p.tuples_done::float8 / p.tuples_total
                             else 0 end as percent
from pg_stat_progress_create_index p where p.pid = $1
"""
_LOOK: Final = 5.0  # seconds between looks at how far one is


async def waiting(db: Database) -> list[str]:
    """The names of the indexes that are not there now."""
    return [row["name"] for row in await db.fetch(_WAITING)]


async def put_off(db: Database, names: Sequence[str] = LATER) -> list[str]:
    """Drops indexes and writes down how they are made again; gives those dropped now."""
    async with db.transaction() as connection:
        dropped = [row["name"] for row in await connection.fetch(_KEEP, list(names))]
        for name in dropped:
            await connection.execute(f'drop index "{name}"')
        for row in await connection.fetch(_EXIST, list(TABLES)):
            await connection.execute(f'alter table "{row["n"]}" set (autovacuum_enabled = off)')
    return dropped


async def make(db: Database, tell: Callable[[str, str, float], None]) -> list[str]:
    """Makes what was put off, one after the other, and gives what it made.

    `tell` hears the index, what the server does and how many per cent of that are done. Writing
    into the table of an index waits until it is made. A kill costs the one that was being made.
    """
    made = []
    for name in await waiting(db):
        async with db.transaction() as connection:
            await connection.execute(_NO_HURRY)
            # of two who make them at once, the second waits here and finds it done
            definition = await connection.fetchval(
                "delete from index_later where name = $1 returning definition",
                name,
                timeout=_LONGEST,
            )
            if definition is None:
                continue
            await connection.execute(_MEMORY)
            watching = asyncio.create_task(_watch(db, connection, name, tell))
            try:
                await connection.execute(definition, timeout=_LONGEST)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        made.append(name)
    for row in await db.fetch(_RESTING, list(TABLES)):
        tell(row["relname"], "vacuum", 0)
        async with db.connection() as one:
            await one.execute(f'vacuum (analyze) "{row["relname"]}"', timeout=_LONGEST)
            await one.execute(f'alter table "{row["relname"]}" reset (autovacuum_enabled)')
    return made


async def _watch(
    db: Database, connection: Connection, name: str, tell: Callable[[str, str, float], None]
) -> None:
    pid = connection.get_server_pid()
    while True:
        await asyncio.sleep(_LOOK)
        row = await db.fetchrow(_FAR, pid)
        if row is not None:
            tell(name, row["phase"], row["percent"])
