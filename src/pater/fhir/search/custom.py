"""Search parameters beyond R4: read from SearchParameter resources, kept as one immutable set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pater.fhir.definitions import (
    RESOURCE_TYPES,
    TYPE_NUMBER,
    SearchComponent,
    SearchParameter,
    search_parameters,
)
from pater.fhir.fhirpath import EvaluationError, compile_expression
from pater.fhir.fhirpath.compile import Code
from pater.fhir.fhirpath.parser import FhirPathError, alternatives, parse
from pater.fhir.fhirpath.types import is_a
from pater.fhir.issues import Issue
from pater.fhir.search.composites import Composite, composite
from pater.fhir.search.convert import converter
from pater.fhir.search.parameters import INDEXED, Alternative, Indexed, alternative, indexed
from pater.fhir.search.parameters import indexed_parameters as r4_parameters

Parameter = Indexed | Composite
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,62}\Z")
_RESERVED = frozenset(("and", "or", "not"))
_MAX_EXPRESSION = 4_000


@dataclass(frozen=True, slots=True)
class Definition:
    """A SearchParameter resource that is in force; `id` is the resource's."""

    id: str
    parameter: SearchParameter


@dataclass(frozen=True, slots=True)
class Custom:
    """The parameters beyond R4 that are in force now, by resource type and code.

    `progress` names those whose index is not complete yet: (type, code) → how far it is, in words.
    """

    by_type: Mapping[str, Mapping[str, Parameter]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    progress: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, type_name: str) -> Mapping[str, Parameter]:
        """The parameters of a type by code."""
        return self.by_type.get(type_name, _NOTHING)


_NOTHING: Mapping[str, Parameter] = MappingProxyType({})
NONE = Custom()
"""No parameter beyond R4."""


def definition(resource: dict[str, Any]) -> SearchParameter | None:
    """What a (valid) SearchParameter resource defines; None when it is not to be used.

    Only an active one with an expression is; one that R4 itself defines stays as R4 has it.
    """
    if resource.get("status") != "active" or not resource.get("expression"):
        return None
    url = str(resource.get("url", ""))
    base = tuple(each for each in resource.get("base", ()) if isinstance(each, str))
    code = str(resource.get("code", ""))
    if _of_r4(resource):
        return None
    components = tuple(
        SearchComponent(str(part.get("definition", "")), str(part.get("expression", "")))
        for part in resource.get("component", ())
        if isinstance(part, dict)
    )
    targets = tuple(each for each in resource.get("target", ()) if each in TYPE_NUMBER)
    kind = str(resource.get("type", ""))
    if kind == "special":
        return None
    return SearchParameter(
        code, kind, base, str(resource["expression"]), targets, components, url
    )  # fmt: skip


def _of_r4(resource: dict[str, Any]) -> bool:
    """Whether R4 itself defines the parameter."""
    code = str(resource.get("code", ""))
    bases = [each for each in resource.get("base", ()) if isinstance(each, str)]
    types = ["Patient" if each in ("Resource", "DomainResource") else each for each in bases]
    known = [search_parameters(each).get(code) for each in types if each in TYPE_NUMBER]
    return any(each is not None and each.url == resource.get("url") for each in known)


def problems(resource: dict[str, Any], custom: Custom = NONE) -> list[Issue]:
    """What keeps a SearchParameter resource from being searched by, each with its place.

    Where R4 has a parameter of the same name, that one stays in force.
    """
    made = definition(resource)
    if made is None:
        return [] if resource.get("status") != "active" or _of_r4(resource) else _useless(resource)
    issues: list[Issue] = []

    def refuse(path: str, text: str) -> None:
        issues.append(Issue("error", "invalid", f"SearchParameter.{path}", text))

    if not _CODE.match(made.code) or made.code in _RESERVED:
        refuse("code", "a code has letters, digits and '-', beginning with a letter")
    if made.type not in (*INDEXED, "composite"):
        refuse("type", "this server has no index for parameters of such a type")
        return issues
    types = types_of(made)
    for number, name in enumerate(made.base):
        if name not in TYPE_NUMBER and name not in ("Resource", "DomainResource"):
            refuse(f"base[{number}]", "R4 has no such resource type")
    for name in types:
        other = custom.of(name).get(made.code)
        if other is not None and other.definition.url != made.url:
            refuse("code", f"another parameter has this name on {name}")
            break
    if len(made.expression) > _MAX_EXPRESSION:
        refuse("expression", f"an expression has at most {_MAX_EXPRESSION} characters")
        return issues
    for path, text in _expressions(made):
        try:
            parse(text)
        except FhirPathError as problem:
            refuse(path, f"this is no FHIRPath expression: {problem}")
    if not issues and types:
        found = {name: compiled(made, name, custom) for name in types}
        if all(isinstance(each, str) for each in found.values()):
            refuse("expression", str(next(iter(found.values()))))
        elif misfit := _misfit(found.values()):
            refuse("type", f"a {made.type} parameter has no index for elements of type {misfit}")
    return issues


def _useless(resource: dict[str, Any]) -> list[Issue]:
    """Why an active parameter could never be searched by."""
    if resource.get("type") == "special":
        path, text = "type", "this server has no index for parameters of such a type"
    else:
        path, text = "expression", "an active parameter has an expression to be indexed by"
    return [Issue("error", "invalid", f"SearchParameter.{path}", text)]


def _misfit(found: Iterable[Parameter | str]) -> str:
    """The types of the elements when the parameter can index none of them; "" when it can."""
    kinds: dict[str, None] = {}
    for each in found:
        if not isinstance(each, Indexed):
            continue
        for one in each.alternatives:
            kind = one.code.type
            if kind is None or converter(each.definition.type, kind) is not None:
                return ""
            kinds[kind.name] = None
    return ", ".join(kinds)


def _expressions(made: SearchParameter) -> list[tuple[str, str]]:
    parts = [
        (f"component[{number}].expression", part.expression)
        for number, part in enumerate(made.components)
    ]
    return [("expression", made.expression), *parts]


def types_of(made: SearchParameter) -> tuple[str, ...]:
    """The resource types that a parameter is for."""
    return tuple(name for name in RESOURCE_TYPES if any(is_a(name, base) for base in made.base))


def compiled(made: SearchParameter, type_name: str, custom: Custom = NONE) -> Parameter | str:
    """A parameter ready for one type, or why it can give nothing there."""
    if made.type == "composite":
        known = {p.definition.url: (code, p) for code, p in r4_parameters(type_name).items()}
        known |= {
            p.definition.url: (code, p)
            for code, p in custom.of(type_name).items()
            if isinstance(p, Indexed)
        }
        try:
            return composite(made, type_name, known)
        except FhirPathError as problem:
            return str(problem)
    found: list[Alternative] = []
    problem_text = f"the expression gives nothing on {type_name}"
    try:
        for node in alternatives(parse(made.expression)):
            one = alternative(node, type_name, made)
            if one is not None:
                found.append(one)
        if not found:
            found = [_by_engine(made, type_name)]
    except FhirPathError as problem:
        problem_text = str(problem)
    return indexed(made, tuple(found)) if found else problem_text


def _by_engine(made: SearchParameter, type_name: str) -> Alternative:
    """The whole language, for what the straight way does not know. Raises FhirPathError."""
    expression = compile_expression(made.expression, type_name)

    def values(items: list[Any], root: Any) -> list[Any]:
        try:
            return list(expression.typed(root))
        except EvaluationError:
            return []  # of this resource it has no value

    return Alternative(Code(values, None), None, made.targets or RESOURCE_TYPES)


def together(
    definitions: Iterable[SearchParameter], progress: Mapping[tuple[str, str], str]
) -> Custom:
    """All parameters in force as one set; what gives nothing on a type is left out there."""
    ordered = sorted(definitions, key=lambda each: (each.type == "composite", each.url))
    by_type: dict[str, dict[str, Parameter]] = {}
    for made in ordered:
        so_far = Custom({name: MappingProxyType(each) for name, each in by_type.items()})
        for name in types_of(made):
            if made.code in search_parameters(name) or made.code in by_type.get(name, {}):
                continue
            parameter = compiled(made, name, so_far)
            if not isinstance(parameter, str):
                by_type.setdefault(name, {})[made.code] = parameter
    frozen = {name: MappingProxyType(each) for name, each in by_type.items()}
    return Custom(MappingProxyType(frozen), MappingProxyType(dict(progress)))
