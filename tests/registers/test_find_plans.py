"""Whoever is looked for by a number or by a name is found by an index, never by a walk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import zstandard

from pater.fhir.definitions import TYPE_NUMBER
from pater.registers import finding, numbers, overview, sources
from pater.registers.identifiers import BIRTH_NUMBER, RID, canonical, tidy
from pater.registers.matching import features_of
from pater.registers.matching.index import PersonIndex, copy_entries, entry_of
from pater.registers.matching.model import Model
from pater.registers.people import patient_of, people
from pater.store.database import Database
from pater.store.write import claim_key

COUNT: Final = 6_000
SYSTEM: Final = "urn:mrn"
SOURCE: Final = "27520536"
PATIENTS: Final = [patient_of(each) for each in people(7, COUNT)]
ONE: Final = PATIENTS[4_321]
NUMBERS: Final = {each["system"]: each["value"] for each in ONE["identifier"]}
EMPTY: Final = zstandard.ZstdCompressor().compress(b"{}")
# Each index that was used and each table that was walked, how often.
COUNTED: Final = """
select indexrelname as name, idx_scan as times from pg_stat_user_indexes
union all select 'walk of ' || relname, seq_scan from pg_stat_user_tables
where relname in (
    'claim', 'person', 'person_index', 'person_key', 'resource', 'source_record', 'alias')
"""


@pytest.fixture(scope="module")
async def large(module_database: Database) -> AsyncIterator[Database]:
    """A register of thousands, over one connection: what that one did is all that is counted."""
    now = datetime.now(UTC)
    entries = [entry_of(each) for each in PATIENTS]
    persons = range(1, COUNT + 1)
    async with module_database.connection() as connection:
        await copy_entries(connection, [(n, e) for n, e in zip(persons, entries, strict=True) if e])
        rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {
            "claim": (["key", "person", "target"], [
                (claim_key("person", canonical(e["system"]), tidy(e["system"], e["value"])),
                 n, f"p{n}")
                for n, each in zip(persons, PATIENTS, strict=True) for e in each["identifier"]
            ]),
            "person": (["person", "rid", "temporary", "patient", "created"], [
                (n, f"r{n}", False, f"p{n}", now) for n in persons
            ]),
            "alias": (["patient", "former", "person", "survivor"], [
                (f"m{n}", COUNT + n, n, f"p{n}") for n in persons
            ]),
            "source_record": (
                ["source", "system", "value", "person", "name", "reference", "received", "body"],
                [(SOURCE, SYSTEM, f"n{n}", n, "A", False, now, EMPTY) for n in persons],
            ),
            "resource": (
                ["person", "type", "id", "rid", "version", "updated", "method", "deleted",
                 "tokens", "dict", "body", "coded"],
                [(n, TYPE_NUMBER["Patient"], f"p{n}", n, 1, now, "C", False, [], 0, EMPTY, True)
                 for n in persons],
            ),
        }  # fmt: skip
        for table, (columns, records) in rows.items():
            await connection.copy_records_to_table(table, records=records, columns=columns)
        await connection.execute("vacuum analyze")
    one = await Database.open(module_database.dsn, min_size=1, max_size=1)
    yield one
    await one.close()


def _index(db: Database) -> PersonIndex:
    return PersonIndex(db, Model.load())


async def _by_number(db: Database) -> bool:
    return await numbers.holder(db, RID, NUMBERS[RID]) == 4_322


async def _as_typed(db: Database) -> bool:
    text = NUMBERS[BIRTH_NUMBER]
    return await numbers.typed(db, f"{text[:6]}/{text[6:]}") == [4_322]


async def _by_name(db: Database) -> bool:
    asked = {key: ONE[key] for key in ("name", "birthDate")}
    found = await _index(db).candidates(features_of(asked))
    return 4_322 in {person for person, _ in found}


async def _common_name(db: Database) -> bool:
    asked = {"name": [{"family": "Novák", "given": ["Jan"]}], "birthDate": "1975"}
    return len(await _index(db).candidates(features_of(asked))) < COUNT / 10


async def _meant(db: Database) -> bool:
    asked = {key: ONE[key] for key in ("name", "birthDate")}
    await finding.found(db, _index(db), asked)
    return True


async def _of_a_source(db: Database) -> bool:
    found = await sources.under(db, SOURCE, SYSTEM, ["n17", "n18"])
    return {each.person for each in found.values()} == {17, 18}


async def _sources(db: Database) -> bool:
    return len(await sources.of(db, 17)) == 1


async def _standing(db: Database) -> bool:
    return set(await overview.standings(db, [17, 18])) == {17, 18}


WAYS: Final[list[tuple[Callable[[Database], Awaitable[bool]], str]]] = [
    (_by_number, "claim_pkey"),
    (_as_typed, "claim_pkey"),
    (_by_name, "person_key_found"),
    (_common_name, "person_key_found"),
    (_meant, "person_key_found"),
    (_of_a_source, "source_record_pkey"),
    (_sources, "source_record_person"),
    (_standing, "person_pkey"),
]


@pytest.mark.parametrize(("way", "index"), WAYS, ids=[way.__name__[1:] for way, _ in WAYS])
async def test_found_by_an_index(
    large: Database, way: Callable[[Database], Awaitable[bool]], index: str
) -> None:
    before = await _counted(large)
    assert await way(large)
    after = await _counted(large)
    used = {name for name, times in after.items() if times > before[name]}
    assert index in used
    assert not {name for name in used if name.startswith("walk of ")}


async def _counted(db: Database) -> dict[str, int]:
    await db.execute("select pg_stat_force_next_flush()")
    return {row["name"]: row["times"] for row in await db.fetch(COUNTED)}
