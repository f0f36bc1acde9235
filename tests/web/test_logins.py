"""Login through the pages with real accounts, sessions and the journal in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import httpx
import pyotp
import pytest

from pater.access.accounts import Account, save, totp_secret
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from pater.web.app import WebConfig, web_app
from pater.web.logins import AccountLogins
from tests.conftest import Clock
from tests.web.house import pages
from tests.web.test_shell import post

PASSWORD = "správný kůň baterie"


class Desk:
    """The pages over a real database, and one person with a one-time-code secret."""

    def __init__(self, client: httpx.AsyncClient, secret: str, clock: Clock) -> None:
        self.client, self.secret, self.clock = client, secret, clock
        self.entries: list[JournalEntry] = []

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        self.entries += entries

    def code(self) -> str:
        return pyotp.TOTP(self.secret).at(self.clock())

    async def enter(self, password: str = PASSWORD, code: str = "") -> httpx.Response:
        page = await self.client.get("/login")
        answer = await post(self.client, "/login", page, login="Benes", password=password)
        if answer.status_code != 303:
            return answer
        page = await self.client.get("/login/code")
        return await post(self.client, "/login/code", page, code=code or self.code())


@pytest.fixture
async def desk(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    """A clinician's account and a browser at the login page."""
    keys, secret = Keys.generate(), totp_secret()
    person = Account("acc-1", "benes", "MUDr. Tomáš Beneš", "clinician", "00023752", "Nemocnice")
    await save(database, keys, person, PASSWORD, secret, clock)
    async with httpx.AsyncClient(base_url="http://127.0.0.1") as client:
        made = Desk(client, secret, clock)
        config = WebConfig(
            base_url="http://127.0.0.1",
            secret=keys.derived("pages"),
            logins=AccountLogins(database, keys, made.journal, clock),
            clock=clock,
            pages=[pages],
        )
        client._transport = httpx.ASGITransport(web_app(config), client=("192.0.2.7", 1))
        yield made


async def test_a_person_comes_works_and_leaves(desk: Desk) -> None:
    answer = await desk.enter()
    assert answer.headers["location"] == "/professional"
    page = await desk.client.get("/whoami")
    assert page.text == "acc-1 clinician 2 - 192.0.2.7"
    await post(desk.client, "/open", await desk.client.get("/login/help"), purpose="TREAT")
    assert (await desk.client.get("/whoami")).text == "acc-1 clinician 2 TREAT 192.0.2.7"
    answer = await post(desk.client, "/open", await desk.client.get("/x"), purpose="SYSADMIN")
    assert answer.status_code == 403
    await post(desk.client, "/logout", await desk.client.get("/x"))
    assert (await desk.client.get("/whoami")).status_code == 303
    assert [(e.interaction, e.outcome, e.agent) for e in desk.entries] == [
        ("login", "0", "acc-1"),
        ("logout", "0", "acc-1"),
    ]
    assert all(e.source == "192.0.2.7" and e.request_id for e in desk.entries)


async def test_refusals_are_journaled_without_what_was_typed(desk: Desk) -> None:
    assert (await desk.enter("špatné heslo 123")).status_code == 422
    assert (await desk.enter(code="000000")).status_code == 422
    assert [(e.outcome, e.reason) for e in desk.entries] == [
        ("4", "login-failed"),
        ("4", "login-code"),
    ]
    assert "heslo" not in repr(desk.entries) and "000000" not in repr(desk.entries)


async def test_a_code_works_once(desk: Desk) -> None:
    code = desk.code()
    assert (await desk.enter(code=code)).status_code == 303
    desk.client.cookies.clear()
    assert (await desk.enter(code=code)).status_code == 422
    desk.clock.move(seconds=60)
    assert (await desk.enter()).status_code == 303


async def test_ten_wrong_passwords_lock_for_a_while(desk: Desk) -> None:
    for _ in range(10):
        assert (await desk.enter("špatné heslo 123")).status_code == 422
    assert (await desk.enter()).status_code == 422
    desk.clock.move(seconds=timedelta(minutes=6).total_seconds())
    assert (await desk.enter()).status_code == 303


async def test_an_idle_session_ends_and_the_login_page_comes_back(desk: Desk) -> None:
    assert (await desk.enter()).status_code == 303
    assert (await desk.client.get("/whoami")).status_code == 200
    desk.clock.move(minutes=31)
    answer = await desk.client.get("/whoami")
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=%2Fwhoami"
