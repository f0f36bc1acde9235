"""Each kind of bad input is found, with its path; good input is let through."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from pater.fhir.definitions import required_codes
from pater.fhir.issues import Issue, has_errors, operation_outcome
from pater.fhir.validation import validate

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"lastUpdated": "2024-02-29T10:00:00.000+01:00"},
    "text": {"status": "generated", "div": DIV.format("<p>Jan <b>N</b></p>")},
    "identifier": [{"system": "urn:oid:1.2.3", "value": "1"}],
    "active": True,
    "name": [
        {
            "family": "Novák",
            "given": ["Jan", None],
            "_given": [None, {"extension": [{"url": "http://e.org/x", "valueString": "?"}]}],
        }
    ],
    "gender": "male",
    "birthDate": "1980-04-30",
    "_birthDate": {"extension": [{"url": "http://e.org/t", "valueDateTime": "1980-04-30"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "communication": [{"language": {"text": "čeština"}}],
    "generalPractitioner": [{"reference": "Practitioner/7"}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "N"}],
    "managingOrganization": {"reference": "#o"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
    "subject": {"reference": "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"},
    "effectiveDateTime": "2024-01-01T10:00:00Z",
    "valueQuantity": {"value": Decimal("36.60"), "unit": "C"},
    "referenceRange": [{"low": {"value": 36}}],
    "component": [{"code": {"text": "x"}, "referenceRange": [{"text": "y"}]}],
}
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "clinicalStatus": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                "code": "active",
            }
        ]
    },
    "subject": {"reference": "https://example.org/fhir/Patient/1/_history/2"},
}
GOOD = {"Patient": PATIENT, "Observation": OBSERVATION, "Condition": CONDITION}


@pytest.mark.parametrize("resource", GOOD.values(), ids=GOOD.keys())
def test_good_resources_have_no_issue(resource: dict[str, Any]) -> None:
    before = copy.deepcopy(resource)
    assert validate(resource) == []
    assert resource == before


# Each: what, on which resource, the change to it, where it must be found, with what code.
BAD: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("unknown element", "Patient", {"birthdate": "1980"}, "Patient.birthdate", "structure"),
    ("untyped choice", "Observation", {"value": "x"}, "Observation.value", "structure"),
    ("unknown inner element", "Patient", {"name": [{"fam": "x"}]}, "Patient.name[0].fam",
     "structure"),
    ("single for array", "Patient", {"name": {"family": "x"}}, "Patient.name", "structure"),
    ("array for single", "Patient", {"gender": ["male"]}, "Patient.gender", "structure"),
    ("string for boolean", "Patient", {"active": "true"}, "Patient.active", "structure"),
    ("string for number", "Observation", {"valueQuantity": {"value": "1"}},
     "Observation.valueQuantity.value", "structure"),
    ("boolean for number", "Observation", {"valueQuantity": {"value": True}},
     "Observation.valueQuantity.value", "structure"),
    ("number for string", "Patient", {"name": [{"family": 5}]}, "Patient.name[0].family",
     "structure"),
    ("fraction for integer", "Patient", {"multipleBirthInteger": 1.5},
     "Patient.multipleBirthInteger", "value"),
    ("integer beyond 32 bits", "Patient", {"multipleBirthInteger": 2**31},
     "Patient.multipleBirthInteger", "value"),
    ("null", "Patient", {"gender": None}, "Patient.gender", "structure"),
    ("null in an array of objects", "Patient", {"name": [None]}, "Patient.name[0]", "structure"),
    ("null without a sibling", "Patient", {"name": [{"given": ["a", None]}]},
     "Patient.name[0].given[1]", "structure"),
    ("null on both sides", "Patient", {"name": [{"given": ["a", None], "_given": [None, None]}]},
     "Patient.name[0]._given[1]", "structure"),
    ("siblings of unlike length", "Patient",
     {"name": [{"given": ["a"], "_given": [None, {"id": "x"}]}]},
     "Patient.name[0]._given", "structure"),
    ("sibling of the wrong kind", "Patient", {"_birthDate": [{"id": "x"}]}, "Patient._birthDate",
     "structure"),
    ("sibling of an object", "Patient", {"_name": [{"id": "x"}]}, "Patient._name", "structure"),
    ("empty sibling", "Patient", {"_birthDate": {}}, "Patient._birthDate", "structure"),
    ("empty array", "Patient", {"name": []}, "Patient.name", "structure"),
    ("empty object", "Patient", {"name": [{}]}, "Patient.name[0]", "structure"),
    ("empty string", "Patient", {"name": [{"family": ""}]}, "Patient.name[0].family", "value"),
    ("missing code", "Observation", {"code": ...}, "Observation.code", "required"),
    ("missing primitive", "Observation", {"status": ...}, "Observation.status", "required"),
    ("missing choice", "MedicationRequest",
     {"status": "active", "intent": "order", "subject": {"display": "x"}},
     "MedicationRequest.medication", "required"),
    ("missing inner element", "Patient", {"communication": [{"preferred": True}]},
     "Patient.communication[0].language", "required"),
    ("two of a choice", "Observation", {"valueString": "x"}, "Observation.value", "structure"),
    ("two of a choice, one by sibling", "Patient",
     {"_deceasedDateTime": {"id": "x"}}, "Patient.deceased", "structure"),
    ("bad date", "Patient", {"birthDate": "1980-13-01"}, "Patient.birthDate", "value"),
    ("impossible day", "Patient", {"birthDate": "2023-02-29"}, "Patient.birthDate", "value"),
    ("date with blanks", "Patient", {"birthDate": "1980-01-01 "}, "Patient.birthDate", "value"),
    ("dateTime without zone", "Observation", {"effectiveDateTime": "2024-01-01T10:00:00"},
     "Observation.effectiveDateTime", "value"),
    ("instant without time", "Patient", {"meta": {"lastUpdated": "2024-01-01"}},
     "Patient.meta.lastUpdated", "value"),
    ("bad id", "Patient", {"id": "a_b"}, "Patient.id", "value"),
    ("long id", "Patient", {"id": "a" * 65}, "Patient.id", "value"),
    ("uri with a blank", "Patient", {"identifier": [{"system": "http://a b"}]},
     "Patient.identifier[0].system", "value"),
    ("bad base64", "Patient", {"photo": [{"data": "%%%"}]}, "Patient.photo[0].data", "value"),
    ("too long a string", "Patient", {"name": [{"family": "x" * (2**20 + 1)}]},
     "Patient.name[0].family", "too-long"),
    ("code with blanks", "Patient", {"language": " cs"}, "Patient.language", "value"),
    ("code outside the list", "Patient", {"gender": "M"}, "Patient.gender", "code-invalid"),
    ("concept outside the list", "Condition",
     {"clinicalStatus": {"coding": [{"system": "http://e.org", "code": "active"}]}},
     "Condition.clinicalStatus", "code-invalid"),
    ("concept of text only", "Condition", {"clinicalStatus": {"text": "active"}},
     "Condition.clinicalStatus", "code-invalid"),
    ("reference to the wrong type", "Observation", {"subject": {"reference": "Practitioner/1"}},
     "Observation.subject", "structure"),
    ("absolute reference to the wrong type", "Observation",
     {"subject": {"reference": "https://e.org/fhir/Practitioner/1"}}, "Observation.subject",
     "structure"),
    ("stated type not allowed", "Observation",
     {"subject": {"type": "Practitioner", "identifier": {"value": "1"}}}, "Observation.subject",
     "structure"),
    ("type and text disagree", "Observation",
     {"subject": {"type": "Group", "reference": "Patient/1"}}, "Observation.subject.type",
     "value"),
    ("not a reference", "Observation", {"subject": {"reference": "Jan"}},
     "Observation.subject.reference", "value"),
    ("reference to a type R4 lacks", "Observation", {"subject": {"reference": "Human/1"}},
     "Observation.subject.reference", "value"),
    ("contained in contained", "Patient",
     {"contained": [{"resourceType": "Patient", "contained": [{"resourceType": "Patient"}]}]},
     "Patient.contained[0].contained", "invariant"),
    ("contained of no type", "Patient", {"contained": [{"id": "x"}]}, "Patient.contained[0]",
     "required"),
    ("contained of an unknown type", "Patient", {"contained": [{"resourceType": "Pacient"}]},
     "Patient.contained[0]", "not-supported"),
    ("malformed narrative", "Patient",
     {"text": {"status": "generated", "div": DIV.format("<p>")}}, "Patient.text.div", "value"),
    ("extension without url", "Patient", {"extension": [{"valueString": "x"}]},
     "Patient.extension[0].url", "required"),
    ("extension of two values", "Patient",
     {"extension": [{"url": "http://e.org", "valueString": "x", "valueCode": "x"}]},
     "Patient.extension[0].value", "structure"),
    ("inside a shared content", "Observation",
     {"component": [{"code": {"text": "x"}, "referenceRange": [{"lo": 1}]}]},
     "Observation.component[0].referenceRange[0].lo", "structure"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "path", "code"),
    [each[1:] for each in BAD],
    ids=[each[0] for each in BAD],
)
def test_bad_input_is_found_at_its_place(
    kind: str, change: dict[str, Any], path: str, code: str
) -> None:
    resource = {**GOOD.get(kind, {"resourceType": kind}), **change}
    resource = {key: value for key, value in resource.items() if value is not ...}
    errors = [issue for issue in validate(resource) if issue.severity == "error"]
    assert (path, code) in [(issue.path, issue.code) for issue in errors], errors
    assert len(errors) == 1, errors
    assert errors[0].text.endswith((".", "?"))


@pytest.mark.parametrize("wrapper", ["Bundle", "Parameters"])
@pytest.mark.parametrize(
    ("kind", "change", "path", "code"), [each[1:] for each in BAD[::6]], ids=lambda _: ""
)
def test_bundle_entries_and_parameters_are_looked_into(
    wrapper: str, kind: str, change: dict[str, Any], path: str, code: str
) -> None:
    inner = {**GOOD.get(kind, {"resourceType": kind}), **change}
    inner = {key: value for key, value in inner.items() if value is not ...}
    if wrapper == "Bundle":
        whole: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": PATIENT}, {"resource": inner}],
        }
        start = "Bundle.entry[1].resource"
    else:
        whole = {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": inner}]}
        start = "Parameters.parameter[0].resource"
    expected = start + path[len(kind) :]
    assert [(issue.path, issue.code) for issue in validate(whole)] == [(expected, code)]


def test_all_issues_are_told_not_only_the_first() -> None:
    resource = {
        "resourceType": "Patient",
        "gender": "x",
        "birthDate": "yesterday",
        "foo": 1,
        "name": [{"given": "Jan"}, {"use": "none"}],
    }
    assert {issue.path for issue in validate(resource)} == {
        "Patient.gender",
        "Patient.birthDate",
        "Patient.foo",
        "Patient.name[0].given",
        "Patient.name[1].use",
    }


def test_the_list_of_issues_is_capped_and_says_so() -> None:
    resource = {"resourceType": "Patient", "name": [{"given": [1] * 90}] * 5}
    issues = validate(resource)
    assert len(issues) == 201
    assert (issues[-1].severity, issues[-1].path) == ("information", "Patient")
    assert "more than 200" in issues[-1].text


def test_many_nulls_that_their_siblings_explain_are_no_issue() -> None:
    why = {"extension": [{"url": "http://e.org/x", "valueCode": "masked"}]}
    name = {"given": [None] * 300 + ["Jan"], "_given": [why] * 300 + [None]}
    assert validate({"resourceType": "Patient", "name": [name]}) == []
    name["given"][-1] = 5
    issues = validate({"resourceType": "Patient", "name": [name]})
    assert [issue.path for issue in issues] == ["Patient.name[0].given[300]"]


@pytest.mark.parametrize(
    "value", [{}, {"resourceType": 5}, {"resourceType": None}, {"resourceType": ""}, [], 5, None]
)
def test_what_is_no_resource_has_an_issue(value: Any) -> None:
    assert has_errors(validate(value))


def test_a_similar_name_is_offered() -> None:
    texts = [
        validate({"resourceType": "Pacient"})[0].text,
        validate({"resourceType": "Patient", "birthdate": "1980"})[0].text,
        validate({"resourceType": "Observation", "value": 1, **OBSERVATION})[0].text,
    ]
    assert "Patient" in texts[0]
    assert "birthDate" in texts[1]
    assert "valueQuantity" in texts[2]


def test_issues_do_not_repeat_values() -> None:
    secret = "8004301234"  # a birth number in the wrong place must not travel in the answer
    resource = {
        "resourceType": "Patient",
        "id": secret + "_",
        "gender": secret,
        "birthDate": secret,
        "name": [{"use": secret, "family": {"x": secret}}],
        "managingOrganization": {"reference": "Patient/" + secret, "type": secret},
        "text": {"status": "generated", "div": f"<div>{secret}"},
    }
    issues = validate(resource)
    assert len(issues) >= 7
    assert not [issue for issue in issues if secret in issue.text + issue.path]


def test_a_strange_key_does_not_spoil_the_path() -> None:
    for key in ("a b", "x" * 100, "", "ž", "a.b[0]", "\x00"):
        (issue,) = validate({"resourceType": "Patient", key: 1})
        assert issue.path == "Patient"


def test_the_path_can_begin_elsewhere() -> None:
    (issue,) = validate({"resourceType": "Patient", "gender": "x"}, path="Parameters.parameter[0]")
    assert issue.path == "Parameters.parameter[0].gender"
    (issue,) = validate({"resourceType": "Patient", "gender": "x"}, path="")
    assert issue.path == "gender"


def test_depth_is_no_danger() -> None:
    deep: dict[str, Any] = {"linkId": "1", "type": "group"}
    for _ in range(5000):
        deep = {"linkId": "1", "type": "group", "item": [deep]}
    issues = validate({"resourceType": "Questionnaire", "status": "draft", "item": [deep]})
    assert [(issue.severity, issue.code) for issue in issues] == [("fatal", "too-costly")]


def test_blank_strings_are_only_a_warning() -> None:
    issues = validate({"resourceType": "Patient", "name": [{"family": "  "}]})
    assert [issue.severity for issue in issues] == ["warning"]
    assert not has_errors(issues)


def test_operation_outcome_is_itself_a_good_resource() -> None:
    issues = validate({"resourceType": "Patient", "gender": "x", "foo": 1})
    outcome = operation_outcome(issues)
    assert validate(outcome) == []
    assert outcome["issue"][0]["expression"] == ["Patient.gender"]
    assert validate(operation_outcome([])) == []
    whole = operation_outcome([Issue("error", "invalid", "", "Bad.")])
    assert "expression" not in whole["issue"][0]


def test_issue_codes_are_those_of_the_required_value_set() -> None:
    known = required_codes("http://hl7.org/fhir/ValueSet/issue-type")
    assert known is not None
    assert {each[4] for each in BAD} | {"too-costly", "incomplete"} <= known
