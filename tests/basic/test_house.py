"""The links in a whole house: the minute's work, the page of their health, the commands."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from playwright.async_api import Browser, Route

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.app import House, build, open_house
from pater.cli import main
from pater.clock import now
from pater.domains.basic.health import PATH
from pater.domains.simulators.registers import PATH as SIMULATED
from pater.registers.basic import Down, waiting
from pater.registers.basic.health import FAILURES
from pater.registers.basic.room import KIND
from pater.settings import Settings, SettingsError, load
from pater.store import jobs
from pater.store.database import Database
from tests.chromium import Complaints, at, faults

BASE = "http://127.0.0.1:8079"


@pytest.fixture
async def house(
    database: Database, tmp_path: Path
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    """A demonstration that nobody serves: its registers cannot be reached at their address."""
    async with open_house(Settings(data=tmp_path, demo=True, port=8079), database.dsn) as opened:
        transport = httpx.ASGITransport(build(opened))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            yield opened, http


async def cookie(house: House, role: str, lang: str = "en") -> dict[str, str]:
    account = Account(role, role, "A", role, "27520536", "Nemocnice A")
    await accounts.save(
        house.db, house.keys, account, "four words are better", accounts.totp_secret(), now
    )
    token = await sessions.open_session(house.db, account, now, lang=lang, strength=2)
    return {"Cookie": f"pater_session={token}; pater_lang={lang}"}


async def test_the_page_says_how_the_registers_are(
    house: tuple[House, httpx.AsyncClient],
) -> None:
    opened, http = house
    basic = opened.services.basic
    assert basic is not None
    mine = await cookie(opened, "administrator")
    answer = await http.get(PATH, headers=mine)
    assert answer.status_code == 200, (answer.headers, answer.text)
    first = answer.text
    assert first.count("not asked yet") == 4 and "There are no links" not in first
    for _ in range(FAILURES):
        with pytest.raises(Down):
            await basic.identities.follow()
    await waiting.who(opened.db, [7], now())
    page = (await http.get(PATH, headers=mine)).text
    assert "down, left alone for a while" in page and "it cannot be reached" in page
    assert page.count("not asked yet") == 3 and '<span class="stat-value">1</span>' in page
    czech = (await http.get(PATH, headers=await cookie(opened, "registrar", "cs"))).text
    assert "nelze se k němu připojit" in czech and "Registr státu" in czech
    assert "mimo provoz, chvíli se neptáme" in czech and "Základní registry" in czech
    refused = await http.get(PATH, headers=await cookie(opened, "clinician"))
    assert refused.status_code == 403
    assert (await http.get(PATH)).status_code == 303


async def test_the_simulation_is_turned_on_its_page(
    house: tuple[House, httpx.AsyncClient],
) -> None:
    _, http = house
    page = (await http.get(SIMULATED)).text
    proof = re.search(r'name="csrf" value="([^"]*)"', page)
    name = re.search(r'name="died" value="([^"]+)"', page)
    mandate = re.search(r'name="ended" value="([^"]+)"', page)
    assert proof and name and mandate

    async def press(**fields: str) -> None:
        done = await http.post(SIMULATED, data={"csrf": unescape(proof[1]), **fields})
        assert done.status_code == 303, done.text

    await press(died=name[1])
    await press(ended=mandate[1])
    await press(ruian="down", ros="nonsense")
    changed = (await http.get(f"{SIMULATED}/rob/changes")).json()
    assert changed == {"changes": [{"pseudonym": name[1]}], "cursor": changed["cursor"]}
    later = (await http.get(f"{SIMULATED}/rob/changes", params={"after": changed["cursor"]})).json()
    assert later["changes"] == []
    ended = (await http.get(f"{SIMULATED}/reza/mandates", params={"count": "500"})).json()
    assert [each["id"] for each in ended["changes"] if each.get("ended")] == [mandate[1]]
    assert (await http.get(f"{SIMULATED}/ruian/addresses/1")).status_code == 503
    assert (await http.get(f"{SIMULATED}/ros/businesses/1")).status_code == 404
    for body in (b"", b"[]", b"{", b"\xff"):
        answer = await http.post(f"{SIMULATED}/rob/find", content=body)
        assert answer.status_code == 400


async def test_the_work_is_asked_for_each_minute_while_there_are_links(
    house: tuple[House, httpx.AsyncClient], tmp_path: Path
) -> None:
    opened, _ = house
    scheduled = "select count(*) from job_schedule where kind = $1"
    assert await opened.db.fetchval(scheduled, KIND) == 1
    await waiting.who(opened.db, [7], now())
    worked = await opened.parts["basic"].jobs[KIND](None)  # type: ignore[arg-type]  # not looked at
    assert worked == {"followed": 0, "answered": 1, "compared": 0}  # number 7 is nobody's
    async with open_house(Settings(data=tmp_path), opened.db.dsn) as bare:
        assert bare.services.basic is None and not bare.parts["basic"].listeners
        assert await opened.db.fetchval(scheduled, KIND) == 0


def test_the_address_is_an_address() -> None:
    with pytest.raises(SettingsError, match="basic_registers"):
        load({"PATER_BASIC_REGISTERS": "registers.example"})
    kept = load({"PATER_BASIC_REGISTERS": "https://r.example", "PATER_BASIC_TOKEN": "s3cret"})
    assert kept.shown()["basic_token"] == "********"


def test_an_operator_sees_and_hurries(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATER_DATABASE_URL", database.dsn)
    monkeypatch.setenv("PATER_DATA", str(tmp_path))

    def run(*words: str) -> Result:
        found: list[Result] = []
        thread = threading.Thread(target=lambda: found.append(CliRunner().invoke(main, [*words])))
        thread.start()
        thread.join()
        return found[0]

    shown = run("basic", "status")
    assert shown.exit_code == 0, shown.output
    assert "reza   unknown" in shown.output and "0 questions wait" in shown.output
    assert run("basic", "retry").output == "0 questions are asked now\n"
    unlinked = run("basic", "ask", "ruian", "1")
    assert unlinked.exit_code == 1 and "no links" in unlinked.output
    monkeypatch.setenv("PATER_BASIC_REGISTERS", "http://127.0.0.1:9/x")
    down = run("basic", "ask", "ros", "27520536")
    assert down.exit_code == 1 and "cannot be reached" in down.output
    assert "ros    failing" in run("basic", "status").output
    assert run("basic", "ask", "rob", "nobody").exit_code == 1


async def test_retrying_asks_for_the_work(database: Database) -> None:
    first = await jobs.enqueue(database, KIND, {}, dedupe=KIND)
    assert await jobs.enqueue(database, KIND, {}, dedupe=KIND) == first


@pytest.mark.browser
async def test_the_page_is_good_for_everybody(
    house: tuple[House, httpx.AsyncClient], chromium: Browser
) -> None:
    opened, http = house
    mine = await cookie(opened, "administrator", "cs")
    basic = opened.services.basic
    assert basic is not None
    with pytest.raises(Down):
        await basic.identities.follow()

    async def serve(route: Route) -> None:
        answer = await http.get(route.request.url, headers=mine)
        headers = {k: v for k, v in answer.headers.items() if k != "content-security-policy"}
        await route.fulfill(status=answer.status_code, headers=headers, body=answer.content)

    for width in (390, 1280):
        page = await chromium.new_page(viewport={"width": width, "height": 900})
        complaints = Complaints(page)
        await page.route("**/*", serve)
        await page.goto(BASE + PATH)
        await at(page, PATH)
        assert await faults(page) == [] and complaints.texts == []
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.evaluate(wide)
        await page.close()
