"""The journal: entries of one act stored together, read as if each stood alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.store import journal
from pater.store.database import Connection, Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.journal import (
    JournalEntry,
    JournalRow,
    place_id,
    place_of,
    read_entry,
    read_journal,
    together,
    write_entries,
)
from pater.store.migrate import KERNEL, ensure_partitions

from ..conftest import Clock, database_dsn
from .makers import entry


def _plain(row: JournalEntry) -> tuple[Any, ...]:
    return journal._FIELDS(row)


def alike(one: JournalEntry, persons: Sequence[tuple[int, str]]) -> list[JournalEntry]:
    """The same entry for each of several persons."""
    return [replace(one, person=person, patient=patient) for person, patient in persons]


async def _all(database: Database, size: int, **of: Any) -> list[JournalRow]:
    """Every page of a walk."""
    found: list[JournalRow] = []
    before = None
    limits = {"person": None, "agent": None, "since": None, "until": None, **of}
    while True:
        page = await read_journal(database, **limits, count=size, before=before)
        found += page
        if len(page) < size:
            return found
        before = page[-1].at, page[-1].seq


def _written(start: datetime) -> list[JournalEntry]:
    """Searches of two agents, some at the same instant, and single readings between them."""
    entries: list[JournalEntry] = []
    for n in range(6):
        at = start + timedelta(minutes=n // 2)
        one = entry(at, agent="ab"[n % 2], interaction="search", query=f"q{n}")
        entries += alike(one, [(person, f"p{person}") for person in range(n, n + 5)])
        entries.append(entry(at, person=3, agent="a", entity_id=f"o{n}"))
    return entries


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_entries_of_an_act_are_read_one_by_one(
    database: Database, clock: Clock, size: int
) -> None:
    entries = _written(clock())
    await write_entries(database, entries)
    walk = await _all(database, size)
    assert sorted(map(_plain, walk)) == sorted(map(_plain, entries))
    assert [(row.at, row.seq) for row in walk] == sorted(
        ((row.at, row.seq) for row in walk), reverse=True
    )
    assert len({row.id for row in walk}) == len(entries)
    middle = clock() + timedelta(minutes=1)
    for limits, keep in (
        ({"person": 3}, lambda row: row.person == 3),
        ({"agent": "a"}, lambda row: row.agent == "a"),
        ({"agent": "b", "person": 4}, lambda row: (row.agent, row.person) == ("b", 4)),
        ({"since": middle}, lambda row: row.at >= middle),
        ({"agent": "b", "until": middle}, lambda row: row.agent == "b" and row.at < middle),
    ):
        assert await _all(database, size, **limits) == [row for row in walk if keep(row)]
    for row in walk:
        assert await read_entry(database, row.id) == row


async def test_acts_written_at_once_do_not_mix(database: Database, clock: Clock) -> None:
    def act(n: int) -> Sequence[JournalEntry]:
        one = entry(clock(), agent=f"agent {n % 3}", query=f"q{n}")
        return alike(one, [(n, f"p{n}-{place}") for place in range(20)])

    await asyncio.gather(*(write_entries(database, act(n)) for n in range(12)))
    walk = await _all(database, 7)
    assert len(walk) == 240
    assert all(row.patient.startswith(f"p{row.query[1:]}-") for row in walk)
    for n in range(3):
        own = await _all(database, 7, agent=f"agent {n}")
        assert own == [row for row in walk if row.agent == f"agent {n}"]


@pytest.mark.parametrize("acts", [1, 3, journal._MOST_ROWS, journal._MOST_ROWS + 1])
async def test_what_is_written_together_is_read_as_if_written_apart(
    database: Database, clock: Clock, acts: int
) -> None:
    ones = [entry(clock(), person=n, query=f"q{n}\0", agent=f"a{n % 2}") for n in range(acts)]
    persons = [[(n * 10 + k, f"p{k}\0") for k in range(n % 4 + 1)] for n in range(acts)]
    batch: list[JournalEntry] = []
    for one, those in zip(ones, persons, strict=True):
        batch += together(one, those)
        batch.append(one)
    await write_entries(database, batch)
    apart = [
        replace(each, patient=each.patient.replace("\0", ""), query=each.query.replace("\0", ""))
        for one, those in zip(ones, persons, strict=True)
        for each in [*alike(one, those), one]
    ]
    walk = await _all(database, 7)
    assert sorted(map(_plain, walk)) == sorted(map(_plain, apart))
    assert len({row.id for row in walk}) == len(walk)


async def test_very_many_persons_are_several_acts(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_ACT_BITS", 2)
    persons = [(n, f"p{n}") for n in range(11)]
    assert [len(act.others) for act in together(entry(clock()), persons)] == [3, 3, 2]
    assert together(entry(clock()), []) == []


async def test_an_act_may_have_very_many_persons(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_ACT_BITS", 2)
    entries = alike(entry(clock()), [(n, f"p{n}") for n in range(11)])
    firsts, others = journal.entry_columns(entries)[1], journal.entry_columns(entries)[-4:]
    assert firsts == (0, 4, 8)
    assert list(zip(others[0], *others[2:], strict=True)) == [
        (1, 1, 1), (2, 1, 2), (3, 1, 3), (5, 2, 1), (6, 2, 2), (7, 2, 3), (9, 3, 1), (10, 3, 2),
    ]  # fmt: skip


async def test_entries_of_before_keep_their_ids(database: Database, clock: Clock) -> None:
    old = entry(clock(), query="old")
    stored = uuid4()
    names = journal._COLUMNS
    marks = ", ".join(f"${n}" for n in range(3, len(names) + 3))
    await database.execute(
        f"insert into journal (id, seq, {', '.join(names)}) values ($1, $2, {marks})",
        stored,
        9,
        *journal._FIELDS(old),
    )
    await write_entries(database, alike(entry(clock(), query="new"), [(7, "p1"), (8, "p2")]))
    walk = await _all(database, 1)
    assert [row.query for row in walk] == ["new", "new", "old"]
    assert walk[-1].id == stored
    assert await read_entry(database, stored) == walk[-1]
    assert await read_entry(database, place_id(walk[-1].at, walk[-1].seq)) is None
    assert await _all(database, 1, agent=old.agent) == walk
    assert await _all(database, 1, person=7) == walk[1:]
    assert await read_entry(database, uuid4()) is None


async def test_a_journal_with_months_of_entries_is_migrated(postgres: EmbeddedPostgres) -> None:
    """The step meets partitions that are there already, with rows in them."""
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute("create database before_acts")
    db = await Database.open(database_dsn(postgres.dsn, "before_acts"), min_size=1, max_size=2)
    try:
        steps = sorted(KERNEL.glob("*.sql"))
        for step in steps:
            if step.name < "0009":
                await db.execute(step.read_text())
        await ensure_partitions(db)
        now = datetime.now(UTC)
        old = entry(now, query="old")
        names = ", ".join(journal._COLUMNS)
        marks = ", ".join(f"${n}" for n in range(1, len(journal._COLUMNS) + 1))
        sql = f"insert into journal ({names}) values ({marks}) returning id"
        stored = await db.fetchval(sql, *journal._FIELDS(old))
        await db.execute((KERNEL / "0009_journal.sql").read_text())
        await ensure_partitions(db)
        await write_entries(db, alike(entry(now, query="new"), [(7, "p1"), (8, "p2")]))
        walk = await _all(db, 2)
        assert [(row.query, row.person) for row in walk] == [("new", 8), ("new", 7), ("old", 7)]
        assert await read_entry(db, stored) == walk[-1]
        assert [await read_entry(db, row.id) for row in walk] == walk
    finally:
        await db.close()
        await admin.execute("drop database before_acts with (force)")
        await admin.close()


@given(
    ticks=st.integers(0, 253_402_214_400_000_000),  # to the end of the year 9999
    seq=st.integers(0, 2**62 - 1),
)
def test_an_id_says_where_its_entry_stands(ticks: int, seq: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks)
    id = place_id(at, seq)
    assert (id.version, id.variant) == (8, "specified in RFC 4122")
    assert place_of(id) == (at, seq)


@given(st.uuids())
def test_any_other_id_is_no_place_or_an_empty_one(id: Any) -> None:
    place = place_of(id)
    assert place is None or place_id(*place) == id


async def test_plans_of_the_journal(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No walk reads more than a page, however much there is."""
    entries: list[JournalEntry] = []
    for n in range(400):
        one = entry(clock() - timedelta(seconds=n), agent=f"agent {n % 20}", query=f"q{n}")
        entries += alike(one, [(n % 50 + step, f"p{step}") for step in range(25)])
    await write_entries(database, entries)
    await database.execute("analyze journal")
    asked: list[tuple[str, tuple[Any, ...]]] = []
    fetch = Database.fetch

    async def noted(self: Database, sql: str, *args: Any) -> Any:
        asked.append((sql, args))
        return await fetch(self, sql, *args)

    monkeypatch.setattr(Database, "fetch", noted)
    middle = clock() - timedelta(seconds=200)
    for person, agent in ((None, None), (30, None), (None, "agent 5"), (30, "agent 5")):
        for before in (None, (middle, 1 << 40)):
            await read_journal(database, person, agent, None, None, 20, before)
    monkeypatch.undo()
    assert len(asked) == 8
    month = f"Seq Scan on journal_{clock():%Y%m}"  # the other months are empty
    async with database.connection() as connection:
        for sql, args in asked:
            plan = await _plan(connection, sql, args)
            assert month not in plan, plan
            assert "Hash Join" not in plan, plan
            rows = [int(n) for n in re.findall(r"actual rows=(\d+)", plan)]
            assert max(rows) <= (60 if "agent 5" not in args or 30 not in args else 500), plan
        plan = await _plan(connection, f"{journal._SELECT} where id = $1", (uuid4(),))
        assert month not in plan, plan


async def _plan(connection: Connection, sql: str, args: Sequence[Any]) -> str:
    rows = await connection.fetch(f"explain (analyze, timing off) {sql}", *args)
    return "\n".join(row[0] for row in rows)
