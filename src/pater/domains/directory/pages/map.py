"""A map as SVG, drawn here: the outline of the country, larger towns, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Final

from pater.domains.directory.towns import OUTLINE, TOWNS

WIDTH: Final = 720
_WEST, _EAST, _SOUTH, _NORTH = 12.0, 18.95, 48.45, 51.15
_SCALE: Final = WIDTH / ((_EAST - _WEST) * cos(radians(49.8)))
HEIGHT: Final = round((_NORTH - _SOUTH) * _SCALE)
_NAMED: Final = 90  # thousands of people


@dataclass(frozen=True, slots=True)
class Dot:
    """Something on the map, with its words."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Map:
    """What a template draws."""

    width: int
    height: int
    outline: str
    towns: tuple[Dot, ...]
    dots: tuple[Dot, ...]


def drawn(found: Sequence[tuple[float, float, str]]) -> Map:
    """The map with places (latitude, longitude, words); what lies outside is left out."""
    border = " ".join(f"{x:.0f},{y:.0f}" for x, y in (_point(*each) for each in OUTLINE))
    towns = tuple(Dot(*_point(lat, lon), name) for name, lat, lon, size in TOWNS if size >= _NAMED)
    dots = tuple(
        Dot(*_point(lat, lon), text)
        for lat, lon, text in found
        if _SOUTH <= lat <= _NORTH and _WEST <= lon <= _EAST
    )
    return Map(WIDTH, HEIGHT, border, towns, dots)


def _point(lat: float, lon: float) -> tuple[float, float]:
    x = (lon - _WEST) * cos(radians(49.8)) * _SCALE
    return round(x, 1), round((_NORTH - lat) * _SCALE, 1)
