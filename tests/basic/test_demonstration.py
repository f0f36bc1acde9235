"""The simulated registers know the demonstration: what they say, and where they say otherwise."""

from __future__ import annotations

from pater.domains.directory.demo import region as directory
from pater.domains.exchange.demo.people import HOSPITALS, PERSONS
from pater.domains.persons.demo import TOLD
from pater.domains.simulators.registers import demonstrated
from pater.registers.basic import comparing
from pater.registers.basic.told import Address, Business, read_address, read_business, read_person
from tests.basic.conftest import Linked
from tests.conftest import Clock
from tests.registers.registering import REGISTRAR, registers_of


def test_the_registers_of_persons_and_addresses_agree_with_the_demonstration(clock: Clock) -> None:
    state = demonstrated(clock)
    for one in PERSONS.values():
        found = state.find(
            {"family": one.family, "given": one.given, "birthDate": one.born.isoformat()}
        )
        assert found is not None and found["gender"] == one.gender, one.key
        read_person(found)
        point = read_address(state.addresses[found["address"]], found["address"])
        assert comparing.of_address(one.resource()["address"][0], point) == (), one.key


def test_all_businesses_are_known_and_one_has_ended_and_one_another_name(clock: Clock) -> None:
    state = demonstrated(clock)
    hospitals = [
        directory.Hospital(h.key, h.name, h.ico, h.street, h.city, h.postal_code)
        for h in HOSPITALS.values()
    ]
    differs = {}
    for place in directory.places(hospitals):
        said = {
            "name": place.provider, "active": True,
            "address": [{"line": [place.address.street], "city": place.address.city,
                         "postalCode": place.address.postal_code}],
        }  # fmt: skip
        business: Business = read_business(state.businesses[place.ico], place.ico)
        seat: Address = read_address(state.addresses[business.address], business.address)
        differs[place.key] = comparing.of_business(said, business, seat, clock().date())
    assert differs == {
        "demo-a": (), "demo-b": (), "demo-gp": (), "demo-dentist": ("name",),
        "demo-pharmacy": ("ended",),
    }  # fmt: skip


async def test_one_address_is_disputed_and_one_name_changes(linked: Linked) -> None:
    state = demonstrated(linked.at.api.clock)
    linked.state.persons |= state.persons
    linked.state.addresses |= state.addresses
    told = {number: patient for _, number, patient in TOLD}
    moved = await linked.at.tell(told["1007"], "1007")
    married = await linked.at.tell(told["B-83"], "B-83")
    await linked.settle()
    await linked.follow()
    await linked.basic.checks.drain()
    now_known = (await linked.patient(married))["name"]
    assert [each["family"] for each in now_known if each.get("use") != "old"] == ["Doležalová"]
    [differing] = [
        each for each in await linked.basic.checks.of("Patient", moved.patient) if each.differs
    ]
    assert differing.differs == ("city",)
    [waiting] = await registers_of(linked.at.api).merging.disputes.queue(REGISTRAR)
    assert waiting.person == moved.person
