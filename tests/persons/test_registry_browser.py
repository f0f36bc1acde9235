"""Two registrars in two browsers: one case decided by keys alone, taken back, and in conflict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Route, expect

from pater.settings import Settings
from pater.store.database import Database
from tests.chromium import faults
from tests.persons.registry import BASE, Office, opened, somebody

pytestmark = pytest.mark.browser


@pytest.fixture
async def office(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    settings = Settings(data=tmp_path_factory.mktemp("browsers"), demo=True, policy="cz")
    async with opened(settings, database.dsn) as made:
        yield made


@asynccontextmanager
async def browsing(chromium: Browser, office: Office, login: str) -> AsyncIterator[Page]:
    """A registrar who is logged in, in a browser that asks this house."""
    cookies = (await office.cookie(login))["Cookie"].split("; ")
    context = await chromium.new_context(viewport={"width": 1280, "height": 900})
    await context.add_cookies(
        [{"name": name, "value": value, "url": BASE}
         for name, _, value in (each.partition("=") for each in cookies)]
    )  # fmt: skip

    async def served(route: Route) -> None:
        request = route.request
        answer = await office.http.request(
            request.method, request.url, headers=await request.all_headers(),
            content=request.post_data_buffer,
        )  # fmt: skip
        headers = {k: v for k, v in answer.headers.items() if k != "content-encoding"}
        if answer.is_redirect:  # the browser would ask the network for where it leads
            target = headers["location"].replace("&", "&amp;")
            body = f'<meta http-equiv="refresh" content="0;url={target}">'
            await route.fulfill(status=200, content_type="text/html", body=body)
            return
        await route.fulfill(status=answer.status_code, headers=headers, body=answer.content)

    try:
        await context.route("**/*", served)
        yield await context.new_page()
    finally:
        await context.close()


async def _key(page: Page, key: str) -> None:
    """Presses a key that leads to another page, and waits until that page is there and listens.

    The page may come through the one that stands for a redirect, and its text is there before
    its script: a key pressed in between would be lost. Scripts have run when all is loaded.
    """
    async with page.expect_navigation():
        await page.keyboard.press(key)
    await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)
    await page.wait_for_load_state("load")


async def test_two_registrars_and_one_case(chromium: Browser, office: Office) -> None:
    await office.tell(somebody("Klávesová", birthDate="1985-06-09"))
    other = somebody("Klávesová", birthDate="1985-09-06", address=None, telecom=None)
    told = await office.tell(other, by="b")
    case = f"{BASE}/registry/cases/{told.case}"
    async with (
        browsing(chromium, office, "eva") as eva,
        browsing(chromium, office, "jan") as jan,
    ):
        # Eva works by keys alone, from the queue on
        await eva.goto(f"{BASE}/registry/cases")
        await eva.keyboard.press("j")
        await expect(eva.locator("[data-step]").first).to_be_focused()
        await _key(eva, "Enter")
        await jan.goto(case)
        await _key(eva, "t")
        await expect(eva.get_by_role("main")).to_contain_text("yours until")
        assert await faults(eva) == []
        # Jan opened it before: what he chose is not saved, and he reads who has it
        await _key(jan, "n")
        await expect(jan.get_by_role("main")).to_contain_text("Eva took this case meanwhile")
        await expect(jan.get_by_role("button", name="Two persons")).to_have_count(0)
        assert await faults(jan) == []
        await _key(eva, "t")
        await expect(eva.get_by_role("button", name="Take")).to_be_visible()
        await jan.goto(case)
        # Eva decides, takes it back, decides anew
        await _key(eva, "m")
        await expect(eva.get_by_role("status")).to_contain_text("one person")
        await _key(eva, "u")
        await expect(eva.get_by_role("button", name="One person: merge")).to_be_visible()
        await _key(eva, "m")
        await expect(eva.get_by_role("status")).to_contain_text("one person")
        # Jan is the second: he reads who decided and how
        await _key(jan, "n")
        await expect(jan.get_by_role("main")).to_contain_text("Eva decided on")
        await expect(jan.get_by_role("main")).to_contain_text("was not saved")
        assert await faults(jan) == []
