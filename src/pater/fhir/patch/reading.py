"""Reads the Parameters of a FHIRPath Patch strictly: which operations, on what, with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pater.fhir.fhirpath.parser import Call, FhirPathError, Node, parse

MOST_OPERATIONS: Final = 1000
_LONGEST_PATH: Final = 2000
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "add": ("path", "name", "value"),
    "insert": ("path", "value", "index"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_PLACES: Final = frozenset({"index", "source", "destination"})
_EVERYWHERE: Final = frozenset({"descendants", "repeat", "aggregate"})


class PatchError(ValueError):
    """A patch that is none (`malformed`) or that cannot be done on this resource.

    `path` is the FHIRPath of the part of the Parameters that it is about.
    """

    def __init__(self, text: str, path: str, *, malformed: bool = False) -> None:
        super().__init__(text)
        self.text, self.path, self.malformed = text, path, malformed


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `at` is where it stands in the Parameters. Unused parts are empty."""

    at: str
    type: str
    path: str
    tree: Node
    name: str = ""
    value: Mapping[str, Any] | None = None  # the part named `value`
    index: int = 0
    source: int = 0
    destination: int = 0


def read_patch(parameters: Mapping[str, Any], at: str = "Parameters") -> list[Operation]:
    """The operations of a patch. Raises PatchError, which is then `malformed`."""
    if parameters.get("resourceType") != "Parameters":
        raise PatchError("a FHIRPath Patch is a Parameters resource", at, malformed=True)
    listed = parameters.get("parameter", [])
    if not isinstance(listed, list):
        raise PatchError("it is an array", f"{at}.parameter", malformed=True)
    if len(listed) > MOST_OPERATIONS:
        text = f"a patch has at most {MOST_OPERATIONS} operations"
        raise PatchError(text, f"{at}.parameter", malformed=True)
    return [_operation(each, f"{at}.parameter[{n}]") for n, each in enumerate(listed)]


def _operation(given: Any, at: str) -> Operation:
    if not isinstance(given, dict) or given.get("name") != "operation":
        raise PatchError("the parameters of a patch are named `operation`", at, malformed=True)
    parts: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for place, name, part in parts_of(given, at):
        if name in parts:
            raise PatchError(f"`{name}` is given twice", place, malformed=True)
        parts[name] = place, part
    kind = _text(parts, "type", at)
    if kind not in _NEEDS:
        text = f"the type is one of {', '.join(sorted(_NEEDS))}"
        raise PatchError(text, parts["type"][0], malformed=True)
    for name, (place, _) in parts.items():
        if name != "type" and name not in _NEEDS[kind]:
            raise PatchError(f"{kind} has no part of this name", place, malformed=True)
    path = _text(parts, "path", at)
    places = {name: _number(parts, name, at) for name in _NEEDS[kind] if name in _PLACES}
    value = None
    if "value" in _NEEDS[kind]:
        value = _part(parts, "value", at)[1]
    return Operation(
        at=at,
        type=kind,
        path=path,
        tree=_tree(path, parts["path"][0]),
        name=_text(parts, "name", at) if kind == "add" else "",
        value=value,
        **places,
    )


def parts_of(given: Mapping[str, Any], at: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Place, name and content of each `part`. Raises PatchError."""
    listed = given.get("part", [])
    if not isinstance(listed, list):
        raise PatchError("it is an array", f"{at}.part", malformed=True)
    for number, part in enumerate(listed):
        place = f"{at}.part[{number}]"
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise PatchError("a part has a name", place, malformed=True)
        yield place, name, part


def _part(
    parts: Mapping[str, tuple[str, Mapping[str, Any]]], name: str, at: str
) -> tuple[str, Mapping[str, Any]]:
    if name not in parts:
        raise PatchError(f"the operation has no part `{name}`", at, malformed=True)
    return parts[name]


def _text(parts: Mapping[str, tuple[str, Mapping[str, Any]]], name: str, at: str) -> str:
    place, part = _part(parts, name, at)
    value = part.get("valueString", part.get("valueCode"))
    if not isinstance(value, str) or not value:
        raise PatchError(f"`{name}` is a string", place, malformed=True)
    return value


def _number(parts: Mapping[str, tuple[str, Mapping[str, Any]]], name: str, at: str) -> int:
    place, part = _part(parts, name, at)
    value = next((part[key] for key in part if key in _INTEGERS), None)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise PatchError(f"`{name}` is a whole number from 0", place, malformed=True)
    return value


_INTEGERS: Final = ("valueInteger", "valueUnsignedInt", "valuePositiveInt")


def _tree(path: str, at: str) -> Node:
    if len(path) > _LONGEST_PATH:
        raise PatchError(f"a path has at most {_LONGEST_PATH} characters", at, malformed=True)
    try:
        tree = parse(path)
    except FhirPathError as error:
        raise PatchError(f"the path is no FHIRPath: {error}", at, malformed=True) from None
    if _walks(tree) > 1:
        text = "the path walks the whole resource more than once"
        raise PatchError(text, at, malformed=True)
    return tree


def _walks(node: object) -> int:
    """How many calls in the tree look at everything below."""
    if isinstance(node, tuple):
        return sum(map(_walks, node))
    found = sum(_walks(getattr(node, name)) for name in getattr(node, "__slots__", ()))
    return found + (isinstance(node, Call) and node.name in _EVERYWHERE)
