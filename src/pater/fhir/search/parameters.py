"""Search parameters made ready for use: which of a type's can be searched, and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES, SearchParameter, search_parameters
from pater.fhir.fhirpath.compile import Code, Context, compile_node, names_type
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    FhirPathError,
    Index,
    Member,
    Node,
    TypeTest,
    alternatives,
    parse,
)
from pater.fhir.fhirpath.types import TypeRef, children, is_a
from pater.fhir.search.places import NEAR, position_cells
from pater.fhir.search.walks import Walk, walks

INDEXED = frozenset(("token", "reference", "string", "date", "number", "quantity", "uri"))
"""The types of parameters that have index values (composite and special have none)."""
_COLUMNS = frozenset(("_id", "_lastUpdated"))


_NAME = ("name", "family", "given")
_ADDRESS = (
    "address", "address-city", "address-country", "address-postalcode", "address-state",
)  # fmt: skip
COMBINED: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("Observation", f"combo-{what}"): (what, f"component-{what}")
        for what in ("code", "data-absent-reason", "value-concept", "value-quantity")
    }
    | {(type, "name"): _NAME for type in ("Patient", "Practitioner")}
    | {(type, "phonetic"): _NAME for type in ("Patient", "Practitioner")}
    | {(type, "phonetic"): ("name",) for type in ("Person", "RelatedPerson")}
    | {
        (type, "address"): _ADDRESS
        for type in ("InsurancePlan", "Location", "Organization", "Patient", "Person",
                     "Practitioner", "RelatedPerson")
    }
)  # fmt: skip
"""Parameters that are by definition the union of others: they are asked as those.

What a parameter that names itself too says beyond the others (the text of a name, the lines of an
address) is indexed under it; one that does not name itself is not indexed.
"""
_SORTED = MappingProxyType({"name": "family", "phonetic": "family", "address": "address-city"})


def asked_as(type_name: str, param: str) -> tuple[str, ...]:
    """The parameters under which the values of a parameter are indexed."""
    return COMBINED.get((type_name, param)) or (param,)


def sorted_as(type_name: str, param: str) -> tuple[str, ...]:
    """The parameters whose values put resources in order: of a whole name or address one part.

    FHIR leaves open what the order of such a parameter is; one part is what its index is in.
    """
    asked = asked_as(type_name, param)
    chosen = _SORTED.get(param)
    return (chosen,) if chosen in asked else asked


class Alternative(NamedTuple):
    """One operand of a parameter's union, for one resource type.

    `keys` are the JSON keys it starts from: without any of them it yields nothing (None = it has
    to be evaluated always). `targets`: the resource types a reference it yields may point to.
    `walks`: the plain paths it comes to, None when it is more than that.
    """

    code: Code
    keys: tuple[str, ...] | None
    targets: tuple[str, ...]
    walks: tuple[Walk, ...] | None = None


class Indexed(NamedTuple):
    """A search parameter of a type with its compiled alternatives."""

    definition: SearchParameter
    alternatives: tuple[Alternative, ...]
    targets: tuple[str, ...]


@cache
def indexed_parameters(type_name: str) -> Mapping[str, Indexed]:
    """The parameters of a resource type that have index values, by code.

    Left out: `_id` and `_lastUpdated` (columns), composite and special ones, those without an
    expression (`_text`, `_content`), and those whose expression names an element that R4 does
    not have (one: DeviceDefinition `classification`).
    """
    found = {}
    for code, definition in search_parameters(type_name).items():
        if definition.type in INDEXED and code not in _COLUMNS and definition.expression:
            compiled = tuple(
                found_one
                for node in alternatives(parse(definition.expression))
                if (found_one := alternative(node, type_name, definition)) is not None
            )
            if compiled:
                found[code] = indexed(definition, compiled)
    if type_name == "Location":
        # special to R4; its cells are looked for like codes
        near = search_parameters(type_name)[NEAR]._replace(type="token")
        cells = Alternative(Code(_position_cells, TypeRef("string")), ("position",), ())
        found[NEAR] = indexed(near, (cells,))
    return MappingProxyType(found)


def _position_cells(items: list[Any], root: Any) -> list[Any]:
    return [cell for item in items for cell in position_cells(item)]


def indexed(definition: SearchParameter, compiled: tuple[Alternative, ...]) -> Indexed:
    """A parameter with its compiled alternatives, and all that they can refer to."""
    targets = {each for one in compiled for each in one.targets}
    return Indexed(definition, compiled, tuple(sorted(targets)))


def alternative(node: Node, type_name: str, definition: SearchParameter) -> Alternative | None:
    """One operand of an expression for one type; None when it gives nothing there."""
    path = _path(node)
    if path and names_type(path[0]):
        if not is_a(type_name, path[0]):
            return None  # the operand of another type that shares the parameter
        path = path[1:]
    start = TypeRef(type_name)
    try:
        code = compile_node(node, Context(start, start))
    except FhirPathError:
        return None
    keys: tuple[str, ...] | None = None
    if path and not isinstance(node, Binary):
        keys = tuple(edge.key for edge in children(type_name).get(path[0], ()))
    plain = walks(node, type_name, code.type)
    return Alternative(code, keys, _targets(node, code, definition), plain)


def _path(node: Node) -> list[str]:
    """The names a path starts with, leftmost first; empty when it starts from something else."""
    names: list[str] = []
    step: Node | None = node
    while step is not None:
        if isinstance(step, Member):
            names.append(step.name)
            step = step.target
        elif isinstance(step, Call | Index):
            step = step.target
        elif isinstance(step, TypeTest):
            step = step.operand
        elif isinstance(step, Binary):
            step = step.left
        else:
            return []
    return names[::-1]


def _targets(node: Node, code: Code, definition: SearchParameter) -> tuple[str, ...]:
    if definition.type != "reference":
        return ()
    filtered = _resolved_type(node)
    if filtered is not None:
        return (filtered,)
    declared = code.type.targets if code.type is not None else ()
    listed = definition.targets or RESOURCE_TYPES
    if not declared:
        return listed
    return tuple(each for each in declared if each in listed) or declared


def _resolved_type(node: Node) -> str | None:
    """T of `….where(resolve() is T)`."""
    if isinstance(node, Call) and node.name == "where" and len(node.arguments) == 1:
        test = node.arguments[0]
        if isinstance(test, TypeTest) and test.operator == "is":
            inner = test.operand
            if isinstance(inner, Call) and inner.name == "resolve":
                return test.type
    return None
