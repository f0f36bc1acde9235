"""The type model FHIRPath needs: which JSON keys an element has and what types they hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from pater.fhir.definitions import Element, element_table, type_kind


class TypeRef(NamedTuple):
    """What a value is: a type (`Quantity`) or the path of a backbone (`Observation.component`).

    `value_set` is the required binding of a code ("" otherwise), `targets` the only types a
    Reference may point to (empty = any).
    """

    name: str
    value_set: str = ""
    targets: tuple[str, ...] = ()


class Edge(NamedTuple):
    """One JSON key of an element and the type it holds (a choice element has several)."""

    key: str
    type: TypeRef


BOOLEAN = TypeRef("boolean")
INTEGER = TypeRef("integer")
STRING = TypeRef("string")
DECIMAL = TypeRef("decimal")
RESOURCE = TypeRef("Resource")

# Data types that specialise another one, beside Element and BackboneElement (R4 datatypes).
_PARENT = {
    "Age": "Quantity",
    "Count": "Quantity",
    "Distance": "Quantity",
    "Duration": "Quantity",
    "MoneyQuantity": "Quantity",
    "SimpleQuantity": "Quantity",
    "Dosage": "BackboneElement",
    "ElementDefinition": "BackboneElement",
    "Timing": "BackboneElement",
}
_NOT_DOMAIN = frozenset(("Binary", "Bundle", "Parameters", "Resource"))


def is_a(name: str, wanted: str) -> bool:
    """Whether the type `name` is `wanted` or derived from it; a primitive only is itself."""
    if name == wanted or _PARENT.get(name) == wanted:
        return True
    if wanted in ("Resource", "DomainResource"):
        domain = wanted == "Resource" or name not in _NOT_DOMAIN
        return type_kind(name) == "resource" and domain
    if wanted == "BackboneElement":
        return "." in name
    return wanted == "Element" and ("." in name or type_kind(name) == "complex")


def resource_type(value: object) -> TypeRef:
    """The type a resource inside another one states; `Resource` when it does not."""
    stated = value.get("resourceType") if isinstance(value, dict) else None
    if isinstance(stated, str) and type_kind(stated) == "resource":
        return _type_ref(stated)
    return RESOURCE


@cache
def _type_ref(name: str) -> TypeRef:
    return TypeRef(name)


@cache
def children(name: str) -> Mapping[str, tuple[Edge, ...]]:
    """Element name → its edges, for a type or the path of a backbone; empty when it has none."""
    root = name.partition(".")[0]
    return _tree(root).get(name, {})


@cache
def _tree(root: str) -> Mapping[str, Mapping[str, tuple[Edge, ...]]]:
    if type_kind(root) is None:
        return {}
    rows = element_table(root)
    inner = {row.path.rpartition(".")[0] for row in rows}
    tree: dict[str, dict[str, tuple[Edge, ...]]] = {}
    for row in rows:
        parent, _, name = row.path.rpartition(".")
        tree.setdefault(parent, {})[name.removesuffix("[x]")] = _edges(row, name, inner)
    return tree


def _edges(row: Element, name: str, inner: set[str]) -> tuple[Edge, ...]:
    if row.content:
        return (Edge(name, TypeRef(row.content)),)
    if row.path in inner:
        return (Edge(name, TypeRef(row.path)),)
    bound = row.value_set if row.strength == "required" else ""
    if not name.endswith("[x]"):
        return tuple(Edge(name, TypeRef(kind, bound, row.targets)) for kind in row.types[:1])
    stem = name.removesuffix("[x]")
    return tuple(
        Edge(stem + kind[0].upper() + kind[1:], TypeRef(kind, bound, row.targets))
        for kind in row.types
    )
