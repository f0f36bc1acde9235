"""The addresses of the seal service: who may use it, how it is asked, how it answers."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import audit
from pater.access.caller import Caller
from pater.access.scopes import SEAL
from pater.domain import Services
from pater.fhir.json import JsonError, parse
from pater.records.errors import Forbidden
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.later import wants_later
from pater.rest.requests import parse_media_type, read_body
from pater.rest.sealing.description import OPENAPI
from pater.rest.sealing.jobs import Jobs
from pater.rest.sealing.shapes import Item, items_of, with_files
from pater.rest.sealing.work import Work, media_type
from pater.trust.seal.model import Content, SealError

ACTS: Final = ("create", "validate", "extend", "stamp")
ROLE: Final = "provider-system"
_MIB: Final = 1024 * 1024
_LONGEST: Final = 32 * _MIB
_AT_ONCE: Final = 4 * _MIB
"""Bytes of a request that is answered at once; longer ones are answered later."""
_STATUS: Final = {"too-large": 413, "key": 503, "stamp": 503, "evidence": 409, "level": 409}
_TITLES: Final = {
    400: "The request cannot be understood",
    401: "An access token is needed",
    403: "This is not allowed",
    404: "There is nothing here",
    409: "This seal cannot be extended",
    413: "Too much was sent",
    415: "This media type is not taken",
    422: "This cannot be sealed",
    429: "Too much at once",
    500: "An error of the server",
    503: "The service cannot seal now",
}
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
Endpoint = Callable[[Request, Caller], Awaitable[Response]]


def routes(services: Services, work: Work, jobs: Jobs) -> list[BaseRoute]:
    """`POST /seal/create|validate|extend|stamp`, `GET /seal/jobs/{number}`, the description."""

    def doing(act: str) -> Endpoint:
        async def run(request: Request, caller: Caller) -> Response:
            try:
                return await _answered(request, caller, act, work, jobs, note)
            except SealError as error:
                await note(caller, act, 1, audit.MINOR_FAILURE, error.code)
                return _refused(error)

        return run

    async def note(caller: Caller, act: str, count: int, outcome: str, detail: str) -> None:
        """The use of the service, in the journal; nothing of what was sealed."""
        if services.journal is None:
            return
        reason = "forbidden-seal" if detail == "forbidden" else "sealing"
        query = f"count={count}&result={detail}"
        entry = audit.entry(
            caller, "E", f"seal-{act}", outcome, clock=services.clock, reason=reason, query=query
        )
        await services.journal([entry])

    def allowed(act: str, endpoint: Endpoint) -> Endpoint:
        async def run(request: Request, caller: Caller) -> Response:
            if caller.role != ROLE or SEAL not in caller.scopes:
                await note(caller, act, 0, audit.MINOR_FAILURE, "forbidden")
                raise Forbidden("forbidden-seal")
            return await endpoint(request, caller)

        return run

    async def job(request: Request, caller: Caller) -> Response:
        row, answer = await jobs.answer(caller, request.path_params["number"])
        if row.unfinished:
            headers = {**_HEADERS, "retry-after": "1", "x-progress": row.note or "waiting"}
            return Response(None, 202, headers)
        if row.state != "done":
            raise HttpError(500, "exception", "the request could not be answered: ask again")
        return Response(answer, 200, _HEADERS, "application/json")

    async def description(_: Request) -> Response:
        return Response(orjson.dumps(OPENAPI), media_type="application/json")

    return [
        *(
            Route(f"/seal/{act}", _problems(guarded(services, allowed(act, doing(act)))),
                  methods=["POST"])
            for act in ACTS
        ),
        Route("/seal/jobs/{number}", _problems(guarded(services, allowed("job", job)))),
        Route("/seal/openapi.json", description),
    ]  # fmt: skip


Note = Callable[[Caller, str, int, str, str], Awaitable[None]]


async def _answered(
    request: Request, caller: Caller, act: str, work: Work, jobs: Jobs, note: Note
) -> Response:
    kind, _ = parse_media_type(request.headers.get("content-type", ""))
    if kind == "multipart/form-data":
        item = await _of_form(request, act)
        await _checked(act, [item])
        result = await work.one(act, item)
        await note(caller, act, 1, audit.OK, "done")
        return _file(act, item, result)
    if kind != "application/json":
        raise HttpError(415, "not-supported", "send application/json or multipart/form-data")
    raw = await read_body(request.receive, dict(request.headers.items()), _LONGEST)
    try:
        body = parse(raw)
    except JsonError as error:
        raise HttpError(400, "structure", error.message) from error
    items, batch = items_of(act, body)
    await _checked(act, items)
    if len(raw) > _AT_ONCE or wants_later({"prefer": request.headers.get("prefer", "")}):
        number = await jobs.ask(caller, act, body)
        await note(caller, act, len(items), audit.OK, "later")
        headers = {**_HEADERS, "location": f"/seal/jobs/{number}", "retry-after": "1"}
        return Response(None, 202, headers)
    if not batch:
        result = await work.one(act, items[0])
        await note(caller, act, 1, audit.OK, "done")
        return _json(result)
    results = await work.all(act, items)
    await note(caller, act, len(items), audit.OK, "done")
    return _json({"results": results})


async def _checked(act: str, items: list[Item]) -> None:
    for item in items:
        if act in ("validate", "extend") and not item.seal:
            raise HttpError(400, "required", "seal: what is looked at is missing")
        if act == "create" and not item.content:
            raise HttpError(400, "required", "content: what is to be sealed is missing")


async def _of_form(request: Request, act: str) -> Item:
    """An item of a form: `order` is its JSON; `content` and `seal` are files."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _LONGEST:
        raise HttpError(413, "too-long", f"a form has a length of at most {_LONGEST} bytes")
    try:
        async with request.form(max_files=101, max_fields=5, max_part_size=_MIB) as form:
            text = form.get("order", "{}")
            if not isinstance(text, str):
                raise HttpError(400, "structure", "order is a field, not a file")
            order = parse(text.encode())
            contents: list[Content] = []
            seal = b""
            for name, value in form.multi_items():
                if isinstance(value, UploadFile) and name == "content":
                    mime = value.content_type or "application/octet-stream"
                    contents.append(Content(await value.read(), value.filename or "", mime))
                elif isinstance(value, UploadFile) and name == "seal":
                    seal = await value.read()
                elif name != "order":
                    raise HttpError(400, "structure", "a form has order, content and seal")
    except (HTTPException, JsonError) as error:
        raise HttpError(400, "structure", "the form cannot be read") from error
    items, batch = items_of(act, order)
    if batch:
        raise HttpError(400, "structure", "a batch is sent as JSON")
    return with_files(items[0], contents, seal)


def _file(act: str, item: Item, result: dict[str, Any]) -> Response:
    """The answer to a form: the sealed file itself where there is one."""
    if "seal" not in result:
        return _json(result)
    mime = media_type(item.order) if item.order else "application/octet-stream"
    headers = {**_HEADERS, "content-disposition": "attachment"}
    return Response(base64.b64decode(result["seal"]), 200, headers, mime)


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), 200, _HEADERS, "application/json")


def _refused(error: SealError) -> Response:
    status = _STATUS.get(error.code, 422)
    extra = {"code": error.code, "detailCs": error.text.cs}
    return _problem(status, error.text.en, {}, extra)


def _problem(
    status: int, detail: str, headers: dict[str, str], extra: dict[str, Any] | None = None
) -> Response:
    body = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    kept = {
        name: value
        for name, value in headers.items()
        if name in ("www-authenticate", "retry-after", "x-request-id")
    }
    return Response(orjson.dumps(body), status, {**_HEADERS, **kept}, "application/problem+json")


def _problems(
    inner: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turns an OperationOutcome, the API's way of saying no, into problem details."""

    async def run(request: Request) -> Response:
        answer = await inner(request)
        if answer.status_code < 400 or answer.media_type == "application/problem+json":
            return answer
        if not answer.headers.get("content-type", "").startswith("application/fhir+json"):
            return answer
        issues = orjson.loads(bytes(answer.body)).get("issue", [{}])
        return _problem(
            answer.status_code, issues[0].get("diagnostics", ""), dict(answer.headers.items())
        )

    return run
