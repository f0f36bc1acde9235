"""The one door to PostgreSQL: a pool of connections and the codec of its stored bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from pater.fhir.search.custom import NONE, Custom
from pater.store.body import BodyCodec
from pater.store.connections import Connections
from pater.store.owners import Owners

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record

READING = "pater search"
"""The name of sessions that cannot write."""
# jit costs more than these short statements take. Times are UTC on both sides.
_SESSION = {"application_name": "pater", "timezone": "UTC", "jit": "off"}
# A condition that hardly anything meets may walk a whole type: not for ever.
_SEARCH = {
    **_SESSION,
    "application_name": READING,
    "default_transaction_read_only": "on",
    "statement_timeout": "10s",
}
# How common a code is decides between the GIN index and a walk by date. A generic plan does not
# know the code, so such a search is planned for its own values.
_PLANNED = {**_SEARCH, "plan_cache_mode": "force_custom_plan"}
# Where one plan is right whatever the values are, planning is half of what a search costs.
_KEPT = {**_SEARCH, "plan_cache_mode": "force_generic_plan"}


@dataclass(slots=True)
class Parameters:
    """The search parameters beyond R4 as this process last read them (see `store.parameters`)."""

    custom: Custom = NONE
    texts: Mapping[str, str] = field(default_factory=dict)
    state: tuple[Any, ...] = ()


class Database:
    """A pool of connections to one database. It retries nothing; errors are asyncpg's own."""

    def __init__(self, dsn: str, most: int) -> None:
        self._pool = Connections(dsn, most, _SESSION)
        # Connections for searching are made when somebody searches.
        self._planned = Connections(dsn, most, _PLANNED)
        self._kept = Connections(dsn, most, _KEPT)
        self.dsn = dsn
        self.bodies = BodyCodec()
        self.owners = Owners()
        self.parameters = Parameters()
        self.job_asked = asyncio.Event()
        """Set when this process has asked for a job: its workers need not wait to look."""
        self.job_ended = asyncio.Event()
        """Set, and replaced, when a job of this process has ended."""

    @classmethod
    async def open(cls, dsn: str, *, min_size: int = 2, max_size: int = 10) -> Database:
        """Connects; `dsn` as asyncpg takes it (`postgresql://user@/name?host=/socket/folder`)."""
        db = cls(dsn, max_size)
        await db._pool.open(min_size)
        return db

    async def close(self) -> None:
        """Waits for the connections in use and closes all."""
        for pool in (self._pool, self._planned, self._kept):
            await pool.close()

    async def ask(self, sql: str, *args: Any, kept: bool = False) -> list[Record]:
        """All rows of a search by itself, read only, for ten seconds at most.

        With `kept` the plan is made once for all values, else for these.
        """
        return await (self._kept if kept else self._planned).fetch(sql, args)

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[Connection]:
        """One connection for several statements of a search, planned for their own values."""
        async with self._planned.lend() as connection:
            yield connection

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a query."""
        return await self._pool.fetch(sql, args)

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row of a query, or None."""
        return await self._pool.fetchrow(sql, args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first value of the first row, or None."""
        row = await self._pool.fetchrow(sql, args)
        return None if row is None else row[0]

    async def execute(self, sql: str, *args: Any) -> str:
        """Runs a statement by itself (committed when it returns) and gives its command tag."""
        return await self._pool.execute(sql, args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        """Runs a statement for each of `args` in one transaction."""
        async with self._pool.lend() as connection:
            await connection.executemany(sql, args)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection of the pool, without a transaction."""
        async with self._pool.lend() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, read_only_snapshot: bool = False) -> AsyncIterator[Connection]:
        """One connection inside a transaction: committed at the end, rolled back on any error.

        With `read_only_snapshot` all statements see the database as of the first one.
        """
        async with self._pool.lend() as connection:
            options: dict[str, Any] = (
                {"isolation": "repeatable_read", "readonly": True} if read_only_snapshot else {}
            )
            async with connection.transaction(**options):
                yield connection
