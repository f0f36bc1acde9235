"""One shape for all that can be said about a resource: issues and their OperationOutcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    `code` is a code of the required value set IssueType (`structure`, `required`, `value` …),
    `path` the FHIRPath of the element (`Bundle.entry[2].resource.status`; "" = the whole),
    `text` an English sentence that says what is wrong and what was expected.
    """

    severity: Severity
    code: str
    path: str
    text: str


def error(code: str, path: str, text: str) -> Issue:
    """An issue of severity error."""
    return Issue("error", code, path, text)


def has_errors(issues: Iterable[Issue]) -> bool:
    """Whether any issue is an error or fatal."""
    return any(issue.severity in ("fatal", "error") for issue in issues)


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """An R4 OperationOutcome (R4 section 2.40) with `diagnostics` and, where known, `expression`.

    No issue at all yields the one informational issue that the cardinality 1..* asks for.
    """
    said = issues or (Issue("information", "informational", "", "No issues detected."),)
    return {"resourceType": "OperationOutcome", "issue": [_outcome_issue(each) for each in said]}


def _outcome_issue(issue: Issue) -> dict[str, Any]:
    out: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "diagnostics": issue.text,
    }
    if issue.path:
        out["expression"] = [issue.path]
    return out
