"""Contained resources in the index of their container (FHIR R4 3.1.1.5.8 and chains).

What a contained resource offers to search stands among the values of its container under names of
its own: `medication#Medication.code` where the parameter `medication` refers to it, so that a
chain is evaluated inside (all kinds of values). Wherever it stands its codes, references and URIs
count as `#Medication.code` of one type for all containers, so that contained resources are found
by themselves. No request can name such a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.extract import raw_values
from pater.fhir.search.index import index_values
from pater.fhir.search.parameters import asked_as, indexed_parameters
from pater.fhir.search.query import Condition
from pater.fhir.search.values import IndexValues, TokenValue

ANYWHERE = "#"
"""The type under which what is contained stands, whatever contains it."""
_HERE = "true"


def contained_resources(resource: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The contained resources with their types."""
    listed = resource.get("contained")
    for inner in listed if isinstance(listed, list) else ():
        kind = inner.get("resourceType") if isinstance(inner, dict) else None
        if isinstance(kind, str) and kind in TYPE_NUMBER:
            yield kind, inner


def add_contained(type_name: str, resource: dict[str, Any], out: IndexValues) -> IndexValues:
    """Appends what chains find in the contained resources; gives what stands ANYWHERE."""
    referring: dict[str, list[str]] | None = None
    anywhere = IndexValues()
    for kind, inner in contained_resources(resource):
        if referring is None:
            referring = _referring(type_name, resource)
        values = index_values(kind, inner)
        anywhere.tokens.append(TokenValue(f"#{kind}", None, _HERE))
        _add(values, f"#{kind}.", anywhere)
        for code in referring.get(str(inner.get("id", "")), ()):
            mark = f"{code}#{kind}"
            _add(values, f"{mark}.", out)
            out.strings += [each._replace(param=f"{mark}.{each.param}") for each in values.strings]
            out.dates += [each._replace(param=f"{mark}.{each.param}") for each in values.dates]
            out.numbers += [each._replace(param=f"{mark}.{each.param}") for each in values.numbers]
    return anywhere


def _add(values: IndexValues, before: str, out: IndexValues) -> None:
    out.tokens += [each._replace(param=before + each.param) for each in values.tokens]
    out.references += [each._replace(param=before + each.param) for each in values.references]
    out.uris += [each._replace(param=before + each.param) for each in values.uris]


def _referring(type_name: str, resource: dict[str, Any]) -> dict[str, list[str]]:
    """The id of a contained resource → the parameters that refer to it."""
    found: dict[str, list[str]] = {}
    for code, parameter in indexed_parameters(type_name).items():
        if parameter.definition.type != "reference":
            continue
        for value in raw_values(parameter, resource):
            text = value.get("reference") if isinstance(value, dict) else None
            if isinstance(text, str) and text.startswith("#"):
                codes = found.setdefault(text[1:], [])
                if code not in codes:
                    codes.append(code)
    return found


def here(kind: str) -> tuple[str, str]:
    """The name and code under which it stands that a container has such a resource at all."""
    return f"#{kind}", _HERE


def inside(condition: Condition, kind: str, param: str = "") -> list[Condition]:
    """A condition on contained resources of a type as conditions (any of them) on containers.

    With `param` of those that this parameter refers to.
    """
    return [
        replace(condition, param=f"{param}#{kind}.{each}")
        for each in asked_as(kind, condition.param)
    ]
