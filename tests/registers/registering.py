"""A register over a fresh database, with what tells it of persons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from pater.access.caller import Caller
from pater.app import DOMAINS, person_tables
from pater.domain import Services
from pater.domains.persons import domain as persons
from pater.fhir.json import parse
from pater.registers.bearers import Bearers
from pater.registers.matching import Model
from pater.registers.matching.index import PersonIndex
from pater.registers.merging import Merging
from pater.registers.patients import PatientRegister
from pater.registers.registration import Registered, Registration
from pater.registers.reviewing import Reviewing
from pater.registers.room import Registers
from pater.registers.surviving import Source
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.database import Database
from pater.store.files import Files
from pater.store.read import read
from tests.conftest import Clock
from tests.rest.world import BASE, HOSPITAL, World, world

Resource = dict[str, Any]
MRN = "https://hospital.example/mrn"
TELLING = replace(HOSPITAL, scopes=("system/*.rs", "system/Patient.cu"))
REGISTRAR = Caller(
    kind="person", id="registrar", name="R", role="registrar", purpose="HOPERAT", strength=2,
    scopes=("user/*.rs", "user/Patient.cu"),
)  # fmt: skip


def hospital(number: int) -> Caller:
    """The system of one of many hospitals."""
    ico = f"{number:08d}"
    return replace(TELLING, id=f"hospital-{number}", organization=ico)


def somebody(*identifiers: tuple[str, str], **more: Any) -> Resource:
    """A Patient as a hospital tells of one."""
    made: Resource = {
        "resourceType": "Patient",
        "name": [{"family": "Procházková", "given": ["Ludmila"]}],
        "gender": "female",
        "birthDate": "1985-06-15",
        "address": [{"line": ["Květná 17"], "city": "Olomouc", "postalCode": "77900"}],
        "telecom": [{"system": "phone", "value": "+420 603 111 222"}],
        **more,
    }
    if identifiers:
        made["identifier"] = [{"system": s, "value": v} for s, v in identifiers]
    return {key: value for key, value in made.items() if value is not None}


@dataclass
class Desk:
    """Where hospitals tell of persons."""

    api: World
    registration: Registration
    index: PersonIndex
    reviewing: Reviewing

    async def tell(self, patient: Resource, number: str, by: Caller = TELLING) -> Registered:
        source = Source(by.organization, MRN, number, title=by.organization_name)
        return await self.registration.register(by, patient, source)

    async def master(self, registered: Registered) -> Resource:
        stored = await read(self.api.db, "Patient", registered.patient)
        assert stored is not None
        return parse(stored.body)

    async def count(self) -> int:
        found = await self.api.db.fetchval("select count(*) from person")
        assert isinstance(found, int)
        return found


@asynccontextmanager
async def desk(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    """A desk of its own over a database."""
    async with world(database, clock) as api:
        registers = registers_of(api)
        yield Desk(api, registers.registration, registers.index, registers.reviewing)


def registers_of(api: World) -> Registers:
    """The registers of a world."""
    db, following, random = api.db, api.committer.next_person, Random(5)
    index = PersonIndex(db, Model.load())
    patients = PatientRegister(
        db, next_person=following, random=random, clock=api.clock,
        new_id=lambda: str(uuid4()), index=index,
    )  # fmt: skip
    registration = Registration(
        api.gate, db, index, next_person=following, random=random, clock=api.clock
    )
    merging = Merging(
        api.gate, db, person_tables(DOMAINS), base_url=BASE, random=random, next_person=following
    )
    reviewing = Reviewing(api.gate, db, merging, random=random, clock=api.clock)
    return Registers(patients, index, registration, merging, reviewing, Bearers(db, api.clock))


@asynccontextmanager
async def faces(database: Database, clock: Clock, folder: Path) -> AsyncIterator[Desk]:
    """A desk whose API has the operations on persons."""
    async with desk(database, clock) as at:
        services = Services(
            gate=at.api.gate,
            db=database,
            base_url=BASE,
            strict_identifiers=True,
            next_person=at.api.committer.next_person,
            clock=clock,
            random=Random(1),
            new_id=lambda: str(uuid4()),
            verify=at.api.tokens.verify,
            files=Files(folder),
            registers=registers_of(at.api),
        )
        app = fhir_app(
            at.api.gate, at.api.tokens, [persons.build(services)], RestConfig(BASE, clock())
        )

        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "root_path": "/fhir"}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=mounted)) as http:
            at.api.http = http
            yield at
