"""Who of the register a Patient may be, with a grade for each: read only, and nobody is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pater.fhir.json import parse
from pater.registers import sources
from pater.registers.matching import Score, blocking_keys, features_of
from pater.registers.matching.index import PersonIndex
from pater.registers.patients import demographics_agree, known_identifiers, strong_key
from pater.registers.surviving import Source
from pater.store.database import Database
from pater.store.read import claim_holders, read

Grade = Literal["certain", "probable", "possible"]
_ASKED: Final = 20
"""Identifiers of a question that are looked up."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Somebody whom a Patient may be. `score` explains a comparison; None = named by a number."""

    person: int
    grade: Grade
    probability: float
    score: Score | None = None


def tells_enough(patient: Mapping[str, Any]) -> bool:
    """Whether a Patient says anything by which somebody can be found."""
    identifiers = patient.get("identifier") or ()
    return bool(identifiers) or bool(blocking_keys(features_of(patient)))


async def alike(
    db: Database, index: PersonIndex, patient: dict[str, Any], organization: str = ""
) -> list[Alike]:
    """The persons a Patient may be, the likeliest first.

    Certain is whom verified identifiers name, with name and birth date agreeing, or a number of the
    asking `organization` (IČO); else who alone is above the automatic threshold.
    """
    named = await _named(db, patient, organization)
    found = await index.match(patient)
    answers = [Alike(named, "certain", 1.0)] if named else []
    for place, (person, score) in enumerate(found.ranked):
        if person == named:
            answers[0] = Alike(person, "certain", 1.0, score)
        elif place == 0 and found.outcome == "match" and not named:
            answers.append(Alike(person, "certain", score.probability, score))
        else:
            likely = score.weight >= index.model.automatic and not score.contradictions
            grade: Grade = "probable" if likely and not named else "possible"
            answers.append(Alike(person, grade, score.probability, score))
    return answers


async def _named(db: Database, patient: dict[str, Any], organization: str) -> int:
    """The one person whom the numbers name; 0 = nobody, or several."""
    known = known_identifiers(patient)[:_ASKED]
    strong = {strong_key(each) for each in known if each.usable}
    own = {
        sources.key(Source(organization, each.system, each.value))
        for each in known
        if organization and each.kind == "other"
    }
    holders = await claim_holders(db, strong | own) if strong or own else {}
    people = dict(holders.values())
    if len(people) != 1:
        return 0
    [(person, target)] = people.items()
    if holders.keys() & own:
        return person
    stored = await read(db, "Patient", target)
    if stored is None or stored.deleted or not demographics_agree(patient, parse(stored.body)):
        return 0
    return person
