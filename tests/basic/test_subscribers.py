"""Who subscribed hears what the basic registers changed, and of the registers' own resources."""

from __future__ import annotations

from pathlib import Path

import httpx
from starlette.applications import Starlette

from pater.access.deciding import Ages
from pater.clock import now
from pater.domains.simulators import register_pages
from pater.domains.simulators.registers import filled
from pater.registers.basic.calling import Calling
from pater.registers.basic.room import Basic
from pater.registers.surviving import Source
from pater.store.database import Database
from tests.basic.conftest import BASE, SECRET
from tests.rest.subscription_world import LOADER, Receiver, classic, served, until


async def test_a_death_and_a_provider_reach_who_subscribed(
    database: Database, tmp_path: Path
) -> None:
    state = filled(now)
    app = Starlette(routes=register_pages.routes(state))
    async with (
        Receiver().listening() as receiver,
        served(database, tmp_path) as world,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http,
    ):
        house = world.house
        registers = house.services.registers
        assert registers is not None
        basic = Basic(
            house.gate, house.db, registers, Calling(http, BASE), SECRET, Ages(), now
        )  # fmt: skip
        name, known = next(iter(state.persons.items()))
        patient = {
            "resourceType": "Patient", "birthDate": known["birthDate"],
            "name": [{"family": known["family"], "given": known["given"].split()}],
        }  # fmt: skip
        told = await registers.registration.register(
            LOADER, patient, Source("27520536", "urn:x", "1")
        )
        await basic.identities.identify(told.person)
        for criteria in (f"Patient?_id={told.patient}", "Organization?active=true",
                         "Practitioner?active=true"):  # fmt: skip
            hook = classic(criteria, receiver.url(), payload="application/fhir+json")
            made = await world.create(hook)
            await world.becomes(made["id"], "active")
        before = now().date()
        state.die(name)
        days = {before.isoformat(), now().date().isoformat()}
        assert await basic.identities.follow() == 1 and await basic.drain() == 1
        for type_ in ("Organization", "Practitioner"):
            await world.create({"resourceType": type_, "active": True, "name": _name(type_)})
        await until(lambda: len(receiver.calls) == 3)
        by_type = {each.json["resourceType"]: each.json for each in receiver.calls}
        assert by_type["Patient"]["deceasedDateTime"] in days
        assert set(by_type) == {"Patient", "Organization", "Practitioner"}


def _name(type_: str) -> object:
    return "Nemocnice" if type_ == "Organization" else [{"family": "Malá"}]
