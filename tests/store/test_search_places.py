"""Places near a point, and the newest of each code, among many: the right ones, by an index."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from zstandard import ZstdCompressor

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.fhir.search.index import index_values
from pater.fhir.search.places import metres_between
from pater.store.codes import fill
from pater.store.database import Database
from pater.store.search import Scope
from pater.store.search.newest import newest_of_each
from pater.store.search.rows import Reader
from pater.store.tokens import resource_tokens
from tests.store.search_world import LOINC, ask, request

PLACES = 12_000
CODES, EACH = 40, 50
START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "person type id rid version updated method deleted date date_end tokens dict body coded"


def at(number: int) -> tuple[float, float]:
    """Where a place is: somewhere in a country of the size of Czechia."""
    chance = random.Random(number)
    return round(chance.uniform(48.6, 51.0), 5), round(chance.uniform(12.1, 18.8), 5)


@pytest.fixture(scope="module")
async def crowded(module_database: Database) -> Database:
    pack = ZstdCompressor(level=1).compress

    def row(person: int, rid: int, resource: dict[str, Any], date: Any = None) -> tuple[Any, ...]:
        type_ = resource["resourceType"]
        tokens = resource_tokens(type_, index_values(type_, resource))
        body = pack(dumps(resource))
        number = TYPE_NUMBER[type_]
        return (person, number, resource["id"], rid, 1, START, "C", False, date, date, tokens, 0,
                body, type_ == "Location")  # fmt: skip

    rows = []
    for number in range(PLACES):
        north, east = at(number)
        position = {"latitude": north, "longitude": east}
        location = {"resourceType": "Location", "id": f"l{number}", "position": position}
        rows.append(row(0, number + 1, location))
    for number in range(CODES * EACH):
        rid, date = PLACES + number + 1, START + timedelta(hours=number * 7 % 1999)
        code = {"coding": [{"system": LOINC, "code": f"c{number % CODES}"}]}
        body = {"resourceType": "Observation", "id": f"o{number}", "code": code}
        rows.append(row(number % 2 + 1, rid, body, date))
    async with module_database.connection() as connection:
        await connection.copy_records_to_table("resource", records=rows, columns=COLUMNS.split())
    await fill(module_database)
    await module_database.execute("vacuum analyze")
    return module_database


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plan of every statement that a search sends, in order."""
    seen: list[str] = []
    fetch = Reader.fetch

    async def explained(self: Reader, sql: str, *args: Any, **how: Any) -> Any:
        lines = await fetch(self, "explain " + sql, *args)
        seen.append("\n".join(line[0] for line in lines))
        return await fetch(self, sql, *args, **how)

    monkeypatch.setattr(Reader, "fetch", explained)
    return seen


@pytest.mark.parametrize("metres", [300, 2_000, 10_000])
async def test_places_near_a_point_come_by_their_cells(
    crowded: Database, plans: list[str], metres: int
) -> None:
    for point in ((50.08, 14.42), (49.2, 16.6)):
        near = {f"l{n}" for n in range(PLACES) if metres_between(at(n), point) <= metres}
        page = await ask(crowded, f"Location?near={point[0]}|{point[1]}|{metres}|m")
        assert {each.id for each in page.matches} == near
    for plan in plans:
        assert re.search(r"\bresource_tokens\b", plan), plan
        assert "Seq Scan" not in plan, plan


async def test_the_newest_of_each_code_come_in_one_statement(
    crowded: Database, plans: list[str]
) -> None:
    scope = Scope(frozenset({1}))
    found = await newest_of_each(crowded, request("Observation"), scope, 3, most=1000)
    assert found is not None
    newest: dict[int, list[tuple[int, int]]] = {}
    for number in range(0, CODES * EACH, 2):
        newest.setdefault(number % CODES, []).append((-(number * 7 % 1999), number))
    wanted = {f"o{n}" for each in newest.values() for _, n in sorted(each)[:3]}
    assert {each.id for each in found} == wanted
    (plan,) = plans
    assert re.search(r"\bresource_person\b", plan), plan
    assert re.search(r"\bcode_index", plan), plan
    assert await newest_of_each(crowded, request("Observation"), scope, 3, most=10) is None
    exact = request("Observation?code:text=x")
    assert await newest_of_each(crowded, exact, scope, 3, most=1000) is None
