"""What the gate decides, withholds and records, whoever calls it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pater.access.caller import Caller
from pater.fhir.search.query import SearchError, parse_search
from pater.records.changes import Change
from pater.records.errors import (
    AlreadyClaimed,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
    Unprocessable,
)
from pater.store.search import Page
from pater.store.write import Claim, Statement, claim_key
from tests.rest.world import (
    CLINICIAN,
    HOSPITAL,
    INSURER,
    LOADER,
    World,
    as_purpose,
    observation,
    patient_caller,
)


async def find(api: World, caller: Caller, type: str, *pairs: tuple[str, str]) -> Page:
    return await api.gate.search(caller, parse_search(type, pairs))


def found(page: Page) -> set[str]:
    return {stored.id for stored in page.matches}


async def two_patients(api: World) -> tuple[Any, Any, Caller]:
    """Two Patients with an Observation each, and the first one as a caller."""
    one, other = await api.patient(), await api.patient()
    one["seen"] = await api.create(observation(one["id"]))
    other["seen"] = await api.create(observation(other["id"]))
    return one, other, patient_caller(await api.person_of(one["id"]), one["id"])


async def test_a_patient_reads_their_own_record_only(api: World) -> None:
    one, other, caller = await two_patients(api)
    stored = await api.gate.read(caller, "Observation", one["seen"]["id"])
    assert stored.id == one["seen"]["id"]
    for call in (
        lambda: api.gate.read(caller, "Observation", other["seen"]["id"]),
        lambda: api.gate.vread(caller, "Observation", other["seen"]["id"], 1),
        lambda: api.gate.history(caller, "Observation", other["seen"]["id"]),
        lambda: api.gate.read(caller, "Patient", other["id"]),
        lambda: api.gate.read(caller, "Patient", "does-not-exist"),
    ):
        with pytest.raises(NotFound):
            await call()


async def test_withheld_and_absent_look_alike(api: World) -> None:
    one, other, caller = await two_patients(api)
    withheld = await api.call("GET", f"/Observation/{other['seen']['id']}", caller=caller)
    absent = await api.call("GET", "/Observation/not-there", caller=caller)
    assert withheld.status_code == absent.status_code == 404
    assert withheld.text.replace(other["seen"]["id"], "not-there") == absent.text
    assert set(withheld.headers) == set(absent.headers)
    assert one


async def test_a_refused_look_is_seen_by_the_person_whom_it_was_about(api: World) -> None:
    _, other, caller = await two_patients(api)
    person = await api.person_of(other["id"])
    caller = replace(caller, request_id="nosy")
    with pytest.raises(NotFound):
        await api.gate.read(caller, "Observation", other["seen"]["id"])
    await find(api, caller, "Observation", ("patient", other["id"]))
    rows = await api.journal(request_id="nosy")
    assert [(r["person"], r["patient"], r["outcome"], r["reason"]) for r in rows] == [
        (person, other["id"], "4", "other-person")
    ] * 2


async def test_searches_show_a_patient_nothing_of_others(api: World) -> None:
    one, other, caller = await two_patients(api)
    assert found(await find(api, caller, "Observation")) == {one["seen"]["id"]}
    assert found(await find(api, caller, "Patient")) == {one["id"]}
    assert not found(await find(api, caller, "Observation", ("_id", other["seen"]["id"])))
    assert not found(await find(api, caller, "Patient", ("_has:Observation:patient:_id",
                                                         other["seen"]["id"])))  # fmt: skip
    total = await find(api, caller, "Observation", ("_total", "accurate"))
    assert total.total == 1


async def test_public_types_do_not_lead_to_other_peoples_records(api: World) -> None:
    doctor = await api.create({"resourceType": "Practitioner", "name": [{"family": "Malý"}]})
    performer = [{"reference": f"Practitioner/{doctor['id']}"}]
    one, other, caller = await two_patients(api)
    mine = await api.create(observation(one["id"], performer=performer))
    theirs = await api.create(observation(other["id"], performer=performer))
    pairs = (("_id", doctor["id"]), ("_revinclude", "Observation:performer"))
    page = await find(api, caller, "Practitioner", *pairs)
    assert {s.id for s in page.included} == {mine["id"]}
    assert not (await find(api, CLINICIAN, "Practitioner", *pairs)).included
    has = ("_has:Observation:performer:_id", theirs["id"])
    assert not found(await find(api, caller, "Practitioner", has))
    assert not found(await find(api, CLINICIAN, "Practitioner", has))
    whole = await find(api, LOADER, "Practitioner", *pairs)
    assert {s.id for s in whole.included} == {mine["id"], theirs["id"]}
    forward = ("_include", "Observation:performer")
    page = await find(api, caller, "Observation", ("_id", mine["id"]), forward)
    assert {s.id for s in page.included} == {doctor["id"]}


async def test_includes_of_a_named_patient_do_not_lead_to_another_one(api: World) -> None:
    doctor = await api.create({"resourceType": "Practitioner", "name": [{"family": "Velký"}]})
    performer = [{"reference": f"Practitioner/{doctor['id']}"}]
    one, other, _ = await two_patients(api)
    mine = await api.create(observation(one["id"], performer=performer))
    theirs = await api.create(observation(other["id"], performer=performer))
    pairs = (
        ("_id", one["id"]),
        ("_revinclude", "Observation:patient"),
        ("_include:iterate", "Observation:performer"),
        ("_revinclude:iterate", "Observation:performer"),
    )
    whole = {s.id for s in (await find(api, LOADER, "Patient", *pairs)).included}
    assert {mine["id"], theirs["id"], doctor["id"]} <= whole
    page = await find(api, replace(CLINICIAN, request_id="wide"), "Patient", *pairs)
    assert {s.id for s in page.included} == whole - {theirs["id"]}
    rows = await api.journal(request_id="wide")
    assert {r["patient"] for r in rows} == {one["id"]}


async def test_old_versions_stay_with_the_person_they_were_written_for(api: World) -> None:
    one, other, caller = await two_patients(api)
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    main = Change("create", "Organization", None, {"resourceType": "Organization", "name": "x"})
    moved = Change(
        "update", "Observation", one["seen"]["id"],
        {**observation(other["id"]), "id": one["seen"]["id"]}, derived=True,
    )  # fmt: skip
    await api.gate.commit(LOADER, [main, moved])
    page = await api.gate.history(stranger, "Observation", one["seen"]["id"])
    assert [stored.version for stored in page.versions] == [2]
    with pytest.raises(NotFound):
        await api.gate.vread(stranger, "Observation", one["seen"]["id"], 1)
    with pytest.raises(NotFound):
        await api.gate.read(caller, "Observation", one["seen"]["id"])
    whole = await api.gate.history(LOADER, "Observation", one["seen"]["id"])
    assert [stored.version for stored in whole.versions] == [2, 1]


async def test_a_record_of_nobody_is_not_a_patients(api: World) -> None:
    stray = observation("x")
    del stray["subject"]
    made = await api.create(stray)
    _, _, caller = await two_patients(api)
    with pytest.raises(NotFound):
        await api.gate.read(caller, "Observation", made["id"])
    assert not found(await find(api, caller, "Observation", ("_id", made["id"])))
    with_include = (("_id", made["id"]), ("_include", "Observation:subject"))
    assert not found(await find(api, caller, "Observation", *with_include))


@pytest.mark.parametrize("caller", [CLINICIAN, HOSPITAL], ids=["clinician", "hospital"])
async def test_a_search_of_personal_data_names_a_patient(api: World, caller: Caller) -> None:
    number = f"77-{caller.id}"
    patient = await api.patient(identifier=[{"system": "urn:x", "value": number}])
    made = await api.create(observation(patient["id"]))
    for pairs in (
        [("code", "8867-4")],
        [("patient.name", "Nov")],
        [("patient:missing", "false")],
        [("identifier", "urn:x|")],
    ):
        with pytest.raises(Forbidden) as refused:
            await find(api, caller, "Observation", *pairs)
        assert refused.value.reason == "not-bound"
    for pairs in (
        [("patient", patient["id"])],
        [("subject", f"Patient/{patient['id']}"), ("code", "8867-4")],
        [("patient.identifier", f"urn:x|{number}")],
        [("_id", made["id"])],
    ):
        assert found(await find(api, caller, "Observation", *pairs)) == {made["id"]}
    named = [("family", "Nováková"), ("birthdate", "1980-02-01"), ("identifier", f"urn:x|{number}")]
    assert found(await find(api, caller, "Patient", *named)) == {patient["id"]}
    assert patient["id"] in found(await find(api, caller, "Patient", *named[:2]))
    for pairs in ([named[0]], [named[0], ("birthdate", "1980")], [named[1]],
                  [named[0], ("birthdate", "ge1980-02-01")]):  # fmt: skip
        with pytest.raises(Forbidden):
            await find(api, caller, "Patient", *pairs)


async def test_a_refused_search_is_recorded_without_the_values_that_identify(api: World) -> None:
    caller = replace(CLINICIAN, request_id="listing")
    with pytest.raises(Forbidden):
        await find(api, caller, "Patient", ("family", "Svobodová"), ("gender", "female"))
    (row,) = await api.journal(request_id="listing")
    assert (row["outcome"], row["reason"], row["interaction"]) == ("4", "not-bound", "search-type")
    assert "gender=female" in row["query"]
    assert "vobod" not in row["query"] and "family=#" in row["query"]


async def test_each_person_shown_by_a_search_gets_an_entry(api: World) -> None:
    one, other, _ = await two_patients(api)
    caller = replace(CLINICIAN, request_id="two-shown")
    ids = f"{one['seen']['id']},{other['seen']['id']}"
    await find(api, caller, "Observation", ("_id", ids))
    rows = await api.journal(request_id="two-shown")
    assert {(r["person"], r["patient"], r["outcome"]) for r in rows} == {
        (await api.person_of(one["id"]), one["id"], "0"),
        (await api.person_of(other["id"]), other["id"], "0"),
    }
    assert len(rows) == 2


async def test_a_search_without_hits_is_recorded_at_whom_it_asked_about(api: World) -> None:
    patient = await api.patient(identifier=[{"system": "urn:y", "value": "5"}])
    person = await api.person_of(patient["id"])
    caller = replace(CLINICIAN, request_id="empty")
    await find(api, caller, "Condition", ("patient", patient["id"]))
    await find(api, caller, "Condition", ("patient.identifier", "urn:y|5"))
    await find(api, caller, "Condition", ("patient", "no-such-patient"))
    rows = await api.journal(request_id="empty")
    assert [r["person"] for r in rows] == [person, person, 0]


async def test_who_has_no_role_or_purpose_gets_nothing(api: World) -> None:
    patient = await api.patient()
    organization = await api.create({"resourceType": "Organization", "name": "N"})
    for caller in (INSURER, as_purpose(CLINICIAN, ""), replace(CLINICIAN, scopes=())):
        with pytest.raises(Forbidden):
            await api.gate.read(caller, "Patient", patient["id"])
        with pytest.raises(Forbidden):
            await find(api, caller, "Patient", ("_id", patient["id"]))
    assert await api.gate.read(as_purpose(CLINICIAN, ""), "Organization", organization["id"])
    with pytest.raises(Forbidden):
        await api.gate.read(INSURER, "Organization", organization["id"])
    refused = await api.journal(agent="insurer", outcome="4", entity_id=patient["id"])
    assert refused[0]["person"] == await api.person_of(patient["id"])


async def test_who_may_not_write_does_not(api: World) -> None:
    patient = await api.patient()
    for caller in (CLINICIAN, HOSPITAL, patient_caller(1, "x")):
        for change in (
            Change("create", "Observation", None, observation(patient["id"])),
            Change("update", "Patient", patient["id"], patient),
            Change("delete", "Patient", patient["id"]),
        ):
            with pytest.raises(Forbidden):
                await api.gate.commit(caller, [change])
    answer = await api.call("GET", f"/Patient/{patient['id']}")
    assert answer.json() == patient


async def test_a_bundle_of_nobodys_is_not_stored_for_a_hospital(api: World) -> None:
    body = {"resourceType": "Bundle", "type": "collection"}
    with pytest.raises(Unprocessable):
        await api.gate.commit(HOSPITAL, [Change("create", "Bundle", None, body)])
    answer = await api.call("POST", "/Bundle", body, HOSPITAL)
    assert answer.status_code == 422


async def test_what_follows_from_an_allowed_change_needs_no_right_of_its_own(api: World) -> None:
    patient = await api.patient()
    person = await api.person_of(patient["id"])
    document = Change(
        "create", "Bundle", None, {"resourceType": "Bundle", "type": "document"},
        raw=b'{"resourceType":"Bundle",  "type":"document"}', person=person,
    )  # fmt: skip
    part = Change(
        "create", "Observation", None, observation(patient["id"]), person=person, derived=True
    )
    caller = replace(HOSPITAL, request_id="doc")
    bundle, seen = await api.gate.commit(caller, [document, part], interaction="document")
    assert bundle.body == document.raw
    (row,) = await api.journal(request_id="doc")
    assert (row["entity_type"], row["entity_id"], row["person"]) == ("Bundle", bundle.id, person)
    assert row["interaction"] == "document"
    assert (await api.gate.read(CLINICIAN, "Observation", seen.id)).person == person
    with pytest.raises(ValueError, match="derived"):
        await api.gate.commit(HOSPITAL, [part])
    with pytest.raises(Forbidden):
        await api.gate.commit(replace(HOSPITAL, scopes=("system/*.rs",)), [document, part])


async def test_an_edit_works_on_the_current_version(api: World) -> None:
    patient = await api.patient()

    def deactivate(resource: dict[str, Any]) -> dict[str, Any]:
        return {**resource, "active": False}

    change = Change("update", "Patient", patient["id"], edit=deactivate)
    (written,) = await api.gate.commit(LOADER, [change])
    assert written.version == 2
    stored = await api.call("GET", f"/Patient/{patient['id']}")
    assert stored.json()["active"] is False
    with pytest.raises(NotFound):
        await api.gate.commit(LOADER, [Change("update", "Patient", "nowhere", edit=deactivate)])


async def test_claims_and_statements_stand_or_fall_with_the_commit(api: World) -> None:
    key = claim_key("test", "one")
    statement = Statement(
        "insert into claim (key, person, target) values ($1, 0, 'by hand')",
        (claim_key("test", "statement"),),
    )
    body = {"resourceType": "Organization", "name": "A"}
    change = Change("create", "Organization", None, body)
    await api.gate.commit(LOADER, [change], claims=[Claim(key, 0, "first")], statements=[statement])
    before = await api.db.fetchval("select count(*) from resource")
    with pytest.raises(AlreadyClaimed) as taken:
        await api.gate.commit(LOADER, [change], claims=[Claim(key, 0, "second")])
    assert (taken.value.key, taken.value.target) == (key, "first")
    assert await api.db.fetchval("select count(*) from resource") == before
    held = Change(
        "create", "Organization", None, body,
        claims_of=lambda resource, person, id: [Claim(key, person, id)],
    )  # fmt: skip
    with pytest.raises(Conflict):
        await api.gate.commit(LOADER, [held])


async def test_expected_versions(api: World) -> None:
    patient = await api.patient()
    with pytest.raises(PreconditionFailed) as failed:
        await api.gate.commit(
            LOADER, [Change("update", "Patient", patient["id"], patient, if_match=3)]
        )
    assert failed.value.current == 1
    chosen = Change("create", "Organization", "chosen", {"resourceType": "Organization"})
    await api.gate.commit(LOADER, [chosen])
    with pytest.raises(Conflict):
        await api.gate.commit(LOADER, [chosen])
    await api.gate.commit(LOADER, [Change("delete", "Patient", patient["id"], if_match=1)])
    with pytest.raises(Gone):
        await api.gate.read(LOADER, "Patient", patient["id"])
    (again,) = await api.gate.commit(LOADER, [Change("delete", "Patient", patient["id"])])
    assert again.version == 0


async def test_a_binary_belongs_to_its_security_context(api: World) -> None:
    patient = await api.patient()
    body = {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "data": "YQ==",
        "securityContext": {"reference": f"Patient/{patient['id']}"},
    }
    made = await api.create(body)
    assert await api.person_of(made["id"]) == await api.person_of(patient["id"])
    body["securityContext"] = {"reference": f"Binary/{made['id']}"}
    second = await api.create(body)
    assert await api.person_of(second["id"]) == await api.person_of(patient["id"])


async def test_the_journal_as_audit_events(api: World) -> None:
    one, other, caller = await two_patients(api)
    await api.gate.read(replace(CLINICIAN, request_id="seen"), "Patient", one["id"])
    page = await find(api, caller, "AuditEvent", ("action", "R"))
    assert len(page.matches) == 1
    answer = await api.call("GET", f"/AuditEvent/{page.matches[0].id}", caller=caller)
    event = answer.json()
    assert answer.status_code == 200
    (requestor,) = [agent for agent in event["agent"] if agent["requestor"]]
    assert requestor["who"]["identifier"]["value"] == CLINICIAN.id
    assert event["entity"][0]["what"]["reference"] == f"Patient/{one['id']}"
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    hidden = await api.call("GET", f"/AuditEvent/{page.matches[0].id}", caller=stranger)
    assert hidden.status_code == 404
    for denied in (CLINICIAN, HOSPITAL, INSURER):
        with pytest.raises(Forbidden):
            await find(api, denied, "AuditEvent", ("patient", one["id"]))


async def test_searching_the_journal(api: World) -> None:
    one, _, caller = await two_patients(api)
    for number in range(5):
        await api.gate.read(
            replace(CLINICIAN, request_id=f"j{number}"), "Observation", one["seen"]["id"]
        )
    entity = ("entity", f"Observation/{one['seen']['id']}")
    mine = await find(api, LOADER, "AuditEvent", ("patient", one["id"]), entity, ("action", "R"))
    assert len(mine.matches) == 5
    assert [s.updated for s in mine.matches] == sorted(
        (s.updated for s in mine.matches), reverse=True
    )
    pages, cursor = [], ()
    while True:
        page = await find(
            api, caller, "AuditEvent", entity, ("action", "R"), ("_count", "2"), *cursor
        )
        pages.append(found(page))
        if page.next is None:
            break
        cursor = (("_cursor", page.next),)
    assert [len(p) for p in pages] == [2, 2, 1]
    assert set().union(*pages) == found(mine)
    today = api.clock().date().isoformat()
    for pairs, count in (
        ([("date", today)], 5),
        ([("date", f"lt{today}")], 0),
        ([("date", f"ge{today}"), ("outcome", "0")], 5),
        ([("outcome", "8")], 0),
        ([("agent:identifier", f"urn:pater:agent|{CLINICIAN.id}")], 5),
        ([("_id", next(iter(found(mine))))], 1),
    ):
        page = await find(api, LOADER, "AuditEvent", ("action", "R"), entity, *pairs)
        assert len(page.matches) == count, pairs
    for wrong in (("agent.name", "x"), ("_sort", "date"), ("_total", "accurate"), ("_cursor", "x")):
        with pytest.raises(SearchError):
            await find(api, LOADER, "AuditEvent", wrong)


async def test_journal_rows_for_pages(api: World) -> None:
    one, other, caller = await two_patients(api)
    await api.gate.read(CLINICIAN, "Patient", one["id"])
    person = await api.person_of(one["id"])
    rows = await api.gate.journal(caller, count=3)
    assert {row.person for row in rows} == {person}
    assert rows == sorted(rows, key=lambda row: row.seq, reverse=True)
    older = await api.gate.journal(caller, count=50, before=(rows[-1].at, rows[-1].seq))
    assert all(row.seq < rows[-1].seq for row in older)
    with pytest.raises(Forbidden):
        await api.gate.journal(caller, person=await api.person_of(other["id"]))
    with pytest.raises(Forbidden):
        await api.gate.journal(CLINICIAN, person=person)
    mine = await api.gate.journal(LOADER, agent=CLINICIAN.id, person=person)
    assert [row.entity_id for row in mine] == [one["id"]]
