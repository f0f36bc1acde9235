"""Whom the lines of an import belong to, and what their conditional references mean."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database
from pater.store.read import persons_of
from pater.store.tokens import code_hash, no_system_hash, system_code_hash

_REMEMBERED: Final = 200_000
_OWNERS: Final = (
    "select r.type, r.id, r.person from unnest($1::smallint[], $2::text[]) as k(type, id)"
    " join resource r on r.type = k.type and r.id = k.id where not r.deleted"
)
# At most two of each: one is meant, two are ambiguous.
_MEANT: Final = """
select k.token, array_agg(f.id) as ids from unnest($2::bigint[]) as k(token)
cross join lateral (
  select r.id from resource r
  where r.type = $1 and not r.deleted and r.tokens @> array[k.token] limit 2) f
group by k.token
"""


class Targets:
    """Looks them up for a chunk at a time, and remembers a bounded number."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._persons: OrderedDict[str, int] = OrderedDict()
        self._meant: OrderedDict[str, str] = OrderedDict()

    def learn(self, patient: str, person: int) -> None:
        """Remembers a Patient's person."""
        self._persons[patient] = person
        if len(self._persons) > _REMEMBERED:
            self._persons.popitem(last=False)

    async def persons(
        self, owners: Collection[tuple[str, str]], new: Mapping[str, int]
    ) -> dict[tuple[str, str], int]:
        """The persons of those owners (type, id) that are here; `new` are Patients of the chunk."""
        found: dict[tuple[str, str], int] = {}
        patients: list[str] = []
        others: list[tuple[int, str]] = []
        for type_, id_ in owners:
            if type_ != "Patient":
                others.append((TYPE_NUMBER.get(type_, -1), id_))
                continue
            person = new.get(id_) or self._persons.get(id_)
            if person is None:
                patients.append(id_)
            else:
                found[type_, id_] = person
        if patients:
            for id_, person in (await persons_of(self._db, patients)).items():
                self.learn(id_, person)
                found["Patient", id_] = person
        if others:
            types, ids = zip(*others, strict=True)
            rows = await self._db.fetch(_OWNERS, types, ids)
            held = {(row["type"], row["id"]): row["person"] for row in rows}
            for type_, id_ in owners:
                person = held.get((TYPE_NUMBER.get(type_, -1), id_))
                if person is not None:
                    found[type_, id_] = person
        return found

    async def resolve(self, texts: Collection[str]) -> dict[str, str]:
        """`Type/id` of each conditional reference by identifier that means one resource here."""
        found: dict[str, str] = {}
        wanted: dict[str, dict[int, str]] = {}
        for text in texts:
            known = self._meant.get(text)
            if known is not None:
                found[text] = known
                continue
            type_, token = _token(text)
            if token is not None:
                wanted.setdefault(type_, {})[token] = text
        for type_, tokens in wanted.items():
            for row in await self._db.fetch(_MEANT, TYPE_NUMBER[type_], list(tokens)):
                if len(row["ids"]) == 1:
                    text = tokens[row["token"]]
                    found[text] = self._meant[text] = f"{type_}/{row['ids'][0]}"
                    if len(self._meant) > _REMEMBERED:
                        self._meant.popitem(last=False)
        return found


def _token(text: str) -> tuple[str, int | None]:
    """Type and token of `Type?identifier=system|value`; None for any other query."""
    type_, _, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if type_ not in TYPE_NUMBER or len(pairs) != 1 or pairs[0][0] != "identifier":
        return type_, None
    system, bar, value = pairs[0][1].rpartition("|")
    if not value or "," in value:
        return type_, None
    if not bar:
        return type_, code_hash(type_, "identifier", value)
    if not system:
        return type_, no_system_hash(type_, "identifier", value)
    return type_, system_code_hash(type_, "identifier", system, value)
