"""What is remembered of how a caller stands to a person is confirmed by each search itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from pater.access.caller import Caller
from pater.access.policy import shipped
from pater.access.standing import DatabaseStanding
from pater.fhir.labels import label
from pater.fhir.search.query import parse_search
from pater.records.changes import Change
from pater.records.errors import RecordsError
from pater.records.gate import Gate
from pater.store.database import Database
from tests.access.test_standing import OURS, consent, encounter
from tests.conftest import Clock
from tests.leaks.twins import counted
from tests.rest.world import HOSPITAL, LOADER, World, observation, world

CATEGORIES = ("other", "vaccination", "imaging-report")
PLAIN = [("patient", "p1")]
CODED = [("patient", "p1"), ("code", "8867-4")]
CHAIN = [("patient.identifier", "urn:x|1"), ("code", "8867-4")]


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    """A house where policy asks for a relation, with a person's record."""
    clock.now = datetime(2026, 5, 15, 9, tzinfo=UTC)
    async with world(database, clock, policy=shipped("cz")) as api:
        person = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-01",
                  "identifier": [{"system": "urn:x", "value": "1"}],
                  "name": [{"family": "Nováková"}]}  # fmt: skip
        await api.gate.commit(LOADER, [Change("update", "Patient", "p1", person)])
        made = [
            Change("update", "Observation", f"o{number}", {**observation("p1"), "id": f"o{number}"},
                   label=label(category, provider="00000019"))
            for number, category in enumerate(CATEGORIES)
        ]  # fmt: skip
        stay = {**encounter("p1", OURS), "id": "stay"}
        await api.gate.commit(LOADER, [*made, Change("update", "Encounter", "stay", stay)])
        yield api


def process(api: World) -> Gate:
    """A gate as another process over the same database has it: it remembers nothing."""
    standing = DatabaseStanding(api.db, api.clock)
    return Gate(
        api.db, api.committer, api.clock, b"k" * 32, lambda: str(uuid4()),
        policy=shipped("cz"), standing=standing,
    )  # fmt: skip


@dataclass
class Asked:
    """What one gate answers to all the questions that may be answered by what is remembered."""

    gate: Gate
    caller: Caller = HOSPITAL

    async def answers(self) -> list[Any]:
        found: list[Any] = []
        for query in (PLAIN, CODED, CHAIN):
            page = await self.gate.search(self.caller, parse_search("Observation", query))
            found.append(sorted(each.id for each in page.matches))
        for number in range(len(CATEGORIES)):
            try:
                stored = await self.gate.read(self.caller, "Observation", f"o{number}")
                found.append(stored.version)
            except RecordsError as error:
                found.append(type(error).__name__)
        return found


def held(category: str, clock: Clock, **elements: Any) -> dict[str, Any]:
    coding = {"system": "urn:pater:record-category", "code": category}
    said = {"type": "deny", "class": [coding], **elements}
    return consent("p1", said, dateTime=clock.now.isoformat())


async def test_what_another_process_writes_counts_from_the_next_question_on(api: World) -> None:
    asked = Asked(api.gate)
    everything = [["o0", "o1", "o2"]] * 3 + [1, 1, 1]
    for _ in range(3):
        assert await asked.answers() == everything
    other = process(api)
    for type_, keepers in api.gate._ports.keepers.items():
        other._ports.keepers[type_] = keepers
    will = {**held("vaccination", api.clock), "id": "will"}
    await other.commit(LOADER, [Change("update", "Consent", "will", will)])
    assert await asked.answers() == [["o0", "o2"]] * 3 + [1, "NotFound", 1]
    await other.commit(
        LOADER, [Change("update", "Consent", "will", {**will, "status": "inactive"})]
    )
    assert await asked.answers() == everything
    await other.commit(LOADER, [Change("delete", "Encounter", "stay", None)])
    assert await asked.answers() == [[]] * 3 + ["NotFound"] * 3


async def test_a_period_that_begins_or_ends_counts_at_once(api: World) -> None:
    asked = Asked(api.gate)
    will = held("other", api.clock, period={"start": "2026-05-16", "end": "2026-05-17"})
    await api.gate.commit(LOADER, [Change("create", "Consent", None, will)])
    for day, seen in ((15, 3), (16, 2), (17, 2), (18, 3)):
        api.clock.now = datetime(2026, 5, day, 12, tzinfo=UTC)
        for _ in range(2):
            assert [len(each) for each in (await asked.answers())[:3]] == [seen] * 3, day


async def test_who_was_asked_for_before_takes_one_statement_less(api: World) -> None:
    request = parse_search("Observation", PLAIN)
    with counted(api.db) as statements:
        took = []
        for _ in range(5):
            statements.clear()
            assert len((await api.gate.search(HOSPITAL, request)).matches) == 3
            took.append(len(statements))
    assert took[-1] == 2, took  # the search, and its journal entry
    assert took[0] > took[-1]


async def test_nothing_found_takes_the_same_whatever_is_held_back(api: World) -> None:
    """A search that finds nothing: because it is held back, or because there is no such thing."""
    will = {**held("other", api.clock)}
    await api.gate.commit(LOADER, [Change("create", "Consent", None, will)])
    only = {**observation("p1"), "id": "x", "code": {"coding": [{"code": "held-back"}]}}
    await api.gate.commit(
        LOADER, [Change("update", "Observation", "x", only, label=label("other"))]
    )
    took = {}
    with counted(api.db) as statements:
        for code in ("held-back", "never-was") * 3:
            request = parse_search("Observation", [*PLAIN, ("code", code)])
            statements.clear()
            assert (await api.gate.search(HOSPITAL, request)).matches == []
            took[code] = len(statements)
        for id in ("x", "never-was") * 2:
            statements.clear()
            with pytest.raises(RecordsError):
                await api.gate.read(HOSPITAL, "Observation", id)
            took[f"read {id}"] = len(statements)
    assert took["held-back"] == took["never-was"]
    assert took["read x"] == took["read never-was"]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_a_gate_that_remembers_says_what_one_says_that_does_not(
    api: World, seed: int
) -> None:
    random = Random(seed)
    asked = Asked(api.gate)
    wills: list[str] = []
    for _ in range(14):
        match random.choice(("will", "withdraw", "leave", "come", "time", "emergency", "ask")):
            case "will":
                wills.append(str(uuid4()))
                said = held(random.choice(CATEGORIES), api.clock)
                if random.random() < 0.5:
                    end = (api.clock.now + timedelta(days=1)).date().isoformat()
                    said["provision"]["period"] = {"end": end}
                said["id"] = wills[-1]
                await api.gate.commit(LOADER, [Change("update", "Consent", wills[-1], said)])
            case "withdraw" if wills:
                await api.gate.commit(LOADER, [Change("delete", "Consent", wills.pop(), None)])
            case "leave":
                over = encounter("p1", OURS, status="entered-in-error")
                await api.gate.commit(
                    LOADER, [Change("update", "Encounter", "stay", {**over, "id": "stay"})]
                )
            case "come":
                stay = {**encounter("p1", OURS), "id": "stay"}
                await api.gate.commit(LOADER, [Change("update", "Encounter", "stay", stay)])
            case "time":
                api.clock.now += timedelta(hours=random.choice((1, 13, 30)))
            case "emergency":
                person = await api.person_of("p1")
                await api.db.execute(
                    "insert into emergency_access (id, person, agent_kind, agent, agent_name,"
                    " organization, reason, since, until) values ($1, $2, $3, $4, '', '', 'x',"
                    " $5, $6)",
                    str(uuid4()), person, HOSPITAL.kind, HOSPITAL.id, api.clock.now,
                    api.clock.now + timedelta(hours=2),
                )  # fmt: skip
        expected = await Asked(process(api)).answers()
        for _ in range(2):
            assert await asked.answers() == expected
