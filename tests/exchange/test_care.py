"""The demonstration under the policy that ships: who has a patient in care sees the record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from pater.access.tokens import Tokens
from pater.app import House, api_of, now, open_house
from pater.demo import Preparation, mark, system_caller
from pater.domains.exchange.demo import care, demo_region
from pater.fhir.labels import (
    CATEGORY_MASK,
    DOCUMENT_MASK,
    PROVIDER_MASK,
    category_bits,
    provider_bits,
)
from pater.settings import Settings
from pater.store.database import Database

RID = "https://ncez.mzcr.cz/fhir/sid/rid"


@dataclass
class Demonstration:
    """The demonstration of this process, asked over its API."""

    house: House
    http: httpx.AsyncClient

    async def ask(
        self, name: str, path: str, method: str = "GET", body: Any = None
    ) -> httpx.Response:
        """One request of a demonstration client, for treatment."""
        caller = await system_caller(self.house.db, name)
        tokens = Tokens(self.house.keys, self.house.settings.base_url, now)
        return await self.http.request(
            method, path, json=body, headers={"Authorization": f"Bearer {tokens.issue(caller)}",
                                              "Content-Type": "application/fhir+json"},
        )  # fmt: skip

    async def found(self, name: str, path: str) -> list[dict[str, Any]]:
        """The resources of a search."""
        answer = await self.ask(name, path)
        assert answer.status_code == 200, answer.text
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    async def patient(self, name: str, key: str) -> str:
        """The Patient of a person of the region, as a hospital finds it."""
        person = next(each for each in demo_region().patients if each.key == key)
        [patient] = await self.found(name, f"/Patient?identifier={RID}|{person.rid}")
        return str(patient["id"])


@pytest.fixture(scope="module")
async def demo(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Demonstration]:
    """The whole demonstration, prepared once."""
    settings = Settings(data=tmp_path_factory.mktemp("demo") / "data", demo=True)
    assert settings.policy == "cz"  # as it is delivered
    mark(settings)
    async with open_house(settings, module_database.dsn) as house:
        await Preparation(empty=False)(house)
        app = api_of(house)

        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "root_path": "/fhir"}, receive, send)

        transport = httpx.ASGITransport(app=mounted)
        base = f"{settings.base_url}/fhir"
        async with httpx.AsyncClient(transport=transport, base_url=base) as http:
            yield Demonstration(house, http)


async def test_a_hospital_with_the_patient_in_care_sees_what_the_other_one_wrote(
    demo: Demonstration,
) -> None:
    patient = await demo.patient("hospital-b", "patient")
    documents = f"/DocumentReference?patient={patient}"
    found = {each["id"] for each in await demo.found("hospital-b", documents)}
    assert found == {each["id"] for each in await demo.found("loader", documents)}
    assert len(found) > 2


async def test_a_hospital_states_by_an_encounter_that_the_patient_is_in_its_care(
    demo: Demonstration,
) -> None:
    patient = await demo.patient("hospital-b", care.ELSEWHERE)
    documents = f"/DocumentReference?patient={patient}"
    [known] = {each["id"] for each in await demo.found("hospital-a", documents + "&_count=1")}
    assert await demo.found("hospital-b", documents) == []
    assert (await demo.ask("hospital-b", f"/DocumentReference/{known}")).status_code == 404
    # of another hospital it cannot say so
    other = care.encounter(patient, "a")
    assert (await demo.ask("hospital-b", "/Encounter", "POST", other)).status_code == 422
    stay = care.encounter(patient, "b")
    stated = await demo.ask("hospital-b", "/Encounter", "POST", stay)
    assert stated.status_code == 201, stated.text
    assert len(await demo.found("hospital-b", documents)) >= 1
    assert (await demo.ask("hospital-b", f"/DocumentReference/{known}")).status_code == 200
    # and it ends thirty days after the stay has
    ended = {**stated.json(), "status": "finished", "period": {"start": "2026-01-01",
                                                              "end": "2026-01-02"}}  # fmt: skip
    answer = await demo.ask("hospital-b", f"/Encounter/{ended['id']}", "PUT", ended)
    assert answer.status_code == 200, answer.text
    assert await demo.found("hospital-b", documents) == []


async def test_what_a_patient_holds_back_is_not_there_for_the_hospital_that_is_meant(
    demo: Demonstration,
) -> None:
    patient = await demo.patient("hospital-b", care.RESERVED)
    documents = f"/DocumentReference?patient={patient}&_total=accurate"
    assert await demo.found("hospital-a", documents)
    answer = await demo.ask("hospital-b", documents)
    assert answer.json()["total"] == 0 and "entry" not in answer.json()
    assert await demo.found("hospital-b", f"/Consent?patient={patient}") == []


async def test_a_document_and_all_its_parts_have_one_label(demo: Demonstration) -> None:
    """Category, sender and document stand beside every resource that came with a document."""
    row = await demo.house.db.fetchrow(
        "select reference, entries, bundle from exchange_document order by received limit 1"
    )
    names = [f"DocumentReference/{row['reference']}", f"Bundle/{row['bundle']}", *row["entries"]]
    labels = await demo.house.db.fetch(
        "select distinct label from resource where id = any($1)",
        [name.partition("/")[2] for name in names],
    )
    [label] = [each["label"] for each in labels]
    assert label & CATEGORY_MASK == category_bits("discharge-report")
    senders = {provider_bits(hospital.ico) for hospital in demo_region().hospitals}
    assert label & PROVIDER_MASK in senders
    assert label & DOCUMENT_MASK
