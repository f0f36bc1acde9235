"""The invariants of R4 hold for its examples and are found where they are broken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES, element_table
from pater.fhir.fhirpath import compile_expression
from pater.fhir.fhirpath.types import children
from pater.fhir.invariants import LIMIT, check, rules_of
from tests.shared_data import load, r4_examples

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p"}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "Weight"},
    "valueQuantity": {"value": 80, "unit": "kg"},
}


def _errors(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (issue.text.partition(":")[0], issue.path)
        for issue in check(resource["resourceType"], resource)
        if issue.severity == "error"
    ]


def test_all_examples_of_r4_keep_all_invariants() -> None:
    examples = [load(body) for body in r4_examples().values()]
    broken = {
        (example.get("id"), *error)
        for example in examples
        if "resourceType" in example
        for error in _errors(example)
    }
    assert broken == set()
    assert len(examples) > 600


def test_every_rule_can_be_evaluated_on_the_examples() -> None:
    unsure = {
        issue.text
        for body in r4_examples().values()
        if "resourceType" in (example := load(body))
        for issue in check(example["resourceType"], example)
        if "could not be checked" in issue.text
    }
    assert unsure == set()


def test_the_rules_of_all_types_and_backbones_compile() -> None:
    keys = {
        rule.definition.key
        for name in RESOURCE_TYPES
        for path in (name, *(row.path for row in element_table(name) if children(row.path)))
        for rule in rules_of(path)
    }
    assert {"obs-6", "obs-7", "dom-2", "pat-1", "bdl-7", "sdf-1", "cmp-1"} <= keys
    assert len(keys) > 100


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({**PATIENT, "contact": [{"gender": "male"}]}, ("pat-1", "Patient.contact[0]")),
        ({**PATIENT, "name": [{"id": "a"}]}, ("ele-1", "Patient.name[0]")),
        ({**PATIENT, "name": [{"text": "a"}, {}]}, ("ele-1", "Patient.name[1]")),
        ({**PATIENT, "_birthDate": {"id": "a"}}, ("ele-1", "Patient.birthDate")),
        (
            {**PATIENT, "name": [{"period": {"start": "2020-02", "end": "2020-01"}}]},
            ("per-1", "Patient.name[0].period"),
        ),
        (
            {**OBSERVATION, "dataAbsentReason": {"text": "lost"}},
            ("obs-6", "Observation"),
        ),
        (
            {
                **OBSERVATION,
                "code": {"coding": [{"code": "a"}]},
                "component": [{"code": {"coding": [{"code": "a"}]}, "valueString": "x"}],
            },
            ("obs-7", "Observation"),
        ),
        ({**OBSERVATION, "referenceRange": [{"age": {"low": {"value": 1}}}]},
         ("obs-3", "Observation.referenceRange[0]")),
        ({**OBSERVATION, "subject": {"reference": "#p"}}, ("ref-1", "Observation.subject")),
        (
            {**PATIENT, "extension": [{"url": "http://e.example"}]},
            ("ext-1", "Patient.extension[0]"),
        ),
        (
            {**PATIENT, "birthDate": "2000", "_birthDate": {"extension": [{"url": "u"}]}},
            ("ext-1", "Patient.birthDate.extension[0]"),
        ),
        (
            {**PATIENT, "contained": [{"resourceType": "Patient", "id": "a"}]},
            ("dom-3", "Patient"),
        ),
        (
            {
                **OBSERVATION,
                "subject": {"reference": "#p"},
                "contained": [{**PATIENT, "meta": {"versionId": "1"}}],
            },
            ("dom-4", "Observation"),
        ),
        (
            {
                **OBSERVATION,
                "subject": {"reference": "#p"},
                "contained": [{**PATIENT, "contained": [{"resourceType": "Patient", "id": "q"}]}],
            },
            ("dom-2", "Observation"),
        ),
        (
            {**OBSERVATION, "effectiveTiming": {"repeat": {"duration": 1}}},
            ("tim-1", "Observation.effectiveTiming.repeat"),
        ),
        (
            {**OBSERVATION, "valueQuantity": {"value": 80, "code": "kg"}},
            ("qty-3", "Observation.valueQuantity"),
        ),
        (
            {
                "resourceType": "RiskAssessment",
                "status": "final",
                "subject": {"display": "x"},
                "prediction": [{"probabilityDecimal": 101}],
            },
            ("ras-2", "RiskAssessment.prediction[0]"),
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": {**OBSERVATION, "dataAbsentReason": {"text": "lost"}}}],
            },
            ("obs-6", "Bundle.entry[0].resource"),
        ),
        (
            {"resourceType": "Bundle", "type": "collection", "total": 1},
            ("bdl-1", "Bundle"),
        ),
    ],
)  # fmt: skip
def test_what_is_broken_is_found_where_it_is(
    resource: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert expected in _errors(resource)


def test_a_sound_resource_has_no_error_and_advice_is_a_warning() -> None:
    contained = {
        **OBSERVATION,
        "subject": {"reference": "#p"},
        "performer": [{"display": "nobody in particular"}],
        "contained": [PATIENT],
        "effectivePeriod": {"start": "2026-01-05T10:00:00Z", "end": "2026-01-05"},
    }
    issues = check("Observation", contained)
    assert [issue.severity for issue in issues if issue.path == "Observation"] == ["warning"]
    assert issues[0].code == "invariant" and issues[0].text.startswith("dom-6: ")


def test_paths_start_where_the_caller_says() -> None:
    broken = {**PATIENT, "contact": [{"gender": "male"}]}
    found = {issue.path for issue in check("Patient", broken, path="Bundle.entry[3].resource")}
    assert "Bundle.entry[3].resource.contact[0]" in found


def test_not_more_issues_than_the_limit() -> None:
    broken = {**PATIENT, "name": [{} for _ in range(500)]}
    issues = check("Patient", broken)
    assert len(issues) == LIMIT + 1
    assert "more than" in issues[-1].text


@pytest.mark.parametrize(
    "name",
    [
        {"text": "a"}, {"id": "a"}, {}, {"id": "a", "given": ["b"]},
        {"_text": {"extension": [{"url": "u", "valueString": "v"}]}},
    ],
)  # fmt: skip
def test_ele_1_is_what_its_expression_says(name: dict[str, Any]) -> None:
    published = compile_expression("hasValue() or (children().count() > id.count())", "HumanName")
    found = ("ele-1", "Patient.name[0]") in _errors({**PATIENT, "name": [name]})
    assert found is not published.holds(name)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reference", "value", "code", "system", "start", "end", "id", "url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["subject", "valueQuantity", "effectivePeriod", "component", "contained", "extension",
             "code", "_status", "status", "referenceRange", "meta", "identifier"]
        ),
        JUNK,
    )
)  # fmt: skip
def test_a_resource_without_structure_does_not_raise(junk: dict[str, Any]) -> None:
    check("Observation", {"resourceType": "Observation", **junk})
