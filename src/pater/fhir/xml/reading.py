"""Reads FHIR XML into the tree that the same resource has as JSON; every problem with its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from xml.parsers import expat

from pater.fhir import json
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.xml.narrative import DEEPEST, NarrativeError, standing_alone
from pater.fhir.xml.shapes import EXTENSION, FHIR, XHTML, Slot, XmlError, shape

MOST_ISSUES: Final = 50
MOST_NAMESPACES: Final = 64
"""Declarations in force at one place; each costs work for every narrative below it."""
_SCHEMA_LOCATION: Final = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"
_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_NO_SLOTS: Final[Mapping[str, Slot]] = MappingProxyType({})
_IN_PRIMITIVE: Final[Mapping[str, Slot]] = MappingProxyType({"extension": EXTENSION})
_START_TAG: Final = re.compile(rb"""<[^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*>""")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+\Z")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_PREFIX: Final = f"{FHIR} "


def parse(data: bytes, *, max_depth: int = 64, max_bytes: int = 64 * 1024 * 1024) -> dict[str, Any]:
    """The tree of the resource in `data` (XML 1.0 in UTF-8, R4 section 2.6.1).

    Numbers are as `fhir.json.parse` gives them, a narrative's div is the very text of the
    document. Comments, processing instructions and xsi:schemaLocation are skipped. Raises XmlError
    for everything else that R4 does not define, for elements out of order, any document type
    declaration, more than `max_bytes`, and nesting that JSON would say in more than `max_depth`
    levels. Cardinalities, formats of texts and the like are left to validation.
    """
    if len(data) > max_bytes:
        raise XmlError([Issue("fatal", "too-long", "", f"XML has at most {max_bytes} bytes.")])
    if data.startswith(_UTF_16) or b"\x00" in data:
        raise XmlError([Issue("fatal", "structure", "", "FHIR XML is written in UTF-8.")])
    reader = _Reader(data.removeprefix(b"\xef\xbb\xbf"), max_depth)
    return reader.read()


class _Stop(Exception):  # noqa: N818 (an end and no error)
    """Ends the reading early; the issues say why."""


class _Frame:
    """An element that is open. `out` is its object, `slots` what it may hold, `last` the place
    of its latest child, `lists` the repeating primitives it has; `slot` is its place in its
    parent and None for a resource; `text` the value of a primitive."""

    __slots__ = ("depth", "label", "last", "lists", "out", "slot", "slots", "text")

    def __init__(
        self, slot: Slot | None, slots: Mapping[str, Slot], out: dict[str, Any], label: str,
        depth: int,
    ) -> None:  # fmt: skip
        self.slot = slot
        self.slots = slots
        self.out = out
        self.label = label
        self.depth = depth
        self.last = -1
        self.lists: list[str] | None = None
        self.text: str | None = None


class _Reader:
    def __init__(self, data: bytes, max_depth: int) -> None:
        self.data = data
        self.max_depth = max_depth
        self.issues: list[Issue] = []
        self.root: dict[str, Any] | None = None
        self.stack: list[_Frame] = []
        self.skipped = 0  # open elements inside one that is not known
        self.inside = 0  # open elements of the narrative that is being passed
        self.begin = 0  # where it began
        self.scope: dict[str, list[str]] = {}  # prefix → its namespaces, the inner one last
        self.declared = 0
        parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartNamespaceDeclHandler = self.declare
        parser.EndNamespaceDeclHandler = self.undeclare
        parser.StartDoctypeDeclHandler = self.doctype
        parser.XmlDeclHandler = self.declaration
        self.parser = parser

    def read(self) -> dict[str, Any]:
        try:
            self.parser.Parse(self.data, True)
        except _Stop:
            pass
        except expat.ExpatError as problem:
            text = (
                f"Not well-formed XML: {expat.ErrorString(problem.code)}"
                f" (line {problem.lineno}, column {problem.offset + 1})."
            )
            self.issues.append(Issue("fatal", "structure", self.path(), text))
        if self.issues:
            raise XmlError(self.issues)
        if self.root is None:
            raise XmlError([Issue("fatal", "structure", "", "There is no resource.")])
        return self.root

    # what expat tells

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.inside:
            self.inside += 1
            self.deep(self.inside, DEEPEST)
        elif self.skipped:
            self.skipped += 1
            self.deep(self.skipped, DEEPEST)
        elif not self.stack:
            self.resource(name, attributes, 1)
        else:
            parent = self.stack[-1]
            if parent.slot is not None and parent.slot.kind == "resource":
                self.resource(name, attributes, parent.depth)
            else:
                self.element(parent, name, attributes)

    def end(self, _: str) -> None:
        if self.inside:
            self.inside -= 1
            if not self.inside:
                self.narrative()
        elif self.skipped:
            self.skipped -= 1
        else:
            self.close(self.stack.pop())

    def characters(self, text: str) -> None:
        if not self.inside and not self.skipped and text.strip(" \t\r\n"):
            self.say("structure", "Text stands in the attribute `value`, not between elements.")

    def declare(self, prefix: str | None, space: str) -> None:
        self.declared += 1
        if self.declared > MOST_NAMESPACES:
            text = f"At most {MOST_NAMESPACES} namespaces are declared at one place."
            self.issues.append(Issue("fatal", "too-costly", self.path(), text))
            raise _Stop
        self.scope.setdefault(prefix or "", []).append(space or "")

    def undeclare(self, prefix: str | None) -> None:
        self.declared -= 1
        spaces = self.scope[prefix or ""]
        spaces.pop()
        if not spaces:
            del self.scope[prefix or ""]

    def doctype(self, *_: Any) -> None:
        text = "FHIR XML has no document type declaration, and none is read."
        self.issues = [Issue("fatal", "structure", "", text)]
        raise _Stop

    def declaration(self, version: str, encoding: str | None, _: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            self.issues = [Issue("fatal", "structure", "", "FHIR XML is written in UTF-8.")]
            raise _Stop

    # what it means

    def resource(self, name: str, attributes: dict[str, str], depth: int) -> None:
        tag = name[len(_PREFIX) :] if name.startswith(_PREFIX) else ""
        holder = self.stack[-1] if self.stack else None
        if tag not in TYPE_NUMBER:
            shown = name.rpartition(" ")[2][:64]
            self.say(
                "structure",
                f"Expected a resource of R4 in the namespace {FHIR}, found the element {shown!r}.",
            )
            self.skipped = 1
            if holder is not None:
                holder.out["resource"] = {}  # one that is wrong, not one that is missing
            return
        if holder is not None:
            if holder.out:
                self.say("structure", "There is one resource in this element.")
                self.skipped = 1
                return
            holder.out["resource"] = None
        self.deep(depth, self.max_depth)
        out: dict[str, Any] = {"resourceType": tag}
        for attribute in attributes:
            if attribute != _SCHEMA_LOCATION:
                self.no_attribute(attribute)
        self.stack.append(_Frame(None, shape(tag, tag), out, "" if holder else tag, depth))

    def element(self, parent: _Frame, name: str, attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        slot = parent.slots.get(tag)
        if slot is None or slot.attribute or space != (XHTML if slot.kind == "xhtml" else FHIR):
            self.unknown(space, tag, slot)
            self.skipped = 1
            return
        label = slot.name
        known = parent.out.get(label)
        if slot.many:
            label = f"{label}[{len(known) if known else 0}]"
        elif known is not None or "_" + label in parent.out:
            self.say("structure", "The element is there more than once.", label)
        if slot.order < parent.last:
            text = "The element is out of order: see the order in the definition of the type."
            self.say("structure", text, label)
        else:
            parent.last = slot.order
        depth = parent.depth + (2 if slot.many else 1)
        if slot.kind == "xhtml":
            self.inside = 1
            self.begin = self.parser.CurrentByteIndex
            return
        # a primitive is no level of its own, only the array or extension that it may have
        self.deep(depth - slot.primitive, self.max_depth)
        frame = _Frame(slot, _NO_SLOTS, {}, label, depth)
        self.stack.append(frame)
        if slot.kind == "complex":
            frame.slots = shape(*slot.shape)
            for attribute, value in attributes.items():
                found = frame.slots.get(attribute)
                if found is None or not found.attribute:
                    self.no_attribute(attribute)
                else:
                    frame.out[attribute] = value
        elif slot.kind == "resource":
            for attribute in attributes:
                self.no_attribute(attribute)
        else:
            frame.slots = _IN_PRIMITIVE
            for attribute, value in attributes.items():
                if attribute == "value":
                    frame.text = value
                elif attribute == "id":
                    frame.out["id"] = value
                else:
                    self.no_attribute(attribute)

    def close(self, frame: _Frame) -> None:
        """Puts what an element held into its parent."""
        for name in frame.lists or ():
            for key in (name, "_" + name):
                if all(each is None for each in frame.out[key]):
                    del frame.out[key]
        slot = frame.slot
        if slot is None:
            if not self.stack:
                self.root = frame.out
            else:
                self.stack[-1].out["resource"] = frame.out
            return
        parent = self.stack[-1]
        value: Any = frame.out
        if slot.kind == "resource":
            value = frame.out.get("resource")
            if value is None:
                self.say("structure", "The element holds a resource.", frame.label)
                return
        elif slot.kind != "complex":
            self.primitive(parent, slot, frame)
            return
        if slot.many:
            parent.out.setdefault(slot.name, []).append(value)
        else:
            parent.out[slot.name] = value

    def primitive(self, parent: _Frame, slot: Slot, frame: _Frame) -> None:
        value = None if frame.text is None else self.value(slot, frame.text, frame.label)
        extra = frame.out or None
        if frame.text is None and extra is None:
            self.say("structure", "An element has a value or an extension.", frame.label)
        elif slot.many:
            if slot.name not in parent.out:
                parent.out[slot.name], parent.out["_" + slot.name] = [], []
                parent.lists = [*(parent.lists or ()), slot.name]
            parent.out[slot.name].append(value)
            parent.out["_" + slot.name].append(extra)
        else:
            if value is not None:
                parent.out[slot.name] = value
            if extra is not None:
                parent.out["_" + slot.name] = extra

    def value(self, slot: Slot, text: str, label: str) -> Any:
        """A literal as JSON has it; None after an issue."""
        if slot.kind == "text":
            return text
        if slot.kind == "boolean":
            if text in ("true", "false"):
                return text == "true"
            self.say("value", "Expected true or false.", label)
            return None
        if slot.kind == "integer" and _INTEGER.match(text):
            sign, digits = ("-", text[1:]) if text[0] == "-" else ("", text.removeprefix("+"))
            literal = sign + (digits.lstrip("0") or "0")
        elif slot.kind == "decimal" and _DECIMAL.match(text):
            literal = text
        else:
            expected = "a whole number" if slot.kind == "integer" else "a decimal number"
            self.say("value", f"Expected {expected}.", label)
            return None
        if len(literal) < 16 and literal.isdigit():
            return int(literal)
        try:
            return json.parse(b'{"n":%s}' % literal.encode("ascii"))["n"]
        except json.JsonError as problem:
            self.say("value", problem.message, label)
            return None

    def narrative(self) -> None:
        """The div that ended here, as it stands in the document."""
        tag = _START_TAG.match(self.data, self.begin)
        if tag is not None and tag[0].endswith(b"/>"):
            stop = tag.end()
        else:
            stop = self.data.find(b">", self.parser.CurrentByteIndex) + 1
        piece = self.data[self.begin : stop]
        parent = self.stack[-1]
        if not any(self.scope):
            parent.out["div"] = piece.decode()  # nothing around it that it could need
            return
        scope = {prefix: spaces[-1] for prefix, spaces in self.scope.items()}
        try:
            parent.out["div"] = standing_alone(piece, scope)
        except NarrativeError as problem:
            self.say("value", str(problem), "div")

    # what is wrong

    def deep(self, depth: int, most: int) -> None:
        if depth > most:
            text = f"Nested deeper than {most} levels."
            self.issues.append(Issue("fatal", "too-costly", self.path(), text))
            raise _Stop

    def unknown(self, space: str, tag: str, slot: Slot | None) -> None:
        if slot is not None and slot.attribute:
            text = f"{tag!r} is an attribute here, not an element."
        elif slot is not None:
            expected = XHTML if slot.kind == "xhtml" else FHIR
            text = f"The element {tag!r} is in the namespace {expected}."
        else:
            text = f"There is no element {tag[:64]!r} here."
        self.say("structure", text, tag[:64])

    def no_attribute(self, name: str) -> None:
        self.say("structure", f"There is no attribute {name.rpartition(' ')[2][:64]!r} here.")

    def say(self, code: str, text: str, label: str = "") -> None:
        self.issues.append(Issue("error", code, self.path(label), text))
        if len(self.issues) >= MOST_ISSUES:
            self.issues.append(
                Issue("information", "too-costly", "", "There are more problems than are listed.")
            )
            raise _Stop

    def path(self, label: str = "") -> str:
        """The FHIRPath of the element that is open, or of its child."""
        return ".".join(filter(None, (*(frame.label for frame in self.stack), label)))
