"""Compartments of an Encounter, Practitioner, RelatedPerson and Device; searches of all by POST."""

from __future__ import annotations

from typing import Any

import pytest

from pater.fhir.definitions import compartment
from tests.rest.world import CLINICIAN, World, observation


def found(answer: Any) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {each["resource"]["id"] for each in answer.json().get("entry", ())}


async def test_what_refers_to_a_stay_and_nothing_else(api: World) -> None:
    patient = await api.patient()
    subject = {"reference": f"Patient/{patient['id']}"}
    doctor = await api.create({"resourceType": "Practitioner"})
    stay = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": subject,
        "participant": [{"individual": {"reference": f"Practitioner/{doctor['id']}"}}],
    }
    first, second = await api.create(stay), await api.create(stay)
    refers = {"encounter": {"reference": f"Encounter/{first['id']}"}}
    one = await api.create(observation(patient["id"], **refers))
    two = await api.create(observation(patient["id"], status="amended", **refers))
    await api.create(observation(patient["id"]))
    place = f"/Encounter/{first['id']}"
    assert found(await api.call("GET", f"{place}/Observation")) == {one["id"], two["id"]}
    assert found(await api.call("GET", f"{place}/Observation?status=amended")) == {two["id"]}
    assert found(await api.call("GET", f"{place}/Encounter")) == {first["id"]}
    where = f"/Practitioner/{doctor['id']}/Encounter"
    assert found(await api.call("GET", where)) == {first["id"], second["id"]}
    page = (await api.call("GET", f"{where}?_count=1")).json()
    links = {link["relation"]: link["url"] for link in page["link"]}
    assert where in links["self"] and "_filter" not in links["self"]
    rest = await api.call("GET", links["next"].partition("/fhir")[2])
    assert found(rest) | {page["entry"][0]["resource"]["id"]} == {first["id"], second["id"]}
    # who has to name a patient has to do so here too
    assert (await api.call("GET", f"{place}/Observation", caller=CLINICIAN)).status_code == 403
    named = f"{place}/Observation?patient={patient['id']}"
    assert found(await api.call("GET", named, caller=CLINICIAN)) == {one["id"], two["id"]}
    assert (await api.call("GET", f"{place}/Organization")).status_code == 404
    assert found(await api.call("GET", "/Encounter/nowhere/Observation")) == set()


async def test_a_compartment_is_searched_by_post_too(api: World) -> None:
    patient = await api.patient()
    one = await api.create(observation(patient["id"]))
    await api.create(observation(patient["id"], status="amended"))
    form = "application/x-www-form-urlencoded"
    place = f"/Patient/{patient['id']}/Observation/_search"
    assert found(await api.call("POST", place, b"status=final", content_type=form)) == {one["id"]}
    assert found(await api.call("GET", f"{place}?status=final")) == {one["id"]}


@pytest.mark.parametrize("whose", ["Device", "Encounter", "Practitioner", "RelatedPerson"])
async def test_every_type_of_a_compartment_can_be_asked_for(api: World, whose: str) -> None:
    for type_ in sorted(compartment(whose)):
        answer = await api.call("GET", f"/{whose}/x/{type_}")
        expected = 404 if type_ == "AuditEvent" else 200  # the journal has its own address
        assert answer.status_code == expected, (type_, answer.text)
