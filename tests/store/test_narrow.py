"""What narrows a search means the same in SQL and of a body: no hit more, none less."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from pater.access.scopes import ScopeError, conditions_of
from pater.fhir.search.index import index_values
from pater.fhir.search.narrowing import Narrowing
from pater.fhir.search.query import SearchRequest
from pater.fhir.search.values import OPEN_HIGH, OPEN_LOW, IndexValues
from pater.store.database import Database
from pater.store.search import Scope, search
from pater.store.write import Committer, Put, WriteSet
from tests.conftest import Clock
from tests.shared_data import load, r4_examples

KEY = b"k" * 32
CASES = 500
Json = dict[str, Any]
Argument = tuple[str, str]


def escaped(text: str) -> str:
    for mark in "\\,|$":
        text = text.replace(mark, f"\\{mark}")
    return text


def arguments(index: IndexValues, rng: random.Random) -> list[Argument]:
    """Scope arguments that the resource meets, or nearly: of every kind of parameter."""
    found: list[Argument] = []
    for token in index.tokens:
        if ":" in token.param or not token.code:
            continue
        value = escaped(token.code)
        if token.system and rng.random() < 0.7:
            value = f"{escaped(token.system)}|{value}"
        found.append((token.param + rng.choice(("", "", ":not")), value))
    for reference in index.references:
        if reference.id:
            found.append((reference.param, f"{reference.type}/{reference.id}"))
        elif reference.url:
            found.append((reference.param, escaped(reference.url)))
    for string in index.strings:
        if len(string.value) < 60:
            found.append((string.param + rng.choice(("", ":contains")), escaped(string.value)))
    for span in index.dates:
        moment = span.high if span.low == OPEN_LOW else span.low
        if moment != OPEN_HIGH:
            prefix = rng.choice(("", "ge", "le", "gt", "lt", "sa", "eb", "ne"))
            found.append((span.param, f"{prefix}{moment.date().isoformat()}"))
    for number in index.numbers:
        if not number.code and abs(number.low) < 1e9:
            prefix = rng.choice(("ge", "le", "gt", "lt", "ne"))
            found.append((number.param, f"{prefix}{number.low:.4f}"))
    for uri in index.uris:
        found.append((uri.param, escaped(uri.value)))
    params = {param for param, _ in found}
    found += [(f"{p.partition(':')[0]}:missing", rng.choice(("true", "false"))) for p in params]
    return found


async def test_sql_and_body_agree_over_the_examples_of_r4(database: Database, clock: Clock) -> None:
    by_type: dict[str, list[Json]] = defaultdict(list)
    seen = set()
    for body in r4_examples().values():
        resource = load(body)
        key = (resource.get("resourceType"), resource.get("id"))
        if key not in seen and all(key):
            seen.add(key)
            by_type[resource["resourceType"]].append(resource)
    committer = Committer(database, clock)
    for type_, resources in by_type.items():
        await committer.commit(WriteSet([Put(type_, each["id"], 0, each) for each in resources]))
    await committer.stop()

    rng = random.Random(3)
    cases: list[tuple[str, tuple[tuple[Argument, ...], ...]]] = []
    for type_, resources in sorted(by_type.items()):
        held = [one for each in resources for one in arguments(index_values(type_, each), rng)]
        for one in rng.sample(held, min(len(held), 12)):
            cases.append((type_, ((one,),)))
        if len(held) > 3:
            both, other = tuple(rng.sample(held, 2)), (rng.choice(held),)
            cases.append((type_, (both,)))
            cases.append((type_, (both, other)))
    rng.shuffle(cases)
    met = 0
    for type_, alternatives in cases[:CASES]:
        try:
            conditions = tuple(conditions_of(type_, each) for each in alternatives)
        except ScopeError:
            continue  # a value that cannot be written as an argument
        narrow = Narrowing({type_: conditions})
        expected = {each["id"] for each in by_type[type_] if narrow.holds(type_, each)}
        request = SearchRequest(type_, total="accurate")
        page = await search(database, request, Scope(narrow=narrow), count=1000, cursor_key=KEY)
        assert {each.id for each in page.matches} == expected, (type_, alternatives)
        assert page.total == len(expected), (type_, alternatives)
        met += bool(expected)
    assert met > CASES // 2
