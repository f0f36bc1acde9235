"""Whose a bulk job is: its owner, and the caller in whose name it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pater.access.asker import may_fetch
from pater.access.caller import Caller
from pater.domain import Services
from pater.rest.errors import HttpError
from pater.store import jobs
from pater.store.jobs import JobRow

EXPORT: Final = "export"
IMPORT: Final = "import"
MOST_AT_ONCE: Final = 5
"""Unfinished jobs of a kind that one client may have."""


def owner_of(caller: Caller) -> str:
    """Whose a job is."""
    return f"{caller.kind}:{caller.id}"


def caller_json(caller: Caller) -> dict[str, Any]:
    """A caller as plain data, for a job's payload."""
    return asdict(caller)


def caller_of(data: Mapping[str, Any]) -> Caller:
    """The caller of `caller_json`."""
    return Caller(**{**data, "scopes": tuple(data["scopes"])})


async def own(services: Services, caller: Caller, id: str) -> JobRow:
    """The caller's own job. Raises HttpError 404, also when it is somebody else's."""
    row = await jobs.look(services.db, id)
    known = row is not None and row.kind in (EXPORT, IMPORT) and row.state != "cancelled"
    if row is None or not known or row.owner != owner_of(caller):
        raise HttpError(404, "not-found", "there is no such job")
    # a token of less than the job was asked for with does not get its result
    if not may_fetch(caller, caller_of(row.payload["caller"])):
        raise HttpError(404, "not-found", "there is no such job")
    return row


async def few(services: Services, caller: Caller, kind: str) -> None:
    """Refuses (429) a client with too many unfinished jobs."""
    if await jobs.unfinished(services.db, kind, owner_of(caller)) >= MOST_AT_ONCE:
        text = f"a client has at most {MOST_AT_ONCE} jobs of this kind under way"
        raise HttpError(429, "throttled", text, headers=[(b"retry-after", b"60")])


async def end(services: Services, caller: Caller, id: str) -> None:
    """Cancels a job or forgets a finished one, files and all."""
    row = await own(services, caller, id)
    await jobs.cancel(services.db, row.id)
    await jobs.forget(services.db, row.id)
    services.files.remove(row.id)
