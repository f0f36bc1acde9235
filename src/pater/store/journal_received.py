"""Entries of the journal that another system told us of, with what it said; and those that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import orjson
import zstandard

from pater.store.database import Connection, Database
from pater.store.journal import Act, JournalEntry, entry_columns, insert_sql, place_id

RECEIVED: Final = "received"
"""The reason that entries told by others carry."""
_LARGEST: Final = 1 << 20
_ACT: Final = 1 << 16

_INSERT = f"{insert_sql(1)} returning seq"
_ORIGINAL = """
insert into journal_original (at, seq, sender, persons, body) values ($1, $2, $3, $4, $5)
"""
_KNOWN = "select digest, entry from journal_received where sender = $1 and key = $2"
_KEEP_KEY = """
insert into journal_received (sender, key, digest, entry) values ($1, $2, $3, $4)
on conflict (sender, key) do nothing returning entry
"""
_ORIGINALS = """
select o.at, o.seq, o.sender, o.persons, o.body
from unnest($1::timestamptz[], $2::bigint[]) as k(at, seq)
join journal_original o on o.at = k.at and o.seq = k.seq
"""
_NUMBER = "select nextval('journal_seq') << 16"
_WAIT = """
insert into journal_quarantine (entry, at, tried, reason, sender, caller, body)
values ($1, $2, $2, $3, $4, $5, $6)
"""
_WAITING = """
select entry, at, reason, sender, caller, body from journal_quarantine
where tried < $1 order by tried limit $2
"""
_LISTED = """
select entry, at, reason, sender, caller, body from journal_quarantine order by at desc limit $1
"""
_TRIED = "update journal_quarantine set tried = $2 where entry = $1"
_LEAVE = "delete from journal_quarantine where entry = $1"


class ToldOtherwiseError(Exception):
    """The sender used the same id for another event before."""


@dataclass(frozen=True, slots=True)
class Original:
    """An event as it came, from which client, and the persons whom its entities name."""

    sender: str
    persons: Mapping[int, int]  # index of an entity -> person
    body: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in quarantine; `caller` says who told it, as plain data."""

    entry: UUID
    at: datetime
    reason: str
    sender: str
    caller: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """The AuditEvent id that a sender is given; `new` = the event was not known before."""

    entry: UUID
    new: bool


async def known(db: Database, sender: str, key: bytes, body: bytes) -> Kept | None:
    """What became of an event that was told before. Raises ToldOtherwiseError."""
    row = await db.fetchrow(_KNOWN, sender, key)
    if row is None:
        return None
    if row["digest"] != sha256(body).digest():
        raise ToldOtherwiseError
    return Kept(row["entry"], False)


async def keep(
    db: Database,
    entry: JournalEntry,
    others: Sequence[tuple[int, str]],
    original: Original,
    key: bytes | None,
    *,
    waited: UUID | None = None,
) -> Kept:
    """Writes an entry (for `others` too) with its original, durable when it returns.

    `key` is of the sender's id of the event, None = it has none; `waited` is its id in quarantine,
    which it leaves. Raises ToldOtherwiseError.
    """
    act = Act(**asdict(entry), others=others)
    # the numbers are taken inside the inserting statement; the log of the journal relies on it
    async with db.transaction() as connection:
        rows = await connection.fetch(_INSERT, *entry_columns([act]))
        seq = min(row["seq"] for row in rows)
        id = place_id(entry.at, seq)
        if waited is not None:
            gone = await connection.execute(_LEAVE, waited)
            if gone == "DELETE 0":  # another process was quicker
                raise ToldOtherwiseError
        elif key is not None:
            digest = sha256(original.body).digest()
            row = await connection.fetchrow(_KEEP_KEY, original.sender, key, digest, id)
            if row is None:
                raise ToldOtherwiseError
        await connection.execute(
            _ORIGINAL,
            entry.at,
            seq,
            original.sender,
            _persons(original),
            _packed(original.body),
        )
    return Kept(id, True)


async def wait(
    db: Database,
    at: datetime,
    reason: str,
    sender: str,
    caller: Mapping[str, Any],
    body: bytes,
    key: bytes | None,
) -> Kept:
    """Puts an event in quarantine, under an id that looks like any other."""
    async with db.transaction() as connection:
        id = place_id(at, await connection.fetchval(_NUMBER))
        if key is not None:
            digest = sha256(body).digest()
            row = await connection.fetchrow(_KEEP_KEY, sender, key, digest, id)
            if row is None:
                raise ToldOtherwiseError
        said = orjson.dumps(caller).decode()
        await connection.execute(_WAIT, id, at, reason, sender, said, _packed(body))
    return Kept(id, True)


async def waiting(db: Database, before: datetime, count: int) -> list[Waiting]:
    """Events that were not tried since a time, the longest untried first."""
    return [_waiting(row) for row in await db.fetch(_WAITING, before, count)]


async def in_quarantine(db: Database, count: int) -> list[Waiting]:
    """The newest events that wait."""
    return [_waiting(row) for row in await db.fetch(_LISTED, count)]


async def tried(db: Database, entry: UUID, at: datetime) -> None:
    """Notes that an event was tried in vain."""
    await db.execute(_TRIED, entry, at)


async def originals(
    db: Database, places: Sequence[tuple[datetime, int]]
) -> dict[tuple[datetime, int], Original]:
    """What was told, by `at` and `seq` of entries."""
    if not places:
        return {}
    firsts = {(at, seq): (at, seq // _ACT * _ACT) for at, seq in places}
    wanted = list(set(firsts.values()))
    rows = await db.fetch(_ORIGINALS, [at for at, _ in wanted], [seq for _, seq in wanted])
    found = {(row["at"], row["seq"]): _original(row) for row in rows}
    return {place: found[first] for place, first in firsts.items() if first in found}


async def bring_back(
    connection: Connection, told: Sequence[tuple[datetime, int, Original]]
) -> None:
    """Writes originals of entries that come back from an archive, with `at` and `seq` of each."""
    await connection.executemany(
        _ORIGINAL,
        [(at, seq, one.sender, _persons(one), _packed(one.body)) for at, seq, one in told],
    )


def _persons(original: Original) -> str:
    return orjson.dumps({str(n): person for n, person in original.persons.items()}).decode()


def _original(row: Any) -> Original:
    persons = {int(n): person for n, person in orjson.loads(row["persons"]).items()}
    return Original(row["sender"], persons, _unpacked(row["body"]))


def _waiting(row: Any) -> Waiting:
    return Waiting(
        row["entry"],
        row["at"],
        row["reason"],
        row["sender"],
        orjson.loads(row["caller"]),
        _unpacked(row["body"]),
    )


def _packed(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


def _unpacked(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST)
