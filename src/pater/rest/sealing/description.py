"""The seal service as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any, Final

from pater.trust.seal.model import Format, Level, Packaging

_B64: Final = {"type": "string", "contentEncoding": "base64"}
_HASHES: Final = dict.fromkeys(("sha256", "sha384", "sha512"), _B64)


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


_CONTENT: Final = _object(
    {"name": {"type": "string"}, "mime": {"type": "string"}, "data": _B64, **_HASHES}
)
_CONTENTS: Final = {"type": "array", "maxItems": 100, "items": _CONTENT}
_LEVEL: Final = {"enum": [one.name for one in Level]}
_FORMAT: Final = {"enum": [one.value for one in Format]}
_ITEMS: Final = {
    "create": _object(
        {
            "format": _FORMAT,
            "level": _LEVEL,
            "packaging": {"enum": [one.value for one in Packaging]},
            "inner": {"enum": ["CAdES", "XAdES"]},
            "content": _CONTENTS,
            "options": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "format",
        "content",
    ),
    "validate": _object({"seal": _B64, "content": _CONTENTS}, "seal"),
    "extend": _object({"seal": _B64, "level": _LEVEL, "content": _CONTENTS}, "seal", "level"),
    "stamp": _object({"data": _B64, **_HASHES}),
}
_SAID: Final = {
    "create": "Seals content, or its hash, and gives the sealed file or the detached seal.",
    "validate": "Says what is to be thought of a seal (EN 319 102-1).",
    "extend": "Gives a seal a higher level; LTA again adds a further archive time stamp.",
    "stamp": "A time stamp (RFC 3161) over data or a hash.",
}
_PROBLEM: Final = {
    "description": "It was not done; the detail says why.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "detailCs": {"type": "string"},
                    "code": {"type": "string"},
                },
            }
        }
    },
}


def _path(act: str) -> dict[str, Any]:
    item = _ITEMS[act]
    batch = _object({"items": {"type": "array", "maxItems": 100, "items": item}}, "items")
    form = _object(
        {
            "order": {"type": "string", "description": "the JSON without content and seal"},
            "content": {"type": "array", "items": {"type": "string"}},
            "seal": {"type": "string"},
        }
    )
    answer = {"type": "object"}
    return {
        "post": {
            "summary": _SAID[act],
            "operationId": act,
            "security": [{"token": []}],
            "parameters": [
                {
                    "name": "Prefer",
                    "in": "header",
                    "schema": {"type": "string"},
                    "description": "respond-async: answered later, as every long request is",
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"anyOf": [item, batch]}},
                    "multipart/form-data": {"schema": form},
                },
            },
            "responses": {
                "200": {
                    "description": "Done; to a form the sealed file itself.",
                    "content": {"application/json": {"schema": answer}},
                },
                "202": {"description": "Taken; Location says where the answer will be."},
                "4XX": _PROBLEM,
                "5XX": _PROBLEM,
            },
        }
    }


OPENAPI: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Páteř: seals and time stamps",
        "version": "1",
        "description": "For systems of providers whose client holds the scope `seal`.",
    },
    "paths": {
        **{f"/seal/{act}": _path(act) for act in _ITEMS},
        "/seal/jobs/{number}": {
            "get": {
                "summary": "The answer to a request that was answered later.",
                "operationId": "job",
                "security": [{"token": []}],
                "parameters": [
                    {
                        "name": "number",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                ],
                "responses": {
                    "200": {
                        "description": "The results in order.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "202": {"description": "Not yet."},
                    "4XX": _PROBLEM,
                    "5XX": _PROBLEM,
                },
            }
        },
    },
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
