"""Sees without FHIRPath that an invariant holds, from the keys an element has.

Most rules speak of elements that are absent, or only ask whether some are there. A guard answers
those from the object itself; whatever it cannot answer goes to the FHIRPath engine, so a guard
may be ignorant but never wrong.
"""

from __future__ import annotations

import operator as arithmetic
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pater.fhir.fhirpath.items import exact, fields
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    FhirPathError,
    Index,
    Literal,
    Member,
    Node,
    parse,
)
from pater.fhir.guard_paths import Answer, Json, either, existence
from pater.fhir.references import reference_texts


@lru_cache(maxsize=2048)
def guard(key: str, expression: str, type_name: str) -> Answer | None:
    """What answers a rule for an object of the type; None when there is no short way."""
    special = _SPECIAL.get(key)
    if special is not None:
        return special
    try:
        return _truth(parse(expression), type_name)
    except FhirPathError:
        return None


def _truth(node: Node, kind: str) -> Answer | None:
    if isinstance(node, Literal) and isinstance(node.value, bool):
        value = node.value
        return lambda holder: value
    if isinstance(node, Binary):
        return _binary(node, kind)
    if isinstance(node, Call):
        return _call(node, kind)
    return None


def _binary(node: Binary, kind: str) -> Answer | None:
    operator = node.operator
    if operator in ("=", "!=") and isinstance(node.right, Literal):
        return _equal(node, kind)
    if operator in _ORDER:
        return _compared(node, kind)
    if operator not in ("or", "and", "implies", "=", "!=", "xor"):
        return None
    left, right = _truth(node.left, kind), _truth(node.right, kind)
    if operator == "or":
        return _either(left, right, True)
    if operator == "and":
        return _either(left, right, False)
    if operator == "implies":
        return _either(None if left is None else _negated(left), right, True)
    if left is None or right is None:
        return None
    one, other, wanted = left, right, operator == "="

    def same(holder: Json) -> bool | None:
        first, second = one(holder), other(holder)
        return None if first is None or second is None else (first is second) is wanted

    return same


def _either(left: Answer | None, right: Answer | None, decides: bool) -> Answer | None:
    """`or` (True decides) and `and` (False decides)."""
    if left is None and right is None:
        return None
    if left is None or right is None:
        only = left or right
        assert only is not None
        one = only
        return lambda holder: decides if one(holder) is decides else None
    return either(left, right, decides)


def _negated(answer: Answer) -> Answer:
    def check(holder: Json) -> bool | None:
        found = answer(holder)
        return None if found is None else not found

    return check


def _keys(name: str, kind: str) -> tuple[str, ...] | None:
    """The JSON keys of an element, what extends it included; None when the type has it not."""
    found = fields(kind).get(name)
    if found is None:
        return None
    return tuple(key for field in found for key in (field.key, field.hidden))


def _root(node: Node) -> str | None:
    """The element a path starts with; without it the path is empty."""
    while True:
        if isinstance(node, Member):
            if node.target is None:
                return node.name
            node = node.target
        elif isinstance(node, Call):
            if node.target is None or node.name not in _EMPTY_OF_EMPTY:
                return None
            node = node.target
        elif isinstance(node, Index):
            node = node.target
        else:
            return None


_EMPTY_OF_EMPTY = frozenset(
    ("where", "select", "first", "last", "tail", "ofType", "as", "children", "descendants",
     "resolve", "intersect", "skip", "take", "distinct", "extension", "trace")
)  # fmt: skip


def _call(node: Call, kind: str) -> Answer | None:
    name, target = node.name, node.target
    if target is None:
        return None
    if name == "not":
        inner = _truth(target, kind)
        return None if inner is None else _negated(inner)
    if name in ("startsWith", "contains") and len(node.arguments) == 1:
        return _text(target, name, node.arguments[0], kind)
    if isinstance(target, Call) and target.target is None and name in ("exists", "empty"):
        found = existence(target, kind)
        return found if found is None or name == "exists" else _negated(found)
    root = _root(target)
    keys = None if root is None else _keys(root, kind)
    if keys is None:
        return None
    whole = isinstance(target, Member) and target.target is None
    if name == "hasValue" and whole:
        return _has_value(keys)
    if name not in ("exists", "empty", "all"):
        return None
    # What is said of nothing: exists() is false, empty() and all() are true.
    absent = name != "exists"
    present = None if not whole or node.arguments else not absent
    wanted = frozenset(keys)
    further = None
    if not whole and not node.arguments and name != "all":
        further = existence(target, kind)
    if further is not None:
        leads = further

        def follow(holder: Json) -> bool | None:
            if wanted.isdisjoint(holder):
                return absent
            found = leads(holder)
            return None if found is None else found is not absent

        return follow

    def check(holder: Json) -> bool | None:
        return absent if wanted.isdisjoint(holder) else present

    return check


def _has_value(keys: tuple[str, ...]) -> Answer:
    wanted = frozenset(keys)

    def check(holder: Json) -> bool | None:
        if wanted.isdisjoint(holder):
            return False
        return True if any(type(holder.get(key)) is str for key in keys) else None

    return check


def _single(node: Node, kind: str) -> str | None:
    """The key of an element with one type, named alone."""
    if not isinstance(node, Member) or node.target is not None:
        return None
    found = fields(kind).get(node.name)
    return found[0].key if found is not None and len(found) == 1 else None


def _text(target: Node, name: str, argument: Node, kind: str) -> Answer | None:
    key = _single(target, kind)
    if key is None or not isinstance(argument, Literal) or not isinstance(argument.value, str):
        return None
    wanted: str = argument.value

    def check(holder: Json) -> bool | None:
        value = holder.get(key)
        if type(value) is not str:
            return None
        return value.startswith(wanted) if name == "startsWith" else wanted in value

    return check


def _equal(node: Binary, kind: str) -> Answer | None:
    key = _single(node.left, kind)
    literal = node.right
    if key is None or not isinstance(literal, Literal) or not isinstance(literal.value, str):
        return None
    wanted, positive = literal.value, node.operator == "="

    def check(holder: Json) -> bool | None:
        value = holder.get(key)
        return (value == wanted) is positive if type(value) is str else None

    return check


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {">": arithmetic.gt, ">=": arithmetic.ge, "<": arithmetic.lt, "<=": arithmetic.le}
)


def _compared(node: Binary, kind: str) -> Answer | None:
    """A number against a literal."""
    key = _single(node.left, kind)
    literal = node.right
    if key is None or not isinstance(literal, Literal) or type(literal.value) in (str, bool):
        return None
    limit, holds = literal.value, _ORDER[node.operator]

    def check(holder: Json) -> bool | None:
        value = holder.get(key)
        if type(value) is int or type(value) is float or isinstance(value, Decimal):
            return holds(exact(value), limit)
        return None

    return check


# --- rules with a short way of their own ---------------------------------------------------------

_REQUESTS = frozenset(("batch", "transaction", "history"))
_RESPONSES = frozenset(("batch-response", "transaction-response", "history"))


def _entries(bundle: Json) -> list[Any] | None:
    found = bundle.get("entry", [])
    return found if type(found) is list and all(type(e) is dict for e in found) else None


def _all_have(name: str, kinds: frozenset[str]) -> Answer:
    def check(bundle: Json) -> bool | None:
        entries, kind = _entries(bundle), bundle.get("type")
        if entries is None or type(kind) is not str:
            return None
        wanted = kind in kinds
        return True if all((name in each) is wanted for each in entries) else None

    return check


def _distinct(bundle: Json) -> bool | None:
    """bdl-7: no two entries have the same fullUrl (and the same version)."""
    entries = _entries(bundle)
    if entries is None:
        return None
    urls = [each["fullUrl"] for each in entries if "fullUrl" in each]
    if not all(type(url) is str for url in urls):
        return None
    return True if len(set(urls)) == len(urls) else None


def _in_order(period: Json) -> bool | None:
    """per-1: the start is before the end; told where both have the same form."""
    start, end = period.get("start"), period.get("end")
    if start is None or end is None:
        return True if "_start" not in period and "_end" not in period else None
    if type(start) is not str or type(end) is not str or len(start) != len(end):
        return None
    if start[10:] == end[10:] or (len(start) == _WITH_OFFSET and start[19:] == end[19:]):
        return True if start <= end else None
    if len(start) != _WITH_OFFSET:
        return None
    try:
        return True if datetime.fromisoformat(start) <= datetime.fromisoformat(end) else None
    except ValueError:
        return None


_WITH_OFFSET = len("2026-01-05T10:00:00+01:00")


def _extension(extension: Json) -> bool | None:
    """ext-1: either a value or extensions."""
    values = sum(1 for key in extension if key.startswith("value"))
    return True if (values == 1) is not ("extension" in extension) and values < 2 else None


def _no_component(observation: Json) -> bool | None:
    """obs-7: says something only of an Observation with components and a value of its own."""
    if "component" not in observation:
        return True
    return None if any(key.startswith(("value", "_value")) for key in observation) else True


def _composed(bundle: Json) -> bool | None:
    """bdl-11: a document begins with its Composition."""
    entries, kind = _entries(bundle), bundle.get("type")
    if type(kind) is not str or not entries:
        return None
    if kind != "document":
        return True
    first = entries[0].get("resource")
    composed = type(first) is dict and first.get("resourceType") == "Composition"
    return True if composed else None


def _named(organization: Json) -> bool | None:
    """org-1: an organization has an identifier or a name."""
    return True if organization.get("identifier") or organization.get("name") else None


def _not_local(reference: Json) -> bool | None:
    """ref-1: speaks only of references to what is contained; nothing is said without a text."""
    text = reference.get("reference")
    if text is None:
        return None if "_reference" in reference else True
    return True if type(text) is str and not text.startswith("#") else None


def _all_used(resource: Json) -> bool | None:
    """dom-3: what is contained is referred to; told where references with its ids are found."""
    contained = resource.get("contained", [])
    if type(contained) is not list or not all(type(each) is dict for each in contained):
        return None
    ids = [each.get("id") for each in contained]
    if not ids:
        return True
    texts = reference_texts(resource)
    return True if all(type(id) is str and f"#{id}" in texts for id in ids) else None


_SPECIAL: Mapping[str, Answer] = MappingProxyType(
    {
        "bdl-11": _composed,
        "bdl-3": _all_have("request", _REQUESTS),
        "bdl-4": _all_have("response", _RESPONSES),
        "bdl-7": _distinct,
        "dom-3": _all_used,
        "ext-1": _extension,
        "obs-7": _no_component,
        "org-1": _named,
        "per-1": _in_order,
        "ref-1": _not_local,
    }
)
