"""From the parameters of a request to a SearchRequest; nothing is guessed, nothing ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, cast

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.fhirpath.types import children
from pater.fhir.issues import Issue
from pater.fhir.search.conditions import ConditionReader, RefusalError
from pater.fhir.search.parameters import indexed_parameters
from pater.fhir.search.request import (
    Condition,
    Include,
    SearchError,
    SearchRequest,
    Sort,
)
from pater.fhir.search.terms import BadValueError

CURSOR = "_cursor"
"""The parameter that carries the opaque place of a next page."""
_MAX_CONDITIONS = 60
_MAX_INCLUDES = 30
_DROPPED = frozenset(("_format", "_pretty"))
_ONCE = frozenset(("_sort", "_count", "_total", "_summary", "_elements", CURSOR))
_INCLUDES = frozenset(("_include", "_include:iterate", "_revinclude", "_revinclude:iterate"))
_SUMMARIES = ("true", "text", "data", "count", "false")
_TOTALS = ("none", "estimate", "accurate")
_COUNT = re.compile(r"[0-9]{1,9}\Z")


def parse_search(
    type: str, params: Sequence[tuple[str, str]], *, base_url: str = ""
) -> SearchRequest:
    """Read the (decoded) parameters of a search of one resource type.

    `base_url` is this server's own address: references written with it mean resources here.
    Raises SearchError with one issue for each parameter that is unknown, not supported or has a
    value that cannot be read (FHIR R4 search, "Handling Errors": never ignored).
    """
    if type not in TYPE_NUMBER:
        raise SearchError([Issue("error", "not-supported", "", "R4 has no such resource type.")])
    reader = _Reader(type, base_url.rstrip("/"))
    issues: list[Issue] = []
    for name, value in params:
        try:
            reader.read(name, value)
        except (RefusalError, BadValueError) as problem:
            code = problem.code if isinstance(problem, RefusalError) else "value"
            issues.append(Issue("error", code, "", f"Parameter {_shown(name)}: {problem}."))
    if issues:
        raise SearchError(issues)
    return reader.request()


def _shown(name: str) -> str:
    """A parameter's name for a message: only its harmless characters, cut."""
    return re.sub(r"[^A-Za-z0-9_:.\-]", "?", name[:80]) or "(empty)"


class _Reader:
    """Collects what the parameters of one request say."""

    def __init__(self, type_name: str, base_url: str) -> None:
        self._type = type_name
        self._reader = ConditionReader(base_url)
        self._conditions: list[Condition] = []
        self._includes: list[Include] = []
        self._seen: set[str] = set()
        self._said: dict[str, Any] = {}

    def request(self) -> SearchRequest:
        return SearchRequest(
            self._type,
            conditions=tuple(self._conditions),
            includes=tuple(dict.fromkeys(self._includes)),
            **self._said,
        )

    def read(self, name: str, value: str) -> None:
        if name in _DROPPED:
            return
        if not value:
            raise RefusalError("a value is missing", "value")
        if name in _ONCE:
            if name in self._seen:
                raise RefusalError("given more than once")
            self._seen.add(name)
            self._result(name, value)
        elif name in _INCLUDES:
            if len(self._includes) >= _MAX_INCLUDES:
                raise RefusalError(f"more than {_MAX_INCLUDES} inclusions", "too-costly")
            self._includes.append(_include(self._type, name, value))
        else:
            if len(self._conditions) >= _MAX_CONDITIONS:
                raise RefusalError(f"more than {_MAX_CONDITIONS} conditions", "too-costly")
            self._conditions.append(self._reader.read(self._type, name, value))

    def _result(self, name: str, value: str) -> None:
        if name == "_sort":
            self._said["sort"] = tuple(_sort(self._type, key) for key in value.split(","))
        elif name == "_count":
            if not _COUNT.match(value):
                raise RefusalError("expected a whole number from 0 up", "value")
            self._said["count"] = int(value)
        elif name == "_total":
            self._said["total"] = cast(
                Literal["none", "estimate", "accurate"], _one_of(value, _TOTALS)
            )
        elif name == "_summary":
            self._said["summary"] = _one_of(value, _SUMMARIES)
        elif name == "_elements":
            self._said["elements"] = _elements(self._type, value)
        else:
            self._said["cursor"] = value


def _one_of(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise RefusalError(f"expected one of {', '.join(known)}", "value")
    return value


def _elements(type_name: str, value: str) -> tuple[str, ...]:
    known = children(type_name)
    names = []
    for each in value.split(","):
        name = each.strip().removeprefix(f"{type_name}.")
        if name not in known:
            raise RefusalError(f"{type_name} has no such element", "value")
        names.append(name)
    return tuple(dict.fromkeys(names))


def _sort(type_name: str, key: str) -> Sort:
    code, descending = key.removeprefix("-"), key.startswith("-")
    if code not in ("_id", "_lastUpdated") and code not in indexed_parameters(type_name):
        raise RefusalError("expected search parameters to sort by, '-' to turn one", "value")
    return Sort(code, descending)


def _include(type_name: str, name: str, value: str) -> Include:
    reverse, iterate = name.startswith("_rev"), name.endswith(":iterate")
    parts = value.split(":")
    if not reverse and parts == ["*"]:
        parts = [type_name, "*"]
    if len(parts) not in (2, 3):
        raise RefusalError("expected Type:parameter or Type:parameter:Target", "value")
    source, code = parts[:2]
    target = parts[2] if len(parts) == 3 else None
    if source not in TYPE_NUMBER or (target is not None and target not in TYPE_NUMBER):
        raise RefusalError("R4 has no such resource type", "value")
    if not reverse and not iterate and source != type_name:
        raise RefusalError(f"only {type_name} is found here; use _include:iterate", "value")
    if code == "*" and not reverse:
        return Include(source, "*", target, reverse, iterate)
    parameter = indexed_parameters(source).get(code)
    if parameter is None or parameter.definition.type != "reference":
        raise RefusalError(f"{source} has no such reference parameter", "value")
    wanted = type_name if reverse and not iterate else target
    if wanted is not None and wanted not in parameter.targets:
        raise RefusalError(f"{source}:{code} does not refer to {wanted}", "value")
    if reverse and target is not None and target not in parameter.targets:
        raise RefusalError(f"{source}:{code} does not refer to {target}", "value")
    return Include(source, code, target, reverse, iterate)
