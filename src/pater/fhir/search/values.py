"""The shapes of index values: what a resource offers to each of its search parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

OPEN_LOW = datetime(1, 1, 1, tzinfo=UTC)
"""The low end of a Period without `start`."""
OPEN_HIGH = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
"""The high end of a Period without `end`."""


class TokenValue(NamedTuple):
    """A code of a token parameter; `system` None when the element has none."""

    param: str
    system: str | None
    code: str | None


class ReferenceValue(NamedTuple):
    """A reference of a reference parameter.

    A reference to this server has `type` and `id` and no `url`. Every other one (a URL elsewhere,
    a `urn:`, a canonical) has `url`, no `id`, and `type` only when the reference tells it.
    """

    param: str
    type: str | None
    id: str | None
    url: str | None


class StringValue(NamedTuple):
    """A text of a string parameter, as in the resource (not normalised)."""

    param: str
    value: str


class RangeValue(NamedTuple):
    """A span of time of a date parameter: both ends in UTC, both included."""

    param: str
    low: datetime
    high: datetime


class NumberValue(NamedTuple):
    """A span of a number or quantity parameter, both ends included.

    `system` and `code` name a unit under which the value is found: a quantity gives one value
    each with ("", "") for any unit, (system, code), ("", code) and ("", human unit); a plain
    number only the first.
    """

    param: str
    low: float
    high: float
    system: str
    code: str


class UriValue(NamedTuple):
    """A value of a uri parameter."""

    param: str
    value: str


@dataclass(slots=True)
class IndexValues:
    """Everything one resource offers to search, by kind of value."""

    tokens: list[TokenValue] = field(default_factory=list)
    references: list[ReferenceValue] = field(default_factory=list)
    strings: list[StringValue] = field(default_factory=list)
    dates: list[RangeValue] = field(default_factory=list)
    numbers: list[NumberValue] = field(default_factory=list)
    uris: list[UriValue] = field(default_factory=list)
