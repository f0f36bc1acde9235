"""The patient's page shows that an entry of "who looked" stands in the log, and hands the proof."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest
from playwright.async_api import Browser, expect

from pater.access.transparency.heads import from_json
from pater.trust.log_keys import public_keys
from pater.trust.merkle import verify_inclusion
from tests.chromium import at, press
from tests.system.running import Running
from tests.system.test_portals import Reader

pytestmark = pytest.mark.browser


@pytest.fixture
async def reader(chromium: Browser, running: Running) -> AsyncIterator[Reader]:
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    yield Reader(await context.new_page(), running)
    await context.close()


async def test_an_entry_has_its_proof_on_the_page(reader: Reader) -> None:
    page, url = reader.page, reader.running.url
    await reader.log_in("patient")
    await page.goto(f"{url}/patient/access")
    # the newest is not sealed yet, the oldest was when the service began
    await page.goto(f"{url}/patient/access?until=9999-12-31")
    links = page.get_by_role("main").get_by_role("link", name="Důkaz")
    addresses = [str(await link.get_attribute("href")) for link in await links.all()]
    found = ""
    for address in reversed(addresses):
        await page.goto(f"{url}{address}")
        text = await page.get_by_role("main").inner_text()
        assert "Nesouhlasí" not in text
        await reader.clean()
        if "Ověřeno" in text:
            found = text
            break
    assert "Pořadí v protokolu" in found
    await reader.language("en")
    text = await page.get_by_role("main").inner_text()
    assert "Verified" in text
    assert "Number in the log" in text
    await reader.clean()
    proof = json.loads(await reader.download("Download the proof"))
    async with httpx.AsyncClient(base_url=url) as outside:
        keys = public_keys((await outside.get("/audit/log/keys")).json())
        assert (await outside.get("/tsa/certificate")).content.startswith(b"-----BEGIN CERT")
    head = from_json(proof["head"]).verified(keys)
    leaf = sha256(b"\0" + proof["entry"].encode()).digest()
    path = [base64.b64decode(hash) for hash in proof["path"]]
    assert verify_inclusion(leaf, proof["leaf"], proof["size"], path, head.root)


async def test_somebody_elses_entry_is_not_there(reader: Reader) -> None:
    with reader.running.client("patient") as client:
        event = client.get("/AuditEvent?_count=1").json()["entry"][0]["resource"]["id"]
    await reader.log_in("patient-2")
    for path in (event, f"{event}/proof", "nonsense", "a.b"):
        answer = await reader.page.goto(f"{reader.running.url}/patient/access/{path}")
        assert answer is not None
        assert answer.status == 404


@pytest.mark.parametrize("lang", ["cs", "en"])
async def test_an_access_is_disputed_and_answered(
    chromium: Browser, reader: Reader, running: Running, lang: str
) -> None:
    page, url = reader.page, running.url
    await reader.log_in("patient")
    await reader.language(lang)
    # the demonstration's hospital looked; its entries are old enough to stand still
    await page.goto(f"{url}/patient/access?provider=nemocnice")
    await reader.clean()
    links = page.locator("table a[href^='/patient/access/']")
    addresses = [str(await link.get_attribute("href")) for link in await links.all()]
    address = addresses[-1 if lang == "cs" else -2]
    await page.goto(f"{url}{address}")
    await page.locator("[name=text]").fill("Nikdy jsem tam nebyla, prosím o vysvětlení.")
    await press(page, page.locator("#dispute").get_by_role("button"))
    await at(page, f"{address}(#dispute)?")
    await expect(page.locator("#dispute form")).to_have_count(0)
    await reader.clean()
    context = await chromium.new_context(locale="cs-CZ", viewport={"width": 1280, "height": 900})
    try:
        officer = Reader(await context.new_page(), running)
        await officer.log_in("privacy")
        await officer.page.goto(f"{url}/privacy/disputes")
        await officer.language(lang)
        await officer.clean()
        panel = officer.page.locator("form[action^='/privacy/disputes/']").first
        await panel.locator("[value=justified]").check()
        await panel.locator("textarea").fill("Šlo o předem objednané vyšetření.")
        await press(officer.page, panel.get_by_role("button"))
        await at(officer.page, "/privacy/disputes")
        await officer.clean()
    finally:
        await context.close()
    await page.goto(f"{url}/patient/access")
    await expect(page.get_by_role("main")).to_contain_text("Šlo o předem objednané vyšetření.")
    await reader.clean()
