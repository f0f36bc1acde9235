"""Finds the definitions that somebody wrote here, parsed once a version and kept while used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.store.database import Database
from pater.store.read import read_many
from pater.store.tokens import uri_hash

Json = dict[str, Any]
Value = TypeVar("Value")

# Person 0: what came in a patient's document is no definition for everybody.
_BY_URL: Final = (
    "select id, version from resource where type = $1 and not deleted and person = 0"
    " and tokens @> array[$2::bigint] limit 100"
)
_OF_TYPE: Final = (
    "select id, version from resource where type = $1 and not deleted and person = 0"
    " order by updated, rid limit $2"
)

_STATE: Final = (
    "select count(*) as n, max(updated) as last from resource where type = $1 and not deleted"
)


class Weighed(Generic[Value]):
    """The values used last whose weights together stay below a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Any, tuple[Value, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: Any) -> Value | None:
        """The value, now the one used last."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Any, value: Value, weight: int) -> Value:
        """Keeps the value, unless it alone is too heavy, and gives it back."""
        if weight <= self._limit and key not in self._held:
            self._held[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                _, (_, gone) = self._held.popitem(last=False)
                self._weight -= gone
        return value


class StoredDefinitions:
    """CodeSystem, ValueSet and ConceptMap resources of the store, exact right after a write."""

    def __init__(self, db: Database, *, keep_bytes: int = 64 << 20) -> None:
        self._db = db
        self._parsed: Weighed[Json] = Weighed(keep_bytes)

    async def by_url(self, type_: str, url: str) -> list[tuple[tuple[str, str, int], Json]]:
        """(key, resource) of every current resource of the type with this url."""
        token = uri_hash(type_, "url", url)
        return await self._load(type_, await self._db.fetch(_BY_URL, TYPE_NUMBER[type_], token))

    async def by_uri(
        self, type_: str, parameter: str, uri: str
    ) -> list[tuple[tuple[str, str, int], Json]]:
        """As `by_url`, by another search parameter of type uri."""
        token = uri_hash(type_, parameter, uri)
        return await self._load(type_, await self._db.fetch(_BY_URL, TYPE_NUMBER[type_], token))

    async def state(self, type_: str) -> tuple[int, object]:
        """How many there are and when the last one was written: the same while nothing changes."""
        row = await self._db.fetchrow(_STATE, TYPE_NUMBER[type_])
        return (int(row["n"]), row["last"]) if row is not None else (0, None)

    async def all_of(self, type_: str, limit: int) -> list[tuple[tuple[str, str, int], Json]]:
        """The resources of a type, at most `limit`, oldest first."""
        return await self._load(type_, await self._db.fetch(_OF_TYPE, TYPE_NUMBER[type_], limit))

    async def by_id(self, type_: str, id_: str) -> tuple[tuple[str, str, int], Json] | None:
        """One resource that belongs to nobody."""
        for stored in await read_many(self._db, [(type_, id_)]):
            if not stored.deleted and not stored.person:
                return (type_, stored.id, stored.version), parse(stored.body)
        return None

    async def _load(
        self, type_: str, rows: Iterable[Any]
    ) -> list[tuple[tuple[str, str, int], Json]]:
        keys = [(type_, str(row["id"]), int(row["version"])) for row in rows]
        known = {key: self._parsed.get(key) for key in keys}
        wanted = [(type_, key[1]) for key, value in known.items() if value is None]
        fresh: dict[str, tuple[tuple[str, str, int], Json]] = {}
        for stored in await read_many(self._db, wanted):
            if stored.deleted or stored.person:
                continue
            key = (type_, stored.id, stored.version)
            body = parse(stored.body)
            fresh[stored.id] = key, self._parsed.put(key, body, len(stored.body) * 5)
        found = []
        for key, value in known.items():
            if value is not None:
                found.append((key, value))
            elif key[1] in fresh:
                found.append(fresh[key[1]])
        return found
