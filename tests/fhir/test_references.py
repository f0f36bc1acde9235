"""References are taken apart, found and rewritten as the standard writes them."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.references import Ref, iter_references, parse_reference, reference_of, rewrite
from tests.shared_data import load, r4_examples

URN = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/123", Ref("relative", "Patient", "123")),
        ("Patient/123/_history/4", Ref("relative", "Patient", "123", "4")),
        (
            "https://example.org/fhir/Patient/a.b-1",
            Ref("absolute", "Patient", "a.b-1", None, "https://example.org/fhir/Patient/a.b-1"),
        ),
        (
            "http://example.org/r4/Observation/1/_history/2",
            Ref(
                "absolute", "Observation", "1", "2",
                "http://example.org/r4/Observation/1/_history/2",
            ),
        ),
        ("http://hl7.cz/fhir/vs|1.0", Ref("absolute", None, None, "1.0", "http://hl7.cz/fhir/vs")),
        (URN, Ref("urn", url=URN)),
        ("urn:oid:1.2.203", Ref("urn", url="urn:oid:1.2.203")),
        ("#med", Ref("contained", id="med")),
        ("#", Ref("contained", id="")),
        (
            "Patient?identifier=a|b",
            Ref("logical", "Patient", url="Patient?identifier=a|b"),
        ),
        ("Nonsense/1", Ref("logical", url="Nonsense/1")),
        ("Patient/", Ref("logical", url="Patient/")),
        ("Patient/1\n", Ref("logical", url="Patient/1\n")),
        ("", Ref("logical")),
    ],
)  # fmt: skip
def test_every_form_of_a_reference_is_told_apart(text: str, expected: Ref) -> None:
    assert parse_reference(text) == expected


def test_the_type_beside_the_text_fills_what_the_text_does_not_tell() -> None:
    assert reference_of({"reference": URN, "type": "Patient"}) == Ref("urn", "Patient", url=URN)
    assert reference_of({"reference": "Group/1", "type": "Patient"}).type == "Group"
    logical = reference_of({"type": "Patient", "identifier": {"value": "1"}})
    assert logical == Ref("logical", "Patient")


@given(st.text())
def test_any_text_is_some_reference(text: str) -> None:
    ref = parse_reference(text)
    assert (ref.kind == "relative") <= (ref.type is not None and ref.id is not None)


def test_references_are_found_with_their_paths_in_document_order() -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {
                "fullUrl": URN,
                "resource": {
                    "resourceType": "Observation",
                    "contained": [{"resourceType": "Specimen", "subject": {"reference": "#"}}],
                    "subject": {"reference": "Patient/1"},
                    "performer": [{"display": "only"}, {"reference": "Organization/2"}],
                },
            }
        ],
    }
    assert [(path, holder["reference"]) for path, holder in iter_references(bundle)] == [
        ("Bundle.entry[0].resource.contained[0].subject", "#"),
        ("Bundle.entry[0].resource.subject", "Patient/1"),
        ("Bundle.entry[0].resource.performer[1]", "Organization/2"),
    ]


def test_uris_that_are_called_reference_are_no_references() -> None:
    resource = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "DetectedIssue", "reference": "http://a.example"}},
            {
                "resource": {
                    "resourceType": "Immunization",
                    "education": [{"reference": "http://b.example"}],
                }
            },
        ],
    }
    assert list(iter_references(resource)) == []


def test_rewriting_changes_hits_only_and_leaves_the_original_alone() -> None:
    resource = {
        "resourceType": "Observation",
        "code": {"coding": [{"code": "1"}]},
        "subject": {"reference": URN, "display": "x"},
        "performer": [{"reference": "Practitioner/1"}, {"reference": URN}],
    }
    before = copy.deepcopy(resource)
    changed = rewrite(resource, {URN: "Patient/9"})
    assert resource == before
    assert changed["subject"] == {"reference": "Patient/9", "display": "x"}
    assert [each["reference"] for each in changed["performer"]] == ["Practitioner/1", "Patient/9"]
    assert changed["code"] is resource["code"]
    assert rewrite(resource, {"Patient/1": "Patient/2"}) is resource


def test_rewriting_all_references_of_the_examples_reaches_every_one() -> None:
    for body in list(r4_examples().values())[::7]:
        resource = load(body)
        mapping = {holder["reference"]: "Basic/x" for _, holder in iter_references(resource)}
        found = [holder["reference"] for _, holder in iter_references(rewrite(resource, mapping))]
        assert set(found) <= {"Basic/x"}
