"""What a search reads with: one connection for all its statements, and bodies made readable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from zstandard import frame_content_size

from pater.fhir.json import parse
from pater.fhir.search.index import index_values
from pater.fhir.search.values import IndexValues
from pater.store.body import BodyCodec
from pater.store.database import Connection, Database, Record
from pater.store.read import Stored, to_stored
from pater.store.search.errors import too_costly

MOST_BYTES = 128 * 1024 * 1024
"""Bodies that one step of a search may unpack: well-packed ones would fill the memory."""
BEGIN = (
    "begin isolation level repeatable read read only;"
    # How common a code is decides between the GIN index and a walk by date. A generic plan does
    # not know the code, so each search is planned for its own values.
    " set local plan_cache_mode = force_custom_plan;"
    # A condition that hardly anything meets may walk a whole type: not for ever.
    " set local statement_timeout = '10s'"
)


class Reader:
    """One connection inside a read-only snapshot; asks as `Database.fetch` does."""

    def __init__(self, bodies: BodyCodec, connection: Connection) -> None:
        self.bodies = bodies
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a query; SearchError when it takes longer than one search may."""
        try:
            return list(await self._connection.fetch(sql, *args))
        except asyncpg.QueryCanceledError as error:
            raise too_costly("this search takes too long: narrow it") from error

    async def stored(self, rows: Sequence[Record]) -> list[Stored]:
        """Rows with the columns of `read.COLUMNS` as resources, order kept.

        Raises SearchError when they are larger together than one answer may be.
        """
        if sum(frame_content_size(row["body"]) for row in rows if row["body"]) > MOST_BYTES:
            raise too_costly("the resources found are too large together: ask for a smaller _count")
        # A second connection of the pool, asked for while this one is held, could wait for ever:
        # a dictionary not yet seen is loaded over this one, which answers `fetch` just the same.
        return await to_stored(cast(Database, self), rows)


@asynccontextmanager
async def open_reader(db: Database) -> AsyncIterator[Reader]:
    """A reader on one snapshot: matches, total and included resources agree with each other."""
    async with db.connection() as connection:
        await connection.execute(BEGIN)
        try:
            yield Reader(db.bodies, connection)
        finally:
            await connection.execute("rollback")


def indexed(stored: Stored) -> IndexValues:
    """What a stored resource offers to search."""
    return index_values(stored.type, parse(stored.body))
