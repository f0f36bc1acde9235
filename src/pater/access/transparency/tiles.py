"""The tree of the log as it is kept: 256 hashes, or 256 leaves, a row."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from pater.access.transparency.entries import Entry, leaf_salt, microseconds
from pater.store.database import Connection, Database
from pater.trust.merkle import (
    HASH_SIZE,
    TILE_WIDTH,
    Frontier,
    Range,
    Tile,
    leaf_hash,
    node_in,
    nodes_of,
    range_root,
    tile_of,
)

_TILE_SALT: Final = 32

_READ = """
select t.level, t.number, t.hashes from unnest($1::smallint[], $2::bigint[]) as k(level, number)
join audit_tile t on t.level = k.level and t.number = k.number
"""
_WRITE = """
insert into audit_tile (level, number, hashes) values ($1, $2, $3)
on conflict (level, number) do update set hashes = excluded.hashes
"""
_LEAVES = "select number, salt, seqs, times from audit_leaf where number = $1"
_WRITE_LEAVES = """
insert into audit_leaf (number, first, salt, seqs, times) values ($1, $2, $3, $4, $5)
on conflict (number) do update set seqs = excluded.seqs, times = excluded.times
"""
_FIND = """
select number, salt, seqs, times from audit_leaf where first <= $1 order by first desc limit 1
"""


class TilesError(Exception):
    """The kept tree is not whole; the text says what is missing."""


@dataclass(slots=True)
class Leaves:
    """What is known of the up to 256 leaves of a tile: its salt, their entries and times."""

    number: int
    salt: bytes
    seqs: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)  # microseconds since 1970


def cut(hashes: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [hashes[n : n + HASH_SIZE] for n in range(0, len(hashes), HASH_SIZE)]


async def read_tiles(
    db: Database | Connection, tiles: Collection[Tile]
) -> dict[Tile, Sequence[bytes]]:
    """Those of the tiles that are there."""
    levels, numbers = [tile[0] for tile in tiles], [tile[1] for tile in tiles]
    rows = await db.fetch(_READ, levels, numbers)
    return {(row["level"], row["number"]): cut(row["hashes"]) for row in rows}


async def node_hashes(db: Database | Connection, ranges: Sequence[Range]) -> list[list[bytes]]:
    """The hashes of the nodes of each range, from one look at the tiles. Raises TilesError."""
    wanted = [nodes_of(*leaves) for leaves in ranges]
    tiles = await read_tiles(db, {tile_of(node) for nodes in wanted for node in nodes})
    try:
        return [[node_in(tiles[tile_of(node)], node) for node in nodes] for nodes in wanted]
    except (KeyError, IndexError) as error:
        raise TilesError("a part of the kept tree is missing") from error


async def roots(db: Database | Connection, ranges: Sequence[Range]) -> list[bytes]:
    """The root of each range of leaves. Raises TilesError."""
    return [range_root(hashes) for hashes in await node_hashes(db, ranges)]


async def find_leaf(db: Database, seq: int) -> tuple[int, bytes] | None:
    """The index and the salt of the leaf of an entry; None when it has none."""
    row = await db.fetchrow(_FIND, seq)
    if row is None:
        return None
    place = bisect_left(row["seqs"], seq)
    if place == len(row["seqs"]) or row["seqs"][place] != seq:
        return None
    index = row["number"] * TILE_WIDTH + place
    return index, leaf_salt(row["salt"], index)


class Growing:
    """The tree while entries are appended to it, in one transaction."""

    def __init__(
        self, size: int, edge: Sequence[bytes], tiles: dict[Tile, bytearray], leaves: Leaves
    ) -> None:
        self._tiles = tiles
        self._changed: set[Tile] = set()
        self._leaves = {leaves.number: leaves}
        self.tree = Frontier(size, edge, self._add)

    @classmethod
    async def from_size(cls, connection: Connection, size: int) -> Growing:
        """The tree of so many leaves. Raises TilesError."""
        (edge,) = await node_hashes(connection, [(0, size)])
        kept = await read_tiles(connection, {tile_of(node) for node in nodes_of(0, size)})
        partial = {}
        for (level, number), hashes in kept.items():
            # what stands behind the size was never signed
            known = (size >> 8 * level) - number * TILE_WIDTH
            partial[level, number] = bytearray(b"".join(hashes[:known]))
        leaves = Leaves(size // TILE_WIDTH, os.urandom(_TILE_SALT))
        row = await connection.fetchrow(_LEAVES, leaves.number) if size % TILE_WIDTH else None
        if size % TILE_WIDTH:
            if row is None:
                raise TilesError("a part of the kept leaves is missing")
            known = size % TILE_WIDTH
            leaves = Leaves(row["number"], row["salt"], row["seqs"][:known], row["times"][:known])
        return cls(size, edge, partial, leaves)

    def append(self, entries: Sequence[Entry]) -> None:
        """Puts the leaves of entries behind the last."""
        hashes = []
        for index, entry in enumerate(entries, start=self.tree.size):
            number = index // TILE_WIDTH
            leaves = self._leaves.get(number)
            if leaves is None:
                leaves = self._leaves[number] = Leaves(number, os.urandom(_TILE_SALT))
            leaves.seqs.append(entry.seq)
            leaves.times.append(microseconds(entry.at))
            hashes.append(leaf_hash(entry.line(leaf_salt(leaves.salt, index))))
        self.tree.append(hashes)

    def _add(self, level: int, number: int, hash: bytes) -> None:
        tile = level, number // TILE_WIDTH
        self._tiles.setdefault(tile, bytearray()).extend(hash)
        self._changed.add(tile)

    async def write(self, connection: Connection) -> None:
        """Keeps what was appended since; full tiles leave the memory."""
        if not self._changed:
            return
        await connection.executemany(
            _WRITE, [(*tile, bytes(self._tiles[tile])) for tile in sorted(self._changed)]
        )
        await connection.executemany(
            _WRITE_LEAVES,
            [
                (one.number, one.seqs[0], one.salt, one.seqs, one.times)
                for one in self._leaves.values()
                if one.seqs
            ],
        )
        self._changed.clear()
        full = TILE_WIDTH * HASH_SIZE
        self._tiles = {tile: held for tile, held in self._tiles.items() if len(held) < full}
        last = self.tree.size // TILE_WIDTH
        self._leaves = {number: one for number, one in self._leaves.items() if number >= last}
