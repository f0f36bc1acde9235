"""Which current resources have a canonical address, many addresses in one question."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES
from pater.store.database import Database
from pater.store.tokens import uri_hash

# Person 0: what came in a patient's document is no definition for everybody. The array is looked
# up in the GIN index of tokens; a token holds its type, so the types need not be compared.
_FIND: Final = (
    "select k.token, r.type, r.id, r.version from unnest($1::bigint[]) as k(token)"
    " cross join lateral (select type, id, version from resource"
    " where tokens @> array[k.token] and not deleted and person = 0 limit 100) r"
)


class Place(NamedTuple):
    """One version of a resource."""

    type: str
    id: str
    version: int


async def current_places(
    db: Database, wanted: Mapping[str, Collection[str]]
) -> dict[str, frozenset[Place]]:
    """url → the current resources with it that belong to nobody; `wanted` says for each url which
    types it may stand for. At most 100 of one url and type."""
    tokens = {uri_hash(type_, "url", url): url for url, types in wanted.items() for type_ in types}
    found: dict[str, set[Place]] = {url: set() for url in wanted}
    for row in await db.fetch(_FIND, list(tokens)) if tokens else ():
        place = Place(RESOURCE_TYPES[row["type"]], str(row["id"]), int(row["version"]))
        found[tokens[int(row["token"])]].add(place)
    return {url: frozenset(places) for url, places in found.items()}
