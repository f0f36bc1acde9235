"""The review queue as it is filtered, taken and given back; figures of quality; plans at size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from pater.records.errors import Conflict, Forbidden
from pater.registers import overview, quality
from pater.registers.queue import HELD_FOR, SOURCES, Taken, Wanted, question
from pater.registers.surviving import Source
from pater.store.database import Database
from tests.conftest import Clock
from tests.registers.registering import REGISTRAR, Desk, desk, hospital, registers_of, somebody
from tests.registers.test_reviewing import a_case

START = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
OTHER = replace(REGISTRAR, id="another")
EDGES = (("against", float("-inf")), ("weak", 0.0), ("strong", 5.0), ("certain", 10.0))
TAKEN: Sequence[Taken] = ("", "free", "mine", "others", "available")


@pytest.fixture
async def at(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    async with desk(database, clock) as made:
        yield made


@pytest.fixture(scope="module")
async def large(module_database: Database) -> Database:
    """A register of 40,000 persons with cases, acts and matches of a year."""
    db = module_database
    await db.execute(
        "insert into person (person, rid, temporary, patient, created)"
        " select n, 'R' || n, n % 50 = 0, 'p' || n, $1::timestamptz - n * interval '13 minutes'"
        " from generate_series(1, 40000) n",
        START,
    )
    await db.execute(
        "insert into person_index (person, features) select n, '' from generate_series(1, 40000) n"
    )
    await db.execute(
        "insert into match_case (person, state, reason, source, weight, made, until, taken_by,"
        " taken, decision, decided)"
        " select n, case when n <= 20000 then 'open' else 'decided' end,"
        " (array['possible', 'numbers', 'disagree'])[1 + n % 3],"
        " case when n % 7 = 0 then '' else (10000000 + n % 40)::text end,"
        " (n % 900) / 30.0 - 8, $1::timestamptz - n * interval '11 minutes',"
        " case when n % 90 = 0 then $1::timestamptz + interval '1 day' end,"
        " case n % 200 when 1 then 'registrar' when 2 then 'another' else '' end,"
        " case when n % 200 in (1, 2) then $1::timestamptz - n % 60 * interval '1 minute' end,"
        " case when n <= 20000 then '' when n % 3 = 0 then 'new' else 'match' end,"
        " case when n > 20000 then $1::timestamptz - (n - 20000) * interval '9 minutes' end"
        " from generate_series(1, 40000) n",
        START,
    )
    await db.execute(
        "insert into identified (at, way, weight, key)"
        " select $1::timestamptz - n * interval '4 minutes',"
        " case when n % 3 = 0 then 'number' else 'alike' end, 12, 's|m|' || n"
        " from generate_series(1, 100000) n",
        START,
    )
    await db.execute(
        "insert into source_record (source, system, value, person, name, reference, received, body)"
        " select (10000000 + n % 40)::text, 'm', n::text, n, 'Nemocnice', false, $1, ''"
        " from generate_series(1, 40000) n",
        START,
    )
    await db.execute(
        "insert into merge (id, kind, survivor, merged, person, former, reason, by, by_name, at,"
        " heads, settled) select gen_random_uuid(), case when n % 2 = 0 then 'merge' else 'split'"
        " end, 'p' || n, 'p' || n, n, n, 'r', 'b', 'b', $1::timestamptz - n * interval '1 hour',"
        " '{}', true from generate_series(1, 5000) n",
        START,
    )
    await db.execute(
        "insert into merge_row (merge, place, key) select m.id, p.place, 's|m|' || m.person"
        " from merge m cross join (values ('source_record.person'), ('resource'), ('claim'))"
        " as p(place)"
    )
    await db.execute(
        "insert into dispute (id, person, attribute, said, text, by_kind, by, by_name,"
        " organization, created, state)"
        " select gen_random_uuid(), n, 'name', '', '', 'patient', 'b', 'b', '', $1,"
        " case when n % 10 = 0 then 'open' else 'kept' end"
        " from generate_series(1, 20000) n",
        START,
    )
    for table in ("person", "person_index", "match_case", "identified", "source_record", "merge",
                  "merge_row", "dispute"):  # fmt: skip
        await db.execute(f"analyze {table}")
    return db


def _fits(row: Any, wanted: Wanted, me: str) -> bool:
    """The filter in plain words."""
    held = row["taken"] is not None and row["taken"] >= START - HELD_FOR
    by = row["taken_by"] if held else ""
    return all(
        (
            row["until"] is None or row["until"] <= START,
            not wanted.reason or row["reason"] == wanted.reason,
            wanted.least is None or row["weight"] >= wanted.least,
            wanted.below is None or row["weight"] < wanted.below,
            wanted.since is None or row["made"] >= wanted.since,
            wanted.before is None or row["made"] < wanted.before,
            wanted.source is None or row["source"] == wanted.source,
            {
                "": True,
                "free": by == "",
                "mine": by == me,
                "others": by not in ("", me),
                "available": by in ("", me),
            }[wanted.taken],
        )
    )


def _some(random: Random) -> Wanted:
    """A filter as registrars put them together."""
    least = random.choice([None, None, -3.0, 0.0, 5.0, 10.0])
    return Wanted(
        reason=random.choice(["", "", "possible", "numbers", "disagree"]),
        least=least,
        below=None if least is None or random.random() < 0.5 else least + 5,
        since=random.choice([None, START - timedelta(days=7), START - timedelta(days=30)]),
        before=random.choice([None, START - timedelta(days=1)]),
        source=random.choice([None, None, "", "10000003", "99999999"]),
        taken=random.choice(TAKEN),
    )


async def test_pages_of_a_filtered_queue_hold_what_fits_and_all_of_it(large: Database) -> None:
    rows = await large.fetch("select * from match_case where state = 'open'")
    random = Random(7)
    wishes = [Wanted(), *(Wanted(taken=each) for each in TAKEN[1:])]
    for wanted in [*wishes, *(_some(random) for _ in range(60))]:
        fit = [row for row in rows if _fits(row, wanted, "registrar")]
        expected = [row["id"] for row in sorted(fit, key=lambda row: (-row["weight"], row["id"]))]
        found: list[int] = []
        after = None
        for _ in range(4):
            sql, values = question(wanted, "registrar", START, after, 30)
            page = await large.fetch(sql, *values)
            found += [row["id"] for row in page]
            after = (page[-1]["weight"], page[-1]["id"]) if page else after
        assert found == expected[:120], wanted


async def test_nothing_that_registrars_ask_walks_a_table(large: Database) -> None:
    random = Random(11)
    asked = [question(_some(random), "registrar", START, (9.5, 40), 20) for _ in range(20)]
    asked += [question(Wanted(taken=each), "registrar", START, None, 20) for each in TAKEN]
    month = [START - timedelta(days=each) for each in range(31)]
    levels = [0.0, 5.0, 10.0]
    asked += [
        (SOURCES, [100]),
        (overview.STANDING, [[1, 2, 3]]),
        (overview.SIZE, [1, 1, overview.MOST]),
        (overview.OPEN, [START, overview.MOST]),
        (overview.OPEN_DISPUTES, [overview.MOST]),
        (quality.TEMPORARY, [overview.MOST]),
        (quality.DAYS, [month[1:], month[:-1], overview.MOST]),
        (quality.DECISIONS, [month[7], overview.MOST, levels]),
        (quality.WAITED, [month[7], overview.MOST]),
        (quality.ACTS, [month[7]]),
        (quality.TAKEN_BACK, [month[7], overview.MOST]),
    ]
    for sql, values in asked:
        rows = await large.fetch("explain " + sql, *values)
        plan = "\n".join(row[0] for row in rows)
        # accounts are a few rows of another room, and have none here
        walked = [
            line for line in plan.splitlines() if "Seq Scan" in line and "account" not in line
        ]
        assert not walked, f"{sql}\n{plan}"


async def test_the_sources_of_what_waits_are_named(large: Database) -> None:
    found = {row["source"]: row["name"] for row in await large.fetch(SOURCES, 100)}
    assert len(found) == 41
    assert found[""] == "" and found["10000003"] == "Nemocnice"


async def test_a_case_that_somebody_took_is_theirs_until_given_back(at: Desk) -> None:
    one, _, case = await a_case(at)
    reviewing = at.reviewing
    version = await reviewing.take(OTHER, case, 1)
    for decide in (
        reviewing.match(REGISTRAR, case, version, one.person),
        reviewing.new(REGISTRAR, case, version),
        reviewing.postpone(REGISTRAR, case, version, at.api.clock.now + timedelta(days=1)),
        reviewing.take(REGISTRAR, case, version),
        reviewing.give_back(REGISTRAR, case, version),
    ):
        with pytest.raises(Conflict):
            await decide
    [shown] = (await reviewing.queue(REGISTRAR)).cases
    assert (shown.state, reviewing.holder(shown)) == ("open", "another")
    assert await reviewing.following(REGISTRAR, Wanted()) == 0
    assert await reviewing.following(OTHER, Wanted()) == case
    assert (await reviewing.queue(REGISTRAR, wanted=Wanted(taken="mine"))).cases == ()
    version = await reviewing.give_back(OTHER, case, version)
    assert await reviewing.following(REGISTRAR, Wanted()) == case
    assert await reviewing.following(REGISTRAR, Wanted(), case) == 0
    decided = await reviewing.match(REGISTRAR, case, version, one.person)
    assert reviewing.holder(decided) == ""
    with pytest.raises(Conflict):
        await reviewing.take(OTHER, case, decided.version)
    with pytest.raises(Forbidden):
        await reviewing.take(hospital(1), case, decided.version)


async def test_what_was_taken_and_forgotten_is_free_again(at: Desk) -> None:
    _, _, case = await a_case(at)
    version = await at.reviewing.take(OTHER, case, 1)
    at.api.clock.move(minutes=31)
    assert await at.reviewing.following(REGISTRAR, Wanted()) == case
    [shown] = (await at.reviewing.queue(REGISTRAR)).cases
    assert at.reviewing.holder(shown) == ""
    decided = await at.reviewing.new(REGISTRAR, case, version)
    assert decided.decided_by == "registrar"


async def test_one_of_many_who_take_at_once_has_it(at: Desk) -> None:
    _, _, case = await a_case(at)

    async def take(name: str) -> str:
        try:
            await at.reviewing.take(replace(REGISTRAR, id=name), case, 1)
        except Conflict:
            return ""
        return name

    took = [name for name in await asyncio.gather(*(take(f"r{n}") for n in range(5))) if name]
    [shown] = (await at.reviewing.queue(REGISTRAR)).cases
    assert took == [at.reviewing.holder(shown)]


async def test_matches_are_counted_and_those_that_were_taken_back(at: Desk) -> None:
    db, clock = at.api.db, at.api.clock
    one = await at.tell(somebody(), "1")
    again = await at.tell(somebody(), "2", hospital(2))
    assert (again.person, again.outcome) == (one.person, "matched")
    await at.tell(somebody(), "2", hospital(2))  # what is told anew is nobody new
    counted = await quality.quality(db, clock.now, 7, EDGES)
    [day] = counted.days
    assert (day.lasting + day.temporary, day.alike, day.number, day.cases) == (1, 1, 0, 0)
    assert (counted.alike, counted.precision) == (1, 100.0)
    merging = registers_of(at.api).merging
    wrong = Source(hospital(2).organization, "https://hospital.example/mrn", "2")
    act = await merging.split(
        REGISTRAR, one.patient, "two", sources=[(wrong.name, wrong.system, wrong.value)]
    )
    counted = await quality.quality(db, clock.now, 7, EDGES)
    assert (counted.taken_back, counted.precision) == ({"alike": 1}, 0.0)
    await merging.undo(REGISTRAR, act.id)
    assert (await quality.quality(db, clock.now, 7, EDGES)).precision == 100.0


async def test_decisions_are_told_by_how_alike_the_two_were(at: Desk) -> None:
    one, _, case = await a_case(at)
    [shown] = (await at.reviewing.queue(REGISTRAR)).cases
    at.api.clock.move(hours=5)
    await at.reviewing.match(REGISTRAR, case, 1, one.person)
    found = await quality.quality(at.api.db, at.api.clock.now, 7, EDGES)
    name = [name for name, least in EDGES if shown.weight >= least][-1]
    assert [(b.name, b.match, b.new) for b in found.bands if b.match + b.new] == [(name, 1, 0)]
    assert found.half == found.most == timedelta(hours=5)
    assert found.decisions == {"match": 1}
    nothing = await quality.quality(at.api.db, at.api.clock.now + timedelta(days=60), 30, EDGES)
    assert (nothing.half, nothing.precision, nothing.days) == (None, None, ())
