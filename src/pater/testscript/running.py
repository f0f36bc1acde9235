"""Carries a TestScript out: set-up, tests and tear-down, step by step over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pater.fhir import xml
from pater.fhir.json import JsonError, parse
from pater.fhir.xml import XmlError
from pater.testscript.assertions import Verdict, check, told
from pater.testscript.messages import Message, ScriptError, State
from pater.testscript.operations import JSON, Request, request_of
from pater.testscript.paths import PathError
from pater.testscript.profiles import Validator

_AT_SERVER = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Step:
    """One action that was carried out, or left out: `kind` is operation or assert."""

    kind: str
    verdict: Verdict
    label: str = ""


@dataclass(slots=True)
class Part:
    """The set-up, one test or the tear-down."""

    name: str
    description: str = ""
    steps: list[Step] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing in it failed."""
        return all(each.verdict.result not in ("fail", "error") for each in self.steps)


@dataclass(slots=True)
class Outcome:
    """What came out of a whole script."""

    script: Mapping[str, Any]
    setup: Part
    tests: list[Part]
    teardown: Part

    @property
    def passed(self) -> bool:
        """Whether the set-up and all tests passed (a tear-down only cleans up)."""
        return self.setup.passed and all(each.passed for each in self.tests)


def load(path: Path) -> dict[str, Any]:
    """A resource from a JSON or XML file. Raises ScriptError."""
    try:
        data = path.read_bytes()
        return xml.parse(data) if data.lstrip()[:1] == b"<" else parse(data)
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {error.strerror}") from error
    except (JsonError, XmlError) as error:
        raise ScriptError(f"{path} is neither FHIR JSON nor XML: {error}") from error


class Run:
    """One script against one server."""

    def __init__(
        self,
        script: Mapping[str, Any],
        folder: Path,
        client: httpx.Client,
        *bases: str,
        given: Mapping[str, str] | None = None,
        validator: Validator | None = None,
    ) -> None:
        """`folder` holds the files that fixtures name; `client` carries the authorization.

        `bases` are the addresses of the destinations in their order, mostly of one.
        `given` are values of variables that stand above those of the script; `validator` knows
        profiles beside those of R4.
        """
        self._script = script
        self._folder = folder
        self._client = client
        self._bases = [base.rstrip("/") for base in bases]
        self._validate = validator or Validator()
        self._profiles: dict[str, str] = {}
        variables = {str(each["name"]): each for each in script.get("variable", ())}
        self._state = State(variables, given=given or {})

    def run(self) -> Outcome:
        """Everything in its order; the tear-down runs whatever happened before it."""
        script = self._script
        setup = Part("setup")
        tests: list[Part] = []
        teardown = Part("teardown")
        try:
            self._prepare(setup)
            self._actions(setup, script.get("setup", {}).get("action", ()))
        except ScriptError as error:
            setup.steps.append(Step("operation", Verdict("error", str(error))))
        for number, test in enumerate(script.get("test", ()), 1):
            part = Part(str(test.get("name", f"test {number}")), str(test.get("description", "")))
            tests.append(part)
            self._actions(part, test.get("action", ()), skip=not setup.passed)
        self._actions(teardown, script.get("teardown", {}).get("action", ()), on=True)
        self._clear(teardown)
        return Outcome(script, setup, tests, teardown)

    def _prepare(self, setup: Part) -> None:
        wanted = max(
            (int(each["index"]) for each in self._script.get("destination", ())), default=1
        )
        if wanted > len(self._bases):
            raise ScriptError(f"the script needs {wanted} destinations: name each with --base")
        for profile in self._script.get("profile", ()):
            self._profiles[str(profile.get("id"))] = self._profile(str(profile.get("reference")))
        for fixture in self._script.get("fixture", ()):
            id = str(fixture.get("id", ""))
            reference = str(fixture.get("resource", {}).get("reference", ""))
            self._state.fixtures[id] = Message(self._resource(reference))
        for fixture in self._script.get("fixture", ()):
            if fixture.get("autocreate"):
                operation = {"type": {"code": "create"}, "sourceId": fixture["id"],
                             "responseId": fixture["id"]}  # fmt: skip
                step = self._operation(operation)
                response = self._state.response
                if step.verdict.result == "pass" and response and response.status not in (200, 201):
                    text = f"the fixture {fixture['id']!r} was not created: {response.status}"
                    step = Step("operation", Verdict("fail", text))
                setup.steps.append(step)

    def _profile(self, reference: str) -> str:
        """The canonical address of a profile: as it stands, or of a file of the script."""
        if not reference.startswith("#") and not reference.endswith((".json", ".xml")):
            return reference
        definition = self._resource(reference)
        self._validate.learn(definition)
        return str(definition.get("url"))

    def _resource(self, reference: str) -> dict[str, Any]:
        """What a script contains (without the id by which it does), or a file beside it."""
        if reference.startswith("#"):
            for each in self._script.get("contained", ()):
                if each.get("id") == reference[1:]:
                    return {name: value for name, value in each.items() if name != "id"}
            raise ScriptError(f"the script does not contain {reference}")
        if _AT_SERVER.fullmatch(reference):
            return self._stored(reference)
        path = (self._folder / reference).resolve()
        if not reference or not path.is_relative_to(self._folder.resolve()):
            raise ScriptError(f"{reference!r} is no file of the script")
        return load(path)

    def _stored(self, reference: str) -> dict[str, Any]:
        """`Type/id`: a file `Type-id.json` beside the script, else what the server has."""
        for kind in ("json", "xml"):
            path = self._folder / f"{reference.replace('/', '-')}.{kind}"
            if path.is_file():
                return load(path)
        try:
            answer = self._client.get(f"{self._bases[0]}/{reference}", headers={"accept": JSON})
        except httpx.HTTPError as error:
            text = f"the server did not answer: {type(error).__name__}"
            raise ScriptError(text) from error
        found = _resource(answer.content, answer.headers.get("content-type", ""))
        if answer.status_code != 200 or found is None:
            raise ScriptError(f"{reference} is neither beside the script nor on the server")
        return found

    def _clear(self, teardown: Part) -> None:
        for fixture in self._script.get("fixture", ()):
            if fixture.get("autodelete") and fixture.get("id") in self._state.responses:
                operation = {"type": {"code": "delete"}, "targetId": fixture["id"]}
                teardown.steps.append(self._operation(operation))

    def _actions(
        self,
        part: Part,
        actions: Iterable[Mapping[str, Any]],
        *,
        skip: bool = False,
        on: bool = False,
    ) -> None:
        """The actions in order; after one that failed the rest is skipped, unless `on`."""
        for action in actions:
            kind = "operation" if "operation" in action else "assert"
            content: Mapping[str, Any] = action.get(kind, {})
            label = str(content.get("description") or content.get("label") or "")
            if kind == "assert":
                label = told(content)
            if skip:
                step = Step(kind, Verdict("skip", "an earlier step failed"), label)
            elif kind == "operation":
                step = self._operation(content)
            else:
                verdict = check(content, self._state, self._profiles, self._validate)
                step = Step(kind, verdict, label)
            part.steps.append(step)
            skip = skip or (not on and step.verdict.result in ("fail", "error"))

    def _operation(self, operation: Mapping[str, Any]) -> Step:
        label = str(operation.get("description") or operation.get("label") or "")
        try:
            request = request_of(operation, self._state, self._base(operation))
            self._send(request, operation)
        except (ScriptError, PathError) as error:
            return Step("operation", Verdict("error", str(error)), label)
        except httpx.HTTPError as error:
            text = f"the server did not answer: {type(error).__name__}"
            return Step("operation", Verdict("error", text), label)
        return Step("operation", Verdict("pass"), label or f"{request.method} {request.url}")

    def _base(self, operation: Mapping[str, Any]) -> str:
        number = int(operation.get("destination", 1))
        if not 0 < number <= len(self._bases):
            raise ScriptError(f"there is no destination {number}")
        return self._bases[number - 1]

    def _send(self, request: Request, operation: Mapping[str, Any]) -> None:
        state = self._state
        state.request = request.message()
        if operation.get("requestId"):
            state.requests[str(operation["requestId"])] = state.request
        answer = self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.body or None
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        state.response = Message(
            _resource(answer.content, headers.get("content-type", "")),
            headers,
            answer.status_code,
            body=answer.content,
        )
        if operation.get("responseId"):
            state.responses[str(operation["responseId"])] = state.response


def _resource(body: bytes, kind: str) -> dict[str, Any] | None:
    try:
        if "xml" in kind:
            return xml.parse(body) if body.strip() else None
        return parse(body) if body.strip() and "json" in kind else None
    except (JsonError, XmlError):
        return None
