"""The addresses of the journal's log and of the time-stamp authority, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]


def _query(name: str, text: str, kind: str = "integer", *, required: bool = False) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "required": required,
        "schema": {"type": kind},
    }


def _get(id: str, text: str, parameters: list[Json], kind: str = "application/json") -> Json:
    schema = {"type": "object"} if kind == "application/json" else {"type": "string"}
    refused = {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/Resource"}}}
    return {
        "get": {
            "operationId": id,
            "summary": text,
            "security": [],
            "parameters": parameters,
            "responses": {
                "200": {"description": text, "content": {kind: {"schema": schema}}},
                "4XX": {"description": "What is wrong", "content": refused},
            },
        }
    }


def _proof() -> Json:
    found = _get(
        "proofOfEntry",
        "That an entry of the journal stands in the log (RFC 9162, 2.1.3); for who may read it",
        [
            _query("entry", "the id of an AuditEvent", "string", required=True),
            _query("size", "by the head of this size; else the newest"),
        ],
    )
    found["get"].pop("security")
    return found


_STAMP: Final[Json] = {
    "post": {
        "operationId": "timeStamp",
        "summary": "A time stamp for a hash (RFC 3161)",
        "security": [],
        "requestBody": {
            "required": True,
            "content": {"application/timestamp-query": {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": {
                "description": "A TimeStampResp, also when it is refused",
                "content": {"application/timestamp-reply": {"schema": {"type": "string"}}},
            },
            "413": {"description": "The request is too long"},
            "415": {"description": "The body is no query"},
        },
    }
}

PATHS: Final[Json] = {
    "/audit/log/head": _get(
        "logHead", "The newest signed head of the log, or one", [_query("number", "its number")]
    ),
    "/audit/log/heads": _get(
        "logHeads", "Heads in order, a thousand at most", [_query("after", "behind this number")]
    ),
    "/audit/log/keys": _get("logKeys", "The keys that sign heads, as a JWK Set", []),
    "/audit/log/consistency": _get(
        "logConsistency",
        "That one tree is the beginning of another (RFC 9162, 2.1.4)",
        [
            _query("first", "size of the earlier", required=True),
            _query("second", "size of the later", required=True),
        ],
    ),
    "/audit/log/proof": _proof(),
    "/tsa": _STAMP,
    "/tsa/certificate": _get(
        "timeStampCertificate", "The root under which stamps are believed", [],
        "application/x-pem-file",
    ),
}  # fmt: skip
"""By address on the host; they stand beside the FHIR API."""


def beside(base_url: str) -> Json:
    """The same for an API at `base_url`, each with the address of its own server."""
    site = base_url.removesuffix("/fhir") or "/"
    return {path: {"servers": [{"url": site}], **item} for path, item in PATHS.items()}
