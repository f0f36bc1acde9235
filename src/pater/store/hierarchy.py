"""Places and organisations: what is part of what (R4 search, "Searching Hierarchies").

Step by step through the index of the reference upwards; a level is one statement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.search.index import index_values
from pater.store.database import Database
from pater.store.read import read_many
from pater.store.tokens import reference_hash

PARENTS: Mapping[str, str] = MappingProxyType({"Location": "partof", "Organization": "partof"})
"""The types with a hierarchy that is open to whoever may search → the reference to the parent."""
LEVELS: Final = 20
"""Steps that are gone; what circles ends by itself."""

_CHILDREN = """
select r.id from resource r
where r.tokens && $1::bigint[] and r.type + 0 = $2::smallint and not r.deleted limit $3
"""


async def below(db: Database, type: str, ids: Collection[str], *, limit: int) -> set[str]:
    """The ids and those of everything that is part of them; may be more than `limit`, never less
    than there are up to it."""
    param = PARENTS[type]
    found, fresh = set(ids), set(ids)
    for _ in range(LEVELS):
        hashes = [reference_hash(type, param, type, id_) for id_ in sorted(fresh)]
        rows = await db.fetch(_CHILDREN, hashes, TYPE_NUMBER[type], limit + 1)
        fresh = {row["id"] for row in rows} - found
        found |= fresh
        if not fresh or len(found) > limit:
            break
    return found


async def above(db: Database, type: str, ids: Collection[str], *, limit: int) -> set[str]:
    """The ids and those of everything they are part of."""
    param = PARENTS[type]
    found, fresh = set(ids), set(ids)
    for _ in range(LEVELS):
        held = await read_many(db, sorted((type, id_) for id_ in fresh))
        parents = {
            ref.id
            for stored in held
            if not stored.deleted
            for ref in index_values(type, parse(stored.body)).references
            if ref.param == param and ref.type == type and ref.id
        }
        fresh = parents - found
        found |= fresh
        if not fresh or len(found) > limit:
            break
    return found
