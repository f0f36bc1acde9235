"""Reading by address: current versions, past versions, and whose a Patient or a claim is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.labels import Veil
from pater.store.beside import Beside
from pater.store.body import Source
from pater.store.database import Database, Record
from pater.store.veils import After

COLUMNS = "type, id, version, updated, person, deleted, method, dict, body, label"
"""What a query on `resource` or `history` must give for `to_stored`."""

_READ = f"select {COLUMNS} from resource where type = $1 and id = $2"  # noqa: S608 constants
_READ_MANY = (
    "select r.type, r.id, r.version, r.updated, r.person, r.deleted, r.method, r.dict, r.body,"
    " r.label"
    " from unnest($1::smallint[], $2::text[]) as k(type, id)"
    " join resource r on r.type = k.type and r.id = k.id"
)
_VERSION = (
    f"select {COLUMNS}, label as now from resource"  # noqa: S608 constants
    " where type = $1 and id = $2 and version = $3"
    f" union all select {COLUMNS}, (select r.label from resource r where r.type = $1 and r.id = $2)"
    " from history where type = $1 and id = $2 and version = $3 limit 1"
)
_PERSONS = (
    "select r.id, r.person, coalesce(survivor_of(r.id), '') as survivor"
    " from unnest($2::text[]) as k(id)"
    " join resource r on r.type = $1 and r.id = k.id where not r.deleted"
)
_HELD = (
    "select t.type from unnest($1::smallint[]) as t(type) where exists"
    " (select from resource r where r.type = t.type and not r.deleted)"
)
_LAST = 2**31 - 1


class Damaged(Exception):  # noqa: N818 (named as what it says)
    """A version is not what was written: it is given to nobody. Raised by a guard of its type."""

    def __init__(self, type: str, id: str) -> None:
        super().__init__(f"{type}/{id} is not what was written")
        self.type, self.id = type, id


# Nobody changes one. Frozen ones take three times as long to make, and a page has many.
@dataclass(slots=True, unsafe_hash=True)
class Stored:
    """One version of a resource as it was written; `body` is empty when it is a deletion.

    `label` says of what kind it is (see `fhir.labels`); `now` is the label of the current version
    where a single past one was asked for, else None.
    """

    type: str
    id: str
    version: int
    updated: datetime
    person: int
    deleted: bool
    body: bytes
    method: str
    label: int = 0
    now: int | None = None

    def held_back(self, veil: Veil | None) -> bool:
        """Whether the person holds it back. A Patient never is; a past version is as soon as the
        current one is.
        """
        if veil is None or self.type == "Patient":
            return False
        if self.now is not None and veil.holds_back(self.now):
            return True
        return veil.holds_back(self.label)


_METHODS = {"C": "POST", "U": "PUT", "D": "DELETE", "P": "PATCH"}
METHOD_LETTERS = {name: letter for letter, name in _METHODS.items()}
"""The one letter under which `resource` and `history` keep the HTTP method of a version."""


async def to_stored(db: Source, rows: Sequence[Record], *, guarded: bool = True) -> list[Stored]:
    """Rows with `COLUMNS` as resources, bodies decompressed, order kept.

    Who reads before it is decided whether the caller may see them asks for them not `guarded`, and
    shows them to `guard` afterwards: what is withheld must not take longer than what is not there.
    """
    await db.bodies.ensure(db, {row["dict"] for row in rows})
    decompress = db.bodies.decompress
    found = [
        Stored(
            type=RESOURCE_TYPES[row["type"]],
            id=row["id"],
            version=row["version"],
            updated=row["updated"],
            person=row["person"],
            deleted=row["deleted"],
            body=decompress(row["dict"], row["body"]),
            method=_METHODS[row["method"]],
            label=row["label"],
        )
        for row in rows
    ]
    if guarded:
        await guard(db, found)
    return found


async def guard(db: Source, versions: Sequence[Stored]) -> None:
    """Shows versions to the guards of their types. Raises Damaged."""
    for number, check in db.bodies.guards.items():
        if of_type := [one for one in versions if one.type == RESOURCE_TYPES[number]]:
            await check(of_type)


async def read(
    db: Database, type_name: str, resource_id: str, *, guarded: bool = True
) -> Stored | None:
    """The current version (a deletion too), or None when there never was one."""
    row = await db.read_row(_READ, TYPE_NUMBER[type_name], resource_id)
    return None if row is None else (await to_stored(db, [row], guarded=guarded))[0]


async def read_beside(
    db: Database, type_name: str, resource_id: str, beside: Beside
) -> tuple[Stored | None, Record | None]:
    """As `read`, not guarded and beneath no wall, with what is told of the person."""
    args = After(2, [])
    sql = beside.sql(_READ, args)
    rows = await db.look_up(sql, TYPE_NUMBER[type_name], resource_id, *args.values)
    return ((await to_stored(db, rows, guarded=False))[0], rows[0]) if rows else (None, None)


async def read_many(
    db: Database, keys: Iterable[tuple[str, str]], *, guarded: bool = True
) -> list[Stored]:
    """The current versions of the (type, id) that exist, deletions too; in no set order."""
    wanted = sorted({(TYPE_NUMBER[type_name], key) for type_name, key in keys})
    if not wanted:
        return []
    types, ids = zip(*wanted, strict=True)
    return await to_stored(db, await db.read(_READ_MANY, types, ids), guarded=guarded)


async def read_version(
    db: Database, type_name: str, resource_id: str, version: int, *, guarded: bool = True
) -> Stored | None:
    """One version, current or past, or None."""
    if not 0 < version <= _LAST:
        return None
    row = await db.read_row(_VERSION, TYPE_NUMBER[type_name], resource_id, version)
    if row is None:
        return None
    [stored] = await to_stored(db, [row], guarded=guarded)
    stored.now = row["now"]
    return stored


async def persons_of(db: Database, patient_ids: Iterable[str]) -> dict[str, int]:
    """The person number of each Patient id that exists and is not deleted."""
    return {id_: person for id_, (person, _) in (await leading(db, patient_ids)).items()}


async def leading(db: Database, patient_ids: Iterable[str]) -> dict[str, tuple[int, str]]:
    """As `persons_of`, each with the Patient that it leads to, "" = it was not merged."""
    ids = sorted(set(patient_ids))
    if not ids:
        return {}
    rows = await db.read(_PERSONS, TYPE_NUMBER["Patient"], ids)
    return {row["id"]: (row["person"], row["survivor"]) for row in rows}


async def merged_among(db: Database, persons: Iterable[int]) -> list[int]:
    """Those of the person numbers that lead to others by now."""
    rows = await db.fetch(
        "select distinct former from alias where former = any($1::bigint[])", sorted(set(persons))
    )
    return [row["former"] for row in rows]


async def formers(db: Database, person: int) -> list[int]:
    """The person numbers that lead to a person."""
    rows = await db.fetch("select former from alias where person = $1 order by former", person)
    return [row["former"] for row in rows]


async def held_types(db: Database) -> frozenset[str]:
    """The resource types of which there is any: one look into an index for each."""
    rows = await db.fetch(_HELD, list(range(len(RESOURCE_TYPES))))
    return frozenset(RESOURCE_TYPES[row["type"]] for row in rows)


async def claim_holder(db: Database, key: bytes) -> str:
    """The target that holds a business key, "" when nobody does."""
    target: str | None = await db.fetchval("select target from claim where key = $1", key)
    return target or ""


async def claim_holders(db: Database, keys: Iterable[bytes]) -> dict[bytes, tuple[int, str]]:
    """The person number and the target of each of the business keys that somebody holds."""
    rows = await db.fetch(
        "select key, person, target from claim where key = any($1::bytea[])", list(keys)
    )
    return {row["key"]: (row["person"], row["target"]) for row in rows}


_BEFORE = (
    "select h.type, h.id, h.version, h.updated, h.person, h.deleted, h.method, h.dict, h.body,"
    " h.label"
    " from unnest($1::smallint[], $2::text[], $3::int[]) as k(type, id, version)"
    " join history h on h.type = k.type and h.id = k.id and h.version = k.version - 1"
)


async def before(db: Database, versions: Sequence[Stored]) -> dict[tuple[str, str, int], Stored]:
    """What stood before each of these versions, by the (type, id, version) of the later one."""
    if not versions:
        return {}
    types = [TYPE_NUMBER[each.type] for each in versions]
    ids, numbers = [each.id for each in versions], [each.version for each in versions]
    found = await to_stored(db, await db.read(_BEFORE, types, ids, numbers))
    return {(each.type, each.id, each.version + 1): each for each in found}
