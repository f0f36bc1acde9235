"""The straight way for the paths of search parameters: closures over bare JSON values.

The part of FHIRPath that those paths use, because every write takes it; `engine` is
the whole language, and more work for each step.

Types are worked out while compiling, so a path costs no more than its dictionary lookups. Where
a stream can hold several types (choice elements, inner resources) its items carry their type.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.functions import FUNCTIONS
from pater.fhir.fhirpath.operators import OPERATORS, Operator, distinct, truth
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    Empty,
    FhirPathError,
    Index,
    Literal,
    Member,
    Moment,
    Node,
    TypeTest,
    Unary,
    Variable,
    type_name,
)
from pater.fhir.fhirpath.types import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    STRING,
    Edge,
    TypeRef,
    children,
    is_a,
    resource_type,
)
from pater.fhir.references import reference_of

Fn = Callable[[list[Any], Any], list[Any]]
"""Focus items and the resource the expression started from → the items that result."""

_DATES = frozenset(("date", "dateTime", "instant", "time"))


class Code(NamedTuple):
    """A compiled part: `type` of all its items, or None when items are (TypeRef, value)."""

    fn: Fn
    type: TypeRef | None


class Context(NamedTuple):
    """Where a part stands: the type of its focus (None = mixed) and of the resource."""

    focus: TypeRef | None
    root: TypeRef


def compile_node(node: Node, context: Context) -> Code:
    """The closure of a syntax tree; raises FhirPathError for what cannot be or is not known."""
    if isinstance(node, Member):
        return _member(node, context, None)
    if isinstance(node, Call):
        return _call(node, context)
    if isinstance(node, TypeTest):
        return _type_test(node.operator, node.operand, node.type, context)
    if isinstance(node, Binary):
        return _binary(node, context)
    if isinstance(node, Index):
        return _index(node, context)
    return _leaf(node, context)


def _leaf(node: Node, context: Context) -> Code:
    if isinstance(node, Literal):
        value = node.value
        kind = BOOLEAN if isinstance(value, bool) else INTEGER
        if isinstance(value, str):
            kind = STRING
        elif not isinstance(value, int):
            kind = DECIMAL
        return Code(lambda items, root: [value], kind)
    if isinstance(node, Moment):
        text = node.text
        kind = TypeRef("time" if text.startswith("T") else "dateTime" if "T" in text else "date")
        return Code(lambda items, root: [text.removeprefix("T")], kind)
    if isinstance(node, Empty):
        return Code(lambda items, root: [], BOOLEAN)
    if isinstance(node, Variable) and node.name == "$this":
        return Code(_focus, context.focus)
    if isinstance(node, Variable) and node.name in ("%resource", "%context"):
        return Code(lambda items, root: [root], context.root)
    if isinstance(node, Unary) and isinstance(node.operand, Literal):
        number = node.operand.value
        if not isinstance(number, str | bool):
            signed = -number if node.operator == "-" else number
            return Code(lambda items, root: [signed], INTEGER)
    what = f"variable {node.name}" if isinstance(node, Variable) else "arithmetic"
    raise FhirPathError(f"{what} is not supported")


def _focus(items: list[Any], root: Any) -> list[Any]:
    return items


def plain(code: Code) -> Fn:
    """The closure without types: mixed items are unwrapped."""
    if code.type is not None:
        return code.fn
    inner = code.fn
    return lambda items, root: [value for _, value in inner(items, root)]


def mixed(code: Code) -> Fn:
    """The closure with the type beside every item."""
    kind, inner = code.type, code.fn
    if kind is None:
        return inner
    return lambda items, root: [(kind, value) for value in inner(items, root)]


# --- paths ------------------------------------------------------------------------------------


def _target(node: Node | None, context: Context) -> Code:
    return Code(_focus, context.focus) if node is None else compile_node(node, context)


def names_type(name: str) -> bool:
    """Whether a name that starts a path is a type; primitives (`code`, `date`) are elements."""
    return name[:1].isupper() and type_kind(name) is not None


def _member(node: Member, context: Context, wanted: str | None) -> Code:
    """`target.name`; with `wanted` only the edges of that type (`(target.name as wanted)`)."""
    focus = context.focus
    if node.target is None and names_type(node.name):
        if focus is None or not is_a(focus.name, node.name):
            raise FhirPathError(f"{node.name} is not what the path starts from")
        return Code(_focus, focus)
    target = _target(node.target, context)
    if target.type is None:
        return Code(_mixed_step(target.fn, node.name), None)
    edges = children(target.type.name).get(node.name)
    if edges is None:
        raise FhirPathError(f"{target.type.name} has no element {node.name}")
    if wanted is not None and edges[0].type.name != "Resource":
        edges = tuple(edge for edge in edges if is_a(edge.type.name, wanted))
        if not edges:
            raise FhirPathError(f"{target.type.name}.{node.name} is never a {wanted}")
    return _step(target.fn, edges)


def _step(before: Fn, edges: tuple[Edge, ...]) -> Code:
    if len(edges) == 1:
        key, kind = edges[0]
        if kind.name == "Resource":
            return Code(_resource_step(before, key), None)
        return Code(_key_step(before, key), kind)

    def step(items: list[Any], root: Any) -> list[Any]:
        out: list[Any] = []
        for item in before(items, root):
            if type(item) is dict:
                for key, kind in edges:
                    if key in item:
                        out.extend((kind, value) for value in values_of(item, key))
        return out

    return Code(step, None)


def values_of(item: dict[str, Any], key: str) -> list[Any]:
    """What stands under a key, as a list without nulls."""
    value = item.get(key)
    if type(value) is list:
        return [each for each in value if each is not None]
    return [] if value is None else [value]


def _key_step(before: Fn, key: str) -> Fn:
    def step(items: list[Any], root: Any) -> list[Any]:
        out: list[Any] = []
        for item in before(items, root):
            if type(item) is dict:
                value = item.get(key)
                if value is None:
                    continue
                if type(value) is list:
                    out.extend(each for each in value if each is not None)
                else:
                    out.append(value)
        return out

    return step


def _resource_step(before: Fn, key: str) -> Fn:
    inner = _key_step(before, key)
    return lambda items, root: [(resource_type(value), value) for value in inner(items, root)]


def _mixed_step(before: Fn, name: str) -> Fn:
    def step(items: list[Any], root: Any) -> list[Any]:
        out: list[Any] = []
        for kind, item in before(items, root):
            if type(item) is not dict:
                continue
            for key, inner in children(kind.name).get(name, ()):
                for value in values_of(item, key):
                    told = resource_type(value) if inner.name == "Resource" else inner
                    out.append((told, value))
        return out

    return step


def _index(node: Index, context: Context) -> Code:
    target = compile_node(node.target, context)
    if not isinstance(node.index, Literal) or not isinstance(node.index.value, int):
        raise FhirPathError("an index that is not a number is not supported")
    before, place = target.fn, node.index.value
    return Code(lambda items, root: before(items, root)[place : place + 1], target.type)


# --- types ------------------------------------------------------------------------------------


def _type_test(operator: str, operand: Node, wanted: str, context: Context) -> Code:
    if type_kind(wanted) is None and wanted not in ("Resource", "DomainResource"):
        wanted = wanted[:1].lower() + wanted[1:]  # System.String → string
        if type_kind(wanted) is None:
            raise FhirPathError(f"{wanted} is no type of R4")
    if operator == "is":
        if isinstance(operand, Call) and operand.name == "resolve" and not operand.arguments:
            return _resolves_to(operand.target, wanted, context)
        before = mixed(compile_node(operand, context))
        return Code(
            lambda items, root: [is_a(kind.name, wanted) for kind, _ in before(items, root)[:1]],
            BOOLEAN,
        )
    if isinstance(operand, Member) and (operand.target is not None or not names_type(operand.name)):
        # Straight to the key of the wanted type, without the detour over a mixed stream.
        code = _member(operand, context, wanted)
    else:
        code = compile_node(operand, context)
    kind = code.type
    if kind is not None:
        return code if is_a(kind.name, wanted) else Code(lambda items, root: [], kind)
    before = code.fn
    return Code(
        lambda items, root: [
            value for found, value in before(items, root) if is_a(found.name, wanted)
        ],
        TypeRef(wanted),
    )


def _resolves_to(target: Node | None, wanted: str, context: Context) -> Code:
    """`resolve() is T` without resolving: the reference's own text or type has to tell."""
    before = plain(_target(target, context))

    def test(items: list[Any], root: Any) -> list[Any]:
        for item in before(items, root):
            told = reference_type(item, root)
            if told is not None:
                return [is_a(told, wanted)]
        return []

    return Code(test, BOOLEAN)


def reference_type(holder: Any, root: Any) -> str | None:
    """The type of the resource a Reference points to, if it (or what is contained) tells."""
    if not isinstance(holder, dict):
        return None
    ref = reference_of(holder)
    if ref.kind == "contained" and isinstance(root, dict):
        if not ref.id:
            return resource_type(root).name
        contained = root.get("contained")
        for each in contained if isinstance(contained, list) else ():
            if isinstance(each, dict) and each.get("id") == ref.id:
                return resource_type(each).name
    return ref.type


# --- operators and functions --------------------------------------------------------------------


def _binary(node: Binary, context: Context) -> Code:
    left = compile_node(node.left, context)
    right = compile_node(node.right, context)
    if node.operator == "|":
        return _union(left, right)
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise FhirPathError(f"operator {node.operator} is not supported")
    # A date is compared as a span of time; only a declared type tells it from a string.
    kinds = [side.type.name for side in (left, right) if side.type is not None]
    dates = any(kind in _DATES for kind in kinds)
    return Code(_operation(operator, plain(left), plain(right), dates), BOOLEAN)


def _operation(operator: Operator, left: Fn, right: Fn, dates: bool) -> Fn:
    return lambda items, root: operator(left(items, root), right(items, root), dates)


def _union(left: Code, right: Code) -> Code:
    same = left.type is not None and left.type == right.type
    one, two = (left.fn, right.fn) if same else (mixed(left), mixed(right))
    return Code(
        lambda items, root: distinct(one(items, root) + two(items, root)),
        left.type if same else None,
    )


def _call(node: Call, context: Context) -> Code:
    name, arguments = node.name, node.arguments
    if name in ("is", "as", "ofType") and len(arguments) == 1:
        if node.target is None:
            raise FhirPathError(f"{name}() needs something before it")
        operator = "is" if name == "is" else "as"
        return _type_test(operator, node.target, type_name(arguments[0]), context)
    if name == "extension" and len(arguments) == 1 and isinstance(arguments[0], Literal):
        return _extension(node.target, arguments[0].value, context)
    target = _target(node.target, context)
    if name in ("where", "select", "all", "exists") and len(arguments) == 1:
        return _per_item(name, target, arguments[0], context)
    function = FUNCTIONS.get((name, len(arguments)))
    if function is None:
        raise FhirPathError(f"function {name}() with {len(arguments)} arguments is not supported")
    amounts = [each.value for each in arguments if isinstance(each, Literal)]
    if len(amounts) != len(arguments) or not all(type(each) is int for each in amounts):
        raise FhirPathError(f"{name}() wants a number")
    call = partial(function.fn, *amounts)
    before = target.fn if function.keeps or name == "count" else plain(target)
    kind = target.type if function.keeps else TypeRef(function.result)
    return Code(lambda items, root: call(before(items, root)), kind)


def _per_item(name: str, target: Code, argument: Node, context: Context) -> Code:
    inner = compile_node(argument, Context(target.type, context.root))
    before, each = target.fn, inner.fn
    if name == "select":
        return Code(
            lambda items, root: [
                value for item in before(items, root) for value in each([item], root)
            ],
            inner.type,
        )
    test = plain(inner)

    def holds(item: Any, root: Any) -> bool:
        return truth(test([item], root)) is True

    if name == "where":
        return Code(
            lambda items, root: [item for item in before(items, root) if holds(item, root)],
            target.type,
        )
    quantifier = all if name == "all" else any
    return Code(
        lambda items, root: [quantifier(holds(item, root) for item in before(items, root))],
        BOOLEAN,
    )


def _extension(node: Node | None, url: object, context: Context) -> Code:
    target = _target(node, context)
    holders = plain(target)
    if target.type is not None and type_kind(target.type.name) == "primitive":
        # What extends a primitive stands beside it, under its name with an underscore.
        if not isinstance(node, Member) or node.target is None:
            raise FhirPathError("extension() of such a primitive is not supported")
        owner = _target(node.target, context)
        edges = children(owner.type.name).get(node.name, ()) if owner.type is not None else ()
        if len(edges) != 1:
            raise FhirPathError("extension() of such a primitive is not supported")
        holders = _key_step(owner.fn, f"_{edges[0].key}")
    before = _key_step(holders, "extension")
    return Code(
        lambda items, root: [
            each
            for each in before(items, root)
            if isinstance(each, dict) and each.get("url") == url
        ],
        TypeRef("Extension"),
    )
