"""Persons: asked when they come, told to the register, followed; never lost while it is down."""

from __future__ import annotations

import pytest

from pater.registers import sources
from pater.registers.basic import Down, Unusable, calling, waiting
from pater.registers.basic.health import FAILURES
from tests.basic.conftest import Linked
from tests.conftest import Clock
from tests.registers.registering import MRN, somebody


def one(linked: Linked) -> str:
    return next(iter(linked.state.persons))


async def test_who_comes_is_asked_and_what_the_state_says_is_reference(linked: Linked) -> None:
    name = one(linked)
    known = linked.state.persons[name]
    told = await linked.tell(name, "1", telecom=[{"system": "phone", "value": "+420 1"}])
    assert await linked.settle() == 1
    patient = await linked.patient(told)
    address = linked.state.addresses[known["address"]]
    assert patient["gender"] == known["gender"]
    [home] = patient["address"]
    assert home["city"] == address["city"] and home["postalCode"] == address["postalCode"]
    point = next(each for each in home["extension"] if "address-point" in each["url"])
    assert point["valueIdentifier"]["value"] == known["address"]
    by_name = {each.source.name: each for each in await sources.of(linked.db, told.person)}
    assert by_name["rob"].source.reference and not by_name["12345679"].source.reference
    read = await linked.at.api.journal(agent="basic-registers", person=told.person)
    assert [row["action"] for row in read] == ["R", "U"]
    # a source does not overrule it, and nobody is asked again
    await linked.tell(name, "1", gender="male" if known["gender"] == "female" else "female")
    assert (await linked.patient(told))["gender"] == known["gender"]
    assert await linked.settle() == 0 and await linked.waits() == 0


async def test_the_foreign_number_stands_nowhere_in_the_open(linked: Linked) -> None:
    name = one(linked)
    await linked.tell(name, "1")
    await linked.settle()
    linked.state.die(name)
    linked.state.modes["ruian"] = "down"
    await linked.basic.identities.follow()
    assert await linked.waits() == 1
    tables = await linked.db.fetch(
        "select table_name as name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    for table in tables:
        rows = await linked.db.fetch(f'select t::text as row from "{table["name"]}" t')
        for row in rows:
            assert name not in row["row"] and name.encode().hex() not in row["row"], table["name"]
    assert not any(name in str(each.url) for each in linked.asked)


async def test_a_death_and_a_new_name_are_followed(linked: Linked, clock: Clock) -> None:
    name, other, stranger = list(linked.state.persons)[:3]
    told, second = await linked.tell(name, "1"), await linked.tell(other, "2")
    await linked.settle()
    linked.state.die(name)
    linked.state.change(other, family="Přejmenovaná")
    linked.state.die(stranger)  # of whom we know nothing: nobody is asked
    linked.asked.clear()
    assert await linked.basic.identities.follow() == 2
    assert await linked.basic.drain() == 2
    assert sum(each.url.path.endswith("/rob/read") for each in linked.asked) == 2
    assert (await linked.patient(told))["deceasedDateTime"] == clock().date().isoformat()
    names = {each["family"]: each.get("use") for each in (await linked.patient(second))["name"]}
    old = linked.state.persons[other]["family"]
    assert old == "Přejmenovaná" and names[old] != "old" and "old" in names.values()
    assert await linked.basic.identities.follow() == 0


async def test_what_cannot_be_asked_waits_with_growing_pauses(linked: Linked, clock: Clock) -> None:
    linked.state.modes["rob"] = "down"
    names = list(linked.state.persons)[: FAILURES + 2]
    told = [await linked.tell(name, str(n)) for n, name in enumerate(names)]
    assert await linked.settle() == 0
    assert await linked.waits() == len(names)
    # it is left alone now: nobody knocks at every question
    linked.asked.clear()
    clock.move(seconds=1)
    assert await linked.basic.drain() == 0 and not linked.asked
    health = (await linked.basic.breaker.shown())["rob"]
    assert health.state(clock()) == "shut" and health.failures == FAILURES
    for _ in range(3):
        clock.move(minutes=10)
        linked.asked.clear()
        assert await linked.basic.drain() == 0
        assert len(linked.asked) == 1
    assert await linked.waits() == len(names)
    [row] = await waiting.due(linked.db, clock(), 1)
    pauses = []
    for _ in range(12):
        await waiting.again(linked.db, row, clock(), "down")
        due = await linked.db.fetchval("select due from basic_waiting where key = $1", row.key)
        pauses.append(due - clock())
    assert pauses == sorted(pauses) and pauses[0] < pauses[3] < pauses[-1] == waiting.LONGEST
    linked.state.modes["rob"] = "ok"
    clock.move(hours=1, seconds=1)
    assert await linked.basic.drain() == len(names)
    assert await linked.waits() == 0
    for each in told:
        assert "gender" in await linked.patient(each)
    assert (await linked.basic.breaker.shown())["rob"].state(clock()) == "up"


async def test_one_tries_while_the_others_leave_it_alone(linked: Linked, clock: Clock) -> None:
    linked.state.modes["rob"] = "down"
    for _ in range(FAILURES):
        with pytest.raises(Down):
            await linked.basic.identities.follow()
    clock.move(minutes=6)
    linked.asked.clear()
    for _ in range(3):
        with pytest.raises(Down):
            await linked.basic.identities.follow()
    assert len(linked.asked) == 1
    clock.move(minutes=6)
    linked.state.modes["rob"] = "ok"
    await linked.basic.identities.follow()
    await linked.basic.identities.follow()


@pytest.mark.parametrize("mode", ["down", "slow", "wrong"])
async def test_no_failure_changes_a_person(
    linked: Linked, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "PATIENCE", 0.05)
    told = await linked.tell(one(linked), "1")
    before = await linked.patient(told)
    linked.state.modes["rob"] = mode
    assert await linked.settle() == 0
    assert await linked.patient(told) == before and await linked.waits() == 1
    linked.state.modes.update(rob="ok", ruian=mode)
    assert await linked.basic.public.address("0") is not None
    with pytest.raises(Down):
        await linked.basic.identities.identify(told.person)
    assert await linked.patient(told) == before


async def test_an_answer_that_means_somebody_else_is_not_taken(linked: Linked) -> None:
    name = one(linked)
    told = await linked.tell(name, "1")
    known = dict(linked.state.persons[name])
    linked.state.find = lambda _: {**known, "birthDate": "1911-01-01"}  # type: ignore[assignment, method-assign]
    with pytest.raises(Unusable, match="somebody else"):
        await linked.basic.identities.identify(told.person)
    linked.state.find = lambda _: {**known, "family": ""}  # type: ignore[assignment, method-assign]
    with pytest.raises(Unusable, match="family"):
        await linked.basic.identities.identify(told.person)
    assert [s.source.name for s in await sources.of(linked.db, told.person)] == ["12345679"]


async def test_two_persons_whom_the_state_knows_as_one_become_a_case(linked: Linked) -> None:
    name = one(linked)
    known = linked.state.persons[name]
    document = {
        "system": "https://hl7.cz/fhir/sid/idcard-CZE",
        "value": known["documents"][0]["number"],
    }
    first = await linked.tell(name, "1", identifier=[document])
    other = somebody((MRN, "9"), birthDate=known["birthDate"])
    other["name"] = [{"family": "Docelajiná", "given": known["given"].split()}]
    second = await linked.at.tell(other, "9")
    assert first.person != second.person
    await linked.settle()
    linked.state.find = lambda _: dict(known)  # type: ignore[assignment, method-assign]  # by the document
    await linked.basic.identities.identify(second.person)
    case = await linked.db.fetchrow(
        "select c.person, c.reason, n.person as other from match_case c"
        " join match_candidate n on n.case_id = c.id where c.source = 'rob'"
    )
    assert case is not None
    assert (case["person"], case["reason"], case["other"]) == (
        second.person, "numbers", first.person,
    )  # fmt: skip


async def test_who_is_not_known_there_waits_no_more(linked: Linked) -> None:
    told = await linked.at.tell(somebody((MRN, "1")), "1")
    nameless = await linked.at.tell(
        {"resourceType": "Patient", "name": [{"text": "Neznámý muž"}]}, "2"
    )
    assert await linked.settle() == 2 and await linked.waits() == 0
    for each in (told, nameless):
        assert {s.source.name for s in await sources.of(linked.db, each.person)} == {"12345679"}
    await waiting.who_again(linked.db, told.person, linked.at.api.clock())
    assert await linked.waits() == 1
