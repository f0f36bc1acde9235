"""Reading many versions at once: what followers of the feed need of the writes it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database
from pater.store.read import Stored, to_stored

VersionKey = tuple[str, str, int]
"""(type, id, version)"""

_COLUMNS: Final = "{0}.type, {0}.id, {0}.version, {0}.updated, {0}.person, {0}.deleted"
_MANY: Final = " union all ".join(
    f"select {_COLUMNS.format(alias)}, {alias}.method, {alias}.dict, {alias}.body, {alias}.label,"  # noqa: S608
    f" {now} as now from unnest($1::smallint[], $2::text[], $3::int[]) as k(type, id, version)"
    f" join {table} {alias} on {alias}.type = k.type and {alias}.id = k.id"
    f" and {alias}.version = k.version"
    for alias, table, now in (
        ("r", "resource", "r.label"),
        ("h", "history", "(select n.label from resource n where n.type = h.type and n.id = h.id)"),
    )
)


async def read_versions(db: Database, keys: Sequence[VersionKey]) -> dict[VersionKey, Stored]:
    """The versions that there are (or were, and are not expunged), current or past."""
    wanted = sorted({(TYPE_NUMBER[type_], id_, version) for type_, id_, version in keys})
    if not wanted:
        return {}
    types, ids, versions = zip(*wanted, strict=True)
    rows = await db.read(_MANY, types, ids, versions)
    found = await to_stored(db, rows)
    for row, each in zip(rows, found, strict=True):
        each.now = row["now"]
    return {(each.type, each.id, each.version): each for each in found}
