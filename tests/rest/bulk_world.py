"""The API with bulk data: routes, operations and workers, as the program puts them together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.access.caller import Caller
from pater.access.tokens import Tokens
from pater.domain import Services
from pater.records.gate import Gate
from pater.registers.keeping import keep_person
from pater.rest import bulk
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.database import Database
from pater.store.files import Files
from pater.store.workers import Workers
from pater.store.write import Committer
from pater.trust.keys import Keys
from tests.conftest import Clock
from tests.rest.world import BASE, LOADER, World
from tests.waiting import PATIENCE

Json = dict[str, Any]


class BulkWorld(World):
    """A world that exports and imports."""

    files: Files
    services: Services

    async def export(
        self, path: str = "/$export", body: Any = None, caller: Caller = LOADER, **headers: str
    ) -> Json:
        """Kicks off, waits, and gives the manifest."""
        begun = await self.call("POST" if body else "GET", path, body, caller, **headers)
        assert begun.status_code == 202, begun.text
        answer = await self.finished(begun.headers["content-location"], caller)
        assert answer.status_code == 200, answer.text
        manifest: Json = answer.json()
        return manifest

    async def finished(self, url: str, caller: Caller = LOADER) -> httpx.Response:
        """The last answer of a status address."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.http.get(url, headers=self.headers(caller))
                if answer.status_code != 202:
                    return answer
                assert answer.headers["retry-after"] and answer.headers["x-progress"]
                await asyncio.sleep(0.02)

    async def lines(
        self, manifest: Json, caller: Caller = LOADER, key: str = "output"
    ) -> list[Json]:
        """Every resource of the manifest's files; their counts are right."""
        found = []
        for each in manifest[key]:
            answer = await self.http.get(each["url"], headers=self.headers(caller))
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].startswith("application/fhir+ndjson")
            rows = [json.loads(line) for line in answer.text.splitlines()]
            assert len(rows) == each["count"] > 0
            assert {row["resourceType"] for row in rows} == {each["type"]}
            found += rows
        return found


@asynccontextmanager
async def bulk_world(
    db: Database, clock: Clock, folder: Path, *, working: bool = True, **more: Any
) -> AsyncIterator[BulkWorld]:
    """The API over a migrated database, with a worker unless told otherwise."""
    keys = Keys.generate()
    tokens = Tokens(keys, BASE.removesuffix("/fhir"), clock)
    committer = Committer(db, clock)
    await committer.start()
    gate = Gate(db, committer, clock, keys.cursor_key, lambda: str(uuid4()), base_url=BASE)
    gate.keep("Patient", keep_person)
    services = Services(
        gate=gate,
        db=db,
        base_url=BASE,
        strict_identifiers=True,
        next_person=committer.next_person,
        clock=clock,
        random=Random(1),
        new_id=lambda: str(uuid4()),
        verify=tokens.verify,
        files=Files(folder),
        **more,
    )
    parts = bulk.parts(services)
    fhir = fhir_app(gate, tokens, [parts], RestConfig(BASE, clock(), max_body=100_000))
    app = Starlette(routes=[*parts.routes, Mount("/fhir", fhir)])
    stop = asyncio.Event()
    workers = Workers(db, parts.jobs if working else {}, pause=0.02, backoff=0.05)
    running = asyncio.create_task(workers.run(stop))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport) as http:
        made = BulkWorld(db, committer, gate, tokens, app, fhir, http, clock)
        made.files, made.services = services.files, services
        try:
            yield made
        finally:
            stop.set()
            await asyncio.wait_for(running, PATIENCE)
    await committer.stop()
