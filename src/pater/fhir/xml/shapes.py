"""What each type looks like in XML, compiled from the element tables; the error of the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from pater.fhir.definitions import element_table, type_kind
from pater.fhir.issues import Issue

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"

Kind = Literal["boolean", "integer", "decimal", "text", "complex", "resource", "xhtml"]
_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "boolean": "boolean",
        "integer": "integer",
        "unsignedInt": "integer",
        "positiveInt": "integer",
        "decimal": "decimal",
        "xhtml": "xhtml",
    }
)


class XmlError(ValueError):
    """A text that is not acceptable FHIR XML, or a tree that XML cannot say.

    `issues` says each problem with its FHIRPath; there is at least one.
    """

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(issues[0].text)
        self.issues = list(issues)


class Slot(NamedTuple):
    """One element of a type under its full name (`valueQuantity`).

    `order` is its place among its siblings, `many` whether it repeats (a JSON array), `attribute`
    whether it is an attribute and no element, `shape` the type and path that its children have
    (`("Observation", "Observation.component")`; "" twice where it has none of its own).
    """

    name: str
    order: int
    kind: Kind
    many: bool
    attribute: bool
    shape: tuple[str, str]

    @property
    def primitive(self) -> bool:
        """Whether JSON may have a sibling `_name` for it."""
        return self.kind in ("boolean", "integer", "decimal", "text")


@cache
def shape(type_name: str, path: str) -> Mapping[str, Slot]:
    """The slots below `path` in the table of a type, by name, choices with each of their types.

    Raises KeyError for a name that is no R4 type.
    """
    table = element_table(type_name)
    parents = {each.path.rpartition(".")[0] for each in table}
    in_resource = type_kind(type_name) == "resource" and path == type_name
    slots: dict[str, Slot] = {}
    for order, each in enumerate(table):
        parent, _, name = each.path.rpartition(".")
        if parent != path:
            continue
        attribute = (name == "id" and not in_resource) or each.path == "Extension.url"
        many = each.maximum != 1
        if each.content or each.path in parents:
            below = (type_name, each.content or each.path)
            slots[name] = Slot(name, order, "complex", many, False, below)
            continue
        for kind in each.types:
            full = name.replace("[x]", kind[:1].upper() + kind[1:])
            slots[full] = _slot(full, order, kind, many, attribute)
    return MappingProxyType(slots)


def _slot(name: str, order: int, type_name: str, many: bool, attribute: bool) -> Slot:
    what = type_kind(type_name)
    if what == "resource":
        return Slot(name, order, "resource", many, False, ("", ""))
    if what == "complex":
        return Slot(name, order, "complex", many, False, (type_name, type_name))
    return Slot(name, order, _KINDS.get(type_name, "text"), many, attribute, ("", ""))


EXTENSION: Final = shape("Element", "Element")["extension"]
"""What the element of a primitive may hold."""
