"""Scopes with search arguments where data leave by other ways: exports, documents, hooks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pater.records.errors import Forbidden
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.bulk_world import bulk_world
from tests.rest.subscription_world import HOSPITAL_B, Receiver, classic, served, until
from tests.rest.test_bulk_import import brought, ndjson
from tests.rest.test_scopes import CATEGORY, LAB, measured, put
from tests.rest.world import LOADER, World, observation

NARROW = (f"system/Observation.rs?{LAB}", "system/Patient.rs", "system/Composition.rs",
          "system/Bundle.rs")  # fmt: skip


def observed(patient: str, category: str) -> dict[str, Any]:
    return observation(patient, category=[{"coding": [{"system": CATEGORY, "code": category}]}])


async def test_an_export_holds_only_what_the_scopes_show(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    reader = replace(LOADER, id="reader", scopes=NARROW)
    async with bulk_world(database, clock, tmp_path) as api:
        patient = (await api.patient())["id"]
        for category in ("laboratory", "vital-signs", "vital-signs"):
            await api.create(observed(patient, category))
        start = "2000-01-01T00:00:00Z"
        for path in ("/$export", f"/$export?_since={start}", "/Patient/$export"):
            rows = await api.lines(await api.export(path, caller=reader), reader)
            kinds = [row["resourceType"] for row in rows]
            assert sorted(kinds) == ["Observation", "Patient"], path
            assert all("vital-signs" not in str(row) for row in rows)
        every = await api.export("/$export")
        assert len(await api.lines(every)) == 4
        # of the same client, but with a token of less
        less = replace(LOADER, scopes=NARROW)
        for each in every["output"]:
            answer = await api.http.get(each["url"], headers=api.headers(less))
            assert answer.status_code == 404


async def test_a_document_is_made_of_what_the_scopes_show(api: World) -> None:
    await put(api, {"resourceType": "Patient", "id": "d1"})
    await put(api, {"resourceType": "Practitioner", "id": "d2"})
    await put(api, measured("d-lab", "d1", "laboratory", 1))
    await put(api, measured("d-vital", "d1", "vital-signs", 1))
    composition = {
        "resourceType": "Composition",
        "id": "d-doc",
        "status": "final",
        "type": {"text": "report"},
        "subject": {"reference": "Patient/d1"},
        "date": "2026-01-01",
        "author": [{"reference": "Practitioner/d2"}],
        "title": "Report",
        "section": [{"entry": [{"reference": f"Observation/{id}"} for id in ("d-lab", "d-vital")]}],
    }
    await put(api, composition)
    reader = replace(LOADER, id="reader", scopes=(*NARROW, "system/Practitioner.rs"))
    for caller, held in ((reader, {"d-lab"}), (LOADER, {"d-lab", "d-vital"})):
        answer = await api.call("GET", "/Composition/d-doc/$document", caller=caller)
        assert answer.status_code == 200, answer.text
        parts = [entry["resource"] for entry in answer.json()["entry"]]
        ids = {part["id"] for part in parts if part["resourceType"] == "Observation"}
        assert ids == held


async def test_a_subscriber_is_told_only_of_what_the_scopes_show(
    database: Database, tmp_path: Path
) -> None:
    narrow = replace(
        HOSPITAL_B,
        id="laboratory",
        scopes=(f"system/Observation.rs?{LAB}", "system/Patient.rs", "system/Subscription.cruds"),
    )
    async with (
        Receiver().listening() as receiver,
        served(database, tmp_path, callers=(LOADER, narrow)) as world,
    ):
        patient = await world.patient()
        criteria = f"Observation?status=final&patient=Patient/{patient}"
        await world.create(
            classic(criteria, receiver.url(), payload="application/fhir+json"), narrow
        )
        await world.create(observed(patient, "vital-signs"))
        seen = await world.create(observed(patient, "laboratory"))
        await world.create(observed(patient, "vital-signs"))
        last = await world.create(observed(patient, "laboratory"))
        await until(lambda: len(receiver.calls) >= 2)
        assert [call.json["id"] for call in receiver.calls] == [seen["id"], last["id"]]
        assert not any(b"vital-signs" in call.body for call in receiver.calls)
        # what is left out takes no number either
        assert [call.key.rpartition("/")[2] for call in receiver.calls] == ["1", "2"]


async def test_what_needs_every_resource_of_a_type_is_refused(api: World) -> None:
    narrow = replace(LOADER, id="reader", scopes=("system/ValueSet.rs?status=active",))
    with pytest.raises(Forbidden):
        await api.gate.require(narrow, "read", "ValueSet", whole=True)
    await api.gate.require(narrow, "read", "ValueSet")
    await api.gate.require(LOADER, "read", "ValueSet", whole=True)
    assert await api.journal(agent="reader", reason="no-scope", entity_type="ValueSet")


async def test_an_import_writes_only_what_the_scopes_allow(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    writer = replace(
        LOADER,
        id="writer",
        scopes=(f"system/Observation.cruds?{LAB}", "system/Patient.cruds",
                "system/Organization.cruds"),
    )  # fmt: skip
    async with bulk_world(database, clock, tmp_path) as api:
        await api.call("PUT", "/Patient/i1", {"resourceType": "Patient", "id": "i1"})
        kept = measured("i-vital", "i1", "vital-signs", 1)
        await api.call("PUT", "/Observation/i-vital", kept)
        lines = [
            measured("i-lab", "i1", "laboratory", 2),
            measured("i-new", "i1", "vital-signs", 3),
            measured("i-vital", "i1", "laboratory", 4),
            {"resourceType": "Condition", "id": "i-none", "subject": {"reference": "Patient/i1"}},
        ]
        manifest, report = await brought(api, ndjson(*lines), caller=writer)
        assert {each["type"]: each["created"] for each in manifest["output"]} == {"Observation": 1}
        assert len(report) == 3
        for id, status in (("i-lab", 200), ("i-new", 404), ("i-vital", 200)):
            assert (await api.call("GET", f"/Observation/{id}")).status_code == status
        same = (await api.call("GET", "/Observation/i-vital")).json()
        assert same["meta"]["versionId"] == "1"
