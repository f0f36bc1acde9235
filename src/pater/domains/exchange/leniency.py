"""What is a warning while test data are taken in, and an error otherwise.

The published European examples use a few codes of FHIR R5 in R4 documents, and leave elements
with nothing in them. Both are reported with their place in either case and stored as they came.
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
    """The issues of a document with errors about known R5 codes and about elements that hold
    nothing turned into warnings."""
    return [_relaxed(issue, bundle) for issue in issues]


def as_warnings(issues: Iterable[Issue]) -> list[Issue]:
    """The issues with every error turned into a warning: the published examples do not all
    conform to the profiles they declare."""
    return [
        replace(each, severity="warning") if each.severity in ("error", "fatal") else each
        for each in issues
    ]


def _relaxed(issue: Issue, bundle: Mapping[str, Any]) -> Issue:
    if issue.code == "invariant" and issue.text.startswith("ele-1:"):
        return replace(issue, severity="warning")
    place = _PLACE.fullmatch(issue.path)
    if issue.code != "code-invalid" or place is None:
        return issue
    resource = bundle["entry"][int(place[1])]["resource"]
    codes = _R5_CODES.get((str(resource.get("resourceType")), place[2]), frozenset())
    if resource.get(place[2]) not in codes:
        return issue
    return replace(issue, severity="warning", text=f"a code of FHIR R5. {issue.text}")
