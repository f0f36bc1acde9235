"""The quick look at a resource never calls right what a close look finds fault with."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir import invariants
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import parse
from pater.fhir.validation import validate, validate_closely
from pater.fhir.validation.base import broken_rules, validate_base
from pater.fhir.validation.quick import _plan, is_right
from tests.shared_data import documents, r4_examples, synthea

Json = dict[str, Any]


def _close(resource: Json) -> list[Issue]:
    """What is found without the quick look."""
    found = validate_closely(resource)
    if has_errors(found):
        return found
    return found + invariants.check(resource["resourceType"], resource, advice=False)


def test_what_is_published_is_judged_the_same_and_nearly_all_of_it_quickly() -> None:
    bodies = [*r4_examples().values(), *documents().values(), *synthea()[2:6]]
    read = [parse(each) for each in bodies if len(each) < 100_000]
    resources = [each for each in read if "resourceType" in each]
    right = 0
    for each in resources:
        found = _close(each)
        assert validate_base(each) == found
        assert not found or not is_right(each)
        right += not found
    assert right > 0.9 * len(resources)
    assert sum(map(is_right, resources)) > 0.99 * right


SMALL = sorted(name for name, body in r4_examples().items() if len(body) < 5_000)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", " ", "a b", "a  b", " x", "\u00a0", "2026-02-30", "2026-02-28T10:00:60Z", "2026",
     "24:00", "#", "#x", "Patient/1", "Practitioner/1/_history/2", "Nothing/1", "Patient?a=b",
     "urn:uuid:1", "http://example.org/Patient/1", "entered-in-error", "final", "home", "document",
     "transaction", "<div/>", "AA==", "A===", "AA A=", 0, -1, 1.5, Decimal("1.50"), True, False,
     [], {}, [None], ["x"], [{}], {"id": "x"}, [{"id": "x"}, None], {"reference": "#x"},
     {"reference": "Patient/1", "type": "Group"}, {"start": "2026-01", "end": "2025"},
     {"extension": [{"url": "http://example.org/e", "valueString": "v"}]},
     {"value": 1, "code": "kg"}, {"coding": [{"code": "entered-in-error"}]}, "x" * 1_001]
)  # fmt: skip
NAMES = st.sampled_from(
    ["id", "extension", "url", "value", "valueString", "_value", "_status", "_code", "_given",
     "status", "code", "system", "contained", "text", "resourceType", "reference", "identifier",
     "use", "name", "meta", "entry", "period", "foo", "_foo", "component", "search", "request"]
)  # fmt: skip


def _holders(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] * isinstance(value, dict | list) + [h for each in inner for h in _holders(each)]


def _bend(resource: Json, data: st.DataObject) -> None:
    """Changes something somewhere."""
    holder = data.draw(st.sampled_from(_holders(resource)))
    if isinstance(holder, list):
        holder.insert(0, copy.deepcopy(data.draw(ODD)))
        return
    known = sorted(holder)
    name = data.draw(st.sampled_from(known) if known else NAMES)
    match data.draw(st.sampled_from(("drop", "change", "add", "wrap", "beside"))):
        case "drop":
            holder.pop(name, None)
        case "change":
            holder[name] = copy.deepcopy(data.draw(ODD))
        case "add":
            holder[data.draw(NAMES)] = copy.deepcopy(data.draw(ODD))
        case "wrap":
            holder[name] = [holder.get(name)]
        case _:
            holder[f"_{name}"] = copy.deepcopy(data.draw(ODD))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SMALL), st.integers(1, 3), st.data())
def test_a_bent_resource_is_judged_the_same(name: str, times: int, data: st.DataObject) -> None:
    resource = parse(r4_examples()[name])
    for _ in range(times):
        _bend(resource, data)
    structure, found = validate_closely(resource), _close(resource)
    assert validate_base(resource) == found
    assert validate(resource) == structure
    assert not (found and is_right(resource))
    assert not (structure and is_right(resource, rules=False))
    if not has_errors(structure):
        assert broken_rules(resource) == found[len(structure) :]


PATIENT: Json = {"resourceType": "Patient"}
EXTENDED: Json = {"extension": [{"url": "http://example.org/e", "valueCode": "unknown"}]}


@pytest.mark.parametrize(
    "resource",
    [
        {**PATIENT, "_birthDate": EXTENDED},
        {**PATIENT, "birthDate": "1980-01-05", "_birthDate": EXTENDED},
        {**PATIENT, "name": [{"given": ["Jan", None], "_given": [None, EXTENDED]}]},
        {**PATIENT, "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
         "managingOrganization": {"reference": "#o", "display": "x"}},
        {**PATIENT, "deceasedBoolean": False, "maritalStatus": {"coding": [{"code": "a b"}]}},
        {**PATIENT, "link": [{"other": {"identifier": {"value": "1"}}, "type": "seealso"}]},
        {"resourceType": "Observation", "_status": EXTENDED, "code": {"text": "x"},
         "effectivePeriod": {"start": "2026-03-29T01:30:00+01:00",
                             "end": "2026-03-29T03:30:00+02:00"}},
    ],
)  # fmt: skip
def test_the_usual_oddities_are_seen_quickly(resource: Json) -> None:
    assert _close(resource) == []
    assert is_right(resource)


@pytest.mark.parametrize(
    "resource",
    [
        {**PATIENT, "_birthDate": {"id": "a"}},
        {**PATIENT, "name": [{"given": [None], "_given": [None]}]},
        {**PATIENT, "name": [{"given": ["Jan", "Petr"], "_given": [EXTENDED]}]},
        {**PATIENT, "deceasedBoolean": False, "_deceasedDateTime": EXTENDED},
        {**PATIENT, "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}]},
        {**PATIENT, "managingOrganization": {"reference": "#o"}},
        {**PATIENT, "managingOrganization": {"reference": "Patient/o", "display": "x"}},
        {**PATIENT, "managingOrganization": {"reference": "Organization/o", "display": " "}},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
         "effectivePeriod": {"start": "2026-03-29T03:30:00+01:00",
                             "end": "2026-03-29T03:30:00+02:00"}},
        {"resourceType": "Observation", "status": "nearly", "code": {"text": "x"}},
        {"resourceType": "Bundle", "type": "document", "entry": [{"resource": PATIENT}]},
    ],
)  # fmt: skip
def test_what_a_close_look_finds_is_not_called_right(resource: Json) -> None:
    assert _close(resource)
    assert not is_right(resource)
    assert validate_base(resource) == _close(resource)


def test_names_that_a_client_makes_up_are_not_kept() -> None:
    before = _plan.cache_info().currsize
    for number in range(50):
        assert not is_right({**PATIENT, f"name{number}": "x"})
    assert _plan.cache_info().currsize == before
