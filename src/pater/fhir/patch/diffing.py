"""The FHIRPath Patch that turns one resource into another."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from pater.fhir.fhirpath.items import Field, Item, fields, values_at
from pater.fhir.fhirpath.types import resource_type
from pater.fhir.json import LiteralDecimal
from pater.fhir.patch.values import part_of, repeats

MOST_OPERATIONS: Final = 10_000
_UNPAIRED: Final = -1


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that make `new` of `old`, two resources of one type (ValueError otherwise).

    Elements of a list are the same when they are equal or have one `id`; of what is left over, the
    first becomes the first. Values are compared as they are written, decimals by their digits.
    """
    kind = resource_type(old).name
    if kind != resource_type(new).name:
        raise ValueError("two resources of different types have no difference")
    found: list[dict[str, Any]] = []
    for operation in _objects(kind, old, new, kind):
        found.append(operation)
        if len(found) > MOST_OPERATIONS:
            raise ValueError(f"the resources differ in more than {MOST_OPERATIONS} places")
    out: dict[str, Any] = {"resourceType": "Parameters"}
    return {**out, "parameter": found} if found else out


def _objects(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any], path: str
) -> Iterator[dict[str, Any]]:
    """Deletions come last: an object must not be empty before something else stands in it."""
    gone: list[Iterator[dict[str, Any]]] = []
    for name, alternatives in fields(kind).items():
        if len(alternatives) > 1:
            found = _choices(name, alternatives, old, new, path)
            if any(f.key in new or f.hidden in new for f in alternatives):
                yield from found
            else:
                gone.append(found)
            continue
        field = alternatives[0]
        before, after = list(values_at(dict(old), field)), list(values_at(dict(new), field))
        if before and not after:
            several = repeats(kind, field.key)
            gone.append(
                _lists(name, field, before, after, path)
                if several
                else _single(name, field, before, after, path)
            )
        elif repeats(kind, field.key):
            yield from _lists(name, field, before, after, path)
        else:
            yield from _single(name, field, before, after, path)
    for deletions in gone:
        yield from deletions


def _choices(
    name: str,
    alternatives: tuple[Field, ...],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    path: str,
) -> Iterator[dict[str, Any]]:
    before = [(f, item) for f in alternatives for item in values_at(dict(old), f)]
    after = [(f, item) for f in alternatives for item in values_at(dict(new), f)]
    if before and after and before[0][0] is not after[0][0]:
        yield _operation("replace", f"{path}.{name}", value=part_of("value", after[0][1],
                                                                    after[0][0]))  # fmt: skip
        return
    if not (before or after):
        return
    field = (before or after)[0][0]
    yield from _single(name, field, [i for _, i in before], [i for _, i in after], path)


def _single(
    name: str, field: Field, before: list[Item], after: list[Item], path: str
) -> Iterator[dict[str, Any]]:
    here = f"{path}.{name}"
    if before and after:
        yield from _pair(field, before[0], after[0], here)
    elif before:
        yield _operation("delete", here)
    elif after:
        yield _operation("add", path, name, value=part_of("value", after[0], field))


def _pair(field: Field, before: Item, after: Item, path: str) -> Iterator[dict[str, Any]]:
    if written(before) == written(after):
        return
    objects = isinstance(before[1], dict) and isinstance(after[1], dict)
    # another type or id: another thing in the same place
    if objects and before[0].name == after[0].name and before[1].get("id") == after[1].get("id"):
        yield from _objects(before[0].name, before[1], after[1], path)
        return
    yield _operation("replace", path, value=part_of("value", after, field))


def _lists(
    name: str, field: Field, before: list[Item], after: list[Item], path: str
) -> Iterator[dict[str, Any]]:
    here = f"{path}.{name}"
    partner = _partners(before, after)
    kept = set(partner) - {_UNPAIRED}
    for number in reversed(range(len(before))):
        if number not in kept:
            yield _operation("delete", f"{here}[{number}]")
    current = [number for number in range(len(before)) if number in kept]
    for place, number in enumerate(partner):
        if number == _UNPAIRED:
            value = part_of("value", after[place], field)
            if place == len(current):
                yield _operation("add", path, name, value=value)
            else:
                yield _operation("insert", here, index=place, value=value)
            current.insert(place, _UNPAIRED)
            continue
        at = current.index(number, place)
        if at != place:
            yield _operation("move", here, source=at, destination=place)
            current.insert(place, current.pop(at))
        yield from _pair(field, before[number], after[place], f"{here}[{place}]")


def _partners(before: list[Item], after: list[Item]) -> list[int]:
    """For each element of the new list the place of its partner in the old one, -1 for none."""
    partner = [_UNPAIRED] * len(after)
    taken: set[int] = set()
    for key in (written, _identity):
        places: dict[bytes, deque[int]] = defaultdict(deque)
        for number, item in enumerate(before):
            if number not in taken and key(item):
                places[key(item)].append(number)
        for number, item in enumerate(after):
            waiting = places.get(key(item)) if partner[number] == _UNPAIRED else None
            if waiting:
                partner[number] = waiting.popleft()
                taken.add(partner[number])
    # an element with an id is that one and no other
    rest = deque(n for n, item in enumerate(before) if n not in taken and not _identity(item))
    for number, item in enumerate(after):
        if rest and partner[number] == _UNPAIRED and not _identity(item):
            partner[number] = rest.popleft()
    if before and after and not taken and set(partner) == {_UNPAIRED}:
        partner[0] = 0  # a list must not be empty in between
    return partner


def _identity(item: Item) -> bytes:
    holder = item[1] if isinstance(item[1], dict) else item[2]
    found = holder.get("id") if isinstance(holder, dict) else None
    return found.encode() if isinstance(found, str) else b""


def written(item: Item) -> bytes:
    """An item as bytes that are equal only for what is written alike."""
    return orjson.dumps(item[1:], default=_digits, option=orjson.OPT_SORT_KEYS)


def _digits(value: object) -> orjson.Fragment:
    assert isinstance(value, Decimal)
    return orjson.Fragment(value.literal if isinstance(value, LiteralDecimal) else str(value))


def _operation(
    kind: str,
    path: str,
    name: str = "",
    *,
    value: dict[str, Any] | None = None,
    **places: int,
) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
    ]
    if name:
        parts.append({"name": "name", "valueString": name})
    parts += [{"name": key, "valueInteger": number} for key, number in places.items()]
    if value is not None:
        parts.append(value)
    return {"name": "operation", "part": parts}
