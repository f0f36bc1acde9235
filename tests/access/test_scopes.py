"""SMART scopes are read strictly: nothing is widened by guessing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.scopes import LETTERS, Scope, ScopeError, allows, covers, parse_scope


def test_scopes_of_both_releases() -> None:
    assert parse_scope("system/*.rs") == Scope("system", "*", "rs")
    assert parse_scope("patient/Observation.read") == Scope("patient", "Observation", "rs")
    assert parse_scope("user/Patient.write").letters == "cud"
    assert parse_scope("user/Patient.*").letters == "cruds"


@pytest.mark.parametrize(
    "text",
    ["", "openid", "system/*", "system/*.", "system/*.sr", "system/*.rr", "System/*.r",
     "system/observation.r", "system/Observation.rs?category=lab", "system/*.r ", "system/*.x",
     "system/Pa tient.r", "launch/Patient.r", "system/*.r\n", "system/*.readx"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)


@given(st.text(max_size=40))
def test_any_text_is_a_scope_or_an_error(text: str) -> None:
    try:
        assert set(parse_scope(text).letters) <= set(LETTERS)
    except ScopeError:
        assert not allows([text], "system", "Patient", LETTERS)


def test_registered_scopes_add_up_but_never_stretch() -> None:
    held = ("system/*.rs", "system/Bundle.c")
    assert covers(held, "system/Bundle.crs")
    assert covers(held, "system/Observation.s")
    assert not covers(held, "system/Observation.c")
    assert not covers(held, "system/*.crs")
    assert not covers(("system/Bundle.rs",), "system/*.rs")
    assert not covers(held, "user/*.r")
