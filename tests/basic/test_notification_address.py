"""The question "set the address of notifications" of the registers, and what comes there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from pater.access.caller import Caller
from pater.domains.directory import native as directory
from pater.domains.persons import domain as persons
from pater.registers.identifiers import RID, rid_from
from pater.store.database import Database
from tests.rest.subscription_world import HOSPITAL_B, LOADER, Receiver, Served, served, until

KRP = "/krp/api/v2/pacient/nastavit/urlpronotifikace"
KRPZS = "/krpzs/api/v2/Poskytovatel/nastavit/urlpronotifikace"
KRZP = "/krzp/api/v2/pracovnik/nastavit/urlpronotifikace"
WHO = replace(HOSPITAL_B, id="notified", scopes=("system/*.rs", "system/Subscription.cruds"))


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(database, tmp_path, callers=(LOADER, HOSPITAL_B, WHO)) as opened:
        yield opened


async def ask(
    world: Served, path: str, data: dict[str, Any], caller: Caller = WHO
) -> tuple[int, dict[str, Any]]:
    services = world.house.services
    routes = [*directory.routes(services), *persons.build(services).routes]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    body = {
        "zadostInfo": {
            "datum": "2026-01-01T08:00:00Z", "ucel": "LECBA", "zadostId": str(uuid4())
        },
        "zadostData": data,
    }  # fmt: skip
    headers = {
        "authorization": f"Bearer {world.token(caller)}", "content-type": "application/json",
    }  # fmt: skip
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        answer = await http.post(path, content=json.dumps(body), headers=headers)
    return answer.status_code, answer.json()


async def test_a_change_of_a_provider_comes_to_the_address(world: Served) -> None:
    async with Receiver().listening() as receiver:
        wish = {"url": receiver.url(), "hlavicka": "X-Key: secret"}
        status, said = await ask(world, KRPZS, wish)
        assert status == 200, said
        told = said["odpovedData"]["notifikace"]
        [id_] = told["subscription"]
        assert told["stav"] == "Nastaveno"
        await world.becomes(id_, "active")
        made = await world.create({"resourceType": "Organization", "active": True, "name": "N"})
        told_of = await until(lambda: [each for each in receiver.calls if each.focuses])
        last = told_of[0]
        assert [each.partition("Organization/")[2] for each in last.focuses] == [made["id"]]
        assert last.headers["x-key"] == "secret"
        # set again it is the same one; taken away, nothing comes any more
        assert (await ask(world, KRPZS, wish))[1]["odpovedData"]["notifikace"]["subscription"] == [
            id_
        ]
        status, said = await ask(world, KRPZS, {"zrusit": True})
        assert status == 200 and said["odpovedData"]["notifikace"]["stav"] == "Zrušeno"
        assert await world.state(id_, WHO) == "off"
        assert (await ask(world, KRPZS, {"zrusit": True}))[0] == 200
        # who deleted it gets another one
        assert (await world.call("DELETE", f"/Subscription/{id_}", caller=WHO)).status_code == 204
        status, said = await ask(world, KRPZS, wish)
        [other] = said["odpovedData"]["notifikace"]["subscription"]
        assert other != id_ and await world.becomes(other, "active")


async def test_krp_tells_of_the_persons_that_are_named(world: Served) -> None:
    rid = rid_from(3_000_000_000)
    many = [rid_from(3_000_000_000 + 1_000 * n) for n in range(60)]
    async with Receiver().listening() as receiver:
        status, said = await ask(world, KRP, {"url": receiver.url(), "rid": [rid, *many]})
        assert status == 200, said
        ids = said["odpovedData"]["notifikace"]["subscription"]
        assert len(ids) == 2
        status, said = await ask(world, KRP, {"url": receiver.url(), "rid": [rid]})
        assert said["odpovedData"]["notifikace"]["subscription"] == ids[:1]
        assert await world.state(ids[1], WHO) == "off"
        await world.becomes(ids[0], "active")
        held = (await world.call("GET", f"/Subscription/{ids[0]}", caller=WHO)).json()
        assert f"{RID}|{rid}" in str(held["_criteria"])


REFUSED: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    (KRPZS, {}, 400, "zadostData.url"),
    (KRPZS, {"url": 7}, 400, "zadostData.url"),
    (KRPZS, {"url": "http://10.0.0.1/hook"}, 422, "zadostData.url"),
    (KRPZS, {"url": "https://169.254.169.254/latest"}, 422, "zadostData.url"),
    (KRPZS, {"url": "ftp://e.example/"}, 422, "zadostData.url"),
    (KRZP, {"url": "http://127.0.0.1:1/", "hlavicka": "Host: x"}, 422, "zadostData.hlavicka"),
    (KRZP, {"zrusit": "ano"}, 400, "zadostData.zrusit"),
    (KRZP, {"url": "http://127.0.0.1:1/", "rid": ["2066425387"]}, 400, "zadostData.rid"),
    (KRP, {"url": "http://127.0.0.1:1/"}, 400, "zadostData.rid"),
    (KRP, {"url": "http://127.0.0.1:1/", "rid": ["1"]}, 400, "zadostData.rid[0]"),
    (KRP, {"url": "http://127.0.0.1:1/", "rid": ["2066425387"] * 1001}, 400, "zadostData.rid"),
)


async def test_what_cannot_be_an_address_is_refused(world: Served) -> None:
    for path, data, status, where in REFUSED:
        found, said = await ask(world, path, data)
        assert (found, said.get("path")) == (status, where), (data, said)
    assert await world.house.db.fetchval("select count(*) from subscription") == 0


async def test_only_a_system_has_an_address(world: Served) -> None:
    person = Caller(
        kind="person", id="clinician", name="C", role="clinician", purpose="TREAT", strength=2,
        scopes=("user/*.cruds",), organization="12345679",
    )  # fmt: skip
    assert (await ask(world, KRPZS, {"url": "http://127.0.0.1:1/"}, person))[0] == 403
    reader = replace(WHO, scopes=("system/*.rs",))
    assert (await ask(world, KRPZS, {"url": "http://127.0.0.1:1/"}, reader))[0] == 403
