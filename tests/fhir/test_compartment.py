"""Whose record a resource is in follows the R4 Patient compartment."""

from __future__ import annotations

from typing import Any

import pytest

from pater.fhir.compartment import clinical_person_reference, patient_references
from pater.fhir.references import Ref

P1, P2 = Ref("relative", "Patient", "1"), Ref("relative", "Patient", "2")
TO_P1, TO_P2 = {"reference": "Patient/1"}, {"reference": "Patient/2"}
URN = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Observation", "subject": TO_P1, "performer": [TO_P2]}, [P1, P2]),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, []),
        ({"resourceType": "DocumentReference", "author": [TO_P2], "subject": TO_P1}, [P1, P2]),
        ({"resourceType": "Encounter", "subject": TO_P1}, [P1]),
        (
            {
                "resourceType": "AuditEvent",
                "agent": [{"who": {"reference": "Practitioner/1"}}],
                "entity": [{"what": {"reference": "DocumentReference/1"}}, {"what": TO_P1}],
            },
            [P1],
        ),
        (
            {
                "resourceType": "Coverage",
                "policyHolder": TO_P2,
                "beneficiary": TO_P1,
                "payor": [{"reference": "Organization/1"}],
            },
            [P1, P2],
        ),
        ({"resourceType": "AllergyIntolerance", "patient": TO_P1, "asserter": TO_P1}, [P1]),
        ({"resourceType": "Patient", "id": "1", "link": [{"other": TO_P2}]}, [P1, P2]),
        ({"resourceType": "Organization", "id": "1"}, []),
        ({"resourceType": "Medication"}, []),
        ({"resourceType": "Group", "member": [{"entity": TO_P1}, {"entity": TO_P2}]}, [P1, P2]),
    ],
)
def test_compartments(resource: dict[str, Any], expected: list[Ref]) -> None:
    kind = resource["resourceType"]
    assert patient_references(kind, resource) == expected
    assert clinical_person_reference(kind, resource) == (expected[0] if expected else None)


def test_a_urn_about_somebody_is_a_patient_and_that_of_a_performer_is_not() -> None:
    urn = {"reference": URN}
    owner = Ref("urn", "Patient", url=URN)
    assert patient_references("Observation", {"subject": urn}) == [owner]
    assert patient_references("AllergyIntolerance", {"patient": urn}) == [owner]
    assert patient_references("Observation", {"performer": [urn]}) == []
    told = {"performer": [{"reference": URN, "type": "Patient"}]}
    assert patient_references("Observation", told) == [owner]


def test_references_that_cannot_be_followed_name_nobody() -> None:
    logical = {"type": "Patient", "identifier": {"value": "x"}}
    for holder in (logical, {"reference": "#p"}, {"reference": "Patient?identifier=x"}):
        assert clinical_person_reference("Observation", {"subject": holder}) is None
