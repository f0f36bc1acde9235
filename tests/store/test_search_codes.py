"""The index of codes in order of time: it answers as the general search, and is never behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pater.store import search as search_module
from pater.store.codes import fill
from pater.store.database import Database
from pater.store.search import Scope, classed
from pater.store.write import Committer, Put, WriteSet
from tests.store.search_world import LOINC, ask, ids, resources
from tests.store.search_world import fill as write

ICD = "http://hl7.org/fhir/sid/icd-10"
QUERIES = [
    f"Observation?code={LOINC}|8480-6",
    f"Observation?code={LOINC}|8480-6&_sort=-date",
    f"Observation?code={LOINC}|8480-6&_sort=date",
    f"Observation?code={LOINC}|8480-6&_sort=_lastUpdated",
    f"Observation?code={LOINC}|8462-4&_total=accurate",
    f"Observation?code={LOINC}|8480-6&value-quantity=gt130&_total=accurate",
    f"Observation?code={LOINC}|8480-6&value-quantity=gt130&value-quantity=lt150&_sort=-date",
    f"Observation?code={LOINC}|8480-6&value-quantity=lt130",
    f"Observation?code={LOINC}|8480-6&value-quantity=le130&_sort=-date&_total=accurate",
    f"Observation?code={LOINC}|8480-6&value-quantity=130,le112,sa150&_sort=date",
    f"Observation?code={LOINC}|8480-6&value-quantity=gt110&value-quantity=eb150",
    f"Observation?code={LOINC}|8480-6&value-quantity=lt1&_total=accurate",
    f"Observation?code={LOINC}|8480-6&patient.birthdate=lt1990-01-01&_total=accurate",
    f"Observation?code={LOINC}|8480-6&subject:Patient.birthdate=ge1961-07-12&_sort=-date",
    f"Condition?patient.birthdate=lt1990-01-01&code={ICD}|I10",
    f"Patient?_has:Condition:patient:code={ICD}|I10",
    f"Patient?_has:Observation:subject:code={LOINC}|8480-6&_sort=birthdate",
    f"Observation?code={LOINC}|nothing&_total=accurate",
]


@pytest.fixture
async def world(database: Database) -> Database:
    await write(database, resources())
    return database


async def _general(monkeypatch: pytest.MonkeyPatch, db: Database, query: str, count: int) -> Any:
    async def nothing(*_: Any, **__: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(search_module, "classed_search", nothing)
        return await _pages(db, query, count)


async def _pages(db: Database, query: str, count: int) -> tuple[list[list[str]], int | None]:
    pages, cursor, total = [], "", None
    for _ in range(50):
        page = await ask(db, query, count=count, cursor=cursor)
        pages.append([each.id for each in page.matches])
        total = page.total
        if page.next is None:
            return pages, total
        cursor = page.next
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize(("soon", "few"), [(500, 8000), (2, 8000), (2, 1)])
@pytest.mark.parametrize("query", QUERIES)
async def test_it_answers_as_the_general_search_does(
    world: Database, monkeypatch: pytest.MonkeyPatch, query: str, soon: int, few: int
) -> None:
    monkeypatch.setattr(classed, "_SOON", soon)
    monkeypatch.setattr(classed, "_FEW", few)
    for count in (3, 1000):
        assert await _pages(world, query, count) == await _general(monkeypatch, world, query, count)


async def test_a_person_out_of_scope_stays_out(world: Database) -> None:
    query = f"Observation?code={LOINC}|8480-6&_total=accurate"
    page = await ask(world, query, Scope(frozenset({2})))
    assert page.total == len(page.matches) > 0
    assert {each.person for each in page.matches} == {2}


def _observation(code: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": "one", "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}, {"system": ICD, "code": "X"}]},
        "effectiveDateTime": day, "subject": {"reference": "Patient/p"},
    }  # fmt: skip


async def test_updates_moves_and_deletions_are_seen_at_once(database: Database) -> None:
    committer = Committer(database, lambda: datetime.now(UTC))

    async def put(person: int, resource: dict[str, Any] | None) -> None:
        await committer.commit(WriteSet([Put("Observation", "one", person, resource)]))

    async def found(code: str) -> list[str]:
        return await ids(database, f"Observation?code={code}&_sort=-date&_total=accurate")

    await put(1, _observation("a", "2026-01-01"))
    assert await found(f"{LOINC}|a") == ["one"] == await found(f"{ICD}|X")
    await put(1, _observation("b", "2026-01-02"))
    assert (await found(f"{LOINC}|a"), await found(f"{LOINC}|b")) == ([], ["one"])
    await put(2, _observation("c", "2026-01-03"))
    assert (await found(f"{LOINC}|b"), await found(f"{LOINC}|c")) == ([], ["one"])
    rows = await database.fetch("select person from code_index")
    assert [row["person"] for row in rows] == [2, 2]
    await put(2, None)
    assert await found(f"{LOINC}|c") == []
    assert await database.fetchval("select count(*) from code_index") == 0
    await committer.stop()


async def test_rows_that_are_not_in_it_yet_are_found_and_filled_in(world: Database) -> None:
    query = f"Observation?code={LOINC}|8480-6&_sort=-date&_total=accurate"
    before = await _pages(world, query, 5)
    await world.execute("delete from code_index where person < 4")
    await world.execute("update resource set coded = false where person < 4")
    assert await _pages(world, query, 5) == before
    assert await fill(world) > 0
    assert await world.fetchval("select count(*) from resource where not coded") == 0
    assert await _pages(world, query, 5) == before
    assert await fill(world) == 0
