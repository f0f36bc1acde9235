"""A search that names a merged Patient, as one that names the Patient it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pater.fhir.search.query import (
    And,
    Condition,
    Node,
    Not,
    Or,
    ReferenceTerm,
    SearchRequest,
    Value,
)
from pater.store.database import Database
from pater.store.search.rows import Reader
from pater.store.search.where import owner_params

_PATIENT = "Patient"


async def leading(db: Database, patients: frozenset[str]) -> dict[str, str]:
    """Those of the ids that are of merged Patients, each with the Patient that it leads to."""
    rows = await Reader(db).fetch(
        "select patient, survivor from alias where patient = any($1::text[])",
        sorted(patients),
        kept=True,
    )
    return {row["patient"]: row["survivor"] for row in rows}


def led_on(request: SearchRequest, led: Mapping[str, str]) -> SearchRequest:
    """The request with the Patients of `led` named by those they lead to."""
    return replace(
        request,
        conditions=tuple(_condition(each, led) for each in request.conditions),
        filter=None if request.filter is None else _node(request.filter, led),
    )


def patients_of(request: SearchRequest) -> frozenset[str]:
    """The ids that may be Patients' by which parameters refer to them that do not say whose a
    record is (of the others the search learns itself whom they lead to)."""
    found: set[str] = set()
    for condition in request.every_condition():
        # that the id of an owner is a Patient's the search knows itself
        known = (_PATIENT,) if condition.param in owner_params(request.type) else ()
        found.update(
            value.id
            for value in (condition.values if condition.kind == "reference" else ())
            if isinstance(value, ReferenceTerm)
            and value.id
            and _PATIENT in value.types
            and value.types != known
        )
    return frozenset(found)


def _condition(condition: Condition, led: Mapping[str, str]) -> Condition:
    values = tuple(_value(each, led) for each in condition.values)
    chain = tuple(
        replace(each, condition=_condition(each.condition, led)) for each in condition.chain
    )
    if values == condition.values and chain == condition.chain:
        return condition
    return replace(condition, values=values, chain=chain)


def _value(value: Value, led: Mapping[str, str]) -> Value:
    if isinstance(value, ReferenceTerm) and value.id and _PATIENT in value.types:
        return replace(value, id=led.get(value.id, value.id))
    return value


def _node(node: Node, led: Mapping[str, str]) -> Node:
    match node:
        case And(parts):
            return And(tuple(_node(each, led) for each in parts))
        case Or(parts):
            return Or(tuple(_node(each, led) for each in parts))
        case Not(part):
            return Not(_node(part, led))
        case _:
            return _condition(node, led)
