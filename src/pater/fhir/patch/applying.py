"""Applies a FHIRPath Patch to a copy of a resource: every operation sees what the last one left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pater.fhir.fhirpath.items import Field
from pater.fhir.patch.places import Finder, Place
from pater.fhir.patch.reading import Operation, PatchError
from pater.fhir.patch.values import (
    Value,
    append,
    copied,
    fields_named,
    lists,
    put,
    repeats,
    store,
    value_for,
)


def apply(resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """The patched copy; what is left empty is taken out. Raises PatchError."""
    document: dict[str, Any] = copied(resource)
    finder = Finder(document)
    for operation in operations:
        _DOING[operation.type](finder, operation)
    return document


def _add(finder: Finder, operation: Operation) -> None:
    place = _one(finder, operation)
    holder, kind = _content(finder, place, operation)
    among = fields_named(kind, operation.name)
    if not among:
        text = f"{kind} has no element {operation.name[:64]}"
        raise PatchError(text, f"{operation.at}.part.where(name='name')")
    field, value = _value(operation, among)
    taken = [f for f in among if f is not field and (f.key in holder or f.hidden in holder)]
    if taken or not append(holder, field, value, repeats(kind, field.key)):
        raise _impossible(operation, "the element is there already and does not repeat")
    if place.holder is not None and place.field is not None and holder is not finder.value(place):
        _extend(place, place.field, holder)


def _insert(finder: Finder, operation: Operation) -> None:
    place = _list(finder, operation)
    holder, field = _where(place)
    found, value = _value(operation, [field])
    values, extras = lists(holder, found)
    if operation.index > len(values):
        raise _impossible(operation, "the index is behind the end of the list")
    values.insert(operation.index, value.value)
    extras.insert(operation.index, value.extra)
    store(holder, found, values, extras)


def _move(finder: Finder, operation: Operation) -> None:
    holder, field = _where(_list(finder, operation))
    values, extras = lists(holder, field)
    if max(operation.source, operation.destination) >= len(values):
        raise _impossible(operation, "the list has no such place")
    for each in (values, extras):
        each.insert(operation.destination, each.pop(operation.source))
    store(holder, field, values, extras)


def _replace(finder: Finder, operation: Operation) -> None:
    place = _one(finder, operation)
    if place.holder is None or place.field is None:
        raise _impossible(operation, "a resource is not replaced by a patch")
    among = next(
        (
            fields_named(place.kind, name)
            for name in (_element_name(place), place.field.key)
            if fields_named(place.kind, name)
        ),
        [place.field],
    )
    field, value = _value(operation, among)
    if place.index is None:
        put(place.holder, place.field, Value(None, None))
        put(place.holder, field, value)
        return
    values, extras = lists(place.holder, field)
    values[place.index], extras[place.index] = value.value, value.extra
    store(place.holder, field, values, extras)


def _delete(finder: Finder, operation: Operation) -> None:
    found = finder.find(operation.path, operation.tree, operation.at)
    if not found:
        return  # what is not there needs no deleting
    place = _one(finder, operation, found)
    if place.holder is None:
        raise _impossible(operation, "a resource is not deleted by a patch")
    _remove(place)


def _remove(place: Place) -> None:
    """Takes an element out, and whatever is empty without it."""
    holder, field = _where(place)
    if place.index is None:
        put(holder, field, Value(None, None))
    else:
        values, extras = lists(holder, field)
        del values[place.index], extras[place.index]
        store(holder, field, values, extras)
    above = place.above
    if holder or above is None or above.holder is None or above.field is None:
        return
    if place.inside and above.type.name == "Element":
        _extend(above, above.field, None)
    else:
        _remove(above)


def _extend(place: Place, field: Field, extra: dict[str, Any] | None) -> None:
    """Sets what extends a primitive."""
    assert place.holder is not None
    if place.index is None:
        put(place.holder, field, Value(place.holder.get(field.key), extra))
        return
    values, extras = lists(place.holder, field)
    extras[place.index] = extra
    store(place.holder, field, values, extras)


def _content(finder: Finder, place: Place, operation: Operation) -> tuple[dict[str, Any], str]:
    """The object that holds an element's children, and its type: of a primitive its extension."""
    value = finder.value(place)
    if isinstance(value, dict):
        return value, place.type.name
    assert place.holder is not None and place.field is not None
    beside = place.holder.get(place.field.hidden)
    if isinstance(beside, list) and place.index is not None:
        beside = beside[place.index] if place.index < len(beside) else None
    return dict(beside) if isinstance(beside, dict) else {}, "Element"


def _element_name(place: Place) -> str:
    """The name of an element whose key may say its type as well (`value` of `valueString`)."""
    assert place.field is not None
    kind = place.field.type.name.rpartition(".")[2]
    suffix = kind[:1].upper() + kind[1:]
    return place.field.key.removesuffix(suffix) or place.field.key


def _one(finder: Finder, operation: Operation, found: Sequence[Place] | None = None) -> Place:
    if found is None:
        found = finder.find(operation.path, operation.tree, operation.at)
    if not found:
        raise _impossible(operation, "there is nothing at the path")
    if len(found) > 1:
        raise _impossible(operation, f"the path means {len(found)} elements, and not one")
    return found[0]


def _list(finder: Finder, operation: Operation) -> Place:
    """Any element of the one list that the path means."""
    found = finder.find(operation.path, operation.tree, operation.at)
    if not found:
        raise _impossible(operation, "there is nothing at the path")
    first = found[0]
    holder, field = first.holder, first.field
    whole = holder is not None and field is not None and first.index is not None
    if not whole or any(each.holder is not holder or each.field != field for each in found):
        raise _impossible(operation, "the path means no list")
    if holder is not None and field is not None and len(found) != len(lists(holder, field)[0]):
        raise _impossible(operation, "the path means a part of a list, and not the list")
    return first


def _where(place: Place) -> tuple[dict[str, Any], Field]:
    assert place.holder is not None and place.field is not None
    return place.holder, place.field


def _value(operation: Operation, among: Sequence[Field]) -> tuple[Field, Value]:
    assert operation.value is not None  # the reader has seen to it
    at = f"{operation.at}.part.where(name='value')"
    field, value = value_for(operation.value, among, at)
    return field, Value(copied(value.value), copied(value.extra))


def _impossible(operation: Operation, text: str) -> PatchError:
    return PatchError(f"{operation.type} {operation.path[:200]}: {text}", operation.at)


_DOING = {
    "add": _add,
    "insert": _insert,
    "move": _move,
    "replace": _replace,
    "delete": _delete,
}
