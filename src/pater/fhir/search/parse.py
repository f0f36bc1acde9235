"""From the parameters of a request to a SearchRequest; nothing is guessed, nothing ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, cast

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.fhirpath.types import children
from pater.fhir.issues import Issue
from pater.fhir.search.conditions import ConditionReader, RefusalError, functional_list
from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.filters import parse_filter
from pater.fhir.search.parameters import Indexed, indexed_parameters
from pater.fhir.search.places import NEAR
from pater.fhir.search.request import (
    And,
    Condition,
    Include,
    Node,
    SearchError,
    SearchRequest,
    Sort,
)
from pater.fhir.search.terms import BadValueError

CURSOR = "_cursor"
"""The parameter that carries the opaque place of a next page."""
_MAX_CONDITIONS = 60
_MAX_INCLUDES = 30
_MAX_SORT = 20
_DROPPED = frozenset(("_format", "_pretty"))
_ONCE = frozenset(
    ("_sort", "_count", "_total", "_summary", "_elements", "_contained", "_containedType", CURSOR)
)
_INCLUDES = frozenset(("_include", "_include:iterate", "_revinclude", "_revinclude:iterate"))
_SUMMARIES = ("true", "text", "data", "count", "false")
_TOTALS = ("none", "estimate", "accurate")
_COUNT = re.compile(r"[0-9]{1,9}\Z")


def parse_search(
    type: str,
    params: Sequence[tuple[str, str]],
    *,
    base_url: str = "",
    custom: Custom = NONE,
    lenient: bool = False,
    whole: bool = False,
) -> SearchRequest:
    """Read the (decoded) parameters of a search of one resource type.

    `base_url` is this server's own address: references written with it mean resources here.
    `custom` are the parameters beyond R4. `whole`: whoever asks the store with the request does so
    with its `filter`, `words` and `coded`; else what needs them is refused. A `lenient` search
    (`Prefer: handling=lenient`) leaves out what is unknown or not supported, and names it in
    `ignored`.
    Raises SearchError with one issue for each parameter that is unknown, not supported or has a
    value that cannot be read (FHIR R4 search, "Handling Errors": never ignored).
    """
    if type not in TYPE_NUMBER:
        raise SearchError([Issue("error", "not-supported", "", "R4 has no such resource type.")])
    reader = _Reader(type, base_url.rstrip("/"), custom, whole)
    issues: list[Issue] = []
    ignored: list[tuple[str, str]] = []
    for name, value in params:
        try:
            reader.read(name, value)
        except (RefusalError, BadValueError) as problem:
            code = problem.code if isinstance(problem, RefusalError) else "value"
            if lenient and (code == "not-supported" or not value):
                ignored.append((name, f"Parameter {_shown(name)} was left out: {problem}."))
                continue
            path = f"http.{_shown(name)}"  # R4 OperationOutcome.issue.location
            issues.append(Issue("error", code, path, f"Parameter {_shown(name)}: {problem}."))
    issues += reader.conflicts()
    if issues:
        raise SearchError(issues)
    return reader.request(tuple(ignored))


def _shown(name: str) -> str:
    """A parameter's name for a message: only its harmless characters, cut."""
    return re.sub(r"[^A-Za-z0-9_:.\-]", "?", name[:80]) or "(empty)"


class _Reader:
    """Collects what the parameters of one request say."""

    def __init__(self, type_name: str, base_url: str, custom: Custom, whole: bool) -> None:
        self._type = type_name
        self._custom = custom
        self._whole = whole
        self._reader = ConditionReader(base_url, custom, whole=whole)
        self._conditions: list[Condition] = []
        self._filters: list[Node] = []
        self._includes: list[Include] = []
        self._seen: set[str] = set()
        self._said: dict[str, Any] = {}

    def request(self, ignored: tuple[tuple[str, str], ...]) -> SearchRequest:
        trees = tuple(self._filters)
        return SearchRequest(
            self._type,
            conditions=tuple(self._conditions),
            includes=tuple(dict.fromkeys(self._includes)),
            filter=None if not trees else trees[0] if len(trees) == 1 else And(trees),
            ignored=ignored,
            words=self._reader.words,
            coded=self._reader.coded,
            **self._said,
        )

    def conflicts(self) -> list[Issue]:
        """What does not go together (R4 3.1.1.5.8, `_summary`), or not here."""
        issues: list[Issue] = []
        if self._includes and self._said.get("summary") == "text":
            text = "_include and _revinclude do not go with _summary=text"
            issues.append(Issue("error", "invalid", "http._summary", text))
        if self._said.get("contained", "false") != "false" and (
            self._includes
            or self._filters
            or self._said.keys() & {"sort", "elements"}
            or self._said.get("summary", "count") not in ("count", "false")
            or any(c.kind in ("chain", "has", "words", "lastUpdated") for c in self._conditions)
        ):
            text = (
                "contained resources are found by parameters of their own alone: no _sort,"
                " _include, _filter, chains, words, _lastUpdated, _summary, _elements"
            )
            issues.append(Issue("error", "not-supported", "http._contained", text))
        return issues

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
            self._includes.append(_include(self._type, name, value, self._custom))
        elif name.partition(":")[0] in ("_include", "_revinclude"):
            raise RefusalError("the modifier of an inclusion is :iterate", "not-supported")
        elif name == "_filter":
            tree = parse_filter(value, self._type, self._reader)
            # what must hold anyway is a condition like any other, and planned as such
            parts = tree.parts if isinstance(tree, And) else (tree,)
            self._conditions += [part for part in parts if isinstance(part, Condition)]
            self._filters += [part for part in parts if not isinstance(part, Condition)]
            if self._filters and not self._whole:
                raise RefusalError("this is not supported here", "not-supported")
            if len(self._conditions) > _MAX_CONDITIONS:
                raise RefusalError(f"more than {_MAX_CONDITIONS} conditions", "too-costly")
        elif name == "_query":
            raise RefusalError(
                "there are no named queries (the CapabilityStatement lists none)", "not-supported"
            )
        elif name == "_list" and value.startswith("$"):
            if not self._whole:
                raise RefusalError("this is not supported here", "not-supported")
            for part, wanted in functional_list(self._type, value):
                self._conditions.append(self._reader.read(self._type, part, wanted))
        else:
            if len(self._conditions) >= _MAX_CONDITIONS:
                raise RefusalError(f"more than {_MAX_CONDITIONS} conditions", "too-costly")
            self._conditions.append(self._reader.read(self._type, name, value))

    def _result(self, name: str, value: str) -> None:
        if name == "_sort":
            keys = value.split(",")
            if len(keys) > _MAX_SORT:
                raise RefusalError(f"more than {_MAX_SORT} parameters", "too-costly")
            self._said["sort"] = tuple(_sort(self._type, key, self._reader) for key in keys)
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
        elif name == "_contained":
            self._said["contained"] = _one_of(value, ("false", "true", "both"))
            if value != "false" and not self._whole:
                raise RefusalError("this is not supported here", "not-supported")
        elif name == "_containedType":
            found = _one_of(value, ("container", "contained"))
            self._said["contained_alone"] = found == "contained"
        else:
            self._said["cursor"] = value


def _one_of(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise RefusalError(f"expected one of {', '.join(known)}", "value")
    return value


def _elements(type_name: str, value: str) -> tuple[str, ...]:
    """The elements of the type; `Type.element` of another type is for what is included.

    R4 knows those at the top: of a path (`name.family`) the whole element is given.
    """
    names = []
    for each in value.split(","):
        head, dot, tail = each.strip().partition(".")
        if dot and head in TYPE_NUMBER and head != type_name:
            _check_element(head, tail)
            names.append(f"{head}.{tail.partition('.')[0]}")
            continue
        name = tail if dot and head == type_name else each.strip()
        _check_element(type_name, name)
        names.append(name.partition(".")[0])
    return tuple(dict.fromkeys(names))


def _check_element(type_name: str, path: str) -> None:
    kinds = {type_name}
    for step in path.split("."):
        edges = [edge for kind in kinds for edge in children(kind).get(step, ())]
        if not edges:
            raise RefusalError(f"{type_name} has no such element", "value")
        kinds = {edge.type.name for edge in edges}


def _sort(type_name: str, key: str, reader: ConditionReader) -> Sort:
    code, descending = key.removeprefix("-"), key.startswith("-")
    if code in ("_id", "_lastUpdated") or code in indexed_parameters(type_name):
        return Sort(code, descending)
    unknown = RefusalError(
        f"{_shown(code)} is none of the parameters of {type_name} to sort by ('-' turns one):"
        f" {', '.join(_sortable(type_name))}",
        "value",
    )
    if not code or code == NEAR:
        raise unknown
    try:
        found, source = reader.parameter(type_name, code)
    except RefusalError as problem:
        raise problem if problem.code == "transient" else unknown from problem
    if not isinstance(found, Indexed):
        raise unknown
    return Sort(code, descending, source=source)


def _sortable(type_name: str) -> list[str]:
    return ["_id", "_lastUpdated", *sorted({*indexed_parameters(type_name)} - {NEAR})]


def _include(type_name: str, name: str, value: str, custom: Custom) -> Include:
    reverse, iterate = name.startswith("_rev"), name.endswith(":iterate")
    parts = value.split(":")
    if not reverse and parts == ["*"]:
        parts = [type_name, "*"]
    if reverse and parts == ["*"]:
        return Include("*", "*", None, reverse, iterate)
    if len(parts) not in (2, 3):
        raise RefusalError("expected Type:parameter or Type:parameter:Target", "value")
    source, code = parts[:2]
    target = parts[2] if len(parts) == 3 else None
    if source not in TYPE_NUMBER or (target is not None and target not in TYPE_NUMBER):
        raise RefusalError("R4 has no such resource type", "value")
    if not reverse and not iterate and source != type_name:
        raise RefusalError(f"only {type_name} is found here; use _include:iterate", "value")
    if code == "*":
        return Include(source, "*", target, reverse, iterate)
    own = custom.of(source).get(code)
    parameter = indexed_parameters(source).get(code) or own
    if not isinstance(parameter, Indexed) or parameter.definition.type != "reference":
        raise RefusalError(f"{source} has no such reference parameter", "value")
    wanted = type_name if reverse and not iterate else target
    if wanted is not None and wanted not in parameter.targets:
        raise RefusalError(f"{source}:{code} does not refer to {wanted}", "value")
    if reverse and target is not None and target not in parameter.targets:
        raise RefusalError(f"{source}:{code} does not refer to {target}", "value")
    return Include(source, code, target, reverse, iterate, own)
