"""POST /AuditEvent: other systems tell of accesses in their own records (IHE ITI-20)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import structlog

from pater.access.caller import Caller
from pater.domain import Answer, Parts, Services
from pater.fhir.issues import Issue, has_errors, operation_outcome
from pater.fhir.json import dumps
from pater.fhir.validation.base import validate_base
from pater.rest.errors import HttpError

_AGAIN: Final = 600.0  # seconds between tries of what waits in quarantine
_SAID: Final = {
    "documentation": "What other systems tell of (ITI-20) is entered under an id of ours and kept "
    "as it came; `meta.source` names who told it. The same event under the same `id` is entered "
    "once. Searches (ITI-81) go newest first; `agent.identifier`, `patient.identifier`, "
    "`entity.identifier` and `source.identifier` may be written as chains. A page looks through "
    "a bounded number of entries: it may be short and not the last."
}


def parts(services: Services) -> Parts:
    """The handler of creates, and the task that tries again what waits."""
    return Parts(
        creates={"AuditEvent": partial(_create, services)},
        described={"AuditEvent": _SAID},
        tasks=[partial(_retry, services)],
    )


async def _create(
    services: Services, caller: Caller, event: dict[str, Any], raw: bytes, prefer: str
) -> Answer:
    issues = validate_base(event)
    if not has_errors(issues) and services.conforming is not None:
        issues = [*issues, *await services.conforming(event)]
    if has_errors(issues):
        # who may not tell anything learns that first
        await services.gate.require(caller, "create", "AuditEvent")
        raise HttpError(422, "invalid", "the event is not valid", issues=issues)
    kept = await services.gate.receive_event(caller, event, raw)
    headers = {
        "Location": f"{services.base_url}/AuditEvent/{kept.entry}/_history/1",
        "ETag": 'W/"1"',
    }
    body = b""
    if prefer != "minimal":
        text = "the event is entered" if kept.new else "the event was told before"
        said = Issue("information", "informational", "", text)
        body = dumps(operation_outcome([*issues, said]))
    return Answer(201 if kept.new else 200, body, headers)


async def _retry(services: Services, stop: asyncio.Event) -> None:
    """Tries again now and then whose patients may be known by now."""
    log = structlog.get_logger("pater.audit")
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), _AGAIN)
        except TimeoutError:
            try:
                await services.gate.retry_events()
            except Exception as error:
                log.error("told events were not tried again", kind=type(error).__name__)
