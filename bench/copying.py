"""The floor of writing: the rows that the product made, written by plain COPY to the same server.

One table `(id text, body bytea)` without index, bodies as uncompressed JSON, rows encoded for
COPY before the clock starts.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from statistics import median
from typing import Final

import asyncpg

from bench.commits import floor_database
from bench.machine import tree_time
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.store.database import Database

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_TRAILER: Final = struct.pack("!h", -1)

Row = tuple[bytes, bytes]  # address, JSON


@dataclass(frozen=True, slots=True)
class Made:
    """What some documents became: for each the rows that were written for it."""

    documents: list[list[Row]]
    last: datetime  # when the newest of them was written

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.documents))

    @property
    def size(self) -> int:
        """Bytes of JSON."""
        return sum(len(body) for document in self.documents for _, body in document)


@dataclass(frozen=True, slots=True)
class Copied:
    """Rates of the floor: everything in one COPY; a transaction a document on 8 connections."""

    rows_at_once: float
    documents_at_once: float
    documents_each: float
    cpu_at_once_ms: float  # of client and database, a document
    cpu_each_ms: float


async def made(dsn: str, after: datetime, *, by_person: bool = False) -> Made:
    """The resources written after `after`, grouped by the document they came from.

    With `by_person` those that belong to somebody, grouped by whom they belong to.
    """
    db = await Database.open(dsn, min_size=1, max_size=1)
    try:
        rows = await db.fetch(
            "select updated, person, type, id, dict, body from resource where updated > $1"
            + (" and person > 0 order by person, rid" if by_person else " order by updated, rid"),
            after,
        )
        await db.bodies.ensure(db, {row["dict"] for row in rows})
        documents: list[list[Row]] = []
        bundles, last = 0, None
        for row in rows:
            # The rows of documents written at once may interleave: near enough for a floor.
            bundle = row["type"] == TYPE_NUMBER["Bundle"]
            bundles += bundle
            other = row["person"] != last if by_person else bundle and bundles > 1
            if not documents or other:
                documents.append([])
            last = row["person"]
            address = f"{RESOURCE_TYPES[row['type']]}/{row['id']}".encode()
            documents[-1].append((address, db.bodies.decompress(row["dict"], row["body"])))
        return Made(documents, max((row["updated"] for row in rows), default=after))
    finally:
        await db.close()


def encode(rows: Iterable[Row]) -> bytes:
    """Rows of two columns in PostgreSQL's binary COPY format."""
    parts = [_HEADER]
    for address, body in rows:
        parts += [struct.pack("!hi", 2, len(address)), address, struct.pack("!i", len(body)), body]
    return b"".join([*parts, _TRAILER])


async def copy_floor(
    dsn: str, found: Made, server: int, *, rounds: int = 3, connections: int = 8
) -> Copied:
    """Medians of some rounds, each into a fresh table, committed as durably as the product does."""
    async with (
        floor_database(dsn) as address,
        asyncpg.create_pool(address, min_size=connections, max_size=connections) as pool,
    ):
        whole = encode(row for document in found.documents for row in document)
        each = [encode(document) for document in found.documents]
        at_once, apart, used, used_apart = [], [], [], []
        for _ in range(rounds):
            before = time.process_time() + tree_time(server).database
            at_once.append(await _timed(pool, [whole]))
            middle = time.process_time() + tree_time(server).database
            apart.append(await _timed(pool, each))
            used.append(middle - before)
            used_apart.append(time.process_time() + tree_time(server).database - middle)
    count = len(found.documents)
    return Copied(
        found.rows / median(at_once),
        count / median(at_once),
        count / median(apart),
        median(used) * 1000 / count,
        median(used_apart) * 1000 / count,
    )


async def _timed(pool: asyncpg.Pool[asyncpg.Record], blocks: Sequence[bytes]) -> float:
    """Seconds that it takes to write the blocks, as many at once as the pool has connections."""
    await pool.execute("drop table if exists floor; create table floor (id text, body bytea)")
    waiting = iter(blocks)

    async def worker() -> None:
        async with pool.acquire() as connection:
            for block in waiting:
                await connection.copy_to_table("floor", source=BytesIO(block), format="binary")

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(pool.get_max_size(), len(blocks))):
            group.create_task(worker())
    return time.perf_counter() - started
