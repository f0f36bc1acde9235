"""Both portals in real headless Chromium: a physician reads, and the patient sees who looked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from pypdf import PdfReader

from pater.domains.exchange.demo import demo_region
from tests.chromium import Complaints, at, faults, press
from tests.folders import scratch
from tests.system.running import Running

pytestmark = pytest.mark.browser
JANA = next(p for p in demo_region().patients if p.key == "patient")


class Reader:
    """Somebody with a browser in front of the running demonstration."""

    def __init__(self, page: Page, running: Running) -> None:
        self.page = page
        self.running = running
        self.complaints = Complaints(page).texts

    async def log_in(self, login: str) -> None:
        """Password, then the one-time code."""
        page = self.page
        await page.goto(f"{self.running.url}/login")
        await page.locator("[name=login]").fill(login)
        await page.locator("[name=password]").fill(f"demo-{login}-heslo")
        await press(page, page.get_by_role("main").get_by_role("button").first)
        await page.locator("[name=code]").fill(self.running.command("totp", login))
        await press(page, page.get_by_role("main").get_by_role("button").first)
        await at(page, "/(patient|professional|privacy|certificates|registry)")

    async def language(self, lang: str) -> None:
        """Switches the language and comes back to the same page."""
        path = self.page.url.removeprefix(self.running.url)
        await self.page.goto(f"{self.running.url}/language?lang={lang}&next={path}")

    async def clean(self) -> None:
        """Nothing for axe to find, nothing for the console to say, no sideways scrolling."""
        assert await faults(self.page) == []
        assert self.complaints == []
        await self.page.set_viewport_size({"width": 320, "height": 640})
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await self.page.evaluate(wide), self.page.url
        await self.page.set_viewport_size({"width": 1280, "height": 900})

    async def download(self, name: str) -> bytes:
        """What a download link gives."""
        async with self.page.expect_download() as waiting:
            await self.page.get_by_role("link", name=name).first.click()
        path = await (await waiting.value).path()
        return await asyncio.to_thread(Path(path).read_bytes)


@pytest.fixture
async def reader(chromium: Browser, running: Running) -> AsyncIterator[Reader]:
    context = await chromium.new_context(
        locale="cs-CZ", viewport={"width": 1280, "height": 900}, accept_downloads=True
    )
    yield Reader(await context.new_page(), running)
    await context.close()


async def find_by_name(page: Page, purpose: str = "TREAT") -> None:
    form = page.locator("form", has=page.locator("[name=family]"))
    await form.locator("[name=family]").fill(JANA.family)
    await form.locator("[name=born]").fill(JANA.born.isoformat())
    await form.locator(f"[name=purpose][value={purpose}]").check()
    await press(page, form.get_by_role("button"))


async def open_in_emergency(page: Page) -> None:
    """Opens the first hit; who has not said why yet says it."""
    await press(page, page.get_by_role("button", name="Otevřít záznam").first)
    if page.url.endswith("/professional/emergency"):
        await page.locator("[name=reason]").fill("Bezvědomí po pádu, potřebuji znát alergie.")
        await press(page, page.get_by_role("button", name="Otevřít záznam"))
    await at(page, "/professional/patient")


async def test_a_physician_finds_the_patient_and_reads_the_report(reader: Reader) -> None:
    page = reader.page
    await reader.log_in("clinician-b")
    await reader.clean()
    # without a purpose there is no search
    form = page.locator("form", has=page.locator("[name=value]"))
    await form.locator("[name=value]").fill(JANA.rid)
    await press(page, form.get_by_role("button"))
    await expect(page.get_by_role("alert")).to_have_count(1)
    await reader.clean()
    # by identifier, with a purpose
    form = page.locator("form", has=page.locator("[name=value]"))
    await form.locator("[name=purpose][value=TREAT]").check()
    await press(page, form.get_by_role("button"))
    await expect(page.get_by_text(JANA.family).first).to_be_visible()
    await reader.clean()
    # and by name and date of birth
    await page.goto(f"{reader.running.url}/professional")
    await find_by_name(page)
    await press(page, page.get_by_role("button", name="Otevřít záznam").first)
    await at(page, "/professional/patient")
    assert JANA.rid not in page.url
    await reader.clean()
    await press(page, page.get_by_role("main").get_by_role("table").get_by_role("link").first)
    await at(page, "/professional/documents/[^/]+")
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert JANA.family in await page.get_by_role("main").inner_text()
    await reader.clean()
    await reader.language("en")
    assert "Download as PDF" in await page.get_by_role("main").inner_text()
    await reader.clean()
    pdf = PdfReader(BytesIO(await reader.download("Download as PDF")))
    assert JANA.family in "".join(p.extract_text() for p in pdf.pages)


async def test_an_unknown_person_and_a_wrong_number(reader: Reader) -> None:
    page = reader.page
    await reader.log_in("clinician-b")
    for number, text in (("1234567890", "není platný"), ("2066425387", "Nikdo nenalezen")):
        form = page.locator("form", has=page.locator("[name=value]"))
        await form.locator("[name=value]").fill(number)
        await form.locator("[name=purpose][value=ETREAT]").check()
        await press(page, form.get_by_role("button"))
        await expect(page.get_by_role("main")).to_contain_text(text)
        await reader.clean()


@pytest.mark.parametrize("lang", ["cs", "en"])
async def test_the_patient_reads_downloads_and_sees_who_looked(
    reader: Reader, chromium: Browser, lang: str
) -> None:
    other = await chromium.new_context(locale="cs-CZ")
    physician = Reader(await other.new_page(), reader.running)
    await physician.log_in("clinician-b")
    await find_by_name(physician.page, "ETREAT")
    await open_in_emergency(physician.page)
    table = physician.page.get_by_role("main").get_by_role("table")
    await press(physician.page, table.get_by_role("link").first)
    await at(physician.page, "/professional/documents/[^/]+")
    await other.close()

    page = reader.page
    await reader.log_in("patient")
    await reader.language(lang)
    await reader.clean()
    links = page.get_by_role("main").locator(".timeline a")
    assert await links.count() >= 3
    await press(page, links.first)
    await at(page, "/patient/documents/[^/]+")
    await reader.clean()
    words = {"cs": ("Stáhnout jako data", "Stáhnout jako PDF"),
             "en": ("Download as data", "Download as PDF")}[lang]  # fmt: skip
    bundle = json.loads(await reader.download(words[0]))
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    assert (await reader.download(words[1])).startswith(b"%PDF")
    await page.goto(f"{reader.running.url}/patient/access")
    text = await page.get_by_role("main").inner_text()
    assert "Alena Horáková" in text
    assert {"cs": "Neodkladná péče", "en": "Emergency treatment"}[lang] in text
    await reader.clean()


async def test_one_patient_cannot_open_anothers_document(reader: Reader) -> None:
    with reader.running.client("patient") as client:
        found = client.get("/DocumentReference").json()["entry"][0]["resource"]
    document = found["content"][0]["attachment"]["url"].removeprefix("Bundle/")
    await reader.log_in("patient-2")
    for path in (f"/patient/documents/{document}", f"/patient/documents/{document}/pdf"):
        answer = await reader.page.goto(f"{reader.running.url}{path}")
        assert answer is not None
        assert answer.status == 404
    answer = await reader.page.goto(f"{reader.running.url}/professional")
    assert answer is not None
    assert answer.status == 403


async def test_what_a_hospital_sent_is_a_chart_with_its_data(reader: Reader) -> None:
    await reader.log_in("clinician-a")
    await reader.page.goto(f"{reader.running.url}/professional/arrivals")
    assert await reader.page.locator("svg.chart-bars").count() == 1
    assert await reader.page.locator(".chart-data table").count() == 1
    await reader.clean()
    await reader.language("en")
    await reader.clean()


@pytest.mark.parametrize("lang", ["cs", "en"])
async def test_who_has_no_record_yet_sees_empty_pages_and_no_errors(
    chromium: Browser, lang: str
) -> None:
    with scratch() as folder:
        running = Running(folder / "data", "--empty").start()
        context = await chromium.new_context(locale="cs-CZ")
        try:
            reader = Reader(await context.new_page(), running)
            await reader.log_in("patient")
            for path in ("/patient", "/patient/access"):
                answer = await reader.page.goto(f"{running.url}{path}")
                assert answer is not None
                assert answer.status == 200
                await reader.language(lang)
                assert await reader.page.locator(".empty").count() == 1
                await reader.clean()
        finally:
            await context.close()
            running.stop()
