"""Which search expressions are plain paths, so that one walk of a resource serves all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES, type_kind
from pater.fhir.fhirpath.compile import Context, compile_node, names_type, plain, reference_type
from pater.fhir.fhirpath.operators import truth
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    Literal,
    Member,
    Node,
    TypeTest,
    type_name,
)
from pater.fhir.fhirpath.types import TypeRef, children, is_a
from pater.fhir.references import parse_reference

Test = Callable[[Any, Any], bool]
"""Whether an element counts: the element, and the resource it stands in."""


class Walk(NamedTuple):
    """A plain path from a resource: its JSON keys, what stands there, and which of that counts."""

    keys: tuple[str, ...]
    type: TypeRef
    test: Test | None = None


def walks(node: Node, root: str, type: TypeRef | None) -> tuple[Walk, ...] | None:
    """The plain paths that an operand of an expression comes to, a choice element giving several.

    `root` is the type of the resource, `type` that of the compiled operand (None = its items
    tell). None when it is more than plain paths: they give the same items as the operand does.
    """
    found = _walks(node, root)
    if not found or any(not walk.keys for walk in found):
        return None
    return tuple(found) if type is None else tuple(walk._replace(type=type) for walk in found)


def _walks(node: Node | None, root: str) -> list[Walk] | None:
    if isinstance(node, Member):
        return _member(node, root)
    if isinstance(node, TypeTest) and node.operator == "as":
        return _narrowed(node.operand, node.type, root)
    if isinstance(node, Call) and node.name in ("as", "ofType") and len(node.arguments) == 1:
        return _narrowed(node.target, type_name(node.arguments[0]), root)
    if isinstance(node, Call) and node.name == "where" and len(node.arguments) == 1:
        return _tested(node, root)
    return None


def _member(node: Member, root: str) -> list[Walk] | None:
    start: list[Walk] | None = [Walk((), TypeRef(root))]
    if node.target is None and names_type(node.name):
        return start
    if node.target is not None:
        start = _walks(node.target, root)
    if start is None or any(walk.test is not None for walk in start):
        return None
    found = []
    for walk in start:
        for key, kind in children(walk.type.name).get(node.name, ()):
            if kind.name == "Resource":
                return None
            found.append(Walk((*walk.keys, key), kind))
    return found


def _narrowed(operand: Node | None, wanted: str, root: str) -> list[Walk] | None:
    if type_kind(wanted) is None:
        wanted = wanted[:1].lower() + wanted[1:]  # System.String → string
    found = _walks(operand, root)
    if found is None:
        return None
    return [walk for walk in found if is_a(walk.type.name, wanted)]


def _tested(node: Call, root: str) -> list[Walk] | None:
    found = _walks(node.target, root)
    if found is None or len(found) != 1 or found[0].test is not None:
        return None
    [walk] = found
    return [walk._replace(test=_test(node.arguments[0], walk.type, root))]


def _test(criterion: Node, kind: TypeRef, root: str) -> Test:
    if isinstance(criterion, TypeTest) and criterion.operator == "is":
        inner = criterion.operand
        if isinstance(inner, Call) and inner.name == "resolve" and inner.target is None:
            return refers_to(criterion.type)
    general = _general(criterion, kind, root)
    if isinstance(criterion, Binary) and criterion.operator == "=":
        return _equals(criterion, kind) or general
    return general


def refers_to(wanted: str) -> Test:
    """`resolve() is wanted` of a Reference, without resolving."""
    accepted = frozenset(name for name in (*RESOURCE_TYPES, "Resource") if is_a(name, wanted))

    def test(item: Any, resource: Any) -> bool:
        text = item.get("reference") if type(item) is dict else None
        told = parse_reference(text).type if type(text) is str else None
        return (told or reference_type(item, resource)) in accepted

    return test


def _equals(criterion: Binary, kind: TypeRef) -> Test | None:
    """`name = 'text'` for an element of text that does not repeat."""
    left, right = criterion.left, criterion.right
    if not (isinstance(left, Member) and left.target is None and isinstance(right, Literal)):
        return None
    edges = children(kind.name).get(left.name, ())
    if len(edges) != 1 or edges[0].type.name not in ("code", "string", "uri"):
        return None
    key, text = edges[0].key, right.value
    if not isinstance(text, str):
        return None

    def test(item: Any, resource: Any) -> bool:
        value = item.get(key) if type(item) is dict else None
        # what repeats against the definition is compared as FHIRPath does
        return value == text or (
            type(value) is list and [v for v in value if v is not None] == [text]
        )

    return test


def _general(criterion: Node, kind: TypeRef, root: str) -> Test:
    holds = plain(compile_node(criterion, Context(kind, TypeRef(root))))
    return lambda item, resource: truth(holds([item], resource)) is True
