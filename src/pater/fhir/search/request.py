"""The shapes of a parsed search: conditions, their values, sorting and inclusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

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
    "composite",
    "words",
    "near",
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
    With a `version` only references to that very version count.
    """

    types: tuple[str, ...]
    id: str | None
    url: str | None
    version: str | None = None


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
    written: str = field(default="", compare=False, repr=False)
    """The value with its unit as the caller wrote it, where the unit was converted."""


@dataclass(frozen=True, slots=True)
class UriTerm:
    """A URI, compared literally."""

    value: str


@dataclass(frozen=True, slots=True)
class Word:
    """A normalised word to look for; `whole` = not only as a beginning."""

    text: str
    whole: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class WordsTerm:
    """Any of the `groups` (OR) whose words are all there (AND), those `absent` are not."""

    groups: tuple[tuple[Word, ...], ...]
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class CompositeTerm:
    """Conditions (of one value each) that one element has to meet together."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NearTerm:
    """Within a distance of a point (degrees of WGS84)."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class MissingTerm:
    """The value of `:missing`: True asks for resources without the parameter."""

    missing: bool


Value = (
    TokenTerm | StringTerm | DateTerm | ReferenceTerm | NumberTerm | UriTerm | MissingTerm
    | WordsTerm | CompositeTerm | NearTerm
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """One search parameter of a request; its `values` are alternatives (OR).

    kind 'id' (TokenTerm with code = the id) and 'lastUpdated' (DateTerm) look at columns.
    kind 'chain': `param` is a reference of the searched type, `chain` the alternatives of what
    the target must be and meet. kind 'has': `chain` names the resources (type, condition) that
    must refer to the searched one by their reference parameter `param`. kind 'words' (WordsTerm)
    looks at all text of a resource (`_content`) or its narrative (`_text`). kind 'near' (NearTerm)
    looks at the position of a Location.
    modifier: None, 'missing' (MissingTerm), 'exact', 'contains', 'not', 'identifier' (kind stays
    'reference', the values are TokenTerm), 'of-type' (TokenTerm with code = `code|value`), 'text'
    (StringTerm: how the codes or references are displayed), 'in', 'not-in', 'above', 'below'
    (what they mean is looked up before the store is asked) or for a reference or chain a resource
    type; of filters also 'equal' and 'ends' (StringTerm).
    loose: the index gives more than the truth, hits are compared with the body.
    source: the definition of a parameter that is not one of R4.
    """

    param: str
    kind: Kind
    modifier: str | None = None
    values: tuple[Value, ...] = ()
    chain: tuple[Chain, ...] = ()
    loose: bool = False
    source: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the parts holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


Node = Condition | And | Or | Not


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
    source: Any = field(default=None, compare=False, repr=False)
    """The definition of a parameter that is not one of R4."""


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` (or `_revinclude`: reverse); `param` "*" = every reference parameter.

    `source_type` "*" = every type. `source`: the definition of a parameter that is not one of R4.
    """

    source_type: str
    param: str
    target: str | None
    reverse: bool
    iterate: bool
    source: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SearchRequest:
    """A whole search of one type; all `conditions` and the `filter` must hold (AND).

    `contained`: whether resources within others are found ('true': these alone), shown as their
    containers or `contained_alone`. `ignored` are the parameters that a lenient search left out,
    as (name, why). `words`: some condition looks at the words of resources; `coded`: some has to
    be looked up before the store is asked (`:in`, `:below` …).
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "estimate", "accurate"] = "none"
    includes: tuple[Include, ...] = ()
    summary: str | None = None
    elements: tuple[str, ...] = ()
    cursor: str | None = None
    filter: Node | None = None
    contained: Literal["false", "true", "both"] = "false"
    contained_alone: bool = False
    ignored: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)
    words: bool = field(default=False, compare=False, repr=False)
    coded: bool = field(default=False, compare=False, repr=False)

    def every_condition(self) -> Iterator[Condition]:
        """The conditions and those within the filter; of chains the first link only."""
        yield from self.conditions
        if self.filter is not None:
            yield from leaves(self.filter)


def with_leaves(node: Node, change: Callable[[Condition], Condition]) -> Node:
    """The filter with each of its conditions as `change` makes it."""
    match node:
        case And(parts):
            return And(tuple(with_leaves(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(with_leaves(part, change) for part in parts))
        case Not(part):
            return Not(with_leaves(part, change))
        case _:
            return change(node)


def leaves(node: Node) -> Iterator[Condition]:
    """The conditions of a filter, from left to right."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield node
