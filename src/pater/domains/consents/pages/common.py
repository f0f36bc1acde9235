"""What the pages of this domain do alike: refusals, downloads, the days that people type."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pater.access.caller import Caller
from pater.fhir.search.query import SearchError
from pater.records.errors import (
    AlreadyClaimed,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
)
from pater.records.gate import Change, Claim, Gate
from pater.web.context import Endpoint, PageContext


@asynccontextmanager
async def answers() -> AsyncIterator[None]:
    """Turns the gate's refusals into the statuses of pages."""
    try:
        yield
    except (NotFound, Gone) as error:
        raise HTTPException(404) from error
    except SearchError as error:
        raise HTTPException(400) from error
    except Forbidden as error:
        raise HTTPException(403) from error
    except (Conflict, PreconditionFailed) as error:
        raise HTTPException(409) from error


def for_patients(context: PageContext) -> Callable[[Endpoint], Endpoint]:
    """Lets in patients; one whose account is tied to no record yet is told so."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            caller = context.caller_of(request)
            if not caller.person or not caller.patient:
                return context.render(request, "consents/untied.html")
            return await endpoint(request)

        return context.require("patient")(guarded)

    return decorate


def own_record(context: PageContext, request: Request) -> tuple[Caller, int, str]:
    """The patient who asks, with person and Patient id."""
    caller = context.caller_of(request)
    if not caller.person or not caller.patient:
        raise HTTPException(403)
    return caller, caller.person, caller.patient


def form_key(form: Mapping[str, str]) -> str:
    """The key of a form, by which the same form sent twice does one thing; 400 without one."""
    try:
        return str(UUID(form.get("key", "")))
    except ValueError as error:
        raise HTTPException(400) from error


async def commit_once(gate: Gate, caller: Caller, changes: Sequence[Change], once: Claim) -> None:
    """Writes what a form asks for; the same form once more writes nothing."""
    try:
        async with answers():
            await gate.commit(caller, changes, claims=[once])
    except HTTPException as error:
        if not isinstance(error.__cause__, AlreadyClaimed):
            raise


def day_of(text: str) -> date | None:
    """A day as browsers send it; None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def pdf_file(content: bytes, name: str) -> Response:
    """A PDF to be saved: somebody's own file is never opened inside our pages."""
    safe = quote(name.replace("/", "-")[:120])
    return Response(
        content,
        media_type="application/pdf",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{safe}"},
    )


def name_of(resource: Mapping[str, Any]) -> str:
    """The name of an Organization, a Practitioner or a Patient in the order of speaking."""
    name = resource.get("name")
    if isinstance(name, str):
        return name
    first: Mapping[str, Any] = next(iter(name or ()), {})
    if first.get("text"):
        return str(first["text"])
    parts = [*first.get("prefix", ()), *first.get("given", ()), first.get("family", "")]
    spoken = " ".join(str(part) for part in parts if part)
    return ", ".join([spoken, *(str(suffix) for suffix in first.get("suffix", ()))])
