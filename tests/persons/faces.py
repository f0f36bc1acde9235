"""Hospitals, a registrar and the systems of their numbers before a register's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.access.caller import Caller
from pater.domain import Parts, Services
from pater.domains.persons import domain as persons
from pater.domains.persons import maiden
from pater.domains.persons.authorities import ASSIGNER
from pater.fhir.validation import validate
from pater.registers.identifiers import BIRTH_NUMBER, ICO, RID, birth_number_for
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.database import Database
from pater.store.files import Files
from pater.store.workers import Workers
from tests.conftest import Clock
from tests.registers.registering import REGISTRAR, TELLING, Desk, desk, registers_of, somebody
from tests.rest.world import BASE, LOADER

Resource = dict[str, Any]

A = replace(TELLING, id="a", organization="27520536", organization_name="Hospital A")
B = replace(TELLING, id="b", organization="00064203", organization_name="Hospital B")
NUMBERS_A, NUMBERS_B = "https://a.example/mrn", "https://b.example/mrn"
OID_A = "1.3.6.1.4.1.99999.1"
NOW = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
QUESTION = "00000000-0000-4000-8000-00000000000a"
INSURED = "https://abroad.example/national-id"
NUMBER = birth_number_for(date(1985, 6, 15), "female", 1)


def naming(id: str, *unique: tuple[str, str], assigner: str = "", type: str = "") -> Resource:
    """A NamingSystem of persons' numbers."""
    made: Resource = {
        "resourceType": "NamingSystem", "id": id, "name": id.replace("-", ""),
        "status": "active", "kind": "identifier", "date": "2026-01-01",
        "uniqueId": [{"type": kind, "value": value} for kind, value in unique],
    }  # fmt: skip
    if assigner:
        number = {"system": ICO, "value": assigner}
        made["extension"] = [{"url": ASSIGNER, "valueIdentifier": number}]
    if type:
        coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": type}
        made["type"] = {"coding": [coding]}
    return made


@dataclass
class Faces:
    """The register as systems meet it."""

    desk: Desk
    workers: Workers
    kinds: list[str]
    begin: Callable[[asyncio.Event], Awaitable[None]]
    """What a house does once when it begins."""
    services: Services
    parts: Parts

    async def call(
        self, method: str, path: str, body: Any = None, by: Caller = A, **headers: str
    ) -> httpx.Response:
        """One request to the FHIR API."""
        return await self.desk.api.call(method, path, body, by, **headers)

    async def domain(self, resource: Resource) -> httpx.Response:
        """A system that the operator names."""
        return await self.call("PUT", f"/NamingSystem/{resource['id']}", resource, LOADER)

    async def feed(
        self, number: str, patient: Resource, by: Caller = A, system: str = ""
    ) -> httpx.Response:
        """A patient of a hospital under its number (ITI-104)."""
        system = system or (NUMBERS_A if by.organization == A.organization else NUMBERS_B)
        return await self.call("PUT", f"/Patient?identifier={system}|{number}", patient, by)

    async def ask(
        self, path: str, data: Any, by: Caller = A, *, purpose: str = "LECBA", status: int = 200
    ) -> Any:
        """The answer to a native question."""
        info = {"datum": "2026-05-01T08:00:00+02:00", "ucel": purpose, "zadostId": QUESTION}
        body = {"zadostInfo": info, "zadostData": data}
        headers = {**self.desk.api.headers(by), "content-type": "application/json"}
        url = f"http://api.test/krp/api/v2/pacient/{path}"
        answer = await self.desk.api.http.post(url, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            return answer.json()
        assert answer.json()["zadostId"] == QUESTION
        return answer.json()["odpovedData"]

    async def work(self) -> None:
        """Jobs are worked off until none waits or runs."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.workers.run(stop))
        waiting = (
            "select count(*) from job"
            " where state in ('waiting', 'running') and kind = any($1::text[])"
        )
        while await self.desk.api.db.fetchval(waiting, self.kinds):  # noqa: ASYNC110 the end is in the database
            await asyncio.sleep(0.01)
        stop.set()
        await running

    async def look(self, path: str, by: Caller = A, method: str = "GET") -> httpx.Response:
        """What lies at an address of a bulk identification."""
        url = f"http://api.test/krp/api/v2/pacient/hromadne/{path}"
        return await self.desk.api.http.request(method, url, headers=self.desk.api.headers(by))

    async def pix(self, source: str, *targets: str, by: Caller = A) -> tuple[int, Any]:
        """What $ihe-pix answers: (system, value) of the numbers and references of Patients."""
        query = "".join(f"&targetSystem={each}" for each in targets)
        answer = await self.call(
            "GET", f"/Patient/$ihe-pix?sourceIdentifier={source}{query}", by=by
        )
        body = answer.json()
        assert not [each for each in validate(body) if each.severity == "error"], body
        if answer.status_code != 200:
            [issue] = body["issue"]
            return answer.status_code, (issue["code"], issue["diagnostics"])
        found: list[Any] = []
        for each in body.get("parameter", ()):
            if each["name"] == "targetId":
                found.append(each["valueReference"]["reference"])
            else:
                number = each["valueIdentifier"]
                found.append((number["system"], number["value"]))
        return 200, found


@asynccontextmanager
async def register(database: Database, clock: Clock, folder: Path) -> AsyncIterator[Faces]:
    """An empty register that knows the numbers of both hospitals."""
    async with desk(database, clock) as at, AsyncExitStack() as stack:
        services = Services(
            gate=at.api.gate, db=database, base_url=BASE, strict_identifiers=True,
            next_person=at.api.committer.next_person, clock=clock, random=Random(1),
            new_id=lambda: str(uuid4()), verify=at.api.tokens.verify, files=Files(folder),
            registers=registers_of(at.api),
        )  # fmt: skip
        parts = persons.build(services)
        api = fhir_app(at.api.gate, at.api.tokens, [parts], RestConfig(BASE, clock()))
        app = Starlette(routes=[*parts.routes, Mount("/fhir", api)])
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app))
        )
        at.api.http = http
        workers = Workers(database, dict(parts.jobs), pause=0.02)
        made = Faces(at, workers, list(parts.jobs), maiden.task(services), services, parts)
        for each in (
            naming("hospital-a", ("uri", NUMBERS_A), ("oid", OID_A), assigner=A.organization),
            naming("hospital-b", ("uri", NUMBERS_B), assigner=B.organization),
            naming("abroad", ("uri", INSURED), type="NI"),
        ):
            assert (await made.domain(each)).status_code == 201
        yield made


__all__ = ["BIRTH_NUMBER", "REGISTRAR", "RID", "register", "somebody"]
