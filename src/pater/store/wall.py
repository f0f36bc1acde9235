"""The second wall: beneath it a read meets only rows of the persons that were named before.

The gate says `with wall(persons)` around what it does for a caller whose persons are known. What
the store then reads for that caller (by address, searches, histories, records) runs on connections
of a role that row-level security holds to these persons, so a condition that was forgotten shows
nothing of others. Writes, the journal, caches for everybody and maintenance stay outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

import asyncpg

ROLE: Final = "pater_reader"
"""The role of connections beneath the wall; it owns nothing and can only read."""
SET: Final = "select set_config('pater.persons', $1, false)"
"""Says whose rows a session shows."""
MOST: Final = 1_000
"""Persons that a wall is built around; of more nothing is bound, and their list alone would cost
more than the question."""
_NOBODYS: Final = 0

# Those of persons, and what their bodies are packed with.
_TABLES: Final = (
    "resource", "history", "string_index", "date_index", "number_index", "code_index",
    "text_index", "dictionary", "alias",
)  # fmt: skip
# What a role may do is looked at first: to grant anew would lock the tables at each start.
# What is there already is looked at first: granting anew would lock the tables at each start.
_MEMBER: Final = """
select coalesce((
  select pg_has_role(current_user, oid, 'set') from pg_roles where rolname = $1), false)
"""
_GRANTED: Final = """
select coalesce((
  select bool_and(has_table_privilege(r.oid, t::regclass, 'select'))
  from pg_roles r, unnest($2::text[]) as t where r.rolname = $1), false)
"""
_MAKE: Final = f"""
do $$
begin
    if not exists (select from pg_roles where rolname = '{ROLE}') then
        create role {ROLE} nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another program was faster
end $$;
grant {ROLE} to current_user;
"""
_GRANT: Final = f"""
grant usage on schema public to {ROLE};
grant select on {", ".join(_TABLES)} to {ROLE};
grant select on sequence resource_rid to {ROLE};
"""
# Of a comparison that might tell its operands by an error or a message, PostgreSQL makes no use in
# an index before the policy was asked: a directory of a hundred thousand would be walked for one
# identifier. These tell nothing of the kind.
_QUIET: Final = (
    "arraycontains(anyarray, anyarray)", "arrayoverlap(anyarray, anyarray)",
    "ts_match_vq(tsvector, tsquery)",
)  # fmt: skip
_ALL_QUIET: Final = (
    "select bool_and(proleakproof) from pg_proc where oid = any($1::text[]::regprocedure[])"
)
_MAKE_QUIET: Final = "; ".join(f"alter function pg_catalog.{each} leakproof" for each in _QUIET)
_MAY_NOT: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidGrantOperationError)

_WALL: ContextVar[frozenset[int] | None] = ContextVar("pater_wall", default=None)


class Asks(Protocol):
    """A connection, or the whole database."""

    async def execute(self, query: str, /, *args: Any) -> str: ...

    async def fetchval(self, query: str, /, *args: Any) -> Any: ...


@contextmanager
def wall(persons: Iterable[int] | None) -> Iterator[None]:
    """Lets the store's reads in this block meet rows of these persons only, and of nobody.

    None, or more than MOST of them, builds no wall. A wall within a wall holds both back.
    """
    inside = None if persons is None else frozenset(persons) | {_NOBODYS}
    if inside is None or len(inside) > MOST + 1:
        yield
        return
    outer = _WALL.get()
    token = _WALL.set(inside if outer is None else inside & outer)
    try:
        yield
    finally:
        _WALL.reset(token)


def standing() -> str | None:
    """The persons of the wall that stands here, as the session setting says them; None = none."""
    persons = _WALL.get()
    return None if persons is None else ",".join(map(str, sorted(persons)))


async def stands(db: Asks) -> bool:
    """Whether the wall has been built and this user may go beneath it."""
    return bool(
        await db.fetchval(_MEMBER, ROLE)
        and await db.fetchval(_GRANTED, ROLE, list(_TABLES))
        and await db.fetchval(_ALL_QUIET, list(_QUIET))
    )


async def build_wall(connection: Asks) -> bool:
    """Makes the role and gives it its rights, where that has to be and may be done.

    False when the user of the database may not: then the second wall does not stand.
    """
    try:
        if not await connection.fetchval(_MEMBER, ROLE):
            await connection.execute(_MAKE)
        if not await connection.fetchval(_GRANTED, ROLE, list(_TABLES)):
            await connection.execute(_GRANT)
        if not await connection.fetchval(_ALL_QUIET, list(_QUIET)):
            await connection.execute(_MAKE_QUIET)
    except _MAY_NOT:
        return False
    return True
