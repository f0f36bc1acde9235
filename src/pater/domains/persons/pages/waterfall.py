"""How a comparison came to its weight, drawn as steps: from parts to places in a picture. Pure.

Widths are in per cent and heights in pixels, as of `pater.web.charts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ROW: Final = 52


@dataclass(frozen=True, slots=True)
class Step:
    """One part: what it adds to the weight (bits), and where its bar stands."""

    attribute: str
    level: str
    weight: float
    y: int
    left: float
    width: float

    @property
    def kind(self) -> str:
        """`for`, `against` or `start`, as the picture colours it."""
        if self.attribute == "prior":
            return "start"
        return "for" if self.weight >= 0 else "against"


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The steps from the top, the sum at the end, and where the two thresholds stand."""

    height: int
    steps: tuple[Step, ...]
    total: float
    total_y: int
    total_at: float
    possible_at: float
    automatic_at: float


def waterfall(
    parts: Sequence[tuple[str, str, float]], possible: float, automatic: float
) -> Waterfall:
    """Lays out parts (attribute, level, weight) one after the other; thresholds in bits."""
    reached, ends = 0.0, [0.0]
    for _, _, weight in parts:
        reached += weight
        ends.append(reached)
    low, high = min(*ends, possible, automatic), max(*ends, possible, automatic)
    span = (high - low) or 1.0

    def place(bits: float) -> float:
        return round((bits - low) / span * 100, 2)

    steps = []
    for index, (attribute, level, weight) in enumerate(parts):
        left = place(min(ends[index], ends[index + 1]))
        width = max(round(abs(weight) / span * 100, 2), 0.4)
        steps.append(Step(attribute, level, weight, index * ROW, min(left, 99.6), width))
    return Waterfall(
        (len(parts) + 1) * ROW,
        tuple(steps),
        reached,
        len(parts) * ROW,
        place(reached),
        place(possible),
        place(automatic),
    )


def bands(possible: float, automatic: float) -> tuple[tuple[str, float], ...]:
    """How alike two are, in four steps by the thresholds: each with the weight it begins at."""
    return (
        ("against", float("-inf")),
        ("weak", possible),
        ("strong", (possible + automatic) / 2),
        ("certain", automatic),
    )
