"""Rights and mandates: followed, kept for who comes later, and over at once when they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.access import representation
from pater.access.accounts import Account
from pater.access.deciding import Ages
from pater.access.employed import as_written
from pater.access.facts import NOTHING
from pater.access.policy import shipped
from pater.access.standing import DatabaseStanding
from pater.domains.simulators.registers import pseudonym_of
from pater.registers.basic import Down
from pater.registers.basic.authorisations import ADMINISTRATION, mandated
from pater.registers.basic.mandates import by_mandate
from pater.registers.identifiers import RID, rid_from
from pater.registers.people import people
from pater.registers.registration import Registered
from pater.rest import authorisations
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from tests.basic.conftest import Linked, services_of
from tests.conftest import Clock
from tests.registers.registering import TELLING
from tests.rest.world import BASE, LOADER, World, patient_caller

SERVICE = replace(LOADER, id="node", role="administrator", scopes=("system/*.rs",))


def family(linked: Linked) -> tuple[str, str, dict[str, Any]]:
    """A child, its parent, and what the register says of them."""
    one = next(each for each in linked.state.mandates.values() if each["kind"] == "parent")
    return one["person"], one["agent"], one


async def both(linked: Linked) -> tuple[Registered, Registered, dict[str, Any]]:
    child, parent, one = family(linked)
    told = await linked.tell(child, "1"), await linked.tell(parent, "2")
    await linked.settle()
    return *told, one


def proxy(child: Registered, parent: Registered, id: str) -> Any:
    own = patient_caller(parent.person, parent.patient)
    return replace(own, role="proxy", person=child.person, patient=child.patient, acting=id)


async def standing(linked: Linked, child: Registered, parent: Registered) -> Any:
    """How the parent stands to the child at this moment, as every access asks it."""
    db, clock = linked.db, linked.at.api.clock
    held = await representation.represented(db, parent.person, clock())
    acting = held[0].id if held else await db.fetchval("select min(id) from representation")
    caller = proxy(child, parent, acting or "none")
    return (await DatabaseStanding(db, clock).of(caller, [child.person]))[child.person]


async def test_a_parent_acts_until_the_register_ends_it(linked: Linked) -> None:
    child, parent, one = await both(linked)
    assert (await standing(linked, child, parent)) == NOTHING
    await linked.basic.authorisations.follow()
    assert "proxy" in (await standing(linked, child, parent)).relations
    related = await linked.at.api.call("GET", f"/RelatedPerson?patient={child.patient}")
    [entry] = related.json()["entry"]
    assert entry["resource"]["relationship"][0]["coding"][0]["code"] == "PRN"
    assert entry["resource"]["active"] is True
    linked.at.api.clock.move(seconds=1)
    linked.state.end(one["id"])
    assert await linked.basic.authorisations.follow() == 1
    assert (await standing(linked, child, parent)) == NOTHING
    related = await linked.at.api.call("GET", f"/RelatedPerson?patient={child.patient}")
    assert related.json()["entry"][0]["resource"]["active"] is False


async def test_a_parent_acts_no_longer_than_until_the_majority(
    linked: Linked, clock: Clock
) -> None:
    child, parent, _ = await both(linked)
    await linked.basic.authorisations.follow()
    born = date.fromisoformat((await linked.patient(child))["birthDate"])
    clock.now = representation.birthday(born, Ages().until) - timedelta(seconds=1)
    assert "proxy" in (await standing(linked, child, parent)).relations
    clock.move(seconds=1)
    assert (await standing(linked, child, parent)) == NOTHING


async def test_who_comes_later_gets_what_was_said_before(linked: Linked) -> None:
    await linked.basic.authorisations.follow()
    assert await linked.db.fetchval("select count(*) from representation") == 0
    child, parent, _ = await both(linked)
    assert "proxy" in (await standing(linked, child, parent)).relations
    agents = await linked.db.fetchval("select count(*) from authorisation where agent <> 0")
    assert 0 < agents < await linked.db.fetchval("select count(*) from authorisation")


async def test_a_guardian_and_a_power_for_some_categories(linked: Linked, clock: Clock) -> None:
    ward, agent = list(linked.state.persons)[:2]
    since, until = clock() - timedelta(days=1), clock() + timedelta(days=10)
    linked.state.mandate(
        "g1", kind="guardian", person=ward, agent=agent, since=since.isoformat(),
        until=until.isoformat(), reference="12 P 1/2026",
    )  # fmt: skip
    linked.state.mandate(
        "a1", kind="authorised", person=agent, agent=ward, since=since.isoformat(),
        categories=["laboratory-report", "something-new"],
    )  # fmt: skip
    one, other = await linked.tell(ward, "1"), await linked.tell(agent, "2")
    await linked.settle()
    await linked.basic.authorisations.follow()
    [guarded] = await representation.represented(linked.db, other.person, clock())
    assert (guarded.kind, guarded.until, guarded.reference) == ("guardian", until, "12 P 1/2026")
    [power] = await representation.represented(linked.db, one.person, clock())
    assert power.categories == {"laboratory-report"}
    clock.now = until
    assert (await standing(linked, one, other)) == NOTHING
    # what we do not know opens nothing more than who somebody is
    linked.state.mandate("a1", categories=["something-new"])
    await linked.basic.authorisations.follow()
    [power] = await representation.represented(linked.db, one.person, clock())
    assert power.categories == {"identification"}


async def test_an_odd_page_is_refused_and_asked_for_again(linked: Linked) -> None:
    good = dict(next(iter(linked.state.mandates.values())))
    del good["id"]
    linked.state.mandate("odd", **{**good, "kind": "king"})
    with pytest.raises(Down, match="kind"):
        await linked.basic.authorisations.follow()
    assert await linked.db.fetchval("select count(*) from authorisation") == 0
    linked.state.mandate("odd", kind=good["kind"])
    await linked.basic.authorisations.follow()
    assert await linked.db.fetchval("select count(*) from authorisation") == len(
        linked.state.mandates
    )


async def director(linked: Linked) -> tuple[Registered, str, str]:
    """A statutory body who is registered, with the IČO and the number of the mandate."""
    one = next(each for each in linked.state.mandates.values() if each["kind"] == "statutory")
    number = {"system": RID, "value": rid_from(9_900_000_000)}
    told = await linked.tell(one["agent"], "7", identifier=[number])
    await linked.settle()
    await linked.basic.authorisations.follow()
    return told, one["organization"], one["id"]


async def test_an_administrator_by_mandate_is_out_when_it_ends(
    linked: Linked, clock: Clock
) -> None:
    told, ico, id_ = await director(linked)
    employed = by_mandate(linked.db, clock, as_written)
    account = Account("d", "d", "D", "administrator", ico, person=told.person)
    assert await employed(account) is account
    assert await employed(replace(account, organization="12345679")) is None
    assert await employed(replace(account, person=told.person + 1)) is None
    written = replace(account, person=None, organization="12345679")
    assert await employed(written) is written  # as the operator wrote it
    patient = replace(account, role="patient")
    assert await employed(patient) is patient
    # a mandate for something else is none for this
    linked.state.mandate(id_, services=["submit"])
    await linked.basic.authorisations.follow()
    assert await employed(account) is None
    linked.state.mandate(id_, services=["submit", ADMINISTRATION])
    await linked.basic.authorisations.follow()
    assert await employed(account) is account
    clock.move(seconds=1)
    linked.state.end(id_)
    await linked.basic.authorisations.follow()
    assert await employed(account) is None


async def test_a_mandate_holds_from_its_first_to_before_its_last_moment(
    linked: Linked, clock: Clock
) -> None:
    told, ico, id_ = await director(linked)
    since, until = clock() + timedelta(hours=1), clock() + timedelta(hours=2)
    linked.state.mandate(id_, since=since.isoformat(), until=until.isoformat())
    await linked.basic.authorisations.follow()
    for moment, holds in (
        (since - timedelta(seconds=1), False), (since, True),
        (until - timedelta(seconds=1), True), (until, False),
    ):  # fmt: skip
        found = await mandated(linked.db, [told.person], [ico], "read", moment)
        assert bool(found) == holds


async def asking(linked: Linked) -> httpx.AsyncClient:
    api = linked.at.api
    services = services_of(linked)
    parts = authorisations.parts(services, shipped("cz"))
    app = fhir_app(api.gate, api.tokens, [parts], RestConfig(BASE, api.clock()))
    whole = Starlette(routes=[*parts.routes, Mount("/fhir", app)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=whole))


async def over(http: httpx.AsyncClient, api: World, caller: Any, ico: str, rid: str) -> Any:
    asked = {
        "idSluzbyEZ": "submit", "idTypuDokumentace": "11502-2",
        "opravnujiciOsoba.role": "PZS", "opravnujiciOsoba.hodnota": ico,
        "opravnenaOsoba.role": "FyzickaOsoba", "opravnenaOsoba.hodnota": rid,
    }  # fmt: skip
    answer = await http.get(
        "http://api.test/opravneni/over", params=asked, headers=api.headers(caller)
    )
    return answer.json() if answer.status_code == 200 else answer.status_code


async def test_the_question_of_rights_knows_mandates(linked: Linked, clock: Clock) -> None:
    told, ico, id_ = await director(linked)
    api, caller = linked.at.api, replace(SERVICE, purpose="SYSADMIN")
    async with await asking(linked) as http:
        assert await over(http, api, caller, ico, told.rid) is True
        assert await over(http, api, caller, "12345679", told.rid) is False
        own = replace(TELLING, organization=ico)
        assert await over(http, api, own, ico, told.rid) is True
        assert await over(http, api, TELLING, ico, told.rid) == 403  # another provider's
        rows = await api.journal(reason="asked-may", person=told.person)
        assert [row["patient"] for row in rows] == [told.patient] * 3
        clock.move(seconds=1)
        linked.state.end(id_)
        await linked.basic.authorisations.follow()
        assert await over(http, api, caller, ico, told.rid) is False


def test_the_simulated_people_are_those_of_the_generator() -> None:
    [one] = people(25, 1, first=600)
    assert len(pseudonym_of(one)) == 24
