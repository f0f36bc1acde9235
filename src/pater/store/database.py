"""The one door to PostgreSQL: a pool of connections and the codec of its stored bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from pater.store.body import BodyCodec

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record

# jit costs more than these short statements take. Times are UTC on both sides.
_SESSION = {"application_name": "pater", "timezone": "UTC", "jit": "off"}


async def _leave_as_is(connection: Connection) -> None:
    """Saves asyncpg's reset, a round trip for every use of a connection.

    An open transaction is still rolled back. Nothing else is ever left in a session: settings are
    `set local`, advisory locks end with their transaction or are given back.
    """


class Database:
    """A pool of connections to one database. It retries nothing; errors are asyncpg's own."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn
        self.bodies = BodyCodec()

    @classmethod
    async def open(cls, dsn: str, *, min_size: int = 2, max_size: int = 10) -> Database:
        """Connects; `dsn` as asyncpg takes it (`postgresql://user@/name?host=/socket/folder`)."""
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            statement_cache_size=512,
            # The cache's default age of five minutes would plan every statement again and again.
            max_cached_statement_lifetime=0,
            command_timeout=60,
            reset=_leave_as_is,
            server_settings=_SESSION,
        )
        return cls(pool, dsn)

    async def close(self) -> None:
        """Waits for the connections in use and closes all."""
        await self._pool.close()

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a query."""
        return list(await self._pool.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row of a query, or None."""
        return await self._pool.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first value of the first row, or None."""
        return await self._pool.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Runs a statement by itself (committed when it returns) and gives its command tag."""
        return await self._pool.execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        """Runs a statement for each of `args` in one transaction."""
        await self._pool.executemany(sql, args)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection of the pool, without a transaction."""
        async with self._pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, read_only_snapshot: bool = False) -> AsyncIterator[Connection]:
        """One connection inside a transaction: committed at the end, rolled back on any error.

        With `read_only_snapshot` all statements see the database as of the first one.
        """
        async with self._pool.acquire() as connection:
            options: dict[str, Any] = (
                {"isolation": "repeatable_read", "readonly": True} if read_only_snapshot else {}
            )
            async with connection.transaction(**options):
                yield connection
