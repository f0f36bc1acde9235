"""What a caller may not see takes no part in a search: not in matches, chains, includes, totals."""

from __future__ import annotations

import pytest

from pater.fhir.search.query import SearchError
from pater.store.database import Database
from pater.store.search import Scope
from pater.store.search import rows as search_rows
from pater.store.search.include import INCLUDE_LIMIT
from tests.store.search_world import Json, ask, fill, ids, resources

OWN = Scope(persons=frozenset({2}))
OWN_AND_COMMON = Scope(persons=frozenset({0, 2}))


@pytest.fixture(scope="module")
async def world(module_database: Database) -> Database:
    await fill(module_database, resources())
    return module_database


async def test_matches_and_totals_are_of_the_scope_only(world: Database) -> None:
    assert await ids(world, "Patient", OWN) == ["p2"]
    page = await ask(world, "Observation?_total=accurate", OWN)
    assert page.total == 5
    assert {each.person for each in page.matches} == {2}
    assert (await ask(world, "Observation?_total=estimate", OWN, count=1)).total == 5
    assert (await ask(world, "Patient?family:contains=a&_total=accurate", OWN)).total == 1


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_id=p1",
        "Patient?identifier=1000000001",
        "Observation?patient=p1",
        "Observation?subject=p1",
        "Observation?patient.identifier=1000000001",
        "Patient?_has:Observation:patient:value-quantity=gt161",
        "Encounter?_has:Observation:encounter:value-quantity=111",
        "Observation?encounter.class=IMP",
        "Organization",
        "Organization?_has:Patient:organization:_id=p2",
        "Patient?organization.name=poli",
    ],
)
async def test_others_are_invisible(world: Database, query: str) -> None:
    page = await ask(world, f"{query}&_total=accurate" if "?" in query else query, OWN)
    assert page.matches == []
    assert page.total in (0, None)
    assert page.next is None


async def test_a_chain_through_a_withheld_resource_finds_nothing(world: Database) -> None:
    # The Encounter's provider belongs to nobody: a scope without person 0 cannot look through it.
    assert await ids(world, "Encounter?service-provider.name=fakult", OWN) == []
    assert await ids(world, "Encounter?service-provider.name=fakult", OWN_AND_COMMON) == ["e2"]


async def test_excluded_types_take_no_part(world: Database) -> None:
    scope = Scope(exclude_types=frozenset({"Observation", "Organization"}))
    assert await ids(world, "Observation", scope) == []
    assert await ids(world, "Patient?_has:Observation:patient:status=final", scope) == []
    assert await ids(world, "Patient?organization.name=poli", scope) == []
    page = await ask(
        world, "Patient?_id=p1&_include=Patient:organization&_revinclude=Observation:patient", scope
    )
    assert [each.id for each in page.matches] == ["p1"]
    assert page.included == []


async def test_no_persons_at_all_means_nothing(world: Database) -> None:
    page = await ask(world, "Organization?_total=accurate", Scope(persons=frozenset()))
    assert (page.matches, page.total) == ([], 0)


async def test_pages_stay_in_the_scope(world: Database) -> None:
    everybody = await ask(world, "Observation?_sort=-date", count=2)
    assert everybody.next
    rest = await ask(world, "Observation?_sort=-date", OWN, cursor=everybody.next)
    assert rest.matches
    assert {each.person for each in rest.matches} == {2}


async def test_include(world: Database) -> None:
    page = await ask(world, "Observation?_id=o1-0&_include=Observation:encounter")
    assert [each.id for each in page.included] == ["e1"]
    page = await ask(world, "Observation?patient=p1&_include=Observation:*")
    assert {each.id for each in page.included} == {"p1", "e1", "doctor"}
    page = await ask(world, "Observation?_id=o1-0&_include=Observation:subject:Group")
    assert page.included == []


async def test_include_iterates(world: Database) -> None:
    page = await ask(
        world,
        "Observation?_id=o1-0&_include=Observation:patient"
        "&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
    )
    assert {each.id for each in page.included} == {"p1", "clinic", "hospital"}


async def test_revinclude(world: Database) -> None:
    page = await ask(
        world, "Patient?_id=p1&_revinclude=Condition:patient&_revinclude=Provenance:target"
    )
    assert {each.id for each in page.included} == {"c1", "prov"}


async def test_an_included_match_is_not_told_twice(world: Database) -> None:
    page = await ask(world, "Organization?_include=Organization:partof")
    assert {each.id for each in page.matches} == {"hospital", "clinic"}
    assert page.included == []


async def test_includes_hide_what_the_scope_hides(world: Database) -> None:
    query = "Observation?patient=p2&_include=Observation:*&_revinclude=Provenance:target"
    assert {each.id for each in (await ask(world, query, OWN)).included} == {"p2", "e2"}
    common = (await ask(world, query, OWN_AND_COMMON)).included
    assert {each.id for each in common} == {"p2", "e2", "doctor"}
    # The Practitioner of all: nothing of other people comes back through it.
    query = "Practitioner?_revinclude=Condition:asserter"
    assert {each.id for each in (await ask(world, query, OWN_AND_COMMON)).included} == {"c2"}


async def test_deleted_resources_are_not_found(database: Database) -> None:
    await fill(database, resources())
    await database.execute(
        "update resource set deleted = true, tokens = '{}', body = '' where id in ('p3', 'e2')"
    )
    assert "p3" not in await ids(database, "Patient")
    assert await ids(database, "Patient?_id=p3") == []
    assert await ids(database, "Observation?patient.identifier=1000000003") == []
    page = await ask(database, "Observation?patient=p2&_include=Observation:encounter")
    assert len(page.matches) == 5
    assert page.included == []


async def test_too_many_included_are_refused_and_not_cut(database: Database) -> None:
    made: list[tuple[int, Json]] = [(1, {"resourceType": "Patient", "id": "p"})]
    await fill(database, made)
    await database.execute(
        "insert into resource select person, $1::smallint, 'x' || n, 1000000 + n, version, updated,"
        " method, deleted, date, date_end, array[$2::bigint], dict, body"
        " from resource, generate_series(1, $3::int) n",
        *_many(),
    )
    with pytest.raises(SearchError) as refused:
        await ask(database, "Patient?_revinclude=Observation:patient")
    assert refused.value.issues[0].code == "too-costly"


def _many() -> tuple[int, int, int]:
    from pater.fhir.definitions import TYPE_NUMBER
    from pater.store.tokens import reference_hash

    hashed = reference_hash("Observation", "patient", "Patient", "p")
    return TYPE_NUMBER["Observation"], hashed, INCLUDE_LIMIT + 1


async def test_what_belongs_to_nobody_takes_part_by_type(world: Database) -> None:
    none = Scope(persons=frozenset({0, 2}), ownerless=frozenset())
    shared = Scope(persons=frozenset({0, 2}), ownerless=frozenset({"Organization"}))
    chained = "Encounter?service-provider.name=fakult"
    included = "Encounter?_id=e2&_include=Encounter:service-provider"
    for scope, found in ((none, []), (shared, ["e2"])):
        assert await ids(world, chained, scope) == found
        assert bool((await ask(world, included, scope)).included) is bool(found)
        total = (await ask(world, "Organization?_total=accurate", scope)).total
        assert bool(total) is bool(found)


async def test_a_page_of_bodies_too_large_is_refused(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_rows, "MOST_BYTES", 100)
    with pytest.raises(SearchError) as refused:
        await ask(world, "Observation", OWN)
    assert [issue.code for issue in refused.value.issues] == ["too-costly"]
