"""After a start of the database: reads into its memory what finding persons touches, gently.

Each question about a person touches pages of its own; read one after the other from a disk they
are what it waits for. Half of the disk's time is left to those who ask meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import structlog

from pater.store.database import Database

FIRST: Final = (
    # what finds persons, and those whom others may be
    "person_index_pkey", "person_key_found", "person_index", "person_pkey", "resource_person",
    "journal_person", "claim_pkey",
    # what a Patient that is written touches besides
    "resource_key", "string_index_value", "resource_rid_key", "resource_walk", "resource_date",
    "claim_person", "string_index_rid", "person_key_person",
)  # fmt: skip
"""Tables and indexes in the order of how much each page of them is asked for; of those that have
partitions by month, the month's."""
STEP: Final = 128
"""Pages read at once: a megabyte, which a question may have to wait for."""
SHARE: Final = 0.9
"""So much of the database's memory is filled; the rest is for what is asked meanwhile."""

_SIZES: Final = r"""
select t.name, pg_relation_size(to_regclass(t.name)) / current_setting('block_size')::int as pages
from (
  select n.place, coalesce((
    select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(n.name)
    and c.relname like '%\_' || to_char(now() at time zone 'utc', 'YYYYMM') || '\_%'
    ), n.name) as name
  from unnest($1::text[]) with ordinality as n(name, place)) t
where to_regclass(t.name) is not null order by t.place
"""
_ROOM: Final = """
select setting::bigint as pages, current_setting('block_size')::int as size
from pg_settings where name = 'shared_buffers'
"""
_READ: Final = "select pg_prewarm(to_regclass($1), 'buffer', 'main', $2, $3)"
_REPORT: Final = 30.0  # seconds
_WORTH_SAYING: Final = 64 << 20  # bytes
_log = structlog.get_logger("pater.warming")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: bytes that were read, and that will have been read."""

    done: int
    whole: int


async def available(db: Database) -> bool:
    """Whether the database can do it; its extension is made where that is allowed."""
    if await db.fetchval("select exists (select from pg_extension where extname = 'pg_prewarm')"):
        return True
    with suppress(asyncpg.PostgresError):
        await db.execute("create extension if not exists pg_prewarm")
        return True
    return False


async def warm(db: Database, *, gently: bool = True) -> AsyncIterator[Progress]:
    """Reads, and tells after each step how far it is. Raises asyncpg.PostgresError.

    `gently`: rests as long as each step took. Needs `available`.
    """
    room: Any = await db.fetchrow(_ROOM)
    left, size = int(room["pages"] * SHARE), room["size"]
    chosen: list[tuple[str, int]] = []
    for row in await db.fetch(_SIZES, list(FIRST)):
        pages = min(row["pages"], left)
        left -= pages
        chosen.append((row["name"], pages))
    whole, done = sum(pages for _, pages in chosen), 0
    for name, pages in chosen:
        for begin in range(0, pages, STEP):
            begun = time.monotonic()
            last = min(begin + STEP, pages) - 1
            try:
                await db.fetchval(_READ, name, begin, last)
            except (asyncpg.InvalidParameterValueError, asyncpg.UndefinedTableError):
                break  # it has become shorter, or another one, since its size was asked
            done += last - begin + 1
            yield Progress(done * size, whole * size)
            if gently:
                await asyncio.sleep(time.monotonic() - begun)


async def after_start(db: Database, stop: asyncio.Event) -> None:
    """What a serving process does once, beside those who ask. Never fails for them."""
    begun = said = time.monotonic()
    try:
        if not await available(db):
            _log.info("not warmed", why="the database has no extension pg_prewarm")
            return
        progress = Progress(0, 0)
        async for progress in warm(db):
            if stop.is_set():
                return
            if time.monotonic() - said > _REPORT:
                said = time.monotonic()
                _log.info("warming", megabytes=progress.done >> 20, of=progress.whole >> 20)
        if progress.whole > _WORTH_SAYING:
            seconds = round(time.monotonic() - begun)
            _log.info("warmed", megabytes=progress.done >> 20, seconds=seconds)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _log.warning("not warmed", why=type(error).__name__)
