"""What fuzzing found once stays mended: each was a 500, or took far too much time or memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fuzz.recipes import COMPOSITION, DOCUMENT, OBSERVATION
from tests.fuzz.server import FHIR_JSON, Target

_TWICE = ["http://loinc.org", "http://loinc.org"]


def _document(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT, **changes}


FOUND: dict[str, tuple[str, str, Any]] = {
    "an entry that is a text": ("POST", "/Bundle", _document(entry=[*DOCUMENT["entry"], ""])),
    "entries that are no list": ("POST", "/Bundle", _document(entry=1)),
    "a fullUrl that is an object": (
        "POST",
        "/Bundle",
        _document(entry=[{"fullUrl": {}, "resource": COMPOSITION}]),
    ),
    "the end of the calendar": (
        "POST",
        "/Bundle",
        _document(timestamp="0001-01-01T00:00:00+14:00"),
    ),
    "a type that is a list": ("POST", "/$convert", {**OBSERVATION, "resourceType": ["Patient"]}),
    "a system that is a list": (
        "POST",
        "/Observation/$validate",
        {**OBSERVATION, "code": {"coding": [{"system": _TWICE, "code": "8867-4"}]}},
    ),
    "names that are lists": (
        "POST",
        "/$import",
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "input", "part": [{"name": ["a"], "valueUri": "b"}]}],
        },
    ),
}


@pytest.mark.parametrize("name", list(FOUND))
def test_it_is_refused(target: Target, name: str) -> None:
    method, path, body = FOUND[name]
    answer = target.clients[0].request(method, path, content=json.dumps(body), headers=FHIR_JSON)
    assert answer.status_code < 500, answer.text
    said = answer.json()  # of $validate too
    assert said["resourceType"] == "OperationOutcome"
    assert {"error", "fatal"} & {each["severity"] for each in said["issue"]}


def test_a_path_that_never_ends_is_refused(target: Target) -> None:
    deep = "where(%resource.descendants().exists(%resource.descendants().all(true)))"
    for path in ("Observation" + ".a" * 5_000, "Observation.descendants()." + deep):
        part = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
        operation = {"name": "operation", "part": part}
        body = {"resourceType": "Parameters", "parameter": [operation]}
        sent = json.dumps(body).encode()
        assert target.send("PATCH", "/Observation/fuzz", sent, FHIR_JSON) is None
