"""Whole records are read by indexes, whoever's they are, and pages of them are complete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.store.database import Database
from pater.store.expunge import take_deleted, take_versions
from pater.store.record import (
    Care,
    EverybodyPlace,
    RecordPlace,
    everybody,
    of_encounter,
    record,
)
from pater.store.tokens import reference_hash

PERSONS = 1200
EACH = 10
_FILL = """
insert into resource (person, type, id, rid, version, updated, method, deleted, date, date_end,
                      tokens, dict, body)
select p, case n when 0 then $1::int else $2::int end, p || '-' || n, p * 100 + n, 1,
       now() - make_interval(mins => p * 10 + n), 'C', p % 50 = 7 and n = 3,
       now() - make_interval(days => n * 100), now() - make_interval(days => n * 100),
       case n when 5 then array[$3::bigint + p % 2] else array[p::bigint] end, 0, ''
from generate_series(1, $4::int) p, generate_series(0, $5::int) n
"""


class Watched:
    """A database that says how it would answer instead of answering."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.bodies = db.bodies
        self.plans: list[str] = []

    async def read(self, sql: str, *args: Any) -> list[Any]:
        rows = await self._db.read(f"explain (costs off) {sql}", *args)
        self.plans.append("\n".join(row[0] for row in rows))
        return []


@pytest.fixture(scope="module")
async def full(module_database: Database) -> Database:
    token = reference_hash("Observation", "encounter", "Encounter", "e1")
    await module_database.execute(
        _FILL, TYPE_NUMBER["Patient"], TYPE_NUMBER["Observation"], token, PERSONS, EACH
    )
    await module_database.execute(
        "insert into history select person, type, id, rid, 1, now(), 'C', false, 0, ''"
        " from resource where not deleted"
    )
    await module_database.execute("analyze resource")
    await module_database.execute("analyze history")
    return module_database


async def test_no_record_is_found_by_reading_everything(full: Database) -> None:
    watched = Watched(full)
    db = cast(Database, watched)
    every = [each for each in RESOURCE_TYPES if each != "AuditEvent"]
    care = Care(datetime(2026, 1, 1, tzinfo=UTC), None)
    await record(db, 5, every, None, None, 100)
    await record(db, 5, every, None, RecordPlace(3, 4), 100, care)
    await everybody(db, every, None, None, 100)
    await everybody(db, every, None, EverybodyPlace(900, RecordPlace(3, 4)), 100, care)
    await of_encounter(db, 5, "e1", "http://x/fhir", every, None, None, 100)
    assert len(watched.plans) == 5
    for plan in watched.plans:
        assert "Seq Scan" not in plan, plan
    for plan in watched.plans[2:4]:
        assert "resource_person" in plan, plan
        assert "Incremental Sort" in plan, plan


async def test_pages_of_everybody_are_complete(full: Database) -> None:
    types = ["Patient", "Observation"]
    found: list[str] = []
    place: EverybodyPlace | None = None
    for _ in range(1000):
        page, place = await everybody(full, types, None, place, 997)
        found += [each.id for each in page]
        if place is None:
            break
        assert EverybodyPlace.of(place.text()) == place
    gone = len([person for person in range(1, PERSONS + 1) if person % 50 == 7])
    assert len(found) == len(set(found)) == PERSONS * (EACH + 1) - gone


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.", "1.2.x", "1.2.3.4", "9" * 30 + ".1.2"])
def test_a_place_is_one_that_was_given(text: str) -> None:
    assert EverybodyPlace.of(text) is None


async def test_expunging_takes_bounded_steps(full: Database) -> None:
    async def tell(rows: Any) -> list[Any]:
        return []

    rows = await take_versions(full, "Observation", "", 10, tell)
    assert [row[3] for row in rows] == [1] * 10
    assert len(await take_versions(full, "", "", 7, tell)) == 7
    one = await take_versions(full, "Observation", "9-1", 10, tell)
    assert len(await take_versions(full, "Observation", "9-1", 10, tell)) == 0
    assert [row[2] for row in one] == ["9-1"]
    gone = await take_deleted(full, "Observation", "", 5, tell)
    assert len(gone) == 5
    left = await full.fetchval("select count(*) from resource where deleted")
    assert left == len([person for person in range(1, PERSONS + 1) if person % 50 == 7]) - 5
    assert await take_deleted(full, "Observation", "1-1", 5, tell) == []
