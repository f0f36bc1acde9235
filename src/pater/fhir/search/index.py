"""What a resource offers to search: the index values of all its search parameters.

Compiled once for each type, when the first resource of it comes: the paths of all parameters as
one tree, so that a resource is walked once and costs only the elements it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.fhirpath.compile import Code, Fn
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.search.convert import Converter, beyond, converter
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
from pater.fhir.search.walks import Test, Walk

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
    "repeated_values",
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


_Step = Callable[[Any, dict[str, Any], IndexValues], None]
"""What stands under a key, the resource, where to put the values."""


class _Leaf(NamedTuple):
    """Where a path of a parameter ends."""

    convert: Converter
    param: str
    type: TypeRef


@dataclass(slots=True)
class _Node:
    """What parameters want of an element, and of what stands under its keys."""

    leaves: list[_Leaf] = field(default_factory=list)
    tested: list[tuple[Test, _Leaf]] = field(default_factory=list)
    inner: dict[str, _Node] = field(default_factory=dict)


class _Table(NamedTuple):
    """What to do for each key of a resource, and for every one whatever keys it has."""

    by_key: Mapping[str, _Step]
    always: _Step | None


@cache
def _table(type_name: str) -> _Table:
    root = _Node()
    by_key: dict[str, list[_Step]] = {}
    always: list[_Step] = []
    for code, parameter in indexed_parameters(type_name).items():
        parts = COMBINED.get((type_name, code))
        if parts and code not in parts:
            continue
        kind = parameter.definition.type
        for alternative in parameter.alternatives:
            if alternative.walks is not None:
                for walk in alternative.walks:
                    found = beyond(walk.type) if parts else converter(kind, walk.type)
                    _plant(root, walk, code, found)
                continue
            step = _evaluation(code, kind, alternative.code)
            if alternative.keys is None:
                always.append(step)
            for key in alternative.keys or ():
                by_key.setdefault(key, []).append(step)
    for key, node in root.inner.items():
        by_key.setdefault(key, []).insert(0, _step(node))
    return _Table(
        {key: _all_of(steps) for key, steps in by_key.items()}, _all_of(always) if always else None
    )


def _all_of(steps: Sequence[_Step]) -> _Step:
    if len(steps) == 1:
        return steps[0]
    kept = tuple(steps)

    def step(value: Any, resource: dict[str, Any], out: IndexValues) -> None:
        for each in kept:
            each(value, resource, out)

    return step


def _plant(root: _Node, walk: Walk, param: str, convert: Converter | None) -> None:
    """Adds a path to the tree of all."""
    if convert is None:
        return
    node = root
    for key in walk.keys:
        node = node.inner.setdefault(key, _Node())
    leaf = _Leaf(convert, param, walk.type)
    if walk.test is None:
        node.leaves.append(leaf)
    else:
        node.tested.append((walk.test, leaf))


def _step(node: _Node) -> _Step:
    """The walk of one node, with what is often absent left out."""
    if len(node.leaves) == 1 and not node.tested and not node.inner:
        return _leaf_step(*node.leaves[0])
    leaves = tuple(node.leaves)
    tested = tuple((test, *leaf) for test, leaf in node.tested)
    inner = tuple((key, _step(each)) for key, each in node.inner.items())

    def step(value: Any, resource: dict[str, Any], out: IndexValues) -> None:
        for item in value if type(value) is list else (value,):
            if item is None:
                continue
            for convert, param, kind in leaves:
                convert(param, item, kind, out)
            for test, convert, param, kind in tested:
                if test(item, resource):
                    convert(param, item, kind, out)
            if inner and type(item) is dict:
                for key, next_step in inner:
                    if key in item:
                        next_step(item[key], resource, out)

    return step


def _leaf_step(convert: Converter, param: str, kind: TypeRef) -> _Step:
    def step(value: Any, resource: dict[str, Any], out: IndexValues) -> None:
        if type(value) is list:
            for item in value:
                if item is not None:
                    convert(param, item, kind, out)
        elif value is not None:
            convert(param, value, kind, out)

    return step


def _evaluation(param: str, parameter_type: str, code: Code) -> _Step:
    """For what is more than a path: the expression as a whole."""
    fn, kind = code
    if kind is not None:
        convert = converter(parameter_type, kind)
        if convert is None:
            return lambda value, resource, out: None
        return _typed_evaluation(param, fn, kind, convert)

    def step(value: Any, resource: dict[str, Any], out: IndexValues) -> None:
        for found, item in fn([resource], resource):
            suited = converter(parameter_type, found)
            if suited is not None:
                suited(param, item, found, out)

    return step


def _typed_evaluation(param: str, fn: Fn, kind: TypeRef, convert: Converter) -> _Step:
    def step(value: Any, resource: dict[str, Any], out: IndexValues) -> None:
        for item in fn([resource], resource):
            convert(param, item, kind, out)

    return step


def index_values(type: str, resource: dict[str, Any]) -> IndexValues:
    """All index values of a resource of `type`, without repetition; never raises.

    Texts are as in the resource, times in UTC, numbers as floats (infinite where an end is
    open). `_id` and `_lastUpdated` are not among them: they are columns of the store; what
    `COMBINED` names stands under its parts. Raises
    KeyError when `type` is no R4 resource type.
    """
    out = repeated_values(type, resource)
    _unrepeat(out)
    return out


def repeated_values(type: str, resource: dict[str, Any]) -> IndexValues:
    """As `index_values`, but a value may stand there twice: for who makes sets of them anyway."""
    by_key, always = _table(type)
    out = IndexValues([], [], [], [], [], [])
    if always is not None:
        always(None, resource, out)
    for key, value in resource.items():
        if key in by_key:
            by_key[key](value, resource, out)
    return out


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
