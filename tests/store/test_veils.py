"""What a person holds back is as if it had never been written, in every way to look for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    PROVIDER_MASK,
    Level,
    Veil,
    category_bits,
    document_bits,
    label,
    provider_bits,
)
from pater.store import history, record, walk
from pater.store.copying import copy_rows, rows_of, tails, take_names
from pater.store.database import Database
from pater.store.history import Period
from pater.store.read import Stored, read_version
from pater.store.record import Care, EverybodyPlace, RecordPlace
from pater.store.search import Scope, persons, search
from pater.store.search.newest import newest_of_each
from pater.store.veils import Veils, hidden
from pater.store.write import Committer, Put, WriteSet
from pater.store.write_rows import index
from tests.conftest import Clock
from tests.store.search_world import KEY, ask, fill, ids, request, resources

PROVIDERS = ("12345679", "00000001", "")
DOCUMENTS = ("chain-1", "chain-2", "")
SOME = ("other", "laboratory-report", "medication", "care-relation")
LABELS = [
    label(category, confidentiality, provider, document)
    for category in SOME
    for confidentiality in (0, 1)
    for provider in PROVIDERS
    for document in DOCUMENTS
]
MASKS = {
    CATEGORY_MASK: [category_bits(each) for each in SOME],
    CONFIDENTIALITY_MASK: [0, 1 << 6],
    PROVIDER_MASK: [provider_bits(each) for each in PROVIDERS],
    DOCUMENT_MASK: [document_bits(each) for each in DOCUMENTS],
    PROVIDER_MASK | CATEGORY_MASK: [
        provider_bits(p) | category_bits(c) for p in PROVIDERS for c in SOME
    ],
}
TYPES = sorted({resource["resourceType"] for _, resource in resources()})
QUERIES = (
    "Observation?_total=accurate",
    "Observation?_total=estimate&_count=3",
    "Observation?_sort=-date&_total=accurate",
    "Observation?_sort=value-quantity",
    "Observation?_sort=code",
    "Observation?code=http://loinc.org|8480-6&_sort=-date&_total=accurate",
    "Observation?code=http://loinc.org|8480-6&_total=accurate",
    "Observation?patient=p1&_total=accurate",
    "Observation?value-quantity=gt111&_total=accurate",
    "Observation?status:not=final",
    "Observation?date:missing=true&_total=accurate",
    "Observation?_id=o1-0,o2-1,o3-2",
    "Observation?_filter=not (status eq final) or encounter.class eq IMP",
    "Observation?encounter.class=IMP&_total=accurate",
    "Observation?patient.family=nov&_include=Observation:patient",
    "Observation?_id=o1-0&_include=Observation:*&_include:iterate=Encounter:service-provider",
    "Observation?_content=gluc&_total=accurate",
    "Encounter?_has:Observation:encounter:value-quantity=111",
    "Encounter?_revinclude=Observation:encounter&_total=accurate",
    "Patient?_has:Observation:patient:value-quantity=gt131",
    "Patient?_has:Observation:patient:code=http://loinc.org|8462-4&_total=accurate",
    "Patient?_has:Condition:patient:asserter=Practitioner/doctor",
    "Patient?_revinclude=Observation:patient",
    "Patient?_id=p1,p2&_revinclude=*",
    "Practitioner?_revinclude=Condition:asserter",
    "Practitioner?_has:Observation:performer:status=amended",
    "Condition?onset-date=gt2010&_sort=onset-date&_total=accurate",
    "Medication?_contained=true&_total=accurate",
    "MedicationRequest?medication.code=aspirin",
    "Provenance?target=Observation/o1-0",
    "Provenance?target:Observation.code=http://loinc.org|8480-6",
    "Composition?_sort=-date&_total=accurate",
)


def more() -> list[tuple[int, dict[str, Any]]]:
    found: list[tuple[int, dict[str, Any]]] = []
    for person in (1, 2, 3):
        subject = {"reference": f"Patient/p{person}"}
        found.append((person, {
            "resourceType": "Observation", "id": f"said{person}", "status": "final",
            "subject": subject, "code": {"text": "Glucose"},
        }))  # fmt: skip
        found.append((person, {
            "resourceType": "MedicationRequest", "id": f"in{person}", "status": "active",
            "intent": "order", "subject": subject, "medicationReference": {"reference": "#m"},
            "contained": [{"resourceType": "Medication", "id": "m",
                           "code": {"coding": [{"code": "aspirin"}]}}],
        }))  # fmt: skip
    return found


@pytest.fixture(scope="module")
async def world(module_database: Database) -> Database:
    made = [*resources(), *more()]
    await fill(module_database, made)
    await fill(module_database, [pair for pair in made if pair[0] in (1, 2, 3)][::2])
    await ask(module_database, "Observation?_content=gluc")
    # every row its own label, those of a resource's versions too
    for table in ("resource", "history"):
        await module_database.execute(
            f"update {table} t set label = ($1::bigint[])[1 + (rid * 7 + version * 5) % $2]",
            LABELS,
            len(LABELS),
        )
        await module_database.execute(f"create table twin_{table} as select * from {table}")
    await module_database.execute("create table twin_code_index as select * from code_index")
    return module_database


def levels() -> st.SearchStrategy[Level]:
    @st.composite
    def one(draw: st.DrawFn) -> Level:
        mask = draw(st.sampled_from(sorted(MASKS)))
        values = draw(st.lists(st.sampled_from(MASKS[mask]), unique=True, max_size=4))
        cut = draw(st.integers(0, len(values)))
        return Level(mask, frozenset(values[:cut]), frozenset(values[cut:]))

    return one()


VEILS = st.builds(Veil, st.lists(levels(), max_size=4).map(tuple), st.booleans())


@asynccontextmanager
async def without(world: Database, veils: Veils) -> AsyncIterator[int]:
    """The world as if what is held back had never been written; gives how many versions that is."""
    now = {
        (row["type"], row["id"]): row["label"]
        for row in await world.fetch("select type, id, label from resource")
    }
    gone: dict[str, list[tuple[int, str, int]]] = {"resource": [], "history": []}
    for table, found in gone.items():
        sql = f"select type, id, version, person, label from {table}"
        for row in await world.fetch(sql):
            type_ = RESOURCE_TYPES[row["type"]]
            there = now[row["type"], row["id"]]
            if any(hidden(veils, row["person"], type_, each) for each in (row["label"], there)):
                found.append((row["type"], row["id"], row["version"]))
    for table, found in gone.items():
        await world.execute(
            f"delete from {table} t using unnest($1::smallint[], $2::text[], $3::int[])"
            " as k(type, id, version)"
            " where t.type = k.type and t.id = k.id and t.version = k.version",
            *(zip(*found, strict=True) if found else ([], [], [])),
        )
    # the only index that is read without its resources
    await world.execute("delete from code_index where rid not in (select rid from resource)")
    try:
        yield sum(map(len, gone.values()))
    finally:
        await world.execute(
            "insert into code_index select t.* from twin_code_index t"
            " where t.rid not in (select rid from code_index)"
        )
        for table in gone:
            await world.execute(
                f"insert into {table} select t.* from twin_{table} t left join {table} r"
                " on r.type = t.type and r.id = t.id and r.version = t.version where r.id is null"
            )


def told(found: list[Stored]) -> list[tuple[str, str, int]]:
    return [(each.type, each.id, each.version) for each in found]


async def whole(db: Database, query: str, scope: Scope) -> list[Any]:
    """Every page of a search: matches, includes, total, whether more follow."""
    asked, seen = request(query), []
    cursor = None
    while True:
        again = request(query) if cursor is None else request(f"{query}&_cursor={cursor}")
        page = await search(db, again, scope, count=asked.count or 7, cursor_key=KEY)
        # what includes bring has no order of its own
        seen.append((told(page.matches), sorted(told(page.included)), page.total, bool(page.next)))
        cursor = page.next
        if cursor is None or len(seen) > 30:
            return seen


async def look(db: Database, veils: Veils) -> dict[str, Any]:
    """Everything there is, by every way to it."""
    few = frozenset({0, 1, 2, 3})
    found: dict[str, Any] = {}
    for query in QUERIES:
        found[query] = await whole(db, query, Scope(veils=veils))
        found[f"{query} of few"] = await whole(db, query, Scope(few, veils=veils))
        own = Scope(frozenset({0, 1}), together=True, veils=veils)
        found[f"{query} of one"] = await whole(db, query, own)
    found["persons"] = await persons(
        db, request("Observation?status=amended"), most=50, scope=Scope(veils=veils)
    )
    newest = await newest_of_each(
        db, request("Observation?status=final"), Scope(few, veils=veils), 2, most=500
    )
    assert newest is not None
    found["newest"] = told(newest)
    for persons_ in (None, frozenset({1, 2})):
        place: history.Place | None = None
        pages: list[Any] = []
        while not pages or place is not None:
            page, place = await history.walk(db, TYPES, persons_, Period(), place, 20, veils=veils)
            pages.append(told(page))
        found[f"history {persons_}"] = pages
        found[f"counted {persons_}"] = await history.counted(
            db, TYPES, persons_, Period(), 10_000, veils=veils
        )
    listed = [("Observation", "o1-0", None), ("Observation", "o2-0", 1), ("Condition", "c1", None)]
    found["listed"] = told((await history.walk(
        db, TYPES, None, Period(), None, 50, listed, veils=veils
    ))[0])  # fmt: skip
    for id_ in ("o1-0", "o1-2", "o2-0"):
        found[f"one {id_}"] = told((await history.of_one(
            db, "Observation", id_, Period(), None, 50, veils=veils
        ))[0])  # fmt: skip
        found[f"counted {id_}"] = await history.counted_of_one(
            db, "Observation", id_, Period(), veils=veils
        )
    after: RecordPlace | None = None
    for care in (None, Care()):
        rows: list[Any] = []
        while not rows or after is not None:
            page, after = await record.record(db, 1, TYPES, None, after, 6, care, veils=veils)
            rows.append(told(page))
        found[f"record {care}"] = rows
    everybody: EverybodyPlace | None = None
    rows = []
    while not rows or everybody is not None:
        page, everybody = await record.everybody(db, TYPES, None, everybody, 25, veils=veils)
        rows.append(told(page))
    found["everybody"] = rows
    found["encounter"] = told((await record.of_encounter(
        db, 1, "e1", "http://x/fhir", TYPES, None, None, 50, veils=veils
    ))[0])  # fmt: skip
    numbers = [TYPE_NUMBER[each] for each in TYPES]
    late = await db.fetchval("select max(updated) from twin_resource")
    first = await db.fetchval("select min(updated) from twin_resource where version > 1")
    for name, moment in (("now", late), ("then", first)):
        walked = walk.Walk(moment, None, numbers, deletions=True, veils=veils)
        found[f"export {name}"] = sorted(
            (row["rid"], row["version"]) for row in await walk.by_rows(db, walked, 0, 10**9)
        )
        found[f"export of persons {name}"] = [
            (row["rid"], row["version"]) for row in await walk.by_persons(db, walked, [1, 2], 0, 99)
        ]
    return found


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # an example is a whole world, too slow to be shrunk
)
@given(one=VEILS, two=VEILS, same=st.booleans())
async def test_a_world_with_veils_is_one_where_it_was_never_written(
    world: Database, one: Veil, two: Veil, same: bool
) -> None:
    veils = ((1, one), (2, one if same else two))
    with_veils = await look(world, veils)
    async with without(world, veils):
        twin = await look(world, ())
    for way, answer in with_veils.items():
        assert answer == twin[way], way


async def test_each_way_shows_something_that_a_veil_takes_away(world: Database) -> None:
    """The ways of the twins are no empty ones."""
    everything = await look(world, ())
    nothing = await look(world, tuple((person, Veil((), otherwise=True)) for person in range(1, 7)))
    same = {way for way in everything if everything[way] == nothing[way]}
    # of one person there is not everything
    assert {way for way in same if not way.endswith("of one")} == set()


@given(label=st.sampled_from(LABELS), veil=VEILS)
def test_a_patient_is_never_held_back(label: int, veil: Veil) -> None:
    patient = Stored("Patient", "p", 1, None, 1, False, b"", "PUT", label)  # type: ignore[arg-type]  # no time needed
    assert not patient.held_back(veil)
    assert not hidden(((1, veil),), 1, "Patient", label)
    other = Stored("Coverage", "c", 1, None, 1, False, b"", "PUT", label)  # type: ignore[arg-type]  # as above
    assert other.held_back(veil) == veil.holds_back(label) == hidden(((1, veil),), 1, "", label)
    assert not hidden(((2, veil),), 1, "Coverage", label)
    assert not other.held_back(None)


async def test_a_past_version_is_held_back_with_the_current_one(
    database: Database, clock: Clock
) -> None:
    committer = Committer(database, clock)
    for number, code in enumerate(("N", "R")):
        resource = {"resourceType": "Basic", "meta": {"security": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code,
        }]}}  # fmt: skip
        await committer.commit(WriteSet([Put("Basic", "b", 1, resource, expected=number)]))
    await committer.stop()
    restricted = Veil((Level(CONFIDENTIALITY_MASK, frozenset(), frozenset({1 << 6})),))
    first = await read_version(database, "Basic", "b", 1)
    assert first is not None
    assert (first.label & CONFIDENTIALITY_MASK) == 0
    assert first.held_back(restricted)
    page, _ = await history.of_one(
        database, "Basic", "b", Period(), None, 10, veils=((1, restricted),)
    )
    assert page == []


async def test_who_wrote_it_and_in_which_document_stays(database: Database, clock: Clock) -> None:
    committer = Committer(database, clock)

    async def write(
        resource: dict[str, Any] | None, said: int | None = None, person: int = 1
    ) -> int:
        await committer.commit(WriteSet([Put("Observation", "o", person, resource, label=said)]))
        found: int = await database.fetchval("select label from resource where id = 'o'")
        return found

    laboratory = {"resourceType": "Observation", "category": [{"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
        "code": "laboratory",
    }]}]}  # fmt: skip
    plain = {"resourceType": "Observation"}
    assert await write(laboratory) == label("laboratory-report")
    first = label("discharge-report", 1, "12345679", "chain")
    assert await write(plain, first) == first
    # somebody else's update: of what kind it is may change, whose it is does not
    assert await write(laboratory, label("laboratory-report", 0, "00000001")) == label(
        "laboratory-report", 0, "12345679", "chain"
    )
    assert await write(plain, first) == first
    assert await write(plain, first, person=2) == first
    assert await write(None) == first
    # written again it is new
    assert await write(plain, label("other", 0, "00000001")) == label("other", 0, "00000001")
    versions = await database.fetch("select label from history order by version")
    assert [row["label"] for row in versions][1] == first
    await committer.stop()


async def test_what_is_copied_in_has_its_label(database: Database, clock: Clock) -> None:
    put = Put("MedicationStatement", "m", 0, {"resourceType": "MedicationStatement"})
    made = tails(index(put), 5, clock(), 0, b"")
    rows = rows_of([(TYPE_NUMBER[put.type], put.id, made)])
    async with database.transaction() as connection:
        await take_names(connection, rows)
        await copy_rows(connection, rows, [1], clock())
    [row] = await database.fetch("select person, label, coded from resource")
    assert tuple(row) == (1, label("medication"), True)


async def test_one_comparison_a_level_whatever_is_held_back(world: Database) -> None:
    """200 consents are as many numbers in an array, not as many conditions."""
    many = Veil((
        Level(DOCUMENT_MASK, frozenset(), frozenset(document_bits(f"d{n}") for n in range(200))),
        Level(CATEGORY_MASK, frozenset(), frozenset({category_bits("medication")})),
    ))  # fmt: skip
    statements: list[str] = []
    real = Database.ask

    async def noted(self: Database, sql: str, *args: Any, kept: bool = False) -> Any:
        statements.append(sql)
        return await real(self, sql, *args, kept=kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "ask", noted)
        scope = Scope(frozenset({0, 1}), veils=((1, many),))
        await ask(world, "Observation?patient=p1&status=final", scope)
        assert len({len(sql) for sql in statements}) == 1
        assert all(sql.count("case when") == 1 for sql in statements)
        assert max(map(len, statements)) < 1_200
        statements.clear()
        await ask(world, "Observation?patient=p1", Scope(frozenset({0, 1})))
        assert all("label &" not in sql for sql in statements)


def test_categories_keep_their_numbers() -> None:
    """They are in the database."""
    assert CATEGORIES[:8] == (
        "other", "identification", "patient-summary", "ambulatory-report", "laboratory-order",
        "laboratory-report", "imaging-order", "imaging-report",
    )  # fmt: skip


async def test_ids_of_what_is_shown(world: Database) -> None:
    mine = Veil((Level(CATEGORY_MASK, frozenset({category_bits("medication")}), frozenset()),),
                otherwise=True)  # fmt: skip
    shown = await ids(world, "Observation?patient=p1", Scope(veils=((1, mine),)))
    rows = await world.fetch(
        "select id from resource where type = $1 and person = 1 and label & $2 = $3",
        TYPE_NUMBER["Observation"],
        CATEGORY_MASK,
        category_bits("medication"),
    )
    assert sorted(shown) == sorted(row["id"] for row in rows)
