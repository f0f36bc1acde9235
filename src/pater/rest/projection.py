"""`_summary` and `_elements`: a resource reduced to some of its elements, marked as such."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, Final

from pater.fhir.definitions import element_table
from pater.fhir.json import dumps, parse

SUMMARIES: Final = frozenset({"true", "text", "data", "false"})
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


@cache
def _top(type: str) -> tuple[frozenset[str], frozenset[str]]:
    """The mandatory and the summary elements at the top of a type; choices without `[x]`."""
    rows = [row for row in element_table(type) if row.path.count(".") == 1]
    mandatory = frozenset(_name(row.path) for row in rows if row.minimum)
    summary = frozenset(_name(row.path) for row in rows if row.summary)
    return mandatory, summary


def _name(path: str) -> str:
    return path.split(".", 1)[1].removesuffix("[x]")


def project(body: bytes, type: str, summary: str, elements: Collection[str]) -> bytes:
    """The bytes of a stored resource reduced (FHIR R4 3.1.1.5.8, 3.1.1.5.9), tagged SUBSETTED.

    `summary` is true, text, data or "" (then `elements` are the wanted ones at the top). What is
    mandatory always stays.
    """
    resource = parse(body)
    mandatory, marked = _top(type)
    if summary == "data":
        kept = {key: value for key, value in resource.items() if key != "text"}
    else:
        wanted: frozenset[str] = mandatory
        if summary == "true":
            wanted |= marked
        elif summary == "text":
            wanted |= {"text"}
        else:
            wanted |= {name.split(".")[0] for name in elements}
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
