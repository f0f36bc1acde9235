"""Months of the journal in archive files: proven as before, brought back, ended by their time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pater.access.transparency import archives, exporting, reading
from pater.access.transparency.appending import Keeper
from pater.access.transparency.archive_file import ArchiveError, SignedArchive, check, read
from pater.access.transparency.archives import (
    after,
    archive_month,
    due,
    find,
    keep_up,
    kept,
    purge_month,
    restore_month,
)
from pater.access.transparency.entries import month_of
from pater.access.transparency.proving import NotThereError, prove
from pater.access.transparency.verifying import check as verify
from pater.store.database import Database
from pater.store.journal import place_id
from pater.store.journal_received import Original, keep, originals
from pater.trust.log_keys import LogKey, public_keys
from pater.trust.tsa import self_made
from pater.trust.tsa.client import own
from tests.access.test_transparency import KEY, Log
from tests.conftest import Clock
from tests.store.makers import entry

KEYS = public_keys(KEY.jwks())


@pytest.fixture
async def log(database: Database, clock: Clock) -> AsyncIterator[Log]:
    authority = self_made.read(self_made.new(clock()), clock)
    keeper = Keeper(database, KEY, clock, own(authority))
    yield Log(database, clock, keeper, [authority.signer.chain[-1]])


async def months(log: Log) -> date:
    """Two months of entries, acts of one and of several, one told by others; the first of them."""
    first = month_of(log.clock())
    await log.acts(5)
    await log.acts(3, 120)
    told = Original("hospital-a", {0: 1}, b'{"resourceType":"AuditEvent"}')
    one = entry(log.clock(), person=1, patient="p1", reason="received")
    await keep(log.db, one, [(2, "p2")], told, None)
    await log.head()
    log.clock.move(days=31)
    await log.acts(4, 2)
    await log.head()
    log.clock.move(days=120)
    await log.acts(2)
    await log.head()
    return first


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def rows(log: Log) -> list[dict[str, Any]]:
    return [dict(row) for row in await log.db.fetch("select * from journal_entry order by seq")]


async def test_a_month_goes_and_nothing_is_wrong(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    before = await rows(log)
    done = await archive_month(log.db, KEY, tmp_path, month, log.clock())
    assert done.entries == 5 + 360 + 2
    left = await rows(log)
    assert left == [row for row in before if month_of(row["at"]) != month]
    path = tmp_path / done.file
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == done.size < 40_000
    report = await log.verify()
    assert report.good, report.problems
    assert report.away == done.entries
    # what went is as it was, and stands in the log
    went = [row for row in before if month_of(row["at"]) == month]
    lines = list(read(path))
    assert [item.entry.seq for item, _ in lines if item.entry] == [row["seq"] for row in went]
    assert [told.sender for _, told in lines if told] == ["hospital-a"]
    assert await log.db.fetchval("select count(*) from journal_original") == 0
    # the rest is verified from a later head on, and from a file
    part = await log.verify(since=log.clock() - timedelta(days=100))
    assert part.good, part.problems
    events = [event async for event in exported(log)]
    again = await verify(exporting.read(events[1:]), KEYS, log.roots)
    assert again.good
    assert again.away == done.entries


async def exported(log: Log) -> AsyncIterator[bytes]:
    """The lines of an export."""
    async with log.db.transaction(read_only_snapshot=True) as connection:
        yield exporting.header(KEY.jwks(), "")
        async for part in exporting.lines(reading.stream(connection)):
            for line in part.splitlines():
                yield line


async def test_what_comes_back_is_what_went(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    before = await rows(log)
    place = next((r["at"], r["seq"]) for r in before if r["reason"] == "received")
    told = await originals(log.db, [place])
    await archive_month(log.db, KEY, tmp_path, month, log.clock())
    assert await restore_month(log.db, KEYS, tmp_path, month, log.clock()) == 367
    assert await rows(log) == before
    assert await originals(log.db, [place]) == told
    assert (await log.verify()).good
    # what was brought back is left alone until somebody says so
    assert (await due(log.db, log.clock(), 2, 10)).archive == (month_of(after(month)),)
    with pytest.raises(ArchiveError, match="no archive"):
        await restore_month(log.db, KEYS, tmp_path, month, log.clock())
    await archive_month(log.db, KEY, tmp_path, month, log.clock())
    assert (await log.verify()).away == 367


async def test_an_archived_entry_has_its_proof(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    victim = (await rows(log))[7]
    at, seq = victim["at"], victim["seq"]
    await archive_month(log.db, KEY, tmp_path, month, log.clock())
    with pytest.raises(NotThereError):
        await prove(log.db, KEY, at, seq)
    found = await find(log.db, KEY, tmp_path, place_id(at, seq), at, seq)
    assert found is not None
    proof = await prove(log.db, KEY, at, seq, entry=found)
    assert proof.verified
    assert json.loads(proof.line)[1] == seq
    assert await find(log.db, KEY, tmp_path, UUID(int=0), at, 77) is None


TAMPERING = {
    "a leaf": "update audit_tile set hashes = overlay(hashes placing '\\x00' from 1 for 1) "
    "where (level, number) = (0, 0)",
    "the statement": "update journal_archive set statement = replace(statement, '367', '366')",
    "the archive gone": "delete from journal_archive",
    "another month's row": "delete from journal where seq = (select max(seq) from journal)",
    "an entry moved into the month": "with gone as (delete from journal where seq = "
    "(select seqs[115] from audit_leaf where number = 1)) "
    "update audit_leaf set times[115] = times[1] where number = 1",
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_tampering_around_an_archive_is_found(log: Log, tmp_path: Path, what: str) -> None:
    month = await months(log)
    await archive_month(log.db, KEY, tmp_path, month, log.clock())
    report = await log.after(TAMPERING[what])
    assert not report.good
    assert (await log.verify()).good


async def test_a_file_that_was_changed_is_not_believed(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    done = await archive_month(log.db, KEY, tmp_path, month, log.clock())
    path = tmp_path / done.file
    good = path.read_bytes()
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(good).splitlines(keepends=True)

    def packed(some: list[bytes]) -> bytes:
        return zstandard.ZstdCompressor().compress(b"".join(some))

    forged = [*lines[:3], lines[3].replace(b'"a1"', b'"b1"').replace(b'"a0"', b'"b1"'), *lines[4:]]
    for bad, why in (
        (packed(lines[:-1]), "does not hold"),
        (packed([*lines[:3], lines[4], lines[3], *lines[5:]]), "does not hold"),
        (packed(forged), "not what was logged"),
        (packed(lines), "was changed"),  # packed otherwise: the same entries in other bytes
        (good[:-20], "was changed|damaged|does not hold"),
        (b"nonsense", "damaged"),
    ):
        path.write_bytes(bad)
        with pytest.raises(ArchiveError, match=why):
            check(path, done)
        with pytest.raises(ArchiveError):
            await restore_month(log.db, KEYS, tmp_path, month, log.clock())
    path.unlink()
    with pytest.raises(ArchiveError, match="cannot be read"):
        check(path, done)
    other = public_keys(LogKey.generate().jwks())
    with pytest.raises(ArchiveError, match="nobody we know"):
        (await kept(log.db))[0].signed.verified(other)


async def test_what_was_tampered_with_does_not_go(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    await log.db.execute(
        "update journal set query = 'x' where seq = (select min(seq) from journal)"
    )
    with pytest.raises(ArchiveError, match="not what was logged"):
        await archive_month(log.db, KEY, tmp_path, month, log.clock())
    assert names(tmp_path) == []
    assert await kept(log.db) == []


async def test_what_is_broken_off_is_done_again(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = await months(log)
    before = await rows(log)

    def fails(*_: Any) -> None:
        raise OSError("the disk is full")

    for name in ("check", "settle"):
        with monkeypatch.context() as broken:
            broken.setattr(archives, name, fails)
            with pytest.raises(OSError, match="full"):
                await archive_month(log.db, KEY, tmp_path, month, log.clock())
        assert await rows(log) == before
        assert not [name for name in names(tmp_path) if name.startswith(".")]
    # somebody reads the journal for long: later
    async with log.db.transaction() as reader:
        await reader.execute("lock table journal in row exclusive mode")
        with pytest.raises(ArchiveError, match="later"):
            await archive_month(log.db, KEY, tmp_path, month, log.clock())
    assert await rows(log) == before
    assert (await archive_month(log.db, KEY, tmp_path, month, log.clock())).entries == 367
    assert (await log.verify()).good


async def test_a_month_goes_when_nothing_can_come_any_more(log: Log, tmp_path: Path) -> None:
    month = month_of(log.clock())
    await log.acts(3)
    end = after(month)
    log.clock.now = end + timedelta(days=34)
    with pytest.raises(ArchiveError, match="may still get entries"):
        await archive_month(log.db, KEY, tmp_path, month, log.clock())
    log.clock.now = end + timedelta(days=36)
    with pytest.raises(ArchiveError, match="no head"):
        await archive_month(log.db, KEY, tmp_path, month, log.clock())
    await log.head()
    await archive_month(log.db, KEY, tmp_path, month, log.clock())
    with pytest.raises(ArchiveError, match="no entries"):
        await archive_month(log.db, KEY, tmp_path, month, log.clock())


async def test_retention_ends_archives_and_their_statements_stay(log: Log, tmp_path: Path) -> None:
    month = await months(log)
    assert await keep_up(log.db, KEY, tmp_path, log.clock(), 36, 10) == []
    log.clock.move(days=3 * 365)
    told = await keep_up(log.db, KEY, tmp_path, log.clock(), 36, 10)
    assert [line.split(":")[0] for line in told] == [
        f"archived {month:%Y-%m}", f"archived {month_of(after(month)):%Y-%m}",
    ]  # fmt: skip
    assert await keep_up(log.db, KEY, tmp_path, log.clock(), 36, 10) == []
    log.clock.move(days=8 * 365)
    assert (await due(log.db, log.clock(), 0, 0)) == archives.Due((), ())
    waiting = await due(log.db, log.clock(), 0, 10)
    assert waiting.purge == (month, month_of(after(month)))
    await keep_up(log.db, KEY, tmp_path, log.clock(), 0, 10)
    assert names(tmp_path) == []
    assert {one.state for one in await kept(log.db)} == {"purged"}
    report = await log.verify()
    assert report.good, report.problems
    with pytest.raises(ArchiveError, match="no archive"):
        await purge_month(log.db, tmp_path, month, log.clock())


@given(st.binary(max_size=200))
def test_a_statement_of_anything_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        SignedArchive(data.decode("latin-1"), data).verified(KEYS)
