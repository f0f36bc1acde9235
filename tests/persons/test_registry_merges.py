"""What registrars do to persons in the wrong order, twice or at once has its clear answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest

from pater.access.caller import KEY, Caller
from pater.access.tokens import Tokens
from pater.clock import now
from pater.registers.registration import Registered
from pater.settings import Settings
from pater.store.database import Database
from pater.store.jobs import cancel
from tests.persons.registry import BASE, Office, birth_number, opened, said, somebody
from tests.registers.merging_world import large, observation

LOADER = Caller(
    kind="system", id="loader", name="Loader", role="loader", purpose="SYSADMIN", strength=KEY,
    scopes=("system/*.cruds",),
)  # fmt: skip


@pytest.fixture(scope="module")
async def office(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    settings = Settings(data=tmp_path_factory.mktemp("merges"), demo=True, policy="cz")
    async with opened(settings, module_database.dsn) as made:
        yield made


async def three(office: Office, family: str) -> list[Registered]:
    """Persons who have nothing in common."""
    return [
        await office.tell(
            somebody(family + end, given, birthDate=f"19{number}1-0{number}-02", telecom=None,
                     address=None)
        )
        for number, (end, given) in enumerate(
            (("ková", "Alžběta"), ("nská", "Božena"), ("rová", "Cecílie")), start=4
        )
    ]  # fmt: skip


async def merge(office: Office, one: Registered, two: Registered) -> str:
    """Merges the second into the first by the page; gives the address that undoes it."""
    path = f"/registry/persons/{one.patient}/merge"
    seen = await office.post("eva", path, 200, other=two.rid)
    fields = dict(re.findall(r'name="(versions?|other)" value="([^"]+)"', seen.text))
    await office.post(
        "eva", path, **fields, step="do", kind="merge", survivor=one.patient, reason="is one"
    )
    page = await office.get("eva", f"/registry/persons/{one.patient}")
    acts = re.findall(r"/registry/acts/[0-9a-f-]+/undo", page)
    return str(acts[0])


async def test_a_circle_of_merges_cannot_be(office: Office) -> None:
    one, two, three_ = await three(office, "Kruho")
    await merge(office, one, two)
    for who, number in ((one, two.rid), (two, one.rid), (two, two.rid)):
        path = f"/registry/persons/{who.patient}/merge"
        answer = await office.post("eva", path, 422, other=number)
        assert "same person" in answer.text
    # who was merged is asked for by its number, and stands for the one it leads to
    await merge(office, three_, two)
    for who in (one, two, three_):
        page = await office.get("eva", f"/registry/persons/{who.patient}")
        assert f"/registry/persons/{three_.patient}/merge" in page


async def test_acts_are_undone_from_the_last_and_once(office: Office) -> None:
    one, two, three_ = await three(office, "Pořado")
    first = await merge(office, one, two)
    second = await merge(office, three_, one)
    assert first != second
    early = await office.post("eva", first, 422)
    assert "undo the later one first" in early.text
    both = await asyncio.gather(
        *(undo_at_once(office, login, second) for login in ("eva", "jan")),
    )
    assert sorted(each.status_code for each in both) == [303, 409], [said(e) for e in both]
    await office.post("eva", first)
    for login in ("eva", "jan"):
        answer = await undo_at_once(office, login, first)
        assert answer.status_code == 409 and "changed one of them" in unescape(answer.text)
    for who in (one, two, three_):
        page = await office.get("eva", f"/registry/persons/{who.patient}")
        assert f"/registry/persons/{who.patient}/merge" in page


async def undo_at_once(office: Office, login: str, path: str) -> httpx.Response:
    """A registrar confirms on a page that was opened before."""
    proof = re.search(r'name="csrf" value="([^"]*)"', await office.get(login, "/registry"))
    assert proof
    return await office.http.post(path, data={"csrf": proof[1]}, headers=await office.cookie(login))


async def test_two_registrars_merge_at_once(office: Office) -> None:
    one, two, _ = await three(office, "Souběho")
    path = f"/registry/persons/{one.patient}/merge"
    seen = await office.post("eva", path, 200, other=two.rid)
    fields = dict(re.findall(r'name="(versions?|other)" value="([^"]+)"', seen.text))
    fields |= {"step": "do", "kind": "merge", "reason": "is one"}
    asked = []
    for login, keep in (("eva", one), ("jan", two)):
        proof = re.search(r'name="csrf" value="([^"]*)"', await office.get(login, "/registry"))
        assert proof
        form = {**fields, "survivor": keep.patient, "csrf": proof[1]}
        asked.append(office.http.post(path, data=form, headers=await office.cookie(login)))
    answers = await asyncio.gather(*asked)
    statuses = sorted(each.status_code for each in answers)
    assert statuses[0] == 303 and statuses[1] in (409, 422), [said(each) for each in answers]
    told = next(each for each in answers if each.status_code != 303)
    assert re.search("changed one of them|same person|one person already", unescape(told.text))


async def test_what_never_was_merged_is_not_parted(office: Office) -> None:
    one, two, _ = await three(office, "Nedílno")
    path = f"/registry/persons/{one.patient}/split"
    assert "at least one source" in (await office.post("eva", path, 422, reason="are two")).text
    # one source is not two persons, and another person's source is none of this one's
    assert not re.findall(r'name="(source-[0-9a-f]+)"', await office.get("eva", path))
    invented: dict[str, str] = {f"source-{'0' * 24}": "1", "step": "do", "reason": "are two"}
    for who in (one, two):
        path = f"/registry/persons/{who.patient}/split"
        assert "at least one source" in (await office.post("eva", path, 422, **invented)).text
    for act in ("nothing", "7d0f9a1e-0000-4000-8000-000000000000"):
        await office.get("eva", f"/registry/acts/{act}/undo", 404)


async def test_undo_says_what_to_do_first(office: Office) -> None:
    one, two, _ = await three(office, "Smazano")
    undo = await merge(office, one, two)
    token = Tokens(office.house.keys, BASE, now).issue(LOADER)
    head = {"Authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    stood = (await office.http.get(f"/fhir/Patient/{one.patient}", headers=head)).json()
    gone = await office.http.delete(f"/fhir/Patient/{one.patient}", headers=head)
    assert gone.status_code in (200, 204), gone.text
    answer = await office.post("eva", undo, 422)
    assert "write it again first" in answer.text
    back = await office.http.put(f"/fhir/Patient/{one.patient}", json=stood, headers=head)
    assert back.status_code in (200, 201), back.text
    await office.post("eva", undo)
    page = await office.get("eva", f"/registry/persons/{two.patient}")
    assert f"/registry/persons/{two.patient}/merge" in page


async def test_a_split_after_the_merge_comes_first(office: Office) -> None:
    number = birth_number("8559090012")
    one = await office.tell(somebody("Dělená", birthDate="1985-09-09", identifier=number))
    same = await office.tell(somebody("Dělená", birthDate="1985-09-09", identifier=number), by="b")
    assert same.person == one.person
    two = await office.tell(somebody("Jinačí", "Dora", birthDate="1931-03-03", telecom=None))
    undo = await merge(office, one, two)
    path = f"/registry/persons/{one.patient}/split"
    keys = re.findall(r'name="(source-[0-9a-f]+)"', await office.get("eva", path))
    done = await office.post("eva", path, step="do", reason="are two", **{keys[0]: "1"})
    new = done.headers["location"].partition("?")[0]
    assert "undo the later one first" in (await office.post("eva", undo, 422)).text
    page = await office.get("eva", new)
    later = re.search(r"/registry/acts/[0-9a-f-]+/undo", page)
    assert later
    await office.post("eva", later[0])
    # parted and joined again: what the merge joined is still one, and its undoing tells why not
    again = await office.post("eva", undo, 422)
    assert "undo the later one first" in again.text


async def test_a_large_record_is_left_to_a_job_and_the_page_says_how_far_it_is(
    office: Office,
) -> None:
    one, two, _ = await three(office, "Rozsáh")
    token = Tokens(office.house.keys, BASE, now).issue(LOADER)
    answer = await office.http.post(
        "/fhir/Observation",
        json=observation(two.patient),
        headers={"Authorization": f"Bearer {token}", "content-type": "application/fhir+json"},
    )
    assert answer.status_code == 201, answer.text
    path = f"/registry/persons/{one.patient}/merge"
    with large():
        seen = await office.post("eva", path, 200, other=two.rid)
        fields: dict[str, Any] = dict(
            re.findall(r'name="(versions?|other)" value="([^"]+)"', seen.text)
        )
        fields |= {"step": "do", "kind": "merge", "survivor": one.patient, "reason": "is one"}
        done = await office.post("eva", path, **fields)
        assert done.headers["location"].endswith("?done=accepted")
        for who in (one, two):
            page = await office.get("jan", f"/registry/persons/{who.patient}")
            assert "A large record is being moved" in page
        told = await office.post("jan", path, 409, **fields)
        assert "under way" in unescape(told.text)
        job = await office.house.db.fetchval("select job::text from merge_moving limit 1")
        assert await cancel(office.house.db, job)
    page = await office.get("eva", f"/registry/persons/{two.patient}")
    assert "was not moved" in page and f"/registry/persons/{two.patient}/merge" in page
