"""What a resource offers to search: the index values of all its search parameters.

Compiled once for each type, when the first resource of it comes. A resource costs only the
parameters whose elements it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.fhirpath.compile import Fn
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.search.convert import Converter, converter
from pater.fhir.search.parameters import COMBINED, indexed_parameters
from pater.fhir.search.text import normalise
from pater.fhir.search.values import (
    OPEN_HIGH,
    OPEN_LOW,
    IndexValues,
    NumberValue,
    RangeValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)

__all__ = [
    "MAIN_DATE",
    "OPEN_HIGH",
    "OPEN_LOW",
    "IndexValues",
    "NumberValue",
    "RangeValue",
    "ReferenceValue",
    "StringValue",
    "TokenValue",
    "UriValue",
    "index_values",
    "normalise",
]

# The date that says when it happened, for types without a parameter `date`, and for those
# whose `date` means something else (MedicationRequest: the days of giving).
_MAIN_DATE = {
    "Account": "period", "Basic": "created", "Bundle": "timestamp", "ChargeItem": "occurrence",
    "Claim": "created", "ClaimResponse": "created", "Communication": "sent",
    "CommunicationRequest": "authored", "Condition": "recorded-date", "Contract": "issued",
    "CoverageEligibilityRequest": "created", "CoverageEligibilityResponse": "created",
    "DetectedIssue": "identified", "DeviceRequest": "authored-on", "DocumentManifest": "created",
    "ExplanationOfBenefit": "created", "Goal": "start-date", "ImagingStudy": "started",
    "Media": "created", "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover", "MedicationRequest": "authoredon",
    "MedicationStatement": "effective", "NutritionOrder": "datetime", "Patient": "birthdate",
    "PaymentNotice": "created", "PaymentReconciliation": "created", "Person": "birthdate",
    "Provenance": "recorded", "QuestionnaireResponse": "authored", "RelatedPerson": "birthdate",
    "RequestGroup": "authored", "ServiceRequest": "authored", "Slot": "start",
    "Specimen": "collected", "Task": "authored-on", "TestReport": "issued",
    "VisionPrescription": "datewritten",
}  # fmt: skip


def _main_dates() -> dict[str, str]:
    found = {}
    for name in RESOURCE_TYPES:
        code = _MAIN_DATE.get(name, "date")
        parameter = search_parameters(name).get(code)
        if parameter is not None and parameter.type == "date":
            found[name] = code
    return found


MAIN_DATE: Mapping[str, str] = MappingProxyType(_main_dates())
"""resource type → the date parameter that is kept in the date columns; not every type has one."""


class _Extractor(NamedTuple):
    """One alternative of one parameter. `convert` None: the items carry their types."""

    param: str
    kind: str
    fn: Fn
    type: TypeRef
    convert: Converter | None


class _Table(NamedTuple):
    by_key: Mapping[str, tuple[_Extractor, ...]]
    always: tuple[_Extractor, ...]


@cache
def _table(type_name: str) -> _Table:
    by_key: dict[str, list[_Extractor]] = {}
    always: list[_Extractor] = []
    for code, parameter in indexed_parameters(type_name).items():
        kind = parameter.definition.type
        if (type_name, code) in COMBINED:
            continue
        for alternative in parameter.alternatives:
            fn, static = alternative.code
            convert = None if static is None else converter(kind, static)
            if static is not None and convert is None:
                continue
            extractor = _Extractor(code, kind, fn, static or TypeRef(""), convert)
            if alternative.keys is None:
                always.append(extractor)
            for key in alternative.keys or ():
                by_key.setdefault(key, []).append(extractor)
    return _Table({key: tuple(each) for key, each in by_key.items()}, tuple(always))


def index_values(type: str, resource: dict[str, Any]) -> IndexValues:
    """All index values of a resource of `type`, without repetition; never raises.

    Texts are as in the resource, times in UTC, numbers as floats (infinite where an end is
    open). `_id` and `_lastUpdated` are not among them: they are columns of the store; what
    `COMBINED` names stands under its parts. Raises
    KeyError when `type` is no R4 resource type.
    """
    table = _table(type)
    out = IndexValues()
    for extractor in table.always:
        _extract(extractor, resource, out)
    for key in resource:
        for extractor in table.by_key.get(key, ()):
            _extract(extractor, resource, out)
    _unrepeat(out)
    return out


def _extract(extractor: _Extractor, resource: dict[str, Any], out: IndexValues) -> None:
    param, kind, fn, static, convert = extractor
    if convert is not None:
        for value in fn([resource], resource):
            convert(param, value, static, out)
        return
    for found, value in fn([resource], resource):
        suited = converter(kind, found)
        if suited is not None:
            suited(param, value, found, out)


def _unrepeat(out: IndexValues) -> None:
    if len(out.tokens) > 1:
        out.tokens = list(dict.fromkeys(out.tokens))
    if len(out.references) > 1:
        out.references = list(dict.fromkeys(out.references))
    if len(out.strings) > 1:
        out.strings = list(dict.fromkeys(out.strings))
    if len(out.dates) > 1:
        out.dates = list(dict.fromkeys(out.dates))
    if len(out.numbers) > 1:
        out.numbers = list(dict.fromkeys(out.numbers))
    if len(out.uris) > 1:
        out.uris = list(dict.fromkeys(out.uris))
