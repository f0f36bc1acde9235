"""The FHIR API as one ASGI application: authentication, routing by hand, errors, nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from uuid import uuid4

import structlog

from pater.access.caller import Caller
from pater.domain import Check, CreateHandler, Parts
from pater.fhir import xml
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.records.changes import Edit
from pater.records.gate import Gate
from pater.rest import bundles, conditional, everything, operating, whole_search
from pater.rest import interactions as do
from pater.rest.admission import admit
from pater.rest.binaries import content, is_content, resource, wants_content
from pater.rest.capability import capability_statement
from pater.rest.config import RestConfig, Tokens
from pater.rest.errors import HttpError, not_allowed
from pater.rest.formats import Format, accepted_format, in_xml, json_of, pretty, sent_format
from pater.rest.interactions import Api
from pater.rest.later import PATH, Asked, may_wait, wants_later
from pater.rest.metadata import Metadata
from pater.rest.openapi import openapi
from pater.rest.operations import core
from pater.rest.outcomes import CLIENT_ERRORS, reply_of
from pater.rest.patching import fhirpath_edit, is_json_patch, json_edit
from pater.rest.requests import (
    ClientGone,
    Receive,
    parse_parameters,
    prefers_lenient,
    read_body,
    request_id,
    require_form,
    split_format,
    wants_pretty,
)
from pater.rest.responses import Reply, Send, outcome, send_reply

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

_OF_TRANSFER: Final = ("content-encoding", "content-length")
_LONGEST_CORRELATION: Final = 256
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
    more = {type_: what for domain in domains for type_, what in domain.described.items()}
    queried = {type_: by for domain in domains for type_, by in domain.queried.items()}
    looking = {type_: by for domain in domains for type_, by in domain.looking.items()}
    alone = {type_: by for domain in domains for type_, by in domain.alone.items()}
    api = Api(gate, config, creates, checks, operations, more, queried, looking, alone)
    for operation in core(api):
        operations |= {(operation.name, t, operation.instance): operation for t in operation.types}
    modes = {mode: make for domain in domains for mode, make in domain.metadata.items()}
    app = _FhirApp(api, tokens, modes)
    if config.later is not None:
        config.later.perform = app.perform
    return app


class _FhirApp:
    def __init__(
        self,
        api: Api,
        tokens: Tokens,
        modes: Mapping[str, Callable[[], Awaitable[bytes]]],
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._metadata = Metadata(
            partial(capability_statement, api),
            lambda: api.gate.custom,
            modes,
            partial(openapi, api),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there is one address for them, and it is not here
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            raise RuntimeError("the FHIR API speaks HTTP only")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        given = headers.get("x-request-id")
        identity = request_id(given) or str(uuid4())
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
        fhir = reply.body and not any(name == b"content-type" for name, _ in reply.headers)
        if fhir and not reply.encoding and (call.format or _wish(call)) == "xml":
            reading = call.method in ("GET", "HEAD") or call.segments[-1] == "_search"
            reply = await in_xml(reply, reading=reading)
        if b"_pretty" in call.query and reply.body and _pretty(call):
            reply = await pretty(reply)
        if given and given != identity and len(given) <= _LONGEST_CORRELATION:
            # R4 3.1.0.1.11: who gave an id that is not used learns which answer is to it
            correlation = (b"x-correlation-id", given.encode("latin-1"))
            reply = replace(reply, headers=[*reply.headers, correlation])
        await send_reply(
            send,
            reply,
            identity,
            head=call.method == "HEAD",
            accept_encoding=headers.get("accept-encoding", ""),
        )

    async def _answer(self, call: _Call) -> Reply:
        if call.segments == ["metadata"]:
            call.allow("GET")
            said, formats = split_format(parse_parameters(call.query))
            format = accepted_format(call.headers, formats)
            return await self._metadata.reply(said, format, call.headers)
        if call.segments == ["openapi.json"]:
            call.allow("GET")
            return self._metadata.openapi(call.headers)
        caller = self._caller(call)
        if self._api.config.present is not None:
            caller = await self._api.config.present(caller)
        parameters, formats = split_format(parse_parameters(call.query))
        reading = call.method in ("GET", "HEAD") and not formats
        if reading and wants_content(call.segments, call.headers):
            call.format = "json"
            return content(await self._routed(call, caller, parameters), call.headers)
        call.format = accepted_format(call.headers, formats)
        later = self._api.config.later
        if later is not None and call.segments[0] == PATH and len(call.segments) == 2:
            call.allow("GET", "DELETE")
            step = later.end if call.method == "DELETE" else later.status
            return await step(caller, call.segments[1])
        wants = "prefer" in call.headers and wants_later(call.headers)
        if later is not None and wants and may_wait(call.method, call.segments):
            asked = await self._whole(call)
            if asked is not None:
                return await later.ask(caller, asked)
        return await self._routed(call, caller, parameters)

    async def _whole(self, call: _Call) -> Asked | None:
        """The request with its body; None when that is too much to be kept until later."""
        body = b""
        if call.method == "POST":
            body = await read_body(call.receive, call.headers, self._api.config.max_body)
            call.receive = _replay(body)
            call.headers = {k: v for k, v in call.headers.items() if k not in _OF_TRANSFER}
        return Asked.of(call.method, call.segments, call.query, body, call.headers)

    async def perform(self, caller: Caller, asked: Asked) -> bytes:
        """A request that is answered later: the Bundle with its answer."""
        call = _Call(
            asked.method, list(asked.segments), dict(asked.headers), asked.query.encode("ascii"),
            _replay(asked.body.encode()), caller.request_id, caller.source,
        )  # fmt: skip
        try:
            parameters, _ = split_format(parse_parameters(call.query))
            reply = await self._routed(call, caller, parameters)
        except CLIENT_ERRORS as error:
            reply = reply_of(error)
        entry = bundles.reply_entry(reply, self._api.config.base_url)
        return bundles.response_bundle("batch-response", {0: entry})

    async def _routed(
        self, call: _Call, caller: Caller, parameters: list[tuple[str, str]]
    ) -> Reply:
        match call.segments:
            case [""]:
                return await self._system(call, caller, parameters)
            case [name] if name.startswith("$"):
                return await self._operation(call, caller, name, "", "", parameters)
            case ["_history"]:
                call.allow("GET")
                return await do.histories(self._api, caller, "", parameters)
            case ["_search"]:
                return await self._search(call, caller, "", parameters)
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
                return await everything.compartment(self._api, caller, id_, parameters)
            case [whose, id_, type_] if whose in everything.COMPARTMENTS and type_ in TYPE_NUMBER:
                call.allow("GET")
                return await everything.search(self._api, caller, whose, id_, type_, parameters)
            case [whose, id_, type_, "_search"] if whose in everything.COMPARTMENTS:
                return await self._search(call, caller, _known(type_), parameters, (whose, id_))
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
        admit(self._api.config.clients, caller, call.segments, call.headers)
        return replace(caller, request_id=call.request_id, source=call.source)

    async def _system(
        self, call: _Call, caller: Caller, parameters: list[tuple[str, str]]
    ) -> Reply:
        call.allow("GET", "POST")
        if call.method != "POST":
            return await whole_search.search(
                self._api, caller, parameters, lenient=prefers_lenient(call.headers)
            )
        _no_parameters(parameters)
        raw = await self._json(call)
        return await bundles.process(self._api, caller, raw, call.headers, self._metadata)

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
                edit = await self._patch(call)
                return await conditional.patch_by_query(
                    api, caller, type_, edit, parameters, headers
                )
            case "DELETE":
                return await conditional.delete(api, caller, type_, parameters, headers)
            case "POST":
                _no_parameters(parameters)
                step = conditional.create if "if-none-exist" in headers else do.create
                return await step(api, caller, type_, await self._json(call), headers)
        lenient = prefers_lenient(headers)
        return await do.search(api, caller, type_, parameters, lenient=lenient)

    async def _search(
        self,
        call: _Call,
        caller: Caller,
        type_: str,
        parameters: list[tuple[str, str]],
        within: tuple[str, str] | None = None,
    ) -> Reply:
        call.allow("GET", "POST")
        if call.method == "POST":
            form = await read_body(call.receive, call.headers, self._api.config.max_body)
            if form.strip():
                require_form(call.headers)
            more, formats = split_format(parse_parameters(form.strip()))
            if formats:
                call.format = accepted_format(call.headers, formats)
            parameters = [*parameters, *more]
        private = call.method == "POST"
        if within is not None:
            return await everything.search(
                self._api, caller, *within, type_, parameters, private=private
            )
        lenient = prefers_lenient(call.headers)
        if not type_:
            return await whole_search.search(
                self._api, caller, parameters, private=private, lenient=lenient
            )
        return await do.search(
            self._api, caller, type_, parameters, private=private, lenient=lenient
        )

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
            edit = await self._patch(call)
            return await conditional.patch(self._api, caller, type_, id_, edit, call.headers)
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
        call.allow(*operating.methods(self._api, name[1:], type_, id_))
        raw = b""
        if call.method == "POST":
            raw = await read_body(call.receive, call.headers, self._api.config.max_body)
        method = "GET" if call.method == "HEAD" else call.method
        return await operating.operate(
            self._api, caller, name[1:], method, type_, id_, parameters, raw, call.headers,
            partial(_reader, call),
        )  # fmt: skip

    async def _json(self, call: _Call) -> bytes:
        """The body as JSON, whichever format it was sent in."""
        if is_content(call.segments, call.headers):
            sent_raw = await read_body(call.receive, call.headers, self._api.config.max_body)
            return resource(sent_raw, call.segments, call.headers)
        sent = sent_format(call.headers)
        raw = await read_body(call.receive, call.headers, self._api.config.max_body)
        return await json_of(raw) if sent == "xml" else raw

    async def _patch(self, call: _Call) -> Edit:
        if is_json_patch(call.headers):
            raw = await read_body(call.receive, call.headers, self._api.config.max_body)
            return json_edit(raw)
        return fhirpath_edit(do.body_of("Parameters", await self._json(call)))


def _replay(body: bytes) -> Receive:
    """The receiving end of a request whose body was read already."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _reader(call: _Call) -> Callable[[bytes], dict[str, Any]]:
    """What makes the tree of the body. Raises HttpError 415."""
    if call.headers.get("content-type", "").startswith("application/graphql"):
        return lambda raw: {"query": raw.decode("utf-8", "replace")}
    return xml.parse if sent_format(call.headers) == "xml" else do.parse_body


def _pretty(call: _Call) -> bool:
    try:
        return wants_pretty(parse_parameters(call.query))
    except HttpError:
        return False


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
