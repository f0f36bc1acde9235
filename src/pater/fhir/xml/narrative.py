"""The XHTML of a narrative inside FHIR XML: it goes in and comes out as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from pater.fhir.xml.shapes import XHTML

_XML = "http://www.w3.org/XML/1998/namespace"
DEEPEST = 256
"""Levels of elements in a narrative; the parser keeps each that is open in memory."""
_WRAPPER = "pater-wrapper"


class NarrativeError(ValueError):
    """The text is not one XHTML div that stands by itself."""


def embeddable(text: str) -> str:
    """The div as it can stand in a FHIR document; blanks around it are no part of it.

    Raises NarrativeError for what is not well-formed, not one div of the XHTML namespace, or
    brings a declaration.
    """
    stripped = text.strip(" \t\r\n")
    try:
        data = stripped.encode()
    except UnicodeEncodeError:
        raise NarrativeError("The narrative holds half of a surrogate pair.") from None
    if not (data.startswith(b"<") and data.endswith(b">")) or data.startswith((b"<?", b"<!")):
        raise NarrativeError("The narrative is one XHTML div element and nothing around it.")
    depth = 0
    roots = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth, roots
        if depth == 0:
            roots += 1
            if name != f"{XHTML} div":
                raise NarrativeError(f"The narrative is a div of the namespace {XHTML}.")
        depth += 1
        if depth > DEEPEST:
            raise NarrativeError(f"A narrative is nested deeper than {DEEPEST} levels.")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def outside(_: str) -> None:
        if depth == 0:
            raise NarrativeError("The narrative is one XHTML div element and nothing around it.")

    def instruction(_: str, __: str) -> None:
        outside("")

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CommentHandler = outside
    parser.ProcessingInstructionHandler = instruction
    parser.StartDoctypeDeclHandler = _doctype
    _run(parser, data)
    return stripped


def standing_alone(data: bytes, scope: Mapping[str, str]) -> str:
    """The div cut out of a document in which `scope` (prefix → namespace) is declared.

    Verbatim when it needs none of these declarations, else written anew in the default namespace.
    Raises NarrativeError when it holds elements of other namespaces.
    """
    text = data.decode()
    try:
        return embeddable(text)
    except NarrativeError:
        return _rewritten(data, scope)


def _rewritten(data: bytes, scope: Mapping[str, str]) -> str:
    out: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        if tag == _WRAPPER:
            return
        if space != XHTML:
            raise NarrativeError(f"All elements of a narrative are of the namespace {XHTML}.")
        out.append(f"<{tag}" if out else f'<{tag} xmlns="{XHTML}"')
        for full, value in attributes.items():
            place, _, attribute = full.rpartition(" ")
            if place not in ("", _XML):
                raise NarrativeError("The narrative holds attributes of other namespaces.")
            prefix = "xml:" if place else ""
            blanks = {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
            out.append(f" {prefix}{attribute}={quoteattr(value, blanks)}")
        out.append(">")

    def end(name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag != _WRAPPER:
            out.append(f"</{tag}>")

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: out.append(escape(text, {"\r": "&#13;"}))
    parser.StartDoctypeDeclHandler = _doctype
    declared = "".join(
        f" {f'xmlns:{prefix}' if prefix else 'xmlns'}={quoteattr(space)}"
        for prefix, space in scope.items()
    )
    _run(parser, f"<{_WRAPPER}{declared}>".encode() + data + f"</{_WRAPPER}>".encode())
    return "".join(out)


def _doctype(*_: Any) -> None:
    raise NarrativeError("A narrative must not hold a document type declaration.")


def _run(parser: expat.XMLParserType, data: bytes) -> None:
    try:
        parser.Parse(data, True)
    except expat.ExpatError as problem:
        said = expat.ErrorString(problem.code)
        raise NarrativeError(f"The narrative is not well-formed XHTML: {said}.") from None
