"""The plain tables of this domain: versions of received documents, and counts of arrivals."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pater.domain import PersonTable
from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

_BUNDLE = str(TYPE_NUMBER["Bundle"]), "t.bundle"
PERSONS = (
    PersonTable("exchange_document", "t.bundle", resource=_BUNDLE),
    PersonTable("exchange_seal", "t.bundle", resource=_BUNDLE),
    PersonTable("access_dispute", "t.id", patient="patient"),
)
INSERT_DOCUMENT = (
    "insert into exchange_document (bundle, reference, chain, version, instance, document_set,"
    " digest, organization, type, stamped, person, entries, received)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)
INSERT_SEAL = (
    "insert into exchange_seal (bundle, person, digest, received, own) values ($1, $2, $3, $4, $5)"
)
FORGET_SEALS = "delete from exchange_seal where bundle = any($1::text[])"
FORGET_DOCUMENTS = "delete from exchange_document where bundle = any($1::text[])"
# Chains and names of entries, in pairs: those that the newest version left does not have.
INHERIT_ENTRIES = """
update exchange_document d set entries = d.entries || more.names
from (
  select d.bundle, array_agg(e.name order by e.name) as names
  from unnest($1::uuid[], $2::text[]) as e(chain, name)
  join lateral (
    select bundle, entries from exchange_document where chain = e.chain
    order by version desc limit 1
  ) d on e.name <> all (d.entries)
  group by d.bundle
) more
where d.bundle = more.bundle
"""
# Keys of instances, of sets and of versions; what another version left has is kept.
FORGET_CLAIMS = """
delete from claim c
where c.key = any($3::bytea[])
or (c.key = any($1::bytea[])
    and not exists (select from exchange_document d where d.instance = c.key))
or (c.key = any($2::bytea[])
    and not exists (select from exchange_document d where d.document_set = c.key))
"""
_COLUMNS = (
    "bundle, reference, chain, version, instance, document_set, digest, organization, type,"
    " stamped, person, entries, received"
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one document as it was received."""

    bundle: str
    reference: str
    chain: UUID
    version: int
    instance: bytes
    document_set: bytes | None
    digest: bytes
    organization: str
    type: str  # the first code of Composition.type
    stamped: datetime
    person: int
    entries: list[str]  # Type/id of the resources stored beside it
    received: datetime

    def row(self) -> tuple[Any, ...]:
        """The values of INSERT_DOCUMENT."""
        return (
            self.bundle,
            self.reference,
            self.chain,
            self.version,
            self.instance,
            self.document_set,
            self.digest,
            self.organization,
            self.type,
            self.stamped,
            self.person,
            self.entries,
            self.received,
        )


def _version(row: Any) -> Version:
    return Version(**dict(row))


async def newest_of_instance(db: Database, instance: bytes) -> Version | None:
    """The newest version that came under one Bundle.identifier."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from exchange_document where instance = $1"  # noqa: S608 (constants)
        " order by version desc limit 1",
        instance,
    )
    return _version(row) if row else None


async def newest_of_either(
    db: Database, instance: bytes, document_set: bytes | None
) -> tuple[Version | None, Version | None]:
    """What `newest_of_instance` and `newest_of_set` give, in one round trip."""
    rows = await db.fetch(
        f"(select 0 as way, {_COLUMNS} from exchange_document where instance = $1"  # noqa: S608
        " order by version desc limit 1) union all"
        f" (select 1 as way, {_COLUMNS} from exchange_document where chain = ("
        "select chain from exchange_document where document_set = $2 order by version desc limit 1"
        ") order by version desc limit 1)",
        instance,
        document_set,
    )
    found = {row["way"]: Version(*list(row)[1:]) for row in rows}
    return found.get(0), found.get(1)


async def newest_of_set(db: Database, document_set: bytes) -> Version | None:
    """The newest version of the chain that a document set names."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from exchange_document where document_set = $1"  # noqa: S608
        " order by version desc limit 1",
        document_set,
    )
    return await newest_of_chain(db, row["chain"]) if row else None


async def newest_of_chain(db: Database, chain: UUID) -> Version | None:
    """The newest version of a document."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from exchange_document where chain = $1"  # noqa: S608
        " order by version desc limit 1",
        chain,
    )
    return _version(row) if row else None


async def of_bytes(db: Database, chain: UUID, digest: bytes) -> Version | None:
    """The version of a document that came as exactly these bytes."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from exchange_document where chain = $1 and digest = $2"  # noqa: S608
        " order by version desc limit 1",
        chain,
        digest,
    )
    return _version(row) if row else None


async def of_bundles(db: Database, ids: Sequence[str]) -> list[Version]:
    """The documents that are stored as these Bundles."""
    rows = await db.fetch(
        f"select {_COLUMNS} from exchange_document where bundle = any($1)",  # noqa: S608 (constants)
        list(ids),
    )
    return [_version(row) for row in rows]


async def newest_of_composition(db: Database, name: str) -> Version | None:
    """The newest version of the document whose Composition is stored as `name` (Type/id)."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from exchange_document where entries[1] = $1"  # noqa: S608 (constants)
        " limit 1",
        name,
    )
    return await newest_of_chain(db, row["chain"]) if row else None


async def count_arrival(db: Database, reference: str, day: date, position: tuple[int, int]) -> None:
    """Adds one document, known by its DocumentReference, to the count of a day.

    `position` is the feed event's (xid, seq): an event that is delivered again changes nothing.
    """
    await db.execute(
        "insert into exchange_arrival as a (day, organization, type, documents, xid, seq)"
        " select $2, organization, type, 1, $3, $4 from exchange_document where reference = $1"
        " on conflict (day, organization, type)"
        " do update set documents = a.documents + 1, xid = excluded.xid, seq = excluded.seq"
        " where (a.xid, a.seq) < (excluded.xid, excluded.seq)",
        reference,
        day,
        *position,
    )


@dataclass(frozen=True, slots=True)
class Arrival:
    """Documents that arrived on one day of one type."""

    day: date
    type: str
    documents: int


async def arrivals(db: Database, organization: str, since: date) -> list[Arrival]:
    """What one organisation sent, by day and type, at most 1,000 rows."""
    rows = await db.fetch(
        "select day, type, documents from exchange_arrival"
        " where organization = $1 and day >= $2 order by day, type limit 1000",
        organization,
        since,
    )
    return [Arrival(r["day"], r["type"], r["documents"]) for r in rows]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is kept of the seal of one document; `seal` is None until it is made.

    `own` says what was found of a signature that the document carries itself ("" = it has none).
    """

    bundle: str
    digest: bytes
    own: str
    seal: bytes | None
    sealed: datetime | None


async def seals_of(db: Database, bundles: Sequence[str]) -> dict[str, Sealed]:
    """The seals of those of the Bundles that came as documents, by id."""
    rows = await db.fetch(
        "select bundle, digest, own, seal, sealed from exchange_seal where bundle = any($1)",
        list(bundles),
    )
    return {row["bundle"]: _sealed(row) for row in rows}


def _sealed(row: Any) -> Sealed:
    # a seal is base64 within base64: packed it is less than half as long
    try:
        seal = zlib.decompress(row["seal"]) if row["seal"] is not None else None
    except zlib.error:
        seal = b""  # which is no seal, and will be found so
    return Sealed(row["bundle"], row["digest"], row["own"], seal, row["sealed"])


async def waiting_for_seals(db: Database, most: int) -> list[tuple[str, bytes]]:
    """Documents (Bundle id, SHA-256) without a seal, the oldest first."""
    rows = await db.fetch(
        "select bundle, digest from exchange_seal where seal is null order by received limit $1",
        most,
    )
    return [(row["bundle"], row["digest"]) for row in rows]


async def keep_seals(
    db: Database, seals: Sequence[tuple[str, bytes]], sealed: datetime, renew: datetime
) -> None:
    """Keeps first seals; who comes second changes nothing."""
    await db.execute(
        "update exchange_seal s set seal = n.seal, sealed = $3, renew = $4"
        " from unnest($1::text[], $2::bytea[]) as n(bundle, seal)"
        " where s.bundle = n.bundle and s.seal is null",
        [bundle for bundle, _ in seals],
        [zlib.compress(seal) for _, seal in seals],
        sealed,
        renew,
    )


async def take_ageing_seals(
    db: Database, now: datetime, again: datetime, most: int
) -> list[Sealed]:
    """Seals whose time to be renewed has come; they come `again` then unless they are renewed."""
    rows = await db.fetch(
        "update exchange_seal set renew = $2 where bundle in ("
        "select bundle from exchange_seal where seal is not null and renew < $1"
        " order by renew limit $3 for update skip locked)"
        " returning bundle, digest, own, seal, sealed",
        now,
        again,
        most,
    )
    return [_sealed(row) for row in rows]


async def renew_seal(
    db: Database, bundle: str, taken: datetime, seal: bytes, renew: datetime
) -> None:
    """Puts a renewed seal in its place, when nobody took it again since it was `taken` so long."""
    await db.execute(
        "update exchange_seal set seal = $3, renew = $4 where bundle = $1 and renew = $2",
        bundle,
        taken,
        zlib.compress(seal),
        renew,
    )


@dataclass(frozen=True, slots=True)
class Dispute:
    """An access that a patient disputes; `justified` is None while it waits for its answer."""

    id: UUID
    entry: UUID
    person: int
    patient: str
    account: str
    at: datetime
    who: str
    organization: str
    what: str
    reason: str
    text: str
    created: datetime
    answer: str = ""
    justified: bool | None = None
    answered: datetime | None = None
    officer: str = ""


_DISPUTE = (
    "id, entry, person, patient, account, at, who, organization, what, reason, text, created,"
    " answer, justified, answered, officer"
)
_DISPUTE_IT = f"""
insert into access_dispute ({_DISPUTE})
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', null, null, '')
on conflict (person, entry) do nothing
"""  # noqa: S608 constants
_DISPUTES_OF = f"""
select {_DISPUTE} from access_dispute where person = $1 order by created desc limit $2
"""  # noqa: S608
_DISPUTES_OPEN = f"""
select {_DISPUTE} from access_dispute where answered is null order by created limit $1
"""  # noqa: S608
_DISPUTE_ONE = f"select {_DISPUTE} from access_dispute where id = $1"  # noqa: S608
_DISPUTE_OF_ENTRY = f"""
select {_DISPUTE} from access_dispute where person = $1 and entry = $2
"""  # noqa: S608
_ANSWER = """
update access_dispute set answer = $2, justified = $3, answered = $4, officer = $5
where id = $1 and answered is null
"""


async def dispute(db: Database, one: Dispute) -> bool:
    """Keeps a dispute; False when this entry is disputed already."""
    done = await db.execute(
        _DISPUTE_IT, one.id, one.entry, one.person, one.patient, one.account, one.at, one.who,
        one.organization, one.what, one.reason, one.text, one.created,
    )  # fmt: skip
    return done.endswith(" 1")


async def disputes_of(db: Database, person: int, count: int) -> list[Dispute]:
    """A person's newest disputes."""
    return [Dispute(*row.values()) for row in await db.fetch(_DISPUTES_OF, person, count)]


async def dispute_of_entry(db: Database, person: int, entry: UUID) -> Dispute | None:
    """The dispute of one entry."""
    row = await db.fetchrow(_DISPUTE_OF_ENTRY, person, entry)
    return None if row is None else Dispute(*row.values())


async def open_disputes(db: Database, count: int) -> list[Dispute]:
    """What waits for its answer, oldest first."""
    return [Dispute(*row.values()) for row in await db.fetch(_DISPUTES_OPEN, count)]


async def dispute_by_id(db: Database, id: UUID) -> Dispute | None:
    """One dispute."""
    row = await db.fetchrow(_DISPUTE_ONE, id)
    return None if row is None else Dispute(*row.values())


async def answer_dispute(
    db: Database, id: UUID, answer: str, justified: bool, at: datetime, officer: str
) -> bool:
    """Answers a dispute; False when somebody else did."""
    return (await db.execute(_ANSWER, id, answer, justified, at, officer)).endswith(" 1")
