"""What a profile says, as a tree: its differential by element and slice, without its parents.

To conform to a profile is to conform to its base and to its differential, so no snapshot has to
be made: each layer is checked by itself, and looks into the layers below only for what it takes
over from them (discriminators, fixed values of slices).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_SLICES = re.compile(r":[^.]*")


@dataclass(slots=True)
class Node:
    """One element or slice: `row` is its ElementDefinition ({} when only its children are named),
    `name` the element's name without `[x]`, `slices` the slices by the last part of their name."""

    name: str
    id: str
    row: Json
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    def child(self, name: str) -> Node:
        """The child element of that name, made when it is new."""
        bare = name.removesuffix("[x]")
        found = self.children.get(bare)
        if found is None:
            found = self.children[bare] = Node(bare, f"{self.id}.{name}", {})
        return found

    def slice(self, name: str) -> Node:
        """The slice (`a/b`: the slice b of the slice a), made when it is new."""
        node = self
        for part in name.split("/"):
            found = node.slices.get(part)
            if found is None:
                mark = "/" if node is not self else ":"
                found = node.slices[part] = Node(self.name, f"{node.id}{mark}{part}", {})
            node = found
        return node


Stack = tuple[Node, ...]
"""One element as several layers know it, the most derived first."""


def tree(elements: list[Json]) -> Node:
    """The tree of a differential or snapshot. Elements without a usable path are left out."""
    paths = [each for each in elements if isinstance(each, dict) and _path(each)]
    root = Node("", _path(paths[0]).partition(".")[0] if paths else "", {})
    latest: dict[str, Node] = {root.id: root}
    for each in paths:
        path = _path(each)
        node = root if "." not in path else _place(root, latest, each, path)
        for known in [known for known in latest if known.startswith(path + ".")]:
            del latest[known]
        latest[path] = node
        node.row = {**node.row, **each}
    return root


def _path(element: Json) -> str:
    path = element.get("path")
    return path if isinstance(path, str) else ""


def _place(root: Node, latest: dict[str, Node], element: Json, path: str) -> Node:
    ident, name = element.get("id"), element.get("sliceName")
    named = isinstance(name, str) and name != ""
    if isinstance(ident, str) and _SLICES.sub("", ident) == path and named == (":" in _last(ident)):
        node = root
        for part in ident.split(".")[1:]:
            stem, _, part_slice = part.partition(":")
            node = node.child(stem)
            if part_slice:
                node = node.slice(part_slice)
        return node
    holder, _, last = path.rpartition(".")
    node = _holder(root, latest, holder).child(last)
    return node.slice(str(name)) if named else node


def _last(ident: str) -> str:
    return ident.rpartition(".")[2]


def _holder(root: Node, latest: dict[str, Node], path: str) -> Node:
    found = latest.get(path)
    if found is not None or "." not in path:
        return found or root
    above, _, name = path.rpartition(".")
    return _holder(root, latest, above).child(name)


def child_stack(stack: Stack, name: str) -> Stack:
    """A child of an element in all layers that speak of it."""
    return tuple(node.children[name] for node in stack if name in node.children)


def slice_stack(stack: Stack, name: str) -> Stack:
    """A slice of an element in all layers that speak of it."""
    return tuple(node.slices[name] for node in stack if name in node.slices)


def first(stack: Stack, key: str) -> Any:
    """What the most derived layer says under a key of the ElementDefinition."""
    for node in stack:
        if key in node.row:
            return node.row[key]
    return None


_PART = "http://hl7.org/fhir/StructureDefinition/elementdefinition-profile-element"


def profiles_of(type_row: Json) -> list[str]:
    """The profiles a type row names; `url#element` for one element of a profile."""
    out: list[str] = []
    beside = type_row.get("_profile")
    for place, url in enumerate(type_row.get("profile") or ()):
        extra = beside[place] if isinstance(beside, list) and place < len(beside) else None
        listed = extra.get("extension") if isinstance(extra, dict) else None
        part = next(
            (each.get("valueString") for each in listed or ()
             if isinstance(each, dict) and each.get("url") == _PART), None
        )  # fmt: skip
        out.append(f"{url}#{part}" if part else str(url))
    return out


def part_of(stack: Stack, ident: str) -> Stack:
    """The element of a profile with an id such as `Composition.section:codeA`."""
    for part in ident.split(".")[1:]:
        name, _, slices = part.partition(":")
        stack = child_stack(stack, name.removesuffix("[x]"))
        for each in slices.split("/") if slices else ():
            stack = slice_stack(stack, each)
    return stack


def prefixed(row: Json, stem: str) -> tuple[str, Any] | None:
    """The choice element of a row: (`Coding`, value) of `patternCoding` for the stem `pattern`."""
    for key, value in row.items():
        if key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper():
            return key[len(stem) :], value
    return None
