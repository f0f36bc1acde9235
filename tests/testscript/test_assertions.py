"""Every kind of assert tells right from wrong; a script that cannot be carried out says why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from pater.testscript.assertions import check
from pater.testscript.messages import Message, ScriptError, State
from pater.testscript.operations import request_of
from pater.testscript.paths import PathError, find
from pater.testscript.profiles import Validator
from pater.testscript.running import Run, load

BASE = "http://server.test/fhir"
validate = Validator()
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "name": [{"family": "Nová", "given": ["Eva", "Ema"]}, {"family": "Stará"}],
    "active": True,
    "multipleBirthInteger": 3,
    "birthDate": "1980-02-01",
}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "searchset",
    "link": [{"relation": "self", "url": f"{BASE}/Patient"}],
    "entry": [{"resource": PATIENT}],
}
HEADERS = {"content-type": "application/fhir+json; charset=utf-8", "etag": 'W/"1"'}


def state(body: dict[str, Any] | None = None, status: int = 200) -> State:
    made = State(
        {
            "family": {"name": "family", "expression": "Patient.name.family", "sourceId": "p"},
            "tag": {"name": "tag", "headerField": "ETag"},
            "place": {"name": "place", "path": "Patient/name[2]/family", "sourceId": "p"},
            "fixed": {"name": "fixed", "defaultValue": "yes", "sourceId": "later"},
            "nothing": {"name": "nothing", "expression": "Patient.photo", "sourceId": "p"},
        }
    )
    made.fixtures["p"] = Message(PATIENT)
    made.fixtures["least"] = Message(
        {"resourceType": "Patient", "id": "x", "name": [{"family": "${place}"}]}
    )
    made.fixtures["more"] = Message({"resourceType": "Patient", "name": [{"family": "Jiná"}]})
    made.request = Message(None, {}, 0, "GET", f"{BASE}/Patient/1")
    made.response = Message(PATIENT if body is None else body, HEADERS, status)
    return made


RULES: list[tuple[dict[str, Any], str]] = [
    ({"response": "okay"}, "pass"),
    ({"response": "created"}, "fail"),
    ({"response": "okay", "operator": "notEquals"}, "fail"),
    ({"responseCode": "200,201", "operator": "in"}, "pass"),
    ({"responseCode": "400,422", "operator": "notIn"}, "pass"),
    ({"responseCode": "404"}, "fail"),
    ({"responseCode": "404", "warningOnly": True}, "warning"),
    ({"contentType": "json"}, "pass"),
    ({"contentType": "application/fhir+xml"}, "fail"),
    ({"headerField": "ETag", "value": "${tag}"}, "pass"),
    ({"headerField": "ETag", "value": "2", "operator": "contains"}, "fail"),
    ({"headerField": "Location", "operator": "empty"}, "pass"),
    ({"headerField": "Location", "operator": "notEmpty"}, "fail"),
    ({"headerField": "etag"}, "pass"),
    ({"requestMethod": "get", "direction": "request"}, "pass"),
    ({"requestMethod": "post", "direction": "request"}, "fail"),
    ({"requestURL": "/Patient/", "operator": "contains"}, "pass"),
    ({"requestURL": "/Patient/2"}, "fail"),
    ({"resource": "Patient"}, "pass"),
    ({"resource": "Observation"}, "fail"),
    ({"expression": "Patient.active"}, "pass"),
    ({"expression": "Patient.active.not()"}, "fail"),
    ({"expression": "Patient.photo"}, "fail"),
    ({"expression": "Patient.photo", "operator": "empty"}, "pass"),
    ({"expression": "Patient.name", "operator": "notEmpty"}, "pass"),
    ({"expression": "Patient.name.family", "value": "Stará"}, "pass"),
    ({"expression": "Patient.name.family", "value": "Stará", "operator": "notEquals"}, "fail"),
    ({"expression": "Patient.name.family", "value": "${family}"}, "pass"),
    ({"expression": "Patient.name.given", "value": "m", "operator": "contains"}, "pass"),
    ({"expression": "Patient.name.given", "value": "z", "operator": "notContains"}, "pass"),
    ({"expression": "Patient.multipleBirth", "value": "10", "operator": "lessThan"}, "pass"),
    ({"expression": "Patient.multipleBirth", "value": "3", "operator": "greaterThan"}, "fail"),
    ({"expression": "Patient.birthDate", "value": "1979-12", "operator": "greaterThan"}, "pass"),
    ({"expression": "Patient.active", "value": "true"}, "pass"),
    ({"expression": "Patient.nonsense"}, "error"),
    ({"expression": "Patient.id", "value": "${unknown}"}, "error"),
    ({"expression": "Patient.id", "value": "${nothing}"}, "error"),
    ({"expression": "Patient.id", "value": "${fixed}"}, "fail"),
    ({"expression": "Patient.id", "value": "1", "operator": "like"}, "error"),
    ({"path": "fhir:Patient/fhir:name[1]/fhir:given[2]/@value", "value": "Ema"}, "pass"),
    ({"path": "$.name[1].family", "value": "Stará"}, "pass"),
    ({"path": "$.name[*].family", "value": "Nikdo", "operator": "notEquals"}, "pass"),
    ({"path": "count(//x)", "value": "1"}, "error"),
    ({"sourceId": "p", "path": "birthDate", "value": "1980-02-01"}, "pass"),
    ({"sourceId": "nowhere", "path": "id", "value": "1"}, "error"),
    ({"expression": "Patient.id", "compareToSourceId": "p",
      "compareToSourceExpression": "Patient.id"}, "pass"),
    ({"expression": "Patient.id", "compareToSourceId": "p",
      "compareToSourcePath": "Patient/birthDate"}, "fail"),
    ({"compareToSourceId": "p", "compareToSourceExpression": "Patient.birthDate"}, "pass"),
    ({"compareToSourceId": "least", "compareToSourceExpression": "Patient.id"}, "fail"),
    ({"compareToSourceId": "p", "compareToSourcePath": "$.name[0].family"}, "pass"),
    ({"minimumId": "least"}, "pass"),
    ({"minimumId": "more"}, "fail"),
    ({"validateProfileId": "patient"}, "pass"),
    ({"validateProfileId": "foreign"}, "skip"),
    ({"validateProfileId": "observation"}, "fail"),
    ({"validateProfileId": "missing"}, "error"),
    ({"navigationLinks": True}, "fail"),
    ({"warningOnly": True}, "error"),
    ({"resource": "Patient", "response": "gone"}, "fail"),
]  # fmt: skip
CORE = "http://hl7.org/fhir/StructureDefinition/"
PROFILES = {"patient": CORE + "Patient", "observation": CORE + "Observation",
            "foreign": "http://example.org/Profile"}  # fmt: skip


@pytest.mark.parametrize(("rule", "result"), RULES, ids=[json.dumps(r) for r, _ in RULES])
def test_verdict(rule: Mapping[str, Any], result: str) -> None:
    verdict = check(rule, state(), PROFILES, validate)
    assert verdict.result == result, verdict
    assert verdict.result == "pass" or verdict.message


def test_links_of_a_bundle() -> None:
    assert check({"navigationLinks": True}, state(BUNDLE), {}, validate).result == "pass"
    wrong = {**BUNDLE, "link": [{"relation": "self", "url": ""}]}
    assert check({"navigationLinks": True}, state(wrong), {}, validate).result == "fail"


def test_before_anything_was_sent_nothing_can_be_said() -> None:
    assert check({"response": "okay"}, State({}), {}, validate).result == "error"


@pytest.mark.parametrize(
    ("operation", "method", "url"),
    [
        ({"type": {"code": "read"}, "targetId": "p"}, "GET", "/Patient/1"),
        ({"type": {"code": "read"}, "resource": "Patient", "params": "/7"}, "GET", "/Patient/7"),
        ({"type": {"code": "vread"}, "resource": "Patient", "params": "/7/_history/2"},
         "GET", "/Patient/7/_history/2"),
        ({"type": {"code": "create"}, "sourceId": "p"}, "POST", "/Patient"),
        ({"type": {"code": "update"}, "sourceId": "p"}, "PUT", "/Patient/1"),
        ({"type": {"code": "update"}, "sourceId": "p", "params": "?identifier=a|b"},
         "PUT", "/Patient?identifier=a|b"),
        ({"type": {"code": "patch"}, "targetId": "p", "sourceId": "p"}, "PATCH", "/Patient/1"),
        ({"type": {"code": "delete"}, "targetId": "p"}, "DELETE", "/Patient/1"),
        ({"type": {"code": "deleteCondSingle"}, "resource": "Patient", "params": "?_id=1"},
         "DELETE", "/Patient?_id=1"),
        ({"type": {"code": "search"}, "resource": "Patient", "params": "?family=${family} x"},
         "GET", "/Patient?family=Nov%C3%A1%20x"),
        ({"type": {"code": "search"}, "resource": "Patient", "params": "?family=a",
          "method": "post"}, "POST", "/Patient/_search"),
        ({"type": {"code": "history"}, "targetId": "p"}, "GET", "/Patient/1/_history"),
        ({"type": {"code": "history"}, "resource": "Patient"}, "GET", "/Patient/_history"),
        ({"type": {"code": "history"}}, "GET", "/_history"),
        ({"type": {"code": "transaction"}, "sourceId": "p"}, "POST", "/"),
        ({"type": {"code": "capabilities"}}, "GET", "/metadata"),
        ({"type": {"code": "everything"}, "targetId": "p"}, "GET", "/Patient/1/$everything"),
        ({"type": {"code": "validate"}, "resource": "Patient", "sourceId": "p"},
         "POST", "/Patient/$validate"),
        ({"type": {"code": "read"}, "url": "Patient/9"}, "GET", "/Patient/9"),
    ],
)  # fmt: skip
def test_requests(operation: dict[str, Any], method: str, url: str) -> None:
    request = request_of(operation, state(), BASE)
    assert (request.method, request.url) == (method, BASE + url)


def test_a_request_carries_what_the_script_says() -> None:
    operation = {
        "type": {"code": "create"},
        "sourceId": "least",
        "accept": "xml",
        "contentType": "xml",
        "requestHeader": [{"field": "If-None-Exist", "value": "family=${place}"}],
    }
    request = request_of(operation, state(), BASE)
    assert request.headers["accept"] == request.headers["content-type"] == "application/fhir+xml"
    assert request.headers["if-none-exist"] == "family=Stará"
    assert b'<family value="Star\xc3\xa1"/>' in request.body


def test_paths_that_are_not_understood() -> None:
    for path in ("name[", "Patient/name[last()]", "a b", "$..name"):
        with pytest.raises(PathError):
            find(path, PATIENT)
    assert find("//fhir:family/@value", PATIENT) == ["Nová", "Stará"]


def test_a_script_that_cannot_begin_runs_no_test(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ScriptError):
        load(tmp_path / "broken.json")
    for reference in ("../secret.json", "absent.json", "#absent", ""):
        script = {
            "resourceType": "TestScript",
            "fixture": [{"id": "f", "resource": {"reference": reference}}],
            "test": [{"action": [{"assert": {"response": "okay"}}]}],
        }
        with httpx.Client() as client:
            outcome = Run(script, tmp_path, client, BASE).run()
        assert not outcome.passed
        assert outcome.tests[0].steps[0].verdict.result == "skip"


NAMED = {
    "resourceType": "StructureDefinition",
    "url": "http://example.org/Named",
    "version": "2",
    "name": "Named",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": CORE + "Patient",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "Patient", "path": "Patient"},
            {"id": "Patient.name", "path": "Patient.name", "min": 1},
        ]
    },
}


def test_profiles_of_the_base_of_a_package_and_of_the_script(tmp_path: Path) -> None:
    assert not [each for each in validate(PATIENT, CORE + "Patient") if each.severity == "error"]
    with pytest.raises(LookupError):
        validate(PATIENT, NAMED["url"])
    known = Validator([NAMED])
    nameless = {"resourceType": "Patient", "id": "1"}
    for profile in (NAMED["url"], NAMED["url"] + "|2"):
        assert not [each for each in known(PATIENT, profile) if each.severity == "error"]
        assert [each for each in known(nameless, profile) if each.severity == "error"]
    (tmp_path / "named.json").write_text(json.dumps(NAMED))
    (tmp_path / "patient.json").write_text(json.dumps(nameless))
    script = {
        "resourceType": "TestScript",
        "fixture": [{"id": "p", "resource": {"reference": "patient.json"}}],
        "profile": [{"id": "named", "reference": "named.json"}],
        "test": [{"action": [{"assert": {"sourceId": "p", "validateProfileId": "named"}}]}],
    }
    with httpx.Client() as client:
        outcome = Run(script, tmp_path, client, BASE).run()
    [step] = outcome.tests[0].steps
    assert step.verdict.result == "fail" and "Patient" in step.verdict.message
