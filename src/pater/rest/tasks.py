"""Jobs that a client of a domain asks for: taken, looked at and ended by who asked, nobody else.

The job goes on in the name of its asker, whose rights it keeps; a token of less does not get what
was asked for with more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from pater.access.asker import may_fetch
from pater.access.caller import Caller
from pater.domain import Job, Services
from pater.rest.errors import HttpError
from pater.store import jobs
from pater.store.jobs import JobFailed, JobRow

__all__ = ["JobFailed", "JobRow", "Tasks", "asker"]


@dataclass(frozen=True, slots=True)
class Tasks:
    """The jobs of one kind: `most` unfinished ones of one client, results kept for `keep`."""

    services: Services
    kind: str
    most: int
    keep: timedelta

    async def few(self, caller: Caller) -> None:
        """Refuses (429) a client who has too many under way."""
        if await jobs.unfinished(self.services.db, self.kind, _owner(caller)) >= self.most:
            text = f"a client has at most {self.most} of these under way"
            raise HttpError(429, "throttled", text, headers=[(b"retry-after", b"60")])

    async def ask(self, caller: Caller, number: str, payload: Mapping[str, Any]) -> None:
        """Asks for a job under a number (a UUID)."""
        whole = {**payload, "caller": asdict(caller)}
        await jobs.enqueue(
            self.services.db, self.kind, whole,
            owner=_owner(caller), attempts=3, keep=self.keep, id=number,
        )  # fmt: skip

    async def own(self, caller: Caller, number: str) -> JobRow:
        """The caller's own job. Raises HttpError 404, also for somebody else's."""
        absent = HttpError(404, "not-found", "there is no such job, or not any more")
        try:
            UUID(number)
        except ValueError:
            raise absent from None
        row = await jobs.look(self.services.db, number)
        if row is None or row.kind != self.kind or row.owner != _owner(caller):
            raise absent
        if row.state == "cancelled" or not may_fetch(caller, _caller(row.payload)):
            raise absent
        return row

    async def end(self, row: JobRow) -> None:
        """Cancels a job, or forgets a finished one, files and all."""
        await jobs.cancel(self.services.db, row.id)
        await jobs.forget(self.services.db, row.id)
        await asyncio.to_thread(self.services.files.remove, row.id)


def asker(job: Job) -> Caller:
    """In whose name a job goes on."""
    return _caller(job.payload)


def _caller(payload: Mapping[str, Any]) -> Caller:
    given = payload["caller"]
    return Caller(**{**given, "scopes": tuple(given["scopes"])})


def _owner(caller: Caller) -> str:
    return f"{caller.kind}:{caller.id}"
