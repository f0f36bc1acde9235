"""The tree against the definition in RFC 9162, written down slowly."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from pater.trust.merkle import (
    EMPTY,
    Frontier,
    Range,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_in,
    nodes_of,
    range_root,
    tile_of,
    verify_consistency,
    verify_inclusion,
)


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(entries: Sequence[bytes]) -> bytes:
    """2.1.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: Sequence[bytes], whole: bool) -> list[bytes]:
    """2.1.4.1."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


ENTRIES = [f"entry {n}".encode() for n in range(700)]


class Tiles:
    """What a log keeps, in memory; counts the tiles that were read."""

    def __init__(self, size: int) -> None:
        self.kept: dict[tuple[int, int], list[bytes]] = {}
        self.read: set[tuple[int, int]] = set()
        self.tree = Frontier(add=self.add)
        self.tree.append(map(leaf_hash, ENTRIES[:size]))

    def add(self, level: int, number: int, hash: bytes) -> None:
        tile = self.kept.setdefault((level, number >> 8), [])
        assert len(tile) == number % 256
        tile.append(hash)

    def root(self, leaves: Range) -> bytes:
        nodes = nodes_of(*leaves)
        self.read |= {tile_of(node) for node in nodes}
        return range_root([node_in(self.kept[tile_of(node)], node) for node in nodes])


sizes = st.integers(1, len(ENTRIES))


@given(sizes)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    tiles = Tiles(size)
    assert tiles.tree.root() == mth(ENTRIES[:size]) == tiles.root((0, size))


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert Frontier().root() == EMPTY == mth([])


@given(sizes, st.data())
def test_inclusion_is_proved_and_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tiles = Tiles(size)
    proof = [tiles.root(leaves) for leaves in inclusion_ranges(index, size)]
    assert proof == path(index, ENTRIES[:size])
    assert len(tiles.read) <= 6
    root, leaf = tiles.tree.root(), leaf_hash(ENTRIES[index])
    assert verify_inclusion(leaf, index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, proof, root)
    assert not verify_inclusion(leaf, index, size, proof, leaf_hash(b"another"))
    assert not verify_inclusion(leaf, index, size, [*proof, root], root)
    assert not verify_inclusion(leaf, size, size, proof, root)
    if proof:
        assert not verify_inclusion(leaf, index, size, proof[:-1], root)
    other = data.draw(st.integers(-1, size).filter(lambda n: n != index))
    assert not verify_inclusion(leaf, other, size, proof, root)


@given(sizes, st.data())
def test_a_tree_is_proved_to_be_the_beginning_of_another(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size))
    tiles = Tiles(size)
    proof = [tiles.root(leaves) for leaves in consistency_ranges(first, size)]
    assert proof == subproof(first, ENTRIES[:size], True)
    assert len(tiles.read) <= 6
    old, new = mth(ENTRIES[:first]), mth(ENTRIES[:size])
    assert verify_consistency(first, size, old, new, proof)
    assert verify_consistency(0, size, EMPTY, new, [])
    wrong = leaf_hash(b"another")
    assert not verify_consistency(first, size, wrong, new, proof)
    assert not verify_consistency(first, size, old, wrong, proof)
    assert not verify_consistency(first, size, old, new, [*proof, wrong])
    if first < size:
        assert not verify_consistency(first, size, old, new, proof[:-1])
        assert not verify_consistency(size, first, new, old, proof)


@given(st.integers(0, 600), st.integers(0, 100))
def test_a_tree_goes_on_from_its_edge(size: int, more: int) -> None:
    before = Tiles(size)
    edge = [node_in(before.kept[tile_of(node)], node) for node in nodes_of(0, size)]
    tree = Frontier(size, edge)
    tree.append(map(leaf_hash, ENTRIES[size : size + more]))
    assert tree.root() == mth(ENTRIES[: size + more])
    assert tree.size == size + more
