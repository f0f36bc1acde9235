"""Months of the journal go into archive files, may come back, and end when their time is over.

A month goes when nothing can be added to it any more and a head covers it. Its leaves stay in the
log, so the log is verified as before: what is missing has to be what the signed statement of the
archive says. Every step can be broken off and done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pater.access.transparency.archive_file import (
    Archive,
    ArchiveError,
    SignedArchive,
    Writing,
    check,
    read,
)
from pater.access.transparency.entries import COLUMNS, Entry, leaf_salt, month_of, walk_month
from pater.access.transparency.heads import last_head
from pater.access.transparency.reading import Leaf
from pater.access.transparency.tiles import cut
from pater.store.database import Connection, Database
from pater.store.files import settle
from pater.store.journal_received import RECEIVED, Original, bring_back, originals
from pater.trust.log_keys import LogKey, public_keys
from pater.trust.merkle import TILE_WIDTH

OPEN: Final = timedelta(days=35)
"""So long after its end a month may still get entries: events that others tell late."""
_BATCH: Final = 500
_LOCK = 0x70617465725F6172
_PATIENCE = "2s"

_OLDEST = "select min(at) from journal"
_HAS_ROWS = "select exists (select from journal where at >= $1 and at < $2)"
_LAST = "select coalesce(max(seq), 0) from journal where at >= $1 and at < $2"
# The numbers first, so that the long rows are read once each.
_TILES = """
with wanted as materialized (
  select distinct found.number
  from unnest($1::bigint[]) as k(seq)
  cross join lateral (
    select number from audit_leaf where first <= k.seq order by first desc limit 1
  ) found
)
select l.number, l.salt, l.seqs, l.times, t.hashes
from wanted join audit_leaf l on l.number = wanted.number
join audit_tile t on t.level = 0 and t.number = l.number
"""
_KEPT = "select month, state, statement, signature, changed from journal_archive order by month"
_KEEP = """
insert into journal_archive (month, state, statement, signature, changed)
values ($1, 'archived', $2, $3, $4)
on conflict (month) do update set state = 'archived', statement = excluded.statement,
  signature = excluded.signature, changed = excluded.changed
"""
_STATE = "update journal_archive set state = $2, changed = $3 where month = $1"


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive as the database knows it: archived (the file is there), restored or purged."""

    month: date
    state: str
    signed: SignedArchive
    changed: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done: months to be archived, months whose time is over."""

    archive: tuple[date, ...]
    purge: tuple[date, ...]


async def kept(db: Database | Connection) -> list[Kept]:
    """All archives, oldest first."""
    return [
        Kept(
            row["month"],
            row["state"],
            SignedArchive(row["statement"], bytes(row["signature"])),
            row["changed"],
        )
        for row in await db.fetch(_KEPT)
    ]


async def due(db: Database, now: datetime, months: int, years: int) -> Due:
    """Months that ended more than `months` months ago; archives older than `years` (0 = never)."""
    archives = {one.month: one for one in await kept(db)}
    found: list[date] = []
    oldest = await db.fetchval(_OLDEST)
    month = month_of(oldest) if oldest is not None and months else None
    while month is not None and _over(month, months) <= now and after(month) + OPEN <= now:
        one = archives.get(month)
        restored = one is not None and one.state == "restored"
        if not restored and await db.fetchval(_HAS_ROWS, start(month), after(month)):
            found.append(month)
        month = month_of(after(month))
    purge = [
        one.month
        for one in archives.values()
        if years and one.state == "archived" and _over(one.month, 12 * years) <= now
    ]
    return Due(tuple(found), tuple(sorted(purge)))


async def archive_month(
    db: Database, key: LogKey, folder: Path, month: date, now: datetime
) -> Archive:
    """Writes a month into a file, reads it back, and takes its rows out. Raises ArchiveError."""
    if after(month) + OPEN > now:
        raise ArchiveError(f"{month:%Y-%m} may still get entries")
    async with db.connection() as connection:
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            raise ArchiveError("another process is archiving")
        try:
            done = await _write(db, key, folder, month, now)
            signed = SignedArchive.of(done, key)
            path = folder / done.file
            await asyncio.to_thread(check, path, done)
            async with db.transaction() as own:
                await own.execute(f"set local lock_timeout = '{_PATIENCE}'")
                await own.execute(_KEEP, month, signed.statement, signed.signature, now)
                count = await own.fetchval("select drop_journal_month($1)", month)
                if count != done.entries:
                    raise ArchiveError(f"{month:%Y-%m} got entries while it was archived")
        except asyncpg.LockNotAvailableError as error:
            raise ArchiveError("the journal is in use: it is tried again later") from error
        finally:
            await connection.execute("select pg_advisory_unlock($1)", _LOCK)
    return done


async def restore_month(
    db: Database, keys: Mapping[str, Ed25519PublicKey], folder: Path, month: date, now: datetime
) -> int:
    """Brings the entries of an archive back into the journal, for good or until it is archived
    again; how many. Raises ArchiveError.
    """
    one = next((each for each in await kept(db) if each.month == month), None)
    if one is None or one.state != "archived":
        raise ArchiveError(f"there is no archive of {month:%Y-%m}")
    archive = one.signed.verified(keys)
    path = folder / archive.file
    await asyncio.to_thread(check, path, archive)
    async with db.transaction() as connection:
        await connection.execute(_STATE, month, "restored", now)
        lines = read(path)
        while some := list(islice(lines, _BATCH)):
            rows = [_row(item.entry) for item, _ in some if item.entry is not None]
            await connection.copy_records_to_table("journal", records=rows, columns=COLUMNS)
            told = [
                (_at(item.entry), item.entry.seq, original)
                for item, original in some
                if original is not None and item.entry is not None
            ]
            await bring_back(connection, told)
    return archive.entries


async def purge_month(db: Database, folder: Path, month: date, now: datetime) -> None:
    """Removes the file of an archive whose time is over; its statement and its leaves stay."""
    one = next((each for each in await kept(db) if each.month == month), None)
    if one is None or one.state != "archived":
        raise ArchiveError(f"there is no archive of {month:%Y-%m}")
    with suppress(FileNotFoundError):
        (folder / one.signed.archive().file).unlink()
    await db.execute(_STATE, month, "purged", now)


async def keep_up(
    db: Database, key: LogKey, folder: Path, now: datetime, months: int, years: int
) -> list[str]:
    """Does all that is due, oldest first; what was done, for the log. Raises ArchiveError."""
    told = []
    waiting = await due(db, now, months, years)
    for month in waiting.archive:
        done = await archive_month(db, key, folder, month, now)
        told.append(f"archived {month:%Y-%m}: {done.entries} entries, {done.size} bytes")
    for month in waiting.purge:
        await purge_month(db, folder, month, now)
        told.append(f"purged {month:%Y-%m}")
    return told


async def find(
    db: Database, key: LogKey, folder: Path, id: UUID, at: datetime, seq: int
) -> Entry | None:
    """An entry in the archive of its month. Raises ArchiveError."""
    one = next((each for each in await kept(db) if each.month == month_of(at)), None)
    if one is None or one.state != "archived":
        return None
    path = folder / one.signed.verified(public_keys(key.jwks())).file
    return await asyncio.to_thread(_find, path, id, seq)


def _find(path: Path, id: UUID, seq: int) -> Entry | None:
    for item, _ in read(path):
        if item.entry is not None and (item.entry.seq == seq or item.entry.values[1] == str(id)):
            return item.entry
    return None


async def _write(db: Database, key: LogKey, folder: Path, month: date, now: datetime) -> Archive:
    file = f"journal-{month:%Y-%m}.ndjson.zst"
    low, high = start(month), after(month)
    async with db.transaction(read_only_snapshot=True) as connection:
        head = await last_head(connection)
        last = await connection.fetchval(_LAST, low, high)
        if not last:
            raise ArchiveError(f"there are no entries of {month:%Y-%m}")
        if head is None or head.head().through < last:
            raise ArchiveError(f"no head of the log covers {month:%Y-%m} yet")
        writing = Writing(folder / file, month)
        first = index = -1
        try:
            async for entries in walk_month(connection, low, high, _BATCH):
                leaves = await _leaves(connection, [entry.seq for entry in entries])
                told = await _told(db, entries)
                begin, index = await asyncio.to_thread(_add, writing, entries, leaves, told)
                first = begin if first < 0 else first
            count, root, digest, size = await asyncio.to_thread(writing.finish, settle)
        except BaseException:
            writing.abandon()
            raise
    return Archive(month, count, first, index, root, file, digest, size, now, key.kid)


def _add(
    writing: Writing,
    entries: list[Entry],
    leaves: Mapping[int, tuple[int, Leaf]],
    told: Mapping[tuple[datetime, int], Original],
) -> tuple[int, int]:
    """Writes a batch, beside those who are served meanwhile; its first and last leaf."""
    for entry in entries:
        if entry.seq not in leaves:
            raise ArchiveError(f"entry {entry.seq} is not in the log")
        writing.add(leaves[entry.seq][1], entry, told.get((entry.at, entry.seq)))
    return leaves[entries[0].seq][0], leaves[entries[-1].seq][0]


async def _leaves(connection: Connection, seqs: list[int]) -> dict[int, tuple[int, Leaf]]:
    """The leaves of entries, each with its index."""
    found: dict[int, tuple[int, Leaf]] = {}
    for row in await connection.fetch(_TILES, seqs):
        begin = row["number"] * TILE_WIDTH
        parts = zip(row["seqs"], row["times"], cut(row["hashes"]), strict=False)
        for index, (seq, time, hash) in enumerate(parts, start=begin):
            found[seq] = index, Leaf(seq, time, hash, leaf_salt(row["salt"], index))
    return found


async def _told(db: Database, entries: list[Entry]) -> dict[tuple[datetime, int], Original]:
    """What others told, with the first entry of each."""
    reason = COLUMNS.index("reason")
    places = [
        (one.at, one.seq)
        for one in entries
        if one.values[reason] == RECEIVED and one.seq % (1 << 16) == 0
    ]
    return await originals(db, places)


def start(month: date) -> datetime:
    """The first moment of a month."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def after(month: date) -> datetime:
    """The first moment of the next."""
    return start(month.replace(day=1) + timedelta(days=32)).replace(day=1)


def _over(month: date, months: int) -> datetime:
    """When so many months have passed since the end of a month."""
    end = after(month)
    number = end.year * 12 + end.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _at(entry: Entry) -> datetime:
    return datetime.fromisoformat(str(entry.values[2]))


def _row(entry: Entry) -> tuple[Any, ...]:
    seq, id, at, *rest = entry.values
    return (seq, UUID(id) if id else None, datetime.fromisoformat(str(at)), *rest)
