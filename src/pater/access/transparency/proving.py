"""Proofs for one entry and between two heads: what somebody needs who trusts only the key."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pater.access.transparency.entries import Entry, entry_at
from pater.access.transparency.heads import Head, HeadError, SignedHead, head_of_size, last_head
from pater.access.transparency.tiles import TilesError, find_leaf, roots
from pater.store.database import Database
from pater.trust.log_keys import LogKey, public_keys
from pater.trust.merkle import (
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    verify_inclusion,
)


class NotThereError(Exception):
    """What is to be proved is not there (yet); the text says so."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is a leaf of the tree of a head; `verified` says whether it really proves it.

    `line` are the canonical bytes of the entry as it is in the journal now.
    """

    line: bytes
    index: int
    path: list[bytes]
    signed: SignedHead
    head: Head
    verified: bool

    def as_json(self) -> dict[str, Any]:
        """As it is handed out: the leaf's hash is SHA-256 of a zero byte and `entry`."""
        return {
            "entry": self.line.decode(),
            "leaf": self.index,
            "size": self.head.size,
            "path": [base64.b64encode(hash).decode() for hash in self.path],
            "head": self.signed.as_json(),
        }


async def prove(
    db: Database,
    key: LogKey,
    at: datetime,
    seq: int,
    size: int | None = None,
    *,
    entry: Entry | None = None,
) -> Proof:
    """The proof for the entry at this place, by the newest head or that of a size.

    `entry` is what stands there when it is not in the journal any more. Raises NotThereError. The
    caller has to have been allowed to read the entry.
    """
    entry = entry or await entry_at(db, at, seq)
    signed = await (last_head(db) if size is None else head_of_size(db, size))
    if signed is None:
        raise NotThereError("there is no head of that size" if size is not None else "no head yet")
    found = await find_leaf(db, seq)
    if entry is None or found is None:
        raise NotThereError("the entry is not in the log yet: that takes a minute or two")
    index, salt = found
    line = entry.line(salt)
    try:
        head = signed.verified(public_keys(key.jwks()))
        if index >= head.size:
            raise NotThereError("the entry is not among the leaves of that head")
        path = await roots(db, inclusion_ranges(index, head.size))
        good = verify_inclusion(leaf_hash(line), index, head.size, path, head.root)
    except (HeadError, TilesError):
        head, path, good = signed.head(), [], False
    return Proof(line, index, path, signed, head, good)


async def consistency(db: Database, first: int, second: int) -> list[bytes]:
    """The proof that the tree of `first` leaves is the beginning of that of `second`.

    Raises NotThereError.
    """
    last = await last_head(db)
    if last is None or not 0 < first <= second <= last.head().size:
        raise NotThereError("the log has no trees of these sizes")
    return await roots(db, consistency_ranges(first, second))
