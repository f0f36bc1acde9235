"""The transparency log over a real journal: it covers everything once, and tampering is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pater.access.transparency import exporting, reading
from pater.access.transparency.appending import Keeper
from pater.access.transparency.entries import COLUMNS, entry_at, walk
from pater.access.transparency.heads import SignedHead, heads_after, last_head, signed
from pater.access.transparency.proving import NotThereError, consistency, prove
from pater.access.transparency.tiles import find_leaf
from pater.access.transparency.verifying import Report, check
from pater.access.transparency.watching import state_of
from pater.store.database import Database
from pater.store.journal import JournalEntry, together, write_entries
from pater.trust.log_keys import LogKey, public_keys
from pater.trust.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from pater.trust.tsa import self_made
from pater.trust.tsa.client import own
from tests.conftest import Clock
from tests.store.makers import entry

KEY = LogKey.generate()


@dataclass
class Log:
    """A journal, its log, and who looks after it."""

    db: Database
    clock: Clock
    keeper: Keeper
    roots: list[Any]
    numbers: int = 0

    async def acts(self, count: int, persons: int = 1) -> None:
        """Writes acts, each of so many entries."""
        for _ in range(count):
            self.numbers += 1
            self.clock.move(seconds=1)
            one = entry(self.clock(), agent=f"a{self.numbers % 3}", query=f'q{self.numbers} ěš"\\')
            people = [(n + 1, f"p{n + 1}") for n in range(persons)]
            await write_entries(self.db, together(one, people))

    async def head(self) -> SignedHead:
        self.clock.move(minutes=1)
        return await self.keeper.advance(1.0)

    async def verify(
        self, since: datetime | None = None, known: Sequence[SignedHead] = ()
    ) -> Report:
        keys = public_keys(KEY.jwks())
        async with self.db.transaction(read_only_snapshot=True) as connection:
            return await check(reading.stream(connection, since), keys, self.roots, known)

    async def after(self, sql: str, *args: Any) -> Report:
        """What is found when somebody did this; it is undone afterwards."""
        keys = public_keys(KEY.jwks())
        async with self.db.connection() as connection:
            doing = connection.transaction(isolation="repeatable_read")
            await doing.start()
            try:
                assert await connection.execute(sql, *args) not in ("UPDATE 0", "DELETE 0")
                return await check(reading.stream(connection), keys, self.roots)
            finally:
                await doing.rollback()

    async def seqs(self) -> list[int]:
        return [row[0] for row in await self.db.fetch("select seq from journal order by seq")]


@pytest.fixture
async def log(database: Database, clock: Clock) -> AsyncIterator[Log]:
    authority = self_made.read(self_made.new(clock()), clock)
    keeper = Keeper(database, KEY, clock, own(authority))
    yield Log(database, clock, keeper, [authority.signer.chain[-1]])


async def filled(log: Log) -> list[SignedHead]:
    """Some heads over some acts, of one and of several persons, across tiles."""
    heads = []
    for acts, persons in ((3, 1), (40, 7), (0, 0), (2, 150), (5, 2)):
        await log.acts(acts, persons)
        heads.append(await log.head())
        await log.keeper.stamp_hourly()
        log.clock.move(minutes=25)
    return heads


def kinds(report: Report) -> set[str]:
    return {problem.kind for problem in report.problems}


async def test_every_entry_is_a_leaf_in_order_and_nothing_is_wrong(log: Log) -> None:
    heads = await filled(log)
    report = await log.verify()
    assert report.good, report.problems
    assert (report.heads, report.leaves, report.stamps) == (5, 3 + 280 + 300 + 10, 2)
    # as the standard has it, from the view that readers read
    rows = await log.db.fetch(f"select {', '.join(COLUMNS)} from journal_entry order by seq")
    tree = Frontier()
    for row in rows:
        index, salt = await find_leaf(log.db, row["seq"]) or (-1, b"")
        assert index == tree.size
        values = [
            value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
            for value in row.values()
        ]
        line = json.dumps([salt.hex(), *values], ensure_ascii=False, separators=(",", ":"))
        tree.append([sha256(b"\0" + line.encode()).digest()])
    assert tree.root() == heads[-1].head().root
    assert tree.size == heads[-1].head().size
    assert len({head.head().root for head in heads}) == 4  # one had nothing new


async def test_an_empty_journal_has_heads_as_well(log: Log) -> None:
    await log.head()
    await log.head()
    report = await log.verify()
    assert (report.good, report.heads, report.leaves) == (True, 2, 0)


async def test_what_is_committed_late_is_waited_for(log: Log) -> None:
    await log.acts(2)
    async with log.db.transaction() as late:
        await write_entries(late, [entry(log.clock(), query="late")])
        await log.acts(2)
        before = await log.head()  # cannot pass the one that is open
        assert before.head().size == 0
    await log.acts(1)
    after = (await log.head()).head()
    assert after.size >= 5
    assert (await log.head()).head().size == 6
    assert (await log.verify()).good


async def test_many_writers_and_two_keepers_lose_nothing(log: Log) -> None:
    random = Random(4)
    authority = self_made.read(self_made.new(log.clock()), log.clock)
    other = Keeper(log.db, KEY, log.clock, own(authority))

    async def write(n: int) -> None:
        for k in range(12):
            async with log.db.transaction() as connection:
                await write_entries(connection, [entry(log.clock(), query=f"{n}.{k}")])
                await asyncio.sleep(random.random() / 200)
                if k % 5 == 4:
                    await write_entries(connection, [entry(log.clock(), query=f"{n}.{k}.second")])

    async def keep(keeper: Keeper) -> None:
        for _ in range(15):
            await keeper.advance(0.05)

    await asyncio.gather(*(write(n) for n in range(5)), keep(log.keeper), keep(other))
    last = (await log.head()).head()
    assert last.size == 5 * 14
    report = await log.verify()
    assert report.good, report.problems
    assert report.leaves == last.size


async def test_catching_up_goes_in_several_heads(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pater.access.transparency.appending.ACTS", 4)
    await log.acts(21, 2)
    assert (await log.head()).head().size == 42
    report = await log.verify()
    assert report.good, report.problems
    assert report.heads > 4


async def test_entries_of_old_forms_are_leaves(log: Log) -> None:
    """Rows from before acts: numbers of their own, ids of their own."""
    columns = ", ".join(COLUMNS)
    await log.acts(1)
    await log.db.execute(
        f"insert into journal ({columns}) select 9, gen_random_uuid(), {', '.join(COLUMNS[2:])}"
        " from journal"
    )
    await log.head()
    report = await log.verify()
    assert (report.good, report.leaves) == (True, 2)
    async with log.db.transaction() as connection:
        found = [one async for batch in walk(connection, 0, 1 << 40) for one in batch]
    assert [one.seq for one in found][:1] == [9]
    assert len(found[0].values[1]) == 36
    for one in found:
        assert await entry_at(log.db, one.at, one.seq) == one


TAMPERING = {
    "row-changed": "update journal set query = 'nothing' where seq = $1",
    "row-changed person": "update journal set person = 4711 where seq = $1",
    "row-changed who": "update journal set agent = 'nobody' where seq = $1",
    "row-changed id": "update journal set id = gen_random_uuid() where seq = $1",
    "row-removed": "delete from journal where seq = $1",
    "row-time": "update journal set at = at - interval '1 hour' where seq = $1",
    "row-inserted": "insert into journal select (r).* from (select jsonb_populate_record(j, "
    "jsonb_build_object('seq', j.seq - 65536 + 77)) as r from journal j where seq = $1) x",
}


async def test_a_row_that_was_tampered_with_is_found(log: Log) -> None:
    await filled(log)
    seqs = [seq for seq in await log.seqs() if seq % 65536 == 0]
    for what, sql in TAMPERING.items():
        # alone in its act, or the last of one with others
        victim = seqs[1]
        report = await log.after(sql, victim)
        assert kinds(report) == {what.split()[0]}, what
        told = "".join(problem.text for problem in report.problems)
        assert str(victim if what != "row-inserted" else victim - 65536 + 77) in told
    assert (await log.verify()).good


async def test_reordered_entries_are_found(log: Log) -> None:
    await filled(log)
    one, other = [seq for seq in await log.seqs() if seq % 65536 == 0][:2]
    await log.db.execute(
        "update journal set seq = case seq when $1 then $2 else $1 end where seq in ($1, $2)",
        one,
        other,
    )
    report = await log.verify()
    assert kinds(report) == {"row-reordered"}
    assert len(report.problems) == 2


async def test_the_first_entry_of_an_act_carries_the_others(log: Log) -> None:
    await filled(log)
    first = (await log.seqs())[3]
    await log.db.execute("delete from journal where seq = $1", first)
    report = await log.verify()
    assert kinds(report) == {"row-removed"}
    assert len(report.problems) == 7


async def test_a_leaf_changed_along_with_its_row_is_found(log: Log) -> None:
    heads = await filled(log)
    seq = (await log.seqs())[0]
    await log.db.execute("update journal set query = 'nothing' where seq = $1", seq)
    row = await log.db.fetchrow("select at from journal where seq = $1", seq)
    forged = await entry_at(log.db, row["at"], seq)
    _, salt = await find_leaf(log.db, seq) or (0, b"")
    assert forged is not None
    hashes = await log.db.fetchval("select hashes from audit_tile where (level, number) = (0, 0)")
    await log.db.execute(
        "update audit_tile set hashes = $1 where (level, number) = (0, 0)",
        leaf_hash(forged.line(salt)) + hashes[32:],
    )
    report = await log.verify()
    assert kinds(report) == {"tree"}
    assert "head 1" in report.problems[0].text
    # the newest head alone is enough for who kept it
    late = await log.verify(known=[heads[-1]])
    assert kinds(late) == {"tree"}


async def test_kept_leaves_that_were_changed_alone_are_told_apart(log: Log) -> None:
    await filled(log)
    await log.db.execute(
        "update audit_tile set hashes = overlay(hashes placing decode('00', 'hex') from 40)"
        " where (level, number) = (0, 1)"
    )
    report = await log.verify()
    assert kinds(report) == {"tree", "row-changed"}
    assert any("the entries are right" in problem.text for problem in report.problems)


HEADS = {
    "head-forged": "update audit_head set statement = replace(statement, '\"size\":283', "
    "'\"size\":282') where number = 2",
    "head-forged time": "update audit_head set statement = regexp_replace(statement, "
    '\'"time":"20\', \'"time":"21\') where number = 4',
    "head-forged signature": "update audit_head set signature = "
    "overlay(signature placing decode('abcd', 'hex') from 8) where number = 3",
    "head-forged words": "update audit_head set statement = '[]' where number = 3",
    "head-removed": "delete from audit_head where number = 3",
    "stamp": "update audit_head set stamp = (select stamp from audit_head where number = 1)"
    " where number = 4",
    "stamp broken": "update audit_head set stamp = 'x' where number = 1",
    "head-removed moved": "update audit_head set number = 100 where number = 3",
    "head-forged number": "update audit_head set statement = replace(statement, '\"number\":3', "
    "'\"number\":300') where number = 3",
    "row-removed times": "update audit_leaf set times[1] = 9000000000000000000 where number = 0;"
    " delete from journal where seq = (select min(seq) from journal)",
    "tree null": "update audit_leaf set seqs[1] = null where number = 0",
    "tree": "delete from audit_leaf where number = 1",
}


async def test_a_head_that_was_tampered_with_is_found(log: Log) -> None:
    await filled(log)
    for what, sql in HEADS.items():
        report = await log.after(sql)
        assert what.split()[0] in kinds(report), (what, report.problems)


async def test_a_head_by_another_key_is_forged(log: Log) -> None:
    await filled(log)
    last = await last_head(log.db)
    assert last is not None
    head = last.head()
    other = LogKey.generate()
    forged = signed(other, (await heads_after(log.db, 3, 1))[0], 5, head.root, 7, log.clock())
    await log.db.execute(
        "update audit_head set statement = $1, signature = $2 where number = 5",
        forged.statement,
        forged.signature,
    )
    report = await log.verify()
    assert "head-forged" in kinds(report)
    assert any(other.kid in problem.text for problem in report.problems)


async def test_a_log_that_was_cut_or_written_anew_is_found_by_who_kept_a_head(log: Log) -> None:
    heads = await filled(log)
    await log.db.execute("delete from audit_head where number = 5")
    await log.db.execute("delete from journal where seq > $1", heads[3].head().through)
    assert (await log.verify()).good  # alone, the rest is a log
    report = await log.verify(known=[heads[1], heads[4]])
    assert kinds(report) == {"known-head"}
    log.clock.move(minutes=7)
    await log.head()  # by the same key, another story
    report = await log.verify(known=[heads[1], heads[4]])
    assert kinds(report) == {"known-head"}


async def test_a_part_is_verified_from_a_head_on(log: Log) -> None:
    heads = await filled(log)
    middle = heads[2].head().time + timedelta(seconds=1)
    report = await log.verify(middle)
    assert (report.good, report.heads, report.leaves) == (True, 2, 310)
    await log.db.execute("update journal set query = '' where seq = $1", (await log.seqs())[0])
    assert (await log.verify(middle)).good
    await log.db.execute("update journal set query = '' where seq = $1", (await log.seqs())[-2])
    await log.db.execute("update journal set patient = '' where seq = $1", (await log.seqs())[-1])
    assert kinds(await log.verify(middle)) == {"row-changed"}
    await log.db.execute(
        "update audit_tile set hashes = overlay(hashes placing decode('00', 'hex') from 4)"
        " where (level, number) = (1, 0)"
    )
    assert "tree" in kinds(await log.verify(middle))
    await log.db.execute("update audit_head set statement = 'x' where number = 3")
    assert "head-forged" in kinds(await log.verify(middle))


async def exported(log: Log, since: datetime | None = None) -> list[bytes]:
    authorities = "".join(root.public_bytes(Encoding.PEM).decode() for root in log.roots)
    found = exporting.header(KEY.jwks(), authorities)
    async with log.db.transaction(read_only_snapshot=True) as connection:
        async for part in exporting.lines(reading.stream(connection, since)):
            found += part
    return found.splitlines(keepends=True)


async def verify_file(log: Log, lines: list[bytes], **how: Any) -> Report:
    keys, _ = exporting.read_header(lines[0])
    return await check(exporting.read(lines[1:]), public_keys(keys), log.roots, **how)


async def test_a_file_is_verified_without_the_database(log: Log) -> None:
    heads = await filled(log)
    lines = await exported(log)
    report = await verify_file(log, lines, known=heads)
    assert report.good, report.problems
    assert (report.heads, report.leaves, report.stamps) == (5, 593, 2)
    part = await exported(log, heads[2].head().time)
    assert (await verify_file(log, part)).leaves == 310
    entries = [n for n, line in enumerate(lines) if line.startswith(b'{"leaf"')]
    place = entries[20]
    changed = lines[place].replace(b"REST", b"rest").replace(b'"p', b'"q')
    assert changed != lines[place]
    for damaged, kind in (
        ([*lines[:place], changed, *lines[place + 1 :]], "row-changed"),
        ([*lines[:place], *lines[place + 1 :]], "tree"),
        ([*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]], "tree"),
        (lines[:place] + lines[place : place + 1] * 2 + lines[place + 1 :], "tree"),
    ):
        assert kinds(await verify_file(log, damaged)) == {kind}
    assert "known-head" in kinds(await verify_file(log, lines[:-1], known=heads))
    for odd in (b"x\n", b"[]\n", b'{"leaf": 1}\n', b'{"head": {}}\n', b'{"entry": []}\n'):
        with pytest.raises(exporting.ExportError, match="Line 9 "):
            await verify_file(log, [*lines[:8], odd, *lines[8:]])
    with pytest.raises(exporting.ExportError):
        exporting.read_header(b'{"something": "else"}\n')


async def test_what_was_tampered_with_stays_visible_in_a_file(log: Log) -> None:
    await filled(log)
    seqs = await log.seqs()
    await log.db.execute("delete from journal where seq = $1", seqs[0])
    await log.db.execute(TAMPERING["row-inserted"], seqs[1])
    await log.db.execute("update journal set person = 5 where seq = $1", seqs[2])
    report = await verify_file(log, await exported(log))
    assert kinds(report) == {"row-removed", "row-inserted", "row-changed"}


async def test_an_entry_is_proved_to_be_in_the_log(log: Log) -> None:
    heads = await filled(log)
    rows = await log.db.fetch("select at, seq from journal order by seq")
    for index in (0, 2, 255, 256, 592):
        at, seq = rows[index]
        proof = await prove(log.db, KEY, at, seq)
        assert (proof.verified, proof.index, proof.head.size) == (True, index, 593)
        leaf = sha256(b"\0" + proof.line).digest()
        assert verify_inclusion(leaf, index, 593, proof.path, heads[-1].head().root)
    assert (await prove(log.db, KEY, *rows[2], size=3)).head.size == 3
    with pytest.raises(NotThereError):
        await prove(log.db, KEY, *rows[3], size=3)
    with pytest.raises(NotThereError):
        await prove(log.db, KEY, *rows[0], size=4)
    await log.acts(1)
    late = await log.db.fetchrow("select at, seq from journal order by seq desc limit 1")
    with pytest.raises(NotThereError, match="minute"):
        await prove(log.db, KEY, late["at"], late["seq"])
    await log.db.execute("update journal set person = 77 where seq = $1", rows[2]["seq"])
    assert not (await prove(log.db, KEY, *rows[2])).verified
    sizes = sorted({head.head().size for head in heads})
    root = {head.head().size: head.head().root for head in heads}
    for first in sizes:
        for second in sizes:
            if first <= second:
                path = await consistency(log.db, first, second)
                assert verify_consistency(first, second, root[first], root[second], path)
    for first, second in ((0, 3), (3, 594), (5, 3)):
        with pytest.raises(NotThereError):
            await consistency(log.db, first, second)


async def test_stamps_come_once_an_hour(log: Log) -> None:
    await log.keeper.stamp_hourly()  # no head yet
    for _ in range(13):
        await log.head()
        await log.keeper.stamp_hourly()
        log.clock.move(minutes=9)
    stamped = await log.db.fetch("select number from audit_head where stamp is not null")
    assert [row[0] for row in stamped] == [1, 7, 13]


async def test_a_round_reads_only_what_is_new(log: Log) -> None:
    """The index of order is used, and what it has not summarised yet is a few pages."""
    many: list[JournalEntry] = []
    for n in range(6_000):
        many.append(entry(log.clock() + timedelta(microseconds=n), query=f"q{n}" * 20))
    await write_entries(log.db, many)
    await log.head()
    await log.db.execute("vacuum analyze journal")
    through = (await last_head(log.db)).head().through  # type: ignore[union-attr]
    await log.acts(3)
    rows = await log.db.fetch(
        "explain (analyze, timing off, buffers) select * from journal"
        f" where seq > {through} and seq <= {through + (1 << 20)} order by seq"
    )
    plan = "\n".join(row[0] for row in rows)
    month = f"journal_{log.clock():%Y%m}"
    assert f"Seq Scan on {month}" not in plan, plan
    assert "journal_order" in plan or "seq_idx" in plan, plan


async def test_plans_of_the_log(log: Log) -> None:
    await filled(log)
    async with log.db.connection() as connection:
        await connection.execute("set enable_seqscan = off")
        for sql, index in (
            ("select * from audit_leaf where first <= 5 order by first desc limit 1", "first"),
            ("select * from audit_head where at <= now() order by at desc limit 1", "head_at"),
            ("select * from audit_head where size = 3 order by number desc limit 1", "head_size"),
            (
                "select * from audit_head where stamp is not null order by number desc limit 1",
                "stamped",
            ),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"explain {sql}"))
            assert index in plan, plan
        await connection.execute("reset enable_seqscan")


async def test_a_log_that_is_not_kept_is_told(log: Log) -> None:
    assert await state_of(log.db, log.clock()) == "none"
    await log.head()
    assert await state_of(log.db, log.clock()) == "kept"
    log.clock.move(minutes=6)
    assert await state_of(log.db, log.clock()) == "late"
    await log.db.execute("update audit_head set statement = 'x'")
    assert await state_of(log.db, log.clock()) == "late"
