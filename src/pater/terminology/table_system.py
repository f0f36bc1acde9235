"""A code system kept in tables: only the concepts that are asked for are ever read."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncpg
import orjson

from pater.store.database import Database, Record
from pater.terminology import ecl
from pater.terminology.by_words import MOST_COUNTED, ByWords
from pater.terminology.filters import listed, regex
from pater.terminology.model import (
    BadFilterError,
    Concept,
    Designation,
    Filter,
    Page,
    Property,
    Query,
    SystemInfo,
    UnknownFilterError,
)
from pater.terminology.resource_system import ResourceSystem

SNOMED: Final = "http://snomed.info/sct"
_COLUMNS: Final = (
    "c.nr, c.code, c.display, c.definition, c.status, c.inactive, c.abstract, c.parents"
)
_VERSIONS: Final = "select id, url, version, name, title, language, info from term_system"
# Names and properties of concepts, and the codes of others: a round trip costs more than any part.
_BESIDE: Final = """
select 'n' as what, nr, language as first, use as second, value from term_designation
where system = $1 and nr = any($2)
union all
select 'p', nr, code, kind, value from term_property where system = $1 and nr = any($2)
union all
select 'c', nr, code, '', '' from term_concept where system = $1 and nr = any($3)
"""
_ABOVE: Final = (
    "select a.code from term_concept c join term_concept a"
    " on a.system = c.system and a.nr = any(c.ancestors)"
    " where c.system = $1 and c.code = $2"
)


class LoadedSystems:
    """The code systems that the loaders brought."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def versions(self, url: str) -> list[TableSystem]:
        """Every loaded version of a system."""
        rows = await self._db.fetch(f"{_VERSIONS} where url = $1", url)
        return [TableSystem(self._db, row["id"], _info(row)) for row in rows]

    async def all(self) -> list[SystemInfo]:
        """What is loaded, by address and version."""
        rows = await self._db.fetch(f"{_VERSIONS} order by url, version limit 1000")
        return [_info(row) for row in rows]


def _info(row: Record) -> SystemInfo:
    more = orjson.loads(row["info"])
    return SystemInfo(
        url=row["url"],
        version=row["version"],
        name=row["name"],
        title=row["title"],
        language=row["language"],
        case_sensitive=bool(more.get("case_sensitive", True)),
        hierarchical=bool(more.get("hierarchical", False)),
        status="active",
        properties={code: (uri, kind) for code, uri, kind in more.get("properties", ())},
    )


async def _answered(work: Awaitable[Any]) -> Any:
    """The result of a statement with a filter of somebody's; its failures as answers."""
    try:
        return await work
    except asyncpg.InvalidRegularExpressionError:
        raise BadFilterError("The regular expression cannot be used here") from None
    except (TimeoutError, asyncpg.QueryCanceledError):
        raise BadFilterError("The filter takes too long to evaluate") from None


class _Arguments:
    """The values of a statement; what a client sent is never part of its text."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)

    def add(self, value: Any) -> str:
        """The place of a value."""
        self.values.append(value)
        return f"${len(self.values)}"


class TableSystem:
    """Implements `model.CodeSystem` over the rows of one loaded version."""

    def __init__(
        self,
        db: Database,
        number: int,
        info: SystemInfo,
        added: Mapping[str, Concept] | None = None,
    ) -> None:
        self.info = info
        self._db = db
        self._number = number
        self._added = added or {}

    def with_supplements(self, supplements: Sequence[Mapping[str, Any]]) -> TableSystem:
        """The same system with the names and properties that supplements add."""
        if not supplements:
            return self
        bare = {"url": self.info.url, "concept": []}
        seen = ResourceSystem(
            {**bare, "concept": [{"code": c} for c in _codes_of(supplements)]}, supplements
        )
        properties = {**seen.info.properties, **self.info.properties}
        info = replace(self.info, supplements=seen.info.supplements, properties=properties)
        added = {concept.code: concept for concept in seen.concepts()}
        return TableSystem(self._db, self._number, info, added)

    async def locate(self, codes: Collection[str]) -> dict[str, Concept]:
        """See `model.CodeSystem`."""
        wanted = [code for code in codes if "\x00" not in code]
        if self.info.case_sensitive:
            sql = f"select {_COLUMNS} from term_concept c where system = $1 and code = any($2)"  # noqa: S608 constants
            found = await self._concepts(await self._db.fetch(sql, self._number, wanted))
            return {each.code: each for each in found}
        sql = f"select {_COLUMNS} from term_concept c where system = $1 and lower(code) = any($2)"  # noqa: S608 constants
        rows = await self._db.fetch(sql, self._number, [code.lower() for code in wanted])
        folded = {each.code.lower(): each for each in await self._concepts(rows)}
        return {code: folded[code.lower()] for code in wanted if code.lower() in folded}

    async def page(self, query: Query) -> Page:
        """See `model.CodeSystem`."""
        if any("\x00" in word for word in query.text):
            return Page((), 0)  # no name has it
        arguments = _Arguments(self._number)
        where = await self._where(arguments, query.filters)
        if query.active_only:
            where.append("not c.inactive")
        # few are directly below anything: fetched and sorted, not met on a walk of the system
        few = any(each.op == "child-of" or each.property == "parent" for each in query.filters)
        if query.text and not few:
            found = ByWords(self._db, where, arguments.values, query.text)
            rows, total = await _answered(found.page(_COLUMNS, query.limit, query.offset))
            return Page(await self._concepts(rows, bare=query.bare), total)
        if query.text:
            wanted = " & ".join(f"'{word}':*" for word in query.text)
            where.append(f"c.words @@ {arguments.add(wanted)}::text::tsquery")
        condition = " and ".join(where)
        count = (
            f"select count(*) from (select 1 from term_concept c where {condition}"  # noqa: S608
            f" limit {MOST_COUNTED + 1}) as found"
        )
        values = list(arguments.values)
        order = "c.nr + 0" if few else "c.nr"
        rows = await _answered(
            self._db.fetch(
                f"select {_COLUMNS} from term_concept c where {condition} order by {order}"  # noqa: S608
                f" limit {arguments.add(query.limit)} offset {arguments.add(query.offset)}",
                *arguments.values,
            )
        )
        if rows and len(rows) < query.limit:
            total = query.offset + len(rows)
        else:
            counted = await _answered(self._db.fetchval(count, *values))
            total = None if counted > MOST_COUNTED else int(counted)
        return Page(await self._concepts(rows, bare=query.bare), total)

    async def among(self, codes: Collection[str], filters: tuple[Filter, ...]) -> frozenset[str]:
        """See `model.CodeSystem`."""
        arguments = _Arguments(self._number, [code for code in codes if "\x00" not in code])
        where = await self._where(arguments, filters)
        rows = await _answered(
            self._db.fetch(
                "select c.code from term_concept c"  # noqa: S608 conditions of constants
                f" where c.code = any($2) and {' and '.join(where)}",
                *arguments.values,
            )
        )
        return frozenset(row["code"] for row in rows)

    async def ancestors(self, code: str) -> frozenset[str]:
        """See `model.CodeSystem`."""
        rows = await self._db.fetch(_ABOVE, self._number, code)
        return frozenset(row["code"] for row in rows)

    async def children(self, code: str, limit: int) -> Sequence[Concept]:
        """See `model.CodeSystem`."""
        found = await self.page(Query((Filter("concept", "child-of", code),), limit=limit))
        return found.concepts

    async def _where(self, arguments: _Arguments, filters: Sequence[Filter]) -> list[str]:
        where = ["c.system = $1"]
        for each in filters:
            where.append(await self._condition(arguments, each))
        return where

    async def _condition(self, arguments: _Arguments, filter: Filter) -> str:
        property, op = filter.property, filter.op
        if "\x00" in filter.value:
            return "false"
        if property in ("parent", "child") and op == "=":
            property, op = "concept", "child-of" if property == "parent" else "child"
        if property == "constraint" and op == "=" and self.info.url == SNOMED:
            found: str | None = await self._by_expression(arguments, filter.value)
        elif property in ("concept", "code"):
            found = await self._by_code(arguments, op, filter.value)
        elif property in ("display", "definition"):
            found = _compared(arguments, f"c.{property}", op, filter.value)
        elif property == "status":
            found = _compared(arguments, "c.status", op, filter.value)
        elif property in ("inactive", "abstract", "notSelectable"):
            column = "inactive" if property == "inactive" else "abstract"
            found = _compared(arguments, f"c.{column}::text", op, filter.value)
        elif property in self.info.properties:
            found = _by_property(arguments, property, op, filter.value)
        else:
            found = None
        if found is None:
            raise UnknownFilterError(self.info.url, filter)
        return found

    async def _by_expression(self, arguments: _Arguments, text: str) -> str:
        """An expression constraint (FHIR R4, Using SNOMED CT, 4.2.1.0.5)."""
        tree = ecl.parse(text)
        rows = await self._db.fetch(
            "select code, nr, parents, ancestors from term_concept"
            " where system = $1 and code = any($2)",
            self._number,
            sorted(set(ecl.codes(tree))),
        )
        known = {
            row["code"]: ecl.Known(row["nr"], row["parents"], row["ancestors"]) for row in rows
        }
        return ecl.condition(tree, known, arguments.add)

    async def _by_code(self, arguments: _Arguments, op: str, value: str) -> str | None:
        if op in ("=", "in", "not-in", "regex"):
            return _compared(arguments, "c.code", op, value)
        row = await self._db.fetchrow(
            "select nr, parents, ancestors from term_concept where system = $1 and code = $2",
            self._number,
            value,
        )
        if row is None:
            return "true" if op == "is-not-a" else "false"
        # our own number, and in the text: the planner then knows how much is below just this one
        one = str(int(row["nr"]))
        match op:
            case "is-a":
                return f"(c.ancestors @> array[{one}] or c.nr = {one})"
            case "descendent-of":
                return f"c.ancestors @> array[{one}]"
            case "is-not-a":
                return f"not (c.ancestors @> array[{one}] or c.nr = {one})"
            case "child-of":
                return f"c.parents @> array[{one}]"
            case "child":
                return f"(c.nr = any({arguments.add(row['parents'])}::int[]) and c.nr <> {one})"
            case "generalizes":
                return f"(c.nr = any({arguments.add(row['ancestors'])}::int[]) or c.nr = {one})"
            case "descendent-leaf":
                return (
                    f"(c.ancestors @> array[{one}] and not exists"  # noqa: S608
                    " (select 1 from term_concept k where k.parents @> array[c.nr]))"
                )
        return None

    async def _concepts(self, rows: Sequence[Record], *, bare: bool = False) -> list[Concept]:
        """Rows as concepts; unless `bare` with names, properties and parents, by one statement."""
        if not rows:
            return []
        if bare:
            return [self._concept(row, {}, {}, {}) for row in rows]
        numbers = [row["nr"] for row in rows]
        above = sorted({parent for row in rows for parent in row["parents"]})
        names: dict[int, list[Designation]] = {}
        held: dict[int, list[Property]] = {}
        codes: dict[int, str] = {}
        for each in await self._db.fetch(_BESIDE, self._number, numbers, above):
            first, second = each["first"], each["second"]
            match each["what"]:
                case "n":
                    use = orjson.loads(second) if second else None
                    names.setdefault(each["nr"], []).append(Designation(each["value"], first, use))
                case "p":
                    made = Property(first, second, value_of(second, each["value"]))
                    held.setdefault(each["nr"], []).append(made)
                case _:
                    codes[each["nr"]] = first
        return [self._concept(row, names, held, codes) for row in rows]

    def _concept(
        self,
        row: Record,
        names: Mapping[int, Sequence[Designation]],
        held: Mapping[int, Sequence[Property]],
        codes: Mapping[int, str],
    ) -> Concept:
        more = self._added.get(row["code"])
        return Concept(
            code=row["code"],
            display=row["display"],
            definition=row["definition"],
            designations=(*names.get(row["nr"], ()), *(more.designations if more else ())),
            properties=(*held.get(row["nr"], ()), *(more.properties if more else ())),
            extensions=more.extensions if more else (),
            parents=tuple(codes[each] for each in row["parents"] if each in codes),
            abstract=row["abstract"],
            inactive=row["inactive"],
            status=row["status"],
        )


def value_of(kind: str, text: str) -> Any:
    """A stored property value as its FHIR element has it."""
    match kind:
        case "valueBoolean":
            return text == "true"
        case "valueInteger":
            return int(text)
        case "valueDecimal":
            return float(text)
    return text


def _codes_of(supplements: Sequence[Mapping[str, Any]]) -> list[str]:
    found: dict[str, None] = {}
    for supplement in supplements:
        for concept in ResourceSystem(supplement).concepts():
            found.setdefault(concept.code)
    return list(found)


def _compared(arguments: _Arguments, column: str, op: str, value: str) -> str | None:
    match op:
        case "=":
            return f"{column} = {arguments.add(value)}"
        case "in":
            return f"{column} = any({arguments.add(sorted(listed(value)))}::text[])"
        case "not-in":
            return f"{column} <> all({arguments.add(sorted(listed(value)))}::text[])"
        case "regex":
            regex(value)  # refuses what is no regular expression, and back references
            return f"{column} ~ {arguments.add(f'^(?:{value})$')}"
        case "exists":
            return f"({column} <> '') = {arguments.add(value != 'false')}::boolean"
    return None


def _by_property(arguments: _Arguments, property: str, op: str, value: str) -> str | None:
    code = arguments.add(property)
    start = f"select p.nr from term_property p where p.system = $1 and p.code = {code}"  # noqa: S608
    match op:
        case "=":
            return f"c.nr in ({start} and left(p.value, 200) = left({arguments.add(value)}, 200))"
        case "in" | "not-in":
            wanted = arguments.add([each[:200] for each in sorted(listed(value))])
            negated = "not " if op == "not-in" else ""
            return f"c.nr {negated}in ({start} and left(p.value, 200) = any({wanted}::text[]))"
        case "regex":
            regex(value)
            return f"c.nr in ({start} and p.value ~ {arguments.add(f'^(?:{value})$')})"
        case "exists":
            return f"c.nr {'not ' if value == 'false' else ''}in ({start})"
    return None
