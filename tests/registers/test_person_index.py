"""The person index: it stands beside every Patient that can be found, and finds within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from pater.registers.matching import Model, blocking_keys, features_of, pack, unpack
from pater.registers.matching.former import former_keys
from pater.registers.matching.index import (
    EACH,
    FOUND,
    MOST,
    REACH,
    RULE,
    Entry,
    PersonIndex,
    entry_of,
)
from pater.registers.matching.reindexing import KIND, ask, reindex
from pater.registers.people import patient_of, people
from pater.store.database import Database
from pater.store.workers import Workers
from tests.conftest import Clock
from tests.rest.bulk_world import bulk_world
from tests.rest.test_bulk_import import brought, ndjson
from tests.rest.world import World, world
from tests.waiting import PATIENCE


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    async with world(database, clock) as made:
        yield made


def eva(**more: Any) -> dict[str, Any]:
    """A Patient with a name, a date and a place."""
    return {
        "resourceType": "Patient",
        "name": [{"family": "Dvořáková", "given": ["Eva"]}],
        "gender": "female",
        "birthDate": "1980-02-01",
        "address": [{"line": ["Lipová 12"], "city": "Brno", "postalCode": "60200"}],
        **more,
    }


async def rows(db: Database) -> list[Any]:
    found = await db.fetch(
        "select i.person, i.features, array(select k.key from person_key k"
        " where k.person = i.person order by k.key) as keys from person_index i order by i.person"
    )
    return [dict(row) for row in found]


async def keyed(db: Database, person: int, keys: Iterable[int]) -> None:
    await db.execute(
        "insert into person_key (key, person) select unnest($1::int[]), $2", list(keys), person
    )


async def test_an_entry_follows_its_patient(api: World) -> None:
    index = PersonIndex(api.db, Model.load())
    made = await api.create(eva())
    person = await api.person_of(made["id"])
    found = await index.match(eva(name=[{"family": "Dvorakova", "given": ["Eva"]}]))
    assert [who for who, _ in found.ranked] == [person]
    # renamed: found by what it says now
    before = await rows(api.db)
    renamed = {**made, "name": [{"family": "Bílá", "given": ["Jitka"]}], "address": []}
    renamed.pop("address")
    await api.call("PUT", f"/Patient/{made['id']}", renamed)
    assert await rows(api.db) != before
    # ended: found by nobody, and found again when that is taken back
    await api.call("PUT", f"/Patient/{made['id']}", {**renamed, "active": False})
    assert await rows(api.db) == []
    await api.call("PUT", f"/Patient/{made['id']}", renamed)
    assert [row["person"] for row in await rows(api.db)] == [person]
    await api.call("DELETE", f"/Patient/{made['id']}")
    assert await rows(api.db) == []


async def test_the_job_makes_the_entries_that_writing_makes(api: World) -> None:
    for number in range(7):
        await api.create(eva(birthDate=f"1980-02-0{number + 1}"))
    await api.create(eva(active=False))
    wanted = await rows(api.db)
    assert len(wanted) == 7
    await api.db.execute("delete from person_index")
    await api.db.execute("delete from person_key")
    await ask(api.db)
    await ask(api.db)  # asked for once
    assert await api.db.fetchval("select count(*) from job where kind = $1", KIND) == 1
    stop = asyncio.Event()
    working = asyncio.create_task(Workers(api.db, {KIND: reindex}, pause=0.01).run(stop))
    await asyncio.wait_for(api.db.job_ended.wait(), PATIENCE)
    stop.set()
    await working
    assert await rows(api.db) == wanted
    await ask(api.db)  # and not again
    assert await api.db.fetchval("select count(*) from job where state = 'waiting'") == 0


async def test_common_features_cost_a_bounded_number_of_rows(api: World) -> None:
    """Hundreds who share every key but one still leave the one who shares it in the answer."""
    index = PersonIndex(api.db, Model.load())
    alike = features_of(eva())
    keys, packed = list(blocking_keys(alike)), pack(alike)
    await api.db.execute(
        "insert into person_index select n, $1 from generate_series(1, 3000) n", packed
    )
    await api.db.execute(
        "insert into person_key (key, person)"
        " select k, n from generate_series(1, 3000) n, unnest($1::int[]) k", keys
    )  # fmt: skip
    async with api.db.transaction() as connection:
        found = await connection.fetch(FOUND, keys, EACH, REACH, [], MOST)
        assert len(found) == len({row["person"] for row in found}) == MOST // 2
        ways = {
            row["relname"]: row
            for row in await connection.fetch(
                "select relname, seq_scan, idx_scan, idx_tup_fetch from pg_stat_xact_user_tables"
            )
        }
    assert ways["person_index"]["seq_scan"] == ways["person_key"]["seq_scan"] == 0
    assert ways["person_index"]["idx_tup_fetch"] == MOST // 2
    assert len(keys) <= ways["person_key"]["idx_scan"] <= 2 * len(keys)
    assert ways["person_key"]["idx_tup_fetch"] <= len(keys) * REACH
    asked = features_of(eva(telecom=[{"system": "phone", "value": "+420 603 111 222"}]))
    own = [key for key in blocking_keys(asked) if key not in keys]
    assert own
    await api.db.execute("insert into person_index values (9999, $1)", pack(asked))
    await keyed(api.db, 9999, own)
    found = await index.candidates(asked)
    assert 9999 in [person for person, _ in found]
    assert len(found) <= MOST


async def test_what_many_share_counts_with_something_else_beside_it(api: World) -> None:
    """One of a thousand with a common telephone, and one of sixty with a common name and year."""
    asked = features_of(eva())
    one, other, *_ = blocking_keys(asked)
    await api.db.execute(
        "insert into person_index select n, $1 from generate_series(1, 1000) n", pack(asked)
    )
    await api.db.execute(
        "insert into person_key (key, person)"
        " select $1::int, n from generate_series(1, 1000) n"
        " union all select $2::int, n from generate_series(931, 1000) n",
        one, other,
    )  # fmt: skip
    found = await api.db.fetch(FOUND, [one, other], EACH, REACH, [], MOST)
    persons = [row["person"] for row in found]
    # all of them are far beyond what is read of the first key
    assert len(persons) == MOST // 2 and set(persons) <= set(range(931, 1001))
    # the first of those who share the telephone alone
    left_out = await api.db.fetch(FOUND, [one, other], EACH, REACH, list(range(931, 1001)), MOST)
    assert [row["person"] for row in left_out] == list(range(1, EACH + 1))


async def test_what_is_imported_has_the_entries_that_writing_makes(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    async with bulk_world(database, clock, tmp_path) as api:
        patients = [{**patient_of(each), "id": f"p{each.number}"} for each in people(3, 40)] + [
            {**eva(active=False), "id": "ended"}
        ]
        manifest, report = await brought(api, ndjson(*patients))
        assert report == []
        assert {each["type"]: each["created"] for each in manifest["output"]} == {"Patient": 41}
        wanted = {
            await api.person_of(each["id"]): entry
            for each in patients
            if (entry := entry_of(each)) is not None
        }
        made = {
            row["person"]: Entry(tuple(row["keys"]), row["features"]) for row in await rows(api.db)
        }
        assert made == wanted
        # what is there already is changed by the gate, and its entry with it
        again = {**patients[0], "birthDate": "1901-01-01", "identifier": []}
        again.pop("identifier")
        await brought(api, ndjson(again))
        [row] = [r for r in await rows(api.db)
                 if r["person"] == await api.person_of(again["id"])]  # fmt: skip
        assert row["features"] == pack(features_of(again))


async def test_entries_of_the_rule_before_are_found_until_they_are_made_anew(api: World) -> None:
    """What stands in the index when a new version starts: other keys, other features."""
    index = PersonIndex(api.db, Model.load(), settled=False)
    chalupova = [{"family": "Chalupová", "given": ["Eva"]}]
    made = await api.create(eva(name=chalupova))
    person = await api.person_of(made["id"])
    asked = features_of(eva(name=chalupova))
    before = set(former_keys(asked)) - set(blocking_keys(asked))
    assert before  # ch was h to the rule before
    packed = pack(asked).rpartition(b"\x1e")[0]
    await api.db.execute("update person_index set features = $1", packed)
    await api.db.execute("delete from person_key")
    await keyed(api.db, person, before)
    await api.db.execute("insert into person_index_made (rule) values ('1')")
    assert unpack(packed) == asked
    assert [who for who, _ in await index.candidates(asked)] == [person]
    # in another script, too
    cyrillic = eva(name=[{"family": "Халупова", "given": ["Єва"]}])
    assert (await index.match(cyrillic)).ranked == () and await index.candidates(asked)
    await ask(api.db)
    stop = asyncio.Event()
    working = asyncio.create_task(Workers(api.db, {KIND: reindex}, pause=0.01).run(stop))
    await asyncio.wait_for(api.db.job_ended.wait(), PATIENCE)
    stop.set()
    await working
    [row] = await rows(api.db)
    assert row["keys"] == list(blocking_keys(asked)) and row["features"] == pack(asked)
    assert await api.db.fetchval("select rule from person_index_made") == RULE
    assert [who for who, _ in (await index.match(cyrillic)).ranked] == [person]
