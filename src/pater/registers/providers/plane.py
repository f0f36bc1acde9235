"""Places on a plane in which an index finds the nearest, and the true distance between two.

The plane is degrees of latitude, and degrees of longitude shortened as at 49.8° north: right in the
middle of Czechia, and less than three per cent wrong at its edges. Distances that leave here are
true ones.
"""

from __future__ import annotations

from math import asin, cos, pi, radians, sin, sqrt
from typing import Final

_MIDDLE: Final = cos(radians(49.8))
_EARTH: Final = 6_371_008.8  # the mean radius, in metres
_MARGIN: Final = 1.01  # for the roundness of the earth
DEGREE: Final = _EARTH * pi / 180
"""Metres of a degree of latitude."""


def flat(latitude: float, longitude: float) -> tuple[float, float]:
    """A place (WGS84, degrees) on the plane: (x, y)."""
    return longitude * _MIDDLE, latitude


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two places (latitude, longitude) on a sphere."""
    first, second = radians(a[0]), radians(b[0])
    north, east = sin((second - first) / 2), sin(radians(b[1] - a[1]) / 2)
    return 2 * _EARTH * asin(min(1.0, sqrt(north * north + cos(first) * cos(second) * east * east)))


def skew(latitude: float, reach: float) -> float:
    """How many times farther than true the plane may show what is within `reach` metres; >= 1.

    Around a latitude; up to a thousand kilometres, and not across the 180th meridian.
    """
    edge = min(89.0, abs(latitude) + reach / DEGREE)
    return max(1.0, _MIDDLE / cos(radians(edge))) * _MARGIN
