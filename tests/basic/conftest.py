"""A register that is linked to simulated basic registers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from pater.access.deciding import Ages
from pater.domain import Services
from pater.domains.simulators import register_pages
from pater.domains.simulators.registers import PATH, Registers, filled
from pater.fhir.json import parse
from pater.registers.basic import waiting
from pater.registers.basic.calling import Calling
from pater.registers.basic.room import KIND, Basic
from pater.registers.registration import Registered
from pater.store.database import Database
from pater.store.feed import advance, read_feed
from pater.store.files import Files
from pater.store.read import read
from tests.conftest import Clock
from tests.registers.registering import Desk, desk, registers_of
from tests.rest.world import BASE as BASE_URL

BASE = "http://registers.test" + PATH
SECRET = b"s" * 32


@dataclass
class Linked:
    """A register, the basic registers it asks, and what does its work."""

    at: Desk
    state: Registers
    basic: Basic
    asked: list[httpx.Request]

    @property
    def db(self) -> Database:
        return self.at.api.db

    async def follow(self) -> None:
        """The listener reads what was written."""
        for event in await read_feed(self.db, KIND, 1000):
            await self.basic.handle(event)
            await advance(self.db, KIND, event)

    async def settle(self) -> int:
        """What was written is followed, and what waits is asked; how much was answered."""
        await self.follow()
        return await self.basic.drain()

    async def tell(self, name: str, number: str, **more: Any) -> Registered:
        """A hospital tells of somebody whom the state knows under this pseudonym."""
        known = self.state.persons[name]
        patient = {
            "resourceType": "Patient",
            "name": [{"family": known["family"], "given": known["given"].split()}],
            "birthDate": known["birthDate"],
            **more,
        }
        return await self.at.tell(patient, number)

    async def patient(self, one: Registered) -> dict[str, Any]:
        stored = await read(self.db, "Patient", one.patient)
        assert stored is not None
        return parse(stored.body)

    async def waits(self) -> int:
        return (await waiting.length(self.db))[0]


def services_of(linked: Linked) -> Services:
    """What rooms of the API are built from."""
    api = linked.at.api
    return Services(
        gate=api.gate,
        db=api.db,
        base_url=BASE_URL,
        strict_identifiers=True,
        next_person=api.committer.next_person,
        clock=api.clock,
        random=Random(1),
        new_id=lambda: str(uuid4()),
        verify=api.tokens.verify,
        files=Files(Path("unused")),
        journal=api.committer.journal_only,
        basic=linked.basic,
    )


@pytest.fixture
async def linked(database: Database, clock: Clock) -> AsyncIterator[Linked]:
    """All registers answer; a slow one answers too late."""
    asked: list[httpx.Request] = []
    async with desk(database, clock) as at:
        state = filled(clock)
        app = Starlette(routes=register_pages.routes(state, "token", 60.0))

        async def remember(request: httpx.Request) -> None:
            asked.append(request)

        transport = httpx.ASGITransport(app=app)
        hooks = {"request": [remember]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as http:
            calling = Calling(http, BASE, "token")
            basic = Basic(
                at.api.gate, database, registers_of(at.api), calling, SECRET, Ages(), clock
            )
            yield Linked(at, state, basic, asked)
