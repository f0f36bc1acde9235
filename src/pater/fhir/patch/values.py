"""The value part of a patch operation to what stands in a resource, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from pater.fhir.definitions import TYPE_NUMBER, type_kind
from pater.fhir.fhirpath.items import Field, Item, fields, fields_by_key, values_at
from pater.fhir.fhirpath.types import children, is_a
from pater.fhir.patch.reading import PatchError, parts_of
from pater.fhir.xml.shapes import shape

_DEEPEST: Final = 64
_WHOLE: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_ANY: Final = frozenset({"Resource", "DomainResource"})


class Value(NamedTuple):
    """What stands under one key: `extra` is what extends a primitive, `value` None = only that."""

    value: Any
    extra: Any


def copied(value: Any) -> Any:
    """A copy of a JSON tree that shares no container with it; far cheaper than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


@cache
def open_types() -> Mapping[str, str]:
    """The types that a parameter can have by the key of its value (`valueDate` → date)."""
    return {edge.key: edge.type.name for edge in children("Parameters.parameter")["value"]}


@cache
def _keys() -> Mapping[str, str]:
    return {name: key for key, name in open_types().items()}


def repeats(kind: str, key: str) -> bool:
    """Whether the element under a JSON key of a type (or backbone path) is an array."""
    slot = shape(kind.partition(".")[0], kind).get(key)
    return slot is not None and slot.many


def fields_named(kind: str, name: str) -> Sequence[Field]:
    """The keys that an element name of a type stands for: `value`, `value[x]`, `valueString`."""
    found = fields(kind).get(name.removesuffix("[x]"))
    if found:
        return found
    field = fields_by_key(kind).get(name)
    return (field,) if field is not None and field.key == name else ()


def value_for(
    part: Mapping[str, Any], among: Sequence[Field], at: str, depth: int = 0
) -> tuple[Field, Value]:
    """The key and value that a `value` part means for one of these fields. Raises PatchError."""
    if depth > _DEEPEST:
        raise PatchError(f"parts are nested deeper than {_DEEPEST} levels", at, malformed=True)
    given = [key for key in part if key.lstrip("_") in open_types()]
    names = {key.lstrip("_") for key in given}
    forms = len(names) + ("resource" in part) + ("part" in part)
    if forms != 1:
        text = "a value is one value[x], one resource, or parts"
        raise PatchError(text, at, malformed=True)
    if "resource" in part:
        return _resource(part["resource"], among, at)
    if "part" in part:
        return _composed(part, among, at, depth)
    key = names.pop()
    stated = open_types()[key]
    value, extra = part.get(key), part.get(f"_{key}")
    field = next((each for each in among if each.type.name == stated), None)
    if field is None:
        field = next((each for each in among if _fits(each.type.name, stated)), None)
    if field is None:
        raise PatchError(f"the element does not take a {stated}", at)
    return field, Value(value, extra)


def _fits(wanted: str, given: str) -> bool:
    """Whether a value stated as one type can stand where another is wanted.

    Texts of primitives are alike; validation decides about their form.
    """
    if type_kind(wanted) == "primitive" and type_kind(given) == "primitive":
        if "boolean" in (wanted, given):
            return wanted == given
        if wanted in _WHOLE:
            return given in _WHOLE
        if wanted == "decimal" or given == "decimal" or given in _WHOLE:
            return wanted == "decimal" and (given in _WHOLE or given == "decimal")
        return True
    return type_kind(given) == "complex" and (is_a(wanted, given) or is_a(given, wanted))


def _resource(given: Any, among: Sequence[Field], at: str) -> tuple[Field, Value]:
    field = next((each for each in among if each.resource), None)
    if field is None:
        raise PatchError("the element does not take a resource", at)
    if not isinstance(given, dict) or str(given.get("resourceType")) not in TYPE_NUMBER:
        raise PatchError("this is no resource", f"{at}.resource", malformed=True)
    return field, Value(given, None)


def _composed(
    part: Mapping[str, Any], among: Sequence[Field], at: str, depth: int
) -> tuple[Field, Value]:
    """An object made of parts: for elements whose type no parameter can have."""
    able = [f for f in among if not f.resource and type_kind(f.type.name) != "primitive"]
    if len(able) != 1:
        text = "parts are for an element with children of its own"
        raise PatchError(text, at)
    field, out = able[0], dict[str, Any]()
    for place, name, inner in parts_of(part, at):
        inside = fields_named(field.type.name, name)
        if not inside:
            raise PatchError(f"there is no element {name[:64]} here", place)
        child, value = value_for(inner, inside, place, depth + 1)
        if not append(out, child, value, repeats(field.type.name, child.key)):
            raise PatchError(f"{name[:64]} stands here already", place)
    return field, Value(out, None)


def append(holder: dict[str, Any], field: Field, value: Value, many: bool) -> bool:
    """Puts a value behind what is there; False when it is there and does not repeat."""
    if many:
        values, extras = lists(holder, field)
        store(holder, field, [*values, value.value], [*extras, value.extra])
        return True
    if holder.get(field.key) is not None or holder.get(field.hidden) is not None:
        return False
    put(holder, field, value)
    return True


def put(holder: dict[str, Any], field: Field, value: Value) -> None:
    """Sets an element that does not repeat."""
    for key, each in ((field.key, value.value), (field.hidden, value.extra)):
        if each is None:
            holder.pop(key, None)
        else:
            holder[key] = each


def lists(holder: Mapping[str, Any], field: Field) -> tuple[list[Any], list[Any]]:
    """Copies of the values of a repeating element and of what extends them, of equal length."""
    values, extras = list(holder.get(field.key) or ()), list(holder.get(field.hidden) or ())
    length = max(len(values), len(extras))
    return (
        values + [None] * (length - len(values)),
        extras + [None] * (length - len(extras)),
    )


def store(holder: dict[str, Any], field: Field, values: list[Any], extras: list[Any]) -> None:
    """Puts back what `lists` gave; what is empty has no key."""
    for key, each in ((field.key, values), (field.hidden, extras)):
        if any(one is not None for one in each):
            holder[key] = each
        else:
            holder.pop(key, None)


def part_of(name: str, item: Item, field: Field) -> dict[str, Any]:
    """A part that gives an item under a name: as value[x], as a resource, or as parts."""
    kind, value, extra = item
    part: dict[str, Any] = {"name": name}
    if field.resource:
        return {**part, "resource": value}
    key = _keys().get(kind.name)
    if key is None and type_kind(kind.name) == "primitive":
        key = "valueString"  # xhtml
    if key is None and is_a(kind.name, "Quantity"):
        key = "valueQuantity"
    if key is not None:
        if value is not None:
            part[key] = value
        if extra is not None:
            part[f"_{key}"] = extra
        return part
    return {**part, "part": list(_parts(kind.name, value))}


def _parts(kind: str, value: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, alternatives in fields(kind).items():
        for field in alternatives:
            for item in values_at(dict(value), field):
                yield part_of(name, item, field)
