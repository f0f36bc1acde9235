"""A person's own account over HTTP: passkeys, codes, password, sessions, stepping up."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Sequence

import httpx
import pyotp
import pytest

from pater.access import single_codes
from pater.access.accounts import Account, save, totp_secret
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from pater.web.app import WebConfig, web_app
from pater.web.logins import AccountLogins
from tests.access.authenticator import Authenticator
from tests.conftest import Clock
from tests.web.house import pages
from tests.web.test_shell import post

BASE = "https://zdravi.example"
PASSWORD = "správný kůň baterie"


class Desk:
    """The pages over a real database, and people in front of them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock, self.keys = db, clock, Keys.generate()
        self.entries: list[JournalEntry] = []
        self.secret = totp_secret()
        self.browsers: list[httpx.AsyncClient] = []
        logins = AccountLogins(db, self.keys, self.journal, clock, base_url=BASE)
        self.app = web_app(
            WebConfig(
                base_url=BASE,
                secret=self.keys.derived("pages"),
                logins=logins,
                security=logins.security,
                clock=clock,
                pages=[pages],
            )
        )

    async def journal(self, entries: Sequence[JournalEntry]) -> None:
        self.entries += entries

    def browser(self, agent: str = "Firefox/140.0 (Windows)") -> httpx.AsyncClient:
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=("192.0.2.7", 1)),
            base_url=BASE,
            headers={"User-Agent": agent, "Accept-Language": "en"},
        )
        self.browsers.append(made)
        return made

    def code(self) -> str:
        self.clock.move(seconds=60)
        return pyotp.TOTP(self.secret).at(self.clock())

    async def enter(self, browser: httpx.AsyncClient, code: str = "") -> httpx.Response:
        page = await browser.get("/login")
        answer = await post(browser, "/login", page, login="benes", password=PASSWORD)
        if answer.headers.get("location") != "/login/code":
            return answer
        page = await browser.get("/login/code")
        return await post(browser, "/login/code", page, code=code or self.code())

    async def add_key(self, browser: httpx.AsyncClient) -> Authenticator:
        one = Authenticator(BASE, "zdravi.example")
        page = await browser.get("/account/passkeys/new")
        answer = await post(
            browser, "/account/passkeys/new", page, name="Můj telefon",
            challenge=field(page, "challenge"), credential=one.make(options(page)),
        )  # fmt: skip
        assert answer.headers["location"] == "/account?done=passkey", answer.text
        return one

    def reasons(self) -> list[str]:
        return [entry.reason for entry in self.entries]


def field(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text[:500]
    return html.unescape(found[1])


def options(page: httpx.Response) -> str:
    found = re.search(r'data-options="([^"]*)"', page.text)
    assert found, page.text[:500]
    return html.unescape(found[1])


@pytest.fixture
async def desk(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    made = Desk(database, clock)
    person = Account("acc-1", "benes", "MUDr. Tomáš Beneš", "clinician", "00023752", "Nemocnice")
    await save(database, made.keys, person, PASSWORD, made.secret, clock)
    yield made
    for browser in made.browsers:
        await browser.aclose()


async def test_a_passkey_alone_lets_in(desk: Desk) -> None:
    first = desk.browser()
    await desk.enter(first)
    one = await desk.add_key(first)
    assert "Můj telefon" in (await first.get("/account")).text
    other = desk.browser()
    page = await other.get("/login", params={"next": "/whoami"})
    sent = {"challenge": field(page, "challenge"), "next": "/whoami"}
    answer = await post(other, "/login/passkey", page, **sent, credential=one.sign(options(page)))
    assert answer.headers["location"] == "/whoami"
    assert (await other.get("/whoami")).text.startswith("acc-1 clinician 2")
    assert {"passkey-added", "login-passkey"} <= set(desk.reasons())
    # the same form again, another visit's form, and nonsense
    third = desk.browser()
    page = await third.get("/login")
    for credential in (one.sign(options(page)), "", "{}", "x" * 30_000):
        answer = await post(third, "/login/passkey", page, **sent, credential=credential)
        assert answer.status_code == 422 and "was not accepted" in answer.text
    assert (await third.get("/whoami")).status_code == 303


async def test_changes_ask_for_the_second_factor_and_come_back(desk: Desk) -> None:
    browser = desk.browser()
    await desk.enter(browser)
    assert (await browser.get("/account/password")).status_code == 200
    desk.clock.move(minutes=11)
    asked = await browser.get("/account/password")
    assert asked.headers["location"] == "/login/again?next=%2Faccount%2Fpassword"
    page = await browser.get(asked.headers["location"])
    wrong = await post(browser, "/login/again", page, next="/account/password", code="000000")
    assert wrong.status_code == 422
    right = await post(browser, "/login/again", page, next="/account/password", code=desk.code())
    assert right.headers["location"] == "/account/password"
    assert (await browser.get("/account/password")).status_code == 200
    outside = await post(browser, "/login/again", page, next="//evil.test", code=desk.code())
    assert outside.headers["location"] == "/account"
    assert desk.reasons()[-3:] == ["login-code", "step-up", "step-up"]


async def test_who_has_only_a_password_opens_no_record(desk: Desk) -> None:
    person = Account("acc-2", "jana", "Jana Nováková", "patient", person=7, patient="p7")
    await save(desk.db, desk.keys, person, PASSWORD, None, desk.clock)
    browser = desk.browser()
    page = await browser.get("/login")
    answer = await post(browser, "/login", page, login="jana", password=PASSWORD, next="/whoami")
    assert answer.headers["location"] == "/whoami"
    before = dict(browser.cookies)
    asked = await browser.get("/whoami")
    assert asked.headers["location"] == "/login/again?next=%2Fwhoami"
    page = await browser.get("/login/again?next=/whoami")
    assert "has no second factor yet" in page.text
    async with desk.db.transaction() as connection:
        code = await single_codes.hand_out(connection, desk.keys, "acc-2", desk.clock())
    page = await browser.get("/login/again?next=/whoami")
    answer = await post(browser, "/login/again", page, next="/whoami", code=code)
    assert answer.headers["location"] == "/whoami"
    assert (await browser.get("/whoami")).status_code == 200
    # a stronger session has another token: whoever had the old one has nothing
    assert dict(browser.cookies)["__Host-pater_session"] != before["__Host-pater_session"]
    old = desk.browser()
    old.cookies.update(before)
    assert (await old.get("/whoami")).status_code == 303


async def test_recovery_codes_are_shown_once_and_work_once(desk: Desk) -> None:
    browser = desk.browser()
    await desk.enter(browser)
    page = await post(browser, "/account/codes", await browser.get("/account/codes"))
    codes = re.findall(r"<li><code>([^<]+)</code>", page.text)
    assert len(codes) == 10 and page.headers["cache-control"] == "no-store"
    assert codes[0] not in (await browser.get("/account/codes")).text
    other = desk.browser()
    assert (await desk.enter(other, codes[0])).status_code == 303
    assert (await other.get("/whoami")).status_code == 200
    assert (await desk.enter(desk.browser(), codes[0])).status_code == 422
    assert "9 of 10" in (await other.get("/account")).text
    assert "codes-made" in desk.reasons() and "login-single-code" in desk.reasons()


async def test_a_new_app_takes_the_place_of_the_old(desk: Desk) -> None:
    browser = desk.browser()
    await desk.enter(browser)
    page = await browser.get("/account/app")
    assert 'src="data:image/svg+xml' in page.text
    secret = "".join(re.search(r"<code>([^<]+)</code>", page.text)[1].split())  # type: ignore[index]
    assert secret != desk.secret
    sealed = field(page, "secret")
    wrong = await post(browser, "/account/app", page, secret=sealed, code="000000")
    assert wrong.status_code == 422
    code = pyotp.TOTP(secret).at(desk.clock())
    right = await post(browser, "/account/app", page, secret=sealed, code=code)
    assert right.headers["location"] == "/account?done=app"
    assert (await desk.enter(desk.browser())).status_code == 422
    desk.secret = secret
    assert (await desk.enter(desk.browser())).status_code == 303


async def test_a_new_password_ends_what_was_open_elsewhere(desk: Desk) -> None:
    mine, other = desk.browser(), desk.browser()
    await desk.enter(mine)
    await desk.enter(other)
    page = await mine.get("/account/password")

    async def change(old: str, new: str, again: str) -> httpx.Response:
        return await post(mine, "/account/password", page, old=old, new=new, again=again)

    good = "kapr plave v lednu"
    assert "is not right" in (await change("wrong", good, good)).text
    assert "differ" in (await change(PASSWORD, good, good + "x")).text
    assert "fewer than 12" in (await change(PASSWORD, "short", "short")).text
    assert "first that are tried" in (await change(PASSWORD, "heslo1234567", "heslo1234567")).text
    assert "of your name" in (await change(PASSWORD, "benes-benes-1", "benes-benes-1")).text
    done = await change(PASSWORD, good, good)
    assert done.headers["location"] == "/account?done=password"
    assert (await mine.get("/whoami")).status_code == 200
    assert (await other.get("/whoami")).status_code == 303
    assert (await desk.enter(desk.browser())).status_code == 422
    assert "password-changed" in desk.reasons()


async def test_the_list_of_my_sessions(desk: Desk) -> None:
    mine, phone, third = desk.browser(), desk.browser("Chrome/140 (Android)"), desk.browser()
    for browser in (mine, phone, third):
        await desk.enter(browser)
    assert "login-new" in desk.reasons()
    page = await mine.get("/account")
    assert "Chrome, Android" in page.text and "192.0.2.7" in page.text
    ids = re.findall(r'name="id" value="([^"]+)"', page.text)
    assert len(ids) == 2
    for id in ids[:1]:
        await post(mine, "/account/sessions", page, id=id)
    await post(mine, "/account/sessions", page, id="nonsense")
    alive = [(await b.get("/whoami")).status_code for b in (mine, phone, third)]
    assert alive[0] == 200 and sorted(alive[1:]) == [200, 303]
    await post(mine, "/account/sessions", page, others="1")
    assert [(await b.get("/whoami")).status_code for b in (mine, phone, third)] == [200, 303, 303]
    assert desk.reasons()[-2:] == ["session-ended", "sessions-ended"]


async def test_nobody_ends_the_sessions_of_another(desk: Desk) -> None:
    mine = desk.browser()
    await desk.enter(mine)
    row = await desk.db.fetchrow("select id from session")
    person = Account("acc-2", "jana", "Jana", "patient", person=7, patient="p7")
    await save(desk.db, desk.keys, person, PASSWORD, None, desk.clock)
    other = desk.browser()
    await post(other, "/login", await other.get("/login"), login="jana", password=PASSWORD)
    page = await other.get("/account")
    assert row is not None
    await post(other, "/account/sessions", page, id=str(row["id"]))
    assert (await mine.get("/whoami")).status_code == 200


@pytest.mark.parametrize("login", ["benes", "nobody"])
async def test_a_locked_name_is_told_until_when(desk: Desk, login: str) -> None:
    browser = desk.browser()
    page = await browser.get("/login")
    for _ in range(10):
        answer = await post(browser, "/login", page, login=login, password="wrong")
        assert "is not right" in answer.text
    answer = await post(browser, "/login", page, login=login, password=PASSWORD)
    assert answer.status_code == 422 and "Too many attempts with this login name" in answer.text


async def test_a_passkey_opens_also_while_guesses_lock_the_name(desk: Desk) -> None:
    browser = desk.browser()
    await desk.enter(browser)
    one = await desk.add_key(browser)
    other = desk.browser()
    page = await other.get("/login")
    for _ in range(11):
        await post(other, "/login", page, login="benes", password="wrong")
    sent = {"challenge": field(page, "challenge"), "credential": one.sign(options(page))}
    answer = await post(other, "/login/passkey", page, **sent)
    assert answer.status_code == 303
