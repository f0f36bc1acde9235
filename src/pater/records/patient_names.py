"""Whose record a person number is: the Patient id that the journal shows beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

_LIMIT = 100_000
# Patients that were merged into another one stand with it, and are not its name.
_PATIENTS = (
    "select r.person, min(r.id) as id from resource r"
    " where r.type = $1 and r.person = any($2::bigint[]) and not r.deleted"
    " and not exists (select from alias a where a.patient = r.id) group by r.person"
)


def is_merged(patient: Mapping[str, Any] | None) -> bool:
    """Whether a Patient says that another one stands in its place."""
    links = (patient or {}).get("link") or ()
    return any(isinstance(each, dict) and each.get("type") == "replaced-by" for each in links)


class PatientNames:
    """A bounded memory of person number -> Patient id; a person's master Patient never changes."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._known: OrderedDict[int, str] = OrderedDict()
        self._limit = limit

    async def of(self, db: Database, person: int) -> str:
        """The Patient id, "" when the person has none."""
        found = self._known.get(person)
        return found if found is not None else (await self.of_all(db, (person,))).get(person, "")

    async def anew(self, db: Database, persons: Iterable[int]) -> dict[int, str]:
        """As `of_all`, by one statement whatever is remembered, and for nobody too: what takes
        the same for whom nothing is known tells nothing.
        """
        rows = await db.fetch(_PATIENTS, TYPE_NUMBER["Patient"], list(persons))
        for row in rows:
            self.learn(row["person"], row["id"])
        return {row["person"]: row["id"] for row in rows}

    async def of_all(self, db: Database, persons: Iterable[int]) -> dict[int, str]:
        """The Patient ids of all persons that have one."""
        found: dict[int, str] = {}
        missing: list[int] = []
        for person in persons:
            name = self._known.get(person)
            if name is None:
                missing.append(person)
            else:
                found[person] = name
        if missing:
            for row in await db.fetch(_PATIENTS, TYPE_NUMBER["Patient"], missing):
                found[row["person"]] = row["id"]
                self.learn(row["person"], row["id"])
        return found

    def learn(self, person: int, patient: str) -> None:
        """Remembers a Patient that was just written or read."""
        self._known[person] = patient
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
