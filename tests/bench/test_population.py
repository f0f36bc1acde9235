"""The made-up population of the bulk measurements: always the same, and good FHIR."""

from __future__ import annotations

import json

from bench.population import PER_PATIENT, population

from pater.fhir.issues import has_errors
from pater.fhir.validation.base import validate_base


def test_it_is_the_same_every_time_and_continues() -> None:
    whole = list(population(3 * PER_PATIENT))
    assert whole == list(population(3 * PER_PATIENT))
    assert whole[PER_PATIENT:] == list(population(2 * PER_PATIENT, first=1))
    keys = [(r["resourceType"], r["id"]) for r in map(json.loads, whole)]
    assert len(set(keys)) == 3 * PER_PATIENT
    assert [k for k in keys if k[0] == "Patient"] == [("Patient", f"bp-{n}") for n in range(3)]


def test_it_is_good_fhir() -> None:
    for line in population(2 * PER_PATIENT):
        assert not has_errors(validate_base(json.loads(line)))
