"""The transparency log: every entry of the journal is a leaf of a Merkle tree with signed heads.

`entries` makes leaves of rows, `tiles` keeps the tree, `heads` signs it, `appending` moves both on
behind the journal, `proving` answers for one entry, `verifying` finds what was tampered with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
