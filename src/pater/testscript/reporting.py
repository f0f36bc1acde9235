"""What a run came to: a TestReport resource, and some lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pater.testscript.running import Outcome, Part, Step

_SIGNS = {"pass": "✓", "fail": "✗", "error": "✗", "warning": "!", "skip": "·"}


def report(outcome: Outcome, base: str, issued: datetime) -> dict[str, Any]:
    """The R4 TestReport of a run against the server at `base`."""
    counted = [step for part in outcome.tests for step in part.steps if step.kind == "assert"]
    good = sum(step.verdict.result in ("pass", "warning") for step in counted)
    found: dict[str, Any] = {
        "resourceType": "TestReport",
        "name": str(outcome.script.get("name", "")) or "TestScript",
        "status": "completed",
        "testScript": _script(outcome),
        "result": "pass" if outcome.passed else "fail",
        "score": round(100 * good / len(counted), 2) if counted else 0,
        "tester": "Páteř",
        "issued": issued.isoformat(timespec="seconds"),
        "participant": [{"type": "server", "uri": base}],
    }
    if outcome.setup.steps:
        found["setup"] = {"action": [_action(step) for step in outcome.setup.steps]}
    tests = [_test(part) for part in outcome.tests if part.steps]
    if tests:
        found["test"] = tests
    operations = [step for step in outcome.teardown.steps if step.kind == "operation"]
    if operations:
        found["teardown"] = {"action": [_action(step) for step in operations]}
    return found


def _script(outcome: Outcome) -> dict[str, Any]:
    url, id = outcome.script.get("url"), outcome.script.get("id")
    if id:
        return {"reference": f"TestScript/{id}", **({"display": str(url)} if url else {})}
    return {"display": str(url or outcome.script.get("name") or "TestScript")}


def _test(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"name": part.name}
    if part.description:
        found["description"] = part.description
    return {**found, "action": [_action(step) for step in part.steps]}


def _action(step: Step) -> dict[str, Any]:
    said: dict[str, Any] = {"result": step.verdict.result}
    text = ": ".join(each for each in (step.label, step.verdict.message) if each)
    if text:
        said["message"] = text
    return {step.kind: said}


def summary(outcome: Outcome, *, verbose: bool = False) -> Iterator[str]:
    """Lines for people: one a test, and what went wrong below it."""
    name = outcome.script.get("title") or outcome.script.get("name") or "TestScript"
    yield f"{_SIGNS['pass' if outcome.passed else 'fail']} {name}"
    for part in (outcome.setup, *outcome.tests, outcome.teardown):
        if part in outcome.tests:
            yield f"  {_SIGNS[_result(part)]} {part.name}"
        for step in part.steps:
            if verbose or step.verdict.result in ("fail", "error", "warning"):
                text = ": ".join(each for each in (step.label, step.verdict.message) if each)
                yield f"      {_SIGNS[step.verdict.result]} {step.kind} {text}".rstrip()


def _result(part: Part) -> str:
    results = [step.verdict.result for step in part.steps]
    for worst in ("error", "fail", "warning"):
        if worst in results:
            return worst
    return "skip" if results and set(results) == {"skip"} else "pass"


def totals(outcomes: Sequence[Outcome]) -> str:
    """The last line: how many scripts and tests passed."""
    tests = [part for outcome in outcomes for part in outcome.tests]
    scripts = sum(outcome.passed for outcome in outcomes)
    good = sum(part.passed and _result(part) != "skip" for part in tests)
    return f"{scripts} of {len(outcomes)} scripts, {good} of {len(tests)} tests passed"
