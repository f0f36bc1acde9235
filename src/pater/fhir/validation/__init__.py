"""Whether a resource is good base FHIR R4, and if not, everything that is wrong and where.

Checked: names, JSON types, lexical forms, cardinalities, choices, empty values, `_primitive`
siblings, contained resources, required code lists, references, narratives; Bundle entries and
Parameters too. Not checked: FHIRPath invariants and profiles.
"""

from __future__ import annotations

from typing import Any

from pater.fhir.issues import Issue
from pater.fhir.validation.compile import any_resource
from pater.fhir.validation.quick import is_right
from pater.fhir.validation.types import LIMIT


def validate(resource: dict[str, Any], *, path: str | None = None) -> list[Issue]:
    """All issues of a resource, in no promised order; none when it is right.

    `path` stands before every issue's path (default: the resource's type). At most 200 issues;
    a last one of severity information says when there were more. Never raises.
    """
    return [] if is_right(resource, rules=False) else validate_closely(resource, path=path)


def validate_closely(resource: dict[str, Any], *, path: str | None = None) -> list[Issue]:
    """As `validate`, for a resource that was not seen to be right."""
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    start = path if path is not None else name if isinstance(name, str) and name.isalpha() else ""
    try:
        found = any_resource(resource)
    except RecursionError:
        return [Issue("fatal", "too-costly", start, "The resource is nested too deep.")]
    if not found:
        return []
    issues = [
        Issue(each.severity, each.code, (start + each.path).removeprefix("."), each.text)
        for each in found[:LIMIT]
    ]
    if len(found) > LIMIT:
        text = f"There are more than {LIMIT} issues; the rest is not listed."
        issues.append(Issue("information", "incomplete", start, text))
    return issues
