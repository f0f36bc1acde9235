"""The questions to a large code system use the indexes that were made for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from pater.store.database import Database
from pater.terminology import by_words
from pater.terminology.loading import Row, System, arranged, load
from pater.terminology.model import Filter, Query
from pater.terminology.table_system import LoadedSystems
from pater.terminology.words import asked
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


_TEXTS = (
    "name", "w", "word79", "word7999", "name5 word", "name5 word1", "n zzz", "zzz", "c", "c7",
    "name3 c41",
)  # fmt: skip


@pytest.mark.parametrize("walk", [5_000, 50, 60, 10_000])
@pytest.mark.parametrize("filters", [(), (Filter("concept", "is-a", "c3"),)])
async def test_a_text_filter_finds_the_same_whichever_way_it_takes(
    large: tuple[Database, int],
    monkeypatch: pytest.MonkeyPatch,
    walk: int,
    filters: tuple[Filter, ...],
) -> None:
    """Beside the bare statement: pages of every size and place, and totals where there are any."""
    db, number = large
    monkeypatch.setattr(by_words, "WALK", walk)
    monkeypatch.setattr(by_words, "WALKED", walk * 4)
    monkeypatch.setattr(by_words, "FEW", walk % 100 * 40)
    [system] = await LoadedSystems(db).versions(URL)
    below = "and (ancestors @> array[$3::int] or nr = $3)" if filters else ""
    root = await db.fetchval(
        "select nr from term_concept where system = $1 and code = 'c3'", number
    )
    for text in _TEXTS:
        words = asked(text)
        every = await db.fetch(
            "select code from term_concept where system = $1 and words @@ $2::text::tsquery"
            f" {below} order by nr",
            number,
            " & ".join(f"'{word}':*" for word in words),
            *([root] if filters else []),
        )
        codes = [row["code"] for row in every]
        for offset, limit in ((0, 5), (0, 100), (3, 7), (1_200, 10), (9_000, 10), (0, 0)):
            page = await system.page(Query(filters, words, False, offset, limit, bare=True))
            found = [each.code for each in page.concepts]
            assert found == codes[offset : offset + limit], (text, offset, limit)
            assert page.total in (None, len(codes)), (text, offset, limit)
            assert page.total is not None or len(codes) > 300, text
