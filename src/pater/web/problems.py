"""Errors outside the FHIR API for programs: problem details (RFC 7807, RFC 9457) in JSON."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


def wants_json(request: Request) -> bool:
    """Whether a program asks: it takes JSON and says nothing of HTML. Browsers always take HTML."""
    accept = request.headers.get("accept", "").lower()
    return "json" in accept and "html" not in accept


def problem(status: int, detail: str = "", request_id: str = "") -> Response:
    """One problem; `request_id` ties it to the log."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    said: dict[str, str | int] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        said["detail"] = detail
    if request_id:
        said["instance"] = f"urn:pater:request:{request_id}"
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(orjson.dumps(said), status, headers, MEDIA_TYPE)
