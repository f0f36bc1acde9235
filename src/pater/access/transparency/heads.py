"""Signed heads: how large the tree was at a time, its root, and how far it covers the journal."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pater.store.database import Connection, Database, Record
from pater.trust.log_keys import LogKey, verified
from pater.trust.merkle import HASH_SIZE

_CONTEXT: Final = b"pater journal head 1\n"
FIRST: Final = "0" * 2 * HASH_SIZE
"""What the first head names as the one before it."""

_MOST: Final = 1 << 62

_FIELDS = "number, statement, signature, stamp"
_LAST = f"select {_FIELDS} from audit_head order by number desc limit 1"  # noqa: S608
_NUMBER = f"select {_FIELDS} from audit_head where number = $1"  # noqa: S608
_OF_SIZE = f"select {_FIELDS} from audit_head where size = $1 order by number desc limit 1"  # noqa: S608
_AFTER = f"select {_FIELDS} from audit_head where number > $1 order by number limit $2"  # noqa: S608
_BEFORE = f"select {_FIELDS} from audit_head where at <= $1 order by at desc limit 1"  # noqa: S608
_STAMPED = f"""
select {_FIELDS} from audit_head where stamp is not null order by number desc limit 1
"""  # noqa: S608
_INSERT = """
insert into audit_head (number, size, at, statement, signature) values ($1, $2, $3, $4, $5)
"""
_STAMP = "update audit_head set stamp = $2 where number = $1"


class HeadError(Exception):
    """A head that cannot be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says. Every entry with a number up to `through` is among its `size` leaves;
    `previous` is the digest of the head before (hexadecimal).
    """

    number: int
    size: int
    root: bytes
    time: datetime
    through: int
    previous: str
    key: str


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head as it is kept and handed out."""

    statement: str
    signature: bytes
    stamp: bytes | None = None

    @property
    def digest(self) -> bytes:
        """What the next head and a time stamp name: SHA-256 of statement and signature."""
        return sha256(_CONTEXT + self.statement.encode() + self.signature).digest()

    def head(self) -> Head:
        """What it says, believed or not. Raises HeadError."""
        try:
            said = orjson.loads(self.statement)
            head = Head(
                number=int(said["number"]),
                size=int(said["size"]),
                root=bytes.fromhex(said["root"]),
                time=datetime.fromisoformat(said["time"]),
                through=int(said["through"]),
                previous=str(said["previous"]),
                key=str(said["key"]),
            )
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise HeadError("its statement cannot be read") from error
        numbers = head.number, head.size, head.through
        if head.time.tzinfo is None or len(head.root) != HASH_SIZE:
            raise HeadError("its statement cannot be read")
        if not all(0 <= number < _MOST for number in numbers):
            raise HeadError("its statement cannot be read")
        return head

    def verified(self, keys: Mapping[str, Ed25519PublicKey]) -> Head:
        """What it says, when one of these keys has signed it. Raises HeadError."""
        head = self.head()
        key = keys.get(head.key)
        if key is None:
            raise HeadError(f"it names the key {head.key}, which is not known")
        if not verified(key, self.signature, _CONTEXT + self.statement.encode()):
            raise HeadError("its signature is wrong")
        return head

    def as_json(self) -> dict[str, Any]:
        """As it is handed out and exported."""
        return {
            "statement": self.statement,
            "signature": base64.b64encode(self.signature).decode(),
            **({"stamp": base64.b64encode(self.stamp).decode()} if self.stamp else {}),
        }


def from_json(value: Any) -> SignedHead:
    """The inverse of `as_json`. Raises HeadError."""
    try:
        statement, signature, stamp = value["statement"], value["signature"], value.get("stamp")
        return SignedHead(
            str(statement),
            base64.b64decode(signature, validate=True),
            base64.b64decode(stamp, validate=True) if stamp else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise HeadError("it cannot be read") from error


def signed(
    key: LogKey, previous: SignedHead | None, size: int, root: bytes, through: int, now: datetime
) -> SignedHead:
    """The head that follows `previous`."""
    statement = orjson.dumps(
        {
            "number": previous.head().number + 1 if previous else 1,
            "size": size,
            "root": root.hex(),
            "time": now.astimezone(UTC).isoformat(timespec="milliseconds"),
            "through": through,
            "previous": previous.digest.hex() if previous else FIRST,
            "key": key.kid,
        }
    )
    return SignedHead(statement.decode(), key.sign(_CONTEXT + statement))


async def last_head(db: Database | Connection) -> SignedHead | None:
    """The newest head."""
    return _head(await db.fetchrow(_LAST))


async def head_of_size(db: Database, size: int) -> SignedHead | None:
    """The newest head of a tree of this size."""
    return _head(await db.fetchrow(_OF_SIZE, size))


async def head_before(db: Database | Connection, time: datetime) -> SignedHead | None:
    """The last head before a time."""
    return _head(await db.fetchrow(_BEFORE, time))


async def head_number(db: Database, number: int) -> SignedHead | None:
    """The head with this number."""
    return _head(await db.fetchrow(_NUMBER, number))


async def last_stamped(db: Database) -> SignedHead | None:
    """The newest head that was time-stamped."""
    return _head(await db.fetchrow(_STAMPED))


async def heads_after(db: Database | Connection, number: int, most: int) -> list[SignedHead]:
    """Up to `most` heads with higher numbers, in order."""
    return [head for _, head in await numbered_heads(db, number, most)]


async def numbered_heads(
    db: Database | Connection, number: int, most: int
) -> list[tuple[int, SignedHead]]:
    """The same with the numbers under which they are kept, whatever they say themselves."""
    rows = await db.fetch(_AFTER, number, most)
    return [
        (row["number"], SignedHead(row["statement"], row["signature"], row["stamp"]))
        for row in rows
    ]


async def keep_head(connection: Connection, one: SignedHead) -> None:
    """Writes a new head."""
    head = one.head()
    await connection.execute(
        _INSERT, head.number, head.size, head.time, one.statement, one.signature
    )


async def keep_stamp(db: Database, number: int, stamp: bytes) -> None:
    """Writes the time stamp of a head."""
    await db.execute(_STAMP, number, stamp)


def _head(row: Record | None) -> SignedHead | None:
    return None if row is None else SignedHead(row["statement"], row["signature"], row["stamp"])
