"""A parent or a guardian entered by a registrar with a proof: it decides, shows and ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from pater.access import accounts, representation
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.explaining import Asked, explain
from pater.access.policy import shipped
from pater.access.representation import stepped_in
from pater.access.standing import DatabaseStanding
from pater.clock import now
from pater.fhir.json import parse
from pater.records.errors import Forbidden, Unprocessable
from pater.registers.registration import Registered
from pater.registers.representing import Representing, Wish
from pater.settings import Settings
from pater.store.database import Database
from pater.store.read import read
from tests.persons.registry import Office, opened, somebody
from tests.registers.registering import REGISTRAR

BASE = "http://127.0.0.1:8079"


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(Settings(data=tmp_path, port=8079), database.dsn) as made:
        yield made


async def both(office: Office) -> tuple[Registered, Registered]:
    year = now().year
    child = await office.tell(somebody("Malá", birthDate=f"{year - 8}-05-01", gender="female"))
    parent = await office.tell(somebody("Velký", birthDate="1980-02-03", gender="male"))
    return child, parent


def desk(office: Office) -> Representing:
    services = office.house.services
    return Representing(services.gate, services.db, Ages())


async def test_a_parent_is_entered_seen_explained_and_ended(office: Office) -> None:
    child, parent = await both(office)
    path = f"/registry/persons/{child.patient}/representatives"
    assert "Nobody acts for the person" in await office.get("eva", path)
    form = {"kind": "parent", "rid": parent.rid, "born": "1980-02-03", "proof": "RL 12/2018"}
    wrong = await office.post("eva", path, 422, **{**form, "born": "1980-02-04", "proof": ""})
    assert "Nobody of the register has this number" in wrong.text and "Say by which" in wrong.text
    await office.post("eva", path, 303, **form)
    page = await office.get("eva", path)
    assert "RL 12/2018" in page and "entered by an official" in page
    assert "entered already" in (await office.post("eva", path, 422, **form)).text
    [one] = await representation.represented(office.house.db, parent.person, now())
    assert one.kind == "parent" and one.reference == "RL 12/2018"
    stored = await read(office.house.db, "RelatedPerson", one.id)
    assert stored is not None and stored.person == child.person
    related = parse(stored.body)
    assert related["active"] and related["relationship"][0]["coding"][0]["code"] == "PRN"
    rows = await office.house.db.fetch(
        "select reason from journal_entry where person = $1 and agent = 'eva'", child.person
    )
    assert "representation-made" in {row["reason"] for row in rows}
    # the decision looks at it, and says why
    lines = await explained(office, parent, child)
    assert any("as a parent (an official entered it, RL 12/2018)" in each for each in lines)
    assert any(each.startswith("ALLOWED") for each in lines)
    await office.post("eva", f"{path}/end", 303, page=path, id=one.id)
    assert await representation.represented(office.house.db, parent.person, now()) == []
    stored = await read(office.house.db, "RelatedPerson", one.id)
    assert stored is not None and parse(stored.body)["active"] is False
    lines = await explained(office, parent, child)
    assert any("does not hold at that moment" in each for each in lines)
    assert any(each.startswith("REFUSED") for each in lines)
    await office.post("eva", f"{path}/end", 303, page=path, id=one.id)  # twice is once
    await office.post("eva", f"{path}/end", 404, page=path, id="nobody")
    for login in ("lekar", "none"):
        await office.get(login, path, 403)


async def explained(office: Office, parent: Registered, child: Registered) -> list[str]:
    """As `pater access explain` says it of the parent's account."""
    caller = Caller(
        kind="person", id="p", name="P", role="patient", purpose="PATRQT", strength=2,
        scopes=("patient/*.rs",), person=parent.person, patient=parent.patient,
    )  # fmt: skip
    policy, at = shipped("cz"), now()
    acting = await representation.between(office.house.db, parent.person, child.person, at)
    if acting is not None and acting.holds(at):
        caller = stepped_in(caller, acting)
    standing = DatabaseStanding(office.house.db, now, policy.territories, policy.parents)
    seen = await standing.seen(caller, child.person, at)
    said = await standing.said(caller, child.person, at)
    asked = Asked(caller, "read", "Observation", child.person, at, seen, said, acting)
    return explain(policy, asked, "en")


async def test_what_cannot_be_is_refused(office: Office) -> None:
    child, parent = await both(office)
    enter = desk(office).enter
    good = Wish("parent", child.patient, parent.patient, "RL 1")
    dead = await office.tell(
        somebody("Zesnulý", birthDate="1950-01-01", deceasedDateTime="2020-01-01")
    )
    yesterday = (now() - timedelta(days=1)).astimezone(UTC).date()
    for wrong in (
        replace(good, proof=" "), replace(good, proof="x" * 201), replace(good, proof="a\x07b"),
        replace(good, agent=child.patient), replace(good, agent=dead.patient),
        replace(good, patient=parent.patient, agent=child.patient),  # the other way round
        replace(good, until=yesterday),
        Wish("parent", parent.patient, dead.patient, "RL 1"),
    ):  # fmt: skip
        with pytest.raises(Unprocessable):
            await enter(REGISTRAR, wrong)
    for role in ("patient", "clinician", "provider-system"):
        with pytest.raises(Forbidden):
            await enter(replace(REGISTRAR, id=role, role=role), good)
    assert await office.house.db.fetchval("select count(*) from representation") == 0
    # a grown ward has a guardian, not a parent
    one = await enter(REGISTRAR, Wish("guardian", parent.patient, child.patient, "12 P 1/2026"))
    assert one.born is None and one.holds(now())
    assert await accounts.find(office.house.db, "eva") is not None
