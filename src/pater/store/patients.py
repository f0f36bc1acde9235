"""Walks the Patients that there are, for what is recorded at each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

# By the key of addresses: (type, id, person).
_NEXT = """
select id, person from resource
where type = $1 and id > $2 and not deleted and person > 0 order by id limit $3
"""


async def every_patient(db: Database, count: int) -> AsyncIterator[list[tuple[int, str]]]:
    """Person number and Patient id of everybody, `count` at a time."""
    after = ""
    while rows := await db.fetch(_NEXT, TYPE_NUMBER["Patient"], after, count):
        after = rows[-1]["id"]
        yield [(row["person"], row["id"]) for row in rows]
