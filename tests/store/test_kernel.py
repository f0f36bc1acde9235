"""Migrations, feed, journal, bodies and tokens, as their users rely on them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.search.values import ReferenceValue, TokenValue
from pater.store import tokens
from pater.store.database import Database
from pater.store.dictionaries import train
from pater.store.feed import FeedEvent, advance, read_feed, run_listener
from pater.store.journal import read_entry, read_journal
from pater.store.migrate import MigrationError, Migrations, ensure_partitions, migrate
from pater.store.read import _READ as READ
from pater.store.read import _READ_MANY as READ_MANY
from pater.store.read import read, read_many
from pater.store.write import Committer, Put, WriteSet
from pater.store.write_batch import _LEAVE as LEAVE
from pater.store.write_batch import _LOCK_ROWS as LOCK_ROWS
from pater.store.write_batch import _SUPERSEDE as SUPERSEDE
from pater.store.write_batch import _UPDATE as UPDATE

from ..conftest import Clock
from .makers import entry, patient, put

# Migrations


async def test_migrations_run_once_and_refuse_changed_history(
    database: Database, tmp_path: Path
) -> None:
    room = Migrations("room", tmp_path)
    (tmp_path / "0001_one.sql").write_text("create table one (n int); insert into one values (1);")
    assert await migrate(database, [room]) == ["room/0001_one"]
    assert await migrate(database, [room]) == []
    (tmp_path / "0002_two.sql").write_text("insert into one values (2)")
    assert await migrate(database, [room]) == ["room/0002_two"]
    assert await database.fetchval("select sum(n) from one") == 3
    (tmp_path / "0001_one.sql").write_text("create table one (n bigint)")
    with pytest.raises(MigrationError, match="room/0001_one was changed"):
        await migrate(database, [room])
    (tmp_path / "0002_two.sql").unlink()
    (tmp_path / "0001_one.sql").write_text("create table one (n int); insert into one values (1);")
    with pytest.raises(MigrationError, match="unknown"):
        await migrate(database, [room])


async def test_a_failing_migration_leaves_nothing(database: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_bad.sql").write_text("create table half (n int); select 1 / 0;")
    with pytest.raises(Exception, match="zero"):
        await migrate(database, [Migrations("room", tmp_path)])
    assert await database.fetchval("select to_regclass('half')") is None


async def test_a_number_stands_for_one_step(database: Database, tmp_path: Path) -> None:
    room = Migrations("room", tmp_path)
    (tmp_path / "0002_late.sql").write_text("select 1")
    assert await migrate(database, [room]) == ["room/0002_late"]
    (tmp_path / "0001_beside.sql").write_text("select 1")
    assert await migrate(database, [room]) == ["room/0001_beside"]
    (tmp_path / "0002_again.sql").write_text("select 1")
    with pytest.raises(MigrationError, match="same number"):
        await migrate(database, [room])


async def test_two_programs_may_migrate_at_once(database: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("create table one (n int)")
    room = Migrations("room", tmp_path)
    steps = await asyncio.gather(*(migrate(database, [room]) for _ in range(3)))
    assert sorted(map(len, steps)) == [0, 0, 1]


async def test_rows_of_the_default_partition_move_to_their_month(
    database: Database, clock: Clock
) -> None:
    month = f"journal_{clock():%Y%m}"
    await database.execute(f"drop table {month}")
    await Committer(database, clock).journal_only([entry(clock())])
    assert await database.fetchval("select count(*) from journal_default") == 1
    await ensure_partitions(database)
    assert await database.fetchval("select count(*) from journal_default") == 0
    assert await database.fetchval(f"select count(*) from {month}") == 1
    assert len(await read_journal(database, 7, None, None, None, 5)) == 1


# Feed


async def test_feed_gives_every_write_set_in_order(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)
    await committer.commit(WriteSet(puts=[put("a"), put("b", person=8)]))
    await committer.journal_only([entry(clock())])
    await committer.commit(WriteSet(puts=[Put("Observation", "a", 7, None, method="DELETE")]))
    events = await read_feed(database, "one", 10)
    seen = [[(c.id, c.version, c.method, c.person) for c in event.changes] for event in events]
    assert seen == [[("a", 1, "PUT", 7), ("b", 1, "PUT", 8)], [("a", 2, "DELETE", 7)]]
    await advance(database, "one", events[0])
    assert await read_feed(database, "one", 10) == events[1:]
    await advance(database, "one", events[1])
    await advance(database, "one", events[0])  # a late word never puts the cursor back
    assert await read_feed(database, "one", 10) == []
    assert len(await read_feed(database, "other", 10)) == 2


async def test_feed_waits_for_an_earlier_transaction(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)
    async with database.transaction() as earlier:
        await earlier.execute("insert into feed (at, changes) values (now(), '[]')")
        await committer.commit(WriteSet(puts=[put("later")]))
        assert await read_feed(database, "one", 10) == []
    assert [len(event.changes) for event in await read_feed(database, "one", 10)] == [0, 1]


async def test_a_failing_listener_is_asked_again_and_is_not_overtaken(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    for name in ("a", "b", "c"):
        await committer.commit(WriteSet(puts=[put(name)]))
    stop = asyncio.Event()
    seen: list[str] = []

    async def handle(event: FeedEvent) -> None:
        seen.append(event.changes[0].id)
        if seen == ["a", "b"]:
            raise RuntimeError("text with a name in it")
        if seen[-1] == "c":
            stop.set()

    await run_listener(database, "one", handle, stop=stop, pause=0.01)
    assert seen == ["a", "b", "b", "c"]
    row = await database.fetchrow("select failures, error from feed_cursor")
    assert tuple(row or ()) == (0, "")


async def test_a_failure_is_kept_without_its_text(database: Database, clock: Clock) -> None:
    await Committer(database, clock).commit(WriteSet(puts=[put("a")]))
    stop = asyncio.Event()

    async def handle(event: FeedEvent) -> None:
        stop.set()
        raise RuntimeError("text with a name in it")

    await run_listener(database, "one", handle, stop=stop, pause=0.01)
    row = await database.fetchrow("select failures, error from feed_cursor")
    assert tuple(row or ()) == (1, "RuntimeError")
    assert len(await read_feed(database, "one", 5)) == 1


# Journal


async def test_journal_pages_and_filters(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)
    start = clock()
    for minute in range(6):
        at = start + timedelta(minutes=minute // 2)  # pairs share their time
        await committer.journal_only(
            [entry(at, person=7 + minute % 2, agent="x" if minute == 5 else "y", query=str(minute))]
        )

    async def queries(*args: object, **more: object) -> list[str]:
        return [row.query for row in await read_journal(database, *args, **more)]  # type: ignore[arg-type]

    assert await queries(None, None, None, None, 10) == list("543210")
    assert await queries(7, None, None, None, 10) == list("420")
    assert await queries(None, "x", None, None, 10) == ["5"]
    assert await queries(
        None, None, start + timedelta(minutes=1), start + timedelta(minutes=2), 10
    ) == list("32")
    first = await read_journal(database, None, None, None, None, 3)
    last = first[-1].at, first[-1].seq
    assert await queries(None, None, None, None, 10, before=last) == list("210")
    assert await read_entry(database, first[0].id) == first[0]


# Bodies


async def test_trained_dictionaries_shrink_bodies_and_keep_old_ones_readable(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    assert await train(database, "Observation", clock()) is None
    texts = [f"Text {n} of a finding that is a little different each time" for n in range(400)]
    await committer.commit(WriteSet(puts=[put(f"o{n}", t) for n, t in enumerate(texts)]))
    plain = await database.fetchval("select avg(length(body)) from resource")
    number = await train(database, "Observation", clock())
    assert number is not None
    await committer.commit(WriteSet(puts=[put(f"n{n}", t) for n, t in enumerate(texts)]))
    trained = await database.fetchval(
        "select avg(length(body)) from resource where dict = $1", number
    )
    assert trained < plain / 2
    # Another process has never seen the dictionary.
    other = await Database.open(database.dsn, min_size=1, max_size=1)
    other_name = await database.fetchval("select current_database()")
    assert await other.fetchval("select current_database()") == other_name
    keys = [("Observation", f"{kind}{n}") for kind in "on" for n in range(400)]
    stored = await read_many(other, keys)
    assert len(stored) == 800
    assert all(s.body.startswith(b'{"resourceType":"Observation"') for s in stored)
    await Committer(other, clock).start()
    await Committer(other, clock).commit(WriteSet(puts=[put("x")]))
    assert await other.fetchval("select dict from resource where id = 'x'") == number
    assert await read(other, "Observation", "x") is not None
    await other.close()


# Tokens

texts = st.text(max_size=8)


@given(st.lists(st.tuples(texts, texts, texts, texts), min_size=2, max_size=6, unique=True))
def test_different_tokens_have_different_hashes(parts: list[tuple[str, str, str, str]]) -> None:
    hashes = {tokens.system_code_hash(*part) for part in parts}
    hashes |= {tokens.reference_hash(*part) for part in parts}
    assert len(hashes) == 2 * len(parts)
    assert all(-(2**63) <= number < 2**63 for number in hashes)


def test_hashes_are_the_same_for_ever() -> None:
    # Stored rows hold these numbers: a change of the hash would lose every record from search.
    assert tokens.code_hash("Observation", "code", "8867-4") == -126529519123123109
    assert tokens.param_number("birthdate") == -1830527965


def test_the_forms_of_a_token() -> None:
    both = tokens.token_hashes("Patient", TokenValue("identifier", "urn:x", "1"))
    assert tokens.code_hash("Patient", "identifier", "1") in both
    assert tokens.system_hash("Patient", "identifier", "urn:x") in both
    assert tokens.no_system_hash("Patient", "identifier", "1") not in both
    bare = tokens.token_hashes("Patient", TokenValue("gender", None, "male"))
    assert tokens.no_system_hash("Patient", "gender", "male") in bare
    assert not set(tokens.token_hashes("Observation", TokenValue("gender", None, "male"))) & set(
        bare
    )
    reference = ReferenceValue("subject", None, None, "urn:uuid:1")
    assert tokens.reference_hashes("Observation", reference) == (
        tokens.reference_url_hash("Observation", "subject", "urn:uuid:1"),
    )


def test_claim_keys_keep_their_parts_apart() -> None:
    assert tokens.claim_key("a", "b", "c") != tokens.claim_key("a", "bc", "")
    assert len(tokens.claim_key("a")) == 16


# Plans


def _deceased(number: int) -> Put:
    resource = patient() | {"deceasedDateTime": "2020-01-01"}
    return Put("Patient", f"p{number}", number, resource)


async def test_writing_and_reading_by_address_never_scan(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)
    # A generic plan made while the tables are empty is kept by a connection as they grow.
    for filled in (False, True):
        if filled:
            for _ in range(2):
                await committer.commit(WriteSet(puts=[put(f"o{n}") for n in range(1500)]))
                await committer.commit(WriteSet(puts=[_deceased(n) for n in range(1500)]))
            await database.execute("analyze")
        for sql in (LOCK_ROWS, SUPERSEDE, LEAVE, UPDATE, READ, READ_MANY):
            async with database.transaction() as connection:
                await connection.execute("set local plan_cache_mode = force_generic_plan")
                await connection.execute(f"prepare q as {sql}")
                marks = max(int(number) for number in re.findall(r"\$(\d+)", sql))
                nulls = ", ".join(["null"] * marks)
                rows = await connection.fetch(f"explain execute q({nulls})")
                await connection.execute("deallocate q")
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan, plan
