"""What was worked out of a value is given again for that value alone, and goes with it."""

from __future__ import annotations

import gc

from pater.fhir.search.query import SearchRequest
from pater.store.remembered import remembered


def test_each_object_and_each_argument_is_worked_out_once() -> None:
    calls: list[tuple[str, int]] = []

    @remembered
    def told(request: SearchRequest, number: int) -> str:
        calls.append((request.type, number))
        return f"{request.type} {number}"

    one, same = SearchRequest("Patient"), SearchRequest("Patient")
    assert [told(one, 1), told(one, 1), told(one, 2), told(same, 1)] == [
        "Patient 1", "Patient 1", "Patient 2", "Patient 1",
    ]  # fmt: skip
    assert calls == [("Patient", 1), ("Patient", 2), ("Patient", 1)]


def test_nothing_is_kept_of_what_is_gone_and_nothing_mistaken_for_it() -> None:
    @remembered
    def name(request: SearchRequest) -> str:
        return request.type

    for _ in range(200):  # objects that get the number of one before
        assert name(SearchRequest("Patient")) == "Patient"
        assert name(SearchRequest("Observation")) == "Observation"
    gc.collect()
    assert not next(
        cell.cell_contents for cell in name.__closure__ or () if type(cell.cell_contents) is dict
    )
