"""Finds the places in a resource that a FHIRPath means, so that they can be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pater.fhir.fhirpath import EvaluationError, FhirPathError, compile_expression
from pater.fhir.fhirpath.items import Field, fields, fields_by_key
from pater.fhir.fhirpath.parser import Index, Literal, Member, Node
from pater.fhir.fhirpath.types import TypeRef, resource_type
from pater.fhir.patch.reading import PatchError

MOST_LOOKED_AT: Final = 500_000
"""Elements that the paths of one patch may make us look at, where a path is no simple one."""
_ELEMENT: Final = TypeRef("Element")


@dataclass(frozen=True, slots=True)
class Place:
    """One element: `holder[field.key]`, or its `index`-th value. The root has no holder.

    `kind` is the type of the holder and `type` that of the element itself; `above` is the place
    whose content the holder is. `inside` says that the holder is what extends a primitive.
    """

    type: TypeRef
    holder: dict[str, Any] | None = None
    kind: str = ""
    field: Field | None = None
    index: int | None = None
    above: Place | None = None
    inside: bool = False


@dataclass(slots=True)
class Finder:
    """Finds places in one resource, whose content may change between two calls."""

    document: dict[str, Any]
    looked_at: int = field(default=0)

    @property
    def root(self) -> Place:
        """The resource itself."""
        return Place(resource_type(self.document))

    def find(self, path: str, tree: Node, at: str) -> list[Place]:
        """The places that a path means, in order. Raises PatchError."""
        straight = self._straight(tree)
        if straight is not None:
            return straight
        try:
            return self._evaluated(path, at)
        except FhirPathError as error:
            raise PatchError(f"the path cannot be followed: {error}", at) from None

    def value(self, place: Place) -> Any:
        """What stands there; None where only an extension of a primitive does."""
        if place.holder is None or place.field is None:
            return self.document
        found = place.holder.get(place.field.key)
        if place.index is None or found is None:
            return found
        return found[place.index] if place.index < len(found) else None

    def _straight(self, node: Node) -> list[Place] | None:
        """The places of a path of names and numbers; None for any other path."""
        match node:
            case Member(target=None, name=name) if name == self.root.type.name:
                return [self.root]
            case Member(target=target, name=name):
                before = [self.root] if target is None else self._straight(target)
                if before is None:
                    return None
                found: list[Place] = []
                for place in before:
                    value = self.value(place)
                    if not isinstance(value, dict) or not fields(place.type.name).get(name):
                        return None  # an extension of a primitive, or no such element: say why
                    for each in fields(place.type.name)[name]:
                        found += _below(place, value, each)
                return found
            case Index(target=target, index=Literal(value=int(number))):
                whole = self._straight(target)
                return None if whole is None else whole[number : number + 1]
        return None

    def _evaluated(self, path: str, at: str) -> list[Place]:
        marked = _Marked()
        copy = marked.copy(self.document, self.root)
        self.looked_at += len(marked.places)
        if self.looked_at > MOST_LOOKED_AT:
            raise PatchError("the paths of this patch make too much work", at)
        found: list[Place] = []
        expression = compile_expression(path, self.root.type.name)
        try:
            items = expression.items(copy)
        except EvaluationError as error:
            raise PatchError(f"the path cannot be followed: {error}", at) from None
        for _, value, extra in items:
            place = marked.places.get(id(value)) or marked.places.get(id(extra))
            if place is None:
                raise PatchError("the path gives a value and no element", at)
            found.append(place)
        return found


def _below(
    place: Place, value: dict[str, Any], each: Field, *, inside: bool = False
) -> list[Place]:
    """The places under one key of an object."""
    here = value.get(each.key)
    beside = value.get(each.hidden)

    def at(one: Any, index: int | None) -> Place:
        return Place(_type(each, one), value, place.type.name, each, index, place, inside)

    if isinstance(here, list) or isinstance(beside, list):
        values: Sequence[Any] = here if isinstance(here, list) else ()
        extras: Sequence[Any] = beside if isinstance(beside, list) else ()
        return [
            at(values[n] if n < len(values) else None, n)
            for n in range(max(len(values), len(extras)))
        ]
    return [] if here is None and beside is None else [at(here, None)]


def _type(each: Field, value: Any) -> TypeRef:
    return resource_type(value) if each.resource else each.type


class _Marked:
    """A copy of a resource in which every element is an object of its own, known by identity.

    Primitives have none, so each gets something beside it: what extends it, or an empty object.
    """

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}
        self._kept: list[Any] = []  # so that no identity is given twice

    def copy(self, value: Mapping[str, Any], place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        self._mark(out, place)
        known = fields_by_key(place.type.name)
        for key, each in value.items():
            found = known.get(key)
            if found is None:
                out[key] = each
            elif key == found.key or found.key not in value:
                self._element(value, found, place, out)
        return out

    def _element(
        self, value: Mapping[str, Any], found: Field, place: Place, out: dict[str, Any]
    ) -> None:
        holder = value if isinstance(value, dict) else dict(value)
        below = _below(place, holder, found, inside=place.inside)
        here, beside = value.get(found.key), value.get(found.hidden)
        if isinstance(here, dict):
            out[found.key] = self.copy(here, below[0])
        elif isinstance(here, list) and all(isinstance(each, dict) for each in here):
            out[found.key] = [
                self.copy(each, one) for each, one in zip(here, below, strict=True)
            ]  # fmt: skip
        elif isinstance(here, list) or isinstance(beside, list):
            extras = list(beside) if isinstance(beside, list) else []
            extras += [None] * (len(below) - len(extras))
            values = list(here) if isinstance(here, list) else []
            out[found.key] = values + [None] * (len(below) - len(values))
            out[found.hidden] = [
                self._beside(extra, one) for extra, one in zip(extras, below, strict=True)
            ]
        else:
            if here is not None:
                out[found.key] = here
            out[found.hidden] = self._beside(beside, below[0])

    def _beside(self, extra: Any, place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if isinstance(extra, dict):
            owner = Place(_ELEMENT, place.holder, place.kind, place.field, place.index, place.above)
            inner = fields_by_key("Element")
            for key, each in extra.items():
                found = inner.get(key)
                if found is None:
                    out[key] = each
                elif key == found.key:
                    below = _below(owner, extra, found, inside=True)
                    if isinstance(each, list):
                        out[key] = [
                            self.copy(one, spot) if isinstance(one, dict) else one
                            for one, spot in zip(each, below, strict=True)
                        ]
                    else:
                        out[key] = each
        self._mark(out, place)
        return out

    def _mark(self, out: dict[str, Any], place: Place) -> None:
        self._kept.append(out)
        self.places[id(out)] = place
