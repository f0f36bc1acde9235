"""Our TestScripts pass against a real server, and one that must fail does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from pater.cli import main
from pater.cli.testscript import SCRIPTS
from pater.fhir import xml
from pater.fhir.validation import validate
from pater.testscript.reporting import report, summary
from pater.testscript.running import Outcome, Run, load
from tests.shared_data import load as load_json
from tests.shared_data import r4_examples
from tests.waiting import PATIENCE

FILES = sorted(SCRIPTS.glob("*.json"))
INTERACTIONS = {
    "batch", "capabilities", "create", "delete", "deleteCondSingle", "everything", "history",
    "patch", "read", "search", "transaction", "update", "updateCreate", "validate", "vread",
}  # fmt: skip


def run(script: dict[str, Any], folder: Path, base: str, bearer: str) -> Outcome:
    with httpx.Client(headers={"authorization": f"Bearer {bearer}"}, timeout=PATIENCE) as client:
        return Run(script, folder, client, base).run()


@pytest.mark.parametrize("path", FILES, ids=[each.stem for each in FILES])
def test_script(path: Path, base: str, bearer: str) -> None:
    script = load(path)
    # what it contains holds variables, and mistakes on purpose
    bare = {name: value for name, value in script.items() if name != "contained"}
    assert not [each for each in validate(bare) if each.severity in ("fatal", "error")]
    outcome = run(script, path.parent, base, bearer)
    told = "\n".join(summary(outcome, verbose=True))
    assert outcome.passed, told
    assert outcome.teardown.passed, told
    steps = [step for part in outcome.tests for step in part.steps]
    assert {step.verdict.result for step in steps} == {"pass"}
    found = report(outcome, base, datetime.now(UTC))
    assert found["result"] == "pass" and found["score"] == 100
    assert not [each for each in validate(found) if each.severity in ("fatal", "error")]


def test_every_interaction_has_a_script() -> None:
    used = {
        action["operation"]["type"]["code"]
        for path in FILES
        for test in load(path)["test"]
        for action in test["action"]
        if "operation" in action
    }
    assert used >= INTERACTIONS


MUST_FAIL: dict[str, Any] = {
    "resourceType": "TestScript",
    "url": "urn:pater:testscript:must-fail",
    "name": "MustFail",
    "status": "active",
    "variable": [{"name": "none", "defaultValue": "there-is-none"}],
    "test": [
        {
            "name": "wrong",
            "action": [
                {"operation": {"type": {"code": "read"}, "resource": "Patient",
                               "params": "/${none}", "encodeRequestUrl": True}},
                {"assert": {"response": "okay", "warningOnly": True}},
                {"assert": {"description": "it is there", "response": "okay",
                            "warningOnly": False}},
                {"assert": {"resource": "Patient", "warningOnly": False}},
            ],
        },
        {"name": "right", "action": [
            {"operation": {"type": {"code": "capabilities"}, "encodeRequestUrl": True}},
            {"assert": {"response": "okay", "warningOnly": False}}]},
    ],
    "teardown": {"action": [{"operation": {"type": {"code": "delete"}, "resource": "Patient",
                                           "params": "/${none}", "encodeRequestUrl": True}}]},
}  # fmt: skip


def test_a_script_that_must_fail_does(base: str, bearer: str, tmp_path: Path) -> None:
    outcome = run(MUST_FAIL, tmp_path, base, bearer)
    assert not outcome.passed
    wrong, right = outcome.tests
    assert [step.verdict.result for step in wrong.steps] == ["pass", "warning", "fail", "skip"]
    assert right.passed and outcome.teardown.steps
    found = report(outcome, base, datetime.now(UTC))
    assert found["result"] == "fail" and 0 < found["score"] < 100
    assert not [each for each in validate(found) if each.severity in ("fatal", "error")]


def test_the_command_tells_and_ends_accordingly(base: str, bearer: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(MUST_FAIL))
    for files, status, line in (
        ([SCRIPTS / "read.json"], 0, "1 of 1 scripts, 6 of 6 tests passed"),
        ([bad, SCRIPTS / "read.json"], 1, "1 of 2 scripts, 7 of 8 tests passed"),
    ):
        words = ["testscript", *map(str, files), "--base", base, "--token", bearer]
        done = CliRunner().invoke(main, [*words, "--report", str(tmp_path / "reports")])
        assert done.exit_code == status, done.output
        assert done.output.strip().endswith(line)
    assert load(tmp_path / "reports" / "bad.report.json")["resourceType"] == "TestReport"


@pytest.mark.parametrize("name", ["example", "multisystem"])
def test_scripts_of_the_specification(base: str, bearer: str, tmp_path: Path, name: str) -> None:
    examples = {load_json(body).get("id"): body for body in r4_examples().values()}
    patient = next(
        body for body in r4_examples().values()
        if load_json(body).get("resourceType") == "Patient" and load_json(body)["id"] == "example"
    )  # fmt: skip
    (tmp_path / "Patient-example.json").write_bytes(patient)
    resource = {**load_json(patient), "managingOrganization": {"display": "elsewhere"}}
    with httpx.Client(headers={"authorization": f"Bearer {bearer}"}, timeout=PATIENCE) as client:
        put = client.put(f"{base}/Patient/example", json=resource)
        assert put.status_code in (200, 201)
        script = load_json(examples[f"testscript-example-{name}".removesuffix("-example")])
        outcome = Run(script, tmp_path, client, base, base).run()
    assert outcome.passed, "\n".join(summary(outcome, verbose=True))


def test_a_script_may_be_xml(base: str, bearer: str, tmp_path: Path) -> None:
    path = tmp_path / "read.xml"
    path.write_bytes(xml.dumps(load(SCRIPTS / "read.json")))
    outcome = run(load(path), tmp_path, base, bearer)
    assert outcome.passed and len(outcome.tests) == 6


def test_a_server_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    outcome = run(MUST_FAIL, tmp_path, "http://127.0.0.1:9/fhir", "none")
    assert outcome.tests[0].steps[0].verdict.result == "error"
