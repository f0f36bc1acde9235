"""What the filters of a value set mean for a code system in memory (R4 ValueSet, 4.9.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]  # the package ships no types

from pater.terminology.model import BadFilterError, Concept, Filter, SystemInfo, UnknownFilterError

Test = Callable[[Concept], bool]

OPERATORS = frozenset(
    {"=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes",
     "child-of", "descendent-leaf", "exists"}
)  # fmt: skip
HIERARCHY = OPERATORS - {"=", "regex", "in", "not-in", "exists"}
_OWN = frozenset({"concept", "code"})


class Tree(Protocol):
    """What filters need of a code system."""

    info: SystemInfo

    def get(self, code: str) -> Concept | None: ...
    def concepts(self) -> Iterable[Concept]: ...
    def children_of(self, code: str) -> Sequence[str]: ...
    def descendants_of(self, code: str) -> frozenset[str]: ...
    def ancestors_of(self, code: str) -> frozenset[str]: ...


def closure(start: str, step: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """Everything reached from `start`, itself only when a circle leads back to it."""
    seen: set[str] = set()
    waiting = list(step(start))
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting += step(each)
    return frozenset(seen)


@lru_cache(maxsize=256)
def regex(pattern: str) -> Any:
    """A compiled pattern whose time is linear in the text. Raises BadFilterError."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise BadFilterError(f"The regular expression '{pattern[:200]}' cannot be used") from None


def listed(value: str) -> frozenset[str]:
    """The values of `in` and `not-in`, separated by commas."""
    return frozenset(part.strip() for part in value.split(",") if part.strip())


def compiled(tree: Tree, filter: Filter) -> Test:
    """A filter as a test of one concept. Raises UnknownFilterError, BadFilterError."""
    if filter.property in _OWN:
        return _by_code(tree, filter)
    if filter.property in ("parent", "child") and filter.op == "=":
        if filter.property == "parent":
            return _within(tree.children_of(filter.value))
        below = tree.get(filter.value)
        return _within(below.parents if below else ())
    if filter.property in ("display", "definition"):
        return _by_values(tree, filter, lambda c: [getattr(c, filter.property)])
    if filter.property == "inactive" and not _declared(tree, "inactive"):
        return _by_values(tree, filter, lambda c: ["true" if c.inactive else "false"])
    if not _declared(tree, filter.property):
        raise UnknownFilterError(tree.info.url, filter)
    if filter.op in HIERARCHY:
        return _by_coded_property(tree, filter)
    return _by_values(
        tree, filter, lambda c: [p.text for p in c.properties if p.code == filter.property]
    )


def _declared(tree: Tree, property: str) -> bool:
    if property in tree.info.properties:
        return True
    return any(p.code == property for each in tree.concepts() for p in each.properties)


def _by_code(tree: Tree, filter: Filter) -> Test:
    value = filter.value
    match filter.op:
        case "is-a":
            return _within({value} | tree.descendants_of(value))
        case "descendent-of":
            return _within(tree.descendants_of(value))
        case "is-not-a":
            excluded = {value} | tree.descendants_of(value)
            return lambda concept: concept.code not in excluded
        case "generalizes":
            return _within({value} | tree.ancestors_of(value))
        case "child-of":
            return _within(tree.children_of(value))
        case "descendent-leaf":
            below = tree.descendants_of(value) or {value}
            return _within({each for each in below if not tree.children_of(each)})
    return _by_values(tree, filter, lambda concept: [concept.code])


def _by_coded_property(tree: Tree, filter: Filter) -> Test:
    """`is-a` and its like over the codes that a property holds."""
    inner = _by_code(tree, Filter("concept", filter.op, filter.value))

    def test(concept: Concept) -> bool:
        held = (tree.get(p.text) for p in concept.properties if p.code == filter.property)
        return any(each is not None and inner(each) for each in held)

    return test


def _by_values(tree: Tree, filter: Filter, values: Callable[[Concept], list[str]]) -> Test:
    match filter.op:
        case "=":
            return lambda concept: filter.value in values(concept)
        case "in":
            wanted = listed(filter.value)
            return lambda concept: any(each in wanted for each in values(concept))
        case "not-in":
            unwanted = listed(filter.value)
            return lambda concept: not any(each in unwanted for each in values(concept))
        case "regex":
            pattern = regex(filter.value)
            return lambda concept: any(
                pattern.fullmatch(each) is not None for each in values(concept)
            )
        case "exists":
            there = filter.value != "false"
            return lambda concept: any(values(concept)) is there
    raise UnknownFilterError(tree.info.url, filter)


def _within(codes: Iterable[str]) -> Test:
    wanted = frozenset(codes)
    return lambda concept: concept.code in wanted
