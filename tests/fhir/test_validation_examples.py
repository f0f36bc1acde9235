"""Published records are right; the few that are not are known by name and reason."""

from __future__ import annotations

import pytest

from pater.fhir.issues import has_errors
from pater.fhir.json import parse
from pater.fhir.validation import validate
from tests.shared_data import documents, r4_examples

NO_TEXT = {"text.div": "the narrative is blank (txt-2)"}
TOO_LONG = "an id in a reference has more than 64 characters"
# example → {end of the path: why it is truly wrong}
WRONG = {
    "ActivityDefinition-blood-tubes-supply": NO_TEXT,
    "ActivityDefinition-heart-valve-replacement": NO_TEXT,
    "EventDefinition-example": NO_TEXT,
    "Questionnaire-zika-virus-exposure-assessment": NO_TEXT,
    "DeviceMetric-example": {"parent": "points to a DeviceDefinition; R4 allows Device"},
    "DeviceUseStatement-example": {"reasonReference[0]": "R4 does not allow a Procedure"},
    "MedicationRequest-medrx0301": {
        "dispenseRequest.performer": "points to a Practitioner; R4 allows Organization"
    },
    "Observation-clinical-gender": {"performer[0]": "an Encounter cannot perform"},
    "Questionnaire-qs1": {"linkId": "items without the mandatory linkId"},
    "ImplementationGuide-fhir": {
        "reference": TOO_LONG,
        "name": "missing though mandatory",
        "status": "missing though mandatory",
    },
    "ig-r4": {
        "reference": TOO_LONG,
        "name": "missing though mandatory",
        "status": "missing though mandatory",
    },
}


def test_the_examples_of_r4_are_right_but_for_the_known_ones() -> None:
    wrong = {}
    for name, body in r4_examples().items():
        resource = parse(body)
        issues = validate(resource) if "resourceType" in resource else []
        if has_errors(issues):
            wrong[name.rpartition("/")[2].removesuffix(".json")] = issues
    assert wrong.keys() == WRONG.keys()
    for name, issues in wrong.items():
        for issue in issues:
            assert issue.path.endswith(tuple(WRONG[name])), (name, issue)


def test_published_documents_are_right() -> None:
    """Of all guides; SYNDERAI's discharge reports give Encounter.status the R5 code completed."""
    for name, body in documents().items():
        issues = validate(parse(body))
        if name.startswith("synderai-hdr/"):
            assert {issue.code for issue in issues} <= {"code-invalid"}, name
            assert {issue.path.rpartition(".")[2] for issue in issues} <= {"status"}, name
        else:
            assert not has_errors(issues), (name, issues[:3])


@pytest.mark.parametrize("folder", ["cz-hdr", "eu-hdr"])
def test_discharge_reports_have_no_issue_at_all(folder: str) -> None:
    found = documents(folder)
    assert found
    for name, body in found.items():
        assert validate(parse(body)) == [], name
