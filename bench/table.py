"""Numbers for people: percentiles, and tables of plain text that are valid Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[int], share: float) -> float:
    """The nearest-rank percentile of ordered nanoseconds, in milliseconds; 0 of nothing."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * share // 100))
    return ordered[int(rank) - 1] / 1e6


def number(value: float | int | str | None) -> str:
    """Three significant digits, thousands as they are, nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percent(share: float | None) -> str:
    """A share in percent: whole from ten on, else with a digit."""
    if share is None:
        return "–"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def render(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(aligned)} |"

    return "\n".join([line(lines[0]), line(rule), *map(line, lines[1:])])
