"""Scopes with search arguments: what they leave out is not there, on any way to the data."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pater.access.caller import Caller
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from tests.conftest import Clock, fresh_database
from tests.rest.world import HOSPITAL, LOADER, World, observation, patient_caller, world

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = f"category={CATEGORY}|laboratory"
NARROW = (f"system/Observation.rs?{LAB}", "system/Patient.rs", "system/Bundle.rs",
          "system/DiagnosticReport.rs", "system/Provenance.rs", "system/Encounter.rs",
          "system/Organization.rs?active=true", "system/Condition.cruds")  # fmt: skip
READER = replace(LOADER, id="reader", scopes=NARROW)


def measured(id: str, patient: str, category: str, value: float, **more: Any) -> dict[str, Any]:
    return observation(
        patient,
        id=id,
        category=[{"coding": [{"system": CATEGORY, "code": category}]}],
        valueQuantity={"value": value, "unit": "mmol/L", "system": "http://unitsofmeasure.org",
                       "code": "mmol/L"},
        **more,
    )  # fmt: skip


def document(id: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "id": id,
        "type": "collection",
        "timestamp": "2026-01-01T00:00:00Z",
        "entry": [{"resource": part} for part in parts],
    }


def report(id: str, patient: str, *results: str) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": id,
        "status": "final",
        "code": {"text": "blood"},
        "subject": {"reference": f"Patient/{patient}"},
        "result": [{"reference": f"Observation/{each}"} for each in results],
    }


def organization(id: str, active: bool) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": id, "active": active, "name": f"House {id}"}


async def put(api: World, resource: dict[str, Any]) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = await api.call("PUT", path, resource)
    assert answer.status_code in (200, 201), answer.text


async def fill(api: World, everything: bool) -> None:
    """The same data in two houses; one of them never had what the scopes leave out.

    `o-moved` was laboratory and is no longer, `o-gone` and `o-hidden` are deleted.
    """
    for id, family in (("p1", "Malá"), ("p2", "Veselá")):
        await put(api, {"resourceType": "Patient", "id": id, "name": [{"family": family}],
                        "managingOrganization": {"reference": "Organization/closed"}})  # fmt: skip
    await put(api, organization("open", True))
    if everything:
        await put(api, organization("closed", False))
    for number in range(6):
        patient = "p1" if number % 2 else "p2"
        await put(api, measured(f"lab-{number}", patient, "laboratory", 1 + number))
        if everything:
            await put(api, measured(f"vital-{number}", patient, "vital-signs", 50 + number))
            await put(api, measured(f"vital-{number}", patient, "vital-signs", 60 + number))
    await put(api, measured("o-gone", "p1", "laboratory", 20))
    await api.call("DELETE", "/Observation/o-gone")
    if everything:
        await put(api, measured("o-hidden", "p1", "vital-signs", 21))
        await api.call("DELETE", "/Observation/o-hidden")
    await put(api, report("r1", "p1", "lab-1", "vital-1"))
    await put(api, document("b-lab", measured("x", "p1", "laboratory", 1)))
    if everything:
        await put(api, document("b-vital", measured("x", "p1", "laboratory", 1),
                                measured("y", "p1", "vital-signs", 1)))  # fmt: skip
    if everything:
        await put(api, {"resourceType": "Provenance", "id": "v-vital",
                        "target": [{"reference": "Observation/vital-1"}],
                        "recorded": "2026-01-01T00:00:00Z",
                        "agent": [{"who": {"reference": "Organization/open"}}]})  # fmt: skip
        answer = await api.call("DELETE", "/Provenance/v-vital")
        assert answer.status_code == 204


@pytest.fixture(scope="module")
async def houses(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[tuple[World, World]]:
    """A house with everything and one that never had what the scopes leave out."""
    clock = Clock(datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0))
    async with (
        fresh_database(postgres, template) as one,
        fresh_database(postgres, template) as two,
        world(one, clock) as whole,
        world(two, clock) as less,
    ):
        await fill(whole, True)
        await fill(less, False)
        yield whole, less


async def both(
    houses: tuple[World, World],
    method: str,
    path: str,
    body: Any = None,
    caller: Caller = READER,
    **headers: str,
) -> tuple[int, str]:
    """The same answer of both houses, but for what is chance: requests and places of pages."""
    told = []
    for api in houses:
        answer = await api.call(method, path, body, caller, x_request_id="same-request", **headers)
        text = re.sub(r"_cursor=[^\"&]+", "_cursor=…", answer.text)
        told.append((answer.status_code, dict(answer.headers), text))
    (status, told_headers, text), other = told
    for each in (told_headers, other[1]):
        each.pop("content-length", None)
        each.pop("date", None)
    assert other == (status, told_headers, text), path
    return status, text


ALIKE = [
    ("/Observation/lab-1", 200),
    ("/Observation/vital-1", 404),
    ("/Observation/vital-1/_history", 404),
    ("/Observation/vital-1/_history/1", 404),
    ("/Observation/o-gone", 410),
    ("/Observation/o-hidden", 404),
    ("/Observation/o-hidden/_history", 404),
    ("/Observation/o-gone/_history", 200),
    ("/Observation/_history", 200),
    ("/Observation/_history?_count=3", 200),
    ("/Organization/_history", 200),
    ("/Organization/closed", 404),
    ("/Observation", 200),
    ("/Observation?_total=accurate&_count=2", 200),
    ("/Observation?_total=estimate", 200),
    ("/Observation?_count=0", 200),
    ("/Observation?_summary=count", 200),
    ("/Observation?_summary=true", 200),
    ("/Observation?_sort=-value-quantity", 200),
    ("/Observation?value-quantity=gt40", 200),
    ("/Observation?_id=vital-1,lab-1", 200),
    ("/Observation?category=vital-signs&_total=accurate", 200),
    ("/Observation?category:not=laboratory&_total=accurate", 200),
    ("/Observation?patient=p1&_include=Observation:patient", 200),
    ("/Patient?_has:Observation:patient:value-quantity=gt40&_total=accurate", 200),
    ("/Patient?_has:Observation:patient:value-quantity=gt3&_total=accurate", 200),
    ("/Patient?_revinclude=Observation:patient", 200),
    ("/Patient?_include=Patient:organization", 200),
    ("/Patient?organization.name=House", 200),
    ("/Patient?organization.name=House&_summary=count", 200),
    ("/DiagnosticReport?result.value-quantity=gt40&_total=accurate", 200),
    ("/DiagnosticReport?result.value-quantity=2&_total=accurate", 200),
    ("/DiagnosticReport?_include=DiagnosticReport:result", 200),
    ("/DiagnosticReport?_include=*", 200),
    ("/DiagnosticReport?_include=DiagnosticReport:subject&_revinclude:iterate=Observation:subject",
     200),
    ("/Patient/p1/$everything", 200),
    ("/Patient/p1/$everything?_count=2", 200),
    ("/Patient/p1/*", 200),
    ("/Patient/p1/Observation?_total=accurate", 200),
    ("/Observation?_filter=value-quantity gt 40&_total=accurate", 200),
    ("/Observation?_filter=not(category eq laboratory)&_total=accurate", 200),
    ("/Patient?_revinclude=*", 200),
    ("/Patient?_id=p1&_revinclude=Observation:patient&_include:iterate=*", 200),
    ("/Observation?code:text=heart&_total=accurate", 200),
    ("/?_type=Observation,Patient&_total=accurate", 200),
    ("/?_type=Patient,Observation&_count=3", 200),
    ("/Patient/$everything", 200),
    ("/Patient/p1/$everything?_since=2020-01-01", 200),
    ("/Observation/$lastn?patient=p1&max=5", 200),
    ("/Observation/vital-1/$meta", 404),
    ("/Observation/lab-1/$meta", 200),
    ("/Observation/vital-1/$diff", 404),
    ("/Observation/vital-1/$validate", 404),
    ("/Bundle/b-lab", 200),
    ("/Bundle/b-vital", 404),
    ("/Bundle?_total=accurate", 200),
    ("/Bundle?_summary=count", 200),
    ("/Device", 403),
]  # fmt: skip


@pytest.mark.parametrize(("path", "status"), ALIKE)
async def test_what_a_scope_leaves_out_is_as_if_it_had_never_been(
    houses: tuple[World, World], path: str, status: int
) -> None:
    found, text = await both(houses, "GET", path)
    assert found == status, text
    assert '"code":"vital-signs"' not in text


# who has to name the patient, at the point of care
DOCTOR = replace(HOSPITAL, id="doctor", scopes=NARROW)
NAMED = [
    ("/Observation?patient=p1&_total=accurate", 200),
    ("/Observation?patient=p1,p2&_summary=count", 200),
    ("/Observation?patient=p1&_count=2&_include=Observation:patient", 200),
    ("/Observation?subject=Patient/p1&value-quantity=gt40&_total=accurate", 200),
    ("/Observation?_id=vital-1&_total=accurate", 200),
    ("/Patient?_id=p1&_revinclude=Observation:patient", 200),
    ("/Patient?_id=p1&_has:Observation:patient:value-quantity=gt40&_total=accurate", 200),
    ("/Patient?_id=p1&_include=Patient:organization", 200),
    ("/Patient?_id=p1&organization.name=House&_total=accurate", 200),
    ("/DiagnosticReport?patient=p1&result.value-quantity=gt40&_total=accurate", 200),
    ("/DiagnosticReport?patient=p1&_include=DiagnosticReport:result", 200),
    ("/Patient/p1/Observation?_total=accurate", 200),
    ("/Patient/p1/$everything", 200),
    ("/Observation/vital-1", 404),
    ("/Observation/lab-1/_history", 200),
    ("/Observation", 403),
]


GRAPHS = [
    ("", '{ Observation(id: "vital-1") { id } }'),
    ("", '{ Observation(id: "lab-1") { id } }'),
    ("", '{ ObservationList(category: "vital-signs") { id } }'),
    ("", '{ ObservationConnection(patient: "p1", _count: 2) { count edges { resource { id } } } }'),
    ("/Patient/p1", "{ id ObservationList(_reference: patient) { id valueQuantity { value } } }"),
    ("/DiagnosticReport/r1", "{ result { reference resource { ... on Observation { id } } } }"),
    ("/Observation/vital-1", "{ id }"),
]


@pytest.mark.parametrize(("place", "query"), GRAPHS)
async def test_graphql_sees_no_more(houses: tuple[World, World], place: str, query: str) -> None:
    body = {"query": query}
    status, text = await both(
        houses, "POST", f"{place}/$graphql", json.dumps(body), content_type="application/json"
    )
    assert status in (200, 404), text
    assert '"id":"vital' not in text.replace(" ", "")


@pytest.mark.parametrize(("path", "status"), NAMED)
async def test_it_is_the_same_for_who_has_to_name_the_patient(
    houses: tuple[World, World], path: str, status: int
) -> None:
    found, text = await both(houses, "GET", path, caller=DOCTOR)
    assert found == status, text
    assert '"code":"vital-signs"' not in text


async def test_pages_end_where_the_visible_ends(houses: tuple[World, World]) -> None:
    for api in houses:
        for first in ("/Observation?_count=2", "/Observation/_history?_count=2",
                      "/Patient/p1/$everything?_count=2"):  # fmt: skip
            pages, path = [], first
            while path:
                bundle = (await api.call("GET", path, caller=READER)).json()
                found = [e for e in bundle["entry"] if e.get("search", {}).get("mode") != "include"]
                pages.append(len(found))
                after = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
                path = after[0].partition("/fhir")[2] if after else ""
            assert all(size == 2 for size in pages[:-1]) and pages[-1] > 0, (first, pages)


async def test_a_batch_sees_no_more(houses: tuple[World, World]) -> None:
    urls = ["Observation/vital-1", "Observation?_total=accurate", "Observation/lab-1",
            "Patient/p1/$everything", "Observation/vital-2/_history"]  # fmt: skip
    body = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }
    status, text = await both(houses, "POST", "/", body)
    assert status == 200 and '"code":"vital-signs"' not in text


async def test_a_search_by_post_sees_no_more(houses: tuple[World, World]) -> None:
    for api in houses:
        answer = await api.call(
            "POST", "/Observation/_search", "_total=accurate&category=vital-signs", READER,
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip
        assert answer.json()["total"] == 0


async def test_an_unnarrowed_scope_beside_it_opens_the_type(houses: tuple[World, World]) -> None:
    api = houses[0]
    wide = replace(READER, scopes=(*NARROW, "system/Observation.r"))
    assert (await api.call("GET", "/Observation/vital-1", caller=wide)).status_code == 200
    found = (await api.call("GET", "/Observation?_total=accurate", caller=wide)).json()
    assert found["total"] == 6  # searching stays narrowed


async def test_several_scopes_are_alternatives_and_their_arguments_are_all_wanted(
    houses: tuple[World, World],
) -> None:
    api = houses[0]

    async def total(*scopes: str) -> int:
        caller = replace(READER, scopes=scopes)
        answer = await api.call("GET", "/Observation?_total=accurate", caller=caller)
        return int(answer.json()["total"])

    lab, vital = f"system/Observation.s?{LAB}", "system/Observation.s?category=vital-signs"
    assert await total(lab) == 6
    assert await total(lab, vital) == 12
    assert await total(f"{lab}&value-quantity=lt3") == 2
    assert await total(f"{lab}&category=vital-signs") == 0
    assert await total("system/Observation.s?_id=lab-1,vital-1") == 2
    assert await total("system/*.s?_id=lab-1") == 1
    assert await total(f"{lab}&patient=p1") == 3


async def test_a_patient_app_with_a_narrow_scope(houses: tuple[World, World]) -> None:
    api = houses[0]
    app = replace(
        patient_caller(await api.person_of("p1"), "p1"), scopes=(f"patient/Observation.rs?{LAB}",)
    )
    found = (await api.call("GET", "/Observation", caller=app)).json()
    assert {e["resource"]["id"] for e in found["entry"]} == {"lab-1", "lab-3", "lab-5"}
    assert (await api.call("GET", "/Observation/vital-1", caller=app)).status_code == 404
    assert (await api.call("GET", "/Observation/lab-0", caller=app)).status_code == 404
    assert (await api.call("GET", "/Patient/p1", caller=app)).status_code == 403


async def test_a_past_version_is_judged_by_what_it_said(api: World) -> None:
    await put(api, {"resourceType": "Patient", "id": "p9"})
    await put(api, measured("o-moved", "p9", "laboratory", 1))
    await put(api, measured("o-moved", "p9", "vital-signs", 1))
    assert (await api.call("GET", "/Observation/o-moved", caller=READER)).status_code == 404
    first = await api.call("GET", "/Observation/o-moved/_history/1", caller=READER)
    assert first.status_code == 200
    second = await api.call("GET", "/Observation/o-moved/_history/2", caller=READER)
    assert second.status_code == 404
    page = (await api.call("GET", "/Observation/o-moved/_history", caller=READER)).json()
    assert [e["resource"]["meta"]["versionId"] for e in page["entry"]] == ["1"]


# --- writing ------------------------------------------------------------------------------------

WRITER = replace(
    LOADER,
    id="writer",
    scopes=(f"system/Observation.cruds?{LAB}", "system/Patient.rs"),
)


@pytest.fixture(scope="module")
async def vital(api: World) -> str:
    await put(api, {"resourceType": "Patient", "id": "w1"})
    await put(api, measured("w-vital", "w1", "vital-signs", 1))
    await put(api, measured("w-lab", "w1", "laboratory", 1))
    return "w-vital"


async def test_only_what_matches_is_created(api: World, vital: str) -> None:
    lab = measured("", "w1", "laboratory", 5)
    other = measured("", "w1", "vital-signs", 5)
    del lab["id"], other["id"]
    assert (await api.call("POST", "/Observation", lab, WRITER)).status_code == 201
    refused = await api.call("POST", "/Observation", other, WRITER)
    assert refused.status_code == 403
    refused = await api.call("PUT", "/Observation/w-new", {**other, "id": "w-new"}, WRITER)
    assert refused.status_code == 403
    assert (await api.call("GET", "/Observation/w-new")).status_code == 404
    made = await api.call("PUT", "/Observation/w-new", {**lab, "id": "w-new"}, WRITER)
    assert made.status_code == 201


async def test_an_update_is_judged_by_what_was_and_what_shall_be(api: World, vital: str) -> None:
    take = measured("w-vital", "w1", "laboratory", 7)
    assert (await api.call("PUT", "/Observation/w-vital", take, WRITER)).status_code == 404
    give = measured("w-lab", "w1", "vital-signs", 7)
    assert (await api.call("PUT", "/Observation/w-lab", give, WRITER)).status_code == 403
    kept = measured("w-lab", "w1", "laboratory", 7)
    assert (await api.call("PUT", "/Observation/w-lab", kept, WRITER)).status_code == 200
    patch = json.dumps(
        [{"op": "replace", "path": "/category/0/coding/0/code", "value": "vital-signs"}]
    )
    headers = {"content_type": "application/json-patch+json"}
    for id, status in (("w-lab", 403), ("w-vital", 404)):
        answer = await api.call("PATCH", f"/Observation/{id}", patch, WRITER, **headers)
        assert answer.status_code == status, answer.text
    assert (await api.call("GET", "/Observation/w-lab")).json()["meta"]["versionId"] == "2"
    assert (await api.call("GET", "/Observation/w-vital")).json()["meta"]["versionId"] == "1"


async def test_a_deletion_of_what_is_outside_does_nothing(api: World, vital: str) -> None:
    absent = await api.call("DELETE", "/Observation/never-was", caller=WRITER)
    hidden = await api.call("DELETE", "/Observation/w-vital", caller=WRITER)
    assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)
    assert (await api.call("GET", "/Observation/w-vital")).status_code == 200
    assert await api.journal(agent="writer", action="D", entity_id="w-vital", outcome="4")


async def test_conditional_interactions_do_not_find_what_is_outside(api: World, vital: str) -> None:
    query = "category=vital-signs&patient=w1"
    gone = await api.call("DELETE", f"/Observation?{query}", caller=WRITER)
    assert gone.status_code in (204, 404)
    assert (await api.call("GET", "/Observation/w-vital")).status_code == 200
    lab = measured("", "w1", "laboratory", 77)
    del lab["id"]
    made = await api.call("POST", "/Observation", lab, WRITER, if_none_exist=query)
    assert made.status_code == 201  # as if the other were not there
    missing = await api.call("PATCH", f"/Observation?{query}", "[]", WRITER,
                             content_type="application/json-patch+json")  # fmt: skip
    assert missing.status_code == 404


async def test_a_transaction_fails_as_a_whole(api: World, vital: str) -> None:
    inside, outside = measured("", "w1", "laboratory", 3), measured("", "w1", "vital-signs", 3)
    del inside["id"], outside["id"]
    before = (await api.call("GET", "/Observation?_summary=count")).json()["total"]
    body = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "POST", "url": "Observation"}}
            for each in (inside, outside)
        ],
    }
    assert (await api.call("POST", "/", body, WRITER)).status_code == 403
    after = (await api.call("GET", "/Observation?_summary=count")).json()["total"]
    assert after == before
    body["type"] = "batch"
    answer = (await api.call("POST", "/", body, WRITER)).json()
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["201", "403"]


# --- the journal --------------------------------------------------------------------------------


async def test_audit_events_are_narrowed_as_well(api: World, vital: str) -> None:
    await api.call("GET", "/Patient/w1")
    auditor = replace(LOADER, id="auditor", scopes=("system/AuditEvent.rs?action=R",))
    found = (await api.call("GET", "/AuditEvent", caller=auditor)).json()
    assert found["entry"] and {e["resource"]["action"] for e in found["entry"]} == {"R"}
    every = (await api.call("GET", "/AuditEvent?action=C")).json()["entry"]
    hidden = every[0]["resource"]["id"]
    answer = await api.call("GET", f"/AuditEvent/{hidden}", caller=auditor)
    assert answer.status_code == 404


async def test_scopes_without_arguments_stay_as_they_were(
    module_database: Database, api: World, vital: str
) -> None:
    reader: Caller = replace(LOADER, scopes=("system/Observation.rs",))
    found = await api.call("GET", "/Observation?category=vital-signs", caller=reader)
    assert found.json()["entry"]
