"""`pater validate` says what is wrong with files, and ends with a status that scripts can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pater.cli import main

PROFILE: dict[str, Any] = {
    "resourceType": "StructureDefinition",
    "url": "http://example.org/StructureDefinition/p",
    "type": "Patient",
    "kind": "resource",
    "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {"element": [{"path": "Patient.birthDate", "min": 1}]},
}


def _file(folder: Path, name: str, value: Any) -> str:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["validate", *arguments])
    return result.exit_code, result.output


def test_files_are_held_against_r4_and_profiles(tmp_path: Path) -> None:
    definition = _file(tmp_path, "p.json", PROFILE)
    good = _file(tmp_path, "good.json", {"resourceType": "Patient", "birthDate": "1980"})
    bad = _file(tmp_path, "bad.xml", '<Patient xmlns="http://hl7.org/fhir"/>')
    asked = ("--package", definition, "--profile", PROFILE["url"])
    assert _run(good, *asked)[0] == 0
    status, output = _run(good, bad, *asked)
    assert status == 1
    assert "good.json: conforms" in output
    assert "Patient.birthDate: at least 1 required" in output
    status, output = _run(bad, "--profile", "http://example.org/unknown")
    assert (status, "is not known" in output) == (1, True)


def test_strictness_and_json(tmp_path: Path) -> None:
    extension = {"url": "http://unknown.org/x", "valueBoolean": True}
    body = _file(tmp_path, "x.json", {"resourceType": "Patient", "extension": [extension]})
    assert _run(body)[0] == 0
    assert _run(body, "--strict")[0] == 1
    assert _run(body, "--strict", "--trust", "http://unknown.org/")[0] == 0
    status, output = _run(body, "--strict", "--json")
    outcome = json.loads(output.strip())
    assert (status, outcome["resourceType"]) == (1, "OperationOutcome")
    assert "error" in {each["severity"] for each in outcome["issue"]}


def test_what_is_no_resource_is_said(tmp_path: Path) -> None:
    status, output = _run(_file(tmp_path, "x.json", '{"resourceType":'))
    assert status == 1
    assert "fatal" in output
    broken = _file(tmp_path, "x.tgz", "no package")
    status, output = _run(_file(tmp_path, "y.json", {}), "--package", broken)
    assert status == 1
