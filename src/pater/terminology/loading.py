"""Loads a whole code system into the tables: one transaction a version, seen at once or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from pater.store.database import Connection, Database
from pater.terminology.words import words

Progress = Callable[[str, int], None]
"""Told what is being done and how many rows are done."""
_LOCK: Final = 0x7061746572746D31
_INVERTED: Final = ("term_concept_words", "term_concept_ancestors", "term_concept_parents")
_PATIENCE: Final = 3_600.0
_EVERY: Final = 20_000


class LoadError(Exception):
    """A file that cannot be loaded; the text says where and why."""


@dataclass(slots=True)
class Row:
    """One concept on its way in. `parents` are codes; `names` are (language, use, value)."""

    code: str
    display: str
    definition: str = ""
    status: str = ""
    inactive: bool = False
    abstract: bool = False
    parents: list[str] = field(default_factory=list)
    names: list[tuple[str, str, str]] = field(default_factory=list)
    properties: list[tuple[str, str, str]] = field(default_factory=list)  # code, kind, value


@dataclass(frozen=True, slots=True)
class System:
    """What is said about the whole; `properties` are (code, uri, type)."""

    url: str
    version: str
    name: str
    title: str
    language: str = "cs"
    case_sensitive: bool = True
    properties: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did; `changed` False: exactly this was there already."""

    system: System
    concepts: int
    changed: bool


def arranged(rows: Iterable[Row]) -> dict[str, Row]:
    """The rows by code, order kept. Raises LoadError for a code given twice or a lost parent."""
    found: dict[str, Row] = {}
    for row in rows:
        if not row.code:
            raise LoadError("a concept without a code")
        if row.code in found:
            raise LoadError(f"the code {row.code!r} comes twice")
        found[row.code] = row
    for row in found.values():
        row.parents = [each for each in dict.fromkeys(row.parents) if each != row.code]
        for parent in row.parents:
            if parent not in found:
                raise LoadError(f"the parent {parent!r} of {row.code!r} is not in the file")
    return found


def ancestors_of(rows: dict[str, Row], numbers: dict[str, int]) -> dict[str, list[int]]:
    """The numbers of all codes above each code. Raises LoadError for a circle."""
    done: dict[str, frozenset[int]] = {}
    for start in rows:
        stack = [start]
        path: set[str] = set()
        while stack:
            code = stack[-1]
            if code in done:
                stack.pop()
                continue
            waiting = [each for each in rows[code].parents if each not in done]
            if not waiting:
                above: set[int] = set()
                for parent in rows[code].parents:
                    above |= done[parent]
                    above.add(numbers[parent])
                done[code] = frozenset(above)
                path.discard(code)
                stack.pop()
                continue
            if code in path:
                raise LoadError(f"the hierarchy leads in a circle through {code!r}")
            path.add(code)
            stack += waiting
    return {code: sorted(above) for code, above in done.items()}


async def load(
    db: Database,
    system: System,
    rows: dict[str, Row],
    *,
    digest: str,
    now: datetime,
    progress: Progress = lambda what, count: None,
) -> Loaded:
    """Puts a version of a system in place of what was there under the same url and version.

    Nothing happens when `digest` (of the files) says that exactly this is loaded. Readers see the
    old rows until the end. Raises LoadError.
    """
    known = await db.fetchval(
        "select digest from term_system where url = $1 and version = $2", system.url, system.version
    )
    if known == digest:
        return Loaded(system, len(rows), False)
    async with db.transaction() as connection:
        await connection.execute("set local gin_pending_list_limit = '1GB'")
        await connection.execute("set local maintenance_work_mem = '256MB'")
        # one load at a time: numbers of concepts are handed out in blocks
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK, timeout=_PATIENCE)
        first = 1 + int(await connection.fetchval("select coalesce(max(nr), 0) from term_concept"))
        numbers = {code: first + place for place, code in enumerate(rows)}
        above = ancestors_of(rows, numbers)
        await _forget(connection, system)
        number = await _announce(connection, system, rows, digest, now)
        await _copy_concepts(connection, number, rows, numbers, above, progress)
        await _copy(
            connection,
            "term_designation",
            ("system", "nr", "language", "use", "value"),
            ((number, numbers[row.code], *name) for row in rows.values() for name in row.names),
            "designations",
            progress,
        )
        await _copy(
            connection,
            "term_property",
            ("system", "nr", "code", "kind", "value"),
            (
                (number, numbers[row.code], *each)
                for row in rows.values()
                for each in row.properties
            ),
            "properties",
            progress,
        )
        for index in _INVERTED:
            progress("index", 0)
            await connection.execute(
                "select gin_clean_pending_list($1::text::regclass)", index, timeout=_PATIENCE
            )
    # the planner learns of the new rows now, and not at some later time
    for table in ("term_concept", "term_designation", "term_property"):
        await db.execute(f"analyze {table}")
    return Loaded(system, len(rows), True)


async def _forget(connection: Connection, system: System) -> None:
    old = await connection.fetchval(
        "delete from term_system where url = $1 and version = $2 returning id",
        system.url,
        system.version,
    )
    if old is not None:
        for table in ("term_concept", "term_designation", "term_property"):
            await connection.execute(
                f"delete from {table} where system = $1",  # noqa: S608 constants
                old,
                timeout=_PATIENCE,
            )


async def _announce(
    connection: Connection, system: System, rows: dict[str, Row], digest: str, now: datetime
) -> int:
    info = {
        "case_sensitive": system.case_sensitive,
        "hierarchical": any(row.parents for row in rows.values()),
        "properties": system.properties,
    }
    number = await connection.fetchval(
        "insert into term_system (url, version, name, title, language, info, concepts, digest,"
        " loaded) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id",
        system.url,
        system.version,
        system.name,
        system.title,
        system.language,
        orjson.dumps(info).decode(),
        len(rows),
        digest,
        now,
    )
    return int(number)


async def _copy_concepts(
    connection: Connection,
    number: int,
    rows: dict[str, Row],
    numbers: dict[str, int],
    above: dict[str, list[int]],
    progress: Progress,
) -> None:
    # COPY cannot write a tsvector in its binary form: the words come as an array, and one
    # statement makes the vectors
    await connection.execute(
        "create temporary table term_incoming (nr int, code text, display text, definition text,"
        " status text, inactive boolean, abstract boolean, parents int[], ancestors int[],"
        " words text[]) on commit drop"
    )
    await _copy(
        connection,
        "term_incoming",
        ("nr", "code", "display", "definition", "status", "inactive", "abstract", "parents",
         "ancestors", "words"),
        (
            (
                numbers[row.code], row.code, row.display, row.definition, row.status,
                row.inactive, row.abstract, [numbers[each] for each in row.parents],
                above[row.code],
                words([row.code, row.display, *(value for _, _, value in row.names)]),
            )
            for row in rows.values()
        ),
        "concepts",
        progress,
    )  # fmt: skip
    await connection.execute(
        "insert into term_concept (system, nr, code, display, definition, status, inactive,"
        " abstract, parents, ancestors, words) select $1, nr, code, display, definition, status,"
        " inactive, abstract, parents, ancestors, array_to_tsvector(words) from term_incoming",
        number,
        timeout=_PATIENCE,
    )


async def _copy(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterator[tuple[Any, ...]],
    what: str,
    progress: Progress,
) -> None:
    done = 0

    def counted() -> Iterator[tuple[Any, ...]]:
        nonlocal done
        for row in rows:
            done += 1
            if done % _EVERY == 0:
                progress(what, done)
            yield row

    await connection.copy_records_to_table(
        table, records=counted(), columns=list(columns), timeout=_PATIENCE
    )
    if done:
        progress(what, done)
