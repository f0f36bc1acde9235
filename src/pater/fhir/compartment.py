"""Whose record a resource belongs to: the Patient compartment (R4 CompartmentDefinition)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from pater.fhir.definitions import compartment
from pater.fhir.fhirpath.compile import Fn, plain
from pater.fhir.references import Ref, reference_of
from pater.fhir.search.parameters import indexed_parameters

# Whom a resource is about comes before who asked for it, paid for it or took part in it.
_OWNERS = ("subject", "patient", "beneficiary", "individual")


class _Stream(NamedTuple):
    """Where references to owners stand: nothing without one of the `keys` (None = anywhere).

    `presumed`: a reference that does not tell its type is taken for a Patient's.
    """

    keys: tuple[str, ...] | None
    fn: Fn
    presumed: bool


@cache
def _streams(type_name: str) -> tuple[_Stream, ...]:
    codes = compartment("Patient").get(type_name, ())
    ordered = [code for code in _OWNERS if code in codes]
    ordered += [code for code in codes if code not in ordered]
    parameters = indexed_parameters(type_name)
    return tuple(
        _Stream(
            alternative.keys,
            plain(alternative.code),
            alternative.targets == ("Patient",) or code in _OWNERS,
        )
        for code in ordered
        if code in parameters
        for alternative in parameters[code].alternatives
    )


def patient_references(type: str, resource: dict[str, Any]) -> list[Ref]:
    """The references that put a resource in Patient compartments, the owner's first.

    Only references with a text that can be followed (relative, absolute, `urn:`) and that mean a
    Patient: by their text, by Reference.type, or, where neither tells (`urn:uuid:…`), because
    the element allows nothing else or says whom the resource is about. Their `type` is then set
    to Patient. A Patient starts with itself (when it has an id), then its links. No repetition.
    """
    return list(dict.fromkeys(_references(type, resource)))


def clinical_person_reference(type: str, resource: dict[str, Any]) -> Ref | None:
    """The reference to the one Patient who owns the resource; None when nobody does.

    The subject, patient or beneficiary when the compartment has such a parameter, else the first
    of the definition's order (author, performer, participant …).
    """
    return next(_references(type, resource), None)


def _references(type: str, resource: dict[str, Any]) -> Iterator[Ref]:
    if type == "Patient" and isinstance(resource.get("id"), str):
        yield Ref("relative", "Patient", resource["id"])
    for keys, fn, presumed in _streams(type):
        if keys is not None and resource.keys().isdisjoint(keys):
            continue
        for holder in fn([resource], resource):
            ref = reference_of(holder) if isinstance(holder, dict) else Ref("logical")
            if ref.kind in ("contained", "logical"):
                continue
            if ref.type is None and presumed:
                ref = ref._replace(type="Patient")
            if ref.type == "Patient":
                yield ref
