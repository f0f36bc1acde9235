"""ITI-104: a hospital tells of its patients, revises, resolves duplicates and removes numbers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pater.fhir.validation import validate
from pater.registers import sources
from tests.persons.faces import (
    BIRTH_NUMBER,
    INSURED,
    NUMBER,
    NUMBERS_A,
    NUMBERS_B,
    OID_A,
    RID,
    A,
    B,
    Faces,
    naming,
    somebody,
)
from tests.rest.world import CLINICIAN, INSURER, LOADER, issues


def link(number: str, system: str = NUMBERS_A) -> dict[str, Any]:
    other = {"identifier": {"system": system, "value": number}}
    return {"active": False, "link": [{"other": other, "type": "replaced-by"}]}


def golden(answer: Any) -> tuple[str, str]:
    """The register's Patient and RID that an answer leads to."""
    body = answer.json()
    assert not [each for each in validate(body) if each.severity == "error"]
    [found] = body["link"]
    assert found["type"] == "refer" and found["other"]["identifier"]["system"] == RID
    return found["other"]["reference"], found["other"]["identifier"]["value"]


async def test_a_patient_is_added_and_revised_under_the_hospitals_number(at: Faces) -> None:
    added = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    assert added.status_code == 201
    assert added.json()["identifier"][0] == {"system": NUMBERS_A, "value": "1"}
    patient, rid = golden(added)
    assert added.headers["location"].endswith(patient) and not rid.startswith("D")
    again = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER), gender="female"))
    revised = await at.feed(
        "1", somebody((BIRTH_NUMBER, NUMBER), name=[{"family": "Malá", "given": ["Ludmila"]}])
    )
    assert (again.status_code, revised.status_code) == (200, 200)
    assert golden(again) == golden(revised) == (patient, rid)
    master = (await at.call("GET", f"/{patient}", by=LOADER)).json()
    assert master["name"][0]["family"] == "Malá"
    assert NUMBERS_A not in str(master)
    assert await at.desk.count() == 1


async def test_two_hospitals_tell_of_one_person(at: Faces) -> None:
    one = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    other = await at.feed("77", somebody((BIRTH_NUMBER, NUMBER)), B)
    assert other.status_code == 201 and golden(one) == golden(other)
    # the same number of two hospitals is two numbers
    third = somebody(name=[{"family": "Jiný", "given": ["Karel"]}], birthDate="1950-01-01",
                     gender="male", address=None, telecom=None)  # fmt: skip
    assert golden(await at.feed("1", third, B)) != golden(one)


async def test_a_post_takes_the_number_of_the_senders_own(at: Faces) -> None:
    told = somebody((BIRTH_NUMBER, NUMBER), (NUMBERS_B, "9"), (f"urn:oid:{OID_A}", "5"))
    made = await at.call("POST", "/Patient", told)
    assert made.status_code == 201
    # an OID and a URL of one system are one, whichever was said
    assert (await at.feed("5", somebody((BIRTH_NUMBER, NUMBER)))).status_code == 200
    bare = await at.call("POST", "/Patient", told, prefer="return=minimal")
    assert (bare.status_code, bare.text) == (200, "")


async def test_everything_wrong_with_the_numbers_is_said_at_once(at: Faces) -> None:
    told = somebody((NUMBERS_A, "1"), ("https://nobody.example", "2"))
    told["identifier"] += [{"value": "3"}, {"system": NUMBERS_A}]
    answer = await at.call("POST", "/Patient", told)
    assert answer.status_code == 422
    places = [each["expression"][0] for each in issues(answer)]
    assert places == [
        "Patient.identifier[1].system", "Patient.identifier[2].system",
        "Patient.identifier[3].value",
    ]  # fmt: skip
    assert await at.desk.count() == 0


async def test_a_number_of_somebody_else_is_not_given(at: Faces) -> None:
    foreign = await at.feed("1", somebody(), A, NUMBERS_B)
    assert foreign.status_code == 422 and "authority" in issues(foreign)[0]["diagnostics"]
    only = await at.call("POST", "/Patient", somebody((NUMBERS_B, "1")))
    assert only.status_code == 422 and NUMBERS_B in issues(only)[0]["diagnostics"]
    national = await at.feed("1", somebody(), A, INSURED)
    assert national.status_code == 422


async def test_a_feed_names_one_number(at: Faces) -> None:
    one = f"identifier={NUMBERS_A}|1"
    for query in ("identifier=1", f"identifier={NUMBERS_A}|", "identifier=|1", "family=x",
                  f"{one},{NUMBERS_A}|2", f"{one}&family=x"):  # fmt: skip
        for method, body in (("PUT", somebody()), ("DELETE", None)):
            answer = await at.call(method, f"/Patient?{query}", body)
            assert answer.status_code == 400, answer.text


async def test_a_removed_number_is_nobodys_and_may_be_given_anew(at: Faces) -> None:
    added = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    gone = await at.call("DELETE", f"/Patient?identifier={NUMBERS_A}|1")
    again = await at.call("DELETE", f"/Patient?identifier={NUMBERS_A}|1")
    assert (gone.status_code, again.status_code) == (204, 204)
    status, _ = await at.pix(f"{NUMBERS_A}|1")
    assert status == 404
    patient, rid = golden(added)
    assert (await at.call("GET", f"/{patient}", by=LOADER)).status_code == 200
    other = somebody(name=[{"family": "Jiný", "given": ["Karel"]}], birthDate="1950-01-01",
                     gender="male", address=None, telecom=None)  # fmt: skip
    anew = await at.feed("1", other)
    assert anew.status_code == 201 and golden(anew)[1] != rid


async def test_a_duplicate_that_only_its_hospital_knows_is_merged(at: Faces) -> None:
    kept = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    twice = somebody(name=[{"family": "Prochaskova", "given": ["Lída"]}], birthDate=None,
                     address=None, telecom=None)  # fmt: skip
    double = await at.feed("2", twice)
    assert golden(double) != golden(kept)
    resolved = await at.feed("2", {**twice, **link("1")})
    assert resolved.status_code == 200 and golden(resolved) == golden(kept)
    patient, rid = golden(kept)
    status, found = await at.pix(f"{NUMBERS_A}|2")
    assert status == 200 and (RID, rid) in found and patient in found
    assert (NUMBERS_A, "1") in found and (NUMBERS_A, "2") not in found
    merged = (await at.call("GET", f"/{golden(double)[0]}", by=LOADER)).json()
    assert merged["active"] is False
    # said again, nothing happens
    assert golden(await at.feed("2", {**twice, **link("1")})) == golden(kept)


async def test_persons_of_whom_others_know_are_left_to_a_registrar(at: Faces) -> None:
    kept = await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    other = somebody(name=[{"family": "Veselý", "given": ["Karel"]}], birthDate="1950-01-01",
                     gender="male", address=None, telecom=None)  # fmt: skip
    double = await at.feed("2", other)
    shared = golden(await at.feed("50", other, B))
    resolved = await at.feed("2", {**other, **link("1")})
    assert golden(resolved) == golden(kept)
    # the number leads to the other person now; the person stays, and stands in the queue
    assert (RID, golden(kept)[1]) in (await at.pix(f"{NUMBERS_A}|2"))[1]
    left = (await at.call("GET", f"/{golden(double)[0]}", by=LOADER)).json()
    assert left.get("active") is not False
    assert (RID, shared[1]) in (await at.pix(f"{NUMBERS_B}|50", by=B))[1]
    assert await at.desk.api.db.fetchval("select count(*) from match_case where state = 'open'")


async def test_a_bad_resolution_changes_nothing(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    await at.feed("7", somebody((BIRTH_NUMBER, NUMBER)), B)
    for more in (link("99"), link("1"), link("7", NUMBERS_B), {**link("1"), "active": True}):
        answer = await at.feed("1", {**somebody(), **more})
        assert answer.status_code == 422, answer.text
    assert await at.desk.api.db.fetchval("select count(*) from merge") == 0


async def test_only_who_may_tell_of_patients_does(at: Faces) -> None:
    reading = replace(A, scopes=("system/*.rs",))
    for caller in (reading, replace(A, purpose=""), CLINICIAN, INSURER):
        for method, body in (("PUT", somebody()), ("DELETE", None)):
            path = f"/Patient?identifier={NUMBERS_A}|1"
            answer = await at.call(method, path, body, caller)
            assert answer.status_code == 403, (caller, answer.text)
    assert await at.desk.count() == 0


async def test_what_is_told_stands_in_the_journal_of_the_person(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    await at.call("DELETE", f"/Patient?identifier={NUMBERS_A}|1")
    told = await at.desk.api.journal(agent="a")
    assert [each["person"] > 0 for each in told] == [True] * len(told)
    assert [each["query"] for each in told][-1] == "number-ended" and len(told) == 3


async def test_many_who_feed_one_number_at_once_make_one_person(at: Faces) -> None:
    told = somebody((BIRTH_NUMBER, NUMBER))
    answers = await asyncio.gather(*(at.feed("1", told) for _ in range(8)))
    assert {each.status_code for each in answers} <= {200, 201}
    assert len({golden(each) for each in answers}) == 1 and await at.desk.count() == 1
    said = await sources.of(at.desk.api.db, 1)
    assert [(each.source.system, each.source.value) for each in said] in ([(NUMBERS_A, "1")], [])


async def test_a_naming_system_says_what_is_known(at: Faces) -> None:
    same = await at.domain(naming("other", ("uri", NUMBERS_A)))
    assert same.status_code == 422 and NUMBERS_A in issues(same)[0]["diagnostics"]
    national = await at.domain(naming("other", ("uri", BIRTH_NUMBER)))
    assert national.status_code == 422
    wrong = await at.domain(naming("other", ("uri", "https://x.example"), assigner="123"))
    assert wrong.status_code == 422
    ended = {**naming("hospital-a", ("uri", NUMBERS_A)), "status": "retired"}
    assert (await at.domain(ended)).status_code == 200
    assert (await at.feed("1", somebody())).status_code == 422
    assert (await at.domain(naming("other", ("uri", NUMBERS_A)))).status_code == 201
    assert (await at.feed("1", somebody())).status_code == 201
    assert (await at.call("DELETE", "/NamingSystem/other", by=LOADER)).status_code == 204
    assert (await at.feed("2", somebody())).status_code == 422


async def test_a_conditional_post_adds_who_is_not_known_and_changes_nobody(at: Faces) -> None:
    told = somebody((BIRTH_NUMBER, NUMBER))
    only = {"if-none-exist": f"identifier={NUMBERS_A}|1"}
    added = await at.call("POST", "/Patient", told, A, **only)
    assert added.status_code == 201, added.text
    other = {**told, "name": [{"family": "Malá", "given": ["Ludmila"]}]}
    again = await at.call("POST", "/Patient", other, A, **only)
    assert again.status_code == 200 and golden(again) == golden(added)
    assert again.json()["name"][0]["family"] == told["name"][0]["family"]
    assert again.json()["identifier"][0] == {"system": NUMBERS_A, "value": "1"}
    assert await at.desk.count() == 1
    for query in (f"identifier={BIRTH_NUMBER}|{NUMBER}", f"identifier={NUMBERS_B}|1"):
        foreign = await at.call("POST", "/Patient", told, A, **{"if-none-exist": query})
        assert foreign.status_code == 422 and "authority" in issues(foreign)[0]["diagnostics"]
    for query in ("family=x", f"{only['if-none-exist']}&family=x"):
        wrong = await at.call("POST", "/Patient", told, A, **{"if-none-exist": query})
        assert wrong.status_code == 400
    answers = await asyncio.gather(
        *(at.call("POST", "/Patient", told, A, **{"if-none-exist": f"identifier={NUMBERS_A}|2"})
          for _ in range(6))
    )  # fmt: skip
    assert {golden(each) for each in answers} == {golden(added)}


async def test_a_feed_is_taken_one_by_one_and_by_no_transaction(at: Faces) -> None:
    query = f"Patient?identifier={NUMBERS_A}|1"
    told = somebody((BIRTH_NUMBER, NUMBER))
    requests: list[tuple[dict[str, Any], Any]] = [
        ({"method": "PUT", "url": query}, told),
        ({"method": "POST", "url": "Patient"}, told),
        ({"method": "POST", "url": "Patient", "ifNoneExist": query.partition("?")[2]}, told),
        ({"method": "DELETE", "url": query}, None),
    ]
    for request, resource in requests:
        entry: dict[str, Any] = {"request": request}
        if resource is not None:
            entry["resource"] = resource
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        answer = await at.call("POST", "/", bundle)
        assert answer.status_code == 400, answer.text
        [issue] = issues(answer)
        assert issue["expression"] == ["Bundle.entry[0].request"]
        assert "batch" in issue["diagnostics"]
    assert await at.desk.count() == 0
    entries = [{"request": request, "resource": told} for request, _ in requests[:1]]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = (await at.call("POST", "/", batch)).json()
    assert answer["entry"][0]["response"]["status"] == "201" and await at.desk.count() == 1
    # who loads a register writes its Patients themselves
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": somebody()}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await at.call("POST", "/", bundle, LOADER)).status_code == 200
