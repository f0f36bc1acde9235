"""A patient's compartment: all of it and nothing of anybody else's, in pages, and recorded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    INSURER,
    World,
    issues,
    pages,
    patient_caller,
)
from tests.rest.world import observation as seen


async def record(api: World) -> dict[str, Any]:
    """A patient with a hospital, a doctor of it, two observations and a condition."""
    parent = await api.create({"resourceType": "Organization", "name": "Kraj"})
    hospital = await api.create(
        {
            "resourceType": "Organization",
            "name": "Nemocnice",
            "partOf": {"reference": f"Organization/{parent['id']}"},
        }
    )
    doctor = await api.create({"resourceType": "Practitioner", "name": [{"family": "Lékař"}]})
    patient = await api.patient(
        managingOrganization={"reference": f"{BASE}/Organization/{hospital['id']}"}
    )
    stranger = await api.create({"resourceType": "Organization", "name": "Cizí"})
    subject = {"reference": f"Patient/{patient['id']}"}
    made = [
        await api.create(
            seen(
                patient["id"],
                performer=[
                    {"reference": f"Practitioner/{doctor['id']}"},
                    {"reference": f"http://elsewhere.example/fhir/Organization/{stranger['id']}"},
                ],
            )
        ),
        await api.create(seen(patient["id"], status="amended")),
        await api.create({"resourceType": "Condition", "subject": subject}),
    ]
    return {
        "patient": patient,
        "own": {f"{each['resourceType']}/{each['id']}" for each in (patient, *made)},
        "beside": {
            f"Organization/{parent['id']}",
            f"Organization/{hospital['id']}",
            f"Practitioner/{doctor['id']}",
        },
    }


def names(entries: list[dict[str, Any]], mode: str = "match") -> list[str]:
    return [
        each["fullUrl"].removeprefix(f"{BASE}/")
        for each in entries
        if each["search"]["mode"] == mode
    ]


async def test_everything_is_the_record_and_what_it_refers_to(api: World) -> None:
    other = await record(api)
    mine = await record(api)
    path = f"/Patient/{mine['patient']['id']}/$everything"
    whole = await pages(api, path)
    assert sorted(names(whole)) == sorted(mine["own"])
    assert set(names(whole, "include")) == mine["beside"]
    assert other["patient"]["id"] not in str(whole)
    paged = await pages(api, f"{path}?_count=1")
    assert sorted(names(paged)) == sorted(mine["own"])
    assert set(names(paged, "include")) == mine["beside"]
    plain = await pages(api, f"/Patient/{mine['patient']['id']}/*?_count=3")
    assert sorted(names(plain)) == sorted(mine["own"])
    assert names(plain, "include") == []


async def test_everything_is_recorded_once(api: World) -> None:
    mine = await record(api)
    person = await api.person_of(mine["patient"]["id"])
    name = str(uuid4())
    path = f"/Patient/{mine['patient']['id']}/$everything"
    await api.call("GET", path, caller=HOSPITAL, x_request_id=name)
    (row,) = await api.journal(request_id=name)
    assert (row["person"], row["interaction"], row["outcome"]) == (person, "operation", "0")
    assert row["reason"] == "treatment"


async def test_types_and_times_narrow_everything(api: World) -> None:
    mine = await record(api)
    path = f"/Patient/{mine['patient']['id']}/$everything"
    some = await pages(api, f"{path}?_type=Observation,Practitioner")
    assert {each.split("/")[0] for each in names(some)} == {"Observation"}
    assert {each.split("/")[0] for each in names(some, "include")} == {"Practitioner"}
    api.clock.move(seconds=10)
    since = quote(api.clock.now.isoformat())
    late = await api.create(seen(mine["patient"]["id"]))
    assert names(await pages(api, f"{path}?_since={since}")) == [f"Observation/{late['id']}"]
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueCode": "Condition"},
            {"name": "_count", "valueInteger": 5},
        ],
    }
    posted = (await api.call("POST", path, body)).json()
    assert {each.split("/")[0] for each in names(posted["entry"])} == {"Condition"}


@pytest.mark.parametrize(
    "query", ["start=soon", "_count=x", "_type=Nothing", "_since=x", "_cursor=x"]
)
async def test_what_everything_does_not_know_is_refused(api: World, query: str) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}/$everything?{query}")
    assert (answer.status_code, len(issues(answer))) == (400, 1)
    body = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueCode": "5"}]}
    answer = await api.call("POST", f"/Patient/{made['id']}/$everything", body)
    assert answer.status_code == 400


async def test_a_search_of_the_compartment_stays_in_it(api: World) -> None:
    mine, other = await record(api), await record(api)
    path = f"/Patient/{mine['patient']['id']}/Observation"
    found = await pages(api, f"{path}?_count=1")
    assert set(names(found)) == {each for each in mine["own"] if each.startswith("Observation")}
    amended = await pages(api, f"{path}?status=amended")
    assert len(amended) == 1
    chained = f"{path}?patient.name=Nov%C3%A1kov%C3%A1&_include=Observation:performer"
    with_doctor = await pages(api, chained)
    assert len(names(with_doctor)) == 2
    assert {each.split("/")[0] for each in names(with_doctor, "include")} == {"Practitioner"}
    elsewhere = f"{path}?patient={other['patient']['id']}"
    assert await pages(api, elsewhere) == []
    answer = await api.call("GET", f"{path}?_summary=count")
    assert answer.json()["total"] == 2
    assert (await api.call("GET", f"{path}?nonsense=1")).status_code == 400


async def test_a_search_of_the_compartment_is_recorded_at_the_patient(api: World) -> None:
    made = await api.patient()
    person = await api.person_of(made["id"])
    name = str(uuid4())
    path = f"/Patient/{made['id']}/Condition"
    answer = await api.call("GET", path, caller=CLINICIAN, x_request_id=name)
    assert answer.json().get("entry") is None
    (row,) = await api.journal(request_id=name)
    assert (row["person"], row["interaction"], row["entity_type"]) == (
        person, "search-type", "Condition",
    )  # fmt: skip


async def test_nobody_reaches_another_record_through_a_compartment(api: World) -> None:
    mine, other = await record(api), await record(api)
    person = await api.person_of(mine["patient"]["id"])
    me = patient_caller(person, mine["patient"]["id"])
    whole = await pages(api, f"/Patient/{mine['patient']['id']}/$everything", caller=me)
    assert sorted(names(whole)) == sorted(mine["own"])
    for place in ("$everything", "*", "Observation", "Observation?_summary=count"):
        withheld = await api.call("GET", f"/Patient/{other['patient']['id']}/{place}", caller=me)
        missing = await api.call("GET", f"/Patient/{uuid4()}/{place}", caller=me)
        assert (withheld.status_code, missing.status_code) == (404, 404), place
        assert withheld.text.replace(other["patient"]["id"], "") == missing.text.replace(
            missing.json()["issue"][0]["diagnostics"].split("/")[1].split(" ")[0], ""
        )
        denied = await api.call("GET", f"/Patient/{other['patient']['id']}/{place}", caller=INSURER)
        assert denied.status_code == 403
    theirs = await api.person_of(other["patient"]["id"])
    tries = await api.journal(person=theirs, outcome="4", agent=me.id)
    assert len(tries) == 4
