"""What each source last said of a person, kept side by side; and whom a merged Patient leads to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import zstandard

from pater.fhir.json import dumps, parse
from pater.registers.surviving import Resource, Said, Source
from pater.store.database import Database, Record
from pater.store.write import Claim, Statement, claim_key

MOST: Final = 500
"""Sources of one person that are read together."""

_COLUMNS: Final = (
    "source, system, value, person, name, reference, received, valid_from, valid_to, disputed, body"
)
# What was said before is kept: it tells what was known at a time.
_SAID: Final = f"""
with before as (
  insert into source_past (source, system, value, person, name, reference, received, superseded,
                           valid_from, valid_to, disputed, body)
  select source, system, value, person, name, reference, received, $7, valid_from, valid_to,
         disputed, body
  from source_record where source = $1 and system = $2 and value = $3 and body <> $10
  on conflict do nothing
)
insert into source_record as r ({_COLUMNS})
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{{}}', $10)
on conflict (source, system, value) do update
set person = excluded.person, name = excluded.name, reference = excluded.reference,
    received = case when r.body = excluded.body then r.received else excluded.received end,
    valid_from = excluded.valid_from, valid_to = excluded.valid_to, body = excluded.body,
    disputed = case when r.body = excluded.body then r.disputed else '{{}}' end
"""  # noqa: S608 constants


def key(source: Source) -> bytes:
    """The claim of a person upon the number under which a source knows them."""
    return claim_key("source", source.name, source.system, source.value)


def claim(source: Source, person: int, patient: str) -> Claim:
    """The claim to be written with what a source says: the same number, always the same person."""
    return Claim(key(source), person, patient)


def said(
    person: int,
    source: Source,
    patient: Resource,
    now: datetime,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Statement:
    """Writes down what a source says of a person; what it said before becomes past."""
    return Statement(
        _SAID,
        (
            source.name, source.system, source.value, person, source.title, source.reference, now,
            valid_from, valid_to, _packed(patient),
        ),
    )  # fmt: skip


def gone(source: Source) -> Statement:
    """Takes back that a source knows the person; what it said stays as past."""
    return Statement(
        "with gone as (delete from source_record where source = $1 and system = $2 and value = $3"
        " returning *) insert into source_past (source, system, value, person, name, reference,"
        " received, superseded, valid_from, valid_to, disputed, body) select source, system, value,"
        " person, name, reference, received, now(), valid_from, valid_to, disputed, body from gone"
        " on conflict do nothing",
        (source.name, source.system, source.value),
    )


def with_this(known: Sequence[Said], new: Said) -> list[Said]:
    """What is known of a person once a source has said something new: for `surviving.survive`."""
    same = (new.source.name, new.source.system, new.source.value)
    others = [e for e in known if (e.source.name, e.source.system, e.source.value) != same]
    return [*others, new]


async def of(db: Database, person: int) -> list[Said]:
    """What the sources of a person last said, the newest first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from source_record where person = $1"  # noqa: S608 constants
        " order by received desc, source, system, value limit $2",
        person,
        MOST,
    )
    return [_said(row) for row in rows]


async def said_by(db: Database, source: str, persons: Collection[int]) -> dict[int, list[Said]]:
    """What one source last said of each of several persons."""
    rows = await db.fetch(
        f"select {_COLUMNS} from source_record where person = any($1::bigint[])"  # noqa: S608
        " and source = $2 order by received desc, system, value limit $3",
        list(persons),
        source,
        MOST,
    )
    found: dict[int, list[Said]] = {}
    for row in rows:
        found.setdefault(row["person"], []).append(_said(row))
    return found


async def known_at(db: Database, person: int, at: datetime) -> list[Said]:
    """What the sources of a person had said until a moment."""
    rows = await db.fetch(
        f"select {_COLUMNS} from source_record where person = $1 and received <= $2"  # noqa: S608
        f" union all select {_COLUMNS} from source_past"
        " where person = $1 and received <= $2 and superseded > $2"
        " order by received desc, source, system, value limit $3",
        person,
        at,
        MOST,
    )
    return [_said(row) for row in rows]


async def past_of(db: Database, person: int) -> list[tuple[Said, datetime]]:
    """What the sources of a person said before, each until when, the newest first."""
    rows = await db.fetch(
        f"select {_COLUMNS}, superseded from source_past where person = $1"  # noqa: S608 constants
        " order by received desc, source, system, value limit $2",
        person,
        MOST,
    )
    return [(_said(row), row["superseded"]) for row in rows]


async def one(db: Database, source: str, system: str, value: str) -> Said | None:
    """What a source last said under a number."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from source_record"  # noqa: S608 constants
        " where source = $1 and system = $2 and value = $3",
        source,
        system,
        value,
    )
    return None if row is None else _said(row)


async def under(db: Database, source: str, system: str, values: Collection[str]) -> dict[str, Said]:
    """What a source last said under each of several numbers of one system."""
    rows = await db.fetch(
        f"select {_COLUMNS} from source_record"  # noqa: S608 constants
        " where source = $1 and system = $2 and value = any($3::text[])",
        source,
        system,
        list(values),
    )
    return {row["value"]: _said(row) for row in rows}


def dispute(person: int, attribute: str, *, open: bool) -> Statement:
    """Marks an attribute as disputed with all sources of a person, or no longer."""
    change = (
        "array_append(array_remove(disputed, $2), $2)" if open else "array_remove(disputed, $2)"
    )
    return Statement(
        f"update source_record set disputed = {change} where person = $1",  # noqa: S608 constants
        (person, attribute),
    )


async def survivor_of(db: Database, patient: str) -> str:
    """The Patient that a Patient leads to: itself, unless it was merged."""
    return (await survivors_of(db, [patient])).get(patient, patient)


async def survivors_of(db: Database, patients: Collection[str]) -> dict[str, str]:
    """Those of the Patients that were merged, with the ones they lead to."""
    rows = await db.fetch(
        "select patient, survivor from alias where patient = any($1::text[])", list(patients)
    )
    return {row["patient"]: row["survivor"] for row in rows}


def _packed(patient: Resource) -> bytes:
    return zstandard.ZstdCompressor().compress(dumps(patient))


def _said(row: Record) -> Said:
    body = zstandard.ZstdDecompressor().decompress(row["body"])
    return Said(
        Source(row["source"], row["system"], row["value"], row["reference"], row["name"]),
        parse(body),
        row["received"],
        row["valid_from"],
        row["valid_to"],
        frozenset(row["disputed"]),
        row["person"],
    )
