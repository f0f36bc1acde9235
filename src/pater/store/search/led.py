"""A search that names a Patient who was merged, or into whom others were, as one that names all.

A record moves to the Patient that survives, so who owns it is asked by that one alone. What is not
the record's own (a group, a relative's record) goes on naming whom it named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pater.fhir.search.query import Condition, ReferenceTerm, SearchRequest, Value
from pater.fhir.search.request import with_leaves
from pater.store.search.where import owner_params

_PATIENT = "Patient"
_LINK = _PATIENT, "link"  # says itself who is one with whom


def led_on(request: SearchRequest, led: Mapping[str, tuple[str, ...]]) -> SearchRequest:
    """The request with each Patient of `led` named by those that stand there for it."""
    if not led:
        return request

    def change(condition: Condition) -> Condition:
        return _condition(request.type, condition, led)

    return replace(
        request,
        conditions=tuple(change(each) for each in request.conditions),
        filter=None if request.filter is None else with_leaves(request.filter, change),
    )


def patients_of(request: SearchRequest) -> frozenset[str]:
    """The ids that may be Patients' by which parameters refer to them that do not say whose a
    record is (of the others the search learns itself whom they lead to)."""
    return frozenset(
        id_ for each in request.every_condition() for id_ in _named(request.type, each)
    )


def _named(type_: str, condition: Condition) -> Iterator[str]:
    for chain in condition.chain:
        yield from _named(chain.type, chain.condition)
    if condition.kind != "reference" or condition.modifier in ("missing", "identifier", "text"):
        return
    if (type_, condition.param) == _LINK:
        return
    # that the id of an owner is a Patient's the search knows itself
    known = (_PATIENT,) if condition.param in owner_params(type_) else ()
    for value in condition.values:
        if (
            isinstance(value, ReferenceTerm)
            and value.id
            and _PATIENT in value.types
            and value.types != known
        ):
            yield value.id


def _condition(type_: str, condition: Condition, led: Mapping[str, tuple[str, ...]]) -> Condition:
    if (type_, condition.param) == _LINK:
        return condition
    values = tuple(dict.fromkeys(v for each in condition.values for v in _values(each, led)))
    chain = tuple(
        replace(each, condition=_condition(each.type, each.condition, led))
        for each in condition.chain
    )
    if values == condition.values and chain == condition.chain:
        return condition
    return replace(condition, values=values, chain=chain)


def _values(value: Value, led: Mapping[str, tuple[str, ...]]) -> Iterator[Value]:
    names: tuple[str, ...] = ()
    if isinstance(value, ReferenceTerm) and value.id and _PATIENT in value.types:
        names = led.get(value.id, ())
        yield from (replace(value, id=name) for name in names)
    if not names:
        yield value
