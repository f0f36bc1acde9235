"""The parameter by which each type is classified, whose codes have an index in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.json import JsonError, parse
from pater.fhir.search.index import MAIN_DATE, index_values
from pater.fhir.search.parameters import asked_as
from pater.fhir.search.query import Sort
from pater.fhir.search.values import IndexValues
from pater.store.database import Connection, Database
from pater.store.tokens import system_code_hash

_OTHER = {"Composition": "type", "DocumentReference": "type", "Immunization": "vaccine-code"}
STEP = 500
_SHORT = 200  # longer ones are not remembered
_kept_hash = lru_cache(maxsize=16_384)(system_code_hash)

_UNCODED = """
select rid, type, person, date, dict, body from resource
where not coded and not deleted limit $1 for update skip locked
"""
_FORGET = "delete from code_index where rid = any($1::bigint[])"
_CODES = """
insert into code_index (person, rid, token, date)
select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[])
"""
_CODED = "update resource set coded = true where rid = any($1::bigint[])"


def _classes() -> Mapping[str, str]:
    found = {}
    for type_ in RESOURCE_TYPES:
        param = _OTHER.get(type_, "code")
        definition = search_parameters(type_).get(param)
        if definition is None or definition.type != "token":
            continue
        if asked_as(type_, param) == (param,):
            found[type_] = param
    return MappingProxyType(found)


CLASSES: Mapping[str, str] = _classes()
"""The token parameter of each type whose codes are in `code_index`."""


def codes(type_: str, values: IndexValues) -> list[int]:
    """The hashes of a resource's codes that have a system, each once."""
    wanted = CLASSES.get(type_)
    found = [
        (_kept_hash if len(system) + len(code) <= _SHORT else system_code_hash)(
            type_, param, system, code
        )
        for param, system, code in values.tokens
        if param == wanted and system and code
    ]
    return list(dict.fromkeys(found)) if len(found) > 1 else found


async def fill(db: Database, *, most: int = 1_000_000) -> int:
    """Fills the index for rows that are not in it yet; how many resources were looked at."""
    done = 0
    while done < most:
        async with db.transaction() as connection:
            found = await _step(db, connection)
        done += found
        if found < STEP:
            break
    return done


async def _step(db: Database, connection: Connection) -> int:
    rows = await connection.fetch(_UNCODED, STEP)
    await db.bodies.ensure(cast(Database, connection), {row["dict"] for row in rows})
    made: list[tuple[Any, ...]] = []
    for row in rows:
        type_ = RESOURCE_TYPES[row["type"]]
        if type_ not in CLASSES:
            continue
        try:
            resource = parse(db.bodies.decompress(row["dict"], row["body"]))
        except JsonError:  # kept as it came
            continue
        for token in codes(type_, index_values(type_, resource)):
            made.append((row["person"], row["rid"], token, row["date"]))
    rids = [row["rid"] for row in rows]
    await connection.execute(_FORGET, rids)
    if made:
        await connection.execute(_CODES, *zip(*made, strict=True))
    await connection.execute(_CODED, rids)
    return len(rows)


def ordered_by(type_: str, sort: Sequence[Sort]) -> str:
    """The column of `code_index` whose order a search asks for, "" when it has none such."""
    if not sort:
        return "rid"
    return "date" if MAIN_DATE.get(type_) == sort[0].param else ""
