"""What a search reads with: one connection for all its statements, and bodies made readable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from zstandard import frame_content_size

from pater.fhir.json import parse
from pater.fhir.search.custom import Custom
from pater.fhir.search.index import index_values
from pater.fhir.search.values import IndexValues
from pater.store.database import Connection, Database, Record
from pater.store.read import Stored, to_stored
from pater.store.search.errors import too_costly

MOST_BYTES = 128 * 1024 * 1024
"""Bodies that one step of a search may unpack: well-packed ones would fill the memory."""
BEGIN = "begin isolation level repeatable read read only"


class Reader:
    """Asks as `Database.fetch` does: on one connection inside a snapshot, or each by itself.

    With `believing` the persons of Patients seen before are believed; `believed` tells that it was
    done, so that an empty answer has to be asked for again without. `led` are Patients of the
    request that were merged, with the ones they lead to.
    """

    def __init__(
        self, db: Database, connection: Connection | None = None, *, believing: bool = False
    ) -> None:
        self.bodies = db.bodies
        self.believing = believing
        self.believed = False
        self.led: dict[str, tuple[str, ...]] = {}
        self._db = db
        self._connection = connection

    async def fetch(self, sql: str, *args: Any, kept: bool = False) -> list[Record]:
        """All rows of a query; SearchError when it takes longer than one search may.

        `kept`: one plan is right whatever the values are, so it need not be made again.
        """
        try:
            if self._connection is None:
                return await self._db.ask(sql, *args, kept=kept)
            return list(await self._connection.fetch(sql, *args))
        except asyncpg.QueryCanceledError as error:
            raise too_costly("this search takes too long: narrow it") from error

    @property
    def custom(self) -> Custom:
        """The search parameters beyond R4 that are in force."""
        return self._db.parameters.custom

    def person_of(self, patient: str) -> int | None:
        """The person of a Patient as last seen, None when it has to be looked up."""
        person = self._db.owners.get(patient) if self.believing else None
        self.believed = self.believed or person is not None
        return person

    def learn(self, persons: Mapping[str, int]) -> None:
        """Remembers whose Patients are."""
        self._db.owners.learn(persons)

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
async def open_reader(db: Database, *, believing: bool = False) -> AsyncIterator[Reader]:
    """A reader on one snapshot: matches, total and included resources agree with each other."""
    async with db.searching() as connection:
        await connection.execute(BEGIN)
        try:
            yield Reader(db, connection, believing=believing)
        finally:
            await connection.execute("rollback")


def indexed(stored: Stored) -> IndexValues:
    """What a stored resource offers to search."""
    return index_values(stored.type, parse(stored.body))
