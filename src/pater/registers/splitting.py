"""One person who is two: what belongs to somebody else becomes a person of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.access.person_tables import authors_ended, authors_kept
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.labels import DOCUMENT_MASK
from pater.records.changes import Change
from pater.registers import moving, sources
from pater.registers.acts import SOURCES, Desk, Master, Merge, changed, refused
from pater.registers.identifiers import RID, new_drid, new_rid
from pater.registers.moving import Held, Key
from pater.registers.patients import Known, known_identifiers, names, strong_key
from pater.registers.surviving import Said, survive, without
from pater.store.write import Claim, Statement, claim_key

Resource = dict[str, Any]

MOST: Final = 10_000
"""Records that are split off at once: somebody chose them."""

# A document goes whole.
_WHOLE: Final = """
select o.type, o.id from resource o
where o.person = $1 and not o.deleted and o.label & $4::bigint = any(array(
  select distinct r.label & $4::bigint from unnest($2::smallint[], $3::text[]) as k(type, id)
  join resource r on r.type = k.type and r.id = k.id
  where r.label & $4::bigint <> 0))
limit $5
"""
_PERSON: Final = (
    "insert into person (person, rid, temporary, patient, created) values ($1, $2, $3, $4, $5)"
)
_CLAIMS: Final = """
with moved as (
  update claim set person = $2::bigint, target = $4::text
  where person = $1::bigint and key = any($3::bytea[]) returning key
)
insert into merge_row (merge, place, key, before)
select $5::text::uuid, 'claim', encode(key, 'hex'), 1 from moved
"""
_TARGETS: Final = """
update claim set person = $2::bigint where person = $1::bigint and target = any($3::text[])
"""


@dataclass(frozen=True, slots=True)
class Split:
    """What of a Patient's belongs to somebody else, and why."""

    patient: str
    sources: tuple[tuple[str, str, str], ...]
    resources: tuple[Key, ...]
    reason: str


async def split(desk: Desk, caller: Caller, wish: Split) -> Merge:
    """Makes the new person. Raises NotFound, Unprocessable, Conflict."""
    if not (wish.sources or wish.resources):
        raise refused("nothing was chosen: say which sources or records belong to somebody else")
    one = await desk.master(wish.patient)
    said = await sources.of(desk.db, one.person)
    chosen = _chosen(said, wish.sources)
    rest = [each for each in said if each not in chosen]
    record = await _record(desk, one, wish.resources)
    theirs = _identifiers(chosen, rest)
    rid = new_rid(desk.random) if _certain(chosen, theirs) else new_drid(desk.random)
    new = Master(desk.gate.new_id(), await desk.next_person(), 0, _new(rid, chosen, theirs))
    mapping = moving.referring(desk.base_url, one.id, new.id)
    puts = [moving.next_version(each, new.person, mapping) for each in record]
    mine = {each.source for each in chosen}
    past = [each for each, _ in await sources.past_of(desk.db, one.person) if each.source in mine]
    left = _left(one.resource, [*chosen, *past], rest, theirs)
    made, statement = desk.written_down(caller, "split", one, new, wish.reason)
    keys = ["|".join((e.source.name, e.source.system, e.source.value)) for e in chosen]
    ids = [each.id for each in record]
    types = [TYPE_NUMBER[each.type] for each in record]
    follows = [
        each.follow(one.person, new.person, types, ids, new.id) for each in desk.tables if ids
    ]
    claims = [strong_key(each) for each in theirs] + [sources.key(each.source) for each in chosen]
    targets = [*ids, *(f"{each.type}/{each.id}" for each in record)]
    written = [(each.key, each.version, each.version + 1) for each in record]
    statements = [
        statement,
        Statement(_PERSON, (new.person, rid, rid.startswith("D"), new.id, desk.gate.now())),
        moving.noted(made.id, "resource", written),
        moving.history_follows(made.id, one.person, new.person, [e.key for e in record]),
        Statement(_CLAIMS, (one.person, new.person, claims, new.id, made.id)),
        Statement(_TARGETS, (one.person, new.person, targets)),
        *(each for each in follows if each is not None),
        *(each.move_these(made.id, one.person, new.person, new.id, keys) for each in SOURCES),
        authors_kept(new.person, one.person),
        authors_ended(one.person, new.person),
        *moving.after(desk.tables, one.person, new.person),
    ]
    changes = [
        changed(one, left),
        Change("create", "Patient", new.id, new.resource, person=new.person, derived=True),
    ]
    claim = Claim(claim_key("person", RID, rid), new.person, new.id)
    await desk.commit(caller, changes, statements, puts=puts, claims=[claim])
    return made


def _chosen(said: Sequence[Said], wanted: Collection[tuple[str, str, str]]) -> list[Said]:
    by_key = {(each.source.name, each.source.system, each.source.value): each for each in said}
    missing = [key for key in wanted if key not in by_key]
    if missing:
        raise refused("one of the chosen sources says nothing of this person")
    return [by_key[key] for key in dict.fromkeys(wanted)]


async def _record(desk: Desk, one: Master, wanted: Sequence[Key]) -> list[Held]:
    """The chosen resources, with all of the documents that they are of."""
    if not wanted:
        return []
    unknown = [type_ for type_, _ in wanted if type_ not in TYPE_NUMBER]
    if unknown or any(type_ == "Patient" for type_, _ in wanted):
        raise refused("only records can be chosen: a Patient is split by its sources")
    types = [TYPE_NUMBER[type_] for type_, _ in wanted]
    ids = [id_ for _, id_ in wanted]
    rows = await desk.db.fetch(_WHOLE, one.person, types, ids, DOCUMENT_MASK, MOST + 1)
    keys = {*wanted, *(moving.named(f"{row['type']}/{row['id']}") for row in rows)}
    if len(keys) > MOST:
        raise refused(f"at most {MOST} records can be split off at once")
    found = await moving.given(desk.db, keys)
    mine = [each for each in found.values() if each.person == one.person and each.body]
    if len(mine) < len(keys):
        raise refused("one of the chosen records is not of this person")
    return sorted(mine, key=lambda each: (each.type, each.id))


def _identifiers(chosen: Sequence[Said], rest: Sequence[Said]) -> list[Known]:
    """What the chosen sources know somebody by and no other source does."""
    others = {
        (each.system, each.value) for said in rest for each in known_identifiers(said.patient)
    }
    found = {}
    for said in chosen:
        for each in known_identifiers(said.patient):
            if each.usable and each.system != RID and (each.system, each.value) not in others:
                found[each.system, each.value] = each
    return list(found.values())


def _certain(chosen: Sequence[Said], theirs: Sequence[Known]) -> bool:
    """Whether the new person is known well enough for a number of their own for good."""
    return bool(theirs) and any(
        any(names(each.patient)) and each.patient.get("birthDate") for each in chosen
    )


def _new(rid: str, chosen: Sequence[Said], theirs: Sequence[Known]) -> Resource:
    base: Resource = {
        "resourceType": "Patient",
        "identifier": [{"use": "official", "system": RID, "value": rid}],
        "active": True,
    }
    made = survive(base, chosen)
    # what others say too stays with whom they say it of: a number has one holder
    kept = {(each.system, each.value) for each in theirs} | {(RID, rid)}
    made["identifier"] = [
        each for each in made["identifier"] if (each.get("system"), each.get("value")) in kept
    ]
    return made


def _left(
    master: Resource, chosen: Sequence[Said], rest: Sequence[Said], theirs: Sequence[Known]
) -> Resource:
    """What stays of a Patient; `chosen` is all that the sources that go ever said."""
    gone = {(each.system, each.value) for each in theirs}
    made = without(master, chosen)
    stays = [
        each
        for each in made.get("identifier") or ()
        if (each.get("system"), each.get("value")) not in gone
    ]
    made = {**made, "identifier": stays}
    return survive(made, rest) if rest else made
