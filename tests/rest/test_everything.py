"""`$everything`: of a patient, of all patients, of an encounter; with dates, types and pages."""

from __future__ import annotations

from typing import Any

import pytest

from pater.fhir import xml
from pater.fhir.definitions import TYPE_NUMBER
from tests.rest.world import CLINICIAN, INSURER, LOADER, World, issues, observation, patient_caller


def ids(body: dict[str, Any], mode: str = "match") -> list[str]:
    return [
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in body.get("entry", ())
        if e["search"]["mode"] == mode
    ]


async def everything(api: World, path: str, query: str = "", **more: Any) -> dict[str, Any]:
    answer = await api.call("GET", f"{path}/$everything{query}", **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_dates_of_care_bound_a_record(api: World) -> None:
    patient = (await api.patient())["id"]
    old = await api.create(observation(patient, effectiveDateTime="2020-05-01"))
    new = await api.create(observation(patient, effectiveDateTime="2026-05-01T10:00:00Z"))
    undated = observation(patient)
    del undated["effectiveDateTime"]
    none = await api.create(undated)
    here = {f"Patient/{patient}", f"Observation/{none['id']}"}
    before = await everything(api, f"/Patient/{patient}", "?end=2020-05")
    assert set(ids(before)) == here | {f"Observation/{old['id']}"}
    after = await everything(api, f"/Patient/{patient}", "?start=2026-05-01")
    assert set(ids(after)) == here | {f"Observation/{new['id']}"}
    body = {"resourceType": "Parameters",
            "parameter": [{"name": "start", "valueDate": "2021"},
                          {"name": "end", "valueDate": "2022"},
                          {"name": "_count", "valueInteger": 1}]}  # fmt: skip
    answer = await api.call("POST", f"/Patient/{patient}/$everything", body)
    found = ids(answer.json())
    following = next(each["url"] for each in answer.json()["link"] if each["relation"] == "next")
    more = await api.http.get(following, headers=api.headers(CLINICIAN))
    assert set(found + ids(more.json())) == here
    assert len(found) == 1


async def test_what_is_in_an_encounter(api: World) -> None:
    patient = (await api.patient())["id"]
    practitioner = await api.create({"resourceType": "Practitioner", "name": [{"family": "B"}]})
    made = {}
    for name in ("one", "other"):
        made[name] = await api.create({
            "resourceType": "Encounter", "status": "finished",
            "class": {"code": "AMB"}, "subject": {"reference": f"Patient/{patient}"},
            "participant": [{"individual": {"reference": f"Practitioner/{practitioner['id']}"}}],
        })  # fmt: skip
    seen = {}
    for name, encounter in made.items():
        reference = {"reference": f"Encounter/{encounter['id']}"}
        seen[name] = await api.create(observation(patient, encounter=reference))
    one = made["one"]["id"]
    body = await everything(api, f"/Encounter/{one}", caller=CLINICIAN)
    assert set(ids(body)) == {
        f"Encounter/{one}", f"Patient/{patient}", f"Observation/{seen['one']['id']}"
    }  # fmt: skip
    assert ids(body, "include") == [f"Practitioner/{practitioner['id']}"]
    only = await everything(api, f"/Encounter/{one}", "?_type=Observation")
    assert ids(only) == [f"Observation/{seen['one']['id']}"]
    person = await api.person_of(patient)
    told = await api.journal(person=person, interaction="operation", entity_type="Encounter")
    assert (told[-1]["query"], told[-1]["entity_id"]) == ("$everything", one)
    other = await api.patient()
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    withheld = await api.call("GET", f"/Encounter/{one}/$everything", caller=stranger)
    absent = await api.call("GET", "/Encounter/absent/$everything", caller=stranger)
    assert (withheld.status_code, absent.status_code) == (404, 404)
    assert (
        withheld.json()["issue"][0]["diagnostics"].replace(one, "absent")
        == (absent.json()["issue"][0]["diagnostics"])
    )
    assert await api.journal(person=person, outcome="4", entity_id=one)


async def test_the_records_of_all_patients(api: World) -> None:
    mine = await api.patient()
    await api.create(observation(mine["id"]))
    await api.patient()
    pages, path = [], "/Patient"
    body = await everything(api, path, "?_count=2&_type=Patient,Observation")
    while True:
        pages.append(ids(body))
        following = [each["url"] for each in body["link"] if each["relation"] == "next"]
        if not following:
            break
        answer = await api.http.get(following[0], headers=api.headers(LOADER))
        assert answer.status_code == 200, answer.text
        body = answer.json()
    found = [each for page in pages for each in page]
    assert len(found) == len(set(found))
    rows = await api.db.fetch(
        "select count(*) as n from resource where not deleted and person > 0"
        " and type = any($1::smallint[])",
        [TYPE_NUMBER["Patient"], TYPE_NUMBER["Observation"]],
    )
    assert len(found) == rows[0]["n"]
    assert all(len(page) == 2 for page in pages[:-1])
    own = patient_caller(await api.person_of(mine["id"]), mine["id"])
    seen = await everything(api, "/Patient", caller=own)
    assert len(ids(seen)) == 2
    for caller in (CLINICIAN, INSURER):
        answer = await api.call("GET", "/Patient/$everything", caller=caller)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "query",
    ["_count=0", "_count=x", "start=soon", "_type=Hat", "_since=x", "colour=red", "_cursor=1",
     "end=2020&end=2021"],
)  # fmt: skip
async def test_bad_parameters_are_refused(api: World, query: str) -> None:
    patient = (await api.patient())["id"]
    answer = await api.call("GET", f"/Patient/{patient}/$everything?{query}")
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"][0].startswith("Parameters.parameter.where(name='")


@pytest.mark.parametrize(
    ("parameter", "path"),
    [
        ({"name": "_count", "valueString": "1"}, "Parameters.parameter[0]"),
        ({"name": "colour", "valueString": "1"}, "Parameters.parameter[0]"),
        ({"valueString": "1"}, "Parameters.parameter[0]"),
        (1, "Parameters.parameter[0]"),
    ],
)
async def test_bad_parts_are_refused(api: World, parameter: Any, path: str) -> None:
    patient = (await api.patient())["id"]
    body = {"resourceType": "Parameters", "parameter": [parameter]}
    answer = await api.call("POST", f"/Patient/{patient}/$everything", body)
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == [path]
    wrong = await api.call("POST", f"/Patient/{patient}/$everything", observation(patient))
    assert (wrong.status_code, issues(wrong)[0]["expression"]) == (400, ["resourceType"])


async def test_xml_in_and_out(api: World) -> None:
    patient = (await api.patient())["id"]
    sent = xml.dumps({"resourceType": "Parameters",
                      "parameter": [{"name": "_type", "valueCode": "Patient"}]})  # fmt: skip
    both = {"content_type": "application/fhir+xml", "accept": "application/fhir+xml"}
    answer = await api.call("POST", f"/Patient/{patient}/$everything", sent, **both)
    assert ids(xml.parse(answer.content)) == [f"Patient/{patient}"]
