"""Whom a search names, told from its conditions alone, and how far it leads from there."""

from __future__ import annotations

from dataclasses import replace

from pater.access.policy import is_bound
from pater.fhir.search.query import Condition, ReferenceTerm, SearchRequest
from pater.records.search_terms import pairs
from pater.store.remembered import remembered
from pater.store.search.where import owner_params

_NAMES = frozenset({"family", "name", "birthdate"})


@remembered
def naming_of(request: SearchRequest) -> tuple[Condition, ...]:
    """The conditions that say which patients or records are meant; none = the search names none."""
    one = tuple(c for c in request.conditions if is_bound(request.type, pairs((c,))))
    if one:
        return one
    several = tuple(c for c in request.conditions if c.param in _NAMES)
    return several if is_bound(request.type, pairs(several)) else ()


def names_patients(condition: Condition) -> bool:
    """Whether a naming condition names its patients one by one, so that they are few for sure."""
    return condition.param in ("patient", "subject") and condition.modifier != "identifier"


def combines(request: SearchRequest) -> bool:
    """Whether chains, `_has` or containers lead further than to the Patient who is named."""
    return request.contained != "false" or any(
        condition.kind == "has"
        or any(chain.condition.kind in ("chain", "has") for chain in condition.chain)
        or (condition.kind == "chain" and condition.param not in ("patient", "subject"))
        for condition in request.every_condition()
    )


def patients_named(type: str, naming: tuple[Condition, ...]) -> frozenset[str]:
    """The ids of the Patients whom one of the conditions names as owners of the records."""
    for condition in naming:
        plain = condition.kind == "reference" and condition.modifier in (None, "Patient")
        if plain and condition.param in owner_params(type):
            terms = [each for each in condition.values if isinstance(each, ReferenceTerm)]
            ids = {each.id for each in terms if each.id and each.types == ("Patient",)}
            if len(ids) == len(condition.values):
                return frozenset(ids)
    return frozenset()


def patients_described(type: str, naming: tuple[Condition, ...]) -> Condition | None:
    """What one of the conditions says of the Patients who own the records."""
    for condition in naming:
        if condition.kind == "chain" and condition.param in owner_params(type):
            said = {chain.condition for chain in condition.chain if chain.type == "Patient"}
            if len(said) == len(condition.chain) == 1:
                return said.pop()
    return None


def reaches(request: SearchRequest) -> bool:
    """Whether the search leads to other types: by inclusion, chains, `_has`, containers."""
    return (
        bool(request.includes)
        or request.contained != "false"
        or any(each.kind in ("chain", "has") for each in request.every_condition())
    )


def guesses(naming: tuple[Condition, ...]) -> list[str]:
    """What named the people of a search, one text for each of them."""
    if len(naming) == 1 and len(naming[0].values) > 1:
        [condition] = naming
        return [
            text
            for each in condition.values
            for _, text in pairs((replace(condition, values=(each,)),))
        ]
    return ["&".join(sorted(text for _, text in pairs(naming)))] if naming else []
