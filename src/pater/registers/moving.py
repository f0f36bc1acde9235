"""Records that go from one person to another: which versions are written, which rows follow.

Merges, splits and their undoing are made of it. Everything is written down in `merge_row` and
happens in the transaction of one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.references import rewrite
from pater.store.database import Database, Record
from pater.store.person_tables import ALIASES, PersonTable
from pater.store.write import Put, Statement

Resource = dict[str, Any]
Key = tuple[str, str]

MOST: Final = 10_000
"""Resources that are moved at once, in one transaction."""

_ROWS: Final = """
select type, id, version, label, dict, body from resource
where person = $1 and not deleted and not (type = $2 and id = $3) order by rid limit $4
"""
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


def named(key: str) -> Key:
    """The resource that is written down under a name."""
    number, _, id_ = key.partition("/")
    return RESOURCE_TYPES[int(number)], id_


async def record_of(db: Database, person: int, master: str) -> list[Held]:
    """The current resources of a person without the master Patient, one more than MOST at most."""
    patient = TYPE_NUMBER["Patient"]
    rows = await db.fetch(_ROWS, person, patient, master, MOST + 1)
    return [
        Held(RESOURCE_TYPES[row["type"]], row["id"], row["version"], person, row["label"], body)
        for row, body in zip(rows, await _bodies(db, rows), strict=True)
    ]


async def given(db: Database, keys: Collection[Key]) -> dict[Key, Held]:
    """These resources as they stand, deletions too."""
    wanted = sorted({(TYPE_NUMBER[type_], id_) for type_, id_ in keys})
    if not wanted:
        return {}
    types, ids = zip(*wanted, strict=True)
    rows = await db.fetch(_GIVEN, types, ids)
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
    merge: str,
    source: int,
    to: int,
    patient: str,
    keys: Sequence[tuple[Key, int]],
    tables: Sequence[PersonTable],
) -> list[Statement]:
    """What a merge moved from `to` to `source` goes back; `keys` are the resources that go, each
    with the version since which it was written as the other's.
    """
    types = [TYPE_NUMBER[type_] for (type_, _), _ in keys]
    ids = [id_ for (_, id_), _ in keys]
    since = [version for _, version in keys]
    targets = [*ids, *(f"{type_}/{id_}" for (type_, id_), _ in keys)]
    statements = [
        Statement(_THESE_TOMBSTONES, (source, to, types, ids)),
        Statement(_HISTORY_BACK, (source, to, merge, types, ids, since)),
        Statement(_CLAIMS_BACK, (source, to, merge, patient)),
        Statement(_CLAIMS_OF, (source, to, targets)),
    ]
    for table in (ALIASES, *tables):
        statements.append(table.put_back(merge, source, to, patient))
        follows = table.follow(source, to, types, ids, patient)
        statements += [follows] if follows else []
    return statements + after(tables, source, to)


def after(tables: Sequence[PersonTable], *persons: int) -> list[Statement]:
    """What follows in tables whose rows moved, for each of the persons."""
    return [
        Statement(sql, (person,)) for each in tables for sql in each.after for person in persons
    ]
