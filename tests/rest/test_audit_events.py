"""What other systems tell of (ITI-20), and how the journal is searched (ITI-81)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from pater.domain import Services
from pater.fhir.validation import validate
from pater.rest.audit_events import parts
from pater.store.database import Database
from pater.store.files import Files
from tests.conftest import Clock
from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    LOADER,
    World,
    observation,
    patient_caller,
    world,
)

TELLER = replace(HOSPITAL, scopes=("system/*.rs", "system/AuditEvent.c"))
RID = "https://ncez.mzcr.cz/fhir/sid/rid"


@pytest.fixture
async def api(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database, clock) as bare:
        services = Services(
            gate=bare.gate,
            db=database,
            base_url=BASE,
            strict_identifiers=True,
            next_person=bare.committer.next_person,
            clock=clock,
            random=Random(1),
            new_id=lambda: str(uuid4()),
            verify=bare.tokens.verify,
            files=Files(tmp_path),
        )
        async with world(database, clock, domains=[parts(services)]) as found:
            yield found


def event(
    patient: dict[str, Any] | None, clock: Clock, id: str = "", **elements: Any
) -> dict[str, Any]:
    """A physician of the hospital read a result in the hospital's own system."""
    who = {
        "identifier": {"system": "urn:hospital:staff", "value": "jn42"},
        "display": "MUDr. J. N.",
    }
    entity: list[dict[str, Any]] = [
        {
            "what": patient or {},
            "type": {
                "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                "code": "1",
            },
            "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"},
        }
    ]
    return {
        "resourceType": "AuditEvent",
        **({"id": id} if id else {}),
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
        },
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "action": "R",
        "recorded": (clock() - timedelta(minutes=3)).isoformat().replace("+00:00", "Z"),
        "outcome": "0",
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": "IRCP",
                        }
                    ]
                },
                "who": who,
                "name": "MUDr. J. N.",
                "requestor": True,
                "network": {"address": "10.1.2.3", "type": "2"},
                "purposeOfUse": [
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                                "code": "TREAT",
                            }
                        ]
                    }
                ],
            }
        ],
        "source": {"site": "ward 3", "observer": {"identifier": {"value": "his-7"}}},
        **({"entity": entity} if patient else {}),
        **elements,
    }


async def told(api: World, sent: dict[str, Any], status: int = 201) -> str:
    answer = await api.call("POST", "/AuditEvent", sent, TELLER)
    assert answer.status_code == status, answer.text
    return str(answer.headers["location"]).split("/")[-3]


async def found(api: World, query: str, caller: Any = LOADER) -> list[dict[str, Any]]:
    answer = await api.call("GET", f"/AuditEvent?{query}", caller=caller)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert not [issue for issue in validate(body) if issue.severity == "error"]
    return [entry["resource"] for entry in body.get("entry", ())]


async def test_a_patient_sees_what_a_provider_tells(api: World) -> None:
    patient = (await api.patient())["id"]
    me = patient_caller(await api.person_of(patient), patient)
    sent = event({"reference": f"Patient/{patient}"}, api.clock, "e-1")
    id = await told(api, sent)
    shown = (await api.call("GET", f"/AuditEvent/{id}", caller=me)).json()
    assert shown["meta"]["source"] == f"urn:pater:client:{TELLER.id}"
    assert shown["meta"]["tag"][0]["code"] == "received"
    for name in ("type", "subtype", "recorded", "agent", "source", "action"):
        assert shown[name] == sent[name]
    [row] = await api.journal(reason="received")
    assert (row["agent"], row["agent_name"], row["organization"], row["purpose"]) == (
        "jn42", "MUDr. J. N.", HOSPITAL.organization, "TREAT",
    )  # fmt: skip
    assert (row["interaction"], row["agent_kind"], row["source"]) == ("read", "person", "10.1.2.3")
    assert [one["id"] for one in await found(api, "agent-name=MUDr", me)] == [id]
    other = (await api.patient())["id"]
    stranger = patient_caller(await api.person_of(other), other)
    assert (await api.call("GET", f"/AuditEvent/{id}", caller=stranger)).status_code == 404


async def test_the_same_event_is_entered_once(api: World) -> None:
    patient = (await api.patient())["id"]
    sent = event({"reference": f"Patient/{patient}"}, api.clock, "e-1")
    id = await told(api, sent)
    assert await told(api, sent, 200) == id
    changed = await api.call("POST", "/AuditEvent", {**sent, "action": "U"}, TELLER)
    assert changed.status_code == 409
    assert len(await api.journal(reason="received")) == 1
    # another sender's id is another id, and what has none is always new
    other = replace(TELLER, id="hospital-a")
    assert (await api.call("POST", "/AuditEvent", sent, other)).status_code == 201
    nameless = event({"reference": f"Patient/{patient}"}, api.clock)
    await told(api, nameless)
    await told(api, nameless)
    assert len(await api.journal(reason="received")) == 4


async def test_who_may_not_tell_and_what_is_wrong(api: World) -> None:
    sent = event(None, api.clock)
    for caller in (CLINICIAN, HOSPITAL, LOADER, replace(TELLER, organization="")):
        assert (await api.call("POST", "/AuditEvent", sent, caller)).status_code == 403
    broken = await api.call("POST", "/AuditEvent", {**sent, "agent": []}, TELLER)
    assert broken.status_code == 422
    future = (api.clock() + timedelta(hours=1)).isoformat()
    ahead = await api.call("POST", "/AuditEvent", {**sent, "recorded": future}, TELLER)
    assert ahead.status_code == 422
    assert ahead.json()["issue"][0]["expression"] == ["AuditEvent.recorded"]
    for method, path in (("PUT", "/AuditEvent/x"), ("DELETE", "/AuditEvent/x")):
        body = {**sent, "id": "x"} if method == "PUT" else None
        assert (await api.call(method, path, body, TELLER)).status_code == 403
    transaction = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": sent, "request": {"method": "POST", "url": "AuditEvent"}}],
    }
    assert (await api.call("POST", "", transaction, TELLER)).status_code >= 400
    assert not await api.journal(reason="received")
    assert await api.db.fetchval("select count(*) from resource") == 0


async def test_a_batch_of_events(api: World) -> None:
    patient = (await api.patient())["id"]
    sent = [event({"reference": f"Patient/{patient}"}, api.clock, f"e-{n}") for n in range(3)]
    sent[1]["agent"] = []
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": one, "request": {"method": "POST", "url": "AuditEvent"}} for one in sent
        ],
    }
    answer = (await api.call("POST", "", batch, TELLER)).json()
    states = [entry["response"]["status"][:3] for entry in answer["entry"]]
    assert states == ["201", "422", "201"]
    assert len(await api.journal(reason="received")) == 2


async def test_who_is_not_known_waits_and_the_sender_learns_nothing(api: World) -> None:
    identifier = {"system": RID, "value": "2667873559"}
    unknown = event({"identifier": identifier, "type": "Patient"}, api.clock, "e-1")
    answer = await api.call("POST", "/AuditEvent", unknown, TELLER)
    assert answer.status_code == 201
    again = await api.call("POST", "/AuditEvent", unknown, TELLER)
    assert (again.status_code, again.headers["location"]) == (200, answer.headers["location"])
    known = await api.call("POST", "/AuditEvent", event(None, api.clock, "e-2"), TELLER)
    strip = ("x-request-id", "location", "date")
    assert {k: v for k, v in known.headers.items() if k not in strip} == {
        k: v for k, v in answer.headers.items() if k not in strip
    }
    assert known.content == answer.content
    assert await api.db.fetchval("select reason from journal_quarantine") == "unknown-patient"
    api.clock.move(hours=2)
    assert await api.gate.retry_events() == 0
    patient = (await api.patient(identifier=[identifier]))["id"]
    api.clock.move(hours=2)
    assert await api.gate.retry_events() == 1
    assert await api.db.fetchval("select count(*) from journal_quarantine") == 0
    [one] = await found(api, f"patient=Patient/{patient}&agent-name=MUDr")
    assert one["entity"][0]["what"]["identifier"] == identifier


async def test_of_several_patients_each_sees_what_is_theirs(api: World) -> None:
    patients = [(await api.patient())["id"] for _ in range(2)]
    both = event({"reference": f"Patient/{patients[0]}"}, api.clock, text=None)
    del both["text"]
    both["entity"].append(
        {**both["entity"][0], "what": {"reference": f"Patient/{patients[1]}", "display": "B"}}
    )
    both["entity"].append({"description": "a list of both", "what": {"display": "list"}})
    await told(api, both)
    for patient in patients:
        me = patient_caller(await api.person_of(patient), patient)
        [one] = await found(api, "agent-name=MUDr", me)
        assert [e["what"]["reference"] for e in one["entity"]] == [f"Patient/{patient}"]
        other = next(each for each in patients if each != patient)
        assert other not in json.dumps(one)


async def test_a_late_event_stands_where_it_came(api: World) -> None:
    patient = (await api.patient())["id"]
    old = (api.clock() - timedelta(days=90)).isoformat()
    await told(api, event({"reference": f"Patient/{patient}"}, api.clock, recorded=old))
    [one] = await found(api, f"patient=Patient/{patient}&agent-name=MUDr")
    assert one["period"]["start"] == old
    assert one["recorded"].startswith(f"{api.clock():%Y-%m-%dT%H:%M}")


async def test_all_parameters_of_the_retrieval(api: World) -> None:
    identifier = {"system": RID, "value": "2667873559"}
    patient = (await api.patient(identifier=[identifier]))["id"]
    made = await api.create(observation(patient))
    await api.call("GET", f"/Observation/{made['id']}", caller=HOSPITAL)
    id = await told(api, event({"reference": f"Patient/{patient}"}, api.clock))
    day = f"date={api.clock():%Y-%m-%d}"
    mine = {
        f"{day}&patient.identifier={RID}|2667873559": 3,  # the creates, the read and the told one
        f"{day}&patient:identifier={RID}|2667873559&action=R": 2,
        f"{day}&agent.identifier=urn:hospital:staff|jn42": 1,
        f"agent.identifier={HOSPITAL.id}&subtype=read": 1,
        f"{day}&agent:identifier=https://ncez.mzcr.cz/fhir/sid/ico|12345679&action=R": 1,
        f"{day}&address=10.1.2.3": 1,
        f"{day}&agent-name:contains=J. N.": 1,
        f"{day}&source.identifier=his-7": 1,
        f"{day}&source.identifier={BASE}&action=R": 1,
        f"{day}&site=ward 3": 1,
        f"{day}&entity=Observation/{made['id']}&action=R": 1,
        f"{day}&entity-role=1&action=R": 2,
        f"{day}&entity-type=1&action=R": 2,
        f"{day}&type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest&action=R": 2,
        f"{day}&subtype=http://hl7.org/fhir/restful-interaction|read": 2,
        f"{day}&subtype=vread": 0,
        f"{day}&outcome=0&action=R": 2,
        f"{day}&outcome=8": 0,
        f"{day}&policy=urn:pater:policy:treatment": 1,
        f"date=lt{api.clock():%Y-%m-%d}": 0,
        f"{day}&date=le{api.clock():%Y-%m-%d}&_id={id}": 1,
        f"{day}&address:missing=true&action=R": 0,
    }
    for query, count in mine.items():
        got = await found(api, query)
        if query.endswith(f"{RID}|2667873559"):
            assert len(got) >= count, query
        else:
            assert len(got) == count, (query, got)
    for refused in ("agent.name=x", "_content=x", "entity.name=x"):
        answer = await api.call("GET", f"/AuditEvent?{refused}")
        assert answer.status_code == 400, refused


async def test_a_page_is_bounded_and_the_next_goes_on(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pater.records.journal_search.RENDERED_LIMIT", 2)
    monkeypatch.setattr("pater.records.journal_search._RENDERED_STEP", 2)
    patient = (await api.patient())["id"]
    await told(api, event({"reference": f"Patient/{patient}"}, api.clock))
    for _ in range(5):
        await api.call("GET", f"/Patient/{patient}", caller=HOSPITAL)
    unbounded = await api.call("GET", "/AuditEvent?address=10.1.2.3")
    assert unbounded.status_code == 400
    assert unbounded.json()["issue"][0]["code"] == "too-costly"
    path = f"/AuditEvent?address=10.1.2.3&patient=Patient/{patient}"
    seen, pages = [], 0
    while path:
        body = (await api.call("GET", path)).json()
        seen += body.get("entry", ())
        links = {each["relation"]: each["url"] for each in body["link"]}
        path = links.get("next", "").removeprefix(BASE)
        pages += 1
        assert pages < 20
    assert len(seen) == 1
    assert pages > 1
