"""Registrars' pages in real headless Chromium: by keys, without a script, clean."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.chromium import at, press
from tests.system.running import Running
from tests.system.test_portals import Reader
from tests.system.test_will import both_languages, open_record, reading

pytestmark = pytest.mark.browser


async def _found(reader: Reader, family: str, given: str) -> None:
    """Finds somebody by name and opens the first file."""
    page = reader.page
    await page.goto(f"{reader.running.url}/registry")
    await page.locator("[name=family]").fill(family)
    await page.locator("[name=given]").fill(given)
    await press(page, page.get_by_role("button", name="Najít"))
    await press(page, page.locator(".people a").first)


async def test_every_page_of_registrars_is_clean(chromium: Browser, running: Running) -> None:
    async with reading(chromium, running, "registrar") as reader:
        page, url = reader.page, running.url
        await page.goto(f"{url}/registry/statistics")
        await both_languages(reader)
        await page.goto(f"{url}/registry")
        await page.locator("[name=family]").fill("Vondrackova")
        await page.locator("[name=born]").fill("1985-06-09")
        await press(page, page.get_by_role("button", name="Najít"))
        await expect(page.locator(".people")).to_contain_text("Květa Vondráčková")
        await reader.clean()
        await _found(reader, "Pospíšil", "Karel")
        await expect(page.locator(".beside")).to_contain_text("Nádražní 3")
        await both_languages(reader)
        file = page.url
        await page.goto(f"{file}?valid=2020-01-01")
        for act in ("split", "merge"):
            await page.goto(f"{file}/{act}")
            await reader.clean()
        await page.locator("[name=other]").fill("x")
        await press(page, page.get_by_role("button", name="Porovnat"))
        await expect(page.get_by_role("alert")).to_contain_text("v registru nikdo nemá")
        await _found(reader, "Tichá", "Alžběta")
        await expect(page.locator(".timeline")).to_contain_text("oddací list")
        await press(page, page.locator(".timeline a", has_text="Vzít zpět"))
        await reader.clean()


async def test_a_case_is_decided_by_keys_and_taken_back(
    chromium: Browser, running: Running
) -> None:
    async with reading(chromium, running, "registrar") as reader:
        page, url = reader.page, running.url
        await page.goto(f"{url}/registry/cases")
        await page.get_by_text("Klávesy", exact=True).click()
        await reader.clean()
        await page.get_by_label("Důvod").focus()
        await page.keyboard.press("j")  # in a field it is a letter
        await page.get_by_role("main").get_by_role("heading").first.click()
        first = page.locator("[data-step]").first
        await page.keyboard.press("j")
        await expect(first).to_be_focused()
        await page.keyboard.press("j")
        await expect(page.locator("[data-step]").nth(1)).to_be_focused()
        await page.keyboard.press("k")
        await expect(first).to_be_focused()
        link = page.locator("[data-step]", has_text="Vondráčková")
        await press(page, link)
        await expect(page.get_by_role("main")).to_contain_text("den a měsíc jsou prohozené")
        await both_languages(reader)
        case = page.url
        async with page.expect_navigation():
            await page.keyboard.press("m")
        await expect(page.get_by_role("status")).to_contain_text("jedna osoba")
        async with page.expect_navigation():
            await page.keyboard.press("u")
        assert page.url == case
        await expect(page.get_by_role("button", name="Jedna osoba: sloučit")).to_be_visible()
        # keys that are switched off are letters only
        await page.get_by_text("Klávesy", exact=True).click()
        await page.get_by_label("Používat klávesy").uncheck()
        await page.get_by_role("main").get_by_role("heading").first.click()
        await page.keyboard.press("n")
        await page.reload()
        await expect(page.get_by_role("button", name="Jedna osoba: sloučit")).to_be_visible()


async def test_without_a_script_the_queue_works_too(chromium: Browser, running: Running) -> None:
    context = await chromium.new_context(locale="cs-CZ", java_script_enabled=False)
    try:
        reader = Reader(await context.new_page(), running)
        page = reader.page
        await reader.log_in("registrar")
        await page.goto(f"{running.url}/registry/cases")
        await expect(page.locator("[data-keys]")).to_be_hidden()
        await press(page, page.locator("[data-step]", has_text="Hrubeš"))
        await press(page, page.get_by_role("button", name="Dvě osoby"))
        await expect(page.get_by_role("status")).to_contain_text("dvě osoby")
        await press(page, page.get_by_role("button", name="Vzít zpět"))
        await at(page, r"/registry/cases/\d+")
        await expect(page.get_by_role("button", name="Dvě osoby")).to_be_visible()
    finally:
        await context.close()


async def test_a_patient_says_that_something_is_wrong_and_is_answered(
    chromium: Browser, running: Running
) -> None:
    async with (
        reading(chromium, running, "patient") as jana,
        reading(chromium, running, "registrar") as lenka,
    ):
        page = jana.page
        await page.goto(f"{running.url}/patient/register")
        await both_languages(jana)
        await press(page, page.get_by_role("button", name="Poslat správci registru"))
        await expect(page.get_by_role("alert")).to_contain_text("Vyberte, co je špatně")
        await page.get_by_label("Datum narození").check()
        await page.locator("[name=text]").fill("Narodila jsem se o den později.")
        await press(page, page.get_by_role("button", name="Poslat správci registru"))
        await expect(page.get_by_role("status")).to_contain_text("Správce registru to posoudí")
        page = lenka.page
        await page.goto(f"{running.url}/registry/disputes")
        await press(page, page.get_by_role("link", name="Jana Svobodová"))
        await lenka.clean()
        await page.get_by_label("Zůstává, jak je").check()
        await page.locator("[name=answer]").fill("Matrika uvádí totéž datum.")
        await press(page, page.get_by_role("button", name="Uložit"))
        await expect(page.get_by_role("status")).to_contain_text("Rozhodnuto")
        await jana.page.reload()
        await expect(jana.page.get_by_role("main")).to_contain_text("Matrika uvádí totéž datum.")
        await jana.page.goto(f"{running.url}/patient/notices")
        await expect(jana.page.get_by_role("main")).to_contain_text("Matrika uvádí totéž datum.")


async def test_a_physician_says_that_something_is_wrong(
    chromium: Browser, running: Running
) -> None:
    async with reading(chromium, running, "clinician-a") as reader:
        page = reader.page
        await open_record(page, running.url, "TREAT")
        await press(page, page.get_by_role("link", name="Chybné údaje v registru"))
        await reader.clean()
        await page.get_by_label("Jméno").check()
        await page.locator("[name=text]").fill("Na průkazu je jméno jinak.")
        await press(page, page.get_by_role("button", name="Poslat správci registru"))
        await expect(page.get_by_role("status")).to_contain_text("Správce registru to posoudí")
        await expect(page.get_by_role("table")).to_contain_text("Na průkazu je jméno jinak.")
