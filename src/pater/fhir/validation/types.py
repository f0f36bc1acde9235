"""What the parts of the validator hand to each other: findings with a path relative to themselves.

A check takes a JSON value and returns None when it is right, so that a right resource costs no
list and no path; each level puts its own name before the paths of the findings from below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pater.fhir.issues import Severity

LIMIT = 200
"""Findings kept of one resource; more help nobody."""


class Finding(NamedTuple):
    """One fault: `path` relative to the checked value ("" or `.name[0].family`)."""

    path: str
    code: str
    text: str
    severity: Severity = "error"


Findings = list[Finding] | None
Check = Callable[[Any], Findings]

NULL = Finding("", "structure", "null is not allowed here; leave the element out instead.")


def fault(code: str, text: str) -> list[Finding]:
    """One error at the checked value itself."""
    return [Finding("", code, text)]


def under(prefix: str, findings: list[Finding]) -> list[Finding]:
    """The findings seen from one level higher."""
    return [each._replace(path=prefix + each.path) for each in findings]


def json_type(value: object) -> str:
    """The name of a value's JSON type, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return "a number"


def name_path(name: object) -> str:
    """`.name` when it can stand in a path, else "" (a strange key is told in the text instead)."""
    text = name if isinstance(name, str) else ""
    return f".{text}" if text.isascii() and text.isidentifier() and len(text) <= 64 else ""
