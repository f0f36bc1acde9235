"""JSON Patch (RFC 6902) on a resource: read strictly, applied to a copy, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pater.fhir.patch import copied
from pater.rest.errors import HttpError
from pater.rest.interactions import parse_body

MEDIA_TYPE: Final = "application/json-patch+json"
MOST_STEPS: Final = 1000
MOST_COPIED: Final = 100_000
"""Values that the `copy` steps of one patch may copy together: copies of copies double."""
_NEEDS: Final = {
    "add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from",
    "remove": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; `source` is its `from`. Pointers are split and unescaped (RFC 6901)."""

    number: int
    op: str
    path: tuple[str, ...]
    source: tuple[str, ...]
    value: Any


def read_patch(raw: bytes) -> list[Step]:
    """The steps of a patch document. Raises JsonError, HttpError 400 when it is none."""
    whole = parse_body(b'{"patch":' + raw + b"}")  # the parser of resources takes objects only
    listed = whole["patch"]
    if len(whole) != 1 or not isinstance(listed, list):
        raise HttpError(400, "structure", "a JSON Patch is an array of operations")
    if len(listed) > MOST_STEPS:
        raise HttpError(413, "too-costly", f"a patch has at most {MOST_STEPS} operations")
    return [_step(number, given) for number, given in enumerate(listed)]


def apply(resource: dict[str, Any], steps: Sequence[Step]) -> dict[str, Any]:
    """The patched copy. Raises HttpError 422 naming the operation that cannot be done."""
    document: Any = copied(resource)
    doubled = 0
    for step in steps:
        if step.op == "test":
            if not _equal(_get(document, step.path, step), step.value):
                raise _impossible(step, "the value is another one")
            continue
        if step.op == "move" and step.path[: len(step.source)] == step.source:
            if step.path == step.source:
                _get(document, step.source, step)
                continue
            raise _impossible(step, "a value cannot be moved into itself")
        value = step.value
        if step.op in ("move", "copy"):
            value = _get(document, step.source, step)
        if step.op == "copy":
            doubled += _size(value)
            if doubled > MOST_COPIED:
                raise HttpError(413, "too-costly", "the patch copies too much")
            value = copied(value)
        if step.op == "move":
            document = _remove(document, step.source, step)
        if step.op == "remove":
            document = _remove(document, step.path, step)
        elif step.op == "replace":
            document = _replace(document, step.path, copied(value), step)
        else:
            document = _add(document, step.path, copied(value), step)
    if not isinstance(document, dict):
        raise HttpError(422, "invalid", "the patch leaves no resource")
    return document


def _step(number: int, given: Any) -> Step:
    def wrong(text: str) -> HttpError:
        return HttpError(400, "structure", f"operation {number} of the patch: {text}")

    if not isinstance(given, dict):
        raise wrong("it is no object")
    op = given.get("op")
    if not isinstance(op, str) or op not in _NEEDS:
        raise wrong(f"op is one of {', '.join(sorted(_NEEDS))}")
    pointers: list[tuple[str, ...]] = []
    for name in ("path", "from") if _NEEDS[op] == "from" else ("path",):
        text = given.get(name)
        if not isinstance(text, str):
            raise wrong(f"{name} is missing")
        if text and not text.startswith("/"):
            raise wrong(f"{name} is no JSON Pointer")
        parts = text.split("/")[1:]
        if any(part.replace("~0", "").replace("~1", "").count("~") for part in parts):
            raise wrong(f"{name} has a ~ that is neither ~0 nor ~1")
        pointers.append(tuple(p.replace("~1", "/").replace("~0", "~") for p in parts))
    if _NEEDS[op] == "value" and "value" not in given:
        raise wrong("value is missing")
    return Step(number, op, pointers[0], pointers[-1], given.get("value"))


def _get(document: Any, path: Sequence[str], step: Step) -> Any:
    for part in path:
        document = document[_place(document, part, step)]
    return document


def _place(holder: Any, part: str, step: Step, *, end: int = 0) -> Any:
    """The key or index of an existing member; `end` 1 also allows the place behind the last."""
    if isinstance(holder, dict):
        if part not in holder:
            raise _impossible(step, "there is nothing at the path")
        return part
    if not isinstance(holder, list):
        raise _impossible(step, "the path leads into a simple value")
    digits = part.isascii() and part.isdigit() and len(part) < 8
    if not digits or (part[0] == "0" and part != "0"):
        raise _impossible(step, "an array is entered by an index")
    if int(part) >= len(holder) + end:
        raise _impossible(step, "the index is beyond the array")
    return int(part)


def _add(document: Any, path: tuple[str, ...], value: Any, step: Step) -> Any:
    if not path:
        return value
    holder = _get(document, path[:-1], step)
    last = path[-1]
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list) and last == "-":
        holder.append(value)
    else:
        holder_at = _place(holder, last, step, end=1)
        holder.insert(holder_at, value)
    return document


def _remove(document: Any, path: tuple[str, ...], step: Step) -> Any:
    if not path:
        return None
    holder = _get(document, path[:-1], step)
    del holder[_place(holder, path[-1], step)]
    return document


def _replace(document: Any, path: tuple[str, ...], value: Any, step: Step) -> Any:
    if not path:
        return value
    holder = _get(document, path[:-1], step)
    holder[_place(holder, path[-1], step)] = value
    return document


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values (RFC 6902 4.6): numbers by value, members in any order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if _is_number(one) and _is_number(other):
        return Decimal(str(one)) == Decimal(str(other))
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _impossible(step: Step, text: str) -> HttpError:
    return HttpError(422, "processing", f"operation {step.number} of the patch ({step.op}): {text}")
