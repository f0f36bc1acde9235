"""How callers stand to persons: relations of care with their ends, wills, emergencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from pater.access.caller import Caller
from pater.access.facts import Facts
from pater.access.relations import authored
from pater.access.standing import DatabaseStanding
from pater.fhir.labels import DOCUMENT_MASK, label
from pater.records.standing_kept import StandingKept
from pater.store.database import Database
from pater.store.wall import wall
from pater.store.write import Put, WriteSet
from tests.conftest import Clock
from tests.rest.world import BASE, CLINICIAN, HOSPITAL, World, patient_caller, world

ICO = "https://ncez.mzcr.cz/fhir/sid/ico"
KRZP = "https://ncez.mzcr.cz/fhir/sid/krzp"
OURS = {"identifier": {"system": ICO, "value": "12345679"}}
OTHERS = {"identifier": {"system": ICO, "value": "00000019"}}
STATING = replace(HOSPITAL, scopes=("system/*.rs", "system/Encounter.cu"))
RECIPIENT = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
            "code": "IRCP",
        }
    ]
}


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    """The API with what is kept beside resources."""
    async with world(database, clock) as api:
        for type_, keeper in StandingKept(database, clock, BASE).keepers().items():
            api.gate.keep(type_, keeper)
        yield api


def consent(patient: str, provision: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """A declaration of a patient."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-10T08:00:00Z",
        "policyRule": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}
            ]
        },
        "provision": provision,
        **elements,
    }


def encounter(patient: str, provider: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """A stay in a hospital."""
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
        },
        "subject": {"reference": f"Patient/{patient}"},
        "serviceProvider": provider,
        **elements,
    }


class Asking:
    """One process that asks about one person."""

    def __init__(self, api: World, person: int, **territories: set[str]) -> None:
        named = {key.lstrip("_"): value for key, value in territories.items()}
        self.standing = DatabaseStanding(api.db, api.clock, named)
        self.person = person

    async def facts(self, caller: Caller = HOSPITAL) -> Facts:
        return (await self.standing.of(caller, [self.person]))[self.person]

    async def relations(self, caller: Caller = HOSPITAL) -> set[str]:
        return set((await self.facts(caller)).relations)

    async def sees(self, *categories: str, caller: Caller = HOSPITAL) -> list[bool]:
        veil = (await self.facts(caller)).veil
        return [veil is None or not veil.holds_back(label(each)) for each in categories]


@pytest.fixture
async def who(api: World) -> tuple[str, Asking, Asking]:
    """A patient, and two processes that ask about them."""
    patient = (await api.patient())["id"]
    person = await api.person_of(patient)
    return patient, Asking(api, person), Asking(api, person)


async def test_an_encounter_is_a_relation_until_thirty_days_after_its_end(
    api: World, who: tuple[str, Asking, Asking], clock: Clock
) -> None:
    patient, asking, _ = who
    assert await asking.relations() == set()
    made = await api.create(encounter(patient, OURS))
    assert await asking.relations() == {"encounter"}
    assert await asking.relations(replace(HOSPITAL, organization="00000019")) == set()
    assert await asking.relations(replace(HOSPITAL, organization="")) == set()
    end = clock() - timedelta(days=29)
    finished = {**made, "status": "finished", "period": {"end": end.isoformat()}}
    assert (await api.call("PUT", f"/Encounter/{made['id']}", finished)).status_code == 200
    assert await asking.relations() == {"encounter"}
    clock.move(days=1, seconds=1)
    assert await asking.relations() == set()


async def test_what_is_entered_in_error_or_deleted_is_no_relation(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, asking, _ = who
    made = await api.create(encounter(patient, OURS))
    other = await api.create(encounter(patient, OTHERS))
    wrong = {**made, "status": "entered-in-error"}
    await api.call("PUT", f"/Encounter/{made['id']}", wrong)
    assert await asking.relations() == set()
    await api.call("PUT", f"/Encounter/{made['id']}", made)
    assert await asking.relations() == {"encounter"}
    await api.call("DELETE", f"/Encounter/{made['id']}")
    assert await asking.relations() == set()
    assert await api.db.fetchval("select count(*) from care_relation") == 1
    # an encounter of the other hospital that turns out to be another patient's care
    assert other["serviceProvider"] == OTHERS


async def test_each_kind_of_resource_says_its_relation_and_its_end(
    api: World, who: tuple[str, Asking, Asking], clock: Clock
) -> None:
    patient, asking, _ = who
    subject = {"reference": f"Patient/{patient}"}
    organization = await api.create(
        {"resourceType": "Organization", "name": "B", "identifier": [OURS["identifier"]]}
    )
    ours = {"reference": f"Organization/{organization['id']}"}
    doctor = await api.create(
        {"resourceType": "Practitioner", "identifier": [{"system": KRZP, "value": "100000001"}]}
    )
    role = await api.create(
        {
            "resourceType": "PractitionerRole",
            "organization": ours,
            "practitioner": {"reference": f"Practitioner/{doctor['id']}"},
        }
    )
    by_number = {"identifier": {"system": KRZP, "value": "100000001"}}
    today = clock().date().isoformat()
    await api.create(
        {"resourceType": "EpisodeOfCare", "status": "active", "patient": subject,
         "managingOrganization": OURS}
    )  # fmt: skip
    await api.create(
        {"resourceType": "ServiceRequest", "status": "active", "intent": "order",
         "subject": subject, "authoredOn": today, "performer": [ours]}
    )  # fmt: skip
    await api.create(
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order",
         "subject": subject, "authoredOn": today, "medicationCodeableConcept": {"text": "x"},
         "dispenseRequest": {"performer": OURS}}
    )  # fmt: skip
    await api.create(
        {"resourceType": "CareTeam", "status": "active", "subject": subject,
         "participant": [{"member": {"reference": f"PractitionerRole/{role['id']}"}}]}
    )  # fmt: skip
    change = {
        "resourceType": "Patient", "id": patient, "birthDate": "1980-02-01",
        "name": [{"family": "Nováková", "given": ["Eva"]}],
        "generalPractitioner": [by_number],
    }  # fmt: skip
    assert (await api.call("PUT", f"/Patient/{patient}", change)).status_code == 200
    assert await asking.relations() == {"encounter", "referral", "prescription"}
    person = replace(CLINICIAN, organization="", practitioner=doctor["id"])
    assert await asking.relations(person) == {"care-team", "registered"}
    assert await asking.relations(replace(person, practitioner="somebody")) == set()
    # a number that is taken from the Practitioner counts no more, from the next question on
    nameless = {key: value for key, value in doctor.items() if key != "identifier"}
    answer = await api.call("PUT", f"/Practitioner/{doctor['id']}", nameless)
    assert answer.status_code == 200
    assert await asking.relations(person) == {"care-team"}
    clock.move(days=15)
    assert await asking.relations() == {"encounter", "referral"}
    clock.move(days=80)
    assert await asking.relations() == {"encounter"}


async def test_a_provider_states_its_own_care_and_no_other(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, asking, _ = who
    for provider in (OTHERS, {"display": "somebody"}):
        refused = await api.call("POST", "/Encounter", encounter(patient, provider), STATING)
        assert refused.status_code == 422
        assert "Encounter.serviceProvider" in refused.text
    made = await api.create(encounter(patient, OURS), STATING)
    assert await asking.relations() == {"encounter"}
    taken = {**made, "serviceProvider": OTHERS}
    path = f"/Encounter/{made['id']}"
    assert (await api.call("PUT", path, taken, STATING)).status_code == 422
    theirs = await api.create(encounter(patient, OTHERS))
    grab = {**theirs, "serviceProvider": OURS}
    answer = await api.call("PUT", f"/Encounter/{theirs['id']}", grab, STATING)
    assert answer.status_code == 422


async def test_a_will_holds_from_the_next_request_in_every_process(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, one, other = who
    assert (await one.facts()).veil is None
    made = await api.create(consent(patient, {"type": "deny"}))
    for asking in (one, other):
        assert await asking.sees("laboratory-report", "other", "identification") == [
            False, False, True,
        ]  # fmt: skip
    narrower = {
        "type": "deny",
        "class": [{"system": "urn:pater:record-category", "code": "laboratory-report"}],
    }
    await api.call("PUT", f"/Consent/{made['id']}", {**made, "provision": narrower})
    for asking in (other, one):
        assert await asking.sees("laboratory-report", "other") == [False, True]
    await api.call("PUT", f"/Consent/{made['id']}", {**made, "status": "inactive"})
    assert await one.sees("laboratory-report", "other") == [True, True]
    assert (await one.facts()).veil is not None  # the declaration itself is nobody else's to see
    await api.call("DELETE", f"/Consent/{made['id']}")
    assert await one.sees("laboratory-report") == [True]


async def test_a_document_is_held_back_by_its_chain_and_only_ones_own(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, asking, _ = who
    mine, alien = str(uuid4()), str(uuid4())
    labels = {mine: label("discharge-report", 0, "12345679", "chain"), alien: label(document="x")}
    for id_, person in ((mine, asking.person), (alien, asking.person + 1000)):
        resource = {"resourceType": "DocumentReference", "status": "current"}
        put = Put("DocumentReference", id_, person, resource, label=labels[id_])
        await api.committer.commit(WriteSet(puts=[put]))

    def about(id_: str) -> dict[str, Any]:
        reference = {"reference": f"DocumentReference/{id_}"}
        return {"type": "deny", "data": [{"meaning": "instance", "reference": reference}]}

    for other in (alien, str(uuid4())):
        refused = await api.call("POST", "/Consent", consent(patient, about(other)))
        assert refused.status_code == 422
        assert "Consent.provision.data[0].reference" in refused.text
    await api.create(consent(patient, about(mine)))
    veil = (await asking.facts()).veil
    assert veil is not None
    assert veil.holds_back(labels[mine])
    assert veil.holds_back(label("other", 0, "", "chain") & DOCUMENT_MASK)
    assert not veil.holds_back(label("discharge-report", 0, "12345679", "another"))


async def test_a_period_begins_and_ends_by_itself(
    api: World, who: tuple[str, Asking, Asking], clock: Clock
) -> None:
    patient, asking, _ = who
    start, end = clock() + timedelta(hours=1), clock() + timedelta(hours=2)
    period = {"start": start.isoformat(), "end": end.isoformat()}
    await api.create(consent(patient, {"type": "deny", "period": period}))
    seen = []
    for _ in range(4):
        seen += await asking.sees("other")
        clock.move(minutes=59, seconds=59)
    clock.move(minutes=1)
    assert seen == [True, True, False, True]


async def test_a_consent_that_we_could_not_hold_to_is_refused(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, _, _ = who
    for provision, path in (
        ({"type": "deny", "dataPeriod": {"start": "2020"}}, "Consent.provision.dataPeriod"),
        ({"type": "deny", "code": [{"text": "x"}]}, "Consent.provision.code"),
        (
            {"type": "deny", "class": [{"system": "urn:pater:record-category", "code": "notice"}]},
            "Consent.provision.class[0]",
        ),
        (
            {"type": "deny", "actor": [{"role": RECIPIENT, "reference": {"display": "x"}}]},
            "Consent.provision.actor[0].reference",
        ),
        (
            {"type": "deny", "provision": [{"type": "deny"}]},
            "Consent.provision.provision[0].type",
        ),
    ):
        refused = await api.call("POST", "/Consent", consent(patient, provision))
        assert refused.status_code == 422, provision
        assert path in refused.text
    assert await api.db.fetchval("select count(*) from will") == 0


async def test_a_patient_declares_for_themselves_and_changes_no_providers_consent(
    api: World, who: tuple[str, Asking, Asking]
) -> None:
    patient, asking, _ = who
    me = replace(
        patient_caller(asking.person, patient), scopes=("patient/*.rs", "patient/Consent.cu")
    )
    made = await api.create(consent(patient, {"type": "deny"}), me)
    assert await asking.sees("other") == [False]
    research = consent(patient, {"type": "deny"})
    research["scope"]["coding"][0]["code"] = "research"
    assert (await api.call("POST", "/Consent", research, me)).status_code == 422
    put = Put(
        "Consent", str(uuid4()), asking.person, {**research, "status": "inactive"},
        label=label("consent", 0, "12345679"),
    )  # fmt: skip
    await api.committer.commit(WriteSet(puts=[put]))
    taken = {**made, "id": put.id}
    assert (await api.call("PUT", f"/Consent/{put.id}", taken, me)).status_code == 422


async def test_an_open_emergency_access_is_the_callers_own_and_ends(
    api: World, who: tuple[str, Asking, Asking], clock: Clock
) -> None:
    _, asking, _ = who
    now = clock()
    await api.db.execute(
        "insert into emergency_access (id, person, agent_kind, agent, agent_name, organization,"
        " reason, since, until) values ('1', $1, $2, $3, 'n', 'o', 'r', $4, $5)",
        asking.person, CLINICIAN.kind, CLINICIAN.id, now, now + timedelta(hours=4),
    )  # fmt: skip
    assert await asking.relations(CLINICIAN) == {"override"}
    assert await asking.relations(replace(CLINICIAN, id="another")) == set()
    assert await asking.relations(replace(CLINICIAN, kind="system")) == set()
    clock.move(hours=4)
    assert await asking.relations(CLINICIAN) == set()
    assert (await asking.facts()).veil is not None  # of the notices


async def test_a_public_health_office_has_its_territory(api: World, clock: Clock) -> None:
    patient = await api.patient(address=[{"state": "Jihomoravský kraj", "city": "Brno"}])
    elsewhere = await api.patient(address=[{"state": "Praha", "city": "Jihomoravský kraj"}])
    office = Caller(kind="person", id="khs", name="KHS", role="khs", organization="71009191")
    here = await api.person_of(patient["id"])
    there = await api.person_of(elsewhere["id"])
    standing = DatabaseStanding(api.db, clock, {"71009191": {"jihomoravsky KRAJ"}})
    found = await standing.of(office, [here, there, 0, 987654321])
    assert {person: set(facts.relations) for person, facts in found.items()} == {
        here: {"territory"}, there: set(), 0: set(), 987654321: set(),
    }  # fmt: skip
    other = await standing.of(replace(office, organization="00000019"), [here])
    assert not other[here].relations


async def test_an_author_is_remembered_once(api: World, who: tuple[str, Asking, Asking]) -> None:
    _, asking, _ = who
    for _ in range(2):
        statement = authored(asking.person, "12345679", api.clock())
        await api.committer.commit(WriteSet(statements=[statement]))
    assert await asking.relations() == {"author"}
    assert await api.db.fetchval("select count(*) from care_relation") == 1


async def test_one_statement_whoever_is_asked_about(
    api: World, who: tuple[str, Asking, Asking], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, asking, _ = who
    await api.create(consent(patient, {"type": "deny"}))
    asked: list[str] = []
    fetch = api.db.look_up

    async def counted(sql: str, *args: Any) -> Any:
        asked.append(sql)
        return await fetch(sql, *args)

    monkeypatch.setattr(api.db, "look_up", counted)
    for persons in ([asking.person], [987654321], [987654321, asking.person, 0]):
        for _ in range(2):
            asked.clear()
            await asking.standing.of(HOSPITAL, persons)
            assert len(asked) == 1
    with wall([asking.person + 1]):  # it decides how high the wall is, so it stands before it
        assert not (await asking.sees("other"))[0]
    asked.clear()
    me = patient_caller(asking.person, patient)
    assert (await asking.standing.of(me, [asking.person]))[asking.person].veil is None
    assert asked == []


async def test_each_question_is_answered_by_indexes(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    fetch = database.fetch

    async def noted(sql: str, *args: Any) -> Any:
        asked.append((sql, *args))
        return await fetch(sql, *args)

    monkeypatch.setattr(database, "fetch", noted)
    monkeypatch.setattr(database, "look_up", noted)
    standing = DatabaseStanding(database, clock, {"12345679": {"Praha"}})
    await standing.of(CLINICIAN, [1, 2, 3])
    await standing.said(CLINICIAN, 1, clock())
    async with database.transaction() as connection:
        await connection.execute("set local enable_seqscan = off")
        for sql, *args in asked:
            plan = await connection.fetch(f"explain {sql}", *args)
            text = "\n".join(row[0] for row in plan)
            assert "Seq Scan" not in text, text
            assert "Index" in text
