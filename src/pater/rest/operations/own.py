"""Those operations of the API itself that no standard defines: their definitions are ours."""

from __future__ import annotations

from collections.abc import Sequence

from pater.domain import Operation
from pater.records.gate import Gate
from pater.rest.operations import differing, expunging


def own(gate: Gate, base_url: str) -> Sequence[Operation]:
    """All of them, over one gate."""
    return (*expunging.operations(gate), *differing.operations(gate, base_url))
