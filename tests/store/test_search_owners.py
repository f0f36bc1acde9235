"""Whose a Patient is, is remembered between searches and never believed against the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pater.store.database import Database
from pater.store.search import Scope
from pater.store.write import Committer, Put, WriteSet
from tests.store.search_world import ask, ids

QUERY = "Observation?patient=Patient/p1"


def _patient() -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1"}


def _observation(id_: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"},
        "subject": {"reference": "Patient/p1"},
    }  # fmt: skip


async def _write(db: Database, *puts: Put) -> None:
    committer = Committer(db, lambda: datetime.now(UTC))
    await committer.commit(WriteSet(list(puts)))
    await committer.stop()


async def test_a_record_that_moved_is_found_where_it_is_now(database: Database) -> None:
    await _write(
        database,
        Put("Patient", "p1", 5, _patient()),
        Put("Observation", "o1", 5, _observation("o1")),
    )
    assert await ids(database, QUERY) == ["o1"]
    assert database.owners.get("p1") == 5
    await _write(
        database,
        Put("Patient", "p1", 9, _patient()),
        Put("Observation", "o1", 9, _observation("o1")),
        Put("Observation", "o2", 9, _observation("o2")),
    )
    assert sorted(await ids(database, QUERY)) == ["o1", "o2"]
    assert sorted(await ids(database, QUERY)) == ["o1", "o2"]
    assert (await ask(database, QUERY + "&_total=accurate&_count=0", count=0)).total == 2


async def test_what_stayed_behind_is_not_shown_as_the_records(database: Database) -> None:
    await _write(
        database,
        Put("Patient", "p1", 5, _patient()),
        Put("Observation", "o1", 5, _observation("o1")),
    )
    assert await ids(database, QUERY) == ["o1"]
    await _write(database, Put("Patient", "p1", 9, _patient()))
    assert await ids(database, QUERY) == []


async def test_remembering_opens_nothing(database: Database) -> None:
    await _write(
        database,
        Put("Patient", "p1", 5, _patient()),
        Put("Observation", "o1", 5, _observation("o1")),
    )
    assert await ids(database, QUERY) == ["o1"]
    assert await ids(database, QUERY, Scope(frozenset({6}))) == []
    assert await ids(database, QUERY, Scope(frozenset({5}))) == ["o1"]
