"""Search Bundles over HTTP: entries, links, totals, projections, POST."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pater.fhir.validation import validate
from tests.rest.world import BASE, World, issues, observation


def links(bundle: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle.get("link", ())}


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


async def test_a_search_answers_with_a_searchset(api: World) -> None:
    patient = await api.patient()
    made = await api.create(observation(patient["id"]))
    answer = await api.call("GET", f"/Observation?patient={patient['id']}&code=8867-4")
    bundle = answer.json()
    assert answer.status_code == 200
    assert not validate(bundle)
    assert bundle["type"] == "searchset"
    (entry,) = bundle["entry"]
    assert entry["fullUrl"] == f"{BASE}/Observation/{made['id']}"
    assert entry["resource"] == made
    assert entry["search"] == {"mode": "match"}
    assert links(bundle)["self"] == f"{BASE}/Observation?patient={patient['id']}&code=8867-4"
    assert "total" not in bundle


async def test_a_patient_is_named_by_the_servers_own_address_too(api: World) -> None:
    patient, other = await api.patient(), await api.patient()
    made = await api.create(observation(patient["id"]))
    await api.create(observation(other["id"]))
    for query in ("patient={0}", "subject={0}", "encounter.subject={0}", "subject={0},{0}"):
        whole = query.format(f"{BASE}/Patient/{patient['id']}")
        bundle = (await api.call("GET", f"/Observation?{whole}")).json()
        found = [] if query.startswith("encounter") else [made["id"]]
        assert ids(bundle) == found, query
    abroad = f"https://elsewhere.example/fhir/Patient/{patient['id']}"
    assert ids((await api.call("GET", f"/Observation?patient={abroad}")).json()) == []


async def test_nothing_found_is_an_empty_searchset(api: World) -> None:
    patient = await api.patient()
    bundle = (await api.call("GET", f"/Condition?patient={patient['id']}")).json()
    assert not validate(bundle)
    assert "entry" not in bundle


async def test_pages_follow_each_other_without_gap_or_repetition(api: World) -> None:
    patient = await api.patient()
    made = [
        (await api.create(observation(patient["id"], effectiveDateTime=f"2026-01-0{n}")))["id"]
        for n in range(1, 8)
    ]
    url = f"{BASE}/Observation?patient={patient['id']}&_sort=-date&_count=3&_total=accurate"
    seen: list[str] = []
    pages = 0
    while url:
        bundle = (await api.call("GET", url.removeprefix(BASE))).json()
        assert bundle["total"] == 7
        seen += ids(bundle)
        url = links(bundle).get("next", "")
        pages += 1
    assert seen == made[::-1]
    assert pages == 3


async def test_a_cursor_belongs_to_its_search(api: World) -> None:
    patient = await api.patient()
    for _ in range(3):
        await api.create(observation(patient["id"]))
    first = (await api.call("GET", f"/Observation?patient={patient['id']}&_count=1")).json()
    cursor = dict(parse_qsl(urlsplit(links(first)["next"]).query))["_cursor"]
    stolen = await api.call("GET", f"/Observation?code=8867-4&_count=1&_cursor={cursor}")
    assert stolen.status_code == 400
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    forged = await api.call(
        "GET", f"/Observation?patient={patient['id']}&_count=1&_cursor={changed}"
    )
    assert forged.status_code == 400
    assert issues(forged)


async def test_the_number_alone(api: World) -> None:
    patient = await api.patient()
    for _ in range(2):
        await api.create(observation(patient["id"]))
    query = f"/Observation?patient={patient['id']}"
    for more in ("&_summary=count", "&_count=0"):
        bundle = (await api.call("GET", query + more)).json()
        assert (bundle["total"], "entry" in bundle) == (2, False)


async def test_a_post_search_is_the_same_search(api: World) -> None:
    patient = await api.patient()
    made = await api.create(observation(patient["id"]))
    answer = await api.call(
        "POST",
        "/Observation/_search?_count=5",
        f"patient={patient['id']}&code=http%3A%2F%2Floinc.org%7C8867-4",
        content_type="application/x-www-form-urlencoded",
    )
    assert ids(answer.json()) == [made["id"]]
    wrong = await api.call("POST", "/Observation/_search", {"patient": "1"})
    assert wrong.status_code == 415


async def test_includes_are_marked(api: World) -> None:
    patient = await api.patient()
    await api.create(observation(patient["id"]))
    path = f"/Observation?patient={patient['id']}&_include=Observation:subject"
    bundle = (await api.call("GET", path)).json()
    modes = {e["resource"]["resourceType"]: e["search"]["mode"] for e in bundle["entry"]}
    assert modes == {"Observation": "match", "Patient": "include"}
    back = f"/Patient?_id={patient['id']}&_revinclude=Observation:patient"
    bundle = (await api.call("GET", back)).json()
    modes = {e["resource"]["resourceType"]: e["search"]["mode"] for e in bundle["entry"]}
    assert modes == {"Patient": "match", "Observation": "include"}


async def test_projections_of_hits(api: World) -> None:
    patient = await api.patient()
    await api.create(observation(patient["id"], note=[{"text": "n"}]))
    path = f"/Observation?patient={patient['id']}"
    (one,) = (await api.call("GET", f"{path}&_elements=code")).json()["entry"]
    assert set(one["resource"]) == {"resourceType", "id", "meta", "status", "code"}
    (one,) = (await api.call("GET", f"{path}&_summary=true")).json()["entry"]
    assert "note" not in one["resource"]
    assert one["resource"]["meta"]["tag"][-1]["code"] == "SUBSETTED"


async def test_a_birth_number_in_another_form_and_chains(api: World) -> None:
    system = "https://ncez.mzcr.cz/fhir/sid/rcis"
    patient = await api.patient(identifier=[{"system": system, "value": "8002011235"}])
    made = await api.create(observation(patient["id"]))
    path = f"/Observation?patient.identifier={system}|8002011235"
    assert ids((await api.call("GET", path)).json()) == [made["id"]]
    whole = "/Patient?family=novakova&birthdate=1980-02-01&identifier=8002011235"
    assert ids((await api.call("GET", whole)).json()) == [patient["id"]]


async def test_what_was_deleted_is_not_found(api: World) -> None:
    patient = await api.patient()
    made = await api.create(observation(patient["id"]))
    await api.call("DELETE", f"/Observation/{made['id']}")
    path = f"/Observation?patient={patient['id']}"
    assert ids((await api.call("GET", path)).json()) == []


async def test_the_links_of_a_post_search_show_nothing_of_it(api: World) -> None:
    patient = await api.patient(identifier=[{"system": "urn:z", "value": "secret-number"}])
    made = {(await api.create(observation(patient["id"])))["id"] for _ in range(3)}
    answer = await api.call(
        "POST",
        "/Observation/_search",
        "patient.identifier=urn:z%7Csecret-number&_count=2",
        content_type="application/x-www-form-urlencoded",
    )
    first = answer.json()
    assert "secret-number" not in links(first)["self"] + links(first)["next"]
    second = (await api.call("GET", links(first)["next"].removeprefix(BASE))).json()
    assert {*ids(first), *ids(second)} == made
    assert "secret-number" not in links(second)["self"]
    again = (await api.call("GET", links(first)["self"].removeprefix(BASE))).json()
    assert ids(again) == ids(first)
    following = links(first)["next"]
    spoiled = following[:-4] + ("BBBB" if following[-4:-1] == "AAA" else "AAAA")
    for forged in (spoiled, f"{BASE}/Observation?_page=%20"):
        refused = await api.call("GET", forged.removeprefix(BASE))
        assert refused.status_code == 400
    other = links(first)["next"].removeprefix(BASE).replace("/Observation", "/Condition")
    assert (await api.call("GET", other)).status_code == 400
