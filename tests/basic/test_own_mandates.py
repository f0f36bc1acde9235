"""Who has mandates of organisations sees them; pages of mandates are good for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser

from pater.access.accounts import Account
from pater.access.deciding import Ages
from pater.clock import now
from pater.registers.basic import granting
from pater.registers.registration import Registered
from pater.registers.representing import Representing, Wish
from pater.settings import Settings
from pater.store.database import Database
from tests.chromium import faults
from tests.persons.registry import BASE, HOSPITALS, Office, opened, somebody
from tests.persons.test_registry_browser import browsing
from tests.registers.registering import REGISTRAR

ICO = HOSPITALS["a"][0]
PATH = "/patient/proxies"
DAY = timedelta(days=1)


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(Settings(data=tmp_path, demo=True, policy="cz"), database.dsn) as made:
        yield made


async def mandated(office: Office) -> Registered:
    """Somebody with an account, whose mandate holds, is over, or begins later."""
    who = await office.tell(somebody("Pověřená", birthDate="1980-02-03"))
    await office.patient("eliska", who)
    db = office.house.db
    for number, (services, since, days, ico) in enumerate((
        (["submit", "read"], now() - DAY, 300, ICO), (["read"], now() - 90 * DAY, 30, ICO),
        ([], now() + 5 * DAY, 30, "00064203"),
    )):  # fmt: skip
        given = granting.give(
            f"here:{number}", ico, who.person, "Ludmila Pověřená", services, f"PM {number}",
            since, since + days * DAY, "x",
        )  # fmt: skip
        await db.execute(given.sql, *given.args)
    await db.execute("update authorisation set source = 'reza', kind = 'statutory' where id = $1",
                     "here:2")  # fmt: skip
    await db.execute(
        "insert into provider_organization (organization, ico, name, active, part_of)"
        " values ('o', $1, 'Nemocnice Podlesí', true, '')",
        ICO,
    )
    return who


async def test_own_mandates_are_seen_and_nobody_elses(office: Office) -> None:
    who = await mandated(office)
    page = await office.get("eliska", PATH)
    rows = page.split('id="organisations"')[1].split("</table>")[0].split("<tr")[2:]
    later, holds, over = rows
    assert "Nemocnice Podlesí" in holds and "Read documents, Hand over documents" in holds
    assert "PM 0" in holds and "holds" in holds and "given here" in holds and "until " in holds
    assert "is over" in over and "PM 1" in over
    assert "IČO 00064203" in later and "everything" in later and "begins later" in later
    assert "statutory body" in later and "register of rights and mandates" in later
    assert await office.house.db.fetchval(
        "select count(*) from journal_entry where person = $1 and reason = 'own-record'"
        " and agent = 'eliska'", who.person,
    ) == 1  # fmt: skip
    other = await office.tell(somebody("Jiná", birthDate="1955-05-05"))
    await office.patient("jina", other)
    page = await office.get("jina", PATH)
    assert "PM 0" not in page and "For none." in page


async def test_who_is_represented_reads_that_it_was_shown(office: Office) -> None:
    born = f"{now().year - 8}-05-06"
    child = await office.tell(somebody("Malá", birthDate=born))
    parent = await office.tell(somebody("Velká", birthDate="1980-02-03"))
    await office.patient("velka", parent)
    desk = Representing(office.house.gate, office.house.db, Ages())
    await desk.enter(REGISTRAR, Wish("parent", child.patient, parent.patient, "RL 1"))
    assert "Ludmila Malá" in await office.get("velka", PATH)
    rows = await office.house.db.fetch(
        "select reason from journal_entry where person = $1 and agent = 'velka'", child.person
    )
    assert [row["reason"] for row in rows] == ["represented-listed"]


async def test_a_last_day_is_the_day_that_was_chosen(office: Office) -> None:
    """A mandate and a representation end at a midnight: the day before it is the last one."""
    who = await mandated(office)
    await office.save(Account("spravce", "spravce", "S", "administrator", ICO, "Nemocnice A"))
    form = {"family": "Pověřená", "born": "1980-02-03", "s-read": "1", "until": "2099-12-30"}
    rid = await office.house.db.fetchval("select rid from person where person = $1", who.person)
    shown = await office.get("spravce", "/mandates")
    key = shown.split('name="key" value="')[1].split('"')[0]
    await office.post("spravce", "/mandates", 303, rid=rid, key=key, **form)
    assert "until 30 December 2099" in await office.get("spravce", "/mandates")


@pytest.mark.browser
async def test_pages_of_mandates_fit_and_have_no_fault(office: Office, chromium: Browser) -> None:
    child = await office.tell(somebody("Malá", birthDate=f"{now().year - 8}-05-06"))
    await office.save(Account("spravce", "spravce", "S", "administrator", ICO, "Nemocnice A"))
    places = (
        ("spravce", "/mandates"),
        ("eva", f"/registry/persons/{child.patient}/representatives"),
        ("eva", f"/registry/persons/{child.patient}"),
        ("eliska", PATH),
    )
    for full in (False, True):
        if full:
            parent = await mandated(office)
            desk = Representing(office.house.gate, office.house.db, Ages())
            await desk.enter(REGISTRAR, Wish("parent", child.patient, parent.patient, "RL 1"))
        for login, path in places[: None if full else 2]:
            async with browsing(chromium, office, login) as page:
                await page.goto(BASE + path)
                assert await faults(page) == []
                await page.set_viewport_size({"width": 390, "height": 900})
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide == 390, path
