"""The plain tables of ACME: binding keys, accounts, orders, proofs of hosts, used nonces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from pater.store.database import Connection, Database, Record

VALID: Final = "valid"
PENDING: Final = "pending"
READY: Final = "ready"
PROCESSING: Final = "processing"
INVALID: Final = "invalid"
DEACTIVATED: Final = "deactivated"
REVOKED: Final = "revoked"
_OPEN: Final = "open"

MOST_KEYS: Final = 200
_PURGED: Final = 10_000
BROKEN_OFF: Final = timedelta(minutes=1)
"""After so long a certificate that was begun is not coming any more."""
# Orders are kept for longer than what they led to lives: a renewal looks for the one before.
_KEPT: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Key:
    """A binding key as it was given out; `account` is the one that it opened, "" for none yet."""

    id: str
    ico: str
    organization: str
    hosts: tuple[str, ...]
    made: datetime
    made_by: str
    until: datetime
    ended: datetime | None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, with what its binding key says; `state` is valid, deactivated or revoked."""

    id: str
    key: str
    thumbprint: str
    jwk: str
    state: str
    contact: tuple[str, ...]
    ico: str
    organization: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """An authorization with its one challenge; `error` is the problem that made it invalid."""

    id: str
    order: str
    account: str
    host: str
    token: str
    state: str
    expires: datetime
    checked: datetime | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its proofs. `state` is that of RFC 8555, section 7.1.6."""

    id: str
    account: str
    hosts: tuple[str, ...]
    state: str
    expires: datetime
    request: bytes | None
    serial: str | None
    proofs: tuple[Proof, ...]


async def use_nonce(db: Database, nonce: bytes, until: datetime) -> bool:
    """Whether it had not been used before; from now on it has."""
    done = await db.execute(
        "insert into acme_nonce (nonce, until) values ($1, $2) on conflict do nothing", nonce, until
    )
    return done == "INSERT 0 1"


async def add_key(connection: Connection, key: Key) -> None:
    await connection.execute(
        "insert into acme_key (id, ico, organization, hosts, made, made_by, until)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        key.id, key.ico, key.organization, list(key.hosts), key.made, key.made_by, key.until,
    )  # fmt: skip


async def keys(db: Database, ico: str, count: int) -> list[Key]:
    """The newest keys, of one provider or ("") of all."""
    rows = await db.fetch(
        "select k.*, coalesce(a.id, '') as account from acme_key k"
        " left join acme_account a on a.key = k.id where $1 = '' or k.ico = $1"
        " order by k.made desc, k.id limit $2",
        ico, min(count, MOST_KEYS),
    )  # fmt: skip
    return [_key(row) for row in rows]


async def key(db: Database, id: str) -> Key | None:
    row = await db.fetchrow(
        "select k.*, coalesce(a.id, '') as account from acme_key k"
        " left join acme_account a on a.key = k.id where k.id = $1",
        id,
    )
    return _key(row) if row else None


async def end_key(connection: Connection, id: str, at: datetime) -> bool:
    """Whether it had not ended before."""
    done = await connection.execute(
        "update acme_key set ended = $2 where id = $1 and ended is null", id, at
    )
    return done == "UPDATE 1"


_ACCOUNT: Final = (
    "select a.id, a.key, a.thumbprint, a.jwk, a.contact, k.ico, k.organization, k.hosts,"
    " case when k.ended is null then a.state else 'revoked' end as state"
    " from acme_account a join acme_key k on k.id = a.key"
)


async def account(db: Database | Connection, id: str) -> Account | None:
    row = await db.fetchrow(f"{_ACCOUNT} where a.id = $1", id)
    return _account(row) if row else None


async def account_of(db: Database | Connection, thumbprint: str) -> Account | None:
    """The account of a public key."""
    row = await db.fetchrow(f"{_ACCOUNT} where a.thumbprint = $1", thumbprint)
    return _account(row) if row else None


async def add_account(
    connection: Connection,
    id: str,
    key: str,
    thumbprint: str,
    jwk: str,
    contact: Sequence[str],
    at: datetime,
) -> bool:
    """False when the binding key or the public key has an account."""
    done = await connection.execute(
        "insert into acme_account (id, key, thumbprint, jwk, state, contact, made)"
        " select $1, k.id, $3, $4, 'valid', $5, $6 from acme_key k"
        " where k.id = $2 and k.ended is null and k.until > $6 for update of k"
        " on conflict do nothing",
        id, key, thumbprint, jwk, list(contact), at,
    )  # fmt: skip
    return done == "INSERT 0 1"


async def set_contact(db: Database, id: str, contact: Sequence[str]) -> None:
    await db.execute("update acme_account set contact = $2 where id = $1", id, list(contact))


async def deactivate(connection: Connection, id: str) -> bool:
    done = await connection.execute(
        "update acme_account set state = 'deactivated' where id = $1 and state = 'valid'", id
    )
    return done == "UPDATE 1"


async def change_key(connection: Connection, id: str, old: str, thumbprint: str, jwk: str) -> bool:
    """Whether the account had the old key still. The new one must be nobody's."""
    done = await connection.execute(
        "update acme_account set thumbprint = $3, jwk = $4"
        " where id = $1 and thumbprint = $2 and state = 'valid'",
        id, old, thumbprint, jwk,
    )  # fmt: skip
    return done == "UPDATE 1"


async def orders_since(connection: Connection, account: str, since: datetime, most: int) -> int:
    """How many orders an account made since then, counted up to `most`."""
    return int(
        await connection.fetchval(
            "select count(*) from (select 1 from acme_order"
            " where account = $1 and made > $2 limit $3) few",
            account, since, most,
        )
    )  # fmt: skip


async def lock_account(connection: Connection, account: str) -> None:
    """Lets one order of an account be made at a time."""
    await connection.execute("select 1 from acme_account where id = $1 for update", account)


async def add_order(connection: Connection, order: Order, at: datetime) -> None:
    """Writes the order with its proofs."""
    await connection.execute(
        "insert into acme_order (id, account, hosts, state, made, expires)"
        " values ($1, $2, $3, 'open', $4, $5)",
        order.id, order.account, list(order.hosts), at, order.expires,
    )  # fmt: skip
    await connection.executemany(
        "insert into acme_proof (id, order_id, account, host, token, state, expires)"
        " values ($1, $2, $3, $4, $5, 'pending', $6)",
        [
            (one.id, order.id, order.account, one.host, one.token, one.expires)
            for one in order.proofs
        ],
    )


async def order(db: Database | Connection, id: str, now: datetime) -> Order | None:
    """An order as it stands now."""
    row = await db.fetchrow(
        "select id, account, hosts, state, expires, request, serial from acme_order where id = $1",
        id,
    )
    if row is None:
        return None
    rows = await db.fetch("select * from acme_proof where order_id = $1 order by host", id)
    proofs = tuple(_proof(each) for each in rows)
    values = dict(row)
    values["hosts"] = tuple(values["hosts"])
    values["state"] = _state(values["state"], values["expires"], proofs, now)
    return Order(**values, proofs=proofs)


async def orders(
    db: Database, account: str, before: tuple[datetime, str] | None, count: int
) -> list[tuple[datetime, str]]:
    """Time and id of an account's orders, newest first, after the last one seen."""
    at, id = before or (None, "")
    rows = await db.fetch(
        "select made, id from acme_order where account = $1"
        " and ($2::timestamptz is null or (made <= $2 and (made < $2 or id > $3)))"
        " order by made desc, id limit $4",
        account, at, id, count,
    )  # fmt: skip
    return [(row["made"], row["id"]) for row in rows]


async def begin(db: Database, id: str, request: bytes, now: datetime) -> bool:
    """Whether this request (its hash) is the one that the order certifies from now on.

    The same request again goes on only when the one before it was broken off a while ago.
    """
    done = await db.execute(
        "update acme_order set state = 'processing', request = $2, begun = $3 where id = $1"
        " and (state = 'open' or (state = 'processing' and request = $2 and begun < $4))",
        id, request, now, now - BROKEN_OFF,
    )  # fmt: skip
    return done == "UPDATE 1"


async def reopen(db: Database, id: str) -> None:
    """The request was refused: another may come."""
    await db.execute(
        "update acme_order set state = 'open', request = null where id = $1"
        " and state = 'processing'",
        id,
    )


async def complete(db: Database, id: str, serial: str) -> None:
    await db.execute("update acme_order set state = 'valid', serial = $2 where id = $1", id, serial)


async def before(db: Database, account: str, hosts: Sequence[str], now: datetime) -> str | None:
    """The certificate of the same account and hosts that lasts longest, to be renewed."""
    found = await db.fetchval(
        "select o.serial from acme_order o join ca_certificate c on c.serial = o.serial"
        " where o.account = $1 and o.hosts = $2 and o.state = 'valid' and c.state = 'Issued'"
        " and c.not_after > $3 order by c.not_after desc, c.serial limit 1",
        account, list(hosts), now,
    )  # fmt: skip
    return str(found) if found else None


async def holder(db: Database, serial: str) -> str:
    """The account whose order a certificate came of; "" for none."""
    found = await db.fetchval("select account from acme_order where serial = $1", serial)
    return str(found or "")


async def proof(db: Database, id: str) -> Proof | None:
    row = await db.fetchrow("select * from acme_proof where id = $1", id)
    return _proof(row) if row else None


async def settle(
    db: Database, id: str, state: str, at: datetime, error: dict[str, Any] | None = None
) -> None:
    """Says how a proof ended, unless somebody said it before."""
    said = orjson.dumps(error).decode() if error else None
    await db.execute(
        "update acme_proof set state = $2, checked = $3, error = $4"
        " where id = $1 and state = 'pending'",
        id, state, at, said,
    )  # fmt: skip


async def deactivate_proof(db: Database, id: str) -> None:
    await db.execute(
        "update acme_proof set state = 'deactivated'"
        " where id = $1 and state in ('pending', 'valid')",
        id,
    )


async def purge(db: Database, now: datetime) -> None:
    """Takes away what is old, at most ten thousand rows of each kind."""
    for table, column, end in (
        ("acme_nonce", "until", now),
        ("acme_proof", "expires", now - _KEPT),
        ("acme_order", "expires", now - _KEPT),
    ):
        await db.execute(
            f"delete from {table} where ctid = any(array("  # noqa: S608 constants
            f"select ctid from {table} where {column} < $1 order by {column} limit $2))",
            end, _PURGED,
        )  # fmt: skip


def _state(recorded: str, expires: datetime, proofs: Sequence[Proof], now: datetime) -> str:
    if recorded != _OPEN:
        return recorded
    if expires < now or any(one.state in (INVALID, DEACTIVATED) for one in proofs):
        return INVALID
    return READY if all(one.state == VALID for one in proofs) else PENDING


def _key(row: Record) -> Key:
    values = dict(row)
    values["hosts"] = tuple(values["hosts"])
    return Key(**values)


def _account(row: Record) -> Account:
    values = dict(row)
    values["hosts"], values["contact"] = tuple(values["hosts"]), tuple(values["contact"])
    return Account(**values)


def _proof(row: Record) -> Proof:
    values = dict(row)
    values["order"] = values.pop("order_id")
    values["error"] = orjson.loads(values["error"]) if values["error"] else None
    return Proof(**values)
