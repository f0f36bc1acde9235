"""The log as a stream: what is kept of each leaf beside the row of its entry, then the head.

Made from the database here and from a file in `exporting`; `verifying` reads both alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.access.transparency.entries import Entry, leaf_salt, walk
from pater.access.transparency.heads import (
    HeadError,
    SignedHead,
    head_before,
    last_head,
    numbered_heads,
)
from pater.access.transparency.tiles import TilesError, cut, node_hashes
from pater.store.database import Connection
from pater.trust.merkle import TILE_WIDTH

_HEADS: Final = 500
_LEAVES = """
select l.number, l.salt, l.seqs, l.times, t.hashes
from audit_leaf l join audit_tile t on t.level = 0 and t.number = l.number
where l.number between $1 and $2 order by l.number
"""
_AWAY = """
select statement, signature from journal_archive where state <> 'restored' order by month
"""
_UNCOVERED = "select count(*) from (select from journal where seq > $1 limit 1000000) few"
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is kept of one leaf; `time` is microseconds since 1970."""

    seq: int
    time: int
    hash: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """A leaf and the row with its number; one of them may be missing."""

    leaf: Leaf | None
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Base:
    """The head after which a part of the log begins, and the edge of its tree."""

    head: SignedHead
    edge: list[bytes]


@dataclass(frozen=True, slots=True)
class Away:
    """A month whose entries are in an archive, or were there: what is signed of it."""

    statement: str
    signature: bytes


Event = Base | Away | list[Item] | SignedHead


async def stream(connection: Connection, since: datetime | None = None) -> AsyncIterator[Event]:
    """All of the log, or what came after the last head before a time.

    Needs a transaction that sees one state of the database. Items come before the head that
    covers them.
    """
    for row in await connection.fetch(_AWAY):
        yield Away(row["statement"], bytes(row["signature"]))
    before = size = through = 0
    if since is not None:
        first = await head_before(connection, since)
        if first is not None:
            edge: list[bytes] = []
            try:
                head = first.head()
                before, size, through = head.number, head.size, head.through
                (edge,) = await node_hashes(connection, [(0, size)])
            except (HeadError, TilesError):  # who reads the stream says so
                pass
            yield Base(first, edge)
    while heads := await numbered_heads(connection, before, _HEADS):
        before = heads[-1][0]
        for _, one in heads:
            try:
                head = one.head()
            except HeadError:  # who reads the stream says so
                yield one
                continue
            async for items in _items(connection, size, head.size, through, head.through):
                yield items
            yield one
            size, through = head.size, head.through


async def uncovered(connection: Connection) -> int:
    """How many entries wait for the next head; at most a million are counted."""
    last = await last_head(connection)
    try:
        through = last.head().through if last else 0
    except HeadError:
        through = 0
    found: int = await connection.fetchval(_UNCOVERED, through)
    return found


async def _items(
    connection: Connection, size: int, end: int, after: int, through: int
) -> AsyncIterator[list[Item]]:
    """The leaves from `size` to `end` beside the rows numbered from `after` to `through`."""
    if end <= size and through <= after:
        return
    rows = walk(connection, after, through)
    entries: list[Entry] = []
    place = 0
    async for leaves in _leaves(connection, size, end):
        found: list[Item] = []
        for leaf in leaves:
            while True:
                if place == len(entries):
                    entries, place = await anext(rows, []), 0
                entry = entries[place] if entries else None
                if entry is None or entry.seq > leaf.seq:
                    found.append(Item(leaf, None))
                    break
                place += 1
                if entry.seq == leaf.seq:
                    found.append(Item(leaf, entry))
                    break
                found.append(Item(None, entry))
        yield found
    while entries := entries[place:]:
        yield [Item(None, entry) for entry in entries]
        entries, place = await anext(rows, []), 0
    async for rest in rows:
        yield [Item(None, entry) for entry in rest]


async def _leaves(connection: Connection, size: int, end: int) -> AsyncIterator[list[Leaf]]:
    first, last = size // TILE_WIDTH, (end - 1) // TILE_WIDTH
    for number in range(first, last + 1, _BATCH):
        until = min(last, number + _BATCH - 1)
        rows = await connection.fetch(_LEAVES, number, until)
        if not rows:  # whatever a forged head says
            return
        for row in rows:
            begin = row["number"] * TILE_WIDTH
            hashes = cut(row["hashes"])
            if None in row["seqs"] or None in row["times"]:
                return  # the leaves that are missing then are told
            parts = zip(row["seqs"], row["times"], hashes, strict=False)
            yield [
                Leaf(seq, time, hash, leaf_salt(row["salt"], index))
                for index, (seq, time, hash) in enumerate(parts, start=begin)
                if size <= index < end
            ]
