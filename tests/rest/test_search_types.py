"""Searches over several types: one order, inclusions, and a journal that says what was shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.test_search import ids, links
from tests.rest.test_search_forms import bundle, condition
from tests.rest.world import BASE, CLINICIAN, World, issues, observation, patient_caller


async def record(api: World) -> tuple[str, list[dict[str, Any]]]:
    """A patient with Observations and Conditions in turn."""
    patient = (await api.patient())["id"]
    made = []
    for number in range(6):
        kind = observation(patient) if number % 3 else condition(patient, str(number), "x")
        made.append(await api.create(kind))
    return patient, made


async def pages(api: World, query: str, **more: Any) -> list[list[str]]:
    found, url = [], query
    while url:
        page = await bundle(api, url, **more)
        found.append(ids(page))
        url = links(page).get("next", "").removeprefix(BASE)
        assert len(found) < 30
    return found


@pytest.mark.parametrize("size", [1, 2, 4, 50])
async def test_several_types_in_one_order(api: World, size: int) -> None:
    patient, made = await record(api)
    path = f"/?_type=Observation,Condition,Encounter&patient={patient}&_count={size}"
    for sort, wanted in {
        "_id": sorted(each["id"] for each in made),
        "-_id": sorted((each["id"] for each in made), reverse=True),
    }.items():
        found = await pages(api, f"{path}&_sort={sort}&_total=accurate")
        assert [id_ for page in found for id_ in page] == wanted
        assert all(len(page) == size for page in found[:-1])
    times = {each["id"]: each["meta"]["lastUpdated"] for each in made}
    for sort, turned in (("_lastUpdated", False), ("-_lastUpdated,_id", True)):
        found = await pages(api, f"{path}&_sort={sort}")
        shown = [id_ for page in found for id_ in page]
        assert sorted(shown) == sorted(times)
        stamps = [times[id_] for id_ in shown]
        assert stamps == sorted(stamps, reverse=turned)


async def test_the_journal_holds_what_a_sorted_page_showed(api: World) -> None:
    name = [{"family": "Jedinečná"}]
    first, _ = sorted([(await api.patient(name=name))["id"] for _ in range(2)])
    before = len(await api.journal(action="E"))
    path = "/?_type=Patient,Practitioner&name=jedinecna&_sort=_id&_count=1"
    page = await bundle(api, path)
    assert ids(page) == [first]
    rows = (await api.journal(action="E"))[before:]
    assert {row["patient"] for row in rows if row["entity_type"] == "Patient"} == {first}
    assert {row["entity_type"] for row in rows} == {"Patient", "Practitioner"}


async def test_what_is_beside_resources_of_several_types(api: World) -> None:
    patient, made = await record(api)
    listed = await api.create({
        "resourceType": "Provenance", "recorded": "2026-01-02T00:00:00Z",
        "target": [{"reference": f"Observation/{made[1]['id']}"}],
        "agent": [{"who": {"reference": f"Patient/{patient}"}}],
    })  # fmt: skip
    every = {each["id"] for each in made}
    for sort in ("", "&_sort=_id"):
        path = f"/?_type=Observation,Condition&patient={patient}{sort}"
        for query, more in {
            "_include=Observation:subject": {patient},
            "_include=*": {patient},
            "_include=Observation:subject&_include=Condition:subject": {patient},
            "_revinclude=Provenance:target": {listed["id"]},
            "_revinclude=*": {listed["id"]},
            "_revinclude=Provenance:target&_include:iterate=Provenance:agent": {
                listed["id"], patient,
            },
        }.items():  # fmt: skip
            page = await bundle(api, f"{path}&{query}")
            assert set(ids(page)) == every | more, query
            modes = {
                entry["search"]["mode"]
                for entry in page["entry"]
                if entry["resource"]["id"] not in every
            }
            assert modes == {"include"}
        together = await bundle(api, f"/?_type=Patient,Observation&_sort=_id&_count=100"
                                     f"&_filter=_id eq {patient} or _id eq {made[1]['id']}"
                                     "&_include=Observation:subject")  # fmt: skip
        assert sorted(ids(together)) == sorted((patient, made[1]["id"]))
        assert all(entry["search"]["mode"] == "match" for entry in together["entry"])


async def test_one_order_within_the_rights_of_the_caller(api: World) -> None:
    patient, made = await record(api)
    await record(api)
    me = patient_caller(await api.person_of(patient), patient)
    found = await pages(api, "/?_type=Observation,Condition&_sort=-_id&_count=4", caller=me)
    assert {id_ for page in found for id_ in page} == {each["id"] for each in made}
    answer = await api.call("GET", "/?_type=Observation,Condition&_sort=_id", caller=CLINICIAN)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "query",
    ["_type=Patient,Observation&_sort=family", "_type=Patient,Observation&_sort=_id,code",
     "_type=Observation&_include=Patient:link", "_type=Patient&_revinclude=Observation:encounter",
     "_type=Observation&_include=Observation:nonsense", "_type=Patient&_sort=_id&_cursor=x",
     "_type=Patient&_sort=_id&_cursor=Patient~!Patient~", "_type=Patient&_sort=_id&_cursor=Basic~",
     "_type=Patient&_sort=_id&_cursor=Patient~x",
     "_type=" + ",".join(f"{t}" for t in ("Account Basic Binary Bundle CarePlan CareTeam Claim"
      " Condition Coverage Device Encounter Endpoint Flag Goal Group List Location Media Medication"
      " Observation Patient").split()) + "&_sort=_id"],
)  # fmt: skip
async def test_what_cannot_be_one_list_is_refused(api: World, query: str) -> None:
    answer = await api.call("GET", f"/?{query}")
    assert answer.status_code == 400, answer.text
    assert issues(answer)
