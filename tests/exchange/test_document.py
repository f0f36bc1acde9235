"""The rules of a document: every problem with its place, errors and warnings kept apart."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pater.domains.exchange.document import (
    entries_of,
    identifier_issues,
    reference_issues,
    replaced_identifiers,
    stamp_of,
    structure_issues,
)
from pater.domains.exchange.leniency import lenient
from pater.fhir.validation import validate
from tests.system.documents import discharge, resource_of


@pytest.fixture
def bundle() -> dict[str, Any]:
    return discharge()


def places(issues: list[Any], severity: str = "error") -> set[str]:
    return {i.path for i in issues if i.severity == severity}


def test_a_good_document_has_no_issues(bundle: dict[str, Any]) -> None:
    assert validate(bundle) == []
    assert structure_issues(bundle) == []
    assert reference_issues(entries_of(bundle)) == []
    assert identifier_issues(entries_of(bundle), strict=True) == []


def test_each_missing_part_is_named(bundle: dict[str, Any]) -> None:
    del bundle["identifier"], bundle["timestamp"]
    bundle["entry"][0], bundle["entry"][1] = bundle["entry"][1], bundle["entry"][0]
    del bundle["entry"][2]["fullUrl"]
    bundle["entry"][3]["fullUrl"] = bundle["entry"][4]["fullUrl"]
    assert places(structure_issues(bundle)) == {
        "Bundle.identifier",
        "Bundle.timestamp",
        "Bundle.entry[0]",
        "Bundle.entry[1]",
        "Bundle.entry[2].fullUrl",
        "Bundle.entry[3].fullUrl",
        "Bundle.entry[4].fullUrl",
    }


@pytest.mark.parametrize("stamp", ["2026-01-01", "yesterday", "2026-01-01T10:00:00"])
def test_a_timestamp_without_a_zone_is_no_instant(bundle: dict[str, Any], stamp: str) -> None:
    bundle["timestamp"] = stamp
    assert stamp_of(bundle) is None
    assert "Bundle.timestamp" in places(structure_issues(bundle))


@pytest.mark.parametrize("target", ["urn:uuid:00000000-0000-4000-8000-000000000000", "Patient/123"])
def test_a_reference_that_says_whose_record_it_is_must_lead_somewhere(
    bundle: dict[str, Any], target: str
) -> None:
    resource_of(bundle, "Observation")["subject"] = {"reference": target}
    assert places(reference_issues(entries_of(bundle))) == {
        "Bundle.entry[5].resource.subject.reference"
    }


def test_other_references_may_lead_out_of_the_document(bundle: dict[str, Any]) -> None:
    resource_of(bundle, "Encounter")["location"] = [{"location": {"reference": "Location/7"}}]
    issues = reference_issues(entries_of(bundle))
    assert places(issues) == set()
    assert places(issues, "warning") == {"Bundle.entry[2].resource.location[0].location.reference"}


def test_everything_the_composition_refers_to_is_in_the_document(bundle: dict[str, Any]) -> None:
    resource_of(bundle, "Composition")["section"][0]["entry"][0]["reference"] = "Condition/9"
    assert places(reference_issues(entries_of(bundle))) == {
        "Bundle.entry[0].resource.section[0].entry[0].reference"
    }


def test_a_relative_reference_finds_an_entry_by_type_and_id(bundle: dict[str, Any]) -> None:
    resource_of(bundle, "Patient")["id"] = "one"
    resource_of(bundle, "Observation")["subject"] = {"reference": "Patient/one"}
    assert reference_issues(entries_of(bundle)) == []


def test_a_failing_check_digit_is_an_error_or_a_warning(bundle: dict[str, Any]) -> None:
    resource_of(bundle, "Patient")["identifier"][0]["value"] = "7706128004"
    place = {"Bundle.entry[1].resource.identifier[0].value"}
    assert places(identifier_issues(entries_of(bundle), strict=True)) == place
    assert places(identifier_issues(entries_of(bundle), strict=False), "warning") == place


def test_codes_of_r5_are_warnings_for_test_data_and_other_wrong_codes_are_not(
    bundle: dict[str, Any],
) -> None:
    resource_of(bundle, "Encounter")["status"] = "completed"
    issues = validate(bundle)
    assert places(issues) == {"Bundle.entry[2].resource.status"}
    assert places(lenient(issues, bundle)) == set()
    assert places(lenient(issues, bundle), "warning") == {"Bundle.entry[2].resource.status"}
    wrong = copy.deepcopy(bundle)
    resource_of(wrong, "Encounter")["status"] = "done"
    assert places(lenient(validate(wrong), wrong)) == {"Bundle.entry[2].resource.status"}


def test_what_a_document_says_it_replaces(bundle: dict[str, Any]) -> None:
    composition = resource_of(bundle, "Composition")
    composition["relatesTo"] = [
        {"code": "replaces", "targetIdentifier": {"system": "s", "value": "1"}},
        {"code": "appends", "targetIdentifier": {"system": "s", "value": "2"}},
        {"code": "replaces", "targetReference": {"identifier": {"system": "t", "value": "3"}}},
    ]
    assert replaced_identifiers(composition) == [("s", "1"), ("t", "3")]
