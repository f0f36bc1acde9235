"""Mandates of a provider: its administrator gives and ends them; those entitled read Contracts."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.access.policy import shipped
from pater.app import House, build, open_house
from pater.clock import now
from pater.fhir.validation import validate
from pater.registers.basic import granting
from pater.registers.basic.authorisations import ADMINISTRATION, mandated
from pater.registers.identifiers import RID, rid_from
from pater.registers.registration import Registered
from pater.registers.surviving import Source
from pater.rest import authorisations
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.settings import Settings
from pater.store.database import Database
from tests.basic.conftest import Linked, services_of
from tests.basic.test_mandates import SERVICE, director
from tests.registers.registering import TELLING
from tests.rest.world import BASE, LOADER

ICO = "27520536"
HERE = "http://127.0.0.1:8079"


class Desk:
    """The pages of an administrator."""

    def __init__(self, house: House, http: httpx.AsyncClient) -> None:
        self.house, self.http = house, http
        self.cookie: dict[str, str] = {}

    async def enter(self, role: str = "administrator", person: int | None = None) -> None:
        account = Account(role, role, "A", role, ICO, "Nemocnice A", person=person)
        await accounts.save(
            self.house.db, self.house.keys, account, "four words are better",
            accounts.totp_secret(), now,
        )  # fmt: skip
        token = await sessions.open_session(self.house.db, account, now, lang="en", strength=2)
        self.cookie = {"Cookie": f"pater_session={token}; pater_lang=en"}

    async def get(self) -> str:
        answer = await self.http.get("/mandates", headers=self.cookie)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    async def post(self, path: str, status: int, **fields: str) -> str:
        page = await self.get()
        csrf = re.search(r'name="csrf" value="([^"]*)"', page)
        assert csrf
        data = {"csrf": csrf[1], **fields}
        answer = await self.http.post(path, data=data, headers=self.cookie)
        assert answer.status_code == status, answer.text
        return unescape(answer.text)

    async def somebody(self, number: int, family: str = "Pověřená") -> Registered:
        registers = self.house.services.registers
        assert registers is not None
        patient = {
            "resourceType": "Patient", "birthDate": "1980-02-03",
            "name": [{"family": family, "given": ["Eva"]}],
            "identifier": [{"system": RID, "value": rid_from(9_100_000_000 + number * 1000)}],
        }  # fmt: skip
        return await registers.registration.register(
            LOADER, patient, Source(ICO, "urn:mrn", str(number))
        )


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Any:
    async with open_house(Settings(data=tmp_path, port=8079), database.dsn) as house:
        transport = httpx.ASGITransport(build(house))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
            yield Desk(house, http)


def form(who: Registered, **more: str) -> dict[str, str]:
    return {
        "rid": who.rid, "family": "Pověřená", "born": "1980-02-03", "s-submit": "1",
        "reference": "PM 1", "key": str(uuid4()), **more,
    }  # fmt: skip


async def test_an_administrator_gives_and_ends_a_mandate(desk: Desk) -> None:
    db = desk.house.db
    await desk.enter()
    assert "No mandates yet" in await desk.get()
    who = await desk.somebody(1)
    asked = form(who)
    await desk.post("/mandates", 303, **asked)
    await desk.post("/mandates", 303, **asked)  # the same form twice is one mandate
    [one] = await granting.listing(db, ICO, now())
    assert (one.services, one.source, one.agent) == (("submit",), "here", who.person)
    assert await mandated(db, [who.person], [ICO], "submit", now())
    assert not await mandated(db, [who.person], [ICO], "read", now())
    page = await desk.get()
    assert "Eva Pověřená" in page and "PM 1" in page and "Hand over documents" in page
    rows = await db.fetch(
        "select reason from journal_entry where person = $1 and agent = 'administrator'",
        who.person,
    )
    assert {"mandate-made", "mandates-listed"} <= {row["reason"] for row in rows}
    await desk.post("/mandates/end", 303, id=one.id)
    assert not await mandated(db, [who.person], [ICO], "submit", now())
    assert "is over" in await desk.get()
    await desk.post("/mandates/end", 404, id="nobody's")


async def test_what_is_wrong_is_said_and_gives_nothing(desk: Desk) -> None:
    await desk.enter()
    who = await desk.somebody(1)
    for wrong, text in (
        ({"family": "Jiná"}, "Nobody was found"), ({"born": "1980-02-04"}, "Nobody was found"),
        ({"rid": "1"}, "Nobody was found"), ({"family": ""}, "Enter the family name"),
        ({"s-submit": ""}, "Choose at least one"), ({"until": "2001-01-01"}, "is over"),
        ({"until": "soon"}, "Enter a day"),
    ):  # fmt: skip
        assert text in await desk.post("/mandates", 422, **form(who, **wrong)), wrong
    await desk.post("/mandates", 400, **form(who, key="x"))
    assert await desk.house.db.fetchval("select count(*) from authorisation") == 0
    # another's page does not exist for who is none
    await desk.enter("clinician")
    assert (await desk.http.get("/mandates", headers=desk.cookie)).status_code == 403


async def test_only_a_statutory_body_gives_the_administration_on(desk: Desk) -> None:
    db = desk.house.db
    boss, other = await desk.somebody(1, "Ředitelka"), await desk.somebody(2)
    row = granting.give(
        "x", ICO, boss.person, "B", [ADMINISTRATION], "", now() - timedelta(days=1),
        now() + timedelta(days=9), "operator",
    )  # fmt: skip
    await db.execute(row.sql, *row.args)
    await desk.enter(person=boss.person)
    wish = form(other, **{f"s-{ADMINISTRATION}": "1"})
    assert "Only a statutory body" in await desk.post("/mandates", 422, **wish)
    await desk.post("/mandates", 303, **form(other))
    await db.execute("update authorisation set kind = 'statutory' where id = 'x'")
    await desk.post("/mandates", 303, **wish)
    assert await mandated(db, [other.person], [ICO], ADMINISTRATION, now())


async def test_a_mandate_is_a_contract_for_those_entitled(linked: Linked) -> None:
    told, ico, id_ = await director(linked)
    api = linked.at.api
    app = fhir_app(
        api.gate, api.tokens, [authorisations.parts(services_of(linked), shipped("cz"))],
        RestConfig(BASE, api.clock()),
    )  # fmt: skip

    async def ask(caller: Any, **values: Any) -> httpx.Response:
        listed = [
            {"name": name, ("valueInteger" if name == "_count" else "valueString"): value}
            for name, value in values.items()
        ]
        body = {"resourceType": "Parameters", "parameter": listed}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
            headers = api.headers(caller) | {"content-type": "application/fhir+json"}
            return await http.post("http://api.test/Organization/$mandates", json=body,
                                   headers=headers)  # fmt: skip

    own = replace(TELLING, organization=ico)
    service = replace(SERVICE, purpose="SYSADMIN")
    for caller in (own, service):
        answer = await ask(caller, organization=ico)
        assert answer.status_code == 200, answer.text
        [entry] = answer.json()["entry"]
        contract = entry["resource"]
        assert not [each for each in validate(contract) if each.severity in ("error", "fatal")]
        assert contract["status"] == "executed"
        assert contract["identifier"][0]["value"] == id_
    rows = await api.journal(person=told.person, reason="asked-may")
    assert len(rows) == 2 and {row["patient"] for row in rows} == {told.patient}
    assert "entry" not in (await ask(own, organization=ico, status="terminated")).json()
    assert "entry" not in (await ask(own, organization=ico, agent="2066425387")).json()
    assert len((await ask(own, organization=ico, agent=told.rid)).json()["entry"]) == 1
    for values, status in (
        ({}, 400), ({"organization": "1"}, 400), ({"organization": ico, "status": "x"}, 400),
        ({"organization": ico, "agent": "1"}, 400), ({"organization": ico, "after": "x"}, 400),
        ({"organization": ico, "_count": 0}, 400), ({"organization": "12345679"}, 403),
    ):  # fmt: skip
        assert (await ask(own, **values)).status_code == status, values
    person = replace(own, kind="person", id="p", role="clinician")
    assert (await ask(person, organization=ico)).status_code == 403
    linked.at.api.clock.move(seconds=1)
    linked.state.end(id_)
    await linked.basic.authorisations.follow()
    [entry] = (await ask(own, organization=ico)).json()["entry"]
    assert entry["resource"]["status"] == "terminated" and entry["resource"]["applies"]["end"]


async def test_pages_of_mandates_go_on_where_the_last_one_ended(linked: Linked) -> None:
    for number in range(5):
        row = granting.give(
            f"here:{number}", ICO, 7, "A", ["read"], "", now() + timedelta(seconds=number % 2),
            now() + timedelta(days=2), "a",
        )  # fmt: skip
        await linked.db.execute(row.sql, *row.args)
    seen, after = [], None
    while page := await granting.listing(linked.db, ICO, now(), after=after, count=2):
        seen += [each.id for each in page]
        after = page[-1]
    assert sorted(seen) == [f"here:{number}" for number in range(5)] and len(set(seen)) == 5
