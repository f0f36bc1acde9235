"""The transparency log: what a leaf costs, and what the journal pays for being followed.

Two databases of one PostgreSQL take the same entries in turn, in the groups in which commits come:
one as it ships, one without the index that the log walks by and without a log. CPU time of both
sides decides; the resolution of the clock is 10 ms, so rounds are long and many.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from bench.child import Child
from bench.machine import describe, tree_time
from bench.table import number, render
from pater.access.transparency.appending import Keeper
from pater.app import rooms
from pater.clock import now
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.journal import JournalEntry, write_entries
from pater.store.migrate import migrate
from pater.trust.log_keys import LogKey
from pater.trust.tsa import self_made
from pater.trust.tsa.client import own

GROUP: Final = 8
"""Entries that one commit writes."""


@dataclass(frozen=True, slots=True)
class Following:
    """How much: entries of a round, and rounds."""

    entries: int = 20_000
    rounds: int = 5


class Postgres(Child):
    """An embedded server as it ships, without the rest; `dsn` is where it answers."""

    dsn = ""

    def _start(self) -> None:
        self._server = EmbeddedPostgres(self.folder / "data")
        self.dsn = self._server.start()

    def _end(self) -> None:
        self._server.stop()


def transparency(asked: Following) -> dict[str, Any]:
    """The figures, as plain data."""
    with Postgres("transparency") as postgres:
        return asyncio.run(_measured(asked, postgres.dsn))


async def _measured(asked: Following, dsn: str) -> dict[str, Any]:
    admin = await asyncpg.connect(dsn)
    await admin.execute("create database plain")
    await admin.close()
    followed = await Database.open(dsn, max_size=2)
    plain = await Database.open(dsn.replace("/pater?", "/plain?"), max_size=2)
    try:
        for db in (followed, plain):
            await migrate(db, rooms())
        await plain.execute("drop index journal_order")
        authority = self_made.read(self_made.new(now()), now)
        keeper = Keeper(followed, LogKey.generate(), now, own(authority))
        await keeper.advance()
        rounds = []
        for turn in range(asked.rounds + 1):
            order = (followed, plain) if turn % 2 else (plain, followed)
            cost = {id(db): await _cost(db, asked.entries) for db in order}
            before, begun = cpu(), time.perf_counter()
            await keeper.advance()
            spent, seconds = cpu() - before, time.perf_counter() - begun
            if turn:  # the first warms up
                rounds.append((cost[id(followed)], cost[id(plain)], spent, seconds))
        size = await followed.fetchval(
            "select sum(pg_total_relation_size(c)) from unnest(array['audit_tile'::regclass,"
            " 'audit_leaf'::regclass]) c"
        )
        index = await followed.fetchval(
            "select sum(pg_relation_size(inhrelid)) from pg_inherits"
            " where inhparent = 'journal_order'::regclass"
        )
        leaves = (asked.rounds + 1) * asked.entries
    finally:
        await followed.close()
        await plain.close()
    micro = 1e6 / asked.entries

    def middle(figure: Callable[[tuple[float, float, float, float]], float]) -> float:
        return statistics.median(figure(one) for one in rounds)

    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "entries": asked.entries,
        "rounds": asked.rounds,
        "insert_followed_us": middle(lambda one: one[0]) * micro,
        "insert_plain_us": middle(lambda one: one[1]) * micro,
        "ratio": middle(lambda one: one[0] / one[1]),
        "ratios": [one[0] / one[1] for one in rounds],
        "leaf_us": middle(lambda one: one[2]) * micro,
        "leaves_per_second": middle(lambda one: asked.entries / one[3]),
        "bytes_per_leaf": float(size) / leaves,
        "index_bytes": int(index),
    }


async def _cost(db: Database, entries: int) -> float:
    """CPU seconds of client and database for so many entries, in commits of GROUP."""
    at = now()
    made = [_entry(at, n) for n in range(entries)]
    before = cpu()
    for first in range(0, entries, GROUP):
        await write_entries(db, made[first : first + GROUP])
    return cpu() - before


def cpu() -> float:
    """CPU seconds that this process and its database have spent."""
    spent = tree_time(os.getpid())
    return spent.program + spent.database


def _entry(at: datetime, n: int) -> JournalEntry:
    return JournalEntry(
        at=at, person=n % 5000, patient=f"00000000-0000-4000-8000-{n % 5000:012}", action="R",
        interaction="read", outcome="0", reason="treatment", agent_kind="person",
        agent=f"clinician-{n % 50}", agent_name="MUDr. Alena Horáková", role="clinician",
        organization="12345679", organization_name="Nemocnice Podhůří", purpose="TREAT",
        entity_type="Observation", entity_id=f"10000000-0000-4000-8000-{n:012}", entity_version=1,
        query="", request_id=f"20000000-0000-4000-8000-{n:012}", source="192.0.2.17",
    )  # fmt: skip


def told(found: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        ("insert of an entry, followed by the log", f"{number(found['insert_followed_us'])} µs"),
        ("insert of an entry, no index and no log", f"{number(found['insert_plain_us'])} µs"),
        ("ratio (median of the rounds)", number(found["ratio"])),
        ("a leaf, off the path", f"{number(found['leaf_us'])} µs"),
        ("leaves a second, one keeper", number(found["leaves_per_second"])),
        ("bytes kept of a leaf", number(found["bytes_per_leaf"])),
        ("the index, bytes", number(found["index_bytes"])),
    ]
    return render(("CPU of client and database", "figure"), rows)
