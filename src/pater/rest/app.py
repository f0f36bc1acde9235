"""The FHIR API as one ASGI application: authentication, routing by hand, errors, nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import structlog

from pater.access.caller import Caller
from pater.domain import Check, CreateHandler, Operation, OperationRequest, Parts
from pater.fhir import xml
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.records.gate import Gate
from pater.rest import bundles, conditional, everything
from pater.rest import interactions as do
from pater.rest.capability import capability_statement
from pater.rest.config import RestConfig, Tokens
from pater.rest.errors import HttpError, not_allowed
from pater.rest.formats import Format, accepted_format, in_xml, json_of, sent_format, xml_of
from pater.rest.interactions import Api
from pater.rest.json_patch import Step, read_patch
from pater.rest.outcomes import CLIENT_ERRORS, reply_of
from pater.rest.requests import (
    ClientGone,
    Receive,
    parse_parameters,
    read_body,
    request_id,
    require_form,
    require_patch,
    split_format,
)
from pater.rest.responses import Reply, Send, outcome, send_reply
from pater.rest.validate_op import validate_sent, validate_stored

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="fhir"'),)


@dataclass(slots=True)
class _Call:
    """One request on its way; the body is read only where the address takes one."""

    method: str
    segments: list[str]
    headers: dict[str, str]
    query: bytes
    receive: Receive
    request_id: str
    source: str
    format: Format | None = None  # of the answer; None until the client's wish is known

    def allow(self, *methods: str) -> None:
        """Refuses (405) every other method. HEAD goes with GET."""
        method = "GET" if self.method == "HEAD" else self.method
        if method not in methods:
            named = [m for allowed in methods for m in ((allowed, "HEAD") if allowed == "GET"
                     else (allowed,))]  # fmt: skip
            raise not_allowed(named)


def fhir_app(gate: Gate, tokens: Tokens, domains: Sequence[Parts], config: RestConfig) -> AsgiApp:
    """The API over a gate, to be mounted at /fhir. Domains add to it: see `Parts`."""
    creates: dict[str, list[CreateHandler]] = {}
    checks: dict[str, list[Check]] = {}
    for domain in domains:
        for type_, handler in domain.creates.items():
            creates.setdefault(type_, []).append(handler)
        for type_, check in domain.checks.items():
            checks.setdefault(type_, []).append(check)
    operations = {
        (operation.name, type_, operation.instance): operation
        for domain in domains
        for operation in domain.operations
        for type_ in operation.types
    }
    api = Api(gate, config, creates, checks, operations)
    return _FhirApp(api, tokens)


class _FhirApp:
    def __init__(self, api: Api, tokens: Tokens) -> None:
        self._api = api
        self._tokens = tokens
        self._metadata = lru_cache(maxsize=1)(lambda: capability_statement(api))
        self._metadata_xml = lru_cache(maxsize=1)(lambda: xml_of(self._metadata()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("the FHIR API speaks HTTP only")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        identity = request_id(headers.get("x-request-id")) or str(uuid4())
        client = scope.get("client")
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        call = _Call(
            method=scope["method"],
            segments=path.removeprefix("/").removesuffix("/").split("/"),
            headers=headers,
            query=scope.get("query_string", b""),
            receive=receive,
            request_id=identity,
            source=client[0] if client else "",
        )
        try:
            reply = await self._answer(call)
        except CLIENT_ERRORS as error:
            reply = reply_of(error)
        except ClientGone:
            return
        except Exception as error:
            # The kind of the error and where it arose, never its text: it may hold data.
            log.error("request failed", request_id=identity, error=type(error).__name__,
                      where=_where(error))  # fmt: skip
            issue = Issue("fatal", "exception", "", f"an error of the server, request {identity}")
            reply = Reply(500, outcome([issue]))
        if reply.body and (call.format or _wish(call)) == "xml":
            reading = call.method in ("GET", "HEAD") or call.segments[-1] == "_search"
            reply = await in_xml(reply, reading=reading)
        await send_reply(send, reply, identity, head=call.method == "HEAD")

    async def _answer(self, call: _Call) -> Reply:
        if call.segments == ["metadata"]:
            call.allow("GET")
            formats = split_format(parse_parameters(call.query))[1]
            if accepted_format(call.headers, formats) == "xml":
                return Reply(200, self._metadata_xml(), xml=True)
            return Reply(200, self._metadata())
        caller = self._caller(call)
        parameters, formats = split_format(parse_parameters(call.query))
        call.format = accepted_format(call.headers, formats)
        match call.segments:
            case [""]:
                return await self._system(call, caller, parameters)
            case [name] if name.startswith("$"):
                return await self._operation(call, caller, name, "", "", parameters)
            case ["_history"]:
                call.allow("GET")
                return await do.histories(self._api, caller, "", parameters)
            case [type_, "_history"]:
                call.allow("GET")
                return await do.histories(self._api, caller, _known(type_), parameters)
            case [type_]:
                return await self._type(call, caller, _known(type_), parameters)
            case [type_, "_search"]:
                return await self._search(call, caller, _known(type_), parameters)
            case [type_, name] if name.startswith("$"):
                return await self._operation(call, caller, name, _known(type_), "", parameters)
            case [type_, id_]:
                return await self._instance(call, caller, _known(type_), id_, parameters)
            case [type_, id_, "_history"]:
                call.allow("GET")
                return await do.history(self._api, caller, _known(type_), id_, parameters)
            case ["Patient", id_, "*"]:
                call.allow("GET")
                return await everything.everything(
                    self._api, caller, id_, parameters, referred=False
                )
            case ["Patient", id_, type_] if type_ in TYPE_NUMBER:
                call.allow("GET")
                return await everything.search(self._api, caller, id_, type_, parameters)
            case [type_, id_, name] if name.startswith("$"):
                return await self._operation(call, caller, name, _known(type_), id_, parameters)
            case [type_, id_, "_history", version]:
                call.allow("GET")
                return await do.vread(
                    self._api, caller, _known(type_), id_, version, parameters, call.headers
                )
        raise HttpError(404, "not-found", "there is nothing at this address")

    def _caller(self, call: _Call) -> Caller:
        """Who asks, by the bearer token. Raises HttpError 401, TokenError."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            text = "an access token is needed (Authorization: Bearer …)"
            raise HttpError(401, "login", text, headers=_CHALLENGE)
        caller = self._tokens.verify(token.strip())
        return replace(caller, request_id=call.request_id, source=call.source)

    async def _system(
        self, call: _Call, caller: Caller, parameters: list[tuple[str, str]]
    ) -> Reply:
        call.allow("POST")
        _no_parameters(parameters)
        return await bundles.process(self._api, caller, await self._json(call), call.headers)

    async def _type(
        self, call: _Call, caller: Caller, type_: str, parameters: list[tuple[str, str]]
    ) -> Reply:
        call.allow("GET", "POST", *(("PUT", "PATCH", "DELETE") if parameters else ()))
        api, headers = self._api, call.headers
        match call.method:
            case "PUT":
                raw = await self._json(call)
                return await conditional.update(api, caller, type_, raw, parameters, headers)
            case "PATCH":
                steps = await self._patch(call)
                return await conditional.patch_by_query(
                    api, caller, type_, steps, parameters, headers
                )
            case "DELETE":
                return await conditional.delete(api, caller, type_, parameters, headers)
            case "POST":
                _no_parameters(parameters)
                step = conditional.create if "if-none-exist" in headers else do.create
                return await step(api, caller, type_, await self._json(call), headers)
        return await do.search(api, caller, type_, parameters)

    async def _search(
        self, call: _Call, caller: Caller, type_: str, parameters: list[tuple[str, str]]
    ) -> Reply:
        call.allow("GET", "POST")
        if call.method == "POST":
            require_form(call.headers)
            form = await read_body(call.receive, call.headers, self._api.config.max_body)
            more, formats = split_format(parse_parameters(form.strip()))
            if formats:
                call.format = accepted_format(call.headers, formats)
            parameters = [*parameters, *more]
        private = call.method == "POST"
        return await do.search(self._api, caller, type_, parameters, private=private)

    async def _instance(
        self, call: _Call, caller: Caller, type_: str, id_: str, parameters: list[tuple[str, str]]
    ) -> Reply:
        call.allow("GET", "PUT", "PATCH", "DELETE")
        if call.method in ("GET", "HEAD"):
            return await do.read(self._api, caller, type_, id_, parameters, call.headers)
        _no_parameters(parameters)
        if call.method == "DELETE":
            return await do.delete(self._api, caller, type_, id_, call.headers)
        if call.method == "PATCH":
            steps = await self._patch(call)
            return await conditional.patch(self._api, caller, type_, id_, steps, call.headers)
        raw = await self._json(call)
        return await do.update(self._api, caller, type_, id_, raw, call.headers)

    async def _operation(
        self,
        call: _Call,
        caller: Caller,
        name: str,
        type_: str,
        id_: str,
        parameters: list[tuple[str, str]],
    ) -> Reply:
        if name == "$validate" and type_:
            if id_:
                call.allow("GET", "POST")
                raw = b""
                if call.method == "POST":
                    raw = await read_body(call.receive, call.headers, self._api.config.max_body)
                if not raw.strip():
                    return await validate_stored(self._api, caller, type_, id_, parameters)
                return await validate_sent(
                    self._api, caller, type_, raw, parameters, id_, read=_reader(call)
                )
            call.allow("POST")
            read = _reader(call)
            raw = await read_body(call.receive, call.headers, self._api.config.max_body)
            return await validate_sent(self._api, caller, type_, raw, parameters, read=read)
        if (name, type_) == ("$everything", "Patient") and id_:
            call.allow("GET", "POST")
            if call.method == "POST":
                parameters = [
                    *parameters,
                    *everything.posted(do.parse_body(await self._json(call))),
                ]
            return await everything.everything(self._api, caller, id_, parameters)
        operations, place = self._api.operations, bool(id_)
        operation: Operation | None = operations.get((name[1:], type_, place))
        if operation is None and type_:
            operation = operations.get((name[1:], "*", place))
        if operation is None:
            raise HttpError(404, "not-supported", "there is no such operation here")
        call.allow(*sorted(operation.methods))
        raw, resource = b"", None
        if call.method == "POST" and call.headers.get("content-length") != "0":
            raw = await self._json(call)
            resource = do.parse_body(raw) if raw.strip() else None
        request = OperationRequest(call.method, type_, id_, parameters, resource, raw, call.headers)
        return do.answered(await operation.run(caller, request))

    async def _json(self, call: _Call) -> bytes:
        """The body as JSON, whichever format it was sent in."""
        sent = sent_format(call.headers)
        raw = await read_body(call.receive, call.headers, self._api.config.max_body)
        return await json_of(raw) if sent == "xml" else raw

    async def _patch(self, call: _Call) -> list[Step]:
        require_patch(call.headers)
        raw = await read_body(call.receive, call.headers, self._api.config.max_body)
        return read_patch(raw)


def _reader(call: _Call) -> Callable[[bytes], dict[str, Any]]:
    """What makes the tree of the body. Raises HttpError 415."""
    return xml.parse if sent_format(call.headers) == "xml" else do.parse_body


def _wish(call: _Call) -> Format:
    """The format for an answer given before the client's wish was read; JSON when it is wrong."""
    try:
        return accepted_format(call.headers, split_format(parse_parameters(call.query))[1])
    except HttpError:
        return "json"


def _known(type_: str) -> str:
    if type_ not in TYPE_NUMBER:
        raise HttpError(404, "not-found", "there is no such resource type in FHIR R4")
    return type_


def _no_parameters(parameters: list[tuple[str, str]]) -> None:
    if parameters:
        raise HttpError(400, "not-supported", "this request takes no parameters")


def _where(error: BaseException) -> str:
    """The innermost function of ours that the error passed."""
    found = ""
    step = error.__traceback__
    while step is not None:
        module = step.tb_frame.f_globals.get("__name__", "")
        if module.startswith("pater."):
            found = f"{module}:{step.tb_lineno}"
        step = step.tb_next
    return found
