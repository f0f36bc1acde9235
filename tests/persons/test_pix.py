"""ITI-83: numbers of one person by one of them, word for word as the profile has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pater.access.caller import Caller
from pater.registers.identifiers import PASSPORT
from pater.store.database import Database
from tests.conftest import Clock
from tests.persons.faces import (
    BIRTH_NUMBER,
    INSURED,
    NOW,
    NUMBER,
    NUMBERS_A,
    NUMBERS_B,
    OID_A,
    REGISTRAR,
    RID,
    A,
    B,
    Faces,
    register,
    somebody,
)
from tests.rest.world import BASE, CLINICIAN, INSURER, patient_caller

UNKNOWN = (400, ("code-invalid", "sourceIdentifier Assigning Authority not found"))
ABSENT = (404, ("not-found", "sourceIdentifier Patient Identifier not found"))
TARGET = (403, ("code-invalid", "targetSystem not found"))


@pytest.fixture(scope="module")
async def at(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Faces]:
    """One register for the module."""
    folder = tmp_path_factory.mktemp("register")
    async with register(module_database, Clock(NOW), folder) as made:
        yield made


@pytest.fixture(scope="module")
async def known(at: Faces) -> tuple[str, str]:
    """Somebody whom both hospitals know: RID and reference of the register's Patient."""
    told = somebody((BIRTH_NUMBER, NUMBER))
    body = (await at.feed("1", told)).json()
    await at.feed("77", told, B)
    other = body["link"][0]["other"]
    return other["identifier"]["value"], other["reference"]


async def test_all_numbers_of_a_person_but_the_one_that_was_named(
    at: Faces, known: tuple[str, str]
) -> None:
    rid, patient = known
    status, found = await at.pix(f"{NUMBERS_A}|1")
    assert status == 200 and set(found) == {(RID, rid), (BIRTH_NUMBER, NUMBER), patient}
    _, by_rid = await at.pix(f"{RID}|{rid}")
    assert set(by_rid) == {(NUMBERS_A, "1"), (BIRTH_NUMBER, NUMBER), patient}
    _, by_oid = await at.pix(f"urn:oid:{OID_A}|1")
    assert set(by_oid) == set(found)
    _, by_id = await at.pix(f"{BASE}|{patient}")
    assert set(by_id) == {(NUMBERS_A, "1"), (BIRTH_NUMBER, NUMBER), (RID, rid)}


async def test_only_the_systems_that_were_asked_for(at: Faces, known: tuple[str, str]) -> None:
    rid, patient = known
    for targets, wanted in (
        ((RID,), {(RID, rid)}),
        ((RID, f"urn:oid:{OID_A}"), {(RID, rid), (NUMBERS_A, "1")}),
        ((BASE,), {patient}),
        ((PASSPORT + "CZE",), set()),
        ((INSURED,), set()),
    ):
        status, found = await at.pix(f"{BIRTH_NUMBER}|{NUMBER}", *targets)
        assert (status, set(found)) == (200, wanted), targets


@pytest.mark.parametrize(
    ("source", "targets", "answer"),
    [
        (f"{NUMBERS_A}|2", (), ABSENT),
        (f"{RID}|1000000092", (), ABSENT),
        (f"{BASE}|Patient/nobody", (), ABSENT),
        (f"{BASE}|Observation/1", (), ABSENT),
        ("https://nobody.example|1", (), UNKNOWN),
        (NUMBERS_A, (), UNKNOWN),
        (f"{NUMBERS_A}|", (), UNKNOWN),
        ("|1", (), UNKNOWN),
        (f"{NUMBERS_A}|1", ("https://nobody.example",), TARGET),
        (f"{NUMBERS_A}|2", (RID, "urn:oid:1.2.3"), TARGET),
        ("https://nobody.example|1", ("https://nobody.example",), UNKNOWN),
    ],
)
async def test_what_is_not_known_is_answered_as_the_profile_says(
    at: Faces, known: tuple[str, str], source: str, targets: tuple[str, ...], answer: object
) -> None:
    assert await at.pix(source, *targets) == answer


async def test_a_hospitals_numbers_are_told_to_nobody_else(
    at: Faces, known: tuple[str, str]
) -> None:
    rid, patient = known
    # neither by asking for them nor by naming them, whether they exist or not
    assert await at.pix(f"{RID}|{rid}", NUMBERS_A, by=B) == (200, [])
    assert await at.pix(f"{NUMBERS_A}|1", by=B) == ABSENT == await at.pix(f"{NUMBERS_A}|9", by=B)
    _, all_of_b = await at.pix(f"{RID}|{rid}", by=B)
    assert set(all_of_b) == {(BIRTH_NUMBER, NUMBER), (NUMBERS_B, "77"), patient}
    clinician = replace(CLINICIAN, organization=B.organization)
    assert (NUMBERS_B, "77") in (await at.pix(f"{RID}|{rid}", by=clinician))[1]
    _, everything = await at.pix(f"{RID}|{rid}", by=REGISTRAR)
    assert {(NUMBERS_A, "1"), (NUMBERS_B, "77")} < set(everything)
    assert (await at.pix(f"{NUMBERS_A}|1", by=REGISTRAR))[0] == 200


@pytest.mark.parametrize(
    "query",
    ["", "targetSystem=x", "sourceIdentifier=a|1&sourceIdentifier=a|2", "sourceIdentifier=a|1&x=y"],
)
async def test_a_bad_question_is_a_clients_mistake(at: Faces, query: str) -> None:
    answer = await at.call("GET", f"/Patient/$ihe-pix?{query}")
    assert answer.status_code == 400, answer.text


async def test_a_post_keeps_numbers_out_of_addresses(at: Faces, known: tuple[str, str]) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sourceIdentifier", "valueString": f"{NUMBERS_A}|1"},
            {"name": "targetSystem", "valueString": RID},
        ],
    }
    answer = await at.call("POST", "/Patient/$ihe-pix", body)
    [found] = answer.json()["parameter"]
    assert found["valueIdentifier"]["value"] == known[0]


async def test_who_asked_about_whom_stands_in_the_journal(
    at: Faces, known: tuple[str, str]
) -> None:
    asking = replace(B, id="asks-once")
    await at.pix(f"{NUMBERS_B}|77", by=asking)
    await at.pix(f"{NUMBERS_B}|78", by=asking)
    told = await at.desk.api.journal(agent="asks-once")
    assert [(each["person"] > 0, each["query"]) for each in told] == [
        (True, "ihe-pix"),
        (False, "ihe-pix"),
    ]


async def test_who_may_not_ask_is_refused(at: Faces, known: tuple[str, str]) -> None:
    own: Caller = patient_caller(1, known[1].split("/")[1])
    for caller in (own, INSURER, replace(A, scopes=()), replace(A, purpose="")):
        answer = await at.call("GET", f"/Patient/$ihe-pix?sourceIdentifier={RID}|{known[0]}",
                               by=caller)  # fmt: skip
        assert answer.status_code == 403 and known[0] not in answer.text
