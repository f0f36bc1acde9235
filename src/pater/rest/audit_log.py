"""`/audit/log/…`: heads, consistency and keys for everybody, proofs for who may read the entry."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pater.access.caller import Caller
from pater.access.transparency.heads import head_number, heads_after, last_head
from pater.access.transparency.log import TransparencyLog
from pater.access.transparency.proving import NotThereError, consistency
from pater.access.transparency.tiles import TilesError
from pater.access.transparency.watching import watch
from pater.domain import Parts, Services
from pater.fhir.issues import Issue
from pater.fhir.json import dumps
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.responses import outcome
from pater.trust.tsa import http as tsa

MOST_HEADS: Final = 1000
"""Heads of one answer."""
_ANYBODY: Final = {"access-control-allow-origin": "*", "cache-control": "no-cache"}
_LATER: Final = ((b"retry-after", b"60"),)


def parts(services: Services, log: TransparencyLog, stamps: tsa.Stamps | None = None) -> Parts:
    """The routes of the log and of the time-stamp authority: that of the log, or `stamps`.

    Heads say nothing of anybody: they are for every monitor who wants to keep them.
    """

    async def head(request: Request) -> Response:
        number = _number(request, "number")
        one = await (last_head(log.db) if number is None else head_number(log.db, number))
        if one is None:
            raise HttpError(404, "not-found", "there is no such head", headers=_LATER)
        return _json(one.as_json())

    async def heads(request: Request) -> Response:
        found = await heads_after(log.db, _number(request, "after") or 0, MOST_HEADS)
        return _json({"heads": [one.as_json() for one in found]})

    async def keys(_: Request) -> Response:
        return _json(log.keys.head.jwks())

    async def consistent(request: Request) -> Response:
        first, second = _number(request, "first"), _number(request, "second")
        if first is None or second is None:
            raise HttpError(400, "required", "name two sizes: first=…&second=…")
        try:
            path = await consistency(log.db, first, second)
        except NotThereError as error:
            raise HttpError(404, "not-found", str(error)) from error
        hashes = [base64.b64encode(hash).decode() for hash in path]
        return _json({"first": first, "second": second, "path": hashes})

    async def proof(request: Request, caller: Caller) -> Response:
        id, size = _entry(request), _number(request, "size")
        # decided and recorded by the gate, as any other reading of the entry
        await services.gate.read(caller, "AuditEvent", id)
        try:
            found = await log.prove(id, size)
        except NotThereError as error:
            raise HttpError(404, "not-found", str(error), headers=_LATER) from error
        answer = Response(dumps(found.as_json()), media_type="application/json")
        answer.headers["cache-control"] = "no-store"
        return answer

    return Parts(
        routes=[
            Route("/audit/log/head", _public(head)),
            Route("/audit/log/heads", _public(heads)),
            Route("/audit/log/keys", _public(keys)),
            Route("/audit/log/consistency", _public(consistent)),
            Route("/audit/log/proof", guarded(services, proof)),
            *tsa.routes(stamps or log.keys.authority),
        ],
        tasks=[partial(watch, log.db, services.clock)],
    )


def _public(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def run(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HttpError as error:
            headers = {name.decode(): value.decode() for name, value in error.headers}
            status, issues = error.status, error.issues
        except TilesError:
            headers, status = {}, 500
            issues = [Issue("fatal", "exception", "", "the kept tree is not whole")]
        return Response(outcome(issues), status, headers, "application/fhir+json")

    return run


def _json(value: dict[str, Any]) -> Response:
    return Response(dumps(value), headers=_ANYBODY, media_type="application/json")


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise HttpError(400, "value", f"{name} is a whole number", path=name)
    return int(text)


def _entry(request: Request) -> str:
    text = request.query_params.get("entry", "")
    try:
        if str(UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise HttpError(400, "value", "entry is the id of an AuditEvent", path="entry")
