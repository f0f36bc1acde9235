"""Registrars find persons, compare sources, decide cases, merge, split, and take it all back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from pater.domains.persons import demo
from pater.registers.registration import Registered
from pater.settings import Settings
from pater.store.database import Database
from tests.persons.registry import Office, birth_number, opened, said, somebody


@pytest.fixture(scope="module")
async def one_house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    settings = Settings(data=tmp_path_factory.mktemp("registry"), demo=True, policy="cz")
    async with opened(settings, module_database.dsn) as made:
        yield made


@pytest.fixture
def office(one_house: Office) -> Office:
    return one_house


async def test_only_registrars_come_in(office: Office) -> None:
    for path in ("/registry", "/registry/cases", "/registry/disputes", "/registry/statistics"):
        assert "<h1>" in await office.get("eva", path)
        await office.get("lekar", path, 403)
        await office.get("none", path, 403)
        assert (await office.http.get(path)).status_code == 303
    who = await office.tell(somebody("Zavřená"))
    await office.get("lekar", f"/registry/persons/{who.patient}", 403)


async def test_found_by_number_and_by_a_misspelt_name(office: Office) -> None:
    who = await office.tell(
        somebody("Hledaná", birthDate="1971-05-12", identifier=birth_number("7155120016"))
    )
    link = f"/registry/persons/{who.patient}"
    for asked in (
        {"number": who.rid},
        {"number": "715512/0016"},
        {"family": "Hledaná", "born": "1971-05-12"},
        {"family": "hledana", "given": "Ludmila"},
        {"family": "Hledanná", "given": "Ludmila", "born": "1971-05-12"},
    ):
        found = await office.post("eva", "/registry", 200, **asked)
        assert link in found.text, asked
    assert "find" in await office.journal(who.person, "eva")
    nobody = await office.post("eva", "/registry", 200, family="Nikdo", born="1901-01-01")
    assert "Nobody found" in nobody.text
    assert "Enter a number" in (await office.post("eva", "/registry", 422)).text
    assert "Add the date" in (await office.post("eva", "/registry", 422, family="Hledaná")).text
    wrong = await office.post("eva", "/registry", 422, family="Hledaná", born="2999-01-01")
    assert "in the future" in wrong.text
    for odd in ("\\\\", "$,|", "%%", "´´", "x" * 500):
        await office.post("eva", "/registry", 200, family=odd, given=odd, postcode=odd)
    typo = await office.post("eva", "/registry", 200, number="7155120017")
    assert "check of this number fails" in typo.text and link not in typo.text


async def test_the_file_shows_sources_side_by_side_and_times_past(office: Office) -> None:
    born: dict[str, Any] = {"birthDate": "1980-10-05", "identifier": birth_number("8060050020")}
    who = await office.tell(somebody("Dřívější", **born))
    moved = [{"line": ["Nová 1"], "city": "Brno", "postalCode": "60200"}]
    same = await office.tell(somebody("Dřívější", address=moved, **born), by="b")
    assert same.person == who.person
    page = await office.get("eva", f"/registry/persons/{who.patient}")
    for text in ("Nemocnice A", "Nemocnice B", "Nová 1", "Květná 17", "differs", "former"):
        assert text in page, text
    assert "file" in await office.journal(who.person, "eva")
    then = await office.get("eva", f"/registry/persons/{who.patient}?known=2001-01-01")
    assert "was not known then" in then
    today = await office.get("eva", f"/registry/persons/{who.patient}?valid=2090-01-01")
    assert "As of the date" in today
    assert "Enter a date." in await office.get(
        "eva", f"/registry/persons/{who.patient}?valid=yesterday"
    )
    await office.get("eva", "/registry/persons/nobody", 404)


async def _alike(office: Office, family: str, born: str) -> tuple[Registered, Registered, int]:
    """Somebody, and somebody who is perhaps the same; the case about them."""
    one = await office.tell(somebody(family, birthDate=born))
    swapped = f"{born[:4]}-{born[8:]}-{born[5:7]}"
    other = await office.tell(
        somebody(family, birthDate=swapped, address=None, telecom=None), by="b"
    )
    assert other.outcome == "possible" and other.case is not None, other
    return one, other, other.case


async def test_a_case_is_explained_decided_and_undone(office: Office) -> None:
    one, other, case = await _alike(office, "Podobná", "1985-06-09")
    queue = await office.get("eva", "/registry/cases")
    assert f"/registry/cases/{case}" in queue
    assert f"/registry/cases/{case}" in await office.get("eva", "/registry/cases?reason=possible")
    assert f"/registry/cases/{case}" not in await office.get(
        "eva", "/registry/cases?reason=numbers"
    )
    page = await office.get("eva", f"/registry/cases/{case}")
    assert "day and month are swapped" in page and "<svg" in page
    assert "The dates of birth differ." in page
    fields = dict(re.findall(r'name="(version|other)" value="(\d+)"', page))
    assert "review" in await office.journal(one.person, "eva")
    # the second of two registrars reads who decided what
    done = await office.post(
        "eva", f"/registry/cases/{case}", decision="match", note="called her", **fields
    )
    assert done.headers["location"].endswith(f"?done={case}")
    late = await office.http.post(
        f"/registry/cases/{case}",
        data={**fields, "decision": "new", "csrf": await _proof(office, "jan")},
        headers=await office.cookie("jan"),
    )
    assert late.status_code == 409
    assert "Eva decided on" in unescape(late.text) and "one person" in late.text
    # both numbers lead to one file, which says so
    survivor = await office.get("eva", f"/registry/persons/{one.patient}")
    merged = await office.get("eva", f"/registry/persons/{other.patient}")
    assert ("was merged into this one" in survivor) != ("was merged into this one" in merged)
    decided = await office.get("eva", "/registry/cases?view=decided")
    assert f"/registry/cases/{case}" in decided
    version = re.search(
        r'name="version" value="(\d+)"', await office.get("eva", f"/registry/cases/{case}")
    )
    assert version
    await office.post(
        "eva", f"/registry/cases/{case}/undo", page=f"/registry/cases/{case}", version=version[1]
    )
    apart = await office.get("eva", f"/registry/persons/{other.patient}")
    assert "was merged into this one" not in apart
    assert f"/registry/cases/{case}" in await office.get("eva", "/registry/cases")
    await office.post(
        "eva", f"/registry/cases/{case}/undo", 409, page=f"/registry/cases/{case}",
        version=version[1],
    )  # fmt: skip


async def _proof(office: Office, login: str) -> str:
    found = re.search(r'name="csrf" value="([^"]*)"', await office.get(login, "/registry"))
    assert found
    return found[1]


async def test_two_persons_and_later(office: Office) -> None:
    _, other, case = await _alike(office, "Dvojí", "1990-03-07")
    page = await office.get("eva", f"/registry/cases/{case}")
    fields = dict(re.findall(r'name="(version|other)" value="(\d+)"', page))
    path = f"/registry/cases/{case}"
    await office.post("eva", path, 400, **{**fields, "decision": "perhaps"})
    for version in ("x", "", "9" * 17, "9" * 40):
        await office.post("eva", path, 400, **{**fields, "version": version, "decision": "new"})
    await office.post("eva", path, decision="later", until="7", **fields)
    assert path not in await office.get("eva", "/registry/cases")
    page = await office.get("eva", path)
    fields = dict(re.findall(r'name="(version|other)" value="(\d+)"', page))
    await office.post("eva", path, decision="new", **fields)
    assert "two persons" in await office.get("eva", path)
    # who is somebody of their own has a number for good
    assert "temporary number" not in await office.get("eva", f"/registry/persons/{other.patient}")
    for bad in ("0", "x", "9" * 30):
        await office.get("eva", f"/registry/cases/{bad}", 404)
    for bad in ("x~1", "1~x", "nan~1"):
        await office.get("eva", f"/registry/cases?after={bad}", 400)
        await office.get("eva", f"/registry/cases?view=decided&after={bad}", 400)


async def test_merged_by_hand_linked_and_undone(office: Office) -> None:
    one = await office.tell(somebody("Prvá", birthDate="1961-01-02", telecom=None, address=None))
    two = await office.tell(somebody("Druhá", birthDate="1971-02-03", telecom=None, address=None))
    path = f"/registry/persons/{one.patient}/merge"
    unknown = await office.post("eva", path, 422, other="9999999999")
    assert "Nobody of the register" in unknown.text
    assert "same person" in (await office.post("eva", path, 422, other=one.rid)).text
    seen = await office.post("eva", path, 200, other=two.rid)
    assert "What will move" in seen.text and "Druhá" in seen.text
    fields = dict(re.findall(r'name="(versions?|other)" value="([^"]+)"', seen.text))
    fields |= {"step": "do", "kind": "merge", "survivor": one.patient}
    assert "Say why" in (await office.post("eva", path, 422, **fields)).text
    stale = await office.post("eva", path, 409, **{**fields, "reason": "why", "version": "99"})
    assert "changed one of them" in stale.text
    done = await office.post("eva", path, **fields, reason="she married")
    assert done.headers["location"] == f"/registry/persons/{one.patient}?done=merge"
    page = await office.get("eva", f"/registry/persons/{two.patient}")
    assert "was merged into this one" in page and "she married" in page
    act = re.search(r"/registry/acts/([0-9a-f-]+)/undo", page)
    assert act
    undo = act[0]
    assert "she married" in await office.get("eva", undo)
    await office.post("eva", undo)
    assert "It was undone on" in await office.get("eva", undo)
    assert "was merged" not in await office.get("eva", f"/registry/persons/{two.patient}")
    linked = await office.post("eva", path, 200, other=two.rid)
    fields |= dict(re.findall(r'name="(versions?|other)" value="([^"]+)"', linked.text))
    await office.post("eva", path, **{**fields, "kind": "link"}, reason="perhaps")
    twice = await office.post("eva", path, 422, **{**fields, "kind": "link"}, reason="perhaps")
    assert "linked already" in twice.text


async def test_split_and_cancelled(office: Office) -> None:
    born: dict[str, Any] = {"birthDate": "1975-04-01", "identifier": birth_number("7554010013")}
    who = await office.tell(somebody("Dvojice", **born))
    same = await office.tell(somebody("Dvojice", **born), by="b")
    assert same.person == who.person
    path = f"/registry/persons/{who.patient}/split"
    keys = re.findall(r'name="(source-[0-9a-f]+)"', await office.get("eva", path))
    assert len(keys) == 2
    assert "at least one source" in (await office.post("eva", path, 422, reason="two")).text
    everything: dict[str, Any] = dict.fromkeys(keys, "1")
    left = await office.post("eva", path, 422, reason="two people", **everything)
    assert "Leave at least one" in left.text
    chosen: dict[str, Any] = {keys[0]: "1", "reason": "two people"}
    preview = await office.post("eva", path, 200, step="preview", **chosen)
    assert "Before you confirm" in preview.text
    done = await office.post("eva", path, step="do", **chosen)
    new = done.headers["location"].partition("?")[0]
    assert "Dvojice" in await office.get("eva", new) and who.patient not in new
    mistake = await office.tell(somebody("Omylem", birthDate="1966-06-06", telecom=None))
    path = f"/registry/persons/{mistake.patient}/cancel"
    assert "Say why" in (await office.post("eva", path, 422, reason=" ")).text
    await office.post("eva", path, reason="entered twice")
    page = await office.get("eva", f"/registry/persons/{mistake.patient}")
    assert "cancelled" in page and "/merge" not in page


async def test_a_person_disputes_and_is_answered(office: Office) -> None:
    who = await office.tell(somebody("Tvrdá", birthDate="1955-05-05", telecom=None))
    await office.patient("tvrda", who)
    mine = await office.get("tvrda", "/patient/register")
    assert "Tvrdá" in mine and "Nemocnice A" in mine and who.rid in mine
    path = "/patient/register"
    assert "Choose what is wrong" in (await office.post("tvrda", path, 422, text="wrong")).text
    told = await office.post("tvrda", path, attribute="birthDate", text="I was born in June")
    assert told.headers["location"] == "/patient/register?done=1"
    again = await office.post("tvrda", path, 422, attribute="birthDate", text="I was born in June")
    assert "waits for a registrar" in again.text
    assert "disputed" in await office.get("tvrda", path)
    queue = await office.get("eva", "/registry/disputes")
    found = re.search(r"/registry/disputes/[0-9a-f-]{36}", queue)
    assert found and "Tvrdá" in queue
    shown = await office.get("eva", found[0])
    assert "I was born in June" in shown
    fields: dict[str, Any] = {
        "version": "1",
        "state": "kept",
        "answer": "The birth register says May.",
    }
    assert "Say why" in (await office.post("eva", found[0], 422, **{**fields, "answer": ""})).text
    await office.post("eva", found[0], **fields)
    late = await office.post("jan", found[0], 409, page="/registry", **fields)
    assert "Eva decided on" in unescape(late.text)
    assert "The birth register says May." in await office.get("tvrda", path)
    assert "disputes" in await office.journal(who.person, "eva")
    await office.get("eva", "/registry/disputes/x", 404)
    assert "No record yet" in await office.get("none", path)


async def test_the_demonstration_fills_the_queues(office: Office) -> None:
    house = office.house
    hospitals = {key: office.hospital(key) for key in "ab"}
    loader = replace(office.hospital("a"), id="loader", role="loader", purpose="SYSADMIN")
    await demo.fill(house.services, office.registers, hospitals, loader)
    await demo.fill(house.services, office.registers, hospitals, loader)  # what is there stays
    queue = await office.get("eva", "/registry/cases")
    for name in ("Vondráčková", "Jelínek", "Zeman", "Hrubeš"):
        assert name in queue, name
    assert "Pospíšil" in await office.get("eva", "/registry/disputes")
    found = await office.post("eva", "/registry", 200, family="Křížová", given="Alžběta")
    assert "Alžběta Tichá" in said(found)  # by the name she had before


async def test_the_quality_of_the_register_in_figures(office: Office) -> None:
    await _alike(office, "Počítaná", "1977-02-08")
    page = await office.get("eva", "/registry/statistics")
    for text in ("Open cases by age", "up to 1 day", "Outcomes by day"):
        assert text in page, text
    assert "duplicate merged" in page or "duplicates merged" in page
    assert "7 days" in await office.get("eva", "/registry/statistics?days=7")
    await office.get("eva", "/registry/statistics?days=x")


async def test_who_was_found_by_a_name_is_not_in_an_address(office: Office) -> None:
    who = await office.tell(somebody("Nejmenovaná", birthDate="1948-08-08", telecom=None))
    found = await office.post("eva", "/registry", 200, family="Nejmenovaná", born="1948-08-08")
    addresses = re.findall(r'(?:href|action)="([^"]*)"', found.text)
    assert any(who.patient in each for each in addresses)
    assert not any("Nejmen" in each or who.rid in each for each in addresses)
