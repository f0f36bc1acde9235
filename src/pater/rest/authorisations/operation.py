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
from pater.domain import Answer, Operation, OperationRequest
from pater.rest.authorisations.answering import MOST, Desk, Verdict
from pater.rest.authorisations.native import NAMES
from pater.rest.authorisations.question import Question, read_question
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import refused
from pater.rest.operations.places import parameters

_FIELDS: Final = tuple(NAMES)
_QUESTION: Final = "question"


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

    return Operation("may", run)


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
