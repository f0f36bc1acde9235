"""What is a warning while test data are taken in, and an error otherwise.

The published European examples use a few codes of FHIR R5 in R4 documents. They are reported with
their place in either case and stored as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pater.fhir.issues import Issue

# By resource type and element: codes that R5 has in the value set and R4 has not.
_R5_CODES: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("Encounter", "status"): frozenset({"completed", "discharged", "discontinued", "on-hold"}),
}
_PLACE: Final = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\.([A-Za-z]+)")


def lenient(issues: Iterable[Issue], bundle: Mapping[str, Any]) -> list[Issue]:
    """The issues of a document with errors about known R5 codes turned into warnings."""
    return [_relaxed(issue, bundle) for issue in issues]


def _relaxed(issue: Issue, bundle: Mapping[str, Any]) -> Issue:
    place = _PLACE.fullmatch(issue.path)
    if issue.code != "code-invalid" or place is None:
        return issue
    resource = bundle["entry"][int(place[1])]["resource"]
    codes = _R5_CODES.get((str(resource.get("resourceType")), place[2]), frozenset())
    if resource.get(place[2]) not in codes:
        return issue
    return replace(issue, severity="warning", text=f"a code of FHIR R5. {issue.text}")
