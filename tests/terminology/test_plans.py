"""The questions to a large code system use the indexes that were made for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from pater.store.database import Database
from pater.terminology.loading import Row, System, arranged, load
from tests.conftest import fresh_database

URL = "http://example.org/large"


@pytest.fixture(scope="module")
async def large(postgres: object, template: str) -> AsyncIterator[tuple[Database, int]]:
    """Eight thousand concepts in a tree, and the number of their system."""
    rows = [
        Row(f"c{n}", f"name{n % 997} word{n}", parents=[f"c{(n - 1) // 5}"] if n else [],
            properties=[("kind", "valueCode", f"k{n % 500}")])
        for n in range(8_000)
    ]  # fmt: skip
    async with fresh_database(postgres, template) as db:  # type: ignore[arg-type]  # the session's
        system = System(URL, "1", "Large", "Large", properties=(("kind", "", "code"),))
        await load(db, system, arranged(rows), digest="d", now=datetime(2026, 1, 1, tzinfo=UTC))
        yield db, await db.fetchval("select id from term_system")


async def _indexes(db: Database, sql: str, *args: object) -> set[str]:
    plan = json.loads(await db.fetchval(f"explain (format json) {sql}", *args))
    found: set[str] = set()

    def walk(node: dict[str, object]) -> None:
        if "Index Name" in node:
            found.add(str(node["Index Name"]))
        for inner in node.get("Plans", ()):  # type: ignore[attr-defined]  # of a plan
            walk(inner)

    walk(plan[0]["Plan"])
    return found


@pytest.mark.parametrize(
    ("condition", "argument", "index"),
    [
        ("code = $2", "c7000", "term_concept_code"),
        ("lower(code) = $2", "c7000", "term_concept_folded"),
        ("words @@ $2::text::tsquery", "'word1999':*", "term_concept_words"),
        ("ancestors @> array[$2::int]", 1_500, "term_concept_ancestors"),
        ("parents @> array[$2::int]", 1_500, "term_concept_parents"),
    ],
)
async def test_concepts_are_found_by_index(
    large: tuple[Database, int], condition: str, argument: object, index: str
) -> None:
    db, number = large
    sql = f"select nr from term_concept where system = $1 and {condition}"
    assert index in await _indexes(db, sql, number, argument)


async def test_properties_are_found_by_index(large: tuple[Database, int]) -> None:
    db, number = large
    sql = "select nr from term_property where system = $1 and code = $2 and left(value, 200) = $3"
    assert "term_property_value" in await _indexes(db, sql, number, "kind", "k7")
    sql = "select value from term_property where system = $1 and nr = any($2)"
    assert "term_property_nr" in await _indexes(db, sql, number, [5, 6])


async def test_loading_leaves_no_pending_list(large: tuple[Database, int]) -> None:
    db, _ = large
    for index in ("words", "ancestors", "parents"):
        cleaned = await db.fetchval(
            "select gin_clean_pending_list($1::text::regclass)", f"term_concept_{index}"
        )
        assert cleaned == 0
