"""Questions about rights: may X do S with T of P, and the police's one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.access import clients, representation
from pater.access.caller import Caller
from pater.access.clients import Client
from pater.access.policy import shipped
from pater.access.standing import DatabaseStanding
from pater.domain import Services
from pater.fhir.labels import CATEGORIES, label
from pater.records.isolation import CODES, is_order
from pater.registers.identifiers import RID, rid_from
from pater.registers.patients import PatientRegister
from pater.rest import authorisations
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.database import Database
from pater.store.files import Files
from tests.access.test_smart import HOSPITAL as KEYS
from tests.access.test_standing import KRZP, OTHERS, OURS, consent, encounter
from tests.conftest import Clock
from tests.rest.world import BASE, CLINICIAN, HOSPITAL, LOADER, World, patient_caller, world

EVA = rid_from(9_900_000_000)
NOBODY = rid_from(9_910_000_000)
SERVICE = Caller(
    kind="system", id="exchange-node", name="Exchange node", role="administrator",
    purpose="SYSADMIN", strength=3, scopes=("system/*.rs",),
)  # fmt: skip
POLICE = Caller(
    kind="system", id="police", name="Police", role="police", strength=3,
    scopes=("system/Flag.s", "system/ServiceRequest.s"),
)  # fmt: skip
NATIVE = {
    "service": "idSluzbyEZ", "document": "idTypuDokumentace",
    "grantorRole": "opravnujiciOsoba.role", "grantor": "opravnujiciOsoba.hodnota",
    "granteeRole": "opravnenaOsoba.role", "grantee": "opravnenaOsoba.hodnota",
}  # fmt: skip
LABORATORY = "11502-2"
ISOLATION = {"system": "http://snomed.info/sct", "code": "40174006"}


class Ticks:
    """A timer that stands still."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
async def api(
    database: Database, clock: Clock, tmp_path: Path, ticks: Ticks
) -> AsyncIterator[World]:
    """The API with the questions, under the policy that asks for relations of care."""
    policy = shipped("cz")
    async with world(database, clock, policy=policy) as api:
        register = PatientRegister(
            database, next_person=api.committer.next_person, random=Random(1), clock=clock,
            new_id=lambda: str(uuid4()),
        )  # fmt: skip
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
        parts = authorisations.parts(services, policy, ticks)
        config = RestConfig(BASE, clock(), patient_claims=register.claims_of)
        app = fhir_app(api.gate, api.tokens, [parts], config)
        whole = Starlette(routes=[*parts.routes, Mount("/fhir", app)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=whole)) as http:
            api.http = http
            yield api


@pytest.fixture
async def eva(api: World) -> str:
    """A patient with a RID."""
    patient: str = (await api.patient(identifier=[{"system": RID, "value": EVA}]))["id"]
    return patient


def question(role: str = "PZS", grantee: str = "12345679", **other: str) -> dict[str, str]:
    """May a provider read laboratory reports of Eva?"""
    return {
        "service": "read", "document": LABORATORY, "grantorRole": "Pacient", "grantor": EVA,
        "granteeRole": role, "grantee": grantee, **other,
    }  # fmt: skip


def parts_of(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "valueString": value} for name, value in values.items()]


async def may(api: World, caller: Caller, *questions: dict[str, str]) -> list[bool]:
    """The answers to a batch."""
    listed = [{"name": "question", "part": parts_of(each)} for each in questions]
    body = {"resourceType": "Parameters", "parameter": listed}
    answer = await api.call("POST", "/$may", body, caller)
    assert answer.status_code == 200, answer.text
    *answers, policy = answer.json()["parameter"]
    assert policy["valueString"].startswith("cz 1 ")
    return [each["part"][0]["valueBoolean"] for each in answers]


async def over(api: World, caller: Caller, values: dict[str, str]) -> httpx.Response:
    """The same by the register's own address."""
    return await api.http.get(
        "http://api.test/opravneni/over",
        params={NATIVE[name]: value for name, value in values.items()},
        headers=api.headers(caller),
    )


async def test_a_relation_opens_and_both_ways_of_asking_agree(
    api: World, eva: str, clock: Clock
) -> None:
    asked = question()
    for allowed in (False, True):
        assert await may(api, HOSPITAL, asked) == [allowed]
        answer = await over(api, HOSPITAL, asked)
        assert (answer.status_code, answer.json()) == (200, allowed)
        assert answer.headers["content-type"] == "application/json"
        if not allowed:
            await api.create(encounter(eva, OURS))
    rows = await api.journal(reason="asked-may", patient=eva)
    assert [row["agent"] for row in rows] == [HOSPITAL.id] * 4
    assert rows[-1]["query"] == f"may=read&type={LABORATORY}&who=PZS/12345679&allowed=true"
    assert rows[-1]["person"] == await api.person_of(eva)


async def test_a_service_is_told_the_will_and_a_provider_is_not(api: World, eva: str) -> None:
    await api.create(encounter(eva, OURS))
    held = {"type": "deny", "class": [{"system": "urn:pater:record-category",
                                       "code": "laboratory-report"}]}  # fmt: skip
    await api.create(consent(eva, {"type": "permit", "provision": [held]}))
    asked = [question(document=each) for each in (LABORATORY, "discharge-report", "consent")]
    assert await may(api, SERVICE, *asked) == [False, True, False]
    # what is held back is told to nobody from whom it is held back; the rule's own word is
    assert await may(api, HOSPITAL, *asked) == [True, True, False]


@pytest.mark.parametrize("service", ["read", "emergency-read", "submit"])
async def test_it_says_what_the_policy_says_for_every_category(
    api: World, eva: str, clock: Clock, service: str
) -> None:
    await api.create(encounter(eva, OURS))
    await api.create(consent(eva, {"type": "deny", "actor": [
        {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                              "code": "IRCP"}]}, "reference": OTHERS}]}))  # fmt: skip
    person, policy = await api.person_of(eva), shipped("cz")
    standing = DatabaseStanding(api.db, clock)
    for ico in ("12345679", "00000019"):
        purpose = "ETREAT" if service == "emergency-read" else "TREAT"
        who = replace(
            HOSPITAL, organization=ico, purpose=purpose,
            scopes=("system/*.rs", "system/Bundle.c"),
        )  # fmt: skip
        facts = (await standing.of(who, [person]))[person]
        action, type_ = (
            ("create", "Bundle") if service == "submit" else ("read", "DocumentReference")
        )
        found = policy.decide(who, action, type_, person=person, facts=facts)  # type: ignore[arg-type]  # literals
        wanted = [found.shows(label(each)) for each in CATEGORIES]
        asked = [question(grantee=ico, service=service, document=each) for each in CATEGORIES]
        assert await may(api, SERVICE, *asked) == wanted


async def test_unknown_people_and_missing_rights_are_one_answer(api: World, eva: str) -> None:
    for asked in (
        question(), question(grantor=NOBODY), question("FyzickaOsoba", NOBODY),
        question("Zastupce", EVA), question("PravnickaOsoba"), question("Interni", "nobody"),
        question("ZdravotniPracovnik", "100000009"),
        question(grantorRole="PZS", grantor="12345679"),
    ):  # fmt: skip
        answer = await api.call("POST", "/$may", {
            "resourceType": "Parameters", "parameter": parts_of(asked)}, SERVICE)  # fmt: skip
        assert [each.get("valueBoolean", each.get("valueCode")) for each
                in answer.json()["parameter"][:2]] == [False, "not-permitted"]  # fmt: skip
    assert await may(api, SERVICE, question("Pacient", EVA)) == [True]
    assert (
        len(await api.journal(reason="asked-may", person=0)) == 2
    )  # NOBODY, and who is no patient


async def test_professionals_of_the_provider_and_systems(
    api: World, eva: str, clock: Clock
) -> None:
    await api.create(encounter(eva, OURS))
    number = {"system": KRZP, "value": "100000001"}
    doctor = (await api.create({"resourceType": "Practitioner", "identifier": [number]}))["id"]
    asked = question("ZdravotniPracovnik", "100000001")
    refused = await over(api, HOSPITAL, asked)
    assert refused.status_code == 403  # nothing says that the physician works there
    house = await api.create(
        {"resourceType": "Organization", "name": "B", "identifier": [OURS["identifier"]]}
    )
    await api.create(
        {
            "resourceType": "PractitionerRole",
            "organization": {"reference": f"Organization/{house['id']}"},
            "practitioner": {"reference": f"Practitioner/{doctor}"},
        }
    )
    assert await may(api, HOSPITAL, asked, question()) == [True, True]
    # by themselves they have nobody in care; a service does not know for whom they act
    assert await may(api, SERVICE, asked) == [False]
    system = Client(
        HOSPITAL.id, "", HOSPITAL.role, HOSPITAL.organization, "", KEYS.jwks, ("system/*.rs",),
        ("TREAT",),
    )  # fmt: skip
    await clients.register(api.db, system, clock)
    assert await may(api, HOSPITAL, question("Interni", HOSPITAL.id)) == [True]
    await clients.register(api.db, replace(system, active=False), clock)
    assert await may(api, SERVICE, question("Interni", HOSPITAL.id)) == [False]


async def test_a_representative_may_what_the_representation_says(
    api: World, eva: str, clock: Clock
) -> None:
    adam = (await api.patient(identifier=[{"system": RID, "value": NOBODY}]))["id"]
    asked = [
        question("Zastupce", NOBODY, document=each) for each in (LABORATORY, "discharge-report")
    ]
    assert await may(api, SERVICE, *asked) == [False, False]
    one = representation.Representation(
        id=str(uuid4()), person=await api.person_of(eva), patient=eva, person_name="Eva",
        agent=await api.person_of(adam), agent_name="Adam", kind="authorised",
        source=representation.REGISTER, since=clock(), recorded=clock(),
        until=clock() + timedelta(days=1), categories=frozenset({"laboratory-report"}),
    )  # fmt: skip
    made = representation.made(one)
    await api.db.execute(made.sql, *made.args)
    assert await may(api, SERVICE, *asked) == [True, False]
    assert await may(api, SERVICE, question("FyzickaOsoba", NOBODY)) == [False]
    backwards = question("Zastupce", EVA, grantor=NOBODY)
    assert await may(api, SERVICE, backwards) == [False]
    rows = await api.journal(reason="asked-may", patient=eva)
    assert all(NOBODY not in row["query"] for row in rows)
    clock.move(days=2)
    assert await may(api, SERVICE, *asked) == [False, False]


async def test_who_may_ask(api: World, eva: str) -> None:
    patient = patient_caller(await api.person_of(eva), eva)
    person = replace(SERVICE, kind="person", strength=2, scopes=("user/*.rs",))
    others = replace(HOSPITAL, organization="00000019")
    narrow = replace(HOSPITAL, scopes=("system/Observation.rs",))
    for caller in (patient, CLINICIAN, LOADER, POLICE, person, others, narrow):
        answer = await over(api, caller, question())
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 403
    assert not await api.journal(reason="asked-may")
    posted = await api.http.post("http://api.test/opravneni/over", json={})
    assert posted.status_code == 405 and posted.headers["allow"] == "GET, HEAD"
    nowhere = await api.http.get("http://api.test/Opravneni/nic")
    assert nowhere.status_code == 404 and nowhere.json()["status"] == 404
    without = await api.http.get("http://api.test/opravneni/over")
    assert (without.status_code, without.json()["status"]) == (401, 401)
    assert "www-authenticate" in without.headers


async def test_what_cannot_be_understood_is_told_with_its_place(api: World) -> None:
    for name, value in (
        ("service", "look"), ("document", "x"), ("grantorRole", "Soused"), ("grantor", "123"),
        ("granteeRole", ""), ("grantee", "12345678"), ("grantee", "\0"),
    ):  # fmt: skip
        answer = await over(api, SERVICE, question(**{name: value}))
        assert answer.status_code == 400
        assert NATIVE[name] in answer.json()["detail"]
    twice = await api.http.get(
        "http://api.test/Opravneni/Over?IdSluzbyEZ=read&idSluzbyEZ=read",
        headers=api.headers(SERVICE),
    )
    assert (twice.status_code, twice.json()["detail"]) == (400, "idSluzbyEZ stands here once")
    one = {"name": "question", "part": parts_of(question())}
    for body, place in (
        ([one] * 101, "Parameters.parameter"),
        ([one, {"name": "service", "valueString": "read"}], "Parameters.parameter[1]"),
        ([{"name": "question", "part": {}}], "Parameters.parameter[0].part"),
        ([{"name": "service", "valueInteger": 1}], "Parameters.parameter[0]"),
        ([{"name": "question", "part": parts_of(question(service="look"))}],
         "Parameters.parameter[0].part[0]"),
        ([], "Parameters.parameter.where(name='service')"),
    ):  # fmt: skip
        sent = {"resourceType": "Parameters", "parameter": body}
        answer = await api.call("POST", "/$may", sent, SERVICE)
        assert answer.status_code == 400, body
        assert answer.json()["issue"][0]["expression"] == [place]
    assert len(await may(api, SERVICE, *[question()] * 100)) == 100


def ordered_of(**other: Any) -> dict[str, Any]:
    """The police's question about Eva."""
    values = {"identifier": {"system": RID, "value": EVA}, "family": "Nováková", "given": "eva"}
    listed = [
        {"name": name, ("valueIdentifier" if name == "identifier" else "valueString"): value}
        for name, value in (values | other).items()
    ]
    return {"resourceType": "Parameters", "parameter": listed}


async def ask(api: World, caller: Caller = POLICE, **other: Any) -> httpx.Response:
    return await api.call("POST", "/Patient/$isolation-ordered", ordered_of(**other), caller)


def flag(patient: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Flag", "status": "active", "code": {"coding": [ISOLATION]},
        "subject": {"reference": f"Patient/{patient}"}, **elements,
    }  # fmt: skip


async def test_the_police_are_told_yes_or_no_and_nothing_else(
    api: World, eva: str, clock: Clock
) -> None:
    no = await ask(api)
    assert no.json() == {
        "resourceType": "Parameters",
        "parameter": [{"name": "ordered", "valueBoolean": False}],
    }
    today = clock().date()
    await api.create(flag(eva, period={"end": (today + timedelta(days=5)).isoformat()}))
    assert (await ask(api, birthDate="1980-02-01")).json()["parameter"][0]["valueBoolean"] is True
    # nobody, another's name or birth date, and no order: the same to the letter
    for other in (
        {"identifier": {"system": RID, "value": NOBODY}}, {"family": "Svobodová"},
        {"given": "Jana"}, {"birthDate": "1981-02-01"},
        {"identifier": {"system": "urn:x", "value": EVA}},
    ):  # fmt: skip
        answer = await ask(api, **other)
        assert (answer.status_code, answer.content) == (no.status_code, no.content)
        assert answer.headers.keys() == no.headers.keys()
    rows = await api.journal(reason="asked-isolation", patient=eva)
    assert [(row["agent"], row["purpose"], row["query"]) for row in rows] == [
        ("police", "PUBHLTH", "isolation-ordered")
    ] * 2
    assert len(await api.journal(reason="asked-isolation", person=0)) == 5
    clock.move(days=7)
    assert (await ask(api)).content == no.content


async def test_the_police_read_nothing_and_others_do_not_ask(api: World, eva: str) -> None:
    await api.create(flag(eva))
    for path in (f"/Patient/{eva}", f"/Flag?patient={eva}", f"/Patient/{eva}/$everything"):
        assert (await api.call("GET", path, caller=POLICE)).status_code in (403, 404)
    narrow = replace(POLICE, scopes=("system/Flag.s",))
    for caller in (HOSPITAL, CLINICIAN, SERVICE, LOADER, replace(POLICE, scopes=()), narrow):
        assert (await ask(api, caller)).status_code == 403
    in_address = await api.call("GET", "/Patient/$isolation-ordered?family=X", caller=POLICE)
    assert in_address.status_code == 405
    for other in ({"family": ""}, {"identifier": {"value": EVA}}, {"birthDate": "soon"}):
        answer = await ask(api, **other)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"]


async def test_the_police_cannot_go_through_everybody(api: World, eva: str, ticks: Ticks) -> None:
    codes = [(await ask(api)).status_code for _ in range(61)]
    assert codes == [200] * 60 + [429]
    answer = await ask(api)
    assert int(answer.headers["retry-after"]) > 0
    assert (await ask(api, replace(POLICE, id="other-police"))).status_code == 200
    ticks.at += int(answer.headers["retry-after"])
    assert (await ask(api)).status_code == 200


@given(
    st.sampled_from(["Flag", "ServiceRequest"]),
    st.sampled_from(["active", "inactive", "completed", "draft"]),
    st.sampled_from([*sorted(CODES), ("http://snomed.info/sct", "1")]),
    st.sampled_from(["code", "category"]),
    st.sampled_from([None, "2026-05-14", "2026-05-15", "2026-05-16"]),
    st.sampled_from([None, "2026-05-14", "2026-05-15", "2026-05-16"]),
    st.sampled_from(["order", "plan"]),
)
def test_an_order_is_active_of_a_code_and_of_today(
    type_: str, status: str, code: tuple[str, str], place: str, start: str | None,
    end: str | None, intent: str,
) -> None:  # fmt: skip
    concept = {"coding": [{"system": code[0], "code": code[1]}]}
    period = {name: day for name, day in (("start", start), ("end", end)) if day}
    when = "period" if type_ == "Flag" else "occurrencePeriod"
    resource = {
        "resourceType": type_, "status": status, "intent": intent, when: period,
        place: [concept] if place == "category" else concept,
    }  # fmt: skip
    now = datetime(2026, 5, 15, 12, tzinfo=UTC)
    wanted = (
        status == "active"
        and code in CODES
        and (start is None or start <= "2026-05-15")
        and (end is None or end >= "2026-05-15")
        and (type_ == "Flag" or intent == "order")
    )
    assert is_order(resource, now) == wanted
