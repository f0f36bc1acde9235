"""Searches that come again are parsed once; what they mean is never out of date."""

from __future__ import annotations

import pytest

from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.query import ReferenceTerm, SearchError
from pater.rest import asked
from pater.rest.asked import Asked

BASE = "http://here/fhir"


def test_the_same_parameters_are_the_same_search() -> None:
    known = Asked()
    one = known.of("Patient", [("name", "a")], BASE, NONE, lenient=False)
    assert known.of("Patient", [("name", "a")], BASE, NONE, lenient=False) is one
    for type_, value, lenient in (
        ("Practitioner", "a", False), ("Patient", "b", False), ("Patient", "a", True),
    ):  # fmt: skip
        other = known.of(type_, [("name", value)], BASE, NONE, lenient=lenient)
        assert other is not one
        assert other.type == type_


def test_other_search_parameters_mean_another_search() -> None:
    known = Asked()
    one = known.of("Patient", [("name", "a")], BASE, NONE, lenient=False)
    assert known.of("Patient", [("name", "a")], BASE, Custom(), lenient=False) is not one


def test_a_refused_search_is_refused_again_and_own_addresses_are_understood() -> None:
    known = Asked()
    for _ in range(2):
        with pytest.raises(SearchError):
            known.of("Patient", [("nothing", "a")], BASE, NONE, lenient=False)
        found = known.of("Observation", [("subject", f"{BASE}/Patient/1")], BASE, NONE,
                         lenient=False)  # fmt: skip
        assert ReferenceTerm(("Patient",), "1", None) in found.conditions[0].values


def test_only_so_many_and_only_short_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_MOST", 2)
    known = Asked()
    first = known.of("Patient", [("name", "a")], BASE, NONE, lenient=False)
    for name in "bc":
        known.of("Patient", [("name", name)], BASE, NONE, lenient=False)
    assert known.of("Patient", [("name", "a")], BASE, NONE, lenient=False) is not first
    long = [("name", "x" * 2000)]
    one = known.of("Patient", long, BASE, NONE, lenient=False)
    assert known.of("Patient", long, BASE, NONE, lenient=False) is not one
