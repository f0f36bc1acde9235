"""The values of one search parameter of one resource: as the index has them, or as they stand."""

from __future__ import annotations

from typing import Any

from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.search.convert import converter
from pater.fhir.search.parameters import Indexed
from pater.fhir.search.values import IndexValues


def values_of(param: str, parameter: Indexed, resource: dict[str, Any]) -> IndexValues:
    """The index values of one parameter, under the name `param`; never raises."""
    out = IndexValues()
    add_values(param, parameter, resource, out)
    return out


def add_values(
    param: str, parameter: Indexed, resource: dict[str, Any], out: IndexValues
) -> None:  # fmt: skip
    """As `values_of`, appended to `out`."""
    kind = parameter.definition.type
    for found, value in _typed(parameter, resource):
        convert = converter(kind, found)
        if convert is not None:
            convert(param, value, found, out)


def raw_values(parameter: Indexed, resource: dict[str, Any]) -> list[Any]:
    """The elements that a parameter looks at."""
    return [value for _, value in _typed(parameter, resource)]


def _typed(parameter: Indexed, resource: dict[str, Any]) -> list[tuple[TypeRef, Any]]:
    found: list[tuple[TypeRef, Any]] = []
    for alternative in parameter.alternatives:
        fn, kind = alternative.code
        if kind is None:
            found += fn([resource], resource)
        else:
            found += [(kind, value) for value in fn([resource], resource)]
    return found
