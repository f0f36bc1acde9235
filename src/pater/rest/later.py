"""Requests that are answered later (R5 3.2.6.2, R4 3.1.0.7): asked for, polled, fetched, cancelled.

`Prefer: respond-async` on a search, a history or an operation that reads, by GET or POST, makes a
job of it. Whoever asked, and nobody else, polls its address and finds a Bundle of type
batch-response there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

from pater.access.asker import may_fetch
from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.rest.errors import HttpError
from pater.rest.responses import Header, Reply, http_date
from pater.store import jobs
from pater.store.database import Database
from pater.store.files import Files
from pater.store.jobs import Job, JobFailed, JobRow

KIND: Final = "request"
PATH: Final = "async"
MOST_AT_ONCE: Final = 20
"""Requests of one caller that may wait or run."""
LATER: Final = frozenset({"everything", "lastn", "document", "diff", "expand"})
"""The operations that can be answered later."""
KEEP: Final = timedelta(hours=1)
_NAME: Final = "answer.json"
_PAUSE: Final = (b"retry-after", b"1")

_MOST_BODY: Final = 256 * 1024
_KEPT_HEADERS: Final = ("content-type", "prefer")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it waits: what its answer depends on."""

    method: str
    segments: Sequence[str]
    query: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        method: str, segments: Sequence[str], query: bytes, body: bytes, headers: Mapping[str, str]
    ) -> Asked | None:
        """The request when it can wait: not with a long body, nor with one that is no text."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return None
        if len(body) > _MOST_BODY or "\x00" in text:
            return None
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return Asked(method, list(segments), query.decode("ascii"), text, kept)


Perform = Callable[[Caller, Asked], Awaitable[bytes]]
"""(caller, request) -> the Bundle with the answer."""


def may_wait(method: str, segments: Sequence[str]) -> bool:
    """Whether the request is one that can be answered later: it reads, and may read much."""
    if method not in ("GET", "POST"):
        return False
    match segments:
        case [*_, name] if name[:1] == "$":
            return name[1:] in LATER
        case ["_search"] | [_, "_search"] | [_, _, _, "_search"]:
            return True
        case [""] | ["_history"] | [_, "_history"] | [_, _, "_history"]:
            return method == "GET"
        case [type_] | [_, _, type_]:
            return method == "GET" and type_ in TYPE_NUMBER
    return False


def wants_later(headers: Mapping[str, str]) -> bool:
    """Whether Prefer asks for an answer later (RFC 7240 4.1)."""
    parts = headers.get("prefer", "").replace(";", ",").split(",")
    return any(part.strip().lower() == "respond-async" for part in parts)


class Later:
    """The requests under way. `perform` is set by the API that answers them."""

    def __init__(self, db: Database, files: Files, base_url: str) -> None:
        self._db = db
        self._files = files
        self._base_url = base_url
        self.perform: Perform | None = None

    async def ask(self, caller: Caller, asked: Asked) -> Reply:
        """202 with the address to poll. Raises HttpError 429."""
        owner = _owner(caller)
        if await jobs.unfinished(self._db, KIND, owner) >= MOST_AT_ONCE:
            text = f"at most {MOST_AT_ONCE} requests are answered later at once"
            raise HttpError(429, "throttled", text, headers=[(b"retry-after", b"10")])
        payload = {"caller": asdict(caller), "asked": asdict(asked)}
        number = await jobs.enqueue(
            self._db, KIND, payload, owner=owner, attempts=3, keep=KEEP
        )  # fmt: skip
        address = f"{self._base_url}/{PATH}/{number}"
        return Reply(202, b"", [(b"content-location", address.encode("ascii"))])

    async def work(self, job: Job) -> Mapping[str, Any] | None:
        """The handler of the jobs."""
        if self.perform is None:
            raise JobFailed("this process does not answer requests")
        caller = _caller_of(job.payload["caller"])
        await job.checkpoint({}, note="in progress")
        body = await self.perform(caller, Asked(**job.payload["asked"]))
        await asyncio.to_thread(self._keep, job.id, body)
        return {"bytes": len(body)}

    def _keep(self, number: str, body: bytes) -> None:
        with self._files.append(number, _NAME, 0) as file:
            file.write(body)

    async def status(self, caller: Caller, number: str) -> Reply:
        """202 while it goes on, then 200 with the Bundle. Raises HttpError."""
        row = await self._own(caller, number)
        if row.unfinished:
            said = row.note or "waiting"
            return Reply(202, b"", [_PAUSE, (b"x-progress", said.encode("ascii", "replace"))])
        if row.state != "done":
            raise HttpError(500, "exception", "the request could not be answered: ask again")
        if self._files.size(row.id, _NAME) is None:
            raise _absent()
        blocks = await asyncio.to_thread(lambda: list(self._files.blocks(row.id, _NAME)))
        headers: list[Header] = []
        if row.expires is not None:
            headers.append((b"expires", http_date(row.expires)))
        return Reply(200, b"".join(blocks), headers)

    async def end(self, caller: Caller, number: str) -> Reply:
        """Cancels it, or throws its answer away: 202."""
        row = await self._own(caller, number)
        await jobs.cancel(self._db, row.id)
        await asyncio.to_thread(self._files.remove, row.id)
        if not row.unfinished:
            await jobs.forget(self._db, row.id)
        return Reply(202)

    async def _own(self, caller: Caller, number: str) -> JobRow:
        row = await jobs.look(self._db, number)
        if row is None or row.kind != KIND or row.owner != _owner(caller):
            raise _absent()
        if row.state == "cancelled" or not may_fetch(caller, _caller_of(row.payload["caller"])):
            raise _absent()  # also for a token of less than the request was made with
        return row


def _caller_of(data: Mapping[str, Any]) -> Caller:
    return Caller(**{**data, "scopes": tuple(data["scopes"])})


def _owner(caller: Caller) -> str:
    return f"{caller.kind}/{caller.id}/{caller.role}"


def _absent() -> HttpError:
    return HttpError(404, "not-found", "there is no such request, or not any more")
