"""`_summary` and `_elements`: a resource reduced to some of its elements, marked as such."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from pater.fhir.definitions import TYPE_NUMBER, element_table
from pater.fhir.fhirpath.types import children
from pater.fhir.json import dumps, parse

SUMMARIES: Final = frozenset({"true", "text", "data", "false"})
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


@cache
def _mandatory(type: str) -> frozenset[str]:
    """The mandatory elements at the top of a type; choices without `[x]`."""
    rows = [row for row in element_table(type) if row.path.count(".") == 1]
    return frozenset(_name(row.path) for row in rows if row.minimum)


def _name(path: str) -> str:
    return path.rpartition(".")[2].removesuffix("[x]")


def _named(elements: Collection[str], type: str) -> set[str]:
    """The names at the top that are meant for resources of a type."""
    named: set[str] = set()
    for name in elements:
        head, dot, rest = name.partition(".")
        if not (dot and head in TYPE_NUMBER):
            named.add(head)
        elif head == type:
            named.add(rest.partition(".")[0])
    return named


@cache
def _kept(node: str) -> Mapping[str, str]:
    """JSON key → type, of what a summary keeps of a type or of an inner element (by its path)."""
    edges = children(node)
    return MappingProxyType(
        {
            edge.key: edge.type.name
            for row in element_table(node.partition(".")[0])
            if row.path.rpartition(".")[0] == node and (row.summary or row.minimum)
            for edge in edges.get(_name(row.path), ())
        }
    )


def _summarised(value: dict[str, Any], node: str) -> dict[str, Any]:
    """What `_summary=true` keeps, inner elements and data types included (R4 `isSummary`)."""
    table = _kept(node)
    if not table:
        return value
    out: dict[str, Any] = {}
    for key, part in value.items():
        kind = table.get(key.removeprefix("_"))
        if key in _ALWAYS:
            out[key] = part
        elif kind is not None:
            out[key] = part if key.startswith("_") else _inner(part, kind)
    return out


def _inner(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_inner(each, kind) for each in value]
    if not isinstance(value, dict) or kind in ("Resource", "Meta"):
        return value
    # what would be left empty stays as it is: an empty object is no FHIR
    return _summarised(value, kind) or value


def project(body: bytes, type: str, summary: str, elements: Collection[str]) -> bytes:
    """The bytes of a stored resource reduced (FHIR R4 3.1.1.5.8, 3.1.1.5.9), tagged SUBSETTED.

    `summary` is true, text, data or "" (then `elements` are the wanted ones at the top; with the
    name of a type before them those of that type, and without such the others stay whole). What
    is mandatory always stays.
    """
    resource = parse(body)
    if summary == "data":
        kept = {key: value for key, value in resource.items() if key != "text"}
    elif summary == "true":
        kept = _summarised(resource, type)
    else:
        wanted = _mandatory(type)
        if summary == "text":
            wanted |= {"text"}
        else:
            named = _named(elements, type)
            if not named:
                return body
            wanted |= named
        kept = {key: value for key, value in resource.items() if _wanted(key, wanted)}
    return dumps(_tagged(kept))


def _wanted(key: str, wanted: frozenset[str]) -> bool:
    key = key.removeprefix("_")
    if key in _ALWAYS or key in wanted:
        return True
    # a choice (`value[x]`) is asked for by its name and stands under its name and type
    return any(key.startswith(name) and key[len(name) : len(name) + 1].isupper() for name in wanted)


def _tagged(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {**resource.get("meta", {})}
    meta["tag"] = [*meta.get("tag", ()), _SUBSETTED]
    out: dict[str, Any] = {}
    for key in ("resourceType", "id"):
        if key in resource:
            out[key] = resource[key]
    return {**out, "meta": meta, **{k: v for k, v in resource.items() if k not in _ALWAYS}}
