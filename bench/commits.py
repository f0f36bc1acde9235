"""The floor of a single write: one row inserted and committed, in the same PostgreSQL, no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from bench.machine import tree_time

_FLOOR: Final = "bench_floor"
MOST: Final = 32
"""Connections: the server has its own, and PostgreSQL admits a hundred together."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What bare means reach: operations a second, and CPU of all that serves one, client apart."""

    per_second: float
    cpu_ms: float


@asynccontextmanager
async def floor_database(dsn: str) -> AsyncIterator[str]:
    """The address of a database beside the product's, for the length of a block."""
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(f"create database {_FLOOR}")
        try:
            yield dsn.replace("/pater?", f"/{_FLOOR}?")
        finally:
            await admin.execute(f"drop database if exists {_FLOOR} with (force)")
    finally:
        await admin.close()


async def commits(dsn: str, row: bytes, clients: int, seconds: float, server: int) -> Floor:
    """So many connections (at most MOST) insert `row` under ever new keys for some seconds."""
    async with floor_database(dsn) as address:
        count = min(clients, MOST)
        async with asyncpg.create_pool(address, min_size=count, max_size=count) as pool:
            await pool.execute("create table floor (id bigint primary key, body bytea)")
            numbers = iter(range(1 << 40))

            async def worker(end: float) -> int:
                done = 0
                async with pool.acquire() as connection:
                    insert = await connection.prepare("insert into floor values ($1, $2)")
                    while time.perf_counter() < end:
                        await insert.fetch(next(numbers), row)
                        done += 1
                return done

            before, begun = tree_time(server).database, time.perf_counter()
            done = sum(await asyncio.gather(*(worker(begun + seconds) for _ in range(count))))
            spent = time.perf_counter() - begun
            used = tree_time(server).database - before
    return Floor(done / spent, used * 1000 / max(1, done))
