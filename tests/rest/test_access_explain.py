"""`$access-explain`: an auditor learns why, and nothing of the patient's health or wishes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.access import clients
from pater.access.caller import Caller
from pater.access.clients import Client
from pater.access.policy import shipped
from pater.domain import Services
from pater.records.standing_kept import StandingKept
from pater.rest import access_explain
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.database import Database
from pater.store.files import Files
from tests.access.test_smart import HOSPITAL as KEYS
from tests.access.test_standing import OURS, consent, encounter
from tests.conftest import Clock
from tests.rest.world import BASE, CLINICIAN, HOSPITAL, World, patient_caller, world

AUDITOR = Caller(
    kind="person", id="auditor", name="A", role="auditor", purpose="HCOMPL", strength=2,
    scopes=("user/*.rs",),
)  # fmt: skip
SYSTEM = Client(
    HOSPITAL.id, HOSPITAL.name, HOSPITAL.role, HOSPITAL.organization, "", KEYS.jwks,
    ("system/*.rs",), ("TREAT",),
)  # fmt: skip


@pytest.fixture
async def api(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[World]:
    """The API with the operation and with what is kept beside resources."""
    async with world(database, clock) as api:
        services = Services(
            gate=api.gate,
            db=database,
            base_url=BASE,
            strict_identifiers=True,
            next_person=api.committer.next_person,
            clock=clock,
            random=Random(1),
            new_id=lambda: str(uuid4()),
            verify=api.tokens.verify,
            files=Files(tmp_path / "files"),
            journal=api.committer.journal_only,
        )
        for type_, keeper in StandingKept(database, clock, BASE).keepers().items():
            api.gate.keep(type_, keeper)
        parts = access_explain.parts(services, shipped("cz"))
        app = fhir_app(api.gate, api.tokens, [parts], RestConfig(BASE, clock()))
        whole = Starlette(routes=[Mount("/fhir", app)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=whole)) as http:
            api.http = http
            yield api


async def test_an_auditor_is_told_why_without_resources_and_wishes(
    api: World, clock: Clock
) -> None:
    patient = (await api.patient())["id"]
    await clients.register(api.db, SYSTEM, clock)
    path = f"/Patient/{patient}/$access-explain?client={HOSPITAL.id}&purpose=TREAT"
    before = (await api.call("GET", path, caller=AUDITOR)).json()["parameter"]
    assert before[0] == {"name": "allowed", "valueBoolean": False}
    assert before[1] == {"name": "reason", "valueCode": "no-relation"}
    stay = await api.create(encounter(patient, OURS))
    will = await api.create(consent(patient, {"type": "deny"}))
    clock.move(seconds=1)
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "client", "valueString": HOSPITAL.id},
            {"name": "purpose", "valueCode": "TREAT"},
            {"name": "language", "valueCode": "cs"},
        ],
    }
    path = f"/Patient/{patient}/$access-explain"
    answer = await api.call("POST", path, asked, AUDITOR)
    assert answer.json()["parameter"][0] == {"name": "allowed", "valueBoolean": True}
    assert "Vztah encounter: Encounter, platí bez konce." in answer.text
    assert "zákon č. 372/2011 Sb." in answer.text
    assert stay["id"] not in answer.text
    assert will["id"] not in answer.text
    rows = await api.journal(reason="explained", patient=patient)
    assert [row["agent"] for row in rows] == ["auditor", "auditor"]


async def test_it_is_for_who_may_audit_and_says_what_is_wrong(api: World, clock: Clock) -> None:
    patient = (await api.patient())["id"]
    person = await api.person_of(patient)
    await clients.register(api.db, SYSTEM, clock)
    path = f"/Patient/{patient}/$access-explain"
    asked = f"{path}?client={HOSPITAL.id}"
    for caller in (HOSPITAL, CLINICIAN, patient_caller(person, patient)):
        assert (await api.call("GET", asked, caller=caller)).status_code == 403
    for query in ("", "?client=nobody", f"?client={HOSPITAL.id}&account=x",
                  f"?client={HOSPITAL.id}&action=look", f"?client={HOSPITAL.id}&type=Doctor",
                  f"?client={HOSPITAL.id}&unheard=1", "?account=%00", "?client=%00"):  # fmt: skip
        assert (await api.call("GET", path + query, caller=AUDITOR)).status_code == 400
    nobody = f"/Patient/{uuid4()}/$access-explain?client={HOSPITAL.id}"
    assert (await api.call("GET", nobody, caller=AUDITOR)).status_code == 404
