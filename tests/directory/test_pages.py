"""The public pages: found without a login and without JavaScript, and good for everybody."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.async_api import Browser, Route, expect

from pater.demo import _of_directory
from pater.domains.directory.demo import region as demo
from pater.domains.exchange.demo import demo_region
from tests.chromium import Complaints, at, faults, press
from tests.directory.conftest import BASE, ICO_A, KRZP, PEOPLE, PLACES, Desk, as_
from tests.rest.world import HOSPITAL


@pytest.fixture
async def full(desk: Desk) -> Desk:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    return desk


async def page(desk: Desk, path: str, lang: str = "en", status: int = 200, **query: str) -> str:
    answer = await desk.http.get(
        path, params=query or None, headers={"Cookie": f"pater_lang={lang}"}
    )
    assert answer.status_code == status, answer.text
    return answer.text


def names(text: str) -> list[str]:
    return re.findall(r'<h3><a href="/directory/place/[^"]+">([^<]+)</a>', text)


async def test_everybody_finds_facilities(full: Desk) -> None:
    assert names(await page(full, "/directory")) == [
        "Ambulance Horní Lhotka", "Lékárna U Dubu", "Nemocnice Podlesí",
    ]  # fmt: skip
    assert names(await page(full, "/directory", q="nemoc lesní")) == ["Nemocnice Podlesí"]
    far = await page(full, "/directory", service="kardiologie", town="javorne", km="50")
    assert names(far) == ["Nemocnice Podlesí", "Ambulance Horní Lhotka"]
    near = await page(full, "/directory", service="kardiologie", town="Javorné", km="5")
    assert names(near) == ["Nemocnice Podlesí"]
    assert "0 km away" in near and near.count("place-map-dot") == 1
    assert names(await page(full, "/directory", open="now", q="dubu")) == ["Lékárna U Dubu"]
    nowhere = await page(full, "/directory", town="Atlantida", status=422)
    assert "no facility in a town" in nowhere
    assert "Nothing was found" in await page(full, "/directory", q="zzz")
    assert "Nic se nenašlo" in await page(full, "/directory", "cs", q="zzz")
    assert 'href="/directory"' in await page(full, "/")


async def test_an_empty_register_says_so(desk: Desk) -> None:
    assert "There are no facilities here yet" in await page(desk, "/directory", q="zzz")
    assert "Zatím tu nejsou žádná zařízení" in await page(desk, "/directory", "cs")
    await desk.take(PLACES)
    assert "no facilities here yet" not in await page(desk, "/directory", q="zzz")


async def test_nothing_that_is_typed_breaks_the_page(full: Desk) -> None:
    for text in ("<script>", "a&b|c", "\0", "x" * 5000, "'; drop table", "🦷"):
        found = await page(full, "/directory", q=text)
        assert "<script>" not in found
        await page(full, "/directory", service=text, km=text, open=text, after=text)
    await page(full, "/directory/place/x", status=404)
    await page(full, "/directory/place/" + "x" * 200, status=404)
    await page(full, "/directory/professional/%C5%BE", status=404)


async def test_a_long_list_is_walked_by_pages(full: Desk) -> None:
    many = [{**PLACES[2], "ZZ_ID": f"9{n:03}", "ZZ_nazev": f"Lékárna {n:03}"} for n in range(45)]
    await full.take([*PLACES, *many])
    seen, path = [], "/directory?q=lekarna"
    for _ in range(10):
        text = await page(full, path)
        seen += names(text)
        link = re.search(r'rel="next" href="([^"]+)"', text)
        if not link:
            break
        path = link[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 46


async def test_a_facility_and_its_professional(full: Desk) -> None:
    text = await page(full, "/directory/place/place-1001")
    for said in ("Nemocnice Podlesí a.s.", ICO_A, "Lesní 1", "+420 555 000 001", "KU/12/2012",
                 "cardiology", "7:00–15:00", "Monday", "Interna", "beds: 42", "CT",
                 "Krajský úřad Podlesí", "MUDr. Alena Horáková"):  # fmt: skip
        assert said in text, said
    assert "pondělí" in await page(full, "/directory/place/place-1001", "cs")
    person = await page(full, f"/directory/professional/krzp-{KRZP}")
    for said in ("MUDr. Alena Horáková", KRZP, "cardiology", "Nemocnice Podlesí a.s.", "physician"):
        assert said in person, said
    assert "1975" not in person
    await full.take([PLACES[0], PLACES[1]], accept=True)
    gone = await page(full, "/directory/place/place-1003")
    assert "does not offer services any more" in gone


async def test_pages_show_nothing_of_documents(full: Desk) -> None:
    doctor = {"resourceType": "Practitioner", "name": [{"family": "Zprávy"}]}
    from pater.records.changes import Change
    from tests.rest.world import LOADER

    change = Change("create", "Practitioner", "of-a-document", doctor, person=77, derived=True)
    await full.house.gate.commit(LOADER, [change], reason="loading")
    await page(full, "/directory/professional/of-a-document", status=404)


async def test_the_demonstration_has_facilities_in_both_languages(desk: Desk) -> None:
    region = demo_region()
    await demo.fill(desk.house.gate, *_of_directory(region))
    await demo.fill(desk.house.gate, *_of_directory(region))  # again does nothing
    await desk.follow()
    hospital = region.hospitals[0].name
    assert hospital in names(await page(desk, "/directory", service="kardiologie", open="now"))
    assert "cardiology" in await page(desk, "/directory/place/place-demo-a")
    assert "kardiologie" in await page(desk, "/directory/place/place-demo-a", "cs")
    assert await desk.db.fetchval("select max(version) from resource") == 1


async def test_what_is_disputed_is_said(full: Desk) -> None:
    from uuid import uuid4

    body = {
        "zadostInfo": {"datum": "2026-01-01", "ucel": "SPRAVA", "zadostId": str(uuid4())},
        "zadostData": {"typ": "Location", "zaznamId": "place-1001", "udaj": "a", "popis": "b"},
    }
    path = "/krpzs/api/v2/Poskytovatel/reklamuj/udaj"
    answer = await full.call("POST", path, as_(HOSPITAL, organization=ICO_A), json=body)
    assert answer.status_code == 200
    assert "being looked into" in await page(full, "/directory/place/place-1001")
    assert "being looked into" not in await page(full, "/directory/place/place-1002")


@pytest.mark.browser
async def test_in_a_browser_without_javascript(full: Desk, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False, locale="cs-CZ")

    async def served(route: Route) -> None:
        request = route.request
        answer: httpx.Response = await full.http.request(
            request.method, request.url, headers=await request.all_headers()
        )
        await route.fulfill(
            status=answer.status_code, headers=dict(answer.headers), body=answer.content
        )

    await context.route("**/*", served)
    tab = await context.new_page()
    complaints = Complaints(tab)
    await tab.goto(f"{BASE}/directory")
    await tab.get_by_label("Co potřebujete").select_option("kardiologie")
    await tab.get_by_label("Obec").fill("Javorné")
    await press(tab, tab.locator("form.place-search button"))
    await expect(tab.get_by_role("heading", name="Nalezená zařízení")).to_be_visible()
    await press(tab, tab.get_by_role("link", name="Nemocnice Podlesí"))
    await at(tab, "/directory/place/place-1001")
    await press(tab, tab.get_by_role("link", name="MUDr. Alena Horáková"))
    await at(tab, f"/directory/professional/krzp-{KRZP}")
    assert complaints.texts == []
    await context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_no_fault(full: Desk, chromium: Browser, width: int) -> None:
    context = await chromium.new_context(viewport={"width": width, "height": 900})

    async def served(route: Route) -> None:
        answer: httpx.Response = await full.http.request(route.request.method, route.request.url)
        headers = {k: v for k, v in answer.headers.items() if k != "content-security-policy"}
        await route.fulfill(status=answer.status_code, headers=headers, body=answer.content)

    await context.route("**/*", served)
    tab = await context.new_page()
    for path in ("/directory", "/directory?town=Atlantida", "/directory?q=zzz",
                 "/directory/place/place-1001",
                 f"/directory/professional/krzp-{KRZP}"):  # fmt: skip
        await tab.goto(f"{BASE}{path}")
        assert await faults(tab) == [], path
        wide = await tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
    await context.close()
