"""The envelope of the register's own questions and its problem details (RFC 9457).

Each request says who asks for what: `zadostInfo` (datum, ucel, zadostId) and `zadostData`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from pater.access.caller import Caller
from pater.domain import Services
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.requests import read_body

Json = dict[str, Any]

PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LECBA": "TREAT",
        "URGENT": "ETREAT",
        "SPRAVA": "HOPERAT",
        "TREAT": "TREAT",
        "ETREAT": "ETREAT",
        "HOPERAT": "HOPERAT",
    }
)
"""`ucel` of a question -> the purpose that its token was given for."""
MOST_BODY: Final = 64 * 1024
HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_PASSED_ON: Final = ("www-authenticate", "retry-after", "x-request-id")
_TITLES: Final = MappingProxyType(
    {
        400: "The question cannot be understood",
        401: "An access token is needed",
        403: "This is not allowed",
        404: "The register does not know it",
        409: "Something else happened meanwhile",
        413: "The question is too large",
        415: "The question is not JSON",
        422: "What was said cannot be taken",
        429: "Too many questions",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: its number (a UUID), the purpose as it was said, what is asked."""

    number: str
    purpose: str
    data: Json

    def query(self, kind: str) -> str:
        """What stands in the journal of a question, beside whom it was about."""
        return f"krp {kind} {self.purpose} {self.number}"


Answering = Callable[[Caller, Asked], Awaitable[Json]]


def endpoint(
    services: Services, answer: Answering, *, status: int = 200, most: int = MOST_BODY
) -> Callable[[Request], Awaitable[Response]]:
    """A route of a question."""

    async def run(request: Request, caller: Caller) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HttpError(415, "not-supported", "a question is application/json")
        asked = read(await read_body(request.receive, dict(request.headers.items()), most), caller)
        said = {
            "zadostId": asked.number,
            "odpovedId": services.new_id(),
            "stav": "OK",
            "odpovedData": await answer(caller, asked),
        }
        return Response(orjson.dumps(said), status, HEADERS, "application/json")

    return problems(guarded(services, run))


def read(body: bytes, caller: Caller) -> Asked:
    """The question in a body. Raises HttpError."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HttpError(400, "structure", "the body is no JSON") from error
    info = whole.get("zadostInfo") if isinstance(whole, dict) else None
    data = whole.get("zadostData") if isinstance(whole, dict) else None
    if not isinstance(info, dict) or not isinstance(data, dict):
        raise HttpError(400, "required", "zadostInfo and zadostData are objects")
    try:
        number = str(UUID(str(info.get("zadostId"))))
    except ValueError as error:
        raise HttpError(400, "value", "a UUID", path="zadostInfo.zadostId") from error
    try:
        datetime.fromisoformat(str(info.get("datum")))
    except ValueError as error:
        raise HttpError(400, "value", "a date and time", path="zadostInfo.datum") from error
    return Asked(number, purpose(info.get("ucel"), caller, "zadostInfo.ucel"), data)


def purpose(said: Any, caller: Caller, path: str) -> str:
    """A purpose for which the caller's token was given. Raises HttpError 400, 403."""
    meant = PURPOSES.get(said) if isinstance(said, str) else None
    if meant is None:
        text = f"the purpose is one of {', '.join(PURPOSES)}"
        raise HttpError(400, "value", text, path=path)
    if meant != caller.purpose:
        text = f"the token was given for another purpose than {said}"
        raise HttpError(403, "forbidden", text, path=path)
    return str(said)


def problems(
    inner: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turns an OperationOutcome, the API's way of saying no, into problem details."""

    async def run(request: Request) -> Response:
        answer = await inner(request)
        if answer.status_code < 400 or not answer.body:
            return answer
        issues = orjson.loads(bytes(answer.body)).get("issue", [{}])
        status = answer.status_code
        said = {
            "type": "about:blank",
            "title": _TITLES.get(status, "The request failed"),
            "status": status,
            "detail": issues[0].get("diagnostics", ""),
            **({"path": issues[0]["expression"][0]} if issues[0].get("expression") else {}),
        }
        if len(issues) > 1:
            said["errors"] = [
                {"detail": e.get("diagnostics", ""), "path": (e.get("expression") or [""])[0]}
                for e in issues
            ]
        kept = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        headers = {**HEADERS, **kept}
        return Response(orjson.dumps(said), status, headers, "application/problem+json")

    return run
