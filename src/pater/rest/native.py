"""The frame of the registers' own questions: JSON envelopes, and problem details for errors.

A request says who asks for what (`zadostInfo`: datum, ucel, zadostId) and what is asked
(`zadostData`). Errors are problem details (RFC 7807, RFC 9457).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from pater.rest.errors import HttpError
from pater.rest.requests import read_body

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]

MOST_BODY: Final = 64 * 1024
HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_PASSED_ON: Final = (
    "www-authenticate",
    "retry-after",
    "ratelimit-policy",
    "ratelimit",
    "x-request-id",
    "x-correlation-id",
)
_TITLES: Final = MappingProxyType(
    {
        400: "The question cannot be understood",
        401: "An access token is needed",
        403: "This is not allowed",
        404: "The register does not know it",
        405: "This address is asked otherwise",
        409: "Something else happened meanwhile",
        413: "The question is too large",
        415: "The question is not JSON",
        422: "What was said cannot be taken",
        429: "Too many questions",
        500: "An error of the server",
        503: "The question cannot be answered now",
    }
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One question: its number (a UUID), who asks for what, what is asked."""

    number: str
    info: Json
    data: Json


async def read_envelope(request: Request, most: int = MOST_BODY) -> Envelope:
    """The question in the body of a request. Raises HttpError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpError(415, "not-supported", "a question is application/json")
    body = await read_body(request.receive, dict(request.headers.items()), most)
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
    return Envelope(number, info, data)


def answered(number: str, answer: str, data: Json, status: int = 200) -> Response:
    """What is answered to question `number`, under a number of its own."""
    said = {"zadostId": number, "odpovedId": answer, "stav": "OK", "odpovedData": data}
    return Response(orjson.dumps(said), status, HEADERS, "application/json")


def problems(inner: Endpoint) -> Endpoint:
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


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Says of an address under a register's root that it is none, or is asked by other methods."""

    routes: Sequence[Route]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant = [each for each in self.routes if each.matches(scope)[0] is not Match.NONE]
        allowed = sorted({method for each in meant for method in each.methods or ()})
        status, text = 404, "there is no such address"
        headers = dict(HEADERS)
        if allowed:
            status, text = 405, f"this address takes {', '.join(allowed)}"
            headers["allow"] = ", ".join(allowed)
        title = _TITLES[status] if allowed else "There is nothing here"
        said = {"type": "about:blank", "title": title, "status": status, "detail": text}
        answer = Response(orjson.dumps(said), status, headers, "application/problem+json")
        await answer(scope, receive, send)


def under(root: str, routes: Sequence[Route]) -> list[BaseRoute]:
    """The routes of a register, and problem details for whatever else is asked under its root."""
    return [*routes, Route(root + "/{other:path}", _Elsewhere(routes))]
