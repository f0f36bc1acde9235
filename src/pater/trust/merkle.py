"""Merkle trees as RFC 9162 (2.1) has them: hashes, inclusion and consistency proofs, tiles.

Nothing here keeps or reads anything. A tree is the sequence of its leaf hashes; a complete subtree
of 2^level leaves is the node (level, number). Nodes are kept in tiles: a tile holds up to 256
hashes of the nodes of one level (0, 8, 16, …) that stand side by side, and gives every node of the
seven levels above. A proof needs a handful of tiles whatever the size of the tree is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

HASH_SIZE: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
EMPTY: Final = sha256(b"").digest()

Range: TypeAlias = tuple[int, int]
"""Leaves from the first on, up to the second without it."""
Node: TypeAlias = tuple[int, int]
"""A complete subtree: its level (0 = a leaf) and its number on it."""
Tile: TypeAlias = tuple[int, int]
"""The level of a tile's hashes divided by 8, and its number on it."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry (2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def full_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a complete subtree; the number of hashes is a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


def nodes_of(begin: int, end: int) -> list[Node]:
    """The complete subtrees that make up a range of leaves, from left to right."""
    found: list[Node] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def range_root(hashes: Sequence[bytes]) -> bytes:
    """The root over the nodes of `nodes_of`, given in that order."""
    if not hashes:
        return EMPTY
    root = hashes[-1]
    for hash in reversed(hashes[:-1]):
        root = node_hash(hash, root)
    return root


def tile_of(node: Node) -> Tile:
    """The tile that knows a node."""
    level, number = node
    return level // TILE_HEIGHT, number >> (TILE_HEIGHT - level % TILE_HEIGHT)


def node_in(tile: Sequence[bytes], node: Node) -> bytes:
    """The hash of a node, from the hashes of its tile."""
    level, number = node
    height = level % TILE_HEIGHT
    first = (number << height) % TILE_WIDTH
    return full_root(tile[first : first + (1 << height)])


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots are the inclusion proof of a leaf (2.1.3.1), leaf to root."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found: list[Range] = []
    begin, end = 0, size
    while end - begin > 1:
        split = begin + _split(end - begin)
        if index < split:
            found.append((split, end))
            end = split
        else:
            found.append((begin, split))
            begin = split
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The ranges whose roots prove a tree to be the beginning of a larger one (2.1.4.1)."""
    if not 0 < first <= second:
        raise ValueError(f"no proof leads from {first} leaves to {second}")
    found: list[Range] = []
    begin, end = 0, second
    while end != first:
        split = begin + _split(end - begin)
        if first <= split:
            found.append((split, end))
            end = split
        else:
            found.append((begin, split))
            begin = split
    # the old tree itself is known to who asks
    return ([(begin, end)] if begin else []) + found[::-1]


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (2.1.1)."""
    return 1 << (count - 1).bit_length() - 1


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether the leaf hash stands at this index of the tree with this root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, hash = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            hash = node_hash(step, hash)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            hash = node_hash(hash, step)
        number, last = number >> 1, last >> 1
    return last == 0 and hash == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the first tree is the beginning of the second (2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY
    if first & (first - 1) == 0:
        proof = [first_root, *proof]
    if not proof:
        return False
    number, last = first - 1, second - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = proof[0]
    for step in proof[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, step)
        number, last = number >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


class Frontier:
    """The right edge of a growing tree: enough to append leaves and to know the root.

    `add`, when given, is told of every node of the levels 0, 8, 16, … in the order of their
    numbers: what the tiles hold.
    """

    def __init__(
        self,
        size: int = 0,
        hashes: Sequence[bytes] = (),
        add: Callable[[int, int, bytes], None] | None = None,
    ) -> None:
        nodes = nodes_of(0, size)
        if len(nodes) != len(hashes):
            raise ValueError(f"the edge of a tree of {size} leaves has {len(nodes)} nodes")
        self.size = size
        self._edge = list(hashes)
        self._add = add

    def append(self, leaves: Iterable[bytes]) -> None:
        """Puts leaf hashes behind the last one."""
        edge, add = self._edge, self._add
        for hash in leaves:
            number, level = self.size, 0
            if add is not None:
                add(0, number, hash)
            while number & 1:
                hash = node_hash(edge.pop(), hash)
                number, level = number >> 1, level + 1
                if add is not None and level % TILE_HEIGHT == 0:
                    add(level // TILE_HEIGHT, number, hash)
            edge.append(hash)
            self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return range_root(self._edge)
