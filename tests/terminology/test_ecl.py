"""Expression constraints over loaded concepts, beside sets worked out by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.store.database import Database
from pater.terminology import ecl
from pater.terminology.loading import Row, System, arranged, load
from pater.terminology.model import BadFilterError, Filter, Query
from pater.terminology.service import Terminology
from pater.terminology.table_system import SNOMED, LoadedSystems
from tests.conftest import fresh_database

SITE, CAUSE = "363698007", "246075003"
CONCEPTS = [str(100_000 + n) for n in range(40)]


class Model:
    """A small hierarchy with several parents and attributes, as plain sets."""

    def __init__(self) -> None:
        chance = random.Random(11)
        self.parents: dict[str, set[str]] = {CONCEPTS[0]: set()}
        self.values: dict[str, set[tuple[str, str]]] = {code: set() for code in CONCEPTS}
        for place, code in enumerate(CONCEPTS[1:], start=1):
            above = CONCEPTS[:place]
            self.parents[code] = set(chance.sample(above, k=min(place, chance.choice([1, 1, 2]))))
            for name in (SITE, CAUSE):
                if chance.random() < 0.4:
                    self.values[code].add((name, chance.choice(above)))
        self.inactive = {CONCEPTS[-1]}

    def above(self, code: str) -> set[str]:
        found = set(self.parents.get(code, ()))
        return found.union(*(self.above(each) for each in found)) if found else found

    def around(self, op: str, code: str) -> set[str]:
        """What an operator and a concept mean."""
        if code not in self.parents:
            return set()
        found = set()
        match op.rstrip("!")[:1], op.endswith("!"):
            case "<", False:
                found = {each for each in CONCEPTS if code in self.above(each)}
            case "<", True:
                found = {each for each in CONCEPTS if code in self.parents[each]}
            case ">", False:
                found = self.above(code)
            case ">", True:
                found = set(self.parents[code])
        return (found | {code} if op[:2] in ("", "<<", ">>") else found) - self.inactive

    def any_expression(self, chance: random.Random, depth: int = 0) -> tuple[str, set[str]]:
        """An expression and what it means."""
        kind = chance.random()
        if depth > 2 or kind < 0.35:
            code = chance.choice([*CONCEPTS, "999999", "*"])
            if code == "*":
                return "*", set(CONCEPTS) - self.inactive
            op = chance.choice(["", "<", "<<", "<!", "<<!", ">", ">>", ">!", ">>!"])
            term = chance.choice(["", " |a (b) AND c|", " | x |"])
            return f"{op} {code}{term}", self.around(op, code)
        if kind < 0.45:
            codes = chance.sample(CONCEPTS, k=2)
            op = chance.choice(["<", "<<", ">!"])
            meant = self.around(op, codes[0]) | self.around(op, codes[1])
            return f"{op}({codes[0]} OR {codes[1]})", meant
        first, one = self.any_expression(chance, depth + 1)
        if kind < 0.7:
            parts, meant = [], set(one)
            for _ in range(chance.choice([1, 2])):
                name, sign = chance.choice([SITE, CAUSE]), chance.choice(["=", "!="])
                value, among = self.any_expression(chance, depth + 1)
                parts.append(f"{name} |site| {sign} ({value})")
                meant &= {
                    code
                    for code in CONCEPTS
                    for held, target in self.values[code]
                    if held == name and (target in among) is (sign == "=")
                }
            return f"({first}) : {chance.choice([', ', ' and ']).join(parts)}", meant
        second, other = self.any_expression(chance, depth + 1)
        match word := chance.choice(["AND", "or", "MINUS", ","]):
            case "or":
                found = one | other
            case "MINUS":
                found = one - other
            case _:
                found = one & other
        return f"({first}) {word} /* so */ ({second})", found


@pytest.fixture(scope="module")
async def loaded(postgres: object, template: str) -> AsyncIterator[tuple[Database, Model]]:
    model = Model()
    rows = [
        Row(code, f"concept {code}", parents=sorted(model.parents[code]),
            inactive=code in model.inactive,
            properties=[(name, "valueCode", value) for name, value in sorted(model.values[code])])
        for code in CONCEPTS
    ]  # fmt: skip
    async with fresh_database(postgres, template) as db:  # type: ignore[arg-type]  # the session's
        system = System(SNOMED, "1", "S", "S", properties=((SITE, "", "code"), (CAUSE, "", "code")))
        await load(db, system, arranged(rows), digest="d", now=datetime(2026, 1, 1, tzinfo=UTC))
        yield db, model


async def test_expressions_mean_what_their_sets_say(loaded: tuple[Database, Model]) -> None:
    db, model = loaded
    [system] = await LoadedSystems(db).versions(SNOMED)
    chance = random.Random(5)
    sizes = set()
    for _ in range(150):
        text, meant = model.any_expression(chance)
        meant -= model.inactive
        filters = (Filter("constraint", "=", text),)
        page = await system.page(Query(filters, limit=100))
        assert {each.code for each in page.concepts} == meant, text
        assert await system.among(CONCEPTS, filters) == meant, text
        sizes.add(len(meant))
    assert len(sizes) > 8


async def test_an_implicit_value_set_is_asked_by_its_address(
    loaded: tuple[Database, Model],
) -> None:
    db, model = loaded
    terms = Terminology(db)
    top = CONCEPTS[1]
    url = f"{SNOMED}?fhir_vs=ecl/{quote(f'< {top} |x| MINUS < {CONCEPTS[5]}', safe='')}"
    members = model.around("<", top) - model.around("<", CONCEPTS[5])
    for code in CONCEPTS:
        verdict = await terms.validate_code(url, SNOMED, code)
        assert verdict.ok is (code in members), code


@pytest.mark.parametrize(
    "text",
    ["", "<", "< abc", "^ 700043003", "< 100001 OR < 100002 AND < 100003", "(< 100001",
     "< 100001 : { 363698007 = * }", "< 100001 : [1..1] 363698007 = *", "< (100001 AND 100002)",
     "100001 100002", "< 100001 {{ term = \"x\" }}", "100001 MINUS 100002 MINUS 100003",
     "<" * 30, "(" * 3_000, "1" * 20_000, " OR ".join(["100001"] * 600)],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(BadFilterError):
        ecl.parse(text)


@given(st.text(alphabet="<>!=:,()*| andorminus0123456789{}[]^/", max_size=60))
def test_any_text_is_a_tree_or_refused(text: str) -> None:
    try:
        tree = ecl.parse(text)
    except BadFilterError:
        return
    added: list[object] = []

    def add(value: object) -> str:
        added.append(value)
        return f"${len(added)}"

    known = {code: ecl.Known(1, [2], [2, 3]) for code in ecl.codes(tree)}
    sql = ecl.condition(tree, known, add)
    assert sql.count("(") == sql.count(")")
