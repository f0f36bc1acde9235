"""The addresses of bulk data outside the FHIR dispatcher: status, files as streams, uploads."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Answer, Services
from pater.fhir.issues import Issue
from pater.fhir.json import dumps
from pater.records.gate import ExportPlan
from pater.rest.admission import admit
from pater.rest.bulk.exports import Exports
from pater.rest.bulk.imports import NDJSON_TYPES, Imports
from pater.rest.bulk.owners import EXPORT, IMPORT, end, own
from pater.rest.bulk.ranges import flowing, wanted
from pater.rest.errors import HttpError
from pater.rest.outcomes import CLIENT_ERRORS, reply_of
from pater.rest.requests import JSON_TYPES, ClientGone, parse_media_type, read_body, request_id
from pater.rest.responses import http_date, outcome
from pater.store.jobs import JobRow, ended

Endpoint = Callable[[Request, Caller], Awaitable[Response]]
NDJSON: Final = "application/fhir+ndjson"
_MOST_JSON: Final = 1024 * 1024
_PATIENCE: Final = 0.5
"""Seconds that a look at a job waits for its end, unless the client says how long."""
_LONGEST: Final = 10
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})(?![\d.])", re.ASCII)
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="fhir"'),)
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_log = structlog.get_logger(__name__)


def routes(services: Services, exports: Exports, imports: Imports) -> list[BaseRoute]:
    """The routes, below the address of the FHIR API."""

    async def status(request: Request, caller: Caller) -> Response:
        number = request.path_params["job"]
        if request.method == "DELETE":
            await end(services, caller, number)
            return response(Answer(202))
        row = await own(services, caller, number)
        if row.unfinished:  # a short job is answered at the first look
            await ended(services.db, row.id, patience(request.headers.get("prefer", "")))
            row = await own(services, caller, number)
        return response(_status(row, imports if row.kind == IMPORT else exports))

    async def file(request: Request, caller: Caller) -> Response:
        row = await own(services, caller, request.path_params["job"])
        name = request.path_params["name"]
        result = row.result or {}
        listed = {*(each[0] for each in result.get("files", ())), result.get("report")}
        size = services.files.size(row.id, name) if name in listed else None
        if size is None:
            raise HttpError(404, "not-found", "there is no such file")
        part = wanted(request.headers, size)
        if row.kind == EXPORT and part.status < 300 and request.method == "GET":
            plan = ExportPlan.of(row.payload["plan"])
            await services.gate.export_fetched(caller, plan, f"$export {name}")
        headers = {**_HEADERS, **part.headers}
        if part.status >= 300 or request.method == "HEAD":
            return Response(None, part.status, headers, NDJSON)
        blocks = part.packed(services.files.blocks(row.id, name, part.first, part.count))
        return StreamingResponse(flowing(blocks), part.status, headers, NDJSON)

    async def load(request: Request, caller: Caller) -> Response:
        kind, _ = parse_media_type(request.headers.get("content-type", ""))
        mode = request.query_params.get("mode", "validate")
        if kind in NDJSON_TYPES:
            return response(await imports.upload(caller, mode, request.stream()))
        if kind not in JSON_TYPES:
            text = "an import is application/fhir+ndjson, or names its inputs in JSON"
            raise HttpError(415, "not-supported", text)
        headers = dict(request.headers.items())
        body = await read_body(request.receive, headers, _MOST_JSON)
        return response(await imports.named(caller, mode, body))

    return [
        Route("/fhir/$import", guarded(services, load), methods=["POST"]),
        Route("/fhir/bulk/{job}", guarded(services, status), methods=["GET", "DELETE"]),
        Route("/fhir/bulk/{job}/{name}", guarded(services, file), methods=["GET"]),
    ]


def patience(prefer: str) -> float:
    """Seconds that a client waits for an answer (`Prefer: wait=`, RFC 7240 4.3); ten at most."""
    found = _WAIT.search(prefer.lower())
    return min(int(found[1]), _LONGEST) if found else _PATIENCE


def _status(row: JobRow, kind: Exports | Imports) -> Answer:
    """How a job stands: 202 while it runs, 200 with the manifest, 500 when it failed."""
    if row.unfinished:
        progress = row.note or ("waiting" if row.state == "waiting" else "running")
        return Answer(202, headers={"x-progress": progress[:100], "retry-after": "1"})
    if row.state != "done":
        issue = Issue("fatal", "processing", "", f"the job failed: {row.error}")
        return Answer(500, outcome([issue]))
    expires = {"expires": http_date(row.expires).decode()} if row.expires else {}
    headers = {"content-type": "application/json", **expires}
    return Answer(200, dumps(kind.manifest(row)), headers)


def guarded(services: Services, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint with its caller known, and every failure as an OperationOutcome."""

    async def run(request: Request) -> Response:
        # the national interfaces name what belongs together by X-Correlation-Id
        related = request_id(request.headers.get("x-correlation-id"))
        identity = request_id(request.headers.get("x-request-id")) or related or str(uuid4())
        try:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                text = "an access token is needed (Authorization: Bearer …)"
                raise HttpError(401, "login", text, headers=_CHALLENGE)
            source = request.client.host if request.client else ""
            caller = services.verify(token.strip())
            segments = request.url.path.rstrip("/").split("/")
            admit(services.clients, caller, segments, request.headers)
            found = await endpoint(request, replace(caller, request_id=identity, source=source))
        except CLIENT_ERRORS as error:
            reply = reply_of(error)
            headers = {k.decode(): v.decode() for k, v in reply.headers}
            found = response(Answer(reply.status, reply.body, headers))
        except (ClientGone, ClientDisconnect):
            found = Response(status_code=400)
        except Exception as error:
            _log.error("request failed", request_id=identity, error=type(error).__name__)
            issue = Issue("fatal", "exception", "", f"an error of the server, request {identity}")
            found = response(Answer(500, outcome([issue])))
        found.headers["x-request-id"] = identity
        if related:
            found.headers["x-correlation-id"] = related
        return found

    return run


def response(answer: Answer) -> Response:
    """An answer as Starlette sends it."""
    headers = {**_HEADERS, **answer.headers}
    if answer.body:
        headers.setdefault("content-type", "application/fhir+json; charset=utf-8")
    return Response(answer.body, answer.status, headers)
