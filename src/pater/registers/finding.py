"""Who is meant by numbers, or by a name and a birth date: exactly, or nobody. Read only.

Unlike a comparison (`asking`) nothing is likely here: every number that is named has to be of one
person, and name and birth date, where they are said, have to be theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.search.text import normalise
from pater.registers.identifiers import canonical, tidy
from pater.registers.matching import features_of
from pater.registers.matching.index import PersonIndex, findable
from pater.registers.patients import demographics_agree, names
from pater.store.database import Database
from pater.store.read import claim_holders, read_many
from pater.store.write import claim_key

Resource = dict[str, Any]

MOST: Final = 10
"""Persons of one name and birth date who are named."""
_NUMBERS: Final = 8
_PERSON: Final = (
    "select r.person, r.id from resource r where r.type = $1 and r.person = any($2::bigint[])"
    " and not r.deleted and not exists (select from alias a where a.patient = r.id)"
)


async def found(db: Database, index: PersonIndex, asked: Mapping[str, Any]) -> list[int]:
    """The persons whom a Patient means by what it says; [] = nobody, or not enough is said."""
    listed = (asked.get("identifier") or ())[:_NUMBERS]
    if listed:
        return await _numbered(db, dict(asked), [(e["system"], e["value"]) for e in listed])
    families, givens = names(dict(asked))
    if not (families and givens and len(str(asked.get("birthDate", ""))) == 10):
        return []
    return await _named(db, index, dict(asked))


async def _numbered(db: Database, asked: Resource, numbers: list[tuple[str, str]]) -> list[int]:
    keys = {claim_key("person", canonical(s), tidy(s, value)) for s, value in numbers}
    holders = await claim_holders(db, keys)
    people = dict(holders.values())
    if len(holders) < len(keys) or len(people) != 1:
        return []
    [(person, patient)] = people.items()
    stored = (await read_many(db, {("Patient", patient)}))[:1]
    if not stored or stored[0].deleted:
        return []
    agreed = demographics_agree(asked, parse(stored[0].body)) if _says_who(asked) else True
    return [person] if agreed else []


async def _named(db: Database, index: PersonIndex, asked: Resource) -> list[int]:
    likely = [person for person, _ in await index.candidates(features_of(asked))]
    rows = await db.fetch(_PERSON, TYPE_NUMBER["Patient"], likely) if likely else []
    masters = await read_many(db, {("Patient", row["id"]) for row in rows})
    same = [
        each.person for each in masters if not each.deleted and _exactly(asked, parse(each.body))
    ]
    return sorted(same)[:MOST]


def _exactly(asked: Resource, master: Resource) -> bool:
    """Whether the whole name and the birth date are those of a person, now or formerly."""
    if not findable(master) or master.get("birthDate") != asked.get("birthDate"):
        return False
    families, _ = names(asked)
    wanted = _words(asked)
    return any(
        normalise(str(name.get("family", ""))) in families
        and wanted
        <= {word for given in name.get("given") or () for word in normalise(given).split()}
        for name in master.get("name") or ()
    )


def _words(patient: Resource) -> set[str]:
    return {
        word
        for name in patient.get("name") or ()
        for given in name.get("given") or ()
        for word in normalise(given).split()
    }


def _says_who(asked: Resource) -> bool:
    return bool(asked.get("name") or asked.get("birthDate"))
