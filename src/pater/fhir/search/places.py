"""Places on the globe: the cells that a Location stands in, and what is near a point.

A position is indexed by the cells of a few grids of latitude and longitude, coarse to fine. A
search asks for the cells that its circle touches, in the finest grid where these are few; the true
distance is then measured on each hit.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import asin, cos, degrees, floor, isfinite, radians, sin, sqrt
from typing import Any, Final

NEAR: Final = "near"
"""The special parameter of Location (R4 8.7.5)."""
DEFAULT_METRES: Final = 10_000.0
"""What is near when no distance is given."""
_EARTH: Final = 6_371_008.8  # the mean radius, in metres
_GRIDS: Final = (0.02, 0.1, 0.5, 2.5, 10.0, 45.0)  # degrees
_MOST_CELLS: Final = 48
# A hair more than the circle, so that no rounding of degrees leaves out what lies on its edge.
_MARGIN: Final = 1.000_001


def position_cells(resource: dict[str, Any]) -> list[str]:
    """The cells of a Location's position, one of each grid; none without a position."""
    at = position_of(resource)
    return [] if at is None else [_cell(grid, *at) for grid in range(len(_GRIDS))]


def position_of(resource: dict[str, Any]) -> tuple[float, float] | None:
    """Latitude and longitude (WGS84, degrees) of a Location; None when it has none."""
    position = resource.get("position")
    if not isinstance(position, dict):
        return None
    latitude, longitude = (_degrees(position.get(name)) for name in ("latitude", "longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return latitude, longitude


def _degrees(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _row(grid: int, latitude: float) -> int:
    return floor((latitude + 90) / _GRIDS[grid])


def _column(grid: int, longitude: float) -> int:
    around = round(360 / _GRIDS[grid])
    return floor((longitude + 180) / _GRIDS[grid]) % around


def _cell(grid: int, latitude: float, longitude: float) -> str:
    return f"{grid}/{_row(grid, latitude)}/{_column(grid, longitude)}"


def cells_around(latitude: float, longitude: float, metres: float) -> list[str]:
    """The cells, all of one grid, that hold everything within a distance of a point."""
    half = degrees(metres * _MARGIN / _EARTH)
    south, north = latitude - half, latitude + half
    wide = 180.0
    if south > -90 and north < 90:
        # the meridians that touch the circle, not those at its own latitude: it bulges polewards
        ratio = sin(radians(half)) / cos(radians(latitude))
        wide = degrees(asin(ratio)) * _MARGIN if ratio < 1 else 180.0
    found: list[str] = []
    for grid in range(len(_GRIDS)):
        rows = range(_row(grid, max(south, -90.0)), _row(grid, min(north, 90.0)) + 1)
        columns = list(_columns(grid, longitude, wide))
        if len(rows) * len(columns) <= _MOST_CELLS or grid == len(_GRIDS) - 1:
            found = [f"{grid}/{row}/{column}" for row in rows for column in columns]
            break
    return found


def _columns(grid: int, longitude: float, wide: float) -> Iterator[int]:
    around = round(360 / _GRIDS[grid])
    first = floor((longitude - wide + 180) / _GRIDS[grid])
    last = floor((longitude + wide + 180) / _GRIDS[grid])
    if last - first >= around - 1:
        yield from range(around)
        return
    for column in range(first, last + 1):
        yield column % around


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The length of the great circle between two points (haversine, on a sphere)."""
    (lat1, lon1), (lat2, lon2) = ((radians(a), radians(b)) for a, b in (one, other))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH * asin(min(1.0, sqrt(half)))
