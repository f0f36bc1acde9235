"""Whom the lines of an import belong to, and what their conditional references mean."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.search.query import SearchError, SearchRequest, parse_search
from pater.records.conditional import meant
from pater.records.errors import Ambiguous, RecordsError
from pater.records.ports import Ports
from pater.store.read import leading, merged_among
from pater.store.tokens import code_hash, no_system_hash, system_code_hash

_REMEMBERED: Final = 200_000
_SEARCHES: Final = 2_000
"""Queries of a chunk that are searched for; others wait for the next pass."""
_FIELDS: Final = 20
_SEVERAL: Final = "a conditional reference that means more than one resource"
_OWNERS: Final = (
    "select r.type, r.id, r.person from unnest($1::smallint[], $2::text[]) as k(type, id)"
    " join resource r on r.type = k.type and r.id = k.id where not r.deleted"
)
# At most two of each: one is meant, two are ambiguous. A merged Patient stands for the one that it
# leads to.
_MEANT: Final = f"""
select k.token, array_agg(distinct coalesce(a.survivor, f.id)) as ids
from unnest($2::bigint[]) as k(token)
cross join lateral (
  select r.id from resource r
  where r.type = $1 and not r.deleted and r.tokens @> array[k.token] limit 2) f
left join alias a on a.patient = f.id and $1 = {TYPE_NUMBER["Patient"]}
group by k.token
"""  # noqa: S608 constants
_MERGED: Final = "select patient from alias where patient = any($1::text[])"


class Targets:
    """Looks them up for a chunk at a time, and remembers a bounded number."""

    def __init__(self, ports: Ports, caller: Caller) -> None:
        self._ports, self._caller = ports, caller
        self._db = ports.db
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
        """The persons of those owners (type, id) that are here; `new` are Patients of the chunk.

        A Patient that was merged is none: its lines go one by one, to the one that it leads to.
        """
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
            for id_, (person, led) in (await leading(self._db, patients)).items():
                if not led:
                    self.learn(id_, person)
                    found["Patient", id_] = person
        for number in await merged_among(self._db, found.values()):
            for key in [key for key, person in found.items() if person == number]:
                self._persons.pop(key[1], None)
                del found[key]
        if others:
            types, ids = zip(*others, strict=True)
            rows = await self._db.fetch(_OWNERS, types, ids)
            held = {(row["type"], row["id"]): row["person"] for row in rows}
            for type_, id_ in owners:
                person = held.get((TYPE_NUMBER.get(type_, -1), id_))
                if person is not None:
                    found[type_, id_] = person
        return found

    async def merged(self, owners: Sequence[tuple[str, str]]) -> frozenset[int]:
        """The places of those owners that are Patients who were merged into others."""
        places = {id_: at for at, (type_, id_) in enumerate(owners) if type_ == "Patient"}
        rows = await self._db.fetch(_MERGED, list(places)) if places else []
        return frozenset(places[row["patient"]] for row in rows)

    async def resolve(self, texts: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """`Type/id` of each conditional reference that means one resource here; and those that
        never can, with the reason.

        Those by identifier are looked up together, any other is a search of the caller's, decided
        and recorded as such.
        """
        found: dict[str, str] = {}
        refused: dict[str, str] = {}
        others: list[str] = []
        wanted: dict[str, dict[int, str]] = {}
        for text in texts:
            known = self._meant.get(text)
            if known is not None:
                found[text] = known
                continue
            type_, token = _token(text)
            if token is not None:
                wanted.setdefault(type_, {})[token] = text
            else:
                others.append(text)
        for type_, tokens in wanted.items():
            for row in await self._db.fetch(_MEANT, TYPE_NUMBER[type_], list(tokens)):
                text = tokens[row["token"]]
                if len(row["ids"]) > 1:
                    refused[text] = _SEVERAL
                else:
                    found[text] = self._remember(text, f"{type_}/{row['ids'][0]}")
        for text in sorted(others)[:_SEARCHES]:
            try:
                target = await self._search(text)
            except SearchError as error:
                refused[text] = f"a conditional reference that cannot be read: {error}"
            except Ambiguous:
                refused[text] = _SEVERAL
            except RecordsError as error:
                refused[text] = f"a conditional reference that cannot be followed: {error}"
            else:
                if target:
                    found[text] = self._remember(text, target)
        return found, refused

    async def _search(self, text: str) -> str:
        """The one resource that a query means; "" = none. Raises SearchError, RecordsError."""
        type_, _, query = text.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            raise SearchError([Issue("error", "too-costly", "", "too many parameters")]) from None
        request = parse_search(
            type_, pairs, base_url=self._ports.base_url, custom=self._db.parameters.custom
        )
        if not request.conditions or request != SearchRequest(type_, request.conditions):
            text = "it has search parameters only"
            raise SearchError([Issue("error", "not-supported", "", text)])
        stored = (await meant(self._ports, self._caller, request)).stored
        return f"{type_}/{stored.id}" if stored is not None else ""

    def _remember(self, text: str, target: str) -> str:
        self._meant[text] = target
        if len(self._meant) > _REMEMBERED:
            self._meant.popitem(last=False)
        return target


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
