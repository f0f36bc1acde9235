"""The patient's will in real headless Chromium: held back, opened in an emergency, reviewed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from pater.domains.exchange.demo import demo_region
from tests.chromium import at, press
from tests.system.running import Running
from tests.system.test_portals import Reader

pytestmark = pytest.mark.browser
PETR = next(p for p in demo_region().patients if p.key == "patient-2")
WHY = "V bezvědomí po pádu, potřebuji znát alergie a léky."


@asynccontextmanager
async def reading(chromium: Browser, running: Running, login: str) -> AsyncIterator[Reader]:
    """Somebody who is logged in, in a browser of their own."""
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    try:
        reader = Reader(await context.new_page(), running)
        await reader.log_in(login)
        yield reader
    finally:
        await context.close()


async def both_languages(reader: Reader) -> None:
    """The page is clean in Czech and in English."""
    for lang in ("en", "cs"):
        await reader.language(lang)
        await reader.clean()


async def open_record(page: Page, url: str, purpose: str) -> None:
    """Finds the patient by number and presses the button of the hit."""
    await page.goto(f"{url}/professional")
    form = page.locator("form", has=page.locator("[name=value]"))
    await form.locator("[name=value]").fill(PETR.rid)
    await form.locator(f"[name=purpose][value={purpose}]").check()
    await press(page, form.get_by_role("button"))
    await press(page, page.locator(".hit").get_by_role("button").first)


async def test_every_page_of_the_will_is_clean_in_both_languages(
    chromium: Browser, running: Running
) -> None:
    async with reading(chromium, running, "patient") as reader:
        page, url = reader.page, running.url
        await page.goto(f"{url}/patient")
        await press(page, page.locator(".timeline a").first)
        await press(page, page.get_by_role("link", name="Kdo smí vidět tento dokument"))
        await at(page, "/patient/will/new")
        await both_languages(reader)
        for path in (
            "/patient/will",
            "/patient/will/new?topic=everything",
            "/patient/will/new?topic=category",
            "/patient/will/history",
            "/patient/directives",
            "/patient/notices",
        ):
            await page.goto(f"{url}{path}")
            await both_languages(reader)
        # what is wrong is said at the field, in the reader's language
        await page.goto(f"{url}/patient/will/new?topic=provider")
        await page.locator("[name=typed]").fill("12345678")
        await press(page, page.get_by_role("button", name="Prohlásit"))
        await expect(page.get_by_role("alert")).to_contain_text("Nikdo nenalezen")
        await reader.clean()


async def test_held_back_then_opened_in_an_emergency_told_and_reviewed(
    chromium: Browser, running: Running
) -> None:
    url = running.url
    async with (
        reading(chromium, running, "patient-2") as petr,
        reading(chromium, running, "clinician-b") as alena,
    ):
        await petr.page.goto(f"{url}/patient/will/new?topic=everything")
        await petr.page.locator("[name=understood]").check()
        await press(petr.page, petr.page.get_by_role("button", name="Nesdílet nic"))
        await expect(petr.page.get_by_role("main")).to_contain_text("Nesdílíte nic")
        await petr.clean()

        # only what the own hospital wrote is there, and nothing says that anything is held back
        await open_record(alena.page, url, "TREAT")
        await at(alena.page, "/professional/patient")
        documents = alena.page.get_by_role("main").get_by_role("table").get_by_role("link")
        await expect(documents).to_have_count(1)
        assert "sdíl" not in await alena.page.get_by_role("main").inner_text()
        await alena.clean()

        await open_record(alena.page, url, "ETREAT")
        await at(alena.page, "/professional/emergency")
        await alena.language("en")  # which leads back to the search
        await open_record(alena.page, url, "ETREAT")
        await expect(alena.page.get_by_role("main")).to_contain_text("The patient learns of it")
        await alena.clean()
        await alena.language("cs")
        await open_record(alena.page, url, "ETREAT")
        await alena.page.locator("[name=reason]").fill("pád")
        await press(alena.page, alena.page.get_by_role("button", name="Otevřít záznam"))
        await expect(alena.page.get_by_role("alert")).to_have_count(1)
        await alena.clean()
        await alena.page.locator("[name=reason]").fill(WHY)
        await press(alena.page, alena.page.get_by_role("button", name="Otevřít záznam"))
        await at(alena.page, "/professional/patient")
        await expect(documents).to_have_count(2)
        await press(alena.page, documents.first)
        await at(alena.page, "/professional/documents/[^/]+")

        await petr.page.goto(f"{url}/patient")
        await petr.clean()
        await press(petr.page, petr.page.get_by_role("link", name="Nová oznámení: 1"))
        await expect(petr.page.get_by_role("main")).to_contain_text(WHY)
        await petr.clean()
        await petr.page.goto(f"{url}/patient/access")
        await expect(petr.page.get_by_role("main")).to_contain_text("otevřen v nouzi")
        await petr.page.goto(f"{url}/patient/will")
        await press(petr.page, petr.page.get_by_role("button", name="Ukončit").first)
        await expect(petr.page.get_by_role("main")).to_contain_text("Sdílíte celou svou")

    async with reading(chromium, running, "privacy") as officer:
        page = officer.page
        await page.goto(f"{url}/privacy")
        await both_languages(officer)
        row = page.get_by_role("row", name=WHY).get_by_role("link")
        await press(page, row)
        await expect(page.get_by_role("main")).to_contain_text("dokument")
        await both_languages(officer)
        # by keyboard alone: choose, and send
        await page.get_by_label("Ano, oprávněný").focus()
        await page.keyboard.press("Space")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("oprávněný")
        await officer.clean()
        await press(page, page.get_by_role("button", name="Vzít zpět"))
        await press(page, page.get_by_role("main").get_by_role("button", name="Uložit"))
        await expect(page.get_by_role("alert")).to_contain_text("Vyberte závěr")
        await officer.clean()
