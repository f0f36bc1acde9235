"""Passkeys in real Chromium with its virtual authenticator: made, used, named; and axe."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pyotp
import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, expect

from pater.access.accounts import Account, save, totp_secret
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from pater.web.app import WebConfig, web_app
from pater.web.logins import AccountLogins
from tests.chromium import Complaints, at, faults, press
from tests.web.house import pages

pytestmark = pytest.mark.browser

PASSWORD = "správný kůň baterie"


def now() -> datetime:
    return datetime.now(UTC)


class House:
    """A served house, one person of it, and a browser with an authenticator."""

    def __init__(self, url: str, secret: str, context: BrowserContext, page: Page) -> None:
        self.url, self.secret, self.context, self.page = url, secret, context, page
        self.complaints = Complaints(page).texts

    async def plug(self, *, verified: bool = True) -> None:
        """Plugs a virtual authenticator in."""
        session = await self.context.new_cdp_session(self.page)
        await session.send("WebAuthn.enable")
        await session.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": verified,
                    "automaticPresenceSimulation": True,
                }
            },
        )

    async def enter(self) -> None:
        page = self.page
        await page.goto(self.url + "/login?next=/account")
        await page.get_by_label("Login name").fill("jana")
        await page.get_by_label("Password").fill(PASSWORD)
        await press(page, page.get_by_role("button", name="Continue"))
        await page.get_by_label("Six-digit code").fill(pyotp.TOTP(self.secret).now())
        await press(page, page.get_by_role("main").get_by_role("button", name="Log in"))
        await at(page, "/account")


@pytest.fixture
async def home(chromium: Browser, database: Database) -> AsyncIterator[House]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://localhost:{listener.getsockname()[1]}"
    keys, secret = Keys.generate(), totp_secret()
    person = Account("a-1", "jana", "Jana Nováková", "patient", person=7, patient="p7")
    await save(database, keys, person, PASSWORD, secret, now)

    async def journal(entries: Sequence[JournalEntry]) -> None:
        """The journal is another test's."""

    logins = AccountLogins(database, keys, journal, now, base_url=url, single_use_codes=False)
    app = web_app(
        WebConfig(
            base_url=url, secret=keys.derived("pages"), logins=logins, security=logins.security,
            clock=now, pages=[pages],
        )
    )  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    context = await chromium.new_context(locale="en")
    yield House(url, secret, context, await context.new_page())
    await context.close()
    server.should_exit = True
    await serving


async def test_a_passkey_is_made_and_logs_in(home: House) -> None:
    page = home.page
    await home.enter()
    await home.plug()
    await press(page, page.get_by_role("link", name="Add a passkey"))
    await page.get_by_label("Name of the passkey").fill("Můj telefon")
    await press(page, page.get_by_role("button", name="Make the passkey"))
    assert page.url.endswith("/account?done=passkey")
    await expect(page.get_by_text("Můj telefon").first).to_be_visible()
    await press(page, page.get_by_role("button", name="Log out"))
    await page.goto(home.url + "/login?next=/account")
    await press(page, page.get_by_role("button", name="Log in with a passkey"))
    await at(page, "/account")
    await expect(page.get_by_role("banner").get_by_text("Jana Nováková")).to_be_visible()
    # the same authenticator holds one passkey of an account
    await page.goto(home.url + "/account/passkeys/new")
    await page.get_by_label("Name of the passkey").fill("Znovu")
    await page.get_by_role("button", name="Make the passkey").click()
    await page.get_by_text("The browser made no passkey").wait_for()
    assert home.complaints == []


async def test_without_verification_there_is_no_passkey(home: House) -> None:
    page = home.page
    await home.enter()
    await home.plug(verified=False)
    await page.goto(home.url + "/account/passkeys/new")
    await page.get_by_label("Name of the passkey").fill("Klíč")
    await page.get_by_role("button", name="Make the passkey").click()
    await page.get_by_text("The browser made no passkey").wait_for()


@pytest.mark.parametrize("lang", ["cs", "en"])
async def test_the_pages_are_accessible(home: House, lang: str) -> None:
    page = home.page
    await home.enter()
    await page.goto(f"{home.url}/language?lang={lang}&next=/account")
    for path in ("", "/passkeys/new", "/app", "/codes", "/password"):
        await page.goto(f"{home.url}/account{path}")
        assert await faults(page) == [], path
    await press(page, page.get_by_role("main").get_by_role("button"))  # a wrong form
    assert await faults(page) == []
    await page.goto(home.url + "/account/codes")
    await press(page, page.get_by_role("main").get_by_role("button"))
    await expect(page.locator(".codes li")).to_have_count(10)
    assert await faults(page) == []
    await page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/account", "/login/again?next=/account"):
        await page.goto(home.url + path)
        assert await faults(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    assert home.complaints == []
