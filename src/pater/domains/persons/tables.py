"""What of plain tables this domain reads and writes: the systems of numbers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pater.records.gate import Statement
from pater.store.database import Database

__all__ = [
    "Database",
    "Known",
    "Standing",
    "held_by_others",
    "known",
    "noted",
    "open_case",
    "replaced",
    "rid_of",
    "standing",
]

_KNOWN: Final = (
    "select system, canonical, assigner, type, name from identity_domain"
    " where system = any($1::text[])"
)
_OTHERS: Final = (
    "select system from identity_domain where system = any($1::text[]) and resource <> $2"
    " order by system"
)
_INSERT: Final = (
    "insert into identity_domain (system, canonical, assigner, type, name, resource)"
    " values ($1, $2, $3, $4, $5, $6) on conflict (system) do nothing"
)


@dataclass(frozen=True, slots=True)
class Known:
    """One name of a system of numbers."""

    system: str
    canonical: str
    assigner: str
    type: str
    name: str


async def known(db: Database, systems: Sequence[str]) -> list[Known]:
    """Those of the systems that are known."""
    return [Known(**dict(row)) for row in await db.fetch(_KNOWN, list(systems))]


async def held_by_others(db: Database, systems: Sequence[str], resource: str) -> list[str]:
    """Those of the systems that another NamingSystem names."""
    if not systems:
        return []
    return [row["system"] for row in await db.fetch(_OTHERS, list(systems), resource)]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands in the register."""

    rid: str
    temporary: bool
    state: str


async def standing(db: Database, persons: Sequence[int]) -> dict[int, Standing]:
    """How each of the persons stands."""
    rows = await db.fetch(
        "select person, rid, temporary, state from person where person = any($1::bigint[])",
        list(persons),
    )
    return {row["person"]: Standing(row["rid"], row["temporary"], row["state"]) for row in rows}


def noted(person: int, text: str) -> Statement:
    """Writes down with the open case of a person why it was asked for."""
    return Statement(
        "update match_case set note = $2, version = version + 1"
        " where person = $1 and state = 'open'",
        (person, text),
    )


async def open_case(db: Database, person: int) -> int:
    """The case of the review queue that is open about a person, 0 = there is none."""
    found = await db.fetchval(
        "select id from match_case where person = $1 and state = 'open'", person
    )
    return found or 0


async def rid_of(db: Database, person: int) -> str:
    """The register's number of a person, "" for one who has none."""
    return await db.fetchval("select rid from person where person = $1", person) or ""


def replaced(resource: str, rows: Sequence[Known]) -> tuple[Statement, ...]:
    """What a NamingSystem says now, in place of what it said before."""
    gone = Statement("delete from identity_domain where resource = $1", (resource,))
    made = [
        Statement(
            _INSERT, (each.system, each.canonical, each.assigner, each.type, each.name, resource)
        )
        for each in rows
    ]
    return (gone, *made)
