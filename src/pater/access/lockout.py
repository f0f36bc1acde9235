"""Counts refused attempts by login name and by network address, and locks for a growing while.

The counts are in the database, so neither a restart nor another process forgets them. A name is
counted whether or not there is such an account: from the answers nobody learns which it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from pater.store.database import Database


@dataclass(frozen=True, slots=True)
class Rule:
    """After `most` attempts within `window` comes a lock of `first`, doubled each time it comes
    again, up to `longest`. After a silence of `forgotten` all begins anew.
    """

    most: int
    window: timedelta
    first: timedelta
    longest: timedelta
    forgotten: timedelta = timedelta(days=1)


NAME: Final = Rule(10, timedelta(hours=12), timedelta(minutes=5), timedelta(hours=4))
# Behind one address a whole hospital may sit.
SOURCE: Final = Rule(100, timedelta(minutes=15), timedelta(minutes=5), timedelta(hours=1))

# Whether a count begins anew: after a lock, after the window, after a long silence.
_FRESH: Final = "(a.locked_until is not null or a.since <= $4 or a.seen <= $5)"
_LOCKS: Final = "case when a.seen <= $5 then 0 else a.locks end"
_COUNT: Final = f"""
    insert into attempt as a (key, since, failures, locks, locked_until, seen)
    values ($1, $2, 1, 0, null, $2)
    on conflict (key) do update
    set failures = case when {_FRESH} then 1 else a.failures + 1 end,
        since = case when {_FRESH} then $2 else a.since end,
        locks = {_LOCKS}
            + case when not {_FRESH} and a.failures + 1 >= $3 then 1 else 0 end,
        locked_until = case when not {_FRESH} and a.failures + 1 >= $3 then
            $2 + least($6::interval * power(2, least({_LOCKS}, 20)), $7::interval) end,
        seen = $2
    where a.locked_until is null or a.locked_until <= $2
    returning true
"""  # noqa: S608 (only constants above)


def name_key(login: str) -> bytes:
    """The key of a normalised login name."""
    return hashlib.sha256(b"name\0" + login.encode("utf-8", "replace")).digest()


def source_key(source: str) -> bytes | None:
    """The key of a network address, of an IPv6 one that of its /64; None when there is none."""
    try:
        address = ip_address(source)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        packed = mapped.packed if mapped else address.packed[:8]
    else:
        packed = address.packed
    return hashlib.sha256(b"source\0" + packed).digest()


async def attempt(db: Database, key: bytes, rule: Rule, now: datetime) -> datetime | None:
    """Count an attempt before it is looked at; gives until when the key is locked, if it is.

    The attempt that locks is itself still looked at. A count that a crash loses is no harm, so
    nobody waits for the disk here.
    """
    async with db.transaction() as connection:
        await connection.execute("set local synchronous_commit = off")
        counted = await connection.fetchval(
            _COUNT,
            key,
            now,
            rule.most,
            now - rule.window,
            now - rule.forgotten,
            rule.first,
            rule.longest,
        )
        if counted:
            return None
        until: datetime | None = await connection.fetchval(
            "select locked_until from attempt where key = $1", key
        )
        return until


async def take_back(db: Database, key: bytes) -> None:
    """The attempt was right: its count goes, and the lock that came with it."""
    await db.execute(
        """
        update attempt
        set failures = greatest(failures - 1, 0),
            locks = case when locked_until is null then locks else greatest(locks - 1, 0) end,
            locked_until = null
        where key = $1
        """,
        key,
    )


async def clear(db: Database, key: bytes) -> None:
    """A whole login was right, or an operator unlocks: nothing is remembered."""
    await db.execute("delete from attempt where key = $1", key)


async def locked_until(db: Database, key: bytes, now: datetime) -> datetime | None:
    """Until when a key is locked, None when it is not."""
    until: datetime | None = await db.fetchval(
        "select locked_until from attempt where key = $1 and locked_until > $2", key, now
    )
    return until


async def purge(db: Database, now: datetime) -> None:
    """Remove what is forgotten anyway."""
    await db.execute(
        """
        delete from attempt where key in (
            select key from attempt where seen < $1 order by seen limit 10000
            for update skip locked)
        """,
        now - 2 * NAME.forgotten,
    )
