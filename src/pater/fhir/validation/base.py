"""What every write has to hold to: the structure of base R4 and its invariants."""

from __future__ import annotations

from typing import Any

from pater.fhir import invariants
from pater.fhir.issues import Issue, has_errors
from pater.fhir.validation import validate_closely
from pater.fhir.validation.quick import is_right


def validate_base(resource: dict[str, Any], *, path: str | None = None) -> list[Issue]:
    """The issues of `validate`, and when there is no error those of the invariants of R4.

    Without what R4 only advises (dom-6). At most 200 issues of each. Never raises.
    """
    if is_right(resource):
        return []
    issues = validate_closely(resource, path=path)
    if has_errors(issues):
        return issues
    return issues + invariants.check(resource["resourceType"], resource, path=path, advice=False)


def broken_rules(resource: dict[str, Any]) -> list[Issue]:
    """The invariants that a resource breaks in which `validate` found no error, as above."""
    if is_right(resource):
        return []
    return invariants.check(resource["resourceType"], resource, advice=False)
