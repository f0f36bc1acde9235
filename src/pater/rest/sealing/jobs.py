"""Large or patient requests to the seal service: taken at once, answered later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import orjson

from pater.access.asker import may_fetch
from pater.access.caller import Caller
from pater.domain import Job, Services
from pater.rest.errors import HttpError
from pater.rest.sealing.shapes import items_of
from pater.rest.sealing.work import Work
from pater.store import jobs
from pater.store.jobs import JobRow

KIND: Final = "seal"
MOST_AT_ONCE: Final = 5
KEEP: Final = timedelta(hours=1)
_ASKED: Final = "asked.json"
_ANSWER: Final = "answer.json"


def _owner(caller: Caller) -> str:
    return f"{caller.kind}:{caller.id}"


class Jobs:
    """The requests under way; their bodies and answers lie as files beside the database."""

    def __init__(self, services: Services, work: Work) -> None:
        self._db = services.db
        self._files = services.files
        self._work = work

    async def ask(self, caller: Caller, act: str, body: dict[str, Any]) -> str:
        """Takes a request; the number of its job. Raises HttpError 429."""
        owner = _owner(caller)
        if await jobs.unfinished(self._db, KIND, owner) >= MOST_AT_ONCE:
            text = f"a client has at most {MOST_AT_ONCE} requests under way"
            raise HttpError(429, "throttled", text, headers=[(b"retry-after", b"10")])
        number = str(uuid4())
        await asyncio.to_thread(self._keep, number, _ASKED, orjson.dumps(body))
        payload = {"caller": asdict(caller), "act": act}
        await jobs.enqueue(self._db, KIND, payload, owner=owner, attempts=3, keep=KEEP, id=number)
        return number

    async def work(self, job: Job) -> Mapping[str, Any] | None:
        """The handler."""
        act = job.payload["act"]
        body = await asyncio.to_thread(self._read, job.id, _ASKED)
        items, _ = items_of(act, orjson.loads(body))
        results: list[dict[str, Any]] = []
        for place, item in enumerate(items):
            await job.checkpoint({}, done=place, total=len(items), note=f"{place}/{len(items)}")
            results += await self._work.all(act, [item])
        answer = orjson.dumps({"results": results})
        await asyncio.to_thread(self._keep, job.id, _ANSWER, answer)
        return {"bytes": len(answer)}

    async def answer(self, caller: Caller, number: str) -> tuple[JobRow, bytes]:
        """How a job stands, and its answer when it is done. Raises HttpError 404."""
        row = await jobs.look(self._db, number)
        if row is None or row.kind != KIND or row.owner != _owner(caller):
            raise HttpError(404, "not-found", "there is no such request")
        asked = row.payload["caller"]
        if not may_fetch(caller, Caller(**{**asked, "scopes": tuple(asked["scopes"])})):
            raise HttpError(404, "not-found", "there is no such request")
        if row.state != "done":
            return row, b""
        return row, await asyncio.to_thread(self._read, row.id, _ANSWER)

    def _keep(self, number: str, name: str, data: bytes) -> None:
        with self._files.append(number, name, 0) as file:
            file.write(data)

    def _read(self, number: str, name: str) -> bytes:
        return b"".join(self._files.blocks(number, name))
