"""Histories go by an index, and a claim changes hands once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pater.fhir.definitions import TYPE_NUMBER
from pater.store import history
from pater.store.database import Database
from pater.store.write import Claim, ClaimTaken, Committer, WriteSet, claim_key
from tests.conftest import Clock

ROWS = 20_000


@pytest.fixture(scope="module")
async def many(module_database: Database) -> AsyncIterator[Database]:
    """Observations of 1000 persons, every second one with a superseded version."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    number = TYPE_NUMBER["Observation"]
    columns = ["person", "type", "id", "rid", "version", "updated", "method", "deleted",
               "dict", "body"]  # fmt: skip

    def row(n: int, version: int) -> tuple[Any, ...]:
        at = start + timedelta(seconds=n + version * ROWS)
        return (n % 1000 + 1, number, f"o{n}", n, version, at, "U", False, 0, b"")

    async with module_database.connection() as connection:
        await connection.copy_records_to_table(
            "resource",
            records=[(*row(n, 1 + n % 2), []) for n in range(ROWS)],
            columns=[*columns, "tokens"],
        )
        await connection.copy_records_to_table(
            "history", records=[row(n, 1) for n in range(1, ROWS, 2)], columns=columns
        )
        await connection.execute("analyze resource")
        await connection.execute("analyze history")
    yield module_database


@pytest.mark.parametrize("at", [None, datetime(2026, 1, 1, 8, tzinfo=UTC)])
@pytest.mark.parametrize("who", ["everybody", "person", "one"])
async def test_no_history_reads_a_whole_table(many: Database, who: str, at: Any) -> None:
    number = TYPE_NUMBER["Observation"]
    sql, args = {
        "everybody": (history._EVERYBODY, [list(range(140))]),
        "person": (history._PERSONS, [list(range(140)), [7]]),
        "one": (history._ONE, [number, "o7"]),
    }[who]
    last = history.Place(history._LAST, history._MOST)
    plan = "\n".join(
        row[0]
        for row in await many.fetch(
            f"explain (analyze, timing off, costs off) {sql}", history._FIRST, history._LAST, at,
            last.updated, last.rid, 51, *args,
        )
    )  # fmt: skip
    assert "Seq Scan on resource" not in plan, plan
    read = [line for line in plan.splitlines() if "Rows Removed by Filter" in line]
    assert all(int(line.rsplit(":", 1)[1]) < ROWS // 4 for line in read), plan


@pytest.mark.parametrize("what", ["list", "one", "since", "person", "revived"])
async def test_numbers_and_lists_read_no_whole_table_either(many: Database, what: str) -> None:
    number = TYPE_NUMBER["Observation"]
    late = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=3 * ROWS - 50)
    whole = [history._FIRST, history._LAST, None]
    ids, numbers = ["o7", "o8", "o9"], [number] * 3
    sql, args = {
        "list": (history._LISTED, [*whole, history._LAST, history._MOST, 21, numbers, ids,
                                   [None, 1, 2], None]),
        "one": (history._COUNT_ONE, [*whole, number, "o7"]),
        "since": (history._COUNT_EVERYBODY, [late, history._LAST, None, [number], 100]),
        "person": (history._COUNT_PERSONS, [*whole, [number], 100, [7]]),
        "revived": (history._REVIVED, [numbers, ids, [2, 2, 2]]),
    }[what]  # fmt: skip
    plan = "\n".join(
        row[0] for row in await many.fetch(f"explain (analyze, timing off, costs off) {sql}", *args)
    )
    for table in ("resource", "history_default"):
        assert f"Seq Scan on {table}" not in plan, plan
    read = [line for line in plan.splitlines() if "Rows Removed by Filter" in line]
    assert all(int(line.rsplit(":", 1)[1]) < ROWS // 4 for line in read), plan


async def test_numbers_are_those_of_the_walk(many: Database) -> None:
    for period in (history.Period(), history.Period(
        since=datetime(2026, 1, 1, 3, tzinfo=UTC), until=datetime(2026, 1, 1, 9, tzinfo=UTC),
        current_after=datetime(2026, 1, 1, 4, tzinfo=UTC),
    )):  # fmt: skip
        for persons in (frozenset({7, 8}), frozenset({9})):
            page, _ = await history.walk(many, ["Observation"], persons, period, None, 1000)
            found = await history.counted(many, ["Observation"], persons, period, 1000)
            assert found == len(page)
        one, _ = await history.of_one(many, "Observation", "o7", period, None, 50)
        counted = await history.counted_of_one(many, "Observation", "o7", period)
        assert sum(counted.values()) == len(one)


async def test_every_version_comes_once_over_the_pages(many: Database) -> None:
    found: list[tuple[str, int]] = []
    place = None
    while True:
        page, place = await history.walk(
            many, ["Observation"], frozenset({8}), history.Period(), place, 7
        )
        found += [(each.id, each.version) for each in page]
        if place is None:
            break
    expected = {(f"o{n}", v) for n in range(7, ROWS, 1000) for v in range(1, 2 + n % 2)}
    assert len(found) == len(expected) and set(found) == expected


async def test_of_many_who_take_a_claim_over_one_does(database: Database, clock: Clock) -> None:
    key = claim_key("conditional", "x")
    committers = [Committer(database, clock) for _ in range(2)]
    for each in committers:
        await each.start()
    await committers[0].commit(WriteSet(claims=[Claim(key, 1, "Basic/old")]))
    results = await asyncio.gather(
        *(
            committers[n % 2].commit(
                WriteSet(claims=[Claim(key, n, f"Basic/{n}", instead="Basic/old")])
            )
            for n in range(32)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, ClaimTaken) for result in results) == 31
    with pytest.raises(ClaimTaken):
        await committers[0].commit(
            WriteSet(claims=[Claim(key, 99, "Basic/99", instead="Basic/old")])
        )
    for each in committers:
        await each.stop()
