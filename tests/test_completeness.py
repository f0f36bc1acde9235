"""The comparison of what left with the journal is made, and it can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pater.store.database import Database
from pater.store.journal import JournalEntry
from tests import completeness
from tests.conftest import Clock
from tests.rest.world import HOSPITAL, World, observation, patient_caller, world


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    async with world(database, clock) as found:
        yield found


async def missing(api: World) -> list[str]:
    """What would be told of this world now; it is forgotten then."""
    try:
        await completeness.hold(api.db.dsn)
    except AssertionError as error:
        return str(error).splitlines()
    return []


async def test_what_is_recorded_is_not_told(api: World) -> None:
    before = completeness.counted
    patient = (await api.patient())["id"]
    for _ in range(3):
        await api.create(observation(patient))
    me = patient_caller(await api.person_of(patient), patient)
    for path in (f"/Patient/{patient}/$everything", f"/Observation?patient={patient}", "/metadata"):
        assert (await api.call("GET", path, caller=me)).status_code == 200
    assert await missing(api) == []
    assert completeness.counted - before == 6  # the creates and the two readings


FORMS = {
    "json": {"accept": "application/fhir+json"},
    "xml": {"accept": "application/fhir+xml"},
    "packed": {"accept": "application/fhir+json", "accept-encoding": "gzip"},
}


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_not_recorded_is_told(
    api: World, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = (await api.patient())["id"]
    made = [(await api.create(observation(patient)))["id"] for _ in range(5)]
    assert await missing(api) == []

    async def nothing(entries: list[JournalEntry]) -> None:
        """A journal that takes entries and keeps none."""

    monkeypatch.setattr(api.committer, "journal_only", nothing)
    path = f"/Observation?patient={patient}"
    answer = await api.call("GET", path, caller=HOSPITAL, **FORMS[form])
    assert answer.status_code == 200
    [told] = await missing(api)
    assert told.startswith("GET /fhir/Observation showed ")
    assert any(id in told for id in made)
    # a refusal shows nothing
    assert (await api.call("GET", "/Observation", caller=HOSPITAL)).status_code == 403
    assert await missing(api) == []


async def test_an_entry_of_somebody_else_is_none(api: World, monkeypatch: Any) -> None:
    patient, other = [(await api.patient())["id"] for _ in range(2)]
    made = (await api.create(observation(patient)))["id"]
    wrong = await api.person_of(other)
    write = api.committer.journal_only

    async def astray(entries: list[JournalEntry]) -> None:
        for entry in entries:
            entry.person = wrong
        await write(entries)

    monkeypatch.setattr(api.committer, "journal_only", astray)
    answer = await api.call("GET", f"/Observation/{made}", caller=HOSPITAL)
    assert answer.status_code == 200
    [told] = await missing(api)
    assert f"Observation/{made}" in told
