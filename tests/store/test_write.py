"""What a caller of the committer relies on: all or nothing, once, in order, alone at fault."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import orjson
import pytest

from pater.store.database import Database
from pater.store.history import Period, of_one
from pater.store.journal import read_journal
from pater.store.read import persons_of, read, read_many, read_version
from pater.store.write import (
    Claim,
    ClaimTaken,
    Committer,
    Put,
    Statement,
    VersionConflict,
    WriteSet,
    claim_key,
)

from ..conftest import Clock
from .makers import entry, observation, patient, put


@pytest.fixture
def committer(database: Database, clock: Clock) -> Committer:
    return Committer(database, clock)


async def one(committer: Committer, *puts: Put) -> list[int]:
    return [w.version for w in await committer.commit(WriteSet(puts=list(puts)))]


async def test_created_resource_carries_its_address_and_version(
    database: Database, committer: Committer, clock: Clock
) -> None:
    [written] = await committer.commit(WriteSet(puts=[put("o1", "hello")]))
    assert (written.version, written.created) == (1, True)
    stored = await read(database, "Observation", "o1")
    assert stored is not None
    assert stored.body == written.body
    assert (stored.person, stored.deleted, stored.method) == (7, False, "PUT")
    body = orjson.loads(stored.body)
    assert list(body)[:3] == ["resourceType", "id", "meta"]
    assert body["id"] == "o1"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["lastUpdated"] == clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert {k: body[k] for k in observation("hello")} == observation("hello")


async def test_meta_of_the_sender_is_kept_but_cannot_forge_the_version(
    committer: Committer,
) -> None:
    resource = observation() | {
        "id": "other",
        "meta": {"versionId": "99", "profile": ["https://example.org/p"]},
    }
    [written] = await committer.commit(WriteSet(puts=[Put("Observation", "o1", 7, resource)]))
    body = orjson.loads(written.body)
    assert body["id"] == "o1"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["profile"] == ["https://example.org/p"]
    assert resource["id"] == "other"  # the caller's own is left as it was


async def test_raw_bytes_come_back_identical(database: Database, committer: Committer) -> None:
    raw = b'{ "resourceType" : "Observation", "status":"final",\n "valueDecimal": 1.50 }'
    await committer.commit(WriteSet(puts=[put("o1", raw=raw)]))
    stored = await read(database, "Observation", "o1")
    assert stored is not None
    assert stored.body == raw


async def test_versions_history_and_deletion(
    database: Database, committer: Committer, clock: Clock
) -> None:
    await one(committer, put("o1", "a"))
    clock.move(minutes=1)
    await one(committer, put("o1", "b"))
    clock.move(minutes=1)
    deletion = Put("Observation", "o1", 7, None, method="DELETE")
    assert await one(committer, deletion) == [3]
    assert await one(committer, deletion) == [3]  # deleting again writes nothing
    assert await one(committer, Put("Observation", "never", 7, None, method="DELETE")) == [0]
    current = await read(database, "Observation", "o1")
    assert current is not None
    assert (current.deleted, current.version, current.body) == (True, 3, b"")
    versions, _ = await of_one(database, "Observation", "o1", Period(), None, 10)
    assert [(v.version, v.method) for v in versions] == [(3, "DELETE"), (2, "PUT"), (1, "PUT")]
    _, place = await of_one(database, "Observation", "o1", Period(), None, 1)
    older, _ = await of_one(database, "Observation", "o1", Period(), place, 1)
    assert [v.version for v in older] == [2]
    first = await read_version(database, "Observation", "o1", 1)
    assert first is not None
    assert orjson.loads(first.body)["code"]["text"] == "a"
    assert await read_version(database, "Observation", "o1", 4) is None
    assert await one(committer, put("o1", "again", expected=0)) == [4]


async def test_versions_never_go_back_in_time(
    database: Database, committer: Committer, clock: Clock
) -> None:
    await one(committer, put("o1"))
    clock.move(minutes=-5)
    await one(committer, put("o1"))
    (newer, older), _ = await of_one(database, "Observation", "o1", Period(), None, 2)
    assert newer.updated > older.updated


async def test_expected_version(committer: Committer) -> None:
    await one(committer, put("o1", expected=0))
    with pytest.raises(VersionConflict) as refused:
        await one(committer, put("o1", expected=0))
    assert refused.value.current == 1
    assert await one(committer, put("o1", expected=1)) == [2]
    with pytest.raises(VersionConflict) as refused:
        await one(committer, put("o1", expected=1))
    assert refused.value.current == 2
    with pytest.raises(VersionConflict) as refused:
        await one(committer, put("absent", expected=3))
    assert refused.value.current is None


async def test_a_conflict_leaves_nothing_of_its_set_and_spares_its_neighbours(
    database: Database, committer: Committer, clock: Clock
) -> None:
    await one(committer, put("o1"))
    bad = WriteSet(
        puts=[put("new"), put("o1", expected=9)],
        claims=[Claim(claim_key("k", "1"), 7, "new")],
        journal=[entry(clock(), interaction="bad")],
    )
    good = WriteSet(puts=[put("good")], journal=[entry(clock(), interaction="good")])
    results = await asyncio.gather(
        committer.commit(bad), committer.commit(good), return_exceptions=True
    )
    assert isinstance(results[0], VersionConflict)
    assert not isinstance(results[1], BaseException)
    assert await read(database, "Observation", "new") is None
    assert await database.fetchval("select count(*) from claim") == 0
    rows = await read_journal(database, 7, None, None, None, 10)
    assert [row.interaction for row in rows] == ["good"]


async def test_a_poisoned_statement_fails_alone(database: Database, committer: Committer) -> None:
    poison = WriteSet(puts=[put("p")], statements=[Statement("select 1 / $1::int", (0,))])
    sets = [WriteSet(puts=[put(f"g{n}")]) for n in range(4)]
    results = await asyncio.gather(
        *(committer.commit(ws) for ws in [sets[0], poison, *sets[1:]]), return_exceptions=True
    )
    assert isinstance(results[1], asyncpg.DivisionByZeroError)
    assert [type(r) for r in results].count(list) == 4
    assert await read(database, "Observation", "p") is None
    assert len(await read_many(database, [("Observation", f"g{n}") for n in range(5)])) == 4


async def test_claims_are_held_once(database: Database, committer: Committer) -> None:
    key = claim_key("identifier", "urn:x", "42")
    await committer.commit(WriteSet(puts=[put("a")], claims=[Claim(key, 7, "Observation/a")]))
    other = claim_key("identifier", "urn:x", "43")
    with pytest.raises(ClaimTaken) as taken:
        await committer.commit(
            WriteSet(
                puts=[put("b")],
                claims=[Claim(other, 8, "Observation/b"), Claim(key, 8, "Observation/b")],
            )
        )
    assert (taken.value.person, taken.value.target) == (7, "Observation/a")
    assert await read(database, "Observation", "b") is None
    assert await database.fetchval("select count(*) from claim") == 1
    # The holder may say so again; a replacement changes hands.
    await committer.commit(WriteSet(claims=[Claim(key, 7, "Observation/a")]))
    await committer.commit(WriteSet(claims=[Claim(key, 8, "Observation/b", replace=True)]))
    row = await database.fetchrow("select person, target from claim")
    assert tuple(row or ()) == (8, "Observation/b")


async def test_one_of_many_concurrent_claims_wins_across_processes(
    database: Database, clock: Clock
) -> None:
    committers = [Committer(database, clock) for _ in range(3)]
    for round in range(5):
        key = claim_key("document", str(round))
        results = await asyncio.gather(
            *(
                committers[n % 3].commit(
                    WriteSet(puts=[put(f"d{round}-{n}")], claims=[Claim(key, n, f"d{round}-{n}")])
                )
                for n in range(9)
            ),
            return_exceptions=True,
        )
        winners = [r for r in results if isinstance(r, list)]
        losers = [r for r in results if isinstance(r, ClaimTaken)]
        assert (len(winners), len(losers)) == (1, 8)
        assert {loser.target for loser in losers} == {winners[0][0].id}
        stored = await read_many(database, [("Observation", f"d{round}-{n}") for n in range(9)])
        assert [s.id for s in stored] == [winners[0][0].id]


async def test_two_creators_of_one_id_for_two_persons(database: Database, clock: Clock) -> None:
    committers = [Committer(database, clock) for _ in range(4)]
    for round in range(10):
        results = await asyncio.gather(
            *(
                c.commit(WriteSet(puts=[put(f"same{round}", person=n, expected=0)]))
                for n, c in enumerate(committers, start=1)
            ),
            return_exceptions=True,
        )
        assert [type(r) for r in results].count(list) == 1
        assert [type(r) for r in results].count(VersionConflict) == 3
    assert await database.fetchval("select count(*) from resource") == 10


async def test_concurrent_writers_lose_no_update(database: Database, clock: Clock) -> None:
    committers = [Committer(database, clock) for _ in range(3)]
    await one(committers[0], put("o1"))
    puts = [
        committers[n % 3].commit(WriteSet(puts=[put("o1", str(n)), put("o2", str(n))]))
        for n in range(12)
    ]
    written = await asyncio.gather(*puts)
    assert sorted(w[0].version for w in written) == list(range(2, 14))
    assert len((await of_one(database, "Observation", "o1", Period(), None, 50))[0]) == 13


async def test_crossed_orders_of_resources_do_not_deadlock(
    database: Database, clock: Clock
) -> None:
    committers = [Committer(database, clock) for _ in range(2)]
    names = [f"o{n}" for n in range(10)]
    sets = [
        committers[n % 2].commit(
            WriteSet(puts=[put(name) for name in (names if n % 2 else names[::-1])])
        )
        for n in range(10)
    ]
    await asyncio.gather(*sets)
    stored = await read(database, "Observation", "o3")
    assert stored is not None
    assert stored.version == 10


async def test_a_cancelled_caller_does_not_break_the_batch(
    database: Database, committer: Committer
) -> None:
    tasks = [asyncio.create_task(one(committer, put(f"c{n}"))) for n in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[2], asyncio.CancelledError)
    assert [r for r in results if r == [1]] == [[1]] * 5
    assert await one(committer, put("after")) == [1]


async def test_statements_are_part_of_the_transaction(
    database: Database, committer: Committer
) -> None:
    await database.execute("create table note (text text primary key)")
    insert = Statement("insert into note values ($1)", ("x",))
    await committer.commit(WriteSet(puts=[put("a")], statements=[insert]))
    with pytest.raises(asyncpg.UniqueViolationError):
        await committer.commit(WriteSet(puts=[put("b")], statements=[insert]))
    assert await read(database, "Observation", "b") is None


async def test_index_rows_follow_the_resource(database: Database, committer: Committer) -> None:
    async def rows() -> list[int]:
        return [
            await database.fetchval("select cardinality(tokens) from resource where id = 'p'"),
            await database.fetchval("select count(*) from string_index"),
        ]

    await one(committer, Put("Patient", "p", 7, patient("Nováková")))
    values = await database.fetch("select distinct value from string_index")
    assert "novakova" in {row["value"] for row in values}
    before = await rows()
    assert before[0] > 0
    await one(committer, Put("Patient", "p", 7, patient("Malá")))
    assert await rows() == before
    values = await database.fetch("select distinct value from string_index")
    assert "novakova" not in {row["value"] for row in values}
    await one(committer, Put("Patient", "p", 7, None, method="DELETE"))
    assert await rows() == [0, 0]


async def test_main_date_and_quantities(database: Database, committer: Committer) -> None:
    await one(committer, put("o1"))
    row = await database.fetchrow("select date, date_end from resource")
    assert row is not None
    assert row["date"].isoformat() == "2026-11-01T10:00:00+00:00"
    assert row["date_end"] >= row["date"]
    assert await database.fetchval("select count(*) from date_index") == 0
    assert await database.fetchval("select bool_or(low = 72 and high = 72) from number_index")


async def test_a_resource_can_move_to_another_person(
    database: Database, committer: Committer
) -> None:
    await one(committer, put("o1", person=7))
    assert await one(committer, put("o1", person=9)) == [2]
    (now, then), _ = await of_one(database, "Observation", "o1", Period(), None, 5)
    assert (now.person, then.person) == (9, 7)
    assert await database.fetchval("select count(*) from resource") == 1


async def test_persons_of_patients(database: Database, committer: Committer) -> None:
    person = await committer.next_person()
    assert await committer.next_person() != person
    await one(committer, Put("Patient", "p", person, patient()))
    assert await persons_of(database, ["p", "q"]) == {"p": person}


async def test_the_same_resource_twice_in_a_set_is_a_mistake(committer: Committer) -> None:
    with pytest.raises(ValueError, match="twice"):
        await one(committer, put("o1"), put("o1"))


async def test_a_large_set_and_reused_fresh_id(database: Database, committer: Committer) -> None:
    puts = [put() for _ in range(1500)]
    written = await committer.commit(WriteSet(puts=puts))
    assert {w.version for w in written} == {1}
    rids = await database.fetchval("select count(distinct rid) from resource")
    assert rids == 1500
    # A promise broken is caught by the constraint and then treated as what it is.
    with pytest.raises(VersionConflict):
        await one(committer, replace(puts[0], expected=0))
    derived = replace(puts[0], id="derived", fresh=True)
    assert await one(committer, derived) == [1]
    with pytest.raises(VersionConflict):
        await one(committer, replace(derived, expected=0))


async def test_nul_characters_do_not_break_writing(
    database: Database, committer: Committer, clock: Clock
) -> None:
    resource = patient("No\0v")
    await committer.commit(
        WriteSet(
            puts=[Put("Patient", str(uuid4()), 7, resource)],
            journal=[entry(clock(), query="name=\0")],
        )
    )
    [row] = await read_journal(database, 7, None, None, None, 1)
    assert row.query == "name="


async def test_stop_writes_what_was_taken(database: Database, committer: Committer) -> None:
    tasks = [asyncio.create_task(one(committer, put(f"s{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await committer.stop()
    assert [task.result() for task in tasks] == [[1]] * 20
    with pytest.raises(RuntimeError):
        await one(committer, put("late"))
