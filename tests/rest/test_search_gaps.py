"""Places, functional lists, paths of profiles, truth values, and refusals that help."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.rest.test_search import ids
from tests.rest.test_search_forms import bundle
from tests.rest.world import World, issues

CLINICAL = "http://terminology.hl7.org/CodeSystem"


def place(name: str, latitude: float, longitude: float) -> dict[str, Any]:
    return {
        "resourceType": "Location", "name": name,
        "position": {"latitude": latitude, "longitude": longitude},
    }  # fmt: skip


async def test_places_near_a_point(api: World) -> None:
    made = {
        name: (await api.create(place(name, *at)))["id"]
        for name, at in {
            "Praha": (50.0755, 14.4378), "Brno": (49.1951, 16.6068), "Kladno": (50.1430, 14.1052),
            "Fiji": (-17.0, 179.95), "Taveuni": (-17.0, -179.95), "Pole": (89.9, 40.0),
        }.items()
    }  # fmt: skip
    made["nowhere"] = (await api.create({"resourceType": "Location", "name": "x"}))["id"]
    for query, wanted in {
        "near=50.08|14.42": {"Praha"},
        "near=50.08|14.42|30|km": {"Praha", "Kladno"},
        "near=50.08|14.42|30": {"Praha", "Kladno"},
        "near=50.08|14.42|18.6|[mi_i]": {"Praha", "Kladno"},
        "near=50.08|14.42|1500|m": {"Praha"},
        "near=50.08|14.42|200|km": {"Praha", "Kladno", "Brno"},
        "near=50.08|14.42|5|km,49.2|16.6|5|km": {"Praha", "Brno"},
        "near=50.08|14.42|30|km&name=kladno": {"Kladno"},
        "near=-17|180|6|km": {"Fiji", "Taveuni"},
        "near=90|-140|12|km": {"Pole"},
        "near=0|0|25000|km": {*made} - {"nowhere"},
        "near:missing=true": {"nowhere"},
        "_filter=near eq 49.2|16.6": {"Brno"},
        "_filter=not(near eq 49.2|16.6)": {*made} - {"Brno"},
    }.items():
        found = await bundle(api, f"/Location?{query}&_total=accurate")
        assert set(ids(found)) == {made[name] for name in wanted}, query
        assert found["total"] == len(wanted), query
    patient = (await api.patient())["id"]
    visit = await api.create({
        "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "location": [{"location": {"reference": f"Location/{made['Brno']}"}}],
    })  # fmt: skip
    assert ids(await bundle(api, "/Encounter?location.near=49.2|16.6")) == [visit["id"]]
    moved = {**place("Brno", 10, 10), "id": made["Brno"]}
    assert (await api.call("PUT", f"/Location/{made['Brno']}", moved)).status_code == 200
    assert ids(await bundle(api, "/Location?near=49.2|16.6")) == []
    for wrong in ("near=1", "near:exact=1|2", "near=1|2|3|kg", "_sort=near", "near=95|0"):
        answer = await api.call("GET", f"/Location?{wrong}")
        assert answer.status_code == 400, wrong


async def test_paths_of_profiles_and_sources(api: World) -> None:
    guide = "http://example.org/guide/StructureDefinition"
    made = [
        (await api.patient(meta={"profile": [url], "source": f"urn:example:{n}"}))["id"]
        for n, url in enumerate((f"{guide}/a", f"{guide}/b|1.0", "http://example.org/guided/c"))
    ]
    for query, wanted in {
        f"_profile:below={guide}": made[:2],
        "_profile:below=http://example.org/guide": made[:2],
        "_profile:below=http://example.org": made,
        f"_profile:below={guide}/a": made[:1],
        f"_profile:above={guide}/a/x": made[:1],
        "_source:below=urn:example:1": made[1:2],
    }.items():
        assert set(ids(await bundle(api, f"/Patient?{query}"))) == set(wanted), query


async def test_what_is_on_a_functional_list(api: World) -> None:
    one, other = [(await api.patient())["id"] for _ in range(2)]

    def coded(kind: str, code: str) -> dict[str, Any]:
        return {"coding": [{"system": f"{CLINICAL}/{kind}", "code": code}]}

    async def problem(patient: str, status: str, verified: str = "confirmed") -> str:
        made = await api.create({
            "resourceType": "Condition", "subject": {"reference": f"Patient/{patient}"},
            "clinicalStatus": coded("condition-clinical", status),
            "verificationStatus": coded("condition-ver-status", verified),
            "code": {"text": "x"},
        })  # fmt: skip
        return str(made["id"])

    async def allergy(status: str, category: str) -> str:
        made = await api.create({
            "resourceType": "AllergyIntolerance", "patient": {"reference": f"Patient/{one}"},
            "clinicalStatus": coded("allergyintolerance-clinical", status),
            "category": [category], "code": {"text": "x"},
        })  # fmt: skip
        return str(made["id"])

    problems = {await problem(one, "active"), await problem(one, "relapse")}
    await problem(one, "resolved")
    await problem(one, "active", "refuted")
    theirs = await problem(other, "recurrence")
    drug, food = await allergy("active", "medication"), await allergy("active", "food")
    await allergy("inactive", "medication")
    taken = await api.create({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "subject": {"reference": f"Patient/{one}"}, "medicationCodeableConcept": {"text": "x"},
    })  # fmt: skip
    for path, wanted in {
        f"/Condition?patient={one}&_list=$current-problems": problems,
        f"/Condition?subject=Patient/{other}&_list=$current-problems": {theirs},
        f"/Patient/{one}/Condition?_list=$current-problems": problems,
        f"/AllergyIntolerance?patient={one}&_list=$current-allergies": {drug, food},
        f"/AllergyIntolerance?patient={one}&_list=$current-drug-allergies": {drug},
        f"/MedicationRequest?patient={one}&_list=$current-medications": {taken["id"]},
    }.items():
        assert set(ids(await bundle(api, path))) == wanted, path
    for wrong in ("/Patient?_list=$current-problems", "/Condition?_list=$nonsense"):
        answer = await api.call("GET", wrong)
        assert answer.status_code == 400
        (issue,) = issues(answer)
        assert "$current-problems" in issue["diagnostics"]
        assert issue["expression"] == ["http._list"]


async def test_truth_values_with_their_implied_system(api: World) -> None:
    special = quote("http://terminology.hl7.org/CodeSystem/special-values|")
    yes = (await api.patient(active=True, deceasedBoolean=False))["id"]
    no = (await api.patient(active=False, deceasedDateTime="2026-01-01"))["id"]
    for query, wanted in {
        f"active={special}true": [yes], f"active={special}false": [no], "active=true": [yes],
        f"deceased={special}true": [no], f"active={special}true,false": [no, yes],
        "active=urn:x|true": [], f"active:not={special}true&_id={yes},{no}": [no],
        f"gender={special}true": [],
        f"_filter=active eq {special}true": [yes],
    }.items():  # fmt: skip
        assert ids(await bundle(api, f"/Patient?{query}")) == wanted, query


@pytest.mark.parametrize(
    ("query", "name", "said"),
    [
        ("_sort=nonsense", "_sort", ("nonsense", "birthdate", "_lastUpdated")),
        ("_sort=-family,xyz", "_sort", ("xyz", "family")),
        ("_query=everything", "_query", ("CapabilityStatement",)),
        ("nonsense=1", "nonsense", ("Patient has no such search parameter",)),
        ("birthdate=x", "birthdate", ("2026-11",)),
    ],
)
async def test_a_refusal_names_the_parameter(
    api: World, query: str, name: str, said: tuple[str, ...]
) -> None:
    answer = await api.call("GET", f"/Patient?{query}")
    assert answer.status_code == 400
    (issue,) = issues(answer)
    assert issue["expression"] == [f"http.{name}"]
    for each in said:
        assert each in issue["diagnostics"]


async def test_near_stands_in_the_capability_statement(api: World) -> None:
    statement = (await api.call("GET", "/metadata")).json()
    (location,) = [r for r in statement["rest"][0]["resource"] if r["type"] == "Location"]
    near = {p["name"]: p["type"] for p in location["searchParam"]}["near"]
    assert near == "special"
