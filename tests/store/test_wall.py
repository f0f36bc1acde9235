"""The second wall: with our own filter taken away, the database still shows nothing of others."""

from __future__ import annotations

import asyncio
import logging

import asyncpg
import pytest

from pater.fhir.definitions import RESOURCE_TYPES
from pater.store import history, record, walk
from pater.store.database import Database
from pater.store.history import Period
from pater.store.migrate import migrate
from pater.store.search import Scope, persons
from pater.store.search.newest import newest_of_each
from pater.store.wall import ROLE, standing, wall
from pater.store.write import Committer, Put, WriteSet
from tests.conftest import Clock
from tests.store.search_world import EVERYBODY, ask, fill, ids, request, resources

TABLES = (
    "resource", "history", "string_index", "date_index", "number_index", "code_index",
    "text_index",
)  # fmt: skip


@pytest.fixture(scope="module")
async def world(module_database: Database) -> Database:
    await fill(module_database, resources())
    # a second version of everything, so that history and every index has rows of each
    await fill(module_database, [pair for pair in resources() if pair[0] in (1, 2)])
    await ask(module_database, "Patient?_content=novak")
    return module_database


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_total=accurate",
        "Patient?_total=estimate",
        "Patient?identifier=https://ncez.mzcr.cz/fhir/sid/rid|1000000001&_total=accurate",
        "Patient?family=nov&_sort=family&_total=accurate",
        "Patient?_has:Observation:patient:code=http://loinc.org|8480-6",
        "Observation?code=http://loinc.org|8480-6&_sort=-date&_total=accurate",
        "Observation?patient.family=nov&_include=Observation:patient",
        "Observation?patient=p1&_total=accurate",
        "Observation?value-quantity=gt100&_sort=value-quantity",
        "Observation?_filter=status eq final or date ge 2026-01-01",
        "Encounter?_revinclude=Observation:encounter&_total=accurate",
        "Practitioner?_revinclude=*",
        "Condition?onset-date=gt2010&_count=3",
        "Patient?_content=novak&_total=accurate",
    ],
)
async def test_without_our_filter_there_is_still_nothing_of_others(
    world: Database, query: str
) -> None:
    free = await ask(world, query)
    assert {each.person for each in [*free.matches, *free.included]} - {0, 2}, "nothing to hide"
    with wall({2}):
        page = await ask(world, query, EVERYBODY)
    assert {each.person for each in [*page.matches, *page.included]} <= {0, 2}
    own = await ask(world, query, Scope(frozenset({0, 2})))
    assert {each.id for each in page.matches} == {each.id for each in own.matches}
    assert page.total == own.total


async def test_walks_and_histories_too(world: Database) -> None:
    everything = list(range(len(RESOURCE_TYPES)))
    moment = await world.fetchval("select max(updated) from resource")
    with wall({2}):
        versions, _ = await history.walk(world, RESOURCE_TYPES, None, Period(), None, 1000)
        assert {each.person for each in versions} == {0, 2}
        counted = await history.counted(world, RESOURCE_TYPES, None, Period(), 10_000)
        assert counted == len(versions)
        page, _ = await record.record(world, 1, RESOURCE_TYPES, None, None, 1000)
        assert page == []
        all_of_them, _ = await record.everybody(world, RESOURCE_TYPES, None, None, 1000)
        assert {each.person for each in all_of_them} == {2}
        steps = await walk.by_rows(world, walk.Walk(moment, None, everything), 0, 10**9)
        assert {row["person"] for row in steps} == {0, 2}
        assert await persons(world, request("Patient?gender=male,female"), most=50) == {2}
        newest = await newest_of_each(
            world, request("Observation?status=final,amended"), EVERYBODY, 5, most=500
        )
        assert newest is not None
        assert {each.person for each in newest} == {0, 2}


@pytest.mark.parametrize("table", TABLES)
async def test_raw_sql_counts_and_aggregates(world: Database, table: str) -> None:
    assert await world.fetchval(f"select count(*) from {table} where person = 1")
    with wall({2}):
        count = f"select count(*) as n, max(person) as most, min(person) as least from {table}"
        [row] = await world.ask(count)
        assert row["n"] > 0
        assert {row["most"], row["least"]} <= {0, 2}
        [row] = await world.ask(f"select count(*) as n from {table} where person = 1")
        assert row["n"] == 0
        async with world.searching() as connection:
            assert await connection.fetchval(f"select array_agg(distinct person) from {table}") in (
                [0, 2], [2]
            )  # fmt: skip


async def test_what_an_index_alone_could_tell_is_not_told(world: Database) -> None:
    with wall({2}):
        async with world.searching() as connection:
            await connection.execute("begin")
            await connection.execute("set local enable_seqscan = off")
            await connection.execute("set local enable_bitmapscan = off")
            sql = "select count(*) from code_index where token = any($1)"
            tokens = await world.fetch("select distinct token from code_index")
            numbers = [row["token"] for row in tokens]
            own = await world.fetchval(
                "select count(*) from code_index where token = any($1) and person in (0, 2)",
                numbers,
            )
            assert await connection.fetchval(sql, numbers) == own
            most = await connection.fetchval("select max(rid) from resource where type = $1", 1)
            assert most is None or most > 0
            await connection.execute("rollback")


async def test_nothing_can_be_written_and_no_partition_be_read_beneath_it(world: Database) -> None:
    with wall({2}):
        async with world.searching() as connection:
            await connection.execute("set default_transaction_read_only = off")
            for sql in (
                "delete from resource where person = 2",
                "update resource set person = 2",
                "select * from history_default",
                "select * from journal",
                "select * from claim",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(sql)
            await connection.execute("reset default_transaction_read_only")


async def test_who_was_not_told_whose_rows_sees_none(world: Database) -> None:
    connection = await asyncpg.connect(world.dsn, server_settings={"role": ROLE})
    try:
        assert await connection.fetchval("select count(*) from resource") == 0
        await connection.execute("set pater.persons = ''")
        assert await connection.fetchval("select count(*) from resource") == 0
    finally:
        await connection.close()


async def test_users_of_one_connection_never_see_the_rows_of_the_one_before(
    world: Database,
) -> None:
    db = await Database.open(world.dsn, min_size=1, max_size=2)

    async def look(person: int) -> None:
        with wall({person}):
            for _ in range(3):
                rows = await db.ask("select distinct person from resource where person > 0")
                assert {row["person"] for row in rows} == {person}

    async def give_up(person: int) -> None:
        with wall({person}):
            await db.ask("select pg_sleep(600), count(*) from resource")

    at_work = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and state = 'active' and query like 'select pg_sleep(600)%'"
    )
    tasks = [asyncio.create_task(give_up(person)) for person in (3, 4)]
    while await world.fetchval(at_work) < 2 and not any(task.done() for task in tasks):
        pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*(look(1 + number % 6) for number in range(40)))
    await asyncio.gather(*tasks, return_exceptions=True)
    await db.close()


async def test_walls_stand_within_walls_and_end_with_their_block(world: Database) -> None:
    assert standing() is None
    with wall({1, 2}), wall({2, 3}):
        assert standing() == "0,2"
        assert await ids(world, "Patient") == ["p2"]
        with wall(None):
            assert standing() == "0,2"
    assert standing() is None
    assert len(await ids(world, "Patient")) == 6


async def test_a_search_that_names_its_persons_stands_beneath_their_wall(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    real = Database.ask

    async def noted(self: Database, sql: str, *args: object, kept: bool = False) -> object:
        seen.append(standing())
        return await real(self, sql, *args, kept=kept)

    monkeypatch.setattr(Database, "ask", noted)
    await ask(world, "Observation?patient=p2", Scope(frozenset({0, 2})))
    await ask(world, "Patient", Scope(frozenset({2}), apart=(("Patient", frozenset({1, 2})),)))
    await ask(world, "Patient")
    assert set(seen[:-1]) == {"0,2", "0,1,2"}
    assert seen[-1] is None


async def test_writers_and_their_batches_are_not_beneath_it(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    with wall({1}):
        for person in (1, 2):
            put = Put("Patient", f"p{person}", person, {"resourceType": "Patient"})
            await committer.commit(WriteSet([put]))
        await committer.commit(WriteSet([Put("Patient", "p2", 2, {"resourceType": "Patient"})]))
    await committer.stop()
    assert await database.fetchval("select count(*) from history") == 1


async def test_a_user_who_may_not_build_it_is_told_and_served(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(database, [pair for pair in resources() if pair[1]["id"] in ("p1", "p2")])
    await database.execute(f"revoke select on resource from {ROLE}")
    with caplog.at_level(logging.WARNING), wall({1}):
        assert await ids(database, "Patient") == ["p2", "p1"]
    assert "second wall" in caplog.text
    # the next start mends it
    await migrate(database, [])
    database.has_wall = None
    with wall({1}):
        assert await ids(database, "Patient") == ["p1"]
