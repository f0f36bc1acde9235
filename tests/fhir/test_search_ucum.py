"""UCUM: what is a unit, and amounts in different units that are the same amount."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir import ucum


@pytest.mark.parametrize(
    ("value", "code", "wanted", "result"),
    [
        ("5.4", "mmol/L", "umol/L", "5400"),
        ("120", "mm[Hg]", "kPa", "15.99864"),
        ("98.6", "[degF]", "Cel", "37"),
        ("37", "Cel", "K", "310.15"),
        ("1", "[lb_av]", "g", "453.59237"),
        ("6", "[ft_i]", "cm", "182.88"),
        ("1", "d", "h", "24"),
        ("1", "kat", "umol/s", "1000000"),
        ("60", "/min", "Hz", "1"),
        ("4.5", "10*12/L", "10*6/uL", "4.5"),
        ("90", "mL/min/{1.73_m2}", "L/h", "5.4"),
        ("7.2", "g/dL", "g/L", "72"),
        ("1", "m[iU]/L", "u[IU]/mL", "1"),
        ("50", "%", "1", "0.5"),
        ("2", "ng/(24.h)", "pg/h", "83.33333333333333333333333333"),
        ("1", "kg.m/s2", "N", "1"),
        ("1", "g/m.s", "g.s/m", "1"),  # from left to right
    ],
)
def test_conversion(value: str, code: str, wanted: str, result: str) -> None:
    found = ucum.converted(Decimal(value), code, wanted)
    assert found is not None
    assert float(found) == float(Fraction(result))


def test_what_measures_different_things_is_not_converted() -> None:
    assert ucum.converted(1, "g", "m") is None
    assert ucum.converted(1, "[iU]", "[arb'U]") is None
    assert ucum.converted(1, "[pH]", "1") is None


@pytest.mark.parametrize(
    "code",
    ["mmol/L", "/min", "10*3/uL", "10^3", "m[H2O]", "mm[Hg]", "{score}", "%{saturation}", "kg/m2",
     "mosm/kg", "meq/L", "umol/(24.h)", "dB[SPL]", "1", "100", "m+2", "g/(8.h){shift}", "[ppm]",
     "KiBy", "''", "[in_i'Hg]", "mol/kg/s", "L/min/m2", "cm[H2O].s/L", "[CFU]/mL", "a", "mo"],
)  # fmt: skip
def test_codes(code: str) -> None:
    assert ucum.is_valid(code)


@pytest.mark.parametrize(
    "code",
    ["", "mEq", "foo", "µmol", "kg m", "m//s", "m2.", "K/", "m{", "m}", "(m", "m)", "k", "da",
     "{a b}", "m0", "kmin", "2.", "[in_i", "mmHg", "°C", "x" * 300, "m99", "0", "hours", "M[degF]"],
)  # fmt: skip
def test_what_is_no_code(code: str) -> None:
    assert not ucum.is_valid(code)
    with pytest.raises(ucum.UcumError):
        ucum.unit(code)


@given(st.text(alphabet="mgsLlk/.*10^-+()[]{}iU%'2 ", max_size=25) | st.text(max_size=20))
def test_no_text_breaks_the_reader(code: str) -> None:
    if ucum.is_valid(code):
        assert ucum.converted(3, code, code) == 3
        dimension = ucum.unit(code).dimension
        assert ucum.unit(dimension).powers == ucum.unit(code).powers


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=6),
    st.sampled_from([("mmol/L", "umol/L", 1000), ("kg", "mg", 10**6), ("h", "min", 60)]),
)
def test_equal_amounts_are_equal_numbers(value: Decimal, units: tuple[str, str, int]) -> None:
    large, small, times = units
    first, second = ucum.scale(large), ucum.scale(small)
    assert first is not None
    assert second is not None
    assert first.base_number(value) == second.base_number(value * times)
    assert first.base_number(float(value)) == float(
        Fraction(repr(float(value))) * first.unit.factor
    )
