"""$closure: tables that a client keeps of how its codes stand to each other, told in deltas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pater.store.database import Connection, Database
from pater.terminology.issues import TxError, TxIssue
from pater.terminology.model import Filter
from pater.terminology.session import Session

MOST_CODES: Final = 20_000
"""How many codes one table may hold."""
MOST_AT_ONCE: Final = 500
MOST_TABLES: Final = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """That `above` subsumes `below`."""

    system: str
    below: str
    above: str


async def restart(db: Database, owner: str, name: str) -> int:
    """Makes the table, or empties it: version 0. Raises TxError."""
    async with db.transaction() as connection:
        others = await connection.fetchval(
            "select count(*) from term_closure where owner = $1 and name <> $2", owner, name
        )
        if others >= MOST_TABLES:
            raise _refused("too-costly", f"a client keeps at most {MOST_TABLES} closure tables")
        for table in ("term_closure_pair", "term_closure_code", "term_closure"):
            await connection.execute(
                f"delete from {table} where owner = $1 and name = $2",  # noqa: S608 constants
                owner,
                name,
            )
        await connection.execute(
            "insert into term_closure (owner, name, version) values ($1, $2, 0)", owner, name
        )
    return 0


async def add(
    db: Database, session: Session, owner: str, name: str, codings: Sequence[tuple[str, str]]
) -> tuple[int, list[Pair]]:
    """Adds codes and gives the new version with the pairs that it brought. Raises TxError."""
    fresh = list(dict.fromkeys(codings))
    if len(fresh) > MOST_AT_ONCE:
        raise _refused("too-costly", f"add at most {MOST_AT_ONCE} codes at a time")
    async with db.transaction() as connection:
        version = await _locked(connection, owner, name)
        rows = await connection.fetch(
            "select system, code from term_closure_code where owner = $1 and name = $2"
            " order by added limit $3",
            owner,
            name,
            MOST_CODES + 1,
        )
        known = {(row["system"], row["code"]) for row in rows}
        fresh = [each for each in fresh if each not in known]
        if len(known) + len(fresh) > MOST_CODES:
            raise _refused("too-costly", f"a closure table holds at most {MOST_CODES} codes")
        if not fresh:
            return version, []
        version += 1
        found: dict[Pair, None] = {}
        for system, code in fresh:
            known.add((system, code))
            others = {each for url, each in known if url == system and each != code}
            source = await session.system(system)
            above = await source.ancestors(code)
            found |= {Pair(system, code, each): None for each in others & above}
            below = await source.among(others, (Filter("concept", "descendent-of", code),))
            found |= {Pair(system, each, code): None for each in below}
        await connection.executemany(
            "insert into term_closure_code values ($1, $2, $3, $4, $5)",
            [(owner, name, system, code, version) for system, code in fresh],
        )
        await connection.executemany(
            "insert into term_closure_pair (owner, name, system, above, below, added)"
            " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            [(owner, name, each.system, each.above, each.below, version) for each in found],
        )
        await connection.execute(
            "update term_closure set version = $3 where owner = $1 and name = $2",
            owner,
            name,
            version,
        )
    return version, list(found)


async def since(db: Database, owner: str, name: str, version: int) -> tuple[int, list[Pair]]:
    """The present version, and every pair told after `version`. Raises TxError."""
    async with db.transaction() as connection:
        current = await _locked(connection, owner, name)
        rows = await connection.fetch(
            "select system, below, above from term_closure_pair"
            " where owner = $1 and name = $2 and added > $3"
            " order by added, system, below, above limit 1000000",
            owner,
            name,
            version,
        )
    return current, [Pair(row["system"], row["below"], row["above"]) for row in rows]


async def _locked(connection: Connection, owner: str, name: str) -> int:
    version = await connection.fetchval(
        "select version from term_closure where owner = $1 and name = $2 for update", owner, name
    )
    if version is None:
        text = "there is no closure table of this name: begin with $closure and its name alone"
        raise TxError(404, TxIssue("error", "not-found", "not-found", text))
    return int(version)


def _refused(code: str, text: str) -> TxError:
    return TxError(422, TxIssue("error", code, "", text))
