"""Contained resources found by themselves (`_contained`): by their containers, newest first.

The index gives the containers that have a resource of the type with the codes, references and
URIs that are asked for; their bodies decide. A page reads at most STEP × ROUNDS of them and says
where to go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.json import dumps, parse
from pater.fhir.search.contained import ANYWHERE, contained_resources, here, inside
from pater.fhir.search.index import index_values
from pater.fhir.search.query import Condition, SearchRequest, TokenTerm, matches
from pater.store.read import Stored
from pater.store.search.cursor import Position
from pater.store.search.errors import too_costly
from pater.store.search.include import whose
from pater.store.search.rows import Reader
from pater.store.search.sql import Args, condition_hashes
from pater.store.search.where import ROW, Scope
from pater.store.tokens import code_hash

PHASE: Final = 9
"""The phase of a cursor that stands among containers."""
STEP: Final = 200
ROUNDS: Final = 10
MOST_COUNTED: Final = 20_000
"""Containers that a total may read."""
_NO_CONTAINERS = frozenset({"Binary", "Bundle", "Parameters"})


Found = tuple[list[Stored], list[Stored], int | None, Position | None]
_Ordinary = Callable[[int, Position | None], Awaitable[Found]]
_BEFORE_ALL: Final = Position(PHASE, (), 2**62)


async def with_contained(
    reader: Reader,
    request: SearchRequest,
    scope: Scope,
    count: int,
    after: Position | None,
    ordinary: _Ordinary,
) -> Found:
    """Matches, nothing included, total, end. First those that stand for themselves (`both`; by
    `ordinary`, given count and place), then those within others.
    """
    matches: list[Stored] = []
    total: int | None = 0
    end: Position | None = None
    begun = request.contained == "true" or (after is not None and after.phase == PHASE)
    if request.contained == "both" and not (begun and request.total == "none"):
        found = await ordinary(0 if begun else count, None if begun else after)
        matches, _, total, end = found
    if begun or (count and end is None):
        place, room = after if begun else None, count - len(matches)
        more: list[Stored] = []
        end = _BEFORE_ALL
        if room:
            more, end = await contained_page(reader, request, scope, room, place)
        matches = [*matches, *more]
    if request.total == "none" or total is None:
        return matches, [], None, end if count else None
    total += await contained_total(reader, request, scope)
    return matches, [], total, end if count else None


async def contained_page(
    reader: Reader, request: SearchRequest, scope: Scope, count: int, after: Position | None
) -> tuple[list[Stored], Position | None]:
    """Up to `count` containers' worth of matches behind a position, and where they end.

    What is found of one container stays together.
    """
    found: list[Stored] = []
    containers, place = 0, after
    for _ in range(ROUNDS):
        step = await _containers(reader, request, scope, place)
        for rid, container in step:
            parts = list(_matches(container, request, scope))
            if parts and containers == count:
                return found, place
            containers += bool(parts)
            found += parts
            place = Position(PHASE, (), rid)
        if len(step) < STEP:
            return found, None
    return found, place


async def contained_total(reader: Reader, request: SearchRequest, scope: Scope) -> int:
    """The number of all matches. Raises SearchError when too many containers would be read."""
    total, place = 0, None
    for _ in range(MOST_COUNTED // STEP):
        step = await _containers(reader, request, scope, place)
        for rid, container in step:
            total += len(list(_matches(container, request, scope)))
            place = Position(PHASE, (), rid)
        if len(step) < STEP:
            return total
    raise too_costly("the total of this search needs too many resources to be read: narrow it")


async def _containers(
    reader: Reader, request: SearchRequest, scope: Scope, after: Position | None
) -> list[tuple[int, Stored]]:
    types = [t for t in RESOURCE_TYPES if t not in scope.exclude_types | _NO_CONTAINERS]
    args = Args()
    name, code = here(request.type)
    tests = [_any(args, [code_hash(ANYWHERE, name, code)])]
    for condition in request.conditions:
        if condition.kind in ("token", "reference", "uri") and condition.source is None:
            tests += _indexed(condition, request.type, args)
    if after is not None:
        tests.append(f"r.rid < {args.add(after.rid, 'bigint')}")
    sql = (
        f"select {ROW}, r.rid from resource r where {' and '.join(tests)}"  # noqa: S608 (as in `_Run`)
        f"{whose(scope, types, args)} and not r.deleted"
        f" order by r.rid desc limit {args.add(STEP, 'int')}"
    )
    rows = await reader.fetch(sql, *args.values)
    stored = await reader.stored(rows)
    return [(row["rid"], each) for row, each in zip(rows, stored, strict=True)]


def _any(args: Args, hashes: Sequence[int]) -> str:
    return f"r.tokens && {args.add(list(hashes), 'bigint[]')}"


def _indexed(condition: Condition, kind: str, args: Args) -> list[str]:
    if condition.modifier in ("not", "missing", "text"):
        return []
    hashes = [
        hash_ for each in inside(condition, kind) for hash_ in condition_hashes(ANYWHERE, each)
    ]
    return [_any(args, hashes)]


def _matches(container: Stored, request: SearchRequest, scope: Scope) -> Iterator[Stored]:
    """The container once, or each of its contained resources that meets the conditions."""
    if scope.narrow is not None and not scope.narrow.holds_body(container.type, container.body):
        return
    for kind, inner in contained_resources(parse(container.body)):
        if kind != request.type or not _meets(inner, kind, request.conditions):
            continue
        if scope.narrow is not None and not scope.narrow.holds(kind, inner):
            continue
        if not request.contained_alone:
            yield container
            return
        # named as R4 names it: the address of the container, and where in it
        yield replace(container, id=f"{container.id}#{inner.get('id', '')}", body=dumps(inner))


def _meets(inner: dict[str, Any], kind: str, conditions: Sequence[Condition]) -> bool:
    index = index_values(kind, inner)
    return all(
        _named(condition, inner) if condition.kind == "id" else matches(condition, inner, index)
        for condition in conditions
    )


def _named(condition: Condition, inner: dict[str, Any]) -> bool:
    there = any(
        isinstance(term, TokenTerm) and term.code == inner.get("id") for term in condition.values
    )
    return there is (condition.modifier != "not")
