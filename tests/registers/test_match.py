"""Patient/$match over HTTP: graded, explained by a score, journalled, and nothing but identity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pater.access.caller import Caller
from pater.fhir.validation import validate
from pater.registers.identifiers import BIRTH_NUMBER, birth_number_for
from pater.store.database import Database
from tests.conftest import Clock
from tests.registers.registering import MRN, REGISTRAR, TELLING, Desk, faces, hospital, somebody
from tests.rest.world import CLINICIAN, INSURER, issues, patient_caller

NUMBER = birth_number_for(date(1985, 6, 15), "female", 1)
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


@pytest.fixture
async def at(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[Desk]:
    async with faces(database, clock, tmp_path) as made:
        yield made


async def ask(at: Desk, patient: Any, caller: Caller = TELLING, **more: Any) -> Any:
    body: dict[str, Any] = {"resourceType": "Parameters", "parameter": []}
    body["parameter"].append({"name": "resource", "resource": patient})
    for name, value in more.items():
        kind = "valueBoolean" if isinstance(value, bool) else "valueInteger"
        body["parameter"].append({"name": name, kind: value})
    return await at.api.call("POST", "/Patient/$match", body, caller)


def graded(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert not [each for each in validate(bundle) if each.severity == "error"]
    assert bundle["type"] == "searchset"
    entries = bundle.get("entry", [])
    scores = [each["search"]["score"] for each in entries]
    assert scores == sorted(scores, reverse=True)
    for each in entries:
        [extension] = each["search"]["extension"]
        assert extension["url"] == GRADE
    return [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"]) for e in entries]


async def test_somebody_is_found_by_number_and_by_likeness(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    by_number = somebody((BIRTH_NUMBER, NUMBER), address=None, telecom=None)
    assert graded(await ask(at, by_number)) == [(made.patient, "certain")]
    assert graded(await ask(at, somebody(), CLINICIAN)) == [(made.patient, "certain")]
    vague = somebody(telecom=None, birthDate="1985")
    assert graded(await ask(at, vague)) == [(made.patient, "possible")]
    assert graded(await ask(at, vague, onlyCertainMatches=True)) == []
    assert graded(await ask(at, somebody(), REGISTRAR, count=1)) == [(made.patient, "certain")]
    # a body that is the Patient itself is the only input
    bare = await at.api.call("POST", "/Patient/$match", by_number, TELLING)
    assert graded(bare) == [(made.patient, "certain")]


async def test_an_own_number_is_certain_for_who_gave_it_and_nothing_for_others(at: Desk) -> None:
    made = await at.tell(somebody((MRN, "17")), "17")
    asked = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "17"}]}
    assert graded(await ask(at, asked)) == [(made.patient, "certain")]
    assert graded(await ask(at, asked, hospital(1))) == []


async def test_who_is_shown_is_told_and_who_is_not_is_counted(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    await ask(at, somebody(), CLINICIAN)
    await ask(at, somebody(name=[{"family": "Nikdo"}], birthDate="1930-01-01", address=None,
                            telecom=None), CLINICIAN)  # fmt: skip
    told = await at.api.journal(agent=CLINICIAN.id)
    assert [(row["person"], row["query"]) for row in told] == [
        (made.person, "match"),
        (0, "match"),
    ]


async def test_who_may_not_ask_is_told_nothing(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    own = patient_caller(made.person, made.patient)
    for caller in (own, INSURER, replace(CLINICIAN, purpose=""), replace(CLINICIAN, scopes=())):
        answer = await ask(at, somebody(), caller)
        assert answer.status_code == 403, answer.text
        assert made.rid not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Parameters"}, 400),
        ({"resourceType": "Observation"}, 400),
        ({"resourceType": "Patient"}, 422),
        ({"resourceType": "Patient", "birthDate": "1985-13-45"}, 422),
        ({"resourceType": "Patient", "name": [{"family": 7}]}, 422),
        ({"resourceType": "Parameters", "parameter": [{"name": "count", "valueInteger": 0}]}, 400),
    ],
)
async def test_a_bad_question_is_a_clients_mistake(at: Desk, body: Any, status: int) -> None:
    answer = await at.api.call("POST", "/Patient/$match", body, TELLING)
    assert answer.status_code == status, answer.text
    assert issues(answer)
