"""Of which category a resource is and how confidential: what patients' consents are about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.labelling import CATEGORY_SYSTEM, category_of, confidentiality_of, label_of
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    PROVIDER_MASK,
    RESTRICTED,
    VERY_RESTRICTED,
    Level,
    Veil,
    category_bits,
    document_bits,
    label,
    provider_bits,
)

LOINC = "http://loinc.org"
V3 = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"


def concept(system: str, *codes: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


@pytest.mark.parametrize(
    ("resource", "category"),
    [
        ({"resourceType": "Patient"}, "identification"),
        ({"resourceType": "Coverage"}, "identification"),
        ({"resourceType": "Condition"}, "other"),
        ({"resourceType": "MedicationRequest"}, "medication"),
        ({"resourceType": "Immunization"}, "vaccination"),
        ({"resourceType": "Encounter"}, "care-relation"),
        ({"resourceType": "Communication"}, "notice"),
        ({"resourceType": "Consent", "scope": concept("urn:x", "patient-privacy")}, "consent"),
        (
            {"resourceType": "Consent",
             "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "adr")},
            "advance-directive",
        ),
        ({"resourceType": "Observation", "category": [concept(OBSERVATION, "laboratory")]},
         "laboratory-report"),
        ({"resourceType": "Observation", "category": [concept(OBSERVATION, "vital-signs")]},
         "other"),
        ({"resourceType": "DiagnosticReport", "category": [concept(SECTION, "HM")]},
         "laboratory-report"),
        ({"resourceType": "DiagnosticReport", "category": [concept(SECTION, "RAD")]},
         "imaging-report"),
        ({"resourceType": "DiagnosticReport", "code": concept(LOINC, "11502-2")},
         "laboratory-report"),
        ({"resourceType": "ServiceRequest",
          "category": [concept("http://snomed.info/sct", "363679005")]}, "imaging-order"),
        ({"resourceType": "Composition", "type": concept(LOINC, "34105-7")}, "discharge-report"),
        ({"resourceType": "DocumentReference", "type": concept(LOINC, "x", "60591-5")},
         "patient-summary"),
        ({"resourceType": "DocumentReference", "type": concept(LOINC, "x"),
          "category": [concept(LOINC, "85430-7")]}, "imaging-report"),
        ({"resourceType": "DocumentReference", "type": concept(LOINC, "42348-3")},
         "advance-directive"),
        (
            {"resourceType": "Bundle", "type": "document", "entry": [{"resource": {
                "resourceType": "Composition", "type": concept(LOINC, "34108-1")}}]},
            "ambulatory-report",
        ),
        ({"resourceType": "Bundle", "type": "collection", "entry": []}, "other"),
        (
            {"resourceType": "Condition",
             "meta": {"tag": [{"system": CATEGORY_SYSTEM, "code": "epidemiology"}]}},
            "epidemiology",
        ),
        # a tag neither makes a record one that everybody sees nor moves what its type tells
        (
            {"resourceType": "Condition",
             "meta": {"tag": [{"system": CATEGORY_SYSTEM, "code": "identification"}]}},
            "other",
        ),
        (
            {"resourceType": "MedicationRequest",
             "meta": {"tag": [{"system": CATEGORY_SYSTEM, "code": "epidemiology"}]}},
            "medication",
        ),
    ],
)  # fmt: skip
def test_category(resource: dict[str, Any], category: str) -> None:
    assert category_of(resource["resourceType"], resource) == category
    assert label_of(resource["resourceType"], resource) & CATEGORY_MASK == category_bits(category)


@pytest.mark.parametrize(
    ("resource", "level"),
    [
        ({"resourceType": "Condition"}, 0),
        ({"resourceType": "Condition", "meta": {"security": [{"system": V3, "code": "N"}]}}, 0),
        ({"resourceType": "Condition", "meta": {"security": [{"system": V3, "code": "L"}]}}, 0),
        ({"resourceType": "Condition", "meta": {"security": [{"code": "R"}]}}, 0),
        (
            {"resourceType": "Condition", "meta": {"security": [
                {"system": V3, "code": "N"}, {"system": V3, "code": "R"}]}},
            RESTRICTED,
        ),
        ({"resourceType": "Composition", "confidentiality": "V"}, VERY_RESTRICTED),
        ({"resourceType": "DocumentReference", "securityLabel": [concept(V3, "R")]}, RESTRICTED),
        (
            {"resourceType": "Bundle", "type": "document", "entry": [{"resource": {
                "resourceType": "Composition", "confidentiality": "R"}}]},
            RESTRICTED,
        ),
    ],
)  # fmt: skip
def test_confidentiality(resource: dict[str, Any], level: int) -> None:
    assert confidentiality_of(resource) == level
    assert label_of(resource["resourceType"], resource) & CONFIDENTIALITY_MASK == level << 6


def test_provider_and_document_stand_beside_each_other() -> None:
    made = label_of("Condition", {"resourceType": "Condition"}, "12345679", "chain-1")
    assert made == label("other", 0, "12345679", "chain-1")
    assert made & PROVIDER_MASK == provider_bits("12345679") != 0
    assert made & DOCUMENT_MASK == document_bits("chain-1") != 0
    assert label_of("Condition", {}, "no number", "") == 0
    assert 0 < made < 2**63


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["R", "V", V3, LOINC, "adr", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "meta", "security", "tag", "system", "code", "coding", "category", "type", "scope",
            "entry", "resource", "resourceType", "securityLabel", "confidentiality",
        ]), inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(type=st.sampled_from(RESOURCE_TYPES), resource=ANYTHING, document=st.text(max_size=5))
def test_every_resource_has_a_label_whatever_it_is(type: str, resource: Any, document: str) -> None:
    """What comes in by an import nobody has validated."""
    made = label_of(type, resource, "12345679", document)
    assert 0 <= made < 2**63
    assert made & CATEGORY_MASK < len(CATEGORIES)


@given(
    veil=st.builds(
        Veil,
        st.lists(
            st.builds(
                Level,
                st.sampled_from([CATEGORY_MASK, PROVIDER_MASK, CONFIDENTIALITY_MASK]),
                st.frozensets(st.integers(0, 300), max_size=3),
                st.frozensets(st.integers(0, 300), max_size=3),
            ),
            max_size=3,
        ).map(tuple),
        st.booleans(),
    ),
    number=st.integers(0, 300),
)
def test_the_first_level_that_speaks_decides(veil: Veil, number: int) -> None:
    said = [
        part in level.held and part not in level.shown
        for level in veil.levels
        for part in (number & level.mask,)
        if part in level.shown | level.held
    ]
    assert veil.holds_back(number) == (said[0] if said else veil.otherwise)
