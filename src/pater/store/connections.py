"""Connections of one kind, each lent to one user at a time.

asyncpg's own pool guards every use with tasks and time-outs that cost twice as much processor time
as a short statement itself; here a connection is taken from a list and put back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record


def _end_if_busy(connection: Connection, error: BaseException) -> None:
    """Ends a connection whose user was stopped while the server may still be at work for it.

    Stopped by cancellation, a time-out, or because its task was thrown away.
    """
    stopped = not isinstance(error, Exception)
    broken = isinstance(error, (TimeoutError, asyncpg.InternalClientError))
    if stopped or broken or type(error) is asyncpg.InterfaceError:
        connection.terminate()


class Connections:
    """Up to `most` connections, made when they are needed and kept until `close`.

    Where the session has a `state` (a setting that says whose rows it shows), each user names the
    one that is wanted; a connection that has it already is taken first. Nothing else is left in a
    session by whoever used it: settings are `set local`, advisory locks end with their transaction
    or are given back. A connection whose user was cancelled in the middle of something is ended,
    not lent again.
    """

    def __init__(
        self, dsn: str, most: int, settings: Mapping[str, str], set_state: str = ""
    ) -> None:
        self._dsn = dsn
        self._most = most
        self._settings = dict(settings)
        self._set_state = set_state
        self._states: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
        self._idle: list[Connection] = []
        self._count = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    async def open(self, count: int) -> None:
        """Makes the first connections, so that what is wrong shows at once."""
        taken = [await self._take() for _ in range(min(count, self._most))]
        for connection in taken:
            self._give(connection)

    async def close(self) -> None:
        """Waits for the connections in use and closes all."""
        self._closed = True
        while self._count:
            connection = self._idle.pop() if self._idle else await self._next()
            if connection is not None:
                self._count -= 1
                await connection.close()

    @asynccontextmanager
    async def lend(self, state: str = "") -> AsyncIterator[Connection]:
        """One connection for the length of a `with` block."""
        connection = await self._taken(state)
        try:
            yield connection
        except BaseException as error:
            _end_if_busy(connection, error)
            raise
        finally:
            if not connection.is_closed() and connection.is_in_transaction():
                connection.terminate()  # rolled back; its user never does that
            self._give(connection)

    async def fetch(self, sql: str, args: Sequence[Any], state: str = "") -> list[Record]:
        """All rows of one statement."""
        connection = await self._taken(state)
        try:
            return await connection.fetch(sql, *args)
        except BaseException as error:
            _end_if_busy(connection, error)
            raise
        finally:
            self._give(connection)

    async def fetchrow(self, sql: str, args: Sequence[Any], state: str = "") -> Record | None:
        """The first row of one statement, or None."""
        connection = await self._taken(state)
        try:
            return await connection.fetchrow(sql, *args)
        except BaseException as error:
            _end_if_busy(connection, error)
            raise
        finally:
            self._give(connection)

    async def execute(self, sql: str, args: Sequence[Any]) -> str:
        """Runs one statement and gives its command tag."""
        connection = await self._taken("")
        try:
            return await connection.execute(sql, *args)
        except BaseException as error:
            _end_if_busy(connection, error)
            raise
        finally:
            self._give(connection)

    async def _taken(self, state: str) -> Connection:
        if self._closed:
            raise asyncpg.InterfaceError("the database has been closed")
        if not self._set_state:
            return await self._take()
        for place in range(len(self._idle) - 1, -1, -1):
            connection = self._idle[place]
            if self._states.get(connection) == state and not connection.is_closed():
                del self._idle[place]
                return connection
        return await self._in_state(await self._take(), state)

    async def _in_state(self, connection: Connection, state: str) -> Connection:
        if self._states.get(connection) == state:
            return connection
        # Until the server has answered nobody knows which it is.
        self._states.pop(connection, None)
        try:
            await connection.fetchval(self._set_state, state)
        except BaseException as error:
            _end_if_busy(connection, error)
            self._give(connection)
            raise
        self._states[connection] = state
        return connection

    async def _take(self) -> Connection:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._count -= 1
            if self._count < self._most:
                return await self._make()
            given = await self._next()
            if given is not None:
                if not given.is_closed():
                    return given
                self._count -= 1

    async def _next(self) -> Connection | None:
        """Waits until somebody gives one back; None = one was lost, look again."""
        place: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                connection = place.result()
                if connection is not None:
                    self._give(connection)
                else:
                    self._wake(None)
            raise

    async def _make(self) -> Connection:
        self._count += 1
        try:
            return await asyncpg.connect(
                self._dsn,
                statement_cache_size=512,
                # The default age of five minutes would plan every statement again and again.
                max_cached_statement_lifetime=0,
                command_timeout=60,
                server_settings=self._settings,
            )
        except BaseException:
            self._count -= 1
            self._wake(None)
            raise

    def _give(self, connection: Connection) -> None:
        if connection.is_closed():
            self._count -= 1
            self._wake(None)
        elif not self._wake(connection):
            self._idle.append(connection)

    def _wake(self, connection: Connection | None) -> bool:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False
