"""Requests that schemathesis makes of the OpenAPI description, to addresses that exist."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup

from tests.fuzz.odd import spoil
from tests.fuzz.recipes import RECIPES
from tests.fuzz.server import Target, fault_of

_METHODS = ("get", "post", "put", "patch", "delete")
_IDS = ("fuzz", "fuzz", "fuzz", "fuzz2", "none", "1")


@dataclass
class Described:
    """The operations of a description, some or all."""

    schema: Any
    operations: Sequence[Any]

    def send(self, target: Target, case: Any, who: int) -> str | None:
        """Sends a case; what is wrong with its answer by the description is kept, and given."""
        client = target.clients[who]
        headers = {
            k: v
            for k, v in case.as_transport_kwargs()["headers"].items()
            if k.lower() not in ("authorization", "user-agent", "accept")
        }
        case.headers = headers
        sent = case.as_transport_kwargs(base_url=f"{target.running.url}/fhir")
        made = {k: v for k, v in sent.items() if k in ("params", "json", "data", "headers")}
        content = made.pop("data", None)
        if "json" in made:
            content = json.dumps(made.pop("json")).encode()
        if isinstance(content, str):
            content = content.encode("utf-8", "replace")
        named = {
            k: str(v).encode("utf-8", "replace")
            for k, v in made.pop("headers").items()
            if k.lower() not in ("authorization", "user-agent", "accept")
        }
        try:
            request = client.build_request(
                sent["method"], sent["url"], params=made.get("params") or None,
                content=content if not isinstance(content, dict) else None,
                data=content if isinstance(content, dict) else None, headers=named,
            )  # fmt: skip
            answer = client.send(request)
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError, TypeError):
            return None  # cannot be sent at all
        except httpx.TransportError as error:
            wrong: str | None = f"no answer: {type(error).__name__}"
            target.faults.setdefault(f"{case.method} {case.path}: {wrong}", repr(sent))
            return wrong
        target.sent += 1
        target.statuses[answer.status_code] = target.statuses.get(answer.status_code, 0) + 1
        kind = answer.headers.get("content-type", "")
        wrong = fault_of(sent["method"], answer.status_code, kind, answer.content)
        if wrong is None:
            wrong = _judged(case, answer)
        if wrong:
            target.faults.setdefault(
                f"{case.method} {'/'.join(case.path.split('/')[2:])}: {wrong[:120]}",
                f"{request.method} {request.url}\n{named}\n{request.content[:2000]!r}\n"
                f"→ {answer.status_code} {kind} {answer.content[:500]!r}",
            )
        return wrong


def _judged(case: Any, answer: httpx.Response) -> str | None:
    try:
        case.validate_response(answer, checks=_checks())
    except (AssertionError, FailureGroup) as error:
        inner = getattr(error, "exceptions", [error])
        return "; ".join(
            f"{type(each).__name__}: {getattr(each, 'message', each)}" for each in inner
        )
    return None


def _checks() -> list[Any]:
    load_all_checks()
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    return [not_a_server_error, *(CHECKS.get_one(name) for name in names)]


def described(target: Target, *, some: bool = False) -> Described:
    """The description of the server; with `some` every kind of operation once, at several types."""
    whole = target.clients[0].get("/openapi.json").json()
    if some:
        whole["paths"] = _some(whole["paths"])
    logging.getLogger("schemathesis").setLevel(logging.ERROR)
    schema = schemathesis.openapi.from_dict(whole)
    found = [each.ok() for each in schema.get_all_operations()]
    return Described(schema, found)


def _some(paths: dict[str, Any]) -> dict[str, Any]:
    """Every shape of an address (the type put aside) of two types each, ours first."""
    kept: dict[str, list[str]] = {}
    ours = {recipe.path.split("/")[1] for recipe in RECIPES}
    for path in sorted(paths, key=lambda p: (p.split("/")[1] not in ours, p)):
        head, *rest = path.strip("/").split("/")
        shape = "/".join([head if head.startswith(("$", "_")) or not head else "T", *rest])
        if len(kept.setdefault(shape, [])) < 2:
            kept[shape].append(path)
    return {path: paths[path] for each in kept.values() for path in each}


@st.composite
def cases(draw: Any, schema: Described) -> Any:
    """A case of any operation, good or bad by the description, mostly at what exists."""
    operation = draw(st.sampled_from(schema.operations))
    mode = draw(st.sampled_from((GenerationMode.POSITIVE, GenerationMode.NEGATIVE)))
    try:
        case = draw(operation.as_strategy(generation_mode=mode))
    except Exception as error:
        if type(error).__module__.startswith("hypothesis"):
            raise
        case = draw(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    if draw(st.integers(0, 3)):
        for name, values in (("id", _IDS), ("version", ("1", "2", "0", "99999999999999999999"))):
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = draw(st.sampled_from(values))
    type_ = case.path.split("/")[1]
    good = [r.body for r in RECIPES if r.body and r.path.split("/")[1] == type_]
    if operation.body and good and draw(st.booleans()):
        case.body = spoil(draw, draw(st.sampled_from(good)))
        if case.media_type and "json" not in case.media_type:
            case.media_type = "application/fhir+json"
    return case
