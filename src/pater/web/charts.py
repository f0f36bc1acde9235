"""Charts drawn on the server: from numbers to the places of bars in an SVG picture.

Pure geometry; the macro `chart_bars` draws it and puts the data table beside it. Widths are in
per cent and heights in pixels, so that text keeps its size on every screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROW = 48


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it says, where its row begins (pixels) and how wide it is (per cent)."""

    label: str
    value: float
    y: int
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A horizontal bar chart: its height in pixels and its bars from the top."""

    height: int
    bars: tuple[Bar, ...]


def bars(series: Sequence[tuple[str, float]]) -> Bars:
    """Lays out (label, value) pairs as bars from zero; the greatest is 100 % wide."""
    top = max((value for _, value in series), default=0.0)
    return Bars(
        len(series) * ROW,
        tuple(
            Bar(label, value, index * ROW, round(max(value, 0.0) / top * 100, 2) if top > 0 else 0)
            for index, (label, value) in enumerate(series)
        ),
    )
