"""Writes a tree as FHIR XML: elements in the order of the definitions, numbers as written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pater.fhir import json
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.xml.narrative import NarrativeError, embeddable
from pater.fhir.xml.shapes import EXTENSION, FHIR, Slot, XmlError, shape

_SPECIAL: Final = re.compile('[&<"\t\n\r]')
_ESCAPES: Final = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord('"'): "&quot;",
    # a blank written as itself would be read as a space
    ord("\t"): "&#9;",
    ord("\n"): "&#10;",
    ord("\r"): "&#13;",
}
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_DEEPEST: Final = 128


class _Bad(Exception):  # noqa: N818 (becomes an XmlError when the whole path is known)
    """What cannot be written; `trail` gathers the names on the way out."""

    def __init__(self, text: str, code: str = "structure") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.trail: list[str] = []


def dumps(resource: Mapping[str, Any]) -> bytes:
    """UTF-8 FHIR XML (R4 section 2.6.1) of a resource's tree as `fhir.json.parse` gives it.

    What it writes, `parse` reads back as an equal tree. Raises XmlError with the place of the
    first thing XML has no words for: elements the definitions do not know, values of another JSON
    type than theirs, control characters, a narrative that is not one XHTML div.
    """
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    try:
        _resource(out, resource, 0)
    except _Bad as bad:
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        steps = [name if isinstance(name, str) and name in TYPE_NUMBER else "", *bad.trail[::-1]]
        raise XmlError(
            [Issue("error", bad.code, ".".join(filter(None, steps)), bad.text)]
        ) from None
    return "".join(out).encode()


def _resource(out: list[str], value: Any, depth: int) -> None:
    name = value.get("resourceType") if type(value) is dict else None
    if not isinstance(name, str) or name not in TYPE_NUMBER:
        raise _Bad("Expected a resource of a type that R4 knows.")
    # One declaration at the top says it for all resources inside.
    declared = f' xmlns="{FHIR}"' if depth == 0 else ""
    members = {key: child for key, child in value.items() if key != "resourceType"}
    _object(out, name, shape(name, name), members, depth + 1, declared)


def _object(
    out: list[str],
    name: str,
    slots: Mapping[str, Slot],
    value: Any,
    depth: int,
    declared: str = "",
) -> None:
    """One element with attributes and children. `declared` goes into its start tag."""
    if type(value) is not dict:
        raise _Bad("Expected an object.")
    if depth > _DEEPEST:
        raise _Bad(f"Nested deeper than {_DEEPEST} levels.", "too-costly")
    attributes = ""
    children: list[tuple[int, Slot, Any, Any]] = []
    for key, child in value.items():
        slot = slots.get(key)
        if slot is None:
            slot = slots.get(key[1:]) if key[:1] == "_" else None
            if slot is None or not slot.primitive or slot.attribute:
                raise _Bad(f"There is no element {key[:64]!r} here.")
            if slot.name not in value:
                children.append((slot.order, slot, None, child))
        elif slot.attribute:
            try:
                attributes += f' {key}="{_text(child)}"'
            except _Bad as bad:
                bad.trail.append(key)
                raise
        else:
            extra = value.get("_" + key) if slot.primitive else None
            children.append((slot.order, slot, child, extra))
    if not children:
        out.append(f"<{name}{declared}{attributes}/>")
        return
    out.append(f"<{name}{declared}{attributes}>")
    children.sort(key=_order)
    for _, slot, child, extra in children:
        _slot(out, slot, child, extra, depth)
    out.append(f"</{name}>")


def _order(child: tuple[int, Slot, Any, Any]) -> int:
    return child[0]


def _slot(out: list[str], slot: Slot, value: Any, extra: Any, depth: int) -> None:
    """All elements of one name."""
    position = -1
    try:
        if not slot.many:
            _one(out, slot, value, extra, depth)
            return
        given = value if value is not None else extra
        if type(given) is not list or not given or type(extra) not in (list, type(None)):
            raise _Bad("Expected an array with at least one item.")
        values = value if value is not None else [None] * len(given)
        extras = extra if extra is not None else [None] * len(given)
        if len(values) != len(extras):
            raise _Bad("An array and the one with its extensions have the same length.")
        for position, each in enumerate(values):
            _one(out, slot, each, extras[position], depth)
    except _Bad as bad:
        bad.trail.append(slot.name if position < 0 else f"{slot.name}[{position}]")
        raise


def _one(out: list[str], slot: Slot, value: Any, extra: Any, depth: int) -> None:
    kind = slot.kind
    if kind == "complex":
        _object(out, slot.name, shape(*slot.shape), value, depth + 1)
    elif kind == "resource":
        out.append(f"<{slot.name}>")
        _resource(out, value, depth + 1)
        out.append(f"</{slot.name}>")
    elif kind == "xhtml":
        if type(value) is not str:
            raise _Bad("Expected XHTML as a string.")
        try:
            out.append(embeddable(value))
        except NarrativeError as problem:
            raise _Bad(str(problem), "value") from None
    else:
        _primitive(out, slot, value, extra, depth)


def _primitive(out: list[str], slot: Slot, value: Any, extra: Any, depth: int) -> None:
    said = "" if value is None else f' value="{_literal(slot, value)}"'
    if extra is None:
        if value is None:
            raise _Bad("An element has a value or an extension.")
        out.append(f"<{slot.name}{said}/>")
        return
    if type(extra) is not dict or not extra or extra.keys() - {"id", "extension"}:
        raise _Bad("Beside a value there are its id and its extensions.")
    name = f' id="{_text(extra["id"])}"' if "id" in extra else ""
    if "extension" not in extra:
        out.append(f"<{slot.name}{name}{said}/>")
        return
    out.append(f"<{slot.name}{name}{said}>")
    _slot(out, EXTENSION, extra["extension"], None, depth)
    out.append(f"</{slot.name}>")


def _literal(slot: Slot, value: Any) -> str:
    """A value as XML writes it."""
    if slot.kind == "text":
        return _text(value)
    if slot.kind == "boolean":
        if value is True:
            return "true"
        if value is False:
            return "false"
        raise _Bad("Expected true or false.", "value")
    kind = type(value)
    if kind is not int and kind is not float and not isinstance(value, Decimal):
        raise _Bad("Expected a number.", "value")
    try:
        text = json.dumps(value).decode()
    except TypeError:
        raise _Bad("Expected a number.", "value") from None
    if not (_INTEGER if slot.kind == "integer" else _DECIMAL).match(text):
        expected = "a whole number" if slot.kind == "integer" else "a number"
        raise _Bad(f"Expected {expected}.", "value")
    return text


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Bad("Expected a string.", "value")
    if value.isalnum():
        return value
    if _NO_CHARACTER.search(value):
        raise _Bad("A string holds a character that XML cannot hold.", "value")
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value
