"""The public R4 suite of FHIRPath: what the engine answers, and where it differs and why."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pater.fhir.definitions import RESOURCE_TYPES, constraints, type_kind
from pater.fhir.fhirpath import Environment, FhirPathError, compile_expression
from pater.fhir.fhirpath.conversion import shown
from pater.fhir.fhirpath.types import children
from tests.shared_data import shared

# expression → why its answer differs from the suite's.
DIFFERENT = {
    "Patient.children().skip(1)": "JSON gives the children an order; it is not refused",
    "@1973-12-25T00:00:00.000+10:00 + 0.1 's'": "N1 keeps the fraction of seconds",
    "-0.0034.highBoundary(1)": "minus applies to the result, as in the suite's -120 case",
    "Patient.name.as(HumanName).use": "R4's own rule dom-3 needs as() on several items",
}


@lru_cache(maxsize=1)
def _inputs() -> dict[str, dict[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(shared("fhirpath/inputs.tgz").read_bytes())) as archive:
        return {
            name: json.loads(archive.extractfile(name).read(), parse_float=Decimal)  # type: ignore[union-attr]
            for name in archive.getnames()
            if name.endswith(".json")
        }


def _agrees(case: dict[str, Any]) -> bool:
    name = (case["inputfile"] or "patient-example.xml").replace(".xml", ".json")
    resource = _inputs()[name]
    wanted = [each["value"] for each in case["outputs"] or []]
    environment = Environment(resource, clock=lambda: datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    try:
        compiled = compile_expression(case["expression"], resource["resourceType"])
        got = [shown(value) for _, value in compiled.typed(resource, environment)]
    except FhirPathError:
        return bool(case["invalid"])
    if case["predicate"] in (True, "true"):
        got = ["false" if got in ([], ["false"]) else "true"]
    if case["invalid"] and not wanted:
        return False
    return len(got) == len(wanted) and all(
        not want or want.removeprefix("@").removeprefix("T") == value
        for want, value in zip(wanted, got, strict=True)
    )


def test_the_public_suite_agrees_but_for_what_is_listed() -> None:
    cases = json.loads(shared("fhirpath/tests.json").read_text())
    wrong = {case["expression"] for case in cases if not _agrees(case)}
    assert wrong == set(DIFFERENT)
    assert len(cases) > 600 and len(wrong) / len(cases) < 0.02


def test_all_invariants_of_r4_compile_on_their_elements() -> None:
    types = (*RESOURCE_TYPES, "Resource", "DomainResource", "Element", "Extension", "Quantity")
    types += ("Attachment", "DataRequirement", "ElementDefinition", "Identifier", "Money", "Period")
    types += ("Range", "Ratio", "Reference", "SampledData", "Timing", "TriggerDefinition", "Coding")
    refused, count = set(), 0
    for name in types:
        for each in constraints(name):
            count += 1
            try:
                compile_expression(each.expression, _known(each.path))
            except FhirPathError:
                refused.add(each.key)
    # R4 publishes both with names that the elements they stand on do not have.
    assert refused == {"cid-0", "evv-1"}
    assert count > 200


def _known(path: str) -> str:
    """The path itself when it is a type or a backbone; a data type's rule starts anywhere."""
    return path if type_kind(path) is not None or children(path) else "Resource"
