"""The one door to PostgreSQL: a pool of connections and the codec of its stored bodies."""

from __future__ import annotations

import asyncio
import logging
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
from pater.store.wall import ROLE, SET, standing, stands

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record

_LOG = logging.getLogger(__name__)

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
# Beneath the wall: a role that sees what it is let see, on connections that remember whose it is.
_WALLED = {"role": ROLE}


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
        self._walled_planned = Connections(dsn, most, {**_PLANNED, **_WALLED}, SET)
        self._walled_kept = Connections(dsn, most, {**_KEPT, **_WALLED}, SET)
        self.has_wall: bool | None = None
        """Whether the second wall stands; None = nobody has looked yet."""
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
        pools = (self._pool, self._planned, self._kept, self._walled_planned, self._walled_kept)
        for pool in pools:
            await pool.close()

    async def ask(self, sql: str, *args: Any, kept: bool = False) -> list[Record]:
        """All rows of a search by itself, read only, for ten seconds at most, beneath the wall
        where one stands (see `store.wall`).

        With `kept` the plan is made once for all values, else for these.
        """
        wall = await self._wall()
        if wall is None:
            return await (self._kept if kept else self._planned).fetch(sql, args)
        return await (self._walled_kept if kept else self._walled_planned).fetch(sql, args, wall)

    async def look_up(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a look-up by keys, by a plan that is kept; never beneath the wall, because
        what it finds decides how high the wall is.
        """
        return await self._kept.fetch(sql, args)

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[Connection]:
        """One connection for several statements of a search, planned for their own values,
        beneath the wall where one stands.
        """
        wall = await self._wall()
        lent = self._planned.lend() if wall is None else self._walled_planned.lend(wall)
        async with lent as connection:
            yield connection

    async def read(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a query for somebody: beneath the wall where one stands."""
        wall = await self._wall()
        if wall is None:
            return await self._pool.fetch(sql, args)
        return await self._walled_kept.fetch(sql, args, wall)

    async def read_row(self, sql: str, *args: Any) -> Record | None:
        """The first row of a query for somebody, or None: beneath the wall where one stands."""
        wall = await self._wall()
        if wall is None:
            return await self._pool.fetchrow(sql, args)
        return await self._walled_kept.fetchrow(sql, args, wall)

    async def _wall(self) -> str | None:
        """The persons of the wall that stands, as its connections say them; None = none."""
        persons = standing()
        if persons is None:
            return None
        if self.has_wall is None:
            self.has_wall = await stands(self)
            if not self.has_wall:
                _LOG.warning("no second wall: the database's user may not use the role %s", ROLE)
        return persons if self.has_wall else None

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
