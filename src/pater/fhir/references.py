"""References between resources: reading their text, finding them, rewriting them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pater.fhir.definitions import RESOURCE_TYPES

_TYPES = frozenset(RESOURCE_TYPES)
_TAIL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{2,60})/(?P<id>[A-Za-z0-9.\-]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9.\-]{1,64}))?\Z"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_LINKING_TAG = re.compile(r"<(?:a|img)\s[^<>]*>")
_LINK = re.compile(r"""(\s(?:href|src)\s*=\s*["'])([^"']*)""")
# Longer texts are not remembered: the memory of what was seen stays small.
_SHORT = 200


class Ref(NamedTuple):
    """A reference taken apart (FHIR R4 references, "Literal References").

    kind 'relative': `type`, `id`, perhaps `version`. 'absolute': `url` as written, with `type`,
    `id`, `version` when it ends as a RESTful address does (for a canonical, `version` is what
    follows "|" and `url` what stands before). 'urn': `url`. 'contained': `id` without "#" (""
    for "#", the container). 'logical': nothing that can be followed: no text at all, a
    conditional reference (`Patient?identifier=…`, its text in `url`), or some other text.
    `type` is also taken from Reference.type when the text does not tell.
    """

    kind: Literal["relative", "absolute", "urn", "contained", "logical"]
    type: str | None = None
    id: str | None = None
    version: str | None = None
    url: str | None = None


def parse_reference(text: str) -> Ref:
    """Take the text of `Reference.reference` (or a canonical) apart; never raises."""
    return _kept(text) if len(text) <= _SHORT else _parse(text)


def _parse(text: str) -> Ref:
    if text.startswith("#"):
        return Ref("contained", id=text[1:])
    if match := _TAIL.match(text):
        kind, ident, version = match.groups()
        if kind in _TYPES:
            return Ref("relative", kind, ident, version)
    if text[:4].lower() == "urn:":
        return Ref("urn", url=text)
    if _SCHEME.match(text) and not any(c.isspace() for c in text):
        # The address ends in Type/id or Type/id/_history/version: look at its last parts only,
        # so that a long path costs nothing.
        parts = text.rsplit("/", 4)
        for width in (2, 4):
            tail = "/".join(parts[-width:])
            match = _TAIL.match(tail) if len(parts) > width else None
            if match and match["type"] in _TYPES and (width == 4) == bool(match["version"]):
                return Ref("absolute", match["type"], match["id"], match["version"], text)
        url, _, version = text.partition("|")
        return Ref("absolute", version=version or None, url=url)
    head, question, _ = text.partition("?")
    if question and head in _TYPES:
        return Ref("logical", head, url=text)
    return Ref("logical", url=text or None)


# The references of one document are asked for again and again while it is checked and indexed.
_kept = lru_cache(maxsize=8_192)(_parse)


def reference_of(holder: Mapping[str, Any]) -> Ref:
    """The Ref of a Reference element: its text, with `type` filled from Reference.type."""
    text = holder.get("reference")
    ref = parse_reference(text) if isinstance(text, str) else Ref("logical")
    stated = holder.get("type")
    if ref.type is None and isinstance(stated, str) and stated in _TYPES:
        return ref._replace(type=stated)
    return ref


def iter_references(resource: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Reference with a text in the resource, with its path, in document order.

    The path is FHIRPath-like from the resource's type (`Bundle.entry[1].resource.subject`); the
    holder is the element itself, so `holder["reference"]` is a str. Contained resources and the
    entries of a Bundle are walked too.
    """
    kind = resource.get("resourceType")
    return _walk(resource, kind if isinstance(kind, str) else "")


def reference_texts(resource: Mapping[str, Any]) -> set[str]:
    """The texts of all references (and of the few elements called alike); cheap, without places."""
    found: set[str] = set()
    nodes: list[Any] = [resource]
    for node in nodes:  # grows while it is walked
        if type(node) is dict:
            for key, value in node.items():
                kind = type(value)
                if kind is dict or kind is list:
                    nodes.append(value)
                elif key == "reference" and kind is str:
                    found.add(value)
        else:
            nodes += [each for each in node if type(each) is dict or type(each) is list]
    return found


def _is_reference(key: str, value: Mapping[str, Any]) -> bool:
    # Two elements called `reference` are plain uris: DetectedIssue.reference (of a resource, so
    # its holder has a type) and Immunization.education.reference.
    return (
        isinstance(value.get("reference"), str)
        and "resourceType" not in value
        and key != "education"
    )


def _walk(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in node.items():
        if isinstance(value, dict):
            inner = f"{path}.{key}"
            if _is_reference(key, value):
                yield inner, value
            yield from _walk(value, inner)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    inner = f"{path}.{key}[{index}]"
                    if _is_reference(key, item):
                        yield inner, item
                    yield from _walk(item, inner)


def rewrite(
    resource: dict[str, Any], mapping: Mapping[str, str], links: Collection[str] = ()
) -> dict[str, Any]:
    """The resource with every `reference` text that `mapping` knows replaced.

    With `links` also the texts of elements of these names, and what narratives link to (`href`
    and `src`). Copies only what changes: the given resource is left as it was, untouched parts
    are shared, and without any hit the very same object comes back. Texts match as a whole.
    """
    keys = frozenset(links)
    rewritten: dict[str, Any] = _rewrite(resource, mapping, keys | {"reference"}, bool(keys))
    return rewritten


def _rewrite(node: Any, mapping: Mapping[str, str], keys: frozenset[str], narrative: bool) -> Any:
    changed: Any = None
    new: Any
    if type(node) is dict:
        for key, value in node.items():
            kind = type(value)
            if kind is str:
                if key in keys:
                    new = mapping.get(value, value)
                else:
                    new = _linked(value, mapping) if narrative and key == "div" else value
            elif kind is list and key in keys and value and type(value[0]) is str:
                new = [mapping.get(each, each) if type(each) is str else each for each in value]
                new = value if new == value else new
            else:
                new = value
                if kind is dict or kind is list:
                    new = _rewrite(value, mapping, keys, narrative)
            if new is not value:
                if changed is None:
                    changed = dict(node)
                changed[key] = new
    elif type(node) is list:
        for index, value in enumerate(node):
            new = value
            if type(value) is dict or type(value) is list:
                new = _rewrite(value, mapping, keys, narrative)
            if new is not value:
                if changed is None:
                    changed = list(node)
                changed[index] = new
    return node if changed is None else changed


def _linked(div: str, mapping: Mapping[str, str]) -> str:
    """A narrative whose links and pictures lead where `mapping` says."""
    if "href" not in div and "src" not in div:
        return div

    def address(found: re.Match[str]) -> str:
        return f"{found[1]}{mapping.get(found[2], found[2])}"

    linked = _LINKING_TAG.sub(lambda tag: _LINK.sub(address, tag[0]), div)
    return div if linked == div else linked
