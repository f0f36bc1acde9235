"""Beneath the wall, and with veils, every search still begins at the index that it had."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.labels import CATEGORY_MASK, DOCUMENT_MASK, Level, Veil, document_bits
from pater.store.database import Database
from pater.store.search import Scope
from pater.store.search.rows import Reader
from tests.store.search_world import LOINC, RID, ask
from tests.store.test_search_plans import large

__all__ = ["large"]

VEIL = Veil((
    Level(DOCUMENT_MASK, frozenset(), frozenset(document_bits(f"d{n}") for n in range(200))),
    Level(CATEGORY_MASK, frozenset({1}), frozenset({9})),
))  # fmt: skip
ORGANIZATION, FIRST = TYPE_NUMBER["Organization"], 10**15
# Nobody's rows are as many as everybody's: directories are.
OWN = Scope(frozenset({0, 7}))
VEILED = Scope(frozenset({0, 7}), veils=((7, VEIL),))
PLANS = [
    ("Observation?patient=p7", "resource_person"),
    (f"Observation?patient=p7&code={LOINC}|common&_sort=-date&_total=accurate", "resource_person"),
    (f"Observation?patient.identifier={RID}|7&_sort=-date", "resource_(person|tokens)"),
    (f"Patient?identifier={RID}|7", "resource_(person|tokens)"),
    ("Patient?family=f050", "string_index_value|resource_person"),
    ("Patient?_id=p7", "resource_(key|person)"),
    ("Observation?_content=needle", "text_index_|resource_person"),
    (f"Patient?_has:Observation:patient:code={LOINC}|common", "resource_person"),
    (f"Organization?identifier={RID}|7", "resource_tokens"),
]


@pytest.fixture(scope="module")
async def peopled(large: Database) -> Database:
    """With a directory of nobody's, as large as a register."""
    await large.execute(
        "insert into resource (person, type, id, rid, version, updated, method, deleted, tokens,"
        " dict, body, coded) select 0, $1, 'org' || n, 1000000 + n, 1, now(), 'C', false,"
        " array[$2::bigint + n], 0, '', true from generate_series(1, 20000) n",
        ORGANIZATION,
        FIRST,
    )
    await large.execute("vacuum analyze resource")
    return large


@pytest.mark.parametrize("scope", [OWN, VEILED], ids=["wall", "wall and veil"])
@pytest.mark.parametrize(("query", "index"), PLANS)
async def test_plan(
    peopled: Database, monkeypatch: pytest.MonkeyPatch, query: str, index: str, scope: Scope
) -> None:
    seen: list[str] = []
    fetch = Reader.fetch

    async def explained(self: Reader, sql: str, *args: Any, kept: bool = False) -> Any:
        if kept:
            async with self._db._walled_kept.lend("0,7") as connection:
                await connection.execute("prepare walled as " + sql)
                values = f"({', '.join(['null'] * len(args))})" if args else ""
                lines = await connection.fetch("explain execute walled" + values)
                await connection.execute("deallocate walled")
        else:
            lines = await fetch(self, "explain " + sql, *args)
        seen.append("\n".join(line[0] for line in lines))
        return [] if "r.body" in sql else await fetch(self, sql, *args, kept=kept)

    monkeypatch.setattr(Reader, "fetch", explained)
    await ask(peopled, query, scope, count=20)
    assert seen
    for plan in seen:
        assert "wall_persons" in plan or "InitPlan" in plan, plan
        assert "Seq Scan on resource" not in plan, plan
    assert any(re.search(index, plan) for plan in seen), seen
