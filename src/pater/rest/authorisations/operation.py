"""`$may`: the question in FHIR, up to a hundred at once.

In: `service`, `document`, `grantorRole`, `grantor`, `granteeRole`, `grantee`, or several `question`
with these as parts. Out: `allowed`, `reason`, `policy`; of several, an `answer` with the first two
as parts for each, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pater.access.caller import Caller
from pater.access.policy import Policy
from pater.domain import Answer, Operation, OperationRequest, Parameter
from pater.rest.authorisations.answering import MOST, Desk, Verdict
from pater.rest.authorisations.native import NAMES
from pater.rest.authorisations.question import Question, read_question
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import refused
from pater.rest.operations.places import parameters

_FIELDS: Final = tuple(NAMES)
_QUESTION: Final = "question"
_ASKED: Final = (
    Parameter("service", "string", "what is to be done"),
    Parameter("document", "string", "with documents of which type"),
    Parameter("grantorRole", "string", "as what the patient is named"),
    Parameter("grantor", "string", "the patient's number"),
    Parameter("granteeRole", "string", "as what the other is named"),
    Parameter("grantee", "string", "the other's number"),
)
_SAID: Final = (
    Parameter("allowed", "boolean", "yes or no"),
    Parameter("reason", "code", "why"),
)


def operation(desk: Desk, policy: Policy) -> Operation:
    """The operation on the whole system, by POST: numbers of people stay out of addresses."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        several, questions = _read(request)
        verdicts = await desk.ask(caller, questions)
        by = f"{policy.name} {policy.version} {policy.digest}"
        said: list[Mapping[str, Any]] = [{"name": "policy", "valueString": by}]
        if not several:
            return parameters(*_told(verdicts[0]), *said)
        answers = [{"name": "answer", "part": _told(each)} for each in verdicts]
        return parameters(*answers, *said)

    return Operation(
        "may", run,
        text="Whether somebody may do something with documents of a patient; one question as"
        f" parameters, or up to {MOST} as parts.",
        takes=(*_ASKED, Parameter("question", "", "one of several", 0, "*", _ASKED)),
        gives=(
            *_SAID, Parameter("answer", "", "of several, in order", 0, "*", _SAID),
            Parameter("policy", "string", "name, version and digest of the policy", 1),
        ),
    )  # fmt: skip


def _told(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {"name": "allowed", "valueBoolean": verdict.allowed},
        {"name": "reason", "valueCode": verdict.reason},
    ]


def _read(request: OperationRequest) -> tuple[bool, list[Question]]:
    """Whether several were asked, and the questions. Raises HttpError 400 with a path."""
    if request.parameters:
        raise HttpError(400, "not-supported", "a question stands in the body", path="Parameters")
    body = request.resource or {}
    if body.get("resourceType") != "Parameters":
        raise refused("an operation takes Parameters", "resourceType", "invalid")
    listed = _list(body.get("parameter"), "Parameters.parameter")
    if not any(isinstance(each, dict) and each.get("name") == _QUESTION for each in listed):
        return False, [_question(listed, "Parameters.parameter")]
    if len(listed) > MOST:
        raise HttpError(400, "too-costly", f"ask 1 to {MOST} questions at once",
                        path="Parameters.parameter")  # fmt: skip
    questions = []
    for number, each in enumerate(listed):
        path = f"Parameters.parameter[{number}]"
        if not isinstance(each, dict) or each.get("name") != _QUESTION:
            raise refused("beside a question there are only questions", path)
        parts = _list(each.get("part"), f"{path}.part")
        questions.append(_question(parts, f"{path}.part"))
    return True, questions


def _list(value: Any, path: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise refused("it is an array", path, "structure")
    return value


def _question(listed: Sequence[Any], path: str) -> Question:
    values: dict[str, str] = {}
    places = {field: f"{path}.where(name='{field}')" for field in _FIELDS}
    for number, part in enumerate(listed):
        place = f"{path}[{number}]"
        name = part.get("name") if isinstance(part, dict) else None
        if name not in _FIELDS:
            text = f"a question has {', '.join(_FIELDS)} and nothing else"
            raise HttpError(400, "not-supported", text, path=place)
        given = [part[key] for key in part if key.startswith("value")]
        if len(given) != 1 or not isinstance(given[0], str) or name in values:
            raise refused(f"{name} has one value, a text", place)
        values[name], places[name] = given[0], place
    return read_question(values, places)
