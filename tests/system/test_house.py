"""The house without its domain stands; maintenance can be done at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pater.access.caller import KEY, Caller
from pater.access.tokens import Tokens
from pater.app import DOMAINS, House, build, now, open_house
from pater.domain import Domain
from pater.fhir.definitions import TYPE_NUMBER
from pater.maintenance import ENOUGH, maintain
from pater.records.changes import Change
from pater.settings import Settings
from pater.store.database import Database
from tests.system.documents import discharge, encoded

JSON = {"Content-Type": "application/fhir+json"}
LOADER = Caller(
    kind="system",
    id="loader",
    name="Loader",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/*.cruds",),
)
HOSPITAL = Caller(
    kind="system",
    id="h",
    name="H",
    role="provider-system",
    organization="27520536",
    organization_name="H",
    purpose="TREAT",
    strength=KEY,
    scopes=("system/*.cruds",),
)


@asynccontextmanager
async def house_of(
    database: Database,
    folder: Path,
    domains: tuple[Domain, ...],
    settings: Settings | None = None,
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    async with open_house(settings or Settings(data=folder), database.dsn, domains) as house:
        transport = httpx.ASGITransport(build(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield house, client


def bearer(house: House, caller: Caller) -> dict[str, str]:
    token = Tokens(house.keys, house.settings.base_url, now).issue(caller)
    return {"Authorization": f"Bearer {token}", **JSON}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_house_without_any_domain_serves_all_the_rest(
    database: Database, folder: Path
) -> None:
    async with house_of(database, folder, ()) as (house, client):
        assert (await client.get("/fhir/metadata")).status_code == 200
        front = await client.get("/")
        assert front.status_code == 200
        assert "/professional" not in front.text
        assert (await client.get("/professional")).status_code == 404
        body = encoded(discharge())
        sent = await client.post("/fhir/Bundle", content=body, headers=bearer(house, HOSPITAL))
        assert sent.status_code == 422
        made = await client.post(
            "/fhir/Patient", json={"resourceType": "Patient"}, headers=bearer(house, LOADER)
        )
        assert made.status_code == 201


async def test_with_the_domain_the_same_document_is_taken_in(
    database: Database, folder: Path
) -> None:
    async with house_of(database, folder, DOMAINS) as (house, client):
        body = encoded(discharge())
        sent = await client.post("/fhir/Bundle", content=body, headers=bearer(house, HOSPITAL))
        assert sent.status_code == 201
        assert "/professional" in (await client.get("/")).text


async def test_strict_mode_refuses_what_test_data_may_lack(
    database: Database, folder: Path
) -> None:
    async with house_of(database, folder, DOMAINS) as (house, client):
        body = encoded(discharge("7706128004"))
        sent = await client.post("/fhir/Bundle", content=body, headers=bearer(house, HOSPITAL))
        assert sent.status_code == 422
        assert sent.json()["issue"][0]["expression"] == [
            "Bundle.entry[1].resource.identifier[0].value"
        ]


DECLARED = {
    "resourceType": "StructureDefinition",
    "url": "http://example.org/StructureDefinition/born-somewhere",
    "version": "1.0.0",
    "name": "BornSomewhere",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Patient.address", "path": "Patient.address", "min": 1}]},
}


@pytest.mark.parametrize(("strict", "status"), [(True, 422), (False, 201)])
async def test_documents_are_held_to_the_profiles_that_are_stored_here(
    database: Database, folder: Path, strict: bool, status: int
) -> None:
    settings = Settings(data=folder, strict_identifiers=strict)
    place = "Bundle.entry[1].resource.address"
    async with house_of(database, folder, DOMAINS, settings) as (house, client):
        await house.gate.commit(LOADER, [Change("create", "StructureDefinition", None, DECLARED)])
        bundle = discharge()
        patient = bundle["entry"][1]["resource"]
        patient["meta"] = {"profile": [DECLARED["url"]]}
        bundle["entry"][2]["resource"]["meta"] = {"profile": ["http://example.org/unknown"]}
        sent = await client.post(
            "/fhir/Bundle", content=encoded(bundle), headers=bearer(house, HOSPITAL)
        )
        assert sent.status_code == status, sent.text
        found = {
            (i["severity"], i["expression"][0]) for i in sent.json()["issue"] if "expression" in i
        }
        assert ("error" if strict else "warning", place) in found
        patient["address"] = [{"city": "Brno"}]
        sent = await client.post(
            "/fhir/Bundle", content=encoded(bundle), headers=bearer(house, HOSPITAL)
        )
        assert sent.status_code == 201, sent.text
        found = {
            (i["severity"], i["expression"][0]) for i in sent.json()["issue"] if "expression" in i
        }
        assert ("warning", "Bundle.entry[2].resource.meta.profile") in found


async def test_maintenance_trains_a_dictionary_and_old_bodies_stay_readable(
    database: Database, folder: Path
) -> None:
    async with house_of(database, folder, ()) as (house, _):
        resources = [
            {"resourceType": "Organization", "name": f"Nemocnice {n}", "active": True}
            for n in range(ENOUGH)
        ]
        written = await house.gate.commit(
            LOADER, [Change("create", "Organization", None, r) for r in resources]
        )
        await maintain(house)
        await maintain(house)
        assert await database.fetchval("select count(*) from dictionary") == 1
        more = await house.gate.commit(
            LOADER, [Change("create", "Organization", None, resources[0])]
        )
        used = await database.fetchval(
            "select dict from resource where type = $1 and id = $2",
            TYPE_NUMBER["Organization"],
            more[0].id,
        )
        assert used > 0
        for one, name in ((written[0], "Nemocnice 0"), (more[0], "Nemocnice 0")):
            stored = await house.gate.read(LOADER, "Organization", one.id)
            assert name.encode() in stored.body
