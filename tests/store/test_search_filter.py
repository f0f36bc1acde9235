"""`_filter`: and, or, not over every kind of condition; the index and the bodies always agree."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.fhir.json import parse
from pater.fhir.search.index import index_values
from pater.fhir.search.query import SearchError, meets, parse_search
from pater.store.database import Database
from pater.store.search import Scope
from tests.store.search_world import LOINC, ask, fill, ids, request, resources


@pytest.fixture(scope="module")
async def world(module_database: Database) -> Database:
    await fill(module_database, resources())
    return module_database


async def found(db: Database, type_: str, text: str, scope: Scope | None = None) -> set[str]:
    quoted = text.replace("%", "%25").replace("&", "%26").replace("+", "%2B")
    return set(await ids(db, f"{type_}?_filter={quoted}", scope or Scope()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('family eq "novak"', {"p1", "p3"}),
        ('family eq "Nov"', set()),
        ('family sw "Nov"', {"p1", "p2", "p3"}),
        ('family co "vor"', {"p5"}),
        ('family ew "KOVA"', {"p2"}),
        ('family ne "novak"', {"p2", "p4", "p5", "p6"}),
        ("gender eq female", {"p2", "p6"}),
        ("not(gender eq female)", {"p1", "p3", "p4", "p5"}),
        ("birthdate pr false", {"p4"}),
        ("not (birthdate ge 1950)", {"p4"}),
        ("birthdate eq 1961", {"p2", "p5"}),
        ("birthdate lt 1961 or gender eq female", {"p1", "p2", "p6"}),
        ("gender eq male and birthdate gt 1960", {"p3", "p5"}),
        ("gender eq male and (birthdate lt 1960 or birthdate gt 1980)", {"p1", "p3"}),
        # from left to right, neither binds closer
        ("birthdate lt 1960 or birthdate gt 1980 and gender eq female", {"p6"}),
        ("birthdate lt 1960 or (birthdate gt 1980 and gender eq female)", {"p1", "p6"}),
        ("_id eq p3 or _id eq p4", {"p3", "p4"}),
        ("organization eq Organization/clinic and not(_id ne p1)", {"p1"}),
        ('organization.name sw "poli" and family sw "dv"', {"p5"}),
        ('not(organization.partof.name sw "fakultni") or _id eq p1', {"p1"}),
        ("_has:Condition:subject:onset-date ge 2015 or _id eq p1", {"p1", "p5", "p6"}),
        ("birthdate po 1999-05", {"p3"}),
    ],
)
async def test_filters_of_patients(world: Database, text: str, wanted: set[str]) -> None:
    assert await found(world, "Patient", text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("value-quantity gt 163 or value-quantity lt 111", {"o1-0", "o6-4"}),
        ("not(value-quantity lt 163)", {"o6-3", "o6-4", "group"}),
        (f"code eq {LOINC}|8480-6 and value-quantity gt 160", {"o6-2"}),
        ("date pr false and subject eq Patient/p1 or _id eq group", {"o1-4", "group"}),
        ("value-quantity eq 22.66474|http://unitsofmeasure.org|kPa and subject re Patient/p6 "
         "or _id eq o1-0", {"o1-0"}),
        ("value-quantity ap 133|http://unitsofmeasure.org|mm[Hg] and not(value-quantity lt 140)",
         {"o4-0", "o4-1", "o4-2", "o4-3", "o4-4"}),
    ],
)  # fmt: skip
async def test_filters_of_observations(world: Database, text: str, wanted: set[str]) -> None:
    assert await found(world, "Observation", text) == wanted


async def test_a_filter_sees_only_who_may_be_seen(world: Database) -> None:
    scope = Scope(frozenset({1, 2}))
    assert await found(world, "Patient", "not(gender eq female)", scope) == {"p1"}
    text = 'gender eq female or not(family co "x")'
    page = await ask(world, f"Patient?_filter={text}&_total=accurate", scope, count=1)
    assert (page.total, len(page.matches)) == (2, 1)


async def test_pages_and_totals_of_a_filter(world: Database) -> None:
    query = "Observation?_filter=not(status eq final) or value-quantity ge 150&_total=accurate"
    whole = await ask(world, query)
    assert whole.total == len(whole.matches)
    seen, cursor = [], ""
    while True:
        page = await ask(world, query, count=4, cursor=cursor)
        assert page.total == whole.total
        seen += [each.id for each in page.matches]
        if page.next is None:
            break
        cursor = page.next
    assert seen == [each.id for each in whole.matches]


@pytest.mark.parametrize(
    "text",
    ["", "(", "family", "family eq", "family xx a", "family eq a and", "(family eq a", "a eq b",
     "family eq a b", "not family eq a", "name[use eq official].family eq a", 'family eq "a',
     "gender gt a", "birthdate sw 2", "family.x eq a", "family:exact eq a", "()", ")",
     "birthdate eq x", "birthdate pr maybe", "value-quantity eq 1", "(" * 30 + "_id eq a",
     " or ".join(["_id eq a"] * 70), "link.name eq a or family eq", "family eq a AND family eq b"],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(SearchError):
        request(f"Patient?_filter={text}")


PIECES = ["family", "eq", "and", "or", "not", "(", ")", '"a', '"', " ", "birthdate", "ge", "2020",
          "_has:Observation:subject:code", ".", "name", "pr", "true", "[", "]", "\\", "|", "ne",
          "general-practitioner", "_content", "in", "co", "$", ",", "_id", ":", "é"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        made = parse_search("Patient", [("_filter", text)], whole=True)
    except SearchError as refused:
        assert refused.issues
    else:
        assert made.conditions or made.filter


LEAVES = [
    'family sw "no"', 'family eq "novak"', 'family ew "ak"', 'given co "a"', "gender eq male",
    "birthdate ge 1961", "birthdate pr true", "birthdate ne 1961", "_id eq p2", 'family ne "x"',
    "identifier eq plain", "birthdate eq 1999-01-01", "active pr false",
    "birthdate sa 1961-07-12", "_lastUpdated gt 2000", "_content co jana", "gender co x",
    "birthdate ap 1961", "birthdate le 1961-07",
]  # fmt: skip


def filters() -> st.SearchStrategy[str]:
    def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        two = st.tuples(inner, st.sampled_from(("and", "or")), inner)
        return inner.map(lambda each: f"not({each})") | two.map(
            lambda each: f"({each[0]}) {each[1]} ({each[2]})"
        )

    return st.recursive(st.sampled_from(LEAVES), wider, max_leaves=6)


@given(text=filters())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_the_index_finds_what_the_bodies_say(world: Database, text: str) -> None:
    made = request(f"Patient?_filter={text}")
    page = await ask(world, f"Patient?_filter={text}&_total=accurate")
    whole = await ask(world, "Patient")
    wanted = set()
    for stored in whole.matches:
        resource = parse(stored.body)
        index = index_values("Patient", resource)
        every = [*made.conditions, *([made.filter] if made.filter else [])]
        if all(meets(node, resource, index) for node in every):
            wanted.add(stored.id)
    assert {each.id for each in page.matches} == wanted
    assert page.total == len(wanted)
