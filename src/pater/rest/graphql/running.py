"""Runs a parsed query over FHIR resources: fields, lists, references, searches, directives."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql.language import ast

from pater.fhir.definitions import TYPE_NUMBER, search_parameters, type_kind
from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.fhirpath.items import Field, fields_by_key
from pater.fhir.fhirpath.types import is_a, resource_type
from pater.fhir.references import parse_reference
from pater.rest.errors import HttpError
from pater.rest.graphql.loading import Loading
from pater.rest.search_bundle import CURSOR

DEEPEST: Final = 20
MOST_FIELDS: Final = 50_000
_LONGEST_EXPRESSION: Final = 200
_CALLS: Final = ("descendants", "repeat", "aggregate", "children", "atches")
"""What may cost more than an element is worth: walks, and regular expressions."""

Out = dict[str, Any]


def refused(text: str, code: str = "invalid") -> HttpError:
    """400 for a query that cannot be run."""
    return HttpError(400, code, text)


@dataclass(frozen=True, slots=True)
class _Here:
    """Where a selection stands: the value, its type, the resource that it is in."""

    value: dict[str, Any]
    kind: str
    resource: dict[str, Any]
    depth: int


@dataclass(slots=True)
class Run:
    """One query with its variables and fragments."""

    loading: Loading
    base_url: str
    variables: Mapping[str, Any]
    fragments: Mapping[str, ast.FragmentDefinitionNode]
    fields: int = field(default=0)

    async def of_resource(
        self, resource: dict[str, Any], selections: ast.SelectionSetNode, depth: int = 0
    ) -> Out:
        """The selection of a whole resource."""
        here = _Here(resource, resource_type(resource).name, resource, depth)
        return await self._object(here, selections)

    async def of_system(self, selections: ast.SelectionSetNode) -> Out:
        """The selection of the server: `Type(id:)`, `TypeList`, `TypeConnection`."""
        out: Out = {}
        for node in self._flat(selections, "Query"):
            name = node.name.value
            if name in TYPE_NUMBER:
                arguments = self._arguments(node)
                id = arguments.pop("id", None)
                if not isinstance(id, str) or arguments:
                    raise refused(f"{name} takes an id")
                found = await self.loading.resource(name, id)
                if found is None:
                    raise HttpError(404, "not-found", f"{name}/{id[:64]} is not known")
                value: Any = await self.of_resource(found, self._inside(node), 1)
            else:
                value = await self._found(node, None, 1)
            self._put(out, node, value)
        return out

    async def _object(
        self, here: _Here, selections: ast.SelectionSetNode, *, flat: bool = False
    ) -> Out:
        """The fields of one object; `flat` has each of them as a list (inside @flatten)."""
        if here.depth > DEEPEST:
            raise HttpError(413, "too-costly", f"a query is at most {DEEPEST} levels deep")
        out: Out = {}
        for node in self._flat(selections, here.kind):
            self.fields += 1
            if self.fields > MOST_FIELDS:
                raise HttpError(413, "too-costly", f"an answer has at most {MOST_FIELDS} fields")
            await self._field(here, node, out, flat)
        return out

    async def _field(self, here: _Here, node: ast.FieldNode, out: Out, flat: bool) -> None:
        name = node.name.value
        if name in ("resourceType", "__typename") and not node.arguments:
            known = here.value.get("resourceType") if name == "resourceType" else here.kind
            self._put(out, node, known, flat)
            return
        if name == "resource" and here.kind == "Reference":
            await self._reference(here, node, out, flat)
            return
        if name.endswith(("List", "Connection")) and here.value is here.resource:
            self._put(out, node, await self._found(node, here, here.depth + 1), flat)
            return
        found = fields_by_key(here.kind).get(name)
        if found is None or found.key != name:
            raise refused(f"{here.kind} has no field {name[:64]}")
        value = here.value.get(name)
        if isinstance(value, list):
            values = self._chosen(node, found, value)
        elif node.arguments:
            raise refused(f"{name} is no list, so it takes no arguments")
        else:
            values = [] if value is None else [value]
        await self._values(here, node, found, values, isinstance(value, list), out, flat)

    async def _values(
        self,
        here: _Here,
        node: ast.FieldNode,
        found: Field,
        values: Sequence[Any],
        many: bool,
        out: Out,
        flat: bool,
    ) -> None:
        directives = self._directives(node)
        if "first" in directives:
            values = values[:1]
        done: list[Any] = list(values)
        complex_type = found.resource or type_kind(found.type.name) != "primitive"
        if complex_type != (node.selection_set is not None):
            text = "needs a selection of fields" if complex_type else "has no fields"
            raise refused(f"{node.name.value} {text}")
        if node.selection_set is not None:
            inside = [self._below(here, found, each) for each in values]
            if "flatten" in directives:
                for part in await self._all(inside, node.selection_set, flat=True):
                    _merge(out, part)
                return
            done = await self._all(inside, node.selection_set)
        if "slice" in directives:
            for number, each in enumerate(done):
                suffix = self._suffix(directives["slice"], found, values[number], number)
                out[f"{_alias(node)}.{suffix}"] = each
            return
        if "singleton" in directives:
            out[_alias(node)] = done[0] if done else None
        elif flat:
            _merge(out, {_alias(node): done})
        else:
            out[_alias(node)] = (done if done else None) if many else (done[0] if done else None)

    async def _all(
        self, inside: Sequence[_Here], selections: ast.SelectionSetNode, *, flat: bool = False
    ) -> list[Out]:
        """Side by side, so that their references are read together."""
        return await _together(self._object(each, selections, flat=flat) for each in inside)

    def _below(self, here: _Here, found: Field, value: Any) -> _Here:
        if found.resource:
            return _Here(value, resource_type(value).name, value, here.depth + 1)
        return _Here(value, found.type.name, here.resource, here.depth + 1)

    async def _reference(self, here: _Here, node: ast.FieldNode, out: Out, flat: bool) -> None:
        """`resource` of a Reference: what it refers to (`optional`, `type`)."""
        arguments = self._arguments(node)
        optional, wanted = arguments.pop("optional", False), arguments.pop("type", None)
        if arguments:
            raise refused("resource takes the arguments optional and type")
        text = here.value.get("reference")
        target = await self._target(here, text) if isinstance(text, str) else None
        if target is not None and wanted not in (None, target.get("resourceType")):
            target = None
        elif target is None and not optional:
            raise HttpError(404, "not-found", "a reference leads to nothing that is known here")
        if target is None:
            self._put(out, node, None, flat)
            return
        if "flatten" in self._directives(node):
            inside = _Here(target, resource_type(target).name, target, here.depth + 1)
            _merge(out, await self._object(inside, self._inside(node), flat=True))
            return
        value = await self.of_resource(target, self._inside(node), here.depth + 1)
        self._put(out, node, value, flat)

    async def _target(self, here: _Here, text: str) -> dict[str, Any] | None:
        if text.startswith("#"):
            contained = here.resource.get("contained", ())
            return next((each for each in contained if each.get("id") == text[1:]), None)
        ref = parse_reference(text.removeprefix(f"{self.base_url}/"))
        if ref.kind != "relative" or not ref.type or not ref.id or ref.type not in TYPE_NUMBER:
            return None
        return await self.loading.resource(ref.type, ref.id)

    async def _found(self, node: ast.FieldNode, here: _Here | None, depth: int) -> Any:
        """`TypeList` and `TypeConnection`, of the server or of what refers to a resource."""
        name = node.name.value
        kind = "List" if name.endswith("List") else "Connection"
        type = name.removesuffix(kind)
        if type not in TYPE_NUMBER or not name.endswith(kind):
            raise refused(f"there is no field {name[:64]} here")
        arguments = self._arguments(node)
        parameters = _parameters(type, arguments)
        if here is not None:
            referring = arguments.get("_reference")
            if not isinstance(referring, str):
                raise refused(f"{name} takes _reference here: the parameter that leads to this")
            address = f"{here.kind}/{here.value.get('id', '')}"
            parameters.append((_code(type, referring), address))
        inside = self._inside(node)
        if kind == "Connection":
            parameters.append(("_total", "accurate"))
        resources, page = await self.loading.search(type, parameters)
        if kind == "List":
            return await _together(self.of_resource(each, inside, depth) for each in resources)
        return await self._connection(inside, resources, page.total, page.next, depth)

    async def _connection(
        self,
        selections: ast.SelectionSetNode,
        resources: Sequence[dict[str, Any]],
        total: int | None,
        following: str | None,
        depth: int,
    ) -> Out:
        out: Out = {}
        plain = {"count": total, "pagesize": len(resources), "next": following}
        for node in self._flat(selections, "Connection"):
            name = node.name.value
            if name in plain:
                self._put(out, node, plain[name])
            elif name == "edges":
                inside = self._inside(node)
                edges = await _together(self._edge(inside, each, depth) for each in resources)
                self._put(out, node, edges)
            else:
                raise refused(f"a connection has count, pagesize, next and edges, no {name[:64]}")
        return out

    async def _edge(
        self, selections: ast.SelectionSetNode, resource: dict[str, Any], depth: int
    ) -> Out:
        out: Out = {}
        for node in self._flat(selections, "Edge"):
            name = node.name.value
            if name == "mode":
                self._put(out, node, "match")
            elif name == "resource":
                self._put(
                    out, node, await self.of_resource(resource, self._inside(node), depth + 1)
                )
            else:
                raise refused(f"an edge has mode and resource, no {name[:64]}")
        return out

    def _chosen(self, node: ast.FieldNode, found: Field, values: Sequence[Any]) -> list[Any]:
        """The elements of a list that the arguments leave: by content, FHIRPath, place."""
        arguments = self._arguments(node)
        offset, count = arguments.pop("_offset", 0), arguments.pop("_count", None)
        expression = arguments.pop("fhirpath", None)
        if not _whole(offset) or not (count is None or _whole(count)):
            raise refused("_offset and _count are numbers from 0")
        kept = list(values)
        for name, wanted in arguments.items():
            if fields_by_key(found.type.name).get(name) is None:
                raise refused(f"{found.type.name} has no field {name[:64]}")
            kept = [each for each in kept if _has(each.get(name), wanted)]
        if expression is not None:
            kept = [each for each in kept if _evaluated(expression, found, each)[1]]
        return kept[offset:] if count is None else kept[offset : offset + count]

    def _suffix(self, arguments: Mapping[str, Any], found: Field, value: Any, place: int) -> str:
        expression = arguments.get("fhirpath", arguments.get("path"))
        if expression == "$index":
            return str(place)
        values = _evaluated(expression, found, value)[0]
        return str(values[0]) if values else ""

    def _flat(
        self, selections: ast.SelectionSetNode, kind: str, seen: frozenset[str] = frozenset()
    ) -> list[ast.FieldNode]:
        """The fields of a selection, those of fitting fragments in place."""
        out: list[ast.FieldNode] = []
        for node in selections.selections:
            if not self._wanted(node):
                continue
            if isinstance(node, ast.FieldNode):
                out.append(node)
            elif isinstance(node, ast.InlineFragmentNode):
                if node.type_condition is None or _fits(kind, node.type_condition.name.value):
                    out += self._flat(node.selection_set, kind, seen)
            elif isinstance(node, ast.FragmentSpreadNode):
                name = node.name.value
                fragment = self.fragments.get(name)
                if fragment is None or name in seen:
                    raise refused(f"there is no fragment {name[:64]}, or it holds itself")
                if _fits(kind, fragment.type_condition.name.value):
                    out += self._flat(fragment.selection_set, kind, seen | {name})
        return out

    def _wanted(self, node: ast.SelectionNode) -> bool:
        """What @skip and @include say."""
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                given = {a.name.value: self._value(a.value) for a in directive.arguments or ()}
                if not isinstance(given.get("if"), bool):
                    raise refused(f"@{name} takes if: true or false")
                if given["if"] == (name == "skip"):
                    return False
        return True

    def _directives(self, node: ast.FieldNode) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                continue
            if name not in ("flatten", "first", "singleton", "slice"):
                raise refused(f"there is no directive @{name[:64]}")
            found[name] = {a.name.value: self._value(a.value) for a in directive.arguments or ()}
        return found

    def _arguments(self, node: ast.FieldNode) -> dict[str, Any]:
        return {each.name.value: self._value(each.value) for each in node.arguments or ()}

    def _value(self, node: ast.ValueNode) -> Any:
        match node:
            case ast.VariableNode():
                name = node.name.value
                if name not in self.variables:
                    raise refused(f"the variable {name[:64]} has no value")
                return self.variables[name]
            case ast.IntValueNode():
                return int(node.value[:18])
            case ast.FloatValueNode():
                return float(node.value)
            case ast.StringValueNode() | ast.BooleanValueNode() | ast.EnumValueNode():
                return node.value
            case ast.ListValueNode():
                return [self._value(each) for each in node.values]
        raise refused("an argument is a simple value, or a list of them")

    @staticmethod
    def _inside(node: ast.FieldNode) -> ast.SelectionSetNode:
        if node.selection_set is None:
            raise refused(f"{node.name.value} needs a selection of fields")
        return node.selection_set

    @staticmethod
    def _put(out: Out, node: ast.FieldNode, value: Any, flat: bool = False) -> None:
        if flat:
            values = value if isinstance(value, list) else [] if value is None else [value]
            _merge(out, {_alias(node): values})
        else:
            out[_alias(node)] = value


async def _together(parts: Iterable[Coroutine[Any, Any, Out]]) -> list[Out]:
    """All of them side by side, in order; when one fails the others end."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _alias(node: ast.FieldNode) -> str:
    return node.alias.value if node.alias is not None else node.name.value


def _merge(out: Out, part: Out) -> None:
    """Adds to lists what is a list; what is none comes instead."""
    for name, value in part.items():
        there = out.get(name)
        if isinstance(there, list) and isinstance(value, list):
            out[name] = [*there, *value]
        else:
            out[name] = value


def _fits(kind: str, condition: str) -> bool:
    root = kind.partition(".")[0]
    return condition in (kind, root) or is_a(kind, condition)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _has(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_has(each, wanted) for each in value)
    return type(value) is type(wanted) and bool(value == wanted)


def _evaluated(expression: Any, found: Field, value: Any) -> tuple[list[Any], bool]:
    """What a FHIRPath gives for one element, and whether it is true of it."""
    text = expression if isinstance(expression, str) else ""
    if not text or len(text) > _LONGEST_EXPRESSION or any(each in text for each in _CALLS):
        raise refused("an expression is a short FHIRPath over the element")
    try:
        compiled = compile_expression(text, found.type.name)
        values = compiled.evaluate(value)
    except FhirPathError as error:
        raise refused(f"the expression cannot be followed: {error}") from None
    return values, values == [True] or (bool(values) and not isinstance(values[0], bool))


def _parameters(type: str, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The search parameters that the arguments of a list are; dashes are underscores there."""
    found: list[tuple[str, str]] = []
    for name, value in arguments.items():
        if name == "_reference":
            continue
        code = CURSOR if name == CURSOR else _code(type, name)
        for each in value if isinstance(value, list) else [value]:
            text = str(each).lower() if isinstance(each, bool) else str(each)
            found.append((code, text))
    return found


def _code(type: str, name: str) -> str:
    if name.startswith("_") or name in search_parameters(type):
        return name
    return name.replace("_", "-")
