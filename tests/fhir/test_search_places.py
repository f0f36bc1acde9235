"""What is near: cells never leave out what the distance lets in, and stay few."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.search.index import index_values
from pater.fhir.search.places import cells_around, metres_between, position_cells, position_of
from pater.fhir.search.query import NearTerm, SearchError, matches, parse_search

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def location(latitude: float, longitude: float) -> dict[str, object]:
    return {
        "resourceType": "Location",
        "position": {"latitude": latitude, "longitude": longitude},
    }


@given(latitudes, longitudes, st.floats(0, 360), st.floats(0, 20_100_000), st.floats(0, 1))
def test_what_is_within_the_distance_stands_in_a_cell(
    latitude: float, longitude: float, bearing: float, metres: float, share: float
) -> None:
    # a point on the sphere in some direction, no farther than the distance
    angle, turn = metres * share / 6_371_008.8, radians(bearing)
    height = sin(radians(latitude)) * cos(angle) + cos(radians(latitude)) * sin(angle) * cos(turn)
    north = degrees(asin(max(-1.0, min(1.0, height))))
    east = longitude + degrees(
        atan2(
            sin(turn) * sin(angle) * cos(radians(latitude)),
            cos(angle) - sin(radians(latitude)) * height,
        )
    )
    east = (east + 180) % 360 - 180
    assert metres_between((latitude, longitude), (north, east)) <= metres * share + 1
    cells = cells_around(latitude, longitude, metres + 1)
    assert 1 <= len(cells) <= 48
    assert set(cells) & set(position_cells(location(north, east)))


@given(st.integers() | st.floats() | st.booleans() | st.text(max_size=3) | st.none())
def test_a_strange_position_is_none(value: object) -> None:
    made = {"resourceType": "Location", "position": {"latitude": value, "longitude": 0}}
    at = position_of(made)
    assert at is None or -90 <= at[0] <= 90
    index_values("Location", made)


@pytest.mark.parametrize(
    ("value", "metres"),
    [("50.1|14.4", 10_000), ("50.1|14.4|", 10_000), ("50.1|14.4||", 10_000),
     ("50.1|14.4|3", 3_000), ("50.1|14.4|3|", 3_000), ("-50.1|-14.4|250|m", 250),
     ("50|14|1|[mi_i]", 1609.344)],
)  # fmt: skip
def test_how_a_distance_is_written(value: str, metres: float) -> None:
    (condition,) = parse_search("Location", [("near", value)]).conditions
    (term,) = condition.values
    assert isinstance(term, NearTerm)
    assert term.metres == pytest.approx(metres)


@pytest.mark.parametrize(
    "value",
    ["", "50", "50|", "a|b", "91|0", "0|181", "50|14|x", "50|14|-1", "50|14|1|kg", "50|14|1|miles",
     "50|14|1|km|5", "50|14||kg|", "1e1|0", "NaN|0"],
)  # fmt: skip
def test_what_is_no_place_is_refused(value: str) -> None:
    with pytest.raises(SearchError):
        parse_search("Location", [("near", value)])


def test_the_distance_is_measured_on_the_globe() -> None:
    brno = location(49.1951, 16.6068)

    def near(value: str) -> bool:
        (condition,) = parse_search("Location", [("near", value)]).conditions
        return matches(condition, brno, index_values("Location", brno))

    prague = "50.0755|14.4378"  # 184 km away
    assert near(f"{prague}|186|km")
    assert not near(f"{prague}|183")
    assert near("0|0|1,49.2|16.6|1|km")
    east, west = location(0, 179.99), (0.0, -179.99)
    assert metres_between((0, 179.99), west) < 3_000
    assert set(cells_around(0, -179.99, 3_000)) & set(position_cells(east))
