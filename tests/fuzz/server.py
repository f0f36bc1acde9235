"""A running server under odd requests: sends them, judges the answers, and watches its memory."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
from hypothesis import strategies as st

from tests.fuzz.odd import spoil, spoiled_bytes, spoiled_pairs, texts
from tests.fuzz.recipes import RECIPES, SETUP, Recipe
from tests.system.running import Running

FHIR_JSON = {"content-type": "application/fhir+json"}
_KINDS = ("application/fhir+json", "application/fhir+xml", "application/json", "application/zip",
          "application/fhir+ndjson", "text/html", "text/plain",
          "application/problem+json")  # fmt: skip
_HEADERS = ("accept", "prefer", "if-match", "if-none-match", "if-none-exist", "if-modified-since",
            "content-type", "x-request-id", "accept-encoding", "accept-language", "range", "origin",
            "x-http-method-override", "content-encoding")  # fmt: skip


def fault_of(method: str, status: int, kind: str, body: bytes) -> str | None:
    """What is wrong with an answer whatever was asked; None = nothing."""
    if status >= 500:
        return f"status {status}"
    kind = kind.split(";")[0].strip()
    if not body:
        return None if status < 400 or method == "HEAD" else f"{status} without a reason"
    if kind not in _KINDS:
        return f"content type {kind!r}"
    if kind == "application/fhir+xml":
        wrong = status >= 400 and b"<OperationOutcome" not in body[:200]
        return f"{status} without an OperationOutcome" if wrong else None
    if kind not in ("application/fhir+json", "application/json"):
        return None
    try:
        said = json.loads(body)
    except ValueError:
        return "no JSON"
    if status < 400:
        return None
    if "errors" in said:  # GraphQL
        return None
    if said.get("resourceType") == "Parameters":  # what a terminology server answers
        return None
    if said.get("resourceType") != "OperationOutcome" or not said.get("issue"):
        return f"{status} without an OperationOutcome"
    return None


def memory(pid: int, line: str = "VmRSS") -> int:
    """Bytes that a process holds now (VmRSS), or held at most (VmHWM)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 (no real file)
        for each in status:
            if each.startswith(line + ":"):
                return int(each.split()[1]) * 1024
    raise AssertionError(f"no {line}")


@dataclass
class Target:
    """A server with a client for each of some callers, and what was found wrong with it."""

    running: Running
    clients: Sequence[httpx.Client]
    faults: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        who: int = 0,
    ) -> str | None:
        """Sends one request; what is wrong with its answer is kept, and given back."""
        named = {k: v.encode("utf-8", "replace") for k, v in (headers or {}).items()}
        try:
            answer = self.clients[who].request(method, path, content=body, headers=named)
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
            return None  # cannot be sent at all
        except httpx.TransportError as error:
            wrong: str | None = f"no answer: {type(error).__name__}"
            said = b""
        else:
            self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
            kind = answer.headers.get("content-type", "")
            said = answer.content
            wrong = fault_of(method, answer.status_code, kind, said)
        self.sent += 1
        if wrong:
            place = f"{method} {path.split('?')[0][:40]}: {wrong} {self.where()}"
            self.faults.setdefault(
                place, f"{method} {path}\n{headers}\n{(body or b'')[:3000]!r}\n→ {said[:600]!r}"
            )
        return wrong

    def where(self) -> str:
        """The place in the program that the server logged last as failing."""
        found = re.findall(r'"where": "([^"]*)"', self.running.said())
        return found[-1] if found else ""

    def prepare(self) -> None:
        """The resources that the recipes speak of."""
        for each in SETUP:
            path = f"/{each['resourceType']}/{each['id']}"
            answer = self.clients[0].put(path, json=each, headers=FHIR_JSON)
            assert answer.status_code in (200, 201), answer.text


def path_of(recipe: Recipe, pairs: Sequence[tuple[str, str]]) -> str:
    """The address of a request with these parameters."""
    query = "&".join(f"{_safe(name)}={_safe(value)}" for name, value in pairs)
    return recipe.path + ("?" + query if query else "")


def _safe(text: str) -> str:
    return quote_plus(text.encode("utf-8", "replace"))


@st.composite
def requests(
    draw: Any, recipes: Sequence[Recipe] = RECIPES
) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Method, address, body and headers of a request that is no longer quite good."""
    recipe = draw(st.sampled_from(recipes))
    path = path_of(recipe, draw(spoiled_pairs(recipe.pairs)))
    headers = {**FHIR_JSON, **recipe.headers}
    body: bytes | None = None
    if recipe.raw:
        body = draw(spoiled_bytes((recipe.raw,)))
    elif recipe.body is not None:
        body = json.dumps(spoil(draw, recipe.body)).encode()
    how = draw(st.integers(0, 19))
    method = recipe.method
    if how == 0:
        method = draw(st.sampled_from(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")))
    elif how == 1:
        segments = path.split("/")
        at = draw(st.integers(1, len(segments) - 1))
        segments[at] = quote(draw(texts).encode("utf-8", "replace"), safe="$")
        path = "/".join(segments)
    elif how in (2, 3):
        headers[draw(st.sampled_from(_HEADERS))] = draw(
            texts | st.sampled_from(("application/fhir+xml", 'W/"1"', "respond-async", "gzip"))
        )
    elif how == 4 and body:
        body = draw(spoiled_bytes((body,)))
    if method in ("GET", "HEAD"):
        body = None
    return method, path, body, headers
