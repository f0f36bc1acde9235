"""Counting, combining and naming several: nobody learns more of it than of a plain search."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from pater.access.caller import Caller
from pater.records.changes import Change
from pater.records.errors import Forbidden, NotFound
from pater.records.searching import MOST_PERSONS
from tests.records.test_gate import find, found, two_patients
from tests.rest.world import CLINICIAN, HOSPITAL, LOADER, World, observation, patient_caller


async def at(api: World, request_id: str) -> set[tuple[str, str]]:
    """(Patient id, outcome) of the journal entries of one request."""
    return {(r["patient"], r["outcome"]) for r in await api.journal(request_id=request_id)}


@pytest.mark.parametrize("alone", [("_summary", "count"), ("_count", "0")])
async def test_a_number_alone_is_recorded_at_the_person_counted(
    api: World, alone: tuple[str, str]
) -> None:
    number = uuid4().hex
    patient = await api.patient(identifier=[{"system": "urn:x", "value": number}])
    seen = await api.create(
        observation(patient["id"], identifier=[{"system": "urn:o", "value": number}])
    )
    for type_, pairs in (
        ("Patient", [("identifier", number)]),
        ("Patient", [("identifier", number), ("_has:Observation:patient:code", "8867-4")]),
        ("Patient", [("_id", patient["id"])]),
        ("Patient", [("family", "Nováková"), ("birthdate", "1980-02-01"), ("identifier", number)]),
        ("Observation", [("_id", seen["id"])]),
        ("Observation", [("identifier", number)]),
        ("Observation", [("patient", patient["id"]), ("code", "8867-4")]),
        ("Observation", [("patient.identifier", number), ("code", "8867-4")]),
    ):
        name = uuid4().hex
        page = await find(api, replace(CLINICIAN, request_id=name), type_, *pairs, alone)
        assert (page.matches, page.total) == ([], 1), pairs
        assert await at(api, name) == {(patient["id"], "0")}, pairs


async def test_a_patients_own_number_is_in_their_journal(api: World) -> None:
    one, _, caller = await two_patients(api)
    page = await find(api, replace(caller, request_id="own-number"), "Observation",
                      ("_summary", "count"))  # fmt: skip
    assert page.total == 1
    assert await at(api, "own-number") == {(one["id"], "0")}


async def test_everybody_named_by_a_search_gets_an_entry(api: World) -> None:
    one, other, _ = await two_patients(api)
    await api.create({"resourceType": "Flag", "status": "active", "code": {"text": "x"},
                      "subject": {"reference": f"Patient/{one['id']}"}})  # fmt: skip
    caller = replace(CLINICIAN, request_id="both")
    page = await find(api, caller, "Flag", ("patient", f"{one['id']},{other['id']}"))
    assert len(page.matches) == 1
    assert await at(api, "both") == {(one["id"], "0"), (other["id"], "0")}


async def test_a_patients_try_by_any_name_is_seen_by_the_other(api: World) -> None:
    number = uuid4().hex
    _, _, caller = await two_patients(api)
    other = await api.patient(identifier=[{"system": "urn:x", "value": number}])
    seen = await api.create(observation(other["id"]))
    for type_, pair in (
        ("Patient", ("identifier", number)),
        ("Observation", ("_id", seen["id"])),
        ("Observation", ("patient.identifier", number)),
        ("Observation", ("patient", f"{other['id']},{caller.patient}")),
    ):
        name = uuid4().hex
        page = await find(api, replace(caller, request_id=name), type_, pair)
        assert other["id"] not in found(page) and seen["id"] not in found(page)
        assert (other["id"], "4") in await at(api, name), pair


async def test_a_patient_cannot_count_records_of_nobody(api: World) -> None:
    await api.create({"resourceType": "Device", "serialNumber": "1"})
    _, _, caller = await two_patients(api)
    for more in ([], [("_include", "Device:organization")], [("_include", "*")],
                 [("organization.name:missing", "true")]):  # fmt: skip
        page = await find(api, caller, "Device", ("_total", "accurate"), *more)
        assert (page.total, page.matches) == (0, []), more


async def test_a_combination_does_not_reach_a_patient_who_is_not_named(api: World) -> None:
    doctor = await api.create({"resourceType": "Practitioner", "name": [{"family": "Tichý"}]})
    performer = [{"reference": f"Practitioner/{doctor['id']}"}]
    one, other, _ = await two_patients(api)
    await api.create(observation(one["id"], performer=performer))
    await api.create(
        observation(other["id"], performer=performer, code={"coding": [{"code": "secret"}]})
    )
    has = "_has:Observation:performer:code"
    for type_, pairs in (
        ("Observation", [("patient", one["id"]), (f"performer:Practitioner.{has}", "secret")]),
        ("Patient", [("_id", one["id"]),
                     (f"_has:Observation:patient:performer:Practitioner.{has}", "secret")]),
    ):  # fmt: skip
        whole = await find(api, LOADER, type_, *pairs)
        assert len(whole.matches) == 1  # the question itself works
        for caller in (CLINICIAN, HOSPITAL):
            page = await find(api, caller, type_, *pairs, ("_total", "accurate"))
            assert (page.matches, page.total) == ([], 0)


@pytest.mark.parametrize("caller", [CLINICIAN, HOSPITAL], ids=["clinician", "hospital"])
async def test_no_identifier_lists_people(api: World, caller: Caller) -> None:
    number = uuid4().hex
    shared = [{"system": "urn:order", "value": number}]
    for _ in range(MOST_PERSONS + 1):
        patient = await api.patient()
        await api.create(observation(patient["id"], identifier=shared))
    for more in ([], [("_count", "5")], [("_summary", "count")],
                 [("_count", "1"), ("_total", "accurate")]):  # fmt: skip
        with pytest.raises(Forbidden) as refused:
            await find(api, caller, "Observation", ("identifier", number), *more)
        assert refused.value.reason == "not-bound"


async def test_what_came_with_a_record_is_in_it_whatever_its_type(api: World) -> None:
    one, other, caller = await two_patients(api)
    person = await api.person_of(one["id"])
    name = uuid4().hex
    main = Change("create", "Organization", None, {"resourceType": "Organization", "name": name})
    part = Change("create", "Organization", None, main.resource, person=person, derived=True)
    shared, own = (w.id for w in await api.gate.commit(LOADER, [main, part]))
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    for who, seen in (
        (CLINICIAN, {shared}),
        (HOSPITAL, {shared}),
        (stranger, {shared}),
        (caller, {shared, own}),
        (LOADER, {shared, own}),
    ):
        for more in ([], [("_include", "Organization:partof")]):
            page = await find(api, who, "Organization", ("name", name), ("_total", "accurate"),
                              *more)  # fmt: skip
            assert (found(page), page.total) == (seen, len(seen)), (who.id, more)
    for who in (stranger, replace(CLINICIAN, purpose="")):
        with pytest.raises(NotFound):
            await api.gate.read(who, "Organization", own)
        with pytest.raises(NotFound):
            await api.gate.history(who, "Organization", own)
    await api.gate.read(replace(CLINICIAN, request_id="own-part"), "Organization", own)
    assert await at(api, "own-part") == {(one["id"], "0")}
