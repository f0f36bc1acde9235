"""An operation of a TestScript as the HTTP request that it means; nothing is sent here."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pater.fhir import xml
from pater.fhir.json import dumps
from pater.testscript.messages import Message, ScriptError, State

JSON = "application/fhir+json"
XML = "application/fhir+xml"
_FORMATS = {"json": JSON, "xml": XML, "none": ""}
_FORM = "application/x-www-form-urlencoded"
# What a URL may hold as it stands; everything else is encoded (`encodeRequestUrl`).
_SAFE = "/?&=:;,@!$'()*+%~-._|"

_METHODS = {
    "read": "GET", "vread": "GET", "search": "GET", "history": "GET", "capabilities": "GET",
    "create": "POST", "batch": "POST", "transaction": "POST", "update": "PUT",
    "updateCreate": "PUT", "patch": "PATCH", "delete": "DELETE", "deleteCondSingle": "DELETE",
    "deleteCondMultiple": "DELETE",
}  # fmt: skip
_AT_BASE = frozenset({"batch", "transaction"})
_BY_QUERY = frozenset({"create", "search", "deleteCondSingle", "deleteCondMultiple"})


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the server under test."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    resource: dict[str, Any] | None

    def message(self) -> Message:
        """As the later steps of the script see it."""
        return Message(
            self.resource, dict(self.headers), 0, self.method, self.url, self.body
        )  # fmt: skip


def request_of(operation: Mapping[str, Any], state: State, base: str) -> Request:
    """The request of an operation with all variables filled in. Raises ScriptError.

    `base` is the address of the FHIR API without a slash at the end (R4 TestScript, operation).
    """
    kind = str(operation.get("type", {}).get("code", ""))
    resource = None
    if "sourceId" in operation:
        resource = state.filled(state.resource(str(operation["sourceId"])))
    method = str(operation.get("method", "")).upper() or _METHODS.get(kind)
    if method is None:
        method = "POST" if resource is not None else "GET"
    url = _url(kind, operation, resource, state, base)
    if method == "PUT" and resource is not None and "id" not in resource:
        # a fixture that the script contains cannot carry the id that the server will give
        type_, _, id = url.partition("?")[0].removeprefix(f"{base}/").partition("/")
        if id and type_ == resource.get("resourceType") and "?" not in url:
            resource = {**resource, "id": id}
    headers = {"accept": _format(operation.get("accept"), JSON)}
    body = b""
    if method == "POST" and kind == "search" and resource is None:
        url, _, query = url.partition("?")
        url, body = url.rstrip("/") + "/_search", query.encode()
        headers["content-type"] = _FORM
    elif resource is not None and method in ("POST", "PUT", "PATCH"):
        wanted = _format(operation.get("contentType"), JSON)
        body, sent = _body(kind, resource, wanted)
        headers["content-type"] = sent
    for header in operation.get("requestHeader", ()):
        headers[str(header["field"]).lower()] = state.fill(str(header["value"]))
    if operation.get("encodeRequestUrl", True):
        url = quote(url, safe=_SAFE)
    return Request(method, url, {k: v for k, v in headers.items() if v}, body, resource)


def _format(code: Any, default: str) -> str:
    return default if code is None else _FORMATS.get(str(code), str(code))


def _body(kind: str, resource: dict[str, Any], wanted: str) -> tuple[bytes, str]:
    """The bytes of a resource. A Binary given for a PATCH is what its content type says."""
    if kind == "patch" and resource.get("resourceType") == "Binary":
        return b64decode(str(resource.get("data", ""))), str(resource.get("contentType", wanted))
    if "xml" in wanted:
        return xml.dumps(resource), wanted
    return dumps(resource), wanted


def _url(
    kind: str,
    operation: Mapping[str, Any],
    resource: dict[str, Any] | None,
    state: State,
    base: str,
) -> str:
    if "url" in operation:
        url = state.fill(str(operation["url"]))
        return url if url.startswith(("http://", "https://")) else f"{base}/{url.lstrip('/')}"
    params = state.fill(str(operation.get("params", "")))
    target = state.resource(str(operation["targetId"])) if "targetId" in operation else None
    type_ = str(operation.get("resource") or (target or resource or {}).get("resourceType", ""))
    if kind in _AT_BASE:
        return f"{base}/"
    if kind == "capabilities":
        return f"{base}/metadata{params}"
    if params.startswith("/"):  # all that follows the type is told
        return f"{base}/{type_}{params}" if type_ else base + params
    path = type_
    named = target
    if named is None and kind in ("update", "updateCreate") and not params:
        named = resource
    if named is not None:
        path = f"{type_}/{_id(named)}"
    if kind == "vread" and target is not None:
        path += f"/_history/{target.get('meta', {}).get('versionId', '')}"
    elif kind == "history":
        path = f"{path}/_history" if path else "_history"
    elif kind not in _METHODS:
        path = f"{path}/${kind}" if path else f"${kind}"
    if params and not params.startswith("?"):
        params = f"?{params}" if kind in _BY_QUERY or "=" in params else f"/{params}"
    return f"{base}/{path}{params}"


def _id(resource: Mapping[str, Any]) -> str:
    if not resource.get("id"):
        raise ScriptError("the resource that an operation names has no id")
    return str(resource["id"])
