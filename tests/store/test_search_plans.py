"""Each class of search uses the index that was made for it, on a table large enough to matter.

The plans are asked of PostgreSQL for the very statements that a search sends.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.query import Include
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.read import Stored
from pater.store.search import Scope, search
from pater.store.search.cursor import Position, seal
from pater.store.search.include import included
from pater.store.search.moved import SEEN
from pater.store.search.rows import Reader, open_reader
from pater.store.tokens import (
    code_hash,
    param_number,
    present_hash,
    reference_hash,
    system_code_hash,
)
from tests.conftest import fresh_database
from tests.store.search_world import KEY, LOINC, RID, ask, request

PERSONS = 1500
EACH = 8
COLUMNS = (
    "person type id rid version updated method deleted date date_end tokens dict body coded".split()
)


def _rows() -> Iterator[tuple[Any, ...]]:
    """Patients with eight Observations each: one common code, one rare one, rising dates."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    patient, observation = TYPE_NUMBER["Patient"], TYPE_NUMBER["Observation"]
    rid = 0

    def row(person: int, type_: int, id_: str, tokens: list[int]) -> tuple[Any, ...]:
        at = start + timedelta(minutes=(rid * 7919) % 400_000)
        moment = start + timedelta(seconds=rid)
        return (person, type_, id_, rid, 1, moment, "C", False, at, at, tokens, 0, b"", True)

    for person in range(1, PERSONS + 1):
        rid += 1
        yield row(person, patient, f"p{person}", [
            system_code_hash("Patient", "identifier", RID, str(person)),
            code_hash("Patient", "gender", "male" if person % 2 else "female"),
        ])  # fmt: skip
        for number in range(EACH):
            rid += 1
            code = "rare" if rid % 3000 == 0 else ("common" if number % 2 else "other")
            yield row(person, observation, f"o{rid}", [
                system_code_hash("Observation", "code", LOINC, code),
                code_hash("Observation", "status", "final"),
                present_hash("Observation", "code"),
                present_hash("Observation", "patient"),
                reference_hash("Observation", "patient", "Patient", f"p{person}"),
                reference_hash("Observation", "encounter", "Encounter", f"e{person}"),
            ])  # fmt: skip


@pytest.fixture(scope="module")
async def large(module_database: Database) -> Database:
    rows = list(_rows())
    family = param_number("family")
    async with module_database.connection() as connection:
        await connection.copy_records_to_table("resource", records=rows, columns=COLUMNS)
        await connection.copy_records_to_table(
            "string_index",
            records=[
                (row[0], row[3], row[1], family, f"f{row[3] % 997:03}")
                for row in rows
                if row[1] == TYPE_NUMBER["Patient"]
            ],
            columns=["person", "rid", "type", "param", "value"],
        )
        await connection.copy_records_to_table(
            "code_index",
            records=[
                (row[0], row[3], row[10][0], row[8])
                for row in rows
                if row[1] == TYPE_NUMBER["Observation"]
            ],
            columns=["person", "rid", "token", "date"],
        )
        onset = param_number("value-date")
        await connection.copy_records_to_table(
            "date_index",
            records=[
                (row[0], row[3], row[1], onset, row[8], row[8])
                for row in rows
                if row[1] == TYPE_NUMBER["Observation"]
            ],
            columns=["person", "rid", "type", "param", "low", "high"],
        )
        await connection.copy_records_to_table(
            "number_index",
            records=[
                (row[0], row[3], row[1], param_number("value-quantity"), 0, row[3], row[3])
                for row in rows
                if row[1] == TYPE_NUMBER["Observation"]
            ],
            columns=["person", "rid", "type", "param", "unit", "low", "high"],
        )
        await connection.execute(
            "insert into text_index (person, rid, type, version, words)"
            " select person, rid, type, 1, array_to_tsvector(case when rid % 3000 = 0"
            " then '{hay,needle,~needle}'::text[] else '{hay}'::text[] end) from resource"
        )
        await connection.execute("vacuum analyze")
    return module_database


@pytest.fixture(scope="module")
async def thick(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """Few patients with long records."""
    patient, observation = TYPE_NUMBER["Patient"], TYPE_NUMBER["Observation"]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows: list[tuple[Any, ...]] = []
    for rid in range(16_000):
        person = 1 + rid * 7919 % 40
        first = rid < 40
        tokens = [
            system_code_hash("Patient", "identifier", RID, str(person)),
            code_hash("Patient", "gender", "male"),
        ]
        if not first:
            tokens = [
                system_code_hash("Observation", "code", LOINC, f"c{rid % 100}"),
                present_hash("Observation", "patient"),
                reference_hash("Observation", "patient", "Patient", f"p{person}"),
            ]
        at = start + timedelta(minutes=rid)
        id_ = f"p{person}" if first else f"o{rid}"
        type_ = patient if first else observation
        rows.append((person, type_, id_, rid, 1, at, "C", False, at, at, tokens, 0, b"", True))
    async with fresh_database(postgres, template) as db:
        async with db.connection() as connection:
            await connection.copy_records_to_table("resource", records=rows, columns=COLUMNS)
            await connection.execute("vacuum analyze")
        yield db


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plan of every statement that a search sends, in order."""
    seen: list[str] = []
    fetch = Reader.fetch

    async def explained(self: Reader, sql: str, *args: Any, **how: Any) -> Any:
        if how.get("kept"):
            lines = await _kept_plan(self, sql, len(args))
        else:
            lines = await fetch(self, "explain " + sql, *args)
        seen.append("\n".join(line[0] for line in lines))
        return [] if "r.body" in sql else await fetch(self, sql, *args)

    monkeypatch.setattr(Reader, "fetch", explained)
    monkeypatch.setattr(Reader, "person_of", lambda reader, patient: None)  # as if first seen
    return seen


async def _kept_plan(reader: Reader, sql: str, count: int) -> list[Any]:
    """The plan that is made without knowing the values."""
    values = f"({', '.join(['null'] * count)})" if count else ""
    async with reader._db._kept.lend() as connection:
        await connection.execute("prepare searched as " + sql)
        try:
            return list(await connection.fetch("explain execute searched" + values))
        finally:
            await connection.execute("deallocate searched")


PLANS = [
    # One person's part of the table, whatever else is asked.
    ("Observation?patient=p7", ["resource_key"], ["resource_person"]),
    (f"Observation?patient=p7&code={LOINC}|common&date=ge2026-02-01&_sort=-date",
     ["resource_key"], ["resource_person"]),
    ("Observation?patient=p7&status:not=final", ["resource_key"], ["resource_person"]),
    # A chain over the Patient: its token first, then the person.
    (f"Observation?patient.identifier={RID}|77&_sort=-date",
     ["resource_tokens"], ["resource_person"]),
    # A chain over anything else: its token, and that of a container of such a resource.
    ("Observation?encounter.identifier=urn:visits|77", ["resource_tokens"], ["resource_tokens"]),
    ("Medication?code=urn:drugs|77&_contained=true", ["resource_tokens"]),
    ("Patient?_id=p7", ["resource_key"]),
    (f"Patient?identifier={RID}|77", ["resource_tokens"]),
    (f"Observation?code={LOINC}|rare&_sort=-date", ["code_index_date", "resource_rid_key"]),
    (f"Observation?code={LOINC}|rare", ["code_index_walk", "resource_rid_key"]),
    (f"Observation?code={LOINC}|rare&status=final", ["resource_tokens"]),
    ("Observation?encounter=Encounter/e7", ["resource_tokens"]),
    # A common code in the order of an index: the walk stops at the first page.
    (f"Observation?code={LOINC}|common&_sort=-date", ["code_index_date", "resource_rid_key"]),
    (f"Observation?code={LOINC}|common", ["code_index_walk", "resource_rid_key"]),
    (f"Observation?code={LOINC}|common&value-quantity=gt50",
     ["code_index_walk", "number_index_"]),
    # A rare amount beside a common code: the first rows of the code, then those with the amount.
    (f"Observation?code={LOINC}|common&value-quantity=lt50",
     ["code_index_walk", "number_index_value"]),
    (f"Observation?code={LOINC}|common&value-quantity=50&_total=accurate",
     ["number_index_value"]),
    (f"Observation?code={LOINC}|common&patient.birthdate=lt2026-03-01",
     ["code_index_walk", "resource_person"]),
    (f"Patient?_has:Observation:patient:code={LOINC}|rare", ["code_index_", "resource_person"]),
    (f"Observation?code={LOINC}|common&_total=accurate", ["code_index_"]),
    (f"Observation?code={LOINC}|common&status=final&_sort=-date",
     ["resource_date"], ["resource_date"]),
    ("Observation?code:not=nothing", ["resource_walk"]),
    ("Observation?code:missing=false", ["resource_walk"]),
    ("Observation", ["resource_walk"]),
    ("Observation?_sort=_lastUpdated", ["resource_updated"]),
    ("Observation?_sort=date", ["resource_date"], ["resource_date"]),
    ("Observation?_sort=-date", ["resource_date"], ["resource_date"]),
    ("Observation?_sort=_id", ["resource_key"]),
    ("Observation?date=2026-03-03", ["resource_date"]),
    ("Observation?date=sa2026-10-03", ["resource_date"]),
    ("Observation?_lastUpdated=2026-01-01T00:00:05Z", ["resource_updated"]),
    # The side tables lead, and their rids lead to the resources.
    ("Patient?family=f50", ["string_index_value", "resource_(rid_key|walk)"]),
    ("Patient?family:exact=f500", ["string_index_value", "resource_(rid_key|walk)"]),
    ("Observation?value-date=2026-03-03", ["date_index_value", "resource_(rid_key|walk)"]),
    ("Observation?value-quantity=50", ["number_index_value", "resource_(rid_key|walk)"]),
    ("Patient?_sort=family", ["string_index_value", "resource_(rid_key|walk)"]),
    ("Patient?_has:Observation:patient:code=rare", ["resource_tokens"]),
    # Somebody by the name and what else registers are asked by (ITI-78).
    ("Patient?family=f50&given=jana&birthdate=2026-03-01",
     ["string_index_value", "resource_(rid_key|walk)"]),
    ("Patient?family:exact=f500&birthdate=2026-03-01&gender=male",
     ["string_index_value", "resource_(rid_key|walk)"]),
    (f"Patient?identifier={RID}|77&family=f077", ["(string_index_value|resource_tokens)"]),
    (f"Patient?identifier={RID}|77,{RID}|78", ["resource_tokens"]),
    ("Patient?name=f50&address-postalcode=77900",
     ["string_index_value", "resource_(rid_key|walk)"]),
    ("Patient?name=f50", ["string_index_value"]),
    ("Patient?birthdate=2026-02-01,2026-03-01,2026-05-01&gender=male", ["resource_date"]),
    # What comes along with a page: the parts of the table of its persons, not a walk of all rows.
    (f"Observation?code={LOINC}|rare&_include=Observation:patient",
     ["resource_tokens", "resource_person"]),
    ("Patient?_id=p7&_revinclude=Observation:patient", ["resource_key", "resource_person"]),
    (f"Patient?identifier={RID}|77&_revinclude=Observation:subject",
     ["resource_tokens", "resource_person"]),
    # Words: their own index over everybody, the person's part of the table for one person.
    ("Observation?_content=needle", ["text_index_words", "resource_rid_key"]),
    ("Observation?_text=needl", ["text_index_words", "resource_rid_key"]),
    ("Observation?patient=p7&_content=hay", ["resource_key"], ["resource_person"]),
    ("Observation?code:text=needle", ["text_index_words", "resource_rid_key"]),
    # The parts of a composite, each by its own index.
    (f"Observation?code-value-quantity={LOINC}|rare$gt5", ["resource_tokens"]),
    (f"Observation?code-value-quantity={LOINC}|common$50",
     ["number_index_value", "resource_(rid_key|walk)"]),
    ("Observation?value-quantity=50|http://unitsofmeasure.org|g",
     ["number_index_value", "resource_(rid_key|walk)"]),
    ("Patient?identifier:of-type=urn:t|MR|77", ["resource_tokens"]),
    # Alternatives of a filter that are rare join their indexes; what is common walks in order.
    (f"Observation?_filter=code eq {LOINC}|rare or encounter eq Encounter/e7",
     ["resource_tokens"]),
    ("Observation?_filter=not(status eq cancelled)", ["resource_walk"]),
    ("Patient?_filter=family sw f50 and gender eq male", ["string_index_value"]),
    ("Observation?patient=p7&_filter=status eq final or value-quantity gt 5",
     ["resource_key"], ["resource_person"]),
]  # fmt: skip


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case[0])
async def test_the_index_of_each_class_of_search(
    large: Database, plans: list[str], case: tuple[Any, ...]
) -> None:
    query, *steps = case
    await ask(large, query, count=20)
    assert len(plans) >= len(steps)
    for plan, wanted in zip(plans, steps, strict=False):
        for index in wanted:
            assert re.search(rf"\b{index}", plan), plan
        assert not re.search(r"Seq Scan|using resource_rid_key on resource x", plan), plan


INCLUSIONS = [
    (Include("Observation", "subject", "Patient", reverse=False, iterate=False), "resource_key"),
    (Include("Observation", "patient", None, reverse=True, iterate=False), "resource_person"),
    (Include("Observation", "focus", None, reverse=True, iterate=False), "resource_tokens"),
    # A thousand tokens for a few Patients.
    (Include("*", "*", None, reverse=True, iterate=False), "resource_tokens"),
]


@pytest.mark.parametrize(("include", "index"), INCLUSIONS, ids=lambda each: str(each)[:60])
async def test_the_index_of_each_inclusion(
    large: Database, plans: list[str], include: Include, index: str
) -> None:
    body = b'{"resourceType":"Observation","subject":{"reference":"Patient/p7"}}'
    now = datetime(2026, 1, 1, tzinfo=UTC)
    type_, id_ = ("Patient", "p7") if include.reverse else ("Observation", "none")
    page = [Stored(type_, id_, 1, now, 7, False, body, "POST")]
    async with open_reader(large) as reader:
        await included(reader, Scope(), [include], page)
    assert re.search(rf"\b{index}", plans[-1]), plans[-1]
    assert not re.search(r"Seq Scan|resource_rid_key[^\n]*\n\s*Filter", plans[-1]), plans[-1]


@pytest.mark.parametrize(
    "query",
    [
        f"Observation?code={LOINC}|c7&_include=Observation:patient",
        "Observation?patient=p7&_include=Observation:patient",
        "Observation?patient=p7&_sort=-date&_include=Observation:subject:Patient",
        "Patient?_id=p7&_revinclude=Observation:patient",
        f"Patient?identifier={RID}|7&_revinclude=Observation:patient",
        "Patient?gender=male&_revinclude=Observation:subject",
    ],
)
async def test_what_comes_along_is_no_walk_of_all_rows(
    thick: Database, plans: list[str], query: str
) -> None:
    await ask(thick, query, count=20)
    [plan] = [each for each in plans if " on resource x" in each]
    assert not re.search(r"(Seq Scan|using resource_rid_key) on resource x", plan), plan


async def test_nothing_is_sorted_whole_for_a_page_of_a_whole_type(
    large: Database, plans: list[str]
) -> None:
    for query in ("Observation", "Observation?_sort=-date", "Observation?_sort=date",
                  "Patient?_sort=family", "Patient?_sort=-family"):  # fmt: skip
        plans.clear()
        await ask(large, query, count=20)
        assert not re.search(r"^\s*(->)?\s*Sort\b", plans[0], re.MULTILINE), plans[0]


async def test_the_number_of_statements_does_not_grow_with_the_page(
    large: Database, plans: list[str]
) -> None:
    counts = []
    for size in (1, 50):
        plans.clear()
        await ask(large, "Patient?gender=male&_revinclude=Observation:patient", count=size)
        counts.append(len(plans))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("query", "values", "index"),
    [
        ("Observation?_sort=_lastUpdated", ["when"], "resource_updated"),
        (f"Observation?code={LOINC}|common&_sort=-date", ["when"], "resource_updated"),
        ("Patient?_sort=family", ["f100"], "resource_updated"),
        ("Observation?patient=p7&_sort=-date", ["when"], "resource_(person|updated)"),
        (f"Patient?identifier={RID}|77&_sort=family", ["f100"], "resource_(tokens|updated)"),
    ],
)
async def test_what_was_changed_since_the_first_page_is_found_by_index(
    large: Database, plans: list[str], query: str, values: list[Any], index: str
) -> None:
    began = datetime.now(UTC)
    mark = await large.fetchval(f"select m.seen from (select {SEEN}) m")
    place = Position(0, tuple(began if v == "when" else v for v in values), 5, began, mark)
    cursor = seal(place, request(query), KEY)
    await search(large, request(f"{query}&_cursor={cursor}"), Scope(), count=20, cursor_key=KEY)
    probes = [plan for plan in plans if "version > 1" in plan]
    assert probes
    for probe in probes:
        assert re.search(rf"\b{index}", probe), probe
        assert "Seq Scan" not in probe, probe
