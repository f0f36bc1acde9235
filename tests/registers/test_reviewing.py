"""The review queue: taken, decided once, taken back; what a decision does to the persons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.registers.identifiers import BIRTH_NUMBER, RID, birth_number_for
from pater.registers.registration import Registered
from pater.store.database import Database
from tests.conftest import Clock
from tests.registers.registering import REGISTRAR, Desk, desk, hospital, somebody

NUMBER = birth_number_for(date(1985, 6, 15), "female", 1)


@pytest.fixture
async def at(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    async with desk(database, clock) as made:
        yield made


async def a_case(at: Desk, **more: Any) -> tuple[Registered, Registered, int]:
    """Somebody, somebody like them, and the case."""
    one = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    like = somebody(telecom=None, birthDate="1985", **more)
    maybe = await at.tell(like, "9", hospital(1))
    assert maybe.case is not None
    return one, maybe, maybe.case


async def test_the_queue_shows_whom_it_asks_about_and_why(at: Desk) -> None:
    one, maybe, case = await a_case(at)
    shown = await at.reviewing.queue(REGISTRAR)
    assert [each.id for each in shown.cases] == [case]
    [found] = shown.cases[0].candidates
    assert found.person == one.person
    assert sum(part[2] for part in found.parts) == pytest.approx(found.weight, abs=0.01)
    assert set(shown.patients) == {one.person, maybe.person}
    # whoever is shown has it in their journal
    told = [row for row in await at.api.journal(agent="registrar") if row["query"] == "review"]
    assert {row["person"] for row in told} == {one.person, maybe.person}
    assert {row["purpose"] for row in told} == {"HOPERAT"}
    last = shown.cases[-1]
    assert (await at.reviewing.queue(REGISTRAR, after=(last.weight, last.id))).cases == ()


async def test_a_match_merges_and_taking_it_back_makes_two_again(at: Desk) -> None:
    one, maybe, case = await a_case(at)
    decided = await at.reviewing.match(REGISTRAR, case, 1, one.person, "the same address")
    assert (decided.state, decided.decision, decided.other) == ("decided", "match", one.person)
    # the one with the lasting number survives; the other's number leads there
    again = await at.tell(somebody(), "9", hospital(1))
    assert again.person == one.person
    assert (await at.reviewing.queue(REGISTRAR)).cases == ()
    done = await at.reviewing.decided(REGISTRAR)
    assert [each.id for each in done.cases] == [case]
    opened = await at.reviewing.undo(REGISTRAR, case, decided.version)
    assert (opened.state, opened.decision, opened.merge) == ("open", "", "")
    assert [each.id for each in (await at.reviewing.queue(REGISTRAR)).cases] == [case]
    known = await at.registration.find(
        "https://hospital.example/mrn", "9", hospital(1).organization
    )
    assert known == (maybe.person, maybe.patient)


async def test_a_new_person_gets_a_lasting_number_when_known_well_enough(at: Desk) -> None:
    _, maybe, case = await a_case(at)
    decided = await at.reviewing.new(REGISTRAR, case, 1)
    assert decided.decision == "new"
    # a year of birth is too little for a lasting number
    row = await at.api.db.fetchrow("select * from person where person = $1", maybe.person)
    assert row is not None
    assert row["temporary"]
    opened = await at.reviewing.undo(REGISTRAR, case, decided.version)
    at.api.clock.move(days=1)
    await at.tell(somebody(telecom=None), "9", hospital(1))
    await at.reviewing.new(REGISTRAR, case, opened.version)
    row = await at.api.db.fetchrow("select * from person where person = $1", maybe.person)
    assert row is not None
    assert not row["temporary"]
    master = await at.master(maybe)
    found = [(i["value"], i["use"]) for i in master["identifier"] if i["system"] == RID]
    assert found == [(row["rid"], "official"), (maybe.rid, "old")]


async def test_of_two_who_decide_at_once_one_is_told(at: Desk) -> None:
    one, maybe, case = await a_case(at)

    async def decide(number: int) -> object:
        try:
            if number % 2:
                return await at.reviewing.match(REGISTRAR, case, 1, one.person)
            return await at.reviewing.new(REGISTRAR, case, 1)
        except Conflict as error:
            return error

    answers = await asyncio.gather(*(decide(number) for number in range(6)))
    assert sum(isinstance(each, Conflict) for each in answers) == 5
    [decided] = (await at.reviewing.of(REGISTRAR, maybe.person)).cases or (
        await at.reviewing.decided(REGISTRAR)
    ).cases
    assert decided.state == "decided"
    assert decided.version == 2


async def test_a_case_is_taken_and_put_off(at: Desk) -> None:
    _, _, case = await a_case(at)
    version = await at.reviewing.take(REGISTRAR, case, 1)
    other = REGISTRAR.__class__(**{**_fields(REGISTRAR), "id": "another"})
    with pytest.raises(Conflict):
        await at.reviewing.take(other, case, version)
    at.api.clock.move(minutes=31)
    version = await at.reviewing.take(other, case, version)
    tomorrow = at.api.clock.now + timedelta(days=1)
    with pytest.raises(Unprocessable):
        await at.reviewing.postpone(other, case, version, at.api.clock.now)
    await at.reviewing.postpone(other, case, version, tomorrow, "asked the hospital")
    assert (await at.reviewing.queue(REGISTRAR)).cases == ()
    at.api.clock.move(days=1)
    assert [each.id for each in (await at.reviewing.queue(REGISTRAR)).cases] == [case]


async def test_nobody_else_decides_and_nothing_is_merged_with_itself(at: Desk) -> None:
    _, maybe, case = await a_case(at)
    with pytest.raises(Forbidden):
        await at.reviewing.queue(hospital(1))
    with pytest.raises(Unprocessable):
        await at.reviewing.match(REGISTRAR, case, 1, maybe.person)
    with pytest.raises(Unprocessable):
        await at.reviewing.match(REGISTRAR, case, 1, 999_999)
    with pytest.raises(NotFound):
        await at.reviewing.one(REGISTRAR, 2**70)
    with pytest.raises(Conflict):
        await at.reviewing.undo(REGISTRAR, case, 1)


def _fields(caller: Any) -> dict[str, Any]:
    return {name: getattr(caller, name) for name in caller.__dataclass_fields__}
