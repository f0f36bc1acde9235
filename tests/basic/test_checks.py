"""Addresses and businesses are compared with their registers, later, and never changed by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.caller import Caller
from pater.domains.directory import domain as directory
from pater.domains.directory import tables as directory_tables
from pater.fhir.json import parse
from pater.records.gate import Change
from pater.registers.basic import Down, comparing
from pater.registers.basic.identities import address_of
from pater.registers.basic.told import Address, Business
from pater.registers.identifiers import ICO, ico_from
from pater.rest import register_checks
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.feed import advance, read_feed
from pater.store.read import read
from tests.basic.conftest import Linked, services_of
from tests.conftest import Clock
from tests.registers.registering import REGISTRAR, registers_of
from tests.rest.world import BASE, LOADER, patient_caller

POINT = Address("41000001", "Praha", "11000", "318", "Zahradní", "12", "Nusle")
VILLAGE = Address("41000002", "Horní Lhotka", "99927", "14", part="Horní Lhotka")
OURS = ico_from("9990101")


def fhir(**values: Any) -> dict[str, Any]:
    return {"line": ["Zahradní 318/12"], "city": "Praha", "postalCode": "110 00", **values}


@pytest.mark.parametrize(
    ("said", "point", "differs"),
    [
        (fhir(), POINT, ()),
        (fhir(line=["ZAHRADNI 318"]), POINT, ()),
        (fhir(line=["ul. Zahr. 12"], city="Praha 4 - Nusle"), POINT, ()),
        (fhir(city="Nusle"), POINT, ()),
        (fhir(city="Prahatice"), POINT, ("city",)),
        (fhir(postalCode="12000"), POINT, ("postalCode",)),
        (fhir(line=["Zahradní 319"]), POINT, ("line",)),
        (fhir(line=["Zahradnická 318/12"]), POINT, ("line",)),
        (fhir(line=["Zahradní"]), POINT, ("line",)),
        ({"city": "Praha"}, POINT, ()),
        ({"line": ["č. p. 14"], "city": "Horní Lhotka"}, VILLAGE, ()),
        ({"line": ["Horní Lhotka 14"]}, VILLAGE, ()),
        (fhir(), None, ("code",)),
        (fhir(), replace(POINT, valid=False), ("code",)),
    ],
)
def test_an_address_differs_by_content_not_by_letters(
    said: dict[str, Any], point: Address | None, differs: tuple[str, ...]
) -> None:
    assert comparing.of_address(said, point) == differs


def test_a_number_in_the_name_of_a_street_is_no_house() -> None:
    street = replace(POINT, street="5. května", house_number="7", orientation_number="")
    assert comparing.of_address(fhir(line=["5. května 7"]), street) == ()
    assert comparing.of_address(fhir(line=["5. května 8"]), street) == ("line",)


@pytest.mark.parametrize(
    ("name", "register", "differs"),
    [
        ("Nemocnice Javorné, a.s.", "Nemocnice Javorné, akciová společnost", ()),
        ("NEMOCNICE JAVORNÉ a. s.", "Nemocnice Javorné a.s.", ()),
        ("Nemocnice Javorné", "Nemocnice Javorné a.s.", ()),
        ("Nemocnice Javorné s.r.o.", "Nemocnice Javorné a.s.", ("name",)),
        ("Nemocnice Javorné spol. s r.o.", "Nemocnice Javorné s. r. o.", ()),
        ("Nemocnice Javorná, a.s.", "Nemocnice Javorné a.s.", ("name",)),
    ],
)
def test_the_way_a_legal_form_is_written_is_no_difference(
    name: str, register: str, differs: tuple[str, ...]
) -> None:
    business = Business(OURS, register)
    assert comparing.of_business({"name": name}, business, None, date(2026, 1, 1)) == differs


def test_a_business_is_compared_as_a_whole() -> None:
    today = date(2026, 1, 1)
    over = Business(OURS, "A", "41000001", today)
    said = {"name": "B", "alias": ["A"], "active": True, "address": [fhir(city="Brno")]}
    assert comparing.of_business(said, over, POINT, today) == ("address", "ended")
    assert comparing.of_business({**said, "active": False}, over, None, today) == ()
    later = replace(over, ended=date(2026, 1, 2))
    assert comparing.of_business({"name": "A"}, later, POINT, today) == ()
    assert comparing.of_business(said, None, None, today) == ("ico",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["line", "city", "postalCode", "extension", "url", "valueIdentifier",
                         "value", "address", "name", "alias", "use"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["address", "name", "alias", "active"]), JSON))
def test_whatever_stands_there_is_compared(body: Mapping[str, Any]) -> None:
    for _, address in comparing.coded(body):
        comparing.of_address(address, POINT)
    comparing.of_business(body, Business(OURS, "A"), POINT, date(2026, 1, 1))


@given(st.builds(Address, st.just("1"), *[st.text(min_size=1, max_size=12)] * 3,
                 st.sampled_from(["", "Zahradní", "5. května", "nám. Míru"])))  # fmt: skip
def test_what_the_register_says_of_an_address_differs_in_nothing(point: Address) -> None:
    made = replace(point, house_number="12", city="Praha")
    assert comparing.of_address(address_of(made), made) == ()


def coded(code: str, known: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    """An address of the simulated register, as somebody tells it."""
    point = Address(code, known["city"], known["postalCode"], known["houseNumber"], known["street"])
    return {**address_of(point), **other}


async def test_an_address_is_compared_later_and_what_differs_is_disputed(linked: Linked) -> None:
    state = linked.state
    one, other = list(state.persons)[:2]
    first, second = (state.persons[each]["address"] for each in (one, other))
    state.modes["rob"] = state.modes["ruian"] = "down"
    good = await linked.tell(one, "1", address=[coded(first, state.addresses[first])])
    wrong = await linked.tell(
        other, "2", address=[coded(second, state.addresses[second], city="Jinde")]
    )
    await linked.follow()
    checks = linked.basic.checks
    assert await checks.waits() == 2 and await checks.drain() == 0 and await checks.waits() == 2
    assert await checks.of("Patient", good.patient) == []
    state.modes["ruian"] = "ok"
    linked.at.api.clock.move(minutes=10)
    assert await checks.drain() == 2
    [right] = await checks.of("Patient", good.patient)
    assert (right.state, right.differs) == ("correct", ())
    [differing] = await checks.of("Patient", wrong.patient)
    assert (differing.state, differing.differs) == ("disputed", ("city",))
    assert differing.said and differing.said["city"] == state.addresses[second]["city"]
    # what was told stands, marked, and a registrar has it to decide
    [home] = (await linked.patient(wrong))["address"]
    assert home["city"] == "Jinde" and "disputed" in str(home["extension"])
    assert "disputed" not in str((await linked.patient(good))["address"])
    disputes = registers_of(linked.at.api).merging.disputes
    [waiting] = await disputes.queue(REGISTRAR)
    assert waiting.by_kind == "register" and state.addresses[second]["city"] in waiting.text
    # decided once, it is not raised again for the same
    await disputes.decide(REGISTRAR, waiting.id, waiting.version, "kept", "a new street")
    await linked.follow()
    await checks.ask([("Patient", wrong.patient)])
    assert await checks.drain() > 0 and await disputes.queue(REGISTRAR) == []
    # but for something else it is
    moved = coded(second, state.addresses[second], city="Ještě jinde")
    await linked.tell(other, "2", address=[moved])
    await linked.follow()
    await checks.drain()
    assert len(await disputes.queue(REGISTRAR)) == 1


async def organization(linked: Linked, id: str, ico: str, **more: Any) -> None:
    resource = {
        "resourceType": "Organization", "id": id, "active": True, "name": "N",
        "identifier": [{"system": ICO, "value": ico}], **more,
    }  # fmt: skip
    await linked.at.api.gate.commit(LOADER, [Change("update", "Organization", id, resource)])


async def test_a_provider_is_compared_at_once_by_night_and_when_the_register_tells(
    linked: Linked, clock: Clock
) -> None:
    state, checks = linked.state, linked.basic.checks
    parts = directory.build(services_of(linked))
    [listener] = parts.listeners

    async def follow() -> None:
        for event in await read_feed(linked.db, listener.name, 1000):
            await listener.handle(event)
            await advance(linked.db, listener.name, event)
        await linked.follow()

    ico, known = next(iter(state.businesses.items()))
    point = state.addresses[known["address"]]
    seat = [coded(known["address"], point)]
    await organization(linked, "right", ico, name=known["name"], address=seat)
    await organization(linked, "unknown", ico_from("9990999"), address=[fhir()])
    await follow()
    assert await checks.drain() == 2
    business = {c.register: c for c in await checks.of("Organization", "right")}
    assert {c.state for c in business.values()} == {"correct"} and set(business) == {"ruian", "ros"}
    [gone] = await checks.of("Organization", "unknown")
    assert (gone.register, gone.differs, gone.said) == ("ros", ("ico",), None)
    [dispute] = await directory_tables.open_disputes(linked.db, 10)
    assert dispute.target == "unknown" and dispute.element == "ros: ico"
    # told of a change, it is compared anew although the answer would still be valid
    state.trade(ico, name="Nová s.r.o.", ended=clock().date().isoformat())
    assert await linked.basic.follow() == 1 and await linked.basic.follow() == 0
    await checks.drain()
    found = {c.register: c for c in await checks.of("Organization", "right")}
    assert found["ros"].differs == ("name", "ended")
    stored = await read(linked.db, "Organization", "right")
    assert stored is not None and parse(stored.body)["name"] == known["name"]
    assert stored.version == 1  # nobody overwrote what somebody entered
    report = await linked.basic.nightly(None)  # type: ignore[arg-type]  # not looked at
    assert report["compared"] == 0 and report["ros"] == {"compared": 2, "disputed": 2}
    clock.move(days=1)
    state.businesses[ico] = known
    report = await linked.basic.nightly(None)  # type: ignore[arg-type]
    assert report["compared"] == 2 and report["ros"] == {"compared": 2, "disputed": 1}
    assert [each["resource"] for each in report["differences"]] == ["Organization/unknown"]
    assert len(await directory_tables.open_disputes(linked.db, 10)) == 2  # told once each
    await linked.at.api.gate.commit(LOADER, [Change("delete", "Organization", "unknown")])
    await follow()
    await checks.drain()
    assert await checks.of("Organization", "unknown") == []


async def test_what_was_there_before_the_links_is_compared_by_night(linked: Linked) -> None:
    await organization(linked, "old", OURS)
    report = await linked.basic.nightly(None)  # type: ignore[arg-type]  # not looked at
    assert report["compared"] == 1 and report["ros"] == {"compared": 1, "disputed": 1}


async def test_a_gateway_that_tells_no_changes_of_business_is_not_broken(linked: Linked) -> None:
    linked.state.modes["ros"] = "wrong"
    with pytest.raises(Down):
        await linked.basic.follow()
    linked.state.modes["ros"] = "ok"
    assert await linked.basic.follow() == 0


async def test_whoever_may_read_a_resource_is_told_what_the_register_says(linked: Linked) -> None:
    api, state = linked.at.api, linked.state
    name = next(iter(state.persons))
    code = state.persons[name]["address"]
    told = await linked.tell(name, "1", address=[coded(code, state.addresses[code], city="X")])
    await linked.settle()
    await linked.basic.checks.drain()
    app = fhir_app(
        api.gate, api.tokens, [register_checks.parts(services_of(linked))],
        RestConfig(BASE, api.clock()),
    )  # fmt: skip
    path = f"/Patient/{told.patient}/$register-check"
    own = patient_caller(told.person, told.patient)

    async def ask(caller: Caller) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            return await http.get(path, headers=api.headers(caller))

    answer = await ask(own)
    assert answer.status_code == 200, answer.text
    [checked] = answer.json()["parameter"]
    parts = {each["name"]: each for each in checked["part"]}
    assert parts["state"]["valueCode"] in ("correct", "disputed")
    assert parts["address"]["valueAddress"]["city"] == state.addresses[code]["city"]
    rows = await api.journal(person=told.person, agent=own.id)
    assert len(rows) == 1
    stranger = replace(own, person=told.person + 1, patient="other", id="stranger")
    refused = await ask(stranger)
    assert refused.status_code in (403, 404)


async def test_wrong_answers_and_replays_change_nothing(linked: Linked, clock: Clock) -> None:
    state, checks = linked.state, linked.basic.checks
    ico, known = next(iter(state.businesses.items()))
    code = known["address"]
    good = dict(state.addresses[code])
    await organization(linked, "one", ico, name=known["name"], address=[coded(code, good)])
    await linked.follow()
    # another one's answer, half an answer: nothing of it is believed, the question waits
    for wrong in ({**good, "code": "41999999"}, {"code": code}, {**good, "valid": "yes"}):
        state.addresses[code] = wrong
        assert await checks.drain() == 0 and await checks.waits() == 1
        assert await checks.of("Organization", "one") == []
        clock.move(hours=2)
    state.addresses[code] = good
    state.businesses[ico] = {**known, "ico": OURS}
    assert await checks.drain() == 0  # down in the middle: one of two answered
    assert await checks.of("Organization", "one") == []
    state.businesses[ico] = known
    clock.move(hours=2)
    assert await checks.drain() == 1
    first = await checks.of("Organization", "one")
    assert [each.state for each in first] == ["correct", "correct"]
    # the same events once more: the same result
    await linked.db.execute("delete from feed_cursor")
    await linked.follow()
    await checks.drain()
    again = await checks.of("Organization", "one")
    assert [(e.key, e.state, e.digest) for e in again] == [
        (e.key, e.state, e.digest) for e in first
    ]
    # while the register is down what it said last is believed, and a change waits for it
    state.modes["ros"] = state.modes["ruian"] = "down"
    clock.move(days=2)
    await checks.ask([("Organization", "one")])
    assert await checks.drain() == 1
    assert {each.state for each in await checks.of("Organization", "one")} == {"correct"}


async def test_an_odd_page_of_changes_is_asked_for_again(linked: Linked) -> None:
    ico, known = next(iter(linked.state.businesses.items()))
    await organization(linked, "one", ico, name=known["name"])
    linked.state.trade(ico, name="A")
    linked.state.traded["12345678"] = linked.state.last + 1  # no IČO
    with pytest.raises(Down, match="IČO"):
        await linked.basic.follow()
    cursor = "select cursor from basic_register where register = 'ros'"
    assert await linked.db.fetchval(cursor) == ""
    del linked.state.traded["12345678"]
    await linked.basic.follow()
    assert await linked.db.fetchval(cursor) == str(linked.state.last)
