"""XML for seals: read without any trick, written canonically, with one meaning for every id."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from lxml import etree

from pater.trust.seal.model import LONGEST

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES141: Final = "http://uri.etsi.org/01903/v1.4.1#"
ASIC: Final = "http://uri.etsi.org/02918/v1.2.1#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
_COMMENTS: Final = "WithComments"
CANONICAL: Final = frozenset(
    each
    for method in (EXCLUSIVE, f"{INCLUSIVE}#", f"{INCLUSIVE_11}#")
    for each in (method, method + _COMMENTS)
) | {INCLUSIVE, INCLUSIVE_11}
"""The ways of canonical XML that are understood."""

_XML: Final = "http://www.w3.org/XML/1998/namespace"
_IDS: Final = ("Id", "ID", "id", f"{{{_XML}}}id")
_MOST_NODES: Final = 500_000
# what may stand before the document type: a declaration, comments, instructions, blanks
_PROLOG: Final = re.compile(rb"\s*(?:<\?(?:[^?]|\?(?!>))*\?>\s*|<!--(?:[^-]|-(?!->))*-->\s*)*")
_ENCODING: Final = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")

Element = Any
"""An element of lxml, which has no types of its own."""


class XmlProblem(ValueError):  # noqa: N818 it is told in a report, not raised to callers
    """XML that is not taken; the text says why, in English."""


def q(namespace: str, name: str) -> str:
    """A qualified name as lxml writes it."""
    return f"{{{namespace}}}{name}"


def parse(data: bytes) -> Element:
    """The root of a document. Refused with XmlProblem: a document type (and with it every entity),
    another encoding than UTF-8, ids that stand twice, what is too long or too deep.
    """
    if len(data) > LONGEST:
        raise XmlProblem("the document is too long")
    data = data.removeprefix(b"\xef\xbb\xbf")
    declared = _ENCODING.match(data[:200])
    if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise XmlProblem("XML is taken in UTF-8")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise XmlProblem("XML is taken in UTF-8") from error
    prolog = _PROLOG.match(data)
    if prolog and data[prolog.end() :].startswith(b"<!DOCTYPE"):
        raise XmlProblem("a document with a document type is not taken")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XmlProblem("this is not well-formed XML") from error
    if root.getroottree().docinfo.doctype:
        raise XmlProblem("a document with a document type is not taken")
    _check_ids(root)
    return root


def _check_ids(root: Element) -> None:
    seen: set[str] = set()
    for count, element in enumerate(root.iter(), 1):
        if count > _MOST_NODES:
            raise XmlProblem("the document has too many elements")
        if not isinstance(element.tag, str):
            if isinstance(element, etree._Entity):
                raise XmlProblem("a document with entities is not taken")
            continue
        for name in {element.get(each) for each in _IDS} - {None}:
            if name in seen:
                raise XmlProblem("an id stands twice in the document")
            seen.add(str(name))


def id_of(element: Element) -> str:
    """The id of an element, "" when it has none."""
    return next((str(element.get(each)) for each in _IDS if element.get(each) is not None), "")


def canonical(node: Element, method: str, prefixes: str = "") -> bytes:
    """The canonical octets of an element with all below it, or of a whole tree.

    `prefixes` is the PrefixList of exclusive canonicalization. Raises XmlProblem.
    """
    if method not in CANONICAL:
        raise XmlProblem("this canonicalization is not supported")
    exclusive = method.startswith(EXCLUSIVE)
    options = {
        "method": "c14n",
        "exclusive": exclusive,
        "with_comments": method.endswith(_COMMENTS),
        "inclusive_ns_prefixes": prefixes.split() if exclusive and prefixes else None,
    }
    if exclusive or not isinstance(node, etree._Element):
        return bytes(etree.tostring(node, **options))
    inherited = _inherited(node, method)
    for name, value in inherited.items():
        node.set(name, value)
    try:
        return bytes(etree.tostring(node, **options))
    finally:
        for name in inherited:
            del node.attrib[name]


def _inherited(node: Element, method: str) -> dict[str, str]:
    """The attributes of xml: that an inner element takes from above when it is canonical alone."""
    found: dict[str, str] = {}
    newer = method.startswith(INCLUSIVE_11)
    for above in node.iterancestors():
        for name, value in above.attrib.items():
            if not name.startswith(f"{{{_XML}}}") or name in node.attrib or name in found:
                continue
            if newer and name == f"{{{_XML}}}base":
                raise XmlProblem("xml:base above what is signed is not supported")
            if not (newer and name == f"{{{_XML}}}id"):
                found[name] = value
    return found


def written(root: Element) -> bytes:
    """The document as a file."""
    return bytes(etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True))


def text_of(element: Element) -> str:
    """The text of an element that holds nothing else. Raises XmlProblem."""
    if element is None or len(element):
        raise XmlProblem("a text of the signature is missing, or holds elements")
    return (element.text or "").strip()


def bytes_of(element: Element) -> bytes:
    """The bytes of an element that holds base64. Raises XmlProblem."""
    try:
        return base64.b64decode("".join(text_of(element).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise XmlProblem("a value of the signature is not base64") from error


def only(parent: Element, namespace: str, name: str) -> Element:
    """The one child of this name. Raises XmlProblem when there is none, or more."""
    found = parent.findall(q(namespace, name)) if parent is not None else []
    if len(found) != 1:
        raise XmlProblem(f"the signature has not exactly one {name}")
    return found[0]


def without(root: Element, paths: list[list[int]]) -> Element:
    """A copy of the tree without the elements at these paths; the text after each stays."""
    copy = etree.fromstring(etree.tostring(root.getroottree()), _plain())
    gone = []
    for path in paths:
        found = copy
        for place in path:
            found = found[place]
        gone.append(found)
    for found in gone:
        parent, before = found.getparent(), found.getprevious()
        if found.tail and before is not None:
            before.tail = (before.tail or "") + found.tail
        elif found.tail:
            parent.text = (parent.text or "") + found.tail
        parent.remove(found)
    return copy


def _plain() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def path_of(element: Element) -> list[int]:
    """The places of an element and those above it among their siblings, from the root down."""
    places: list[int] = []
    while (parent := element.getparent()) is not None:
        places.append(parent.index(element))
        element = parent
    return places[::-1]
