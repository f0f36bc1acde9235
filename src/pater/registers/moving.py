"""Records that go from one person to another: which versions are written, which rows follow.

Merges, splits and their undoing are made of it. Everything is written down in `merge_row` and
happens in the transaction of one commit. What is large goes through it in chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.references import rewrite
from pater.store.database import Connection, Database, Record
from pater.store.person_tables import ALIASES, PersonTable
from pater.store.write import Put, Statement, VersionConflict

Resource = dict[str, Any]
Key = tuple[str, str]

AT_ONCE: Final = 5_000
"""Resources that are moved while the registrar waits; of more a job is made."""
CHUNK: Final = 200
"""Resources of a large record that are held in memory at a time."""
_PASSES: Final = 4  # over a record to which others keep adding; the rest follows afterwards
_PATIENT: Final = TYPE_NUMBER["Patient"]

_ROWS: Final = """
select type, id, version, label, dict, body from resource
where person = $1 and not deleted and not (type = $2 and id = $3) order by rid limit $4
"""
_MORE: Final = """
select count(*) > $4 from (
  select from resource where person = $1 and not deleted and not (type = $2 and id = $3)
  limit $4 + 1
) r
"""
_WALK: Final = """
select type, id, version, label, dict, body from resource
where person = $1 and not deleted and not (type = $2 and id = $3)
"""
# In the order in which every batch locks: nobody waits for us who holds what we want.
_LOCK: Final = """
select count(*) from (
  select r.rid from (
    select type, id from resource where person = $1 and not deleted
    union select $2::smallint, unnest($3::text[])
  ) k join resource r on r.type = k.type and r.id = k.id
  order by r.type, r.id for update of r
) locked
"""
# What a merge moved, and what was written for the merged one since: each once, with its versions
# before and after.
_MOVED: Final = """
select k.type, k.id, coalesce(max(k.before), 0) as before, coalesce(max(k.after), 1) as after,
       bool_or(k.before is null) as late
from (
  select split_part(m.key, '/', 1)::smallint as type, substr(m.key, strpos(m.key, '/') + 1) as id,
         m.before, m.after
  from merge_row m where m.merge = $1::text::uuid and m.place in ('resource', 'tombstone')
  union all
  select w.type, w.id, null, null from alias_written w
  where w.patient = $2 or w.patient in (
    select m.key from merge_row m where m.merge = $1::text::uuid and m.place = $3)
) k
where not (k.type = $4 and k.id = $2)
group by k.type, k.id
"""
_MORE_MOVED: Final = f"select count(*) > $5 from ({_MOVED} limit $5 + 1) m"  # noqa: S608 constants
_LOCK_MOVED: Final = f"""
select count(*) from (
  select r.rid from (
    select type, id from ({_MOVED}) m union select $4::smallint, unnest($5::text[])
  ) k join resource r on r.type = k.type and r.id = k.id
  order by r.type, r.id for update of r
) locked
"""  # noqa: S608 constants
_GIVEN: Final = """
select r.type, r.id, r.version, r.label, r.person, r.deleted, r.dict, r.body
from unnest($1::smallint[], $2::text[]) as k(type, id)
join resource r on r.type = k.type and r.id = k.id
"""
_VERSIONS: Final = """
select h.type, h.id, h.version, h.dict, h.body
from unnest($1::smallint[], $2::text[], $3::int[]) as k(type, id, version)
join history h on h.type = k.type and h.id = k.id and h.version = k.version
"""
_NOTED: Final = """
insert into merge_row (merge, place, key, before, after)
select $1::uuid, $2::text, k.key, k.before, k.after
from unnest($3::text[], $4::int[], $5::int[]) as k(key, before, after)
"""
_COLUMNS: Final = (
    "type, id, rid, version, updated, method, deleted, date, date_end, tokens, dict, body, coded,"
    " label"
)
_PAST: Final = "type, id, rid, version, updated, method, deleted, dict, body, label"
# Deletions have neither content nor index: the row itself goes. It leaves and comes back, as the
# number of a person is the shard key.
_TOMBSTONES: Final = f"""
with gone as (delete from resource where person = $1::bigint and deleted returning *),
noted as (
  insert into merge_row (merge, place, key, before, after)
  select $3::uuid, 'tombstone', type::text || '/' || id, version, version from gone
)
insert into resource (person, {_COLUMNS}) select $2::bigint, {_COLUMNS} from gone
"""  # noqa: S608 constants
_THESE_TOMBSTONES: Final = f"""
with gone as (
  delete from resource r using unnest($3::smallint[], $4::text[]) as k(type, id)
  where r.type = k.type and r.id = k.id and r.person = $1::bigint and r.deleted returning r.*
)
insert into resource (person, {_COLUMNS}) select $2::bigint, {_COLUMNS} from gone
"""  # noqa: S608 constants
# A row of its own for each resource. Written into the rows that say what moved, without statistics
# of them, the plan would compare every row with every other: a minute for 5,000 resources.
_NOTED_PAST: Final = """
insert into merge_row (merge, place, key, past)
select $3::uuid, 'past', type::text || '/' || id, array_agg(version) from gone group by type, id
"""
_HISTORY: Final = f"""
with gone as (
  delete from history h using unnest($4::smallint[], $5::text[]) as k(type, id)
  where h.type = k.type and h.id = k.id and h.person = $1::bigint returning h.*
), added as (
  insert into history (person, {_PAST}) select $2::bigint, {_PAST} from gone
)
{_NOTED_PAST}
"""  # noqa: S608 constants
_HISTORY_OF_TOMBSTONES: Final = f"""
with keys as (
  select split_part(key, '/', 1)::smallint as type, substr(key, strpos(key, '/') + 1) as id
  from merge_row where merge = $3::uuid and place = 'tombstone'
), gone as (
  delete from history h using keys k
  where h.type = k.type and h.id = k.id and h.person = $1::bigint returning h.*
), added as (
  insert into history (person, {_PAST}) select $2::bigint, {_PAST} from gone
)
{_NOTED_PAST}
"""  # noqa: S608 constants
# What was written while they were one is of the one whose resource it is.
_HISTORY_BACK: Final = f"""
with keys as (
  select k.type, k.id, k.since,
         (select array_agg(v) from merge_row m, unnest(m.past) as v
          where m.merge = $3::uuid and m.key = k.type::text || '/' || k.id) as past
  from unnest($4::smallint[], $5::text[], $6::int[]) as k(type, id, since)
), gone as (
  delete from history h using keys k
  where h.type = k.type and h.id = k.id and h.person = $1::bigint
    and (h.version >= k.since or h.version = any(coalesce(k.past, '{{}}'::int[])))
  returning h.*
)
insert into history (person, {_PAST}) select $2::bigint, {_PAST} from gone
"""  # noqa: S608 constants
_CLAIMS: Final = """
with old as (select key, target from claim where person = $1::bigint for update),
moved as (
  update claim c
  set person = $2::bigint, target = case when o.target = $4::text then $5::text else o.target end
  from old o where c.key = o.key returning c.key, (o.target = $4::text)::int as named
)
insert into merge_row (merge, place, key, before)
select $3::uuid, 'claim', encode(key, 'hex'), named from moved
"""
_CLAIMS_BACK: Final = """
update claim c
set person = $2::bigint, target = case when m.before = 1 then $4::text else c.target end
from merge_row m
where m.merge = $3::uuid and m.place = 'claim' and c.key = decode(m.key, 'hex')
  and c.person = $1::bigint
"""
_CLAIMS_OF: Final = """
update claim set person = $2::bigint where person = $1::bigint and target = any($3::text[])
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A current version as it stands, with its bytes; empty = it is deleted."""

    type: str
    id: str
    version: int
    person: int
    label: int  # a document's category is that of what it brought: not to be told from these
    body: bytes

    @property
    def key(self) -> str:
        """Its name in what is written down."""
        return key_of(self.type, self.id)


def key_of(type: str, id: str) -> str:
    """The name of a resource in what is written down."""
    return f"{TYPE_NUMBER[type]}/{id}"


def numbered(key: Key) -> tuple[int, str]:
    """The number of its type and the id of a resource."""
    return TYPE_NUMBER[key[0]], key[1]


def named(key: str) -> Key:
    """The resource that is written down under a name."""
    number, _, id_ = key.partition("/")
    return RESOURCE_TYPES[int(number)], id_


async def record_of(db: Database, person: int, master: str) -> list[Held]:
    """The current resources of a person without the master Patient, one more than AT_ONCE at
    most.
    """
    rows = await db.fetch(_ROWS, person, _PATIENT, master, AT_ONCE + 1)
    return await _held(db, rows, person)


async def more(db: Database, person: int, master: str, than: int) -> bool:
    """Whether somebody has more than so many current resources beside the master Patient."""
    found: bool = await db.fetchval(_MORE, person, _PATIENT, master, than)
    return found


async def locked(connection: Connection, person: int, patients: Sequence[str]) -> int:
    """Keeps the resources of a person and these Patients as they are until the transaction ends;
    how many they are.
    """
    found: int = await connection.fetchval(_LOCK, person, _PATIENT, list(patients))
    return found


async def standing(connection: Connection, heads: Collection[tuple[str, int]]) -> None:
    """Raises VersionConflict unless these Patients have these versions."""
    types = [_PATIENT] * len(heads)
    rows = await connection.fetch(_GIVEN, types, [patient for patient, _ in heads])
    found = {row["id"]: row["version"] for row in rows if not row["deleted"]}
    for patient, version in heads:
        if found.get(patient) != version:
            raise VersionConflict("Patient", patient, found.get(patient))


async def walk(
    db: Database, connection: Connection, person: int, master: str
) -> AsyncGenerator[list[Held], None]:
    """All of a person beside the master Patient, in chunks, while they are being moved by the same
    transaction; what comes in meanwhile follows at the end.
    """
    for _ in range(_PASSES):
        if not await locked(connection, person, []):
            return
        async for rows in _chunks(connection, _WALK, person, _PATIENT, master):
            yield await _held(db, rows, person)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a merge moved, or (`late`) was written since for whom it merged: versions before and
    after.
    """

    key: Key
    before: int
    after: int
    late: bool


async def more_moved(db: Database, merge: str, patient: str, than: int) -> bool:
    """Whether a merge of a Patient has moved more than so many resources, with what came since."""
    found: bool = await db.fetchval(_MORE_MOVED, merge, patient, ALIASES.place, _PATIENT, than)
    return found


async def moved_by(db: Database, merge: str, patient: str) -> list[Moved]:
    """What a merge of a Patient has moved, one more than AT_ONCE at most."""
    args = merge, patient, ALIASES.place, _PATIENT, AT_ONCE + 1
    return list(map(_moved, await db.fetch(f"{_MOVED} limit $5", *args)))


async def locked_moved(
    connection: Connection, merge: str, patient: str, patients: Sequence[str]
) -> int:
    """As `locked`, of what a merge of a Patient has moved."""
    found: int = await connection.fetchval(
        _LOCK_MOVED, merge, patient, ALIASES.place, _PATIENT, list(patients)
    )
    return found


async def walk_moved(
    connection: Connection, merge: str, patient: str
) -> AsyncGenerator[list[Moved], None]:
    """What a merge of a Patient has moved, in chunks."""
    async for rows in _chunks(connection, _MOVED, merge, patient, ALIASES.place, _PATIENT):
        yield list(map(_moved, rows))


def _moved(row: Record) -> Moved:
    key = RESOURCE_TYPES[row["type"]], row["id"]
    return Moved(key, row["before"], row["after"], row["late"])


async def _chunks(
    connection: Connection, sql: str, *args: Any
) -> AsyncGenerator[list[Record], None]:
    cursor = await connection.cursor(sql, *args)
    while rows := await cursor.fetch(CHUNK):
        yield rows


async def _held(db: Database, rows: Sequence[Record], person: int) -> list[Held]:
    return [
        Held(RESOURCE_TYPES[row["type"]], row["id"], row["version"], person, row["label"], body)
        for row, body in zip(rows, await _bodies(db, rows), strict=True)
    ]


async def given(
    db: Database, keys: Collection[Key], connection: Connection | None = None
) -> dict[Key, Held]:
    """These resources as they stand (in the transaction of a connection), deletions too."""
    wanted = sorted({(TYPE_NUMBER[type_], id_) for type_, id_ in keys})
    if not wanted:
        return {}
    types, ids = zip(*wanted, strict=True)
    rows = await (connection or db).fetch(_GIVEN, types, ids)
    return {
        (RESOURCE_TYPES[row["type"]], row["id"]): Held(
            RESOURCE_TYPES[row["type"]], row["id"], row["version"], row["person"], row["label"],
            b"" if row["deleted"] else body,
        )
        for row, body in zip(rows, await _bodies(db, rows), strict=True)
    }  # fmt: skip


async def past(db: Database, keys: Iterable[tuple[str, str, int]]) -> dict[Key, bytes]:
    """Superseded versions, by their resource."""
    wanted = sorted((TYPE_NUMBER[type_], id_, version) for type_, id_, version in keys)
    if not wanted:
        return {}
    types, ids, versions = zip(*wanted, strict=True)
    rows = await db.fetch(_VERSIONS, types, ids, versions)
    return {
        (RESOURCE_TYPES[row["type"]], row["id"]): body
        for row, body in zip(rows, await _bodies(db, rows), strict=True)
    }


async def _bodies(db: Database, rows: Sequence[Record]) -> list[bytes]:
    # not as a reader gets them: a document that is damaged moves with the rest, as it is
    await db.bodies.ensure(db, {row["dict"] for row in rows})
    found = []
    for number, row in enumerate(rows, start=1):
        found.append(db.bodies.decompress(row["dict"], row["body"]))
        if number % 200 == 0:
            await asyncio.sleep(0)
    return found


def referring(base_url: str, old: str, new: str) -> dict[str, str]:
    """What a reference to a Patient reads, and what it shall read."""
    pairs = {f"Patient/{old}": f"Patient/{new}"}
    if base_url:
        pairs[f"{base_url}/Patient/{old}"] = f"{base_url}/Patient/{new}"
    return pairs


def next_version(held: Held, person: int, mapping: Mapping[str, str]) -> Put:
    """A resource as the next person's, its references rewritten."""
    resource = parse(held.body)
    # the bytes as received are what was sealed: only whose they are changes
    raw = held.body if _as_received(held, resource) else None
    return _put(held, person, resource if raw else rewrite(resource, mapping), raw)


def restored(held: Held, person: int, before: bytes) -> Put:
    """A resource as it was, over what stands now."""
    raw = before if _as_received(held, parse(held.body)) else None
    return _put(held, person, parse(before), raw)


def _put(held: Held, person: int, resource: Resource, raw: bytes | None) -> Put:
    return Put(
        held.type, held.id, person, resource, raw=raw, expected=held.version, label=held.label
    )


def _as_received(held: Held, resource: Resource) -> bool:
    meta = resource.get("meta")
    ours = isinstance(meta, dict) and meta.get("versionId") == str(held.version)
    return not (ours and resource.get("id") == held.id)


def moves(
    merge: str,
    source: int,
    to: int,
    patients: tuple[str, str],
    written: Sequence[tuple[str, int, int]],
    tables: Sequence[PersonTable],
) -> list[Statement]:
    """Everything of a person goes to another one; `patients` are the ids of the two.

    `written` are the resources with their versions before and after.
    """
    old, new = patients
    return [
        noted(merge, "resource", written),
        Statement(_TOMBSTONES, (source, to, merge)),
        history_follows(merge, source, to, [key for key, _, _ in written]),
        Statement(_HISTORY_OF_TOMBSTONES, (source, to, merge)),
        Statement(_CLAIMS, (source, to, merge, old, new)),
        *(each.move(merge, source, to, new) for each in (ALIASES, *tables)),
        *after(tables, source, to),
    ]


def noted(merge: str, place: str, written: Sequence[tuple[str, int, int]]) -> Statement:
    """Writes down which versions were written."""
    return Statement(
        _NOTED,
        (
            merge, place, [key for key, _, _ in written], [before for _, before, _ in written],
            [after for _, _, after in written],
        ),
    )  # fmt: skip


def history_follows(merge: str, source: int, to: int, keys: Sequence[str]) -> Statement:
    """Superseded versions go where their resources went, by what these are written down as."""
    found = [named(key) for key in keys]
    types = [TYPE_NUMBER[type_] for type_, _ in found]
    return Statement(_HISTORY, (source, to, merge, types, [id_ for _, id_ in found]))


def moves_back(
    merge: str, source: int, to: int, patient: str, tables: Sequence[PersonTable]
) -> list[Statement]:
    """What hangs on no resource goes back as a merge moved it from `to` to `source`; before what
    follows its resource (`follow_back`), or alike rows would go twice.
    """
    return [
        Statement(_CLAIMS_BACK, (source, to, merge, patient)),
        *(table.put_back(merge, source, to, patient) for table in (ALIASES, *tables)),
    ]


def follow_back(
    merge: str,
    source: int,
    to: int,
    patient: str,
    keys: Sequence[tuple[Key, int]],
    tables: Sequence[PersonTable],
) -> list[Statement]:
    """What hangs on resources that go back, each with the version since which it was written as
    the other's.
    """
    types = [TYPE_NUMBER[type_] for (type_, _), _ in keys]
    ids = [id_ for (_, id_), _ in keys]
    since = [version for _, version in keys]
    targets = [*ids, *(f"{type_}/{id_}" for (type_, id_), _ in keys)]
    follows = [table.follow(source, to, types, ids, patient) for table in tables]
    return [
        Statement(_THESE_TOMBSTONES, (source, to, types, ids)),
        Statement(_HISTORY_BACK, (source, to, merge, types, ids, since)),
        Statement(_CLAIMS_OF, (source, to, targets)),
        *(each for each in follows if each is not None),
    ]


def after(tables: Sequence[PersonTable], *persons: int) -> list[Statement]:
    """What follows in tables whose rows moved, for each of the persons."""
    return [
        Statement(sql, (person,)) for each in tables for sql in each.after for person in persons
    ]
