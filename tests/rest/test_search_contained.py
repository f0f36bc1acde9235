"""Contained resources: found by themselves, by chains into them, and never beyond the rights."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.test_search import ids, links
from tests.rest.test_search_forms import bundle
from tests.rest.world import BASE, CLINICIAN, World, issues, patient_caller

DRUGS = "urn:example:drugs"


def medication(id: str, code: str, **elements: Any) -> dict[str, Any]:
    concept = {"coding": [{"system": DRUGS, "code": code, "display": f"Drug {code}"}]}
    return {"resourceType": "Medication", "id": id, "code": concept, **elements}


def apart(code: str) -> dict[str, Any]:
    return {key: value for key, value in medication("", code).items() if key != "id"}


def request(patient: str, *inner: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "subject": {"reference": f"Patient/{patient}"}, "contained": list(inner),
        "medicationReference": {"reference": f"#{inner[0]['id']}"}, **elements,
    }  # fmt: skip


async def shown(api: World, query: str, **more: Any) -> list[str]:
    return [each["fullUrl"].removeprefix(f"{BASE}/")
            for each in (await bundle(api, query, **more)).get("entry", ())]  # fmt: skip


async def test_contained_resources_by_themselves(api: World) -> None:
    patient = (await api.patient())["id"]
    lot = {"batch": {"lotNumber": "L1", "expirationDate": "2027-05-01"}}
    one = await api.create(request(patient, medication("m", "c1", **lot)))
    both = await api.create(
        request(
            patient, medication("a", "c1"), medication("b", "c2"),
            supportingInformation=[{"reference": "#b"}],
        )
    )  # fmt: skip
    alone = await api.create(apart("c1"))
    first, second = f"MedicationRequest/{one['id']}", f"MedicationRequest/{both['id']}"
    free = f"Medication/{alone['id']}"
    path = f"/Medication?code={DRUGS}|c1"
    for query, wanted in {
        path: [free],
        f"{path}&_contained=false": [free],
        f"{path}&_contained=true": [second, first],
        f"{path}&_contained=true&_containedType=container": [second, first],
        f"{path}&_contained=true&_containedType=contained": [f"{second}#a", f"{first}#m"],
        f"{path}&_contained=both": [free, second, first],
        f"{path}&_contained=both&_containedType=contained": [free, f"{second}#a", f"{first}#m"],
        f"{path},{DRUGS}|c2&_contained=true&_containedType=contained": [
            f"{second}#a", f"{second}#b", f"{first}#m",
        ],
        f"{path}&lot-number=L1&_contained=true": [first],
        f"{path}&expiration-date=2027&_contained=true": [first],
        f"{path}&_id=a&_contained=true&_containedType=contained": [f"{second}#a"],
        f"/Medication?code={DRUGS}|c2&lot-number=L1&_contained=true": [],
        f"{path}&lot-number:missing=true&_contained=true": [second],
        f"/Medication?code:not={DRUGS}|c1&code={DRUGS}|c2&_contained=true": [second],
        "/Medication?code:text=drug c2&_contained=true": [second],
        f"/Patient?_contained=true&name=x{'y' * 9}": [],
    }.items():  # fmt: skip
        found = await bundle(api, f"{query}&_total=accurate")
        assert await shown(api, query) == wanted, query
        assert found["total"] == len(wanted), query
        assert all(entry["search"]["mode"] == "match" for entry in found.get("entry", ()))
    (entry,) = (await bundle(api, f"{path}&lot-number=L1&_contained=true"
                                  "&_containedType=contained"))["entry"]  # fmt: skip
    assert entry["resource"] == medication("m", "c1", **lot)
    counted = await bundle(api, f"{path}&_contained=both&_summary=count")
    assert (counted["total"], "entry" in counted) == (3, False)
    assert (await api.call("DELETE", f"/{first}")).status_code == 204
    changed = {**both, "contained": [medication("a", "c9"), medication("b", "c2")]}
    assert (await api.call("PUT", f"/{second}", changed)).status_code == 200
    assert await shown(api, f"{path}&_contained=true") == []


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_of_contained_resources(api: World, size: int) -> None:
    patient = (await api.patient())["id"]
    code = f"paged-{size}"
    made = [
        (await api.create(request(patient, medication("m", code if n % 2 else "other"))))["id"]
        for n in range(8)
    ]
    free = (await api.create(apart(code)))["id"]
    for what, wanted in (("true", made[1::2]), ("both", [*made[1::2], free])):
        seen: list[str] = []
        url = f"/Medication?code={DRUGS}|{code}&_contained={what}&_count={size}&_total=accurate"
        while url:
            page = await bundle(api, url)
            assert page["total"] == len(wanted)
            assert len(page.get("entry", ())) <= size
            seen += ids(page)
            url = links(page).get("next", "").removeprefix(BASE)
        assert len(seen) == len(set(seen))
        assert set(seen) == set(wanted)


async def test_chains_lead_into_contained_resources(api: World) -> None:
    patient = (await api.patient())["id"]
    held = {"resourceType": "Organization", "id": "o", "name": "Lékárna U Lva",
            "identifier": [{"system": "urn:o", "value": "7"}]}  # fmt: skip
    lot = {"batch": {"lotNumber": "L7", "expirationDate": "2027-05-01"}}
    inner = medication("m", "chained", manufacturer={"reference": "#o"}, **lot)
    one = (await api.create(request(patient, inner, held)))["id"]
    outer = {"reference": f"Medication/{(await api.create(apart('chained')))['id']}"}
    asked = {"requester": {"reference": "#o"}, "medicationReference": outer}
    two = (await api.create(request(patient, held, **asked)))["id"]
    for query, wanted in {
        f"medication.code={DRUGS}|chained": {one, two},
        f"medication:Medication.code={DRUGS}|chained": {one, two},
        "medication.lot-number=L7": {one},
        "medication.expiration-date=gt2027": set(),
        "medication.expiration-date=2027-05-01": {one},
        "requester:Organization.name=lekarna": {two},
        "requester:Organization.identifier=urn:o|7": {two},
        "requester:Organization.name=nic": set(),
        f"medication.code={DRUGS}|nothing": set(),
    }.items():
        found = await bundle(api, f"/MedicationRequest?patient={patient}&{query}&_total=accurate")
        assert set(ids(found)) == wanted, query
        assert found["total"] == len(wanted)


async def test_contained_resources_and_the_rights_of_their_containers(api: World) -> None:
    mine, other = await api.patient(), await api.patient()
    own = await api.create(request(mine["id"], medication("m", "secret")))
    await api.create(request(other["id"], medication("m", "secret")))
    path = f"/Medication?code={DRUGS}|secret&_contained=true"
    me = patient_caller(await api.person_of(mine["id"]), mine["id"])
    assert await shown(api, path, caller=me) == [f"MedicationRequest/{own['id']}"]
    # who has to name the patient finds no containers of patients who are not named
    assert await shown(api, path, caller=CLINICIAN) == []
    rows = await api.journal(person=await api.person_of(mine["id"]), action="E")
    assert any("_contained=true" in row["query"] for row in rows)


@pytest.mark.parametrize(
    "query",
    ["_contained=maybe", "_containedType=x", "_contained=true&_sort=_id",
     "_contained=true&_include=Medication:manufacturer", "_contained=both&_summary=true",
     "_contained=true&manufacturer.name=x", "_contained=true&_contained=true",
     "_contained=true&_elements=code", "_contained=true&_content=x",
     "_contained=true&_filter=status eq active or status eq x"],
)  # fmt: skip
async def test_what_contained_resources_are_not_asked(api: World, query: str) -> None:
    answer = await api.call("GET", f"/Medication?{query}")
    assert answer.status_code == 400, answer.text
    assert issues(answer)[0]["expression"][0].startswith("http._contained")
