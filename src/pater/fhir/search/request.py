"""The shapes of a parsed search: conditions, their values, sorting and inclusion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pater.fhir.issues import Issue

Prefix = Literal["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]
Kind = Literal[
    "token",
    "string",
    "date",
    "reference",
    "number",
    "quantity",
    "uri",
    "chain",
    "has",
    "id",
    "lastUpdated",
]


class SearchError(Exception):
    """A search that cannot be understood; `issues` name each parameter that is wrong."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(issue.text for issue in issues))
        self.issues = issues


@dataclass(frozen=True, slots=True)
class TokenTerm:
    """`system|code`; system None = any (`code`), "" = none (`|code`); code None = any."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class StringTerm:
    """A text as the caller wrote it; comparison normalises it (but for `:exact`)."""

    text: str


@dataclass(frozen=True, slots=True)
class DateTerm:
    """A prefix and the span that the stated precision covers (UTC, both ends included).

    For prefix 'ap' the span is already widened: a value matches when it overlaps the span.
    """

    prefix: Prefix
    low: datetime
    high: datetime


@dataclass(frozen=True, slots=True)
class ReferenceTerm:
    """A resource here (`id`, of one of `types`), or anything else by its `url`.

    `types` holds the type the caller named, or without one all that the parameter can refer to.
    """

    types: tuple[str, ...]
    id: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class NumberTerm:
    """A number or quantity: `value` as written, `low`..`high` the span of its precision.

    eq and ne look at the span, low <= x < high; ap at its (already widened) span with both ends
    included; the other prefixes at `value` alone (FHIR R4 search, "number"). `system` and `code`
    name the unit as the index keeps it: both "" = any unit; system "" = `code` as the code or
    the human text of whatever system.
    """

    prefix: Prefix
    value: float
    low: float
    high: float
    system: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class UriTerm:
    """A URI, compared literally."""

    value: str


@dataclass(frozen=True, slots=True)
class MissingTerm:
    """The value of `:missing`: True asks for resources without the parameter."""

    missing: bool


Value = TokenTerm | StringTerm | DateTerm | ReferenceTerm | NumberTerm | UriTerm | MissingTerm


@dataclass(frozen=True, slots=True)
class Condition:
    """One search parameter of a request; its `values` are alternatives (OR).

    kind 'id' (TokenTerm with code = the id) and 'lastUpdated' (DateTerm) look at columns.
    kind 'chain': `param` is a reference of the searched type, `chain` the alternatives of what
    the target must be and meet. kind 'has': `chain` names the resources (type, condition) that
    must refer to the searched one by their reference parameter `param`.
    modifier: None, 'missing' (MissingTerm), 'exact', 'contains', 'not', 'identifier' (kind stays
    'reference', the values are TokenTerm) or for a reference or chain a resource type.
    """

    param: str
    kind: Kind
    modifier: str | None = None
    values: tuple[Value, ...] = ()
    chain: tuple[Chain, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """The far end of a chain: resources of `type` that meet `condition`."""

    type: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of `_sort`: a parameter code, `_id` or `_lastUpdated`."""

    param: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` (or `_revinclude`: reverse); `param` "*" = every reference parameter."""

    source_type: str
    param: str
    target: str | None
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A whole search of one type; all `conditions` must hold (AND)."""

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "estimate", "accurate"] = "none"
    includes: tuple[Include, ...] = ()
    summary: str | None = None
    elements: tuple[str, ...] = ()
    cursor: str | None = None
