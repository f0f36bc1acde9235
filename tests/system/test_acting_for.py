"""Acting for somebody in real headless Chromium, without anything for axe to find."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from pater.domains.exchange.demo import demo_region
from tests.chromium import press
from tests.system.running import Running
from tests.system.test_portals import Reader

pytestmark = pytest.mark.browser
JANA = next(p for p in demo_region().patients if p.key == "patient")
OTHER = next(p for p in demo_region().patients if p.key == "novotny")


@pytest.fixture
async def reader(chromium: Browser, running: Running) -> AsyncIterator[Reader]:
    """The patient of the demonstration."""
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    made = Reader(await context.new_page(), running)
    await made.log_in("patient")
    yield made
    await context.close()


async def test_a_patient_authorises_somebody_and_ends_it(reader: Reader, running: Running) -> None:
    page = reader.page
    await page.goto(f"{running.url}/patient/proxies")
    await reader.language("en")
    await reader.clean()
    add = page.get_by_role("button", name="Authorise", exact=True)
    await press(page, add)
    await expect(page.locator(".error-summary")).to_be_visible()
    await reader.clean()
    await page.goto(f"{running.url}/patient/proxies")
    await page.get_by_label("Patient number").fill(OTHER.rid)
    await page.get_by_label("Family name").fill(OTHER.family)
    await page.get_by_label("Birth date").fill(OTHER.born.isoformat())
    await page.get_by_label("Laboratory results").check()
    await press(page, add)
    item = page.get_by_role("listitem").filter(has_text=OTHER.family)
    await expect(item).to_contain_text("Only:")
    await reader.clean()
    await press(page, item.get_by_role("button"))
    await expect(page.get_by_role("listitem").filter(has_text=OTHER.family)).to_have_count(0)


async def test_every_page_says_for_whom_somebody_acts(reader: Reader, running: Running) -> None:
    with running.client("hospital-b") as hospital:
        ward, guardian = (
            hospital.get("/Patient", params={"identifier": each.rid}).json()["entry"][0]
            for each in (OTHER, JANA)
        )
    running.command(
        "proxy", "add", "guardian", "--patient", ward["resource"]["id"],
        "--by", guardian["resource"]["id"], "--reference", "15 Nc 7/2026",
    )  # fmt: skip
    page = reader.page
    await page.goto(f"{running.url}/patient/proxies")
    await press(page, page.get_by_role("button", name=f"Jednat za {OTHER.given}"))
    band = page.get_by_role("complementary", name="Jednání za jiného")
    await expect(band).to_contain_text(f"{OTHER.given} {OTHER.family}")
    await reader.clean()
    await press(page, page.get_by_role("main").get_by_role("link").first)
    await expect(band).to_be_visible()
    await reader.clean()
    await press(page, band.get_by_role("button"))
    await expect(band).to_have_count(0)
