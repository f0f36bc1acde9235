"""`_include` and `_revinclude`: the resources that a page's resources refer to or that refer to it.

One statement for all forward includes of a step and one per reverse include, whatever the size of
the page. What the scope withholds is left out as if it did not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER, search_parameters
from pater.fhir.json import parse
from pater.fhir.search.extract import values_of
from pater.fhir.search.parameters import Indexed, indexed_parameters
from pater.fhir.search.query import Include
from pater.fhir.search.values import ReferenceValue
from pater.store.read import Stored
from pater.store.search.errors import too_costly
from pater.store.search.families import families_on
from pater.store.search.narrow import narrowed, narrowed_among
from pater.store.search.rows import Reader, indexed
from pater.store.search.sql import Args
from pater.store.search.where import ROW, Scope, Where, owner_params
from pater.store.tokens import reference_hash
from pater.store.veils import shown_sql

INCLUDE_LIMIT = 2000
"""Resources that the includes of one page may bring."""
DEPTH = 4
"""Steps that `:iterate` goes."""
_MOST_HASHES = 30_000

_Key = tuple[str, str]


async def included(
    reader: Reader, scope: Scope, includes: Sequence[Include], matches: Sequence[Stored]
) -> list[Stored]:
    """The included resources of a page, each once and none that is itself a match.

    Raises SearchError when they are more than INCLUDE_LIMIT: leaving some out without a word
    would look like a whole record.
    """
    seen: set[_Key] = {(each.type, each.id) for each in matches}
    found: list[Stored] = []
    frontier: Sequence[Stored] = matches
    step, wanted = 0, list(includes)
    while frontier and wanted and step < DEPTH:
        fresh: list[Stored] = []
        for each in await _step(reader, scope, wanted, frontier, seen):
            if (each.type, each.id) not in seen:
                seen.add((each.type, each.id))
                fresh.append(each)
        found += fresh
        if len(found) > INCLUDE_LIMIT:
            raise too_costly(
                f"_include and _revinclude bring more than {INCLUDE_LIMIT} resources:"
                " ask for a smaller _count"
            )
        frontier, step = fresh, step + 1
        wanted = [include for include in includes if include.iterate]
    return found


async def _step(
    reader: Reader, scope: Scope, includes: Sequence[Include], page: Sequence[Stored],
    seen: set[_Key],
) -> list[Stored]:  # fmt: skip
    found: list[Stored] = []
    keys = _targets([include for include in includes if not include.reverse], page)
    keys = {key for key in keys if key not in seen and key[0] not in scope.exclude_types}
    if keys:
        found += await _by_key(reader, scope, sorted(keys))
    reverse = [include for include in includes if include.reverse]
    one = await families_on(reader, page) if reverse else {}
    for include in reverse:
        if include.source_type == "*":
            found += await _referring_at_all(reader, scope, page, one)
        elif include.source_type not in scope.exclude_types:
            found += await _referring(reader, scope, include, page, one)
    if scope.narrow is not None:
        found = [each for each in found if scope.narrow.holds_body(each.type, each.body)]
    return found


def _targets(includes: Sequence[Include], page: Iterable[Stored]) -> set[_Key]:
    by_type: dict[str, list[Include]] = {}
    for include in includes:
        by_type.setdefault(include.source_type, []).append(include)
    keys: set[_Key] = set()
    for stored in page:
        asked = by_type.get(stored.type, []) + by_type.get("*", [])
        if not asked:
            continue
        for ref in _references(stored, asked):
            if ref.type is None or ref.id is None or ref.type not in TYPE_NUMBER:
                continue
            if any(
                include.param in ("*", ref.param) and include.target in (None, ref.type)
                for include in asked
            ):
                keys.add((ref.type, ref.id))
    return keys


def _references(stored: Stored, includes: Sequence[Include]) -> Iterator[ReferenceValue]:
    """The references of a resource, those of parameters beyond R4 that are asked for too."""
    yield from indexed(stored).references
    for include in includes:
        if isinstance(include.source, Indexed):
            yield from values_of(include.param, include.source, parse(stored.body)).references


async def _by_key(reader: Reader, scope: Scope, keys: Sequence[_Key]) -> list[Stored]:
    args = Args()
    types = args.add([TYPE_NUMBER[type_] for type_, _ in keys], "smallint[]")
    ids = args.add([id_ for _, id_ in keys], "text[]")
    rights = whose(scope, (type_ for type_, _ in keys), args)
    sql = (
        f"select {ROW} from unnest({types}, {ids}) as k(type, id)"  # noqa: S608
        f" join resource r on r.type = k.type and r.id = k.id where not r.deleted{rights}"
        f" limit {args.add(INCLUDE_LIMIT + 1, 'int')}"
    )
    return await reader.stored(await reader.fetch(sql, *args.values))


def whose(scope: Scope, types: Iterable[str], args: Args) -> str:
    """What rows of any of these types have to meet to take part; begins with `and`."""
    text = ""
    if scope.persons is not None:
        text = f" and {_persons(scope, args)}"
    if scope.persons is not None and scope.ownerless is not None:
        shared = args.add(sorted(TYPE_NUMBER[type_] for type_ in scope.ownerless), "smallint[]")
        text += f" and (r.person <> 0 or r.type = any({shared}))"
    for each in narrowed_among(scope.narrow, types, args, "r"):
        text += f" and {each}"
    return text + shown_sql(scope.veils, args, "r", persons=None if scope.apart else scope.persons)


def _persons(scope: Scope, args: Args) -> str:
    """Of whom rows are: of the scope's persons, of types apart of theirs."""
    text = f"r.person = any({args.add(sorted(scope.persons or ()), 'bigint[]')})"
    if not scope.apart:
        return text
    apart: dict[frozenset[int], list[int]] = {}
    for type_, persons in scope.apart:
        apart.setdefault(persons, []).append(TYPE_NUMBER[type_])
    every = args.add(sorted(TYPE_NUMBER[type_] for type_, _ in scope.apart), "smallint[]")
    parts = [f"{text} and r.type <> all({every})"]
    for persons, types in apart.items():
        whose = args.add(sorted(persons), "bigint[]")
        parts.append(f"r.person = any({whose}) and r.type = any({args.add(types, 'smallint[]')})")
    return f"({' or '.join(parts)})"


def _names(of: Stored, one: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The ids by which a resource is referred to; `one` has those of Patients who are one."""
    return one.get(of.id, (of.id,)) if of.type == "Patient" else (of.id,)


async def _referring_at_all(
    reader: Reader, scope: Scope, page: Sequence[Stored], one: Mapping[str, tuple[str, ...]]
) -> list[Stored]:
    """`_revinclude=*`: whatever refers to a resource of the page by any parameter of R4."""
    hashes = [
        reference_hash(source, param, each.type, name)
        for each in page
        for name in _names(each, one)
        for source, param in _pointing(each.type)
        if source not in scope.exclude_types
    ]
    if len(hashes) > _MOST_HASHES:
        raise too_costly("_revinclude=* looks for too much: ask for a smaller _count")
    if not hashes:
        return []
    args = Args()
    tests = f"not r.deleted{whose(scope, RESOURCE_TYPES, args)}"
    return await _with_any(reader, hashes, tests, args)


async def _with_any(reader: Reader, hashes: Sequence[int], tests: str, args: Args) -> list[Stored]:
    """The resources that have one of the tokens and whose rows `r` meet the tests.

    Each token is looked up by itself: of many together the planner expects so many rows that it
    reads the whole table, comparing each row with all of them.
    """
    most = args.add(INCLUDE_LIMIT + 1, "int")
    each = (
        "select r.rid from resource r where r.tokens @> array[k.token]"  # noqa: S608
        f" and {tests} limit {most}"
    )
    sql = (
        f"select {ROW} from resource r where r.rid = any(array(select distinct n.rid"  # noqa: S608
        f" from unnest({args.add(list(hashes), 'bigint[]')}) as k(token)"
        f" cross join lateral ({each}) n limit {most})) order by r.rid"
    )
    return await reader.stored(await reader.fetch(sql, *args.values))


@cache
def _pointing(type_: str) -> tuple[tuple[str, str], ...]:
    """Every (type, reference parameter) that can refer to a type."""
    return tuple(
        (source, code)
        for source in RESOURCE_TYPES
        for code, parameter in indexed_parameters(source).items()
        if parameter.definition.type == "reference" and type_ in parameter.targets
    )


async def _referring(
    reader: Reader,
    scope: Scope,
    include: Include,
    page: Sequence[Stored],
    one: Mapping[str, tuple[str, ...]],
) -> list[Stored]:
    source = include.source_type
    params = _reference_params(source) if include.param == "*" else (include.param,)
    targets = [each for each in page if include.target in (None, each.type)]
    hashes = [
        reference_hash(source, param, each.type, name)
        for each in targets
        for name in _names(each, one)
        for param in params
    ]
    if not hashes:
        return []
    where = Where(persons=scope.persons_of(source), veils=scope.veils)
    if owner_params(source).issuperset(params) and all(each.type == "Patient" for each in targets):
        where.bind(frozenset(each.person for each in targets))
    if where.empty:
        return []
    args = Args()
    where.clauses += narrowed(scope.narrow, source, args, "r")
    if where.persons is None:
        return await _with_any(reader, hashes, where.text(source, args, "r"), args)
    where.clauses.append(f"r.tokens && {args.add(hashes, 'bigint[]')}")
    sql = (
        f"select {ROW} from resource r where {where.text(source, args, 'r')}"  # noqa: S608
        f" order by r.rid + 0 limit {args.add(INCLUDE_LIMIT + 1, 'int')}"
    )
    return await reader.stored(await reader.fetch(sql, *args.values))


def _reference_params(type_: str) -> tuple[str, ...]:
    return tuple(
        code for code, parameter in search_parameters(type_).items()
        if parameter.type == "reference"
    )  # fmt: skip
