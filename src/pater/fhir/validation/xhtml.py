"""Checks the XHTML of a narrative (R4 section 2.4, invariants txt-1 and txt-2).

The text ends up in browsers, so what is not on the lists is an error: scripts, event handlers,
forms, frames, document type declarations, addresses with a script in them.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from pater.fhir.validation.types import NULL, Finding, Findings, fault, json_type

NAMESPACE = "http://www.w3.org/1999/xhtml"
# HTML 4.0 chapters 7 to 11 (without section 4 of 9) and 15, plus links, images and styles.
ELEMENTS = frozenset(
    """a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del
    dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q s samp small span strike
    strong sub sup table tbody td tfoot th thead tr tt u ul var""".split()
)
ATTRIBUTES = frozenset(
    """abbr accesskey align alt axis background bgcolor border cellpadding cellspacing char charoff
    charset cite class clear color colspan compact coords datetime dir face frame headers height
    href hreflang hspace id ismap lang longdesc name noshade nowrap rel rev rowspan rules scope
    shape size space span src start style summary tabindex target title type usemap valign value
    vspace width xml:lang xml:space""".split()
)
_ADDRESSES = frozenset({"href", "src", "cite", "longdesc", "background"})
_BLANKS = re.compile(r"[\x00-\x20]+")  # browsers drop them before they read the scheme
_SCRIPT = re.compile(r"(?:javascript|vbscript):|data:(?:text/html|application/x)", re.IGNORECASE)
_SCRIPT_STYLE = re.compile(r"expression\s*\(|javascript\s*:|@import|behavior\s*:", re.IGNORECASE)


class _Reader:
    """Collects what is wrong while expat reads; `content` is set by text or an image."""

    def __init__(self) -> None:
        self.depth = 0
        self.content = False
        self.wrong: dict[str, str] = {}
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.ProcessingInstructionHandler = self.instruction

    def say(self, code: str, text: str) -> None:
        if len(self.wrong) < 20:
            self.wrong.setdefault(text, code)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        self.depth += 1
        if self.depth == 1 and tag != "div":
            self.say("invariant", "The narrative must be one XHTML div element.")
        if space != NAMESPACE:
            self.say("invariant", f"The narrative must be in the namespace {NAMESPACE}.")
        elif tag not in ELEMENTS:
            self.say("invariant", f"The element {tag[:40]} is not allowed in a narrative (txt-1).")
        elif tag == "img":
            self.content = True
        for attribute, value in attributes.items():
            self.attribute(attribute, value)

    def attribute(self, attribute: str, value: str) -> None:
        name = attribute.replace("http://www.w3.org/XML/1998/namespace ", "xml:")
        if name not in ATTRIBUTES and not name.startswith("data-"):
            self.say(
                "invariant", f"The attribute {name[:40]} is not allowed in a narrative (txt-1)."
            )
        elif name in _ADDRESSES:
            if _SCRIPT.match(_BLANKS.sub("", value)):
                self.say("invariant", f"The attribute {name} holds a script.")
        elif name == "style" and _SCRIPT_STYLE.search(value):
            self.say("invariant", "A style holds a script.")

    def end(self, _: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        if not self.content and not text.isspace():
            self.content = True

    def doctype(self, *_: Any) -> None:
        self.say("invariant", "A narrative must not hold a document type declaration.")
        # Entities could be declared in it; nothing after it is worth reading.
        raise _StopError

    def instruction(self, *_: Any) -> None:
        self.say("invariant", "A narrative must not hold processing instructions.")


class _StopError(Exception):
    """Ends the reading early."""


def xhtml(value: Any) -> Findings:
    """The findings about the text of `Narrative.div`."""
    if type(value) is not str:
        if value is None:
            return [NULL]
        return fault("structure", f"Expected XHTML as a string, found {json_type(value)}.")
    reader = _Reader()
    try:
        reader.parser.Parse(value.encode("utf-8"), True)
    except _StopError:
        pass
    except UnicodeEncodeError:
        return fault("value", "The narrative holds half of a surrogate pair.")
    except expat.ExpatError as problem:
        return fault(
            "value",
            f"The narrative is not well-formed XHTML: {expat.ErrorString(problem.code)}"
            f" (line {problem.lineno}, column {problem.offset + 1}).",
        )
    else:
        if not reader.content:
            reader.say("invariant", "The narrative holds no text and no image (txt-2).")
    return [Finding("", code, text) for text, code in reader.wrong.items()] or None
