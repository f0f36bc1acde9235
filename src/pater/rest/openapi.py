"""The API as OpenAPI 3.1, made of the same tables as the CapabilityStatement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.json import dumps
from pater.rest.capability import described
from pater.rest.interactions import Api
from pater.rest.openapi_log import beside
from pater.rest.patching import PATCH_TYPES

_FORMATS: Final = ("application/fhir+json", "application/fhir+xml")
_FORM: Final = "application/x-www-form-urlencoded"
_KINDS: Final[Mapping[str, str]] = {
    "date": "a date or time, with a prefix (ge2026-01-01)",
    "number": "a number, with a prefix",
    "quantity": "number|system|unit, with a prefix",
    "reference": "Type/id, id or an address",
    "string": "the beginning of a text",
    "token": "code, system|code, system| or |code",
    "uri": "an address",
}
_COMMON: Final[Mapping[str, str]] = {
    "_count": "resources on a page",
    "_sort": "parameters to sort by, with - for descending",
    "_include": "what the matches refer to: Type:parameter",
    "_revinclude": "what refers to the matches: Type:parameter",
    "_summary": "true, text, data, count or false",
    "_elements": "elements of the answer, parted by commas",
    "_total": "none, estimate or accurate",
    "_format": "json or xml",
    "_pretty": "true: lines and indents in JSON",
}
_HEADERS: Final[Mapping[str, str]] = {
    "If-Match": 'the version that must be current: W/"1", or *',
    "If-None-Match": "a version that is known already; * = only when there is none",
    "If-Modified-Since": "only what was changed since",
    "If-None-Exist": "search parameters: create only when nothing meets them",
    "Prefer": "return=minimal, representation or OperationOutcome; respond-async",
}
_GRAPHQL: Final[Mapping[str, Any]] = {
    kind: {"schema": {"type": "object"}} for kind in ("application/json", *_FORMATS)
}
Json = dict[str, Any]


def openapi(api: Api) -> bytes:
    """GET /openapi.json."""
    config = api.config
    paths: Json = {}
    for path, methods in _system(api):
        paths[path] = methods
    for type in RESOURCE_TYPES:
        for path, methods in _type(api, type):
            paths[path] = methods
    if config.log:
        paths |= beside(config.base_url)
    return dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Páteř, FHIR R4 API",
                "version": config.version or "0",
                "description": "HL7 FHIR R4 (4.0.1). Every access is decided by policy and "
                "recorded. What a server of FHIR answers is described by its definitions at "
                "http://hl7.org/fhir/R4.",
                "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
            },
            "servers": [{"url": config.base_url}],
            "security": [{"smart": []}, {"bearer": []}],
            "paths": paths,
            "components": _components(api),
        }
    )


def _components(api: Api) -> Json:
    resource = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}},
    }
    parameters = {
        **{name: _parameter(name, "query", text) for name, text in _COMMON.items()},
        **{name: _parameter(name, "header", text) for name, text in _HEADERS.items()},
        **{
            f"{type}.{each['name']}": _parameter(
                each["name"], "query", _KINDS.get(each["type"], each["type"])
            )
            for type in RESOURCE_TYPES
            for each in described(api, type)["searchParam"]
        },
        "id": _id("id", "the id of the resource"),
        "version": _id("version", "the number of the version"),
    }
    return {
        "schemas": {
            "Resource": resource,
            **{
                name: {**resource, "properties": {"resourceType": {"const": name}}}
                for name in RESOURCE_TYPES
            },
        },
        "parameters": parameters,
        "responses": {
            "Refused": {
                "description": "What is wrong, where and why",
                "content": _content("OperationOutcome"),
            },
            "Nothing": {"description": "It is done, and there is nothing to say"},
        },
        "securitySchemes": {
            "smart": {
                "type": "oauth2",
                "description": "SMART Backend Services: a signed client assertion gets a token",
                "flows": {
                    "clientCredentials": {
                        "tokenUrl": api.config.token_url or f"{api.config.base_url}/token",
                        "scopes": {"system/*.cruds": "everything that the role may do"},
                    }
                },
            },
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        },
    }


def _system(api: Api) -> Iterator[tuple[str, Json]]:
    said = described(api, "")
    codes = {each["code"] for each in said["interaction"]}
    yield (
        "/metadata",
        {
            "get": {
                **_answering("metadata", "What the server can do", "CapabilityStatement"),
                "security": [],
                "parameters": [_parameter("mode", "query", "full, normative or terminology")],
            }
        },
    )
    if codes & {"transaction", "batch"}:
        yield (
            "/",
            {
                "post": {
                    **_answering("transaction", "A transaction or batch", "Bundle"),
                    "requestBody": _body("Bundle"),
                    "parameters": [_named("Prefer")],
                }
            },
        )
    if "history-system" in codes:
        yield "/_history", {"get": _history("historyOfAll", "The history of everything")}
    yield from _operations(api, "", "", said)


def _type(api: Api, type: str) -> Iterator[tuple[str, Json]]:
    said = described(api, type)
    codes = {each["code"] for each in said["interaction"]}
    searched = [_named(f"{type}.{each['name']}") for each in said["searchParam"]]
    common = [_named(name) for name in _COMMON]
    here: Json = {}
    if "search-type" in codes:
        here["get"] = {
            **_answering(f"search{type}", f"Search {type}", "Bundle"),
            "parameters": [*searched, *common],
        }
    if "create" in codes:
        here["post"] = {
            **_writing(f"create{type}", f"Create a {type}", type, "201"),
            "parameters": [_named("If-None-Exist"), _named("Prefer")],
        }
    if said.get("conditionalUpdate"):
        here["put"] = {
            **_writing(f"updateOne{type}", f"Update the {type} that a query means", type, "200"),
            "parameters": [*searched, _named("If-Match"), _named("Prefer")],
        }
        here["patch"] = {
            **_patching(f"patchOne{type}", f"Patch the {type} that a query means", type),
            "parameters": [*searched, _named("If-Match"), _named("Prefer")],
        }
    if said.get("conditionalDelete") == "single":
        here["delete"] = {
            **_deleting(f"deleteOne{type}", f"Delete the {type} that a query means"),
            "parameters": searched,
        }
    yield f"/{type}", here
    if "search-type" in codes:
        form = {"type": "object", "additionalProperties": {"type": "string"}}
        by_form = {
            **_answering(f"searchByForm{type}", f"Search {type} by a form", "Bundle"),
            "requestBody": {"content": {_FORM: {"schema": form}}},
        }
        also = {**here["get"], "operationId": f"searchAlso{type}"}
        yield f"/{type}/_search", {"get": also, "post": by_form}
    if "history-type" in codes:
        text = f"The history of all {type}"
        yield f"/{type}/_history", {"get": _history(f"historyOfAll{type}", text)}
    yield from _instance(type, codes)
    yield from _operations(api, type, f"/{type}", said)


def _instance(type: str, codes: set[str]) -> Iterator[tuple[str, Json]]:
    here: Json = {"parameters": [_named("id")]}
    if "read" in codes:
        wanted = ("If-None-Match", "If-Modified-Since", "_summary", "_elements", "_format",
                  "_pretty")  # fmt: skip
        here["get"] = {
            **_answering(f"read{type}", f"Read a {type}", type),
            "parameters": [_named(name) for name in wanted],
        }
    if "update" in codes:
        here["put"] = {
            **_writing(f"update{type}", f"Update a {type}", type, "200"),
            "parameters": [_named("If-Match"), _named("If-None-Match"), _named("Prefer")],
        }
    if "patch" in codes:
        here["patch"] = {
            **_patching(f"patch{type}", f"Patch a {type}", type),
            "parameters": [_named("If-Match"), _named("Prefer")],
        }
    if "delete" in codes:
        here["delete"] = {
            **_deleting(f"delete{type}", f"Delete a {type}"),
            "parameters": [_named("If-Match")],
        }
    yield f"/{type}/{{id}}", here
    if "history-instance" in codes:
        history = _history(f"history{type}", f"The history of a {type}")
        yield f"/{type}/{{id}}/_history", {"parameters": [_named("id")], "get": history}
    if "vread" in codes:
        yield (
            f"/{type}/{{id}}/_history/{{version}}",
            {
                "parameters": [_named("id"), _named("version")],
                "get": _answering(f"vread{type}", f"Read one version of a {type}", type),
            },
        )


def _operations(
    api: Api, type: str, prefix: str, said: Mapping[str, Any]
) -> Iterator[tuple[str, Json]]:
    """The operations that the statement names, at the places where they stand."""
    for each in said.get("operation", ()):
        name = each["name"]
        for instance in (False, True):
            found = api.operations.get((name, type, instance))
            if found is None and type:
                found = api.operations.get((name, "*", instance))
            methods = found.methods if found is not None else frozenset[str]()
            if name == "validate" and type:
                methods = frozenset({"GET", "POST"} if instance else {"POST"})
            if not methods:
                continue
            place = f"{prefix}/{{id}}/${name}" if instance else f"{prefix}/${name}"
            here: Json = {"parameters": [_named("id")]} if instance else {}
            for method in sorted(methods):
                key = f"{name}{type or 'System'}{'Instance' if instance else ''}{method}"
                here[method.lower()] = {
                    **_answering(key, f"${name}", "Resource"),
                    "externalDocs": {"url": each["definition"]},
                }
                if name == "graphql":  # its answers are GraphQL's own, reasons as well
                    said_so = {"description": "data, or errors", "content": _GRAPHQL}
                    here[method.lower()]["responses"] = {"200": said_so, "default": said_so}
                if method == "POST":
                    here["post"]["requestBody"] = {"content": _content("Resource")}
            yield place, here


def _answering(key: str, summary: str, type: str, status: str = "200") -> Json:
    return {
        "operationId": key,
        "summary": summary,
        "responses": {
            status: {"description": summary, "content": _content(type)},
            "default": {"$ref": "#/components/responses/Refused"},
        },
    }


def _writing(key: str, summary: str, type: str, status: str) -> Json:
    said = _answering(key, summary, type, status)
    other = "201" if status == "200" else "200"
    said["responses"][other] = {"description": summary, "content": _content(type)}
    return {**said, "requestBody": _body(type)}


def _patching(key: str, summary: str, type: str) -> Json:
    bodies: Json = {name: {"schema": _schema("Parameters")} for name in PATCH_TYPES}
    bodies[PATCH_TYPES[0]] = {"schema": {"type": "array", "items": {"type": "object"}}}
    content = {"required": True, "content": bodies}
    return {**_answering(key, summary, type), "requestBody": content}


def _deleting(key: str, summary: str) -> Json:
    return {
        "operationId": key,
        "summary": summary,
        "responses": {
            "204": {"$ref": "#/components/responses/Nothing"},
            "default": {"$ref": "#/components/responses/Refused"},
        },
    }


def _history(key: str, summary: str) -> Json:
    listed: Sequence[Json] = [
        _named("_count"),
        _parameter("_since", "query", "versions written since"),
        _parameter("_at", "query", "versions that were current at a time"),
    ]
    return {**_answering(key, summary, "Bundle"), "parameters": listed}


def _content(type: str) -> Json:
    return {format: {"schema": _schema(type)} for format in _FORMATS}


def _body(type: str) -> Json:
    return {"required": True, "content": _content(type)}


def _schema(type: str) -> Json:
    return {"$ref": f"#/components/schemas/{type}"}


def _named(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _parameter(name: str, place: str, text: str) -> Json:
    return {"name": name, "in": place, "description": text, "schema": {"type": "string"}}


def _id(name: str, text: str) -> Json:
    return {**_parameter(name, "path", text), "required": True}
