"""The plain tables of the HL7 v2 interface: senders, messages done, messages that failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import zstandard

from pater.domains.persons.tables import Known
from pater.store.database import Database, Record

__all__ = [
    "Database",
    "Failed",
    "Local",
    "Sender",
]

MOST_SENDERS: Final = 1_000
MOST_KEPT: Final = 10_000
"""Failed messages of one sender that wait; when there are more, the oldest go."""
_DOMAIN: Final = "system, canonical, assigner, type, name"
_NAMED: Final = f"select {_DOMAIN} from identity_domain where name = any($1::text[])"  # noqa: S608
_CANONICAL: Final = f"select {_DOMAIN} from identity_domain where canonical = any($1::text[])"  # noqa: S608
_KEEP: Final = """
insert into hl7_quarantine (id, client, control, digest, at, code, reason, place, tries, body)
values ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, 1, $9)
on conflict (client, digest) do update
set code = excluded.code, reason = excluded.reason, place = excluded.place,
    tries = hl7_quarantine.tries + 1
"""
_TRIM: Final = """
delete from hl7_quarantine where id in (
  select id from hl7_quarantine where client = $1 order by at desc, id offset $2)
"""
_SUBSUMED_BY: Final = """
select system, value, at from hl7_subsumed
where source = $1 and (by_system, by_value) in (select * from unnest($2::text[], $3::text[]))
order by at, value limit 100
"""
_LED: Final = """
update hl7_subsumed set by_system = $4, by_value = $5
where source = $1 and by_system = $2 and by_value = $3
"""
_SUBSUME: Final = """
insert into hl7_subsumed (source, system, value, by_system, by_value, at)
values ($1, $2, $3, $4, $5, $6)
on conflict (source, system, value) do update
set by_system = excluded.by_system, by_value = excluded.by_value
"""


@dataclass(frozen=True, slots=True)
class Sender:
    """Which client sends as an application and facility, and the system of its numbers."""

    application: str
    facility: str
    client: str
    system: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A message in quarantine."""

    id: str
    client: str
    control: str
    at: datetime
    code: int
    reason: str
    place: str
    tries: int
    body: bytes


async def named(db: Database, names: Collection[str]) -> list[Known]:
    """Systems of numbers by their short names."""
    if not names:
        return []
    return [Known(**dict(row)) for row in await db.fetch(_NAMED, list(names))]


async def of_canonical(db: Database, systems: Collection[str]) -> list[Known]:
    """All names of systems."""
    if not systems:
        return []
    return [Known(**dict(row)) for row in await db.fetch(_CANONICAL, list(systems))]


async def sender(db: Database, application: str, facility: str) -> Sender | None:
    """Who sends under these names."""
    row = await db.fetchrow(
        "select application, facility, client, system from hl7_sender"
        " where application = $1 and facility = $2",
        application,
        facility,
    )
    return None if row is None else Sender(**dict(row))


async def senders(db: Database) -> list[Sender]:
    """All senders."""
    rows = await db.fetch(
        "select application, facility, client, system from hl7_sender"
        " order by application, facility limit $1",
        MOST_SENDERS,
    )
    return [Sender(**dict(row)) for row in rows]


async def keep_sender(db: Database, sender: Sender, now: datetime) -> None:
    """Writes a sender down, or what is known of it anew."""
    await db.execute(
        "insert into hl7_sender (application, facility, client, system, added)"
        " values ($1, $2, $3, $4, $5) on conflict (application, facility) do update"
        " set client = excluded.client, system = excluded.system",
        sender.application,
        sender.facility,
        sender.client,
        sender.system,
        now,
    )


async def remove_sender(db: Database, application: str, facility: str) -> bool:
    """Forgets a sender; False when there was none."""
    gone = await db.fetchval(
        "delete from hl7_sender where application = $1 and facility = $2 returning client",
        application,
        facility,
    )
    return gone is not None


async def holders(db: Database, keys: Sequence[bytes]) -> dict[bytes, int]:
    """The persons who hold claims, by key."""
    if not keys:
        return {}
    rows = await db.fetch("select key, person from claim where key = any($1::bytea[])", list(keys))
    return {bytes(row["key"]): row["person"] for row in rows}


async def client_by_certificate(db: Database, values: Sequence[str]) -> str:
    """The one client that comes with a certificate (thumbprint, subject); "" = none."""
    rows = await db.fetch(
        "select distinct client from client_tls where value = any($1::text[]) limit 2",
        list(values),
    )
    return str(rows[0]["client"]) if len(rows) == 1 else ""


async def taken(db: Database, client: str, control: str, digest: bytes) -> bytes | None:
    """What was answered to a message that was done; None for a new one."""
    found: bytes | None = await db.fetchval(
        "select answer from hl7_taken where client = $1 and control = $2 and digest = $3",
        client,
        control,
        digest,
    )
    return found


async def take(
    db: Database, client: str, control: str, digest: bytes, at: datetime, answer: bytes
) -> None:
    """Notes that a message was done; it waits in quarantine no longer."""
    await db.execute(
        "insert into hl7_taken (client, control, digest, at, answer) values ($1, $2, $3, $4, $5)"
        " on conflict (client, control, digest) do nothing",
        client,
        control,
        digest,
        at,
        answer,
    )
    await db.execute("delete from hl7_quarantine where client = $1 and digest = $2", client, digest)


async def forget(db: Database, until: datetime, failed_until: datetime) -> None:
    """Takes out what is older: messages done, and messages that nobody looked after."""
    await db.execute("delete from hl7_taken where at < $1", until)
    await db.execute("delete from hl7_quarantine where at < $1", failed_until)


async def keep_failed(db: Database, failed: Failed, digest: bytes) -> None:
    """Puts a message into quarantine; one that is there already was tried once more."""
    await db.execute(
        _KEEP, failed.id, failed.client, failed.control[:200], digest, failed.at, failed.code,
        failed.reason[:1000], failed.place[:100],
        zstandard.ZstdCompressor().compress(failed.body),
    )  # fmt: skip
    await db.execute(_TRIM, failed.client, MOST_KEPT)


async def failures(db: Database, client: str, most: int) -> list[Failed]:
    """Messages in quarantine, the oldest first; of one client, or "" of all."""
    rows = await db.fetch(
        "select id, client, control, at, code, reason, place, tries, body from hl7_quarantine"
        " where $1 = '' or client = $1 order by at, id limit $2",
        client,
        most,
    )
    return [_failed(row) for row in rows]


async def failure(db: Database, id: str) -> Failed | None:
    """One message in quarantine."""
    row = await db.fetchrow(
        "select id, client, control, at, code, reason, place, tries, body from hl7_quarantine"
        " where id = $1::text::uuid",
        id,
    )
    return None if row is None else _failed(row)


async def drop(db: Database, id: str) -> bool:
    """Takes a message out of quarantine undone; False when it was not there."""
    gone = await db.fetchval(
        "delete from hl7_quarantine where id = $1::text::uuid returning id", id
    )
    return gone is not None


async def subsume(
    db: Database, source: str, gone: tuple[str, str], by: tuple[str, str], at: datetime
) -> None:
    """Notes that one number of a source stands for another; what stood for it does, too."""
    await db.execute(_LED, source, *gone, *by)
    await db.execute(_SUBSUME, source, *gone, *by, at)


async def revive(db: Database, source: str, number: tuple[str, str]) -> None:
    """A number is in use again."""
    await db.execute(
        "delete from hl7_subsumed where source = $1 and system = $2 and value = $3",
        source,
        *number,
    )


async def stands_for(db: Database, source: str, number: tuple[str, str]) -> tuple[str, str] | None:
    """The number for which a source gave this one up; None for one in use."""
    row = await db.fetchrow(
        "select by_system, by_value from hl7_subsumed"
        " where source = $1 and system = $2 and value = $3",
        source,
        *number,
    )
    return None if row is None else (row["by_system"], row["by_value"])


async def subsumed_by(
    db: Database, source: str, numbers: Sequence[tuple[str, str]]
) -> list[tuple[str, str, datetime]]:
    """The numbers that stand for these: system, value, since when."""
    if not numbers:
        return []
    rows = await db.fetch(
        _SUBSUMED_BY, source, [system for system, _ in numbers], [value for _, value in numbers]
    )
    return [(row["system"], row["value"], row["at"]) for row in rows]


def _failed(row: Record) -> Failed:
    values = dict(row)
    values["id"] = str(values["id"])
    values["body"] = zstandard.ZstdDecompressor().decompress(values["body"])
    return Failed(**values)


@dataclass(frozen=True, slots=True)
class Local:
    """A number under which a source knows a person."""

    person: int
    source: str
    system: str
    value: str


async def local(db: Database, persons: Sequence[int], source: str) -> list[Local]:
    """The numbers of sources for several persons; of one source, or "" of all."""
    if not persons:
        return []
    rows = await db.fetch(
        "select person, source, system, value from source_record"
        " where person = any($1::bigint[]) and ($2 = '' or source = $2) and not reference"
        " order by received, system, value limit $3",
        list(persons),
        source,
        MOST_SENDERS,
    )
    return [Local(**dict(row)) for row in rows]
