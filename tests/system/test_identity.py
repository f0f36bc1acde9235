"""The login by the simulated provider of identities in real headless Chromium, both languages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.chromium import at, press
from tests.system.running import Running
from tests.system.test_portals import JANA, Reader

pytestmark = pytest.mark.browser


@pytest.fixture
async def visitor(chromium: Browser, running: Running) -> AsyncIterator[Reader]:
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    yield Reader(await context.new_page(), running)
    await context.close()


async def both_languages(visitor: Reader, en: str, cs: str) -> None:
    """From Czech to English and back by the page's own links, which keep its whole address."""
    page = visitor.page
    for title in (en, cs):
        await press(page, page.locator(".langs").get_by_role("link"))
        await expect(page.locator("h1")).to_have_text(title)
        await visitor.clean()


async def choose(visitor: Reader, name: str) -> None:
    page = visitor.page
    await page.goto(f"{visitor.running.url}/login")
    await press(page, page.get_by_role("link", name="Simulovaná identita státu"))
    await at(page, "/simulator/identity/authorize")
    await page.get_by_label(name).check()


async def test_a_patient_comes_by_the_provider_and_leaves_by_it(visitor: Reader) -> None:
    page = visitor.page
    await page.goto(f"{visitor.running.url}/login")
    await visitor.clean()
    await choose(visitor, "Jana")
    await both_languages(visitor, "Simulated identity of the state", "Simulovaná identita státu")
    # nobody was chosen: the page says so
    await press(page, page.get_by_role("button", name="Přihlásit se jako tento člověk"))
    await expect(page.get_by_role("alert")).to_contain_text("Vyberte, kdo jste")
    await visitor.clean()
    await page.get_by_label("Jana").check()
    await page.get_by_role("button", name="Přihlásit se jako tento člověk").click()
    await at(page, "/patient")
    await expect(page.locator(".who")).to_contain_text(JANA.family)
    await press(page, page.get_by_role("button", name="Odhlásit se"))
    await at(page, "/logout/done")
    await both_languages(visitor, "You are logged out", "Jste odhlášeni")
    await press(page, page.get_by_role("link", name="Odhlásit se i u"))
    await at(page, "/simulator/identity/logout")
    await visitor.clean()
    await press(page, page.get_by_role("link", name="Zpět, odkud jste přišli"))
    await at(page, "/")


async def test_who_is_both_chooses_and_a_stranger_is_told_why(visitor: Reader) -> None:
    page = visitor.page
    await choose(visitor, "František")
    await page.get_by_role("button", name="Přihlásit se jako tento člověk").click()
    await at(page, "/login/from/simulated")
    await visitor.clean()
    await page.get_by_role("button", name="Zdravotník MUDr. František Novotný").click()
    await at(page, "/professional")
    await press(page, page.get_by_role("button", name="Odhlásit se"))
    await choose(visitor, "Bohumil")
    await page.get_by_role("button", name="Přihlásit se jako tento člověk").click()
    await at(page, "/login/from/simulated")
    await expect(page.get_by_role("main")).to_contain_text("neznáme")
    await visitor.clean()
    await choose(visitor, "Jana")
    await page.get_by_role("button", name="Zrušit").click()
    await at(page, "/login/from/simulated")
    await expect(page.get_by_role("main")).to_contain_text("zrušeno")
