"""The suite's questions are right about the population, and a small run gives whole rows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bench.api import EVERYTHING, PAGES, TRANSACTION, api
from bench.measure import BenchError
from bench.patients import KINDS, PER_PATIENT, person, transaction
from bench.questions import SEARCHES, Case, Truth, cases
from bench.section import Api
from bench.suite import Suite, suite

from pater.fhir.issues import has_errors
from pater.fhir.validation.base import validate_base
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import world

PEOPLE = [person(number) for number in range(8)]


def test_a_patient_is_the_same_every_time_and_good_fhir() -> None:
    body = transaction(person(3))
    assert body == transaction(person(3)) != transaction(person(4))
    bundle = orjson.loads(body)
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert {kind: kinds.count(kind) for kind in kinds} == KINDS
    assert len(kinds) == PER_PATIENT
    assert not has_errors(validate_base(bundle))


async def test_every_search_finds_what_the_facts_say(database: Database, clock: Clock) -> None:
    async with world(database, clock) as served:

        async def asked(query: str) -> dict[str, Any]:
            answer = await served.call("GET", f"/{query}")
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        ids = []
        for one in PEOPLE:
            answer = await served.call("POST", "/", transaction(one))
            location = answer.json()["entry"][0]["response"]["location"]
            ids.append(location.split("Patient/")[1].split("/")[0])
        truth = Truth(PEOPLE, ids)
        for name in SEARCHES:
            found = {case: await asked(case.query) for case in cases(name, truth, 5)}
            assert [case.wrong(bundle) for case, bundle in found.items()] == [""] * len(found), name
            assert any(bundle.get("entry") for bundle in found.values()), name


def test_a_wrong_answer_is_seen() -> None:
    def entry(mode: str, when: str) -> dict[str, Any]:
        return {"search": {"mode": mode}, "resource": {"effectiveDateTime": when}}

    two = {"total": 7, "entry": [entry("match", "2020"), entry("match", "2019")]}
    assert Case("x", 2).wrong(two) == ""
    assert Case("x", 2, total=7, dates=("2020", "2019")).wrong(two) == ""
    assert Case("x", 3).wrong(two)
    assert Case("x", 2, included=1).wrong(two)
    assert Case("x", 2, total=8).wrong(two)
    assert Case("x", 2, dates=("2019", "2020")).wrong(two)


def test_a_small_run_measures_each_workload_beside_its_floor() -> None:
    tiny = Api(patients=6, seconds=0.2, floor_seconds=0.1, clients=(2,), cases=4)
    asked = {TRANSACTION, EVERYTHING, PAGES, "search._include", "crud.update.2", "crud.mix.2"}
    rows = api(tiny, lambda name: name in asked)
    assert set(rows) == asked
    for row in rows.values():
        assert row["errors"] == {}
        assert row["rate"] > 0 and row["floor"]["rate"] > 0 and row["ratio"] > 0
        assert row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(BenchError, match="nothing is called"):
        suite(Suite(only="no such workload"))
