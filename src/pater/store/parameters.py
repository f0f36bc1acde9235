"""Search parameters beyond R4 as the store keeps them: registering, and reading them again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final
from uuid import uuid4

import asyncpg
import orjson

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER, SearchComponent, SearchParameter
from pater.fhir.search.custom import Custom, definition, problems, together, types_of
from pater.store.database import Database
from pater.store.jobs import enqueue, enqueue_statement
from pater.store.write_shapes import Statement

__all__ = ["KIND", "ask_again", "follow", "open_parameters", "problems", "refresh", "registration"]

KIND: Final = "reindex"
"""The job that brings the index of a type up to the parameters in force."""
FORMAT: Final = 2
"""What of R4's own parameters the index holds; with another number all types are indexed anew."""
EVERY: Final = 1.0
"""Seconds between two looks for a newer set."""
_LOG = logging.getLogger(__name__)

_NEXT = "update search_parameter_set set version = version + 1"
_REGISTER = """
insert into search_parameter (id, definition, version)
select $1, $2, version from search_parameter_set
on conflict (id) do update set definition = excluded.definition, version = excluded.version
"""
_REMOVE = "delete from search_parameter where id = $1"
_WANTED = """
insert into reindex (type, wanted)
select t, s.version from unnest($1::smallint[]) as t, search_parameter_set s
on conflict (type) do update
set wanted = excluded.wanted, asked = now(), updated = null, rid = null, until = null, done = 0,
    total = 0
"""
_STATE = """
select s.version, s.format,
       (select max(greatest(asked, updated)) from reindex where complete < wanted) as walking
from search_parameter_set s
"""
_ALL = "select id, definition, version from search_parameter order by id"
_PROGRESS = "select type, complete, wanted, done, total from reindex where complete < wanted"
_HELD = "select t from unnest($1::smallint[]) as t where exists " \
        "(select from resource r where r.type = t and not r.deleted)"  # fmt: skip


def registration(
    db: Database, id: str, resource: dict[str, Any] | None
) -> list[Statement]:  # fmt: skip
    """What has to be written with a SearchParameter resource (None: with its deletion).

    The resource is one that `problems` has nothing against.
    """
    made = None if resource is None else definition(resource)
    text = None if made is None else _text(made)
    if text == db.parameters.texts.get(id):
        return []
    if made is None or text is None:
        return [Statement(_NEXT, ()), Statement(_REMOVE, (id,))]
    types = [TYPE_NUMBER[name] for name in types_of(made)]
    return [
        Statement(_NEXT, ()),
        Statement(_REGISTER, (id, text)),
        Statement(_WANTED, (types,)),
        # Always one more: the one that runs now may have looked for the last time.
        enqueue_statement(KIND, {}, id=str(uuid4())),
    ]


async def ask_again(db: Database, types: list[str]) -> None:
    """Has types indexed anew."""
    async with db.transaction() as connection:
        await connection.execute(_NEXT)
        await connection.execute(_WANTED, [TYPE_NUMBER[name] for name in types])
        await enqueue(connection, KIND, {})


async def refresh(db: Database) -> None:
    """Reads the set in force when it is another than the one known, or is still being indexed."""
    row = await db.fetchrow(_STATE)
    if row is None:
        return
    known = db.parameters
    state = (row["version"], row["walking"])
    if state == known.state:
        return
    rows = await db.fetch(_ALL)
    walked = {each["type"]: each for each in await db.fetch(_PROGRESS)}
    made: list[SearchParameter] = []
    progress: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    for each in rows:
        parameter = _definition(each["definition"])
        texts[each["id"]] = each["definition"]
        made.append(parameter)
        for name in types_of(parameter):
            behind = walked.get(TYPE_NUMBER[name])
            if behind is not None and behind["complete"] < each["version"]:
                progress[name, parameter.code] = _words(behind["done"], behind["total"])
    known.custom = together(made, progress)
    known.texts = texts
    known.state = state


def _words(done: int, total: int) -> str:
    return f"{done} of {total} resources done" if total else "not begun"


def _text(made: SearchParameter) -> str:
    parts = [list(part) for part in made.components]
    return orjson.dumps([made.code, made.type, made.base, made.expression, made.targets, parts,
                         made.url]).decode()  # fmt: skip


def _definition(text: str) -> SearchParameter:
    code, kind, base, expression, targets, components, url = orjson.loads(text)
    parts = tuple(SearchComponent(*part) for part in components)
    return SearchParameter(code, kind, tuple(base), expression, tuple(targets), parts, url)


async def open_parameters(db: Database) -> None:
    """At the start: the set in force; asks for all types anew when the index's format is older."""
    async with db.transaction() as connection:
        row = await connection.fetchrow(
            "select format from search_parameter_set where format < $1 for update", FORMAT
        )
        if row is not None:
            held = await connection.fetch(_HELD, list(range(len(RESOURCE_TYPES))))
            if held:
                await connection.execute(_NEXT)
                await connection.execute(_WANTED, [each["t"] for each in held])
                await enqueue(connection, KIND, {})
            await connection.execute("update search_parameter_set set format = $1", FORMAT)
    await refresh(db)


async def follow(db: Database, every: float = EVERY) -> None:
    """Keeps the set known to this process that of the database, until cancelled."""
    while True:
        await asyncio.sleep(every)
        try:
            await refresh(db)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _LOG.warning("the search parameters cannot be looked at: %s", type(error).__name__)


def custom_of(db: Database) -> Custom:
    """The parameters beyond R4 that this process knows."""
    return db.parameters.custom
