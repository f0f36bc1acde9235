"""Apps in real headless Chromium: the demonstration's own, and one written with fhirclient."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fhirclient.client import FHIRClient
from playwright.async_api import Browser, expect

from tests.chromium import at, faults, press
from tests.system.running import Running
from tests.system.test_portals import JANA, Reader, find_by_name
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.browser
BACK = "http://localhost:9/back"


@pytest.fixture
async def visitor(chromium: Browser, running: Running) -> AsyncIterator[Reader]:
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    yield Reader(await context.new_page(), running)
    await context.close()


async def test_a_patient_connects_the_app_of_the_demonstration_and_ends_it(
    visitor: Reader,
) -> None:
    page = visitor.page
    await visitor.log_in("patient")
    await page.goto(f"{visitor.running.url}/demo-app")
    assert await faults(page) == []
    await page.get_by_role("button", name="Připojit k Páteři").click()
    await at(page, "/oauth/consent")
    for lang, title in (("en", "Allow the app"), ("cs", "Povolit aplikaci")):
        await visitor.language(lang)
        await expect(page.locator("h1")).to_contain_text(title)
        await visitor.clean()
    # one thing is left out; the redirect after the form is within the page's own policy
    await page.get_by_label("Číst: seznam dokumentů").uncheck()
    await page.get_by_role("button", name="Povolit", exact=True).click()
    await at(page, "/demo-app")
    await page.locator("#demo-result").wait_for()
    assert JANA.family in await page.locator("#demo-patient").inner_text()
    assert int(await page.locator("#demo-observations").inner_text()) > 0
    assert await page.locator("#demo-documents").inner_text() == "–"
    assert "DocumentReference" not in await page.locator("#demo-scope").inner_text()
    await page.goto(f"{visitor.running.url}/apps")
    assert "Číst: výsledky a měření" in await page.locator(".apps").inner_text()
    for lang in ("en", "cs"):
        await visitor.language(lang)
        assert await faults(page) == []
    await press(page, page.get_by_role("button", name="Zrušit přístup").first)
    await page.get_by_role("status").wait_for()
    assert await page.get_by_role("button", name="Zrušit přístup").count() == 0


async def test_a_physician_opens_the_app_with_the_patient(visitor: Reader) -> None:
    page = visitor.page
    await visitor.log_in("clinician-b")
    await find_by_name(page)
    await press(
        page, page.get_by_role("main").get_by_role("button", name=re.compile("Otevřít")).first
    )
    await at(page, "/professional/patient")
    await press(page, page.get_by_role("link", name="Otevřít aplikaci s touto dokumentací"))
    await page.get_by_role("button", name="Ukázková aplikace").click()
    await at(page, "/oauth/consent")
    assert await faults(page) == []
    await page.get_by_role("button", name="Povolit", exact=True).click()
    await page.locator("#demo-result").wait_for()
    assert JANA.family in await page.locator("#demo-patient").inner_text()


async def test_a_physician_chooses_the_patient_whom_an_app_asks_for(visitor: Reader) -> None:
    page = visitor.page
    await visitor.log_in("clinician-b")
    await page.goto(f"{visitor.running.url}/demo-app")
    await page.get_by_role("button", name="Připojit k Páteři").click()
    await at(page, "/oauth/consent")
    await expect(page.get_by_role("heading", name="Vyberte pacienta")).to_be_visible()
    await visitor.clean()
    await page.get_by_label("Číslo", exact=True).fill("123")
    await page.get_by_label("Léčba pacienta").check()
    await press(page, page.get_by_role("button", name="Vybrat tohoto pacienta"))
    await expect(page.get_by_role("alert")).to_contain_text("není platné")
    await visitor.clean()
    await page.get_by_label("Číslo", exact=True).fill(JANA.rid)
    await press(page, page.get_by_role("button", name="Vybrat tohoto pacienta"))
    await expect(page.get_by_role("main")).to_contain_text(f"patří: {JANA.given} {JANA.family}")
    await visitor.clean()
    await page.get_by_role("button", name="Povolit", exact=True).click()
    await page.locator("#demo-result").wait_for()
    assert JANA.family in await page.locator("#demo-patient").inner_text()


async def test_an_app_written_with_fhirclient_connects(visitor: Reader) -> None:
    running, page = visitor.running, visitor.page
    scope = "openid fhirUser launch/patient patient/*.rs offline_access"
    told = running.command(
        "app", "add", "written", "--name", "Psaná", "--redirect", BACK, "--scopes", scope
    )
    assert told == "written is registered (public)."
    client: Any = await asyncio.to_thread(
        lambda: FHIRClient(
            settings={
                "app_id": "written",
                "api_base": f"{running.url}/fhir",
                "redirect_uri": BACK,
                "scope": scope,
            }
        )
    )
    await asyncio.to_thread(client.prepare)
    address = client.authorize_url
    assert "code_challenge=" in address
    await visitor.log_in("patient")
    await page.route("http://localhost:9/**", lambda route: route.fulfill(body="back"))
    await page.goto(address)
    await page.get_by_role("button", name="Povolit", exact=True).click()
    await page.wait_for_url(BACK + "?*")
    await asyncio.to_thread(client.handle_callback, page.url)
    assert client.patient is not None
    assert JANA.family in client.human_name(client.patient.name[0])
    assert await asyncio.to_thread(client.reauthorize)
    running.command("app", "remove", "written")
    headers = client.server.auth.signed_headers({})
    own = f"{running.url}/fhir/Patient/{client.patient_id}"

    async def refused() -> bool:
        answer = await asyncio.to_thread(httpx.get, own, headers=headers, timeout=PATIENCE)
        return answer.status_code == 401

    await until(refused)  # the serving process hears of it by itself
