"""The plain tables of the authority: its own certificates and lists, and all that it was asked for.

Every act is written with its journal entry in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from pater.store.database import Connection, Database, Record
from pater.store.journal import JournalEntry, write_entries
from pater.trust.ca.certificates import Revoked
from pater.trust.ca.profiles import Subject

NEW: Final = "New"
IN_PROGRESS: Final = "InProgress"
ISSUED: Final = "Issued"
REVOKED: Final = "Revoked"
EXPIRED: Final = "Expired"
STATES: Final = (NEW, IN_PROGRESS, ISSUED, REVOKED, EXPIRED)

MOST_LISTED: Final = 1_000
# One order at a time, so that the same order twice, or one key for two holders, is seen.
_LOCK: Final = 0x70617465725F6361
_COLUMNS: Final = (
    "serial, issuer, profile, state, holder, subject, public_key, not_before, not_after, ordered,"
    " ordered_by, certificate, renews, revoked, reason, owner"
)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who does something with the authority: a person at the command line, or Páteř itself.

    `organization` is the IČO of a provider whose administrator it is; then what is ordered is that
    provider's to look after.
    """

    id: str
    name: str
    kind: str = "person"
    role: str = "operator"
    organization: str = ""
    organization_name: str = ""
    request_id: str = ""
    source: str = ""


ITSELF: Final = Operator("pater", "Páteř", kind="system", role="service")


@dataclass(frozen=True, slots=True)
class Kept:
    """A certificate as it is kept. `serial` is 40 hexadecimal digits, `der` there once issued.

    `owner` is the IČO of the organisation that looks after it, "" for none.
    """

    serial: str
    issuer: str
    profile: str
    recorded: str
    holder: str
    subject: Subject
    public_key: bytes
    not_before: datetime
    not_after: datetime
    ordered: datetime
    ordered_by: str
    der: bytes | None
    renews: str | None
    revoked: datetime | None
    reason: str | None
    owner: str = ""

    def state(self, now: datetime) -> str:
        """New, InProgress, Issued, Revoked or Expired."""
        ended = self.recorded == ISSUED and self.not_after < now
        return EXPIRED if ended else self.recorded


@dataclass(frozen=True, slots=True)
class Crl:
    """A revocation list in force, in DER."""

    number: int
    made: datetime
    until: datetime
    der: bytes


def serial_text(number: int) -> str:
    """A serial number as it is kept."""
    return f"{number:040x}"


async def lock(connection: Connection) -> None:
    """Waits until no other order is being written; held to the end of the transaction."""
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def journal(
    connection: Connection | Database,
    operator: Operator,
    act: str,
    at: datetime,
    *,
    serial: str = "",
    detail: str = "",
    refused: str = "",
) -> None:
    """One entry: `act` with a certificate (its serial number, never its holder)."""
    entry = JournalEntry(
        at=at,
        person=0,
        patient="",
        action={"certificate-issue": "C", "certificate-order": "C"}.get(act, "E"),
        interaction=act,
        outcome="4" if refused else "0",
        reason=refused or "operator",
        agent_kind=operator.kind,
        agent=operator.id,
        agent_name=operator.name,
        role=operator.role,
        organization=operator.organization,
        organization_name=operator.organization_name,
        purpose="",
        entity_type="",
        entity_id=serial,
        entity_version=0,
        query="&".join(filter(None, (serial and f"serial={serial}", detail))),
        request_id=operator.request_id,
        source=operator.source,
    )
    await write_entries(connection, [entry])


async def authority(db: Database | Connection, name: str) -> bytes | None:
    """The certificate of an authority, DER."""
    found = await db.fetchval("select certificate from ca_authority where name = $1", name)
    return bytes(found) if found is not None else None


async def add_authority(connection: Connection, name: str, der: bytes, at: datetime) -> None:
    await connection.execute(
        "insert into ca_authority (name, certificate, made) values ($1, $2, $3)", name, der, at
    )


async def crl_number(db: Database | Connection, name: str) -> tuple[int, datetime] | None:
    """Number and time of the list in force; None when there is none."""
    row = await db.fetchrow("select crl_number, crl_made from ca_authority where name = $1", name)
    return (row["crl_number"], row["crl_made"]) if row and row["crl_made"] else None


async def crl(db: Database | Connection, name: str) -> Crl | None:
    row = await db.fetchrow(
        "select crl_number, crl_made, crl_until, crl from ca_authority where name = $1", name
    )
    if row is None or row["crl"] is None:
        return None
    return Crl(row["crl_number"], row["crl_made"], row["crl_until"], bytes(row["crl"]))


async def next_crl(connection: Connection, name: str) -> tuple[int, datetime | None]:
    """The number for the next list and the time of the last, which no other now writes."""
    row = await connection.fetchrow(
        "select crl_number, crl_made from ca_authority where name = $1 for update", name
    )
    if row is None:
        raise LookupError(name)
    return row["crl_number"] + 1, row["crl_made"]


async def keep_crl(connection: Connection, name: str, made: Crl) -> None:
    await connection.execute(
        "update ca_authority set crl_number = $2, crl_made = $3, crl_until = $4, crl = $5"
        " where name = $1",
        name, made.number, made.made, made.until, made.der,
    )  # fmt: skip


async def revoked(connection: Connection, issuer: str, since: datetime) -> list[Revoked]:
    """What is revoked and had not expired before `since`: all of it, as a complete list wants."""
    rows = await connection.fetch(
        "select serial, revoked, reason from ca_certificate"
        " where issuer = $1 and state = 'Revoked' and not_after >= $2 order by not_after, serial",
        issuer, since,
    )  # fmt: skip
    return [Revoked(int(row["serial"], 16), row["revoked"], row["reason"]) for row in rows]


async def insert(connection: Connection, kept: Kept, key_hash: bytes, request_hash: bytes) -> bool:
    """Writes an order; False when its serial number is taken."""
    done = await connection.execute(
        """
        insert into ca_certificate (serial, issuer, profile, state, holder, subject, public_key,
            key_hash, request_hash, not_before, not_after, ordered, ordered_by, renews, owner)
        values ($1, $2, $3, 'New', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        on conflict (serial) do nothing
        """,
        kept.serial, kept.issuer, kept.profile, kept.holder,
        orjson.dumps(kept.subject.as_dict()).decode(), kept.public_key, key_hash, request_hash,
        kept.not_before, kept.not_after, kept.ordered, kept.ordered_by, kept.renews, kept.owner,
    )  # fmt: skip
    return done == "INSERT 0 1"


async def same_order(connection: Connection, request_hash: bytes, now: datetime) -> Kept | None:
    """What the same order led to before, unless it has ended."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from ca_certificate where request_hash = $1 and state <> 'Revoked'"  # noqa: S608 constants
        " and (state <> 'Issued' or not_after > $2) order by ordered desc limit 1",
        request_hash, now,
    )  # fmt: skip
    return _kept(row) if row else None


async def key_is(
    connection: Connection, key_hash: bytes, holder: str, now: datetime
) -> tuple[bool, bool]:
    """Whether a key was compromised, and whether another holder has it."""
    row = await connection.fetchrow(
        "select coalesce(bool_or(reason = 'keyCompromise'), false) as bad,"
        " coalesce(bool_or(holder <> $2 and not_after > $3), false) as other"
        " from ca_certificate where key_hash = $1",
        key_hash, holder, now,
    )  # fmt: skip
    return (row["bad"], row["other"]) if row else (False, False)


async def begin(connection: Connection, serial: str) -> None:
    await connection.execute(
        "update ca_certificate set state = 'InProgress' where serial = $1 and state = 'New'", serial
    )


async def complete(
    connection: Connection, serial: str, der: bytes, valid: tuple[datetime, datetime]
) -> None:
    await connection.execute(
        "update ca_certificate set state = 'Issued', certificate = $2, not_before = $3,"
        " not_after = $4 where serial = $1",
        serial, der, *valid,
    )  # fmt: skip


async def revoke(connection: Connection, serial: str, at: datetime, reason: str) -> None:
    await connection.execute(
        "update ca_certificate set state = 'Revoked', revoked = $2, reason = $3 where serial = $1",
        serial, at, reason,
    )  # fmt: skip


async def find(db: Database | Connection, serial: str, *, alone: bool = False) -> Kept | None:
    """One certificate; with `alone` nobody else changes it until the transaction ends."""
    tail = " for update" if alone else ""
    row = await db.fetchrow(
        f"select {_COLUMNS} from ca_certificate where serial = $1{tail}",  # noqa: S608 constants
        serial,
    )
    return _kept(row) if row else None


async def renewed_by(db: Database, serial: str) -> str:
    """The serial number of the certificate that renewed this one; "" when none did."""
    found = await db.fetchval(
        "select serial from ca_certificate where renews = $1 and state <> 'New'"
        " order by ordered desc limit 1",
        serial,
    )
    return str(found or "")


async def newest_of_key(db: Database, holder: str, key_hash: bytes) -> Kept | None:
    """The certificate of a key that lasts longest, of those that hold."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from ca_certificate where key_hash = $1 and holder = $2"  # noqa: S608 constants
        " and state = 'Issued' order by not_after desc limit 1",
        key_hash, holder,
    )  # fmt: skip
    return _kept(row) if row else None


async def key_in_force(db: Database, key_hash: bytes, now: datetime) -> bool | None:
    """Whether a certificate of this key is in force; None when none was ever issued for it."""
    row = await db.fetchrow(
        "select count(*) as known,"
        " coalesce(bool_or(state = 'Issued' and not_after > $2), false) as good"
        " from ca_certificate where key_hash = $1 and state in ('Issued', 'Revoked')",
        key_hash, now,
    )  # fmt: skip
    return None if row is None or not row["known"] else bool(row["good"])


@dataclass(frozen=True, slots=True)
class Status:
    """What a responder says of an issued certificate."""

    revoked: datetime | None = None
    reason: str = ""


async def statuses(db: Database, issuer: str, serials: list[str]) -> dict[str, Status]:
    """Of each of these that was issued, how it stands."""
    rows = await db.fetch(
        "select serial, revoked, reason from ca_certificate"
        " where serial = any($1) and issuer = $2 and state in ('Issued', 'Revoked')",
        serials, issuer,
    )  # fmt: skip
    return {row["serial"]: Status(row["revoked"], row["reason"] or "") for row in rows}


async def listing(
    db: Database,
    *,
    holder: str = "",
    owner: str = "",
    count: int,
    before: tuple[datetime, str] | None = None,
) -> list[Kept]:
    """The newest orders, at most 1,000; `before` is time and serial of the last one seen."""
    conditions = ["true"]
    args: list[object] = []
    if holder:
        args.append(holder)
        conditions.append(f"holder = ${len(args)}")
    if owner:
        args.append(owner)
        conditions.append(f"owner = ${len(args)} and owner <> ''")
    if before is not None:
        args += before
        # newest first, and within one moment by serial
        conditions.append(
            f"ordered <= ${len(args) - 1} and (ordered < ${len(args) - 1} or serial > ${len(args)})"
        )
    args.append(min(count, MOST_LISTED))
    rows = await db.fetch(
        f"select {_COLUMNS} from ca_certificate where {' and '.join(conditions)}"  # noqa: S608 constants
        f" order by ordered desc, serial limit ${len(args)}",
        *args,
    )
    return [_kept(row) for row in rows]


async def expiring(
    db: Database, now: datetime, until: datetime, count: int, owner: str = ""
) -> list[Kept]:
    """What ends in between, was not renewed and is not Páteř's own; the soonest first."""
    rows = await db.fetch(
        f"select {_COLUMNS} from ca_certificate c where state = 'Issued'"  # noqa: S608 constants
        " and not_after >= $1 and not_after < $2 and ordered_by <> $3"
        " and not exists (select 1 from ca_certificate n where n.renews = c.serial"
        " and n.state = 'Issued') and ($5 = '' or owner = $5) order by not_after, serial limit $4",
        now, until, ITSELF.id, min(count, MOST_LISTED), owner,
    )  # fmt: skip
    return [_kept(row) for row in rows]


def _kept(row: Record) -> Kept:
    values = dict(row)
    der = values.pop("certificate")
    values["recorded"] = values.pop("state")
    values["subject"] = Subject.of(orjson.loads(values["subject"]))
    return Kept(**values, der=der)
