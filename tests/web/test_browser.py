"""The shell in real headless Chromium: accessibility, keyboard, narrow screens, the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.chromium import Complaints, at, faults, press
from tests.web.conftest import Served
from tests.web.house import CODE, PASSWORD

pytestmark = pytest.mark.browser

PAGES = ["/", "/login", "/nowhere", "/broken", "/refused/forbidden"]


class Visit:
    """A page in a fresh browser context that collects what the console complains about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints = Complaints(page).texts

    async def open(self, path: str) -> Page:
        await self.page.goto(self.url + path)
        return self.page

    async def enter(self) -> Page:
        page = await self.open("/login")
        await page.get_by_label("Přihlašovací jméno").fill("patient")
        await page.get_by_label("Heslo").fill(PASSWORD)
        await press(page, page.get_by_role("button", name="Pokračovat"))
        await page.get_by_label("Šestimístný kód").fill(CODE)
        await press(page, page.get_by_role("main").get_by_role("button", name="Přihlásit se"))
        await at(page, "/patient")
        return page


@pytest.fixture
async def visit(chromium: Browser, served: Served) -> AsyncIterator[Visit]:
    """A fresh visit by a Czech reader."""
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    yield Visit(await context.new_page(), served.url)
    await context.close()


@pytest.mark.parametrize("lang", ["cs", "en"])
@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_accessible_and_keep_to_the_policy(
    visit: Visit, path: str, lang: str
) -> None:
    await visit.open(f"/language?lang={lang}&next={path}")
    assert await visit.page.evaluate("document.documentElement.lang") == lang
    assert await faults(visit.page) == []
    assert visit.complaints == []


async def test_every_piece_of_a_page_is_accessible(visit: Visit) -> None:
    page = await visit.enter()
    assert await faults(page) == []
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await faults(page) == []
    assert visit.complaints == []


async def test_a_wrong_form_is_accessible_and_names_its_fields(visit: Visit) -> None:
    page = await visit.open("/login")
    await press(page, page.get_by_role("button", name="Pokračovat"))
    await page.get_by_role("alert").get_by_role("link", name="Zadejte heslo").click()
    assert await page.evaluate("document.activeElement.id") == "field-password"
    described = await page.get_by_label("Heslo").get_attribute("aria-describedby")
    assert "Zadejte heslo" in await page.locator(f"#{described}").inner_text()
    assert (await page.title()).startswith("Chyba:")
    assert await faults(page) == []


async def focus_on(page: Page, identity: str) -> None:
    """Wait until the page has given a field the focus: it does so a frame after it loaded."""
    await page.wait_for_function("id => document.activeElement.id === id", arg=identity)


async def test_login_needs_nothing_but_a_keyboard(visit: Visit) -> None:
    page = await visit.open("/")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Přejít k obsahu"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "content"
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.getAttribute('href')") == "/patient"
    await page.keyboard.press("Enter")
    await at(page, "/login")
    await focus_on(page, "field-login")
    await page.keyboard.type("patient")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await at(page, "/login/code")
    await focus_on(page, "field-code")
    await page.keyboard.type(CODE)
    await page.keyboard.press("Enter")
    await at(page, "/patient")
    await expect(page.get_by_role("banner").get_by_text("Jana Svobodová")).to_be_visible()


async def test_what_has_the_focus_can_be_seen(visit: Visit) -> None:
    page = await visit.enter()
    stops = await page.locator("a:visible, button:visible, input:visible, select:visible").count()
    for _ in range(stops):
        await page.keyboard.press("Tab")
        seen = await page.evaluate(
            """() => {
              const it = document.activeElement;
              if (it === document.body) return true;
              const after = getComputedStyle(it, '::after');
              return [getComputedStyle(it), after].some(
                style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
            }"""
        )
        assert seen, await page.evaluate("document.activeElement.outerHTML")


@pytest.mark.parametrize("path", [*PAGES, "/patient"])
async def test_at_320_pixels_nothing_scrolls_sideways(visit: Visit, path: str) -> None:
    if path == "/patient":
        await visit.enter()
    await visit.page.set_viewport_size({"width": 320, "height": 640})
    page = await visit.open(path)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_targets_are_large_enough_for_fingers(visit: Visit) -> None:
    page = await visit.enter()
    small = await page.evaluate(
        """() => [...document.querySelectorAll('header a, header button, main button, main input')]
          .filter(it => it.offsetParent && it.type !== 'hidden')
          .map(it => [it.outerHTML.slice(0, 90), it.getBoundingClientRect()])
          .filter(([, box]) => box.width < 24 || box.height < 24).map(([text]) => text)"""
    )
    assert small == []


async def test_text_uses_the_fonts_of_the_house(visit: Visit) -> None:
    page = await visit.open("/")
    await page.evaluate("document.fonts.ready.then(() => true)")
    loaded = await page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').length")
    assert loaded >= 2
    assert "Roboto" in await page.evaluate("getComputedStyle(document.body).fontFamily")


async def test_the_policy_really_stops_foreign_code(visit: Visit) -> None:
    page = await visit.open("/")
    await page.evaluate(
        """() => { const it = document.createElement('script');
             it.textContent = 'window.ran = true'; document.body.append(it); }"""
    )
    assert await page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in visit.complaints)


async def test_the_language_switch_stays_on_the_page(visit: Visit) -> None:
    page = await visit.open("/login?next=/patient")
    await press(page, page.get_by_role("link", name="English"))
    assert page.url.endswith("/login?next=/patient")
    assert await page.get_by_role("heading", level=1).inner_text() == "Login"


async def test_on_paper_only_the_content_stays(visit: Visit) -> None:
    page = await visit.enter()
    await page.emulate_media(media="print")
    await expect(page.get_by_role("navigation", name="Hlavní navigace")).to_be_hidden()
    await expect(page.get_by_text("Odhlásit se")).to_be_hidden()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
