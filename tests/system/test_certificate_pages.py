"""The certificates of a provider in real headless Chromium: ordered, looked at, revoked."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.chromium import at, press
from tests.system.running import Running
from tests.system.test_will import both_languages, reading
from tests.trust.ca.keys import ec_key, request

pytestmark = pytest.mark.browser


async def test_an_administrator_orders_and_revokes(chromium: Browser, running: Running) -> None:
    async with reading(chromium, running, "admin-a") as reader:
        page, url = reader.page, running.url
        await page.goto(f"{url}/certificates")
        await both_languages(reader)
        await page.goto(f"{url}/certificates/new/person")
        await both_languages(reader)
        await press(page, page.get_by_role("button", name="Objednat"))
        await expect(page.get_by_role("alert")).to_contain_text("Nikdo s tímto číslem")
        await reader.clean()
        await page.goto(f"{url}/certificates/new/system")
        await both_languages(reader)
        await page.locator("[name=name]").fill("Nemocniční IS")
        await page.locator("[name=request]").fill(request(ec_key()).decode())
        await press(page, page.get_by_role("button", name="Objednat"))
        await expect(page.get_by_role("status")).to_contain_text("vystaven")
        await both_languages(reader)
        await press(page, page.get_by_role("link", name="Zneplatnit"))
        await both_languages(reader)
        await page.get_by_label("Jiný důvod").check()
        await press(page, page.get_by_role("button", name="Zneplatnit"))
        await expect(page.get_by_role("status")).to_contain_text("zneplatněn")
        await page.goto(f"{url}/certificates")
        await at(page, "/certificates")
        await both_languages(reader)


async def test_an_administrator_gives_a_server_its_key(chromium: Browser, running: Running) -> None:
    async with reading(chromium, running, "admin-a") as reader:
        page, url = reader.page, running.url
        await page.goto(f"{url}/certificates")
        await press(page, page.get_by_role("link", name="Servery"))
        await both_languages(reader)
        await press(page, page.get_by_role("link", name="Nový klíč"))
        await both_languages(reader)
        await page.locator("[name=hosts]").fill("10.1.2.3")
        await press(page, page.get_by_role("button", name="Vydat klíč"))
        await expect(page.get_by_role("alert")).to_contain_text("jedno jméno DNS")
        await reader.clean()
        await page.locator("[name=hosts]").fill("nis.nemocnice.example\npacs.nemocnice.example")
        await press(page, page.get_by_role("button", name="Vydat klíč"))
        await expect(page.locator("main")).to_contain_text("znovu se neukáže")
        await reader.clean()
        await page.goto(f"{url}/certificates/servers")
        await both_languages(reader)
        await press(page, page.get_by_role("link", name="Ukončit"))
        await both_languages(reader)
        await press(page, page.get_by_role("button", name="Ukončit"))
        await expect(page.get_by_role("status")).to_contain_text("ukončen")
        await both_languages(reader)
