"""Composite parameters: several values that one element has to have together (R4 search)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.definitions import SearchComponent, SearchParameter, search_parameters
from pater.fhir.fhirpath.compile import Code, Context, compile_node, names_type
from pater.fhir.fhirpath.parser import FhirPathError, Member, Node, alternatives, parse
from pater.fhir.fhirpath.types import TypeRef, is_a
from pater.fhir.search.convert import converter
from pater.fhir.search.parameters import Indexed, asked_as, indexed_parameters
from pater.fhir.search.values import IndexValues

# R4 publishes the two parts of this one crosswise: `relatesto` is the reference, `relation` the
# code.
_CROSSED = frozenset((("DocumentReference", "relationship"),))


class Component(NamedTuple):
    """One part: the parameter whose values it has (`param` = the code they are indexed under)."""

    code: str
    param: str
    parameter: Indexed


class _Base(NamedTuple):
    """Where the elements come from, and for each component what to read of one."""

    elements: Code
    parts: tuple[tuple[Code, ...], ...]


class Composite(NamedTuple):
    """A composite parameter of a type. `whole`: its one element is the resource itself."""

    definition: SearchParameter
    components: tuple[Component, ...]
    bases: tuple[_Base, ...]
    whole: bool


@cache
def composites(type_name: str) -> Mapping[str, Composite]:
    """The composite parameters of a resource type that can be searched, by code."""
    known = {
        parameter.definition.url: (code, parameter)
        for code, parameter in indexed_parameters(type_name).items()
    }
    found = {}
    for code, definition in search_parameters(type_name).items():
        if definition.type == "composite":
            made = composite(definition, type_name, known)
            if isinstance(made, Composite):
                found[code] = made
    return MappingProxyType(found)


def composite(
    definition: SearchParameter, type_name: str, known: Mapping[str, tuple[str, Indexed]]
) -> Composite | str:
    """A composite parameter for one type, or why there is none.

    `known` are the parameters that it may be made of, by the address of their definitions.
    """
    parts = definition.components
    if (type_name, definition.code) in _CROSSED:
        first, second = parts
        parts = (
            SearchComponent(first.definition, second.expression),
            SearchComponent(second.definition, first.expression),
        )
    if len(parts) < 2:
        return "a composite parameter has at least two components"
    components = []
    for part in parts:
        if part.definition not in known:
            return f"{type_name} has no search parameter {part.definition[:200]}"
        code, parameter = known[part.definition]
        components.append(Component(code, asked_as(type_name, code)[0], parameter))
    bases: list[_Base] = []
    whole = True
    for node in alternatives(parse(definition.expression)):
        base = _base(node, type_name, parts)
        if base is not None:
            bases.append(base)
            whole = whole and isinstance(node, Member) and node.target is None
    if not bases:
        return f"the expressions give nothing on {type_name}"
    return Composite(definition, tuple(components), tuple(bases), whole)


def _base(node: Node, type_name: str, parts: tuple[SearchComponent, ...]) -> _Base | None:
    start = TypeRef(type_name)
    first = node
    while isinstance(first, Member) and first.target is not None:
        first = first.target
    if isinstance(first, Member) and names_type(first.name) and not is_a(type_name, first.name):
        return None  # the operand of another type that shares the parameter
    try:
        elements = compile_node(node, Context(start, start))
    except FhirPathError:
        return None
    if elements.type is None:
        return None
    codes = []
    for part in parts:
        # R4 writes `value.as(DateTime)` in one place
        text = part.expression.replace("as(DateTime)", "as(dateTime)")
        found = []
        for each in alternatives(parse(text)):
            try:
                found.append(compile_node(each, Context(elements.type, start)))
            except FhirPathError:
                continue
        if not found:
            return None
        codes.append(tuple(found))
    return _Base(elements, tuple(codes))


def elements(made: Composite, resource: dict[str, Any]) -> Iterator[tuple[IndexValues, ...]]:
    """The index values of all components, element by element."""
    for base in made.bases:
        for item in base.elements.fn([resource], resource):
            yield tuple(
                _values(component, codes, item, resource)
                for component, codes in zip(made.components, base.parts, strict=True)
            )


def _values(
    component: Component, codes: tuple[Code, ...], item: Any, resource: dict[str, Any]
) -> IndexValues:
    out = IndexValues()
    kind = component.parameter.definition.type
    for code in codes:
        if code.type is not None:
            typed = [(code.type, value) for value in code.fn([item], resource)]
        else:
            typed = code.fn([item], resource)
        for found, value in typed:
            convert = converter(kind, found)
            if convert is not None:
                convert(component.param, value, found, out)
    return out
