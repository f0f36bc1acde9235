"""What an export was asked for: the parameters of a kick-off, by GET or by POST, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.fhir.definitions import TYPE_NUMBER, element_table
from pater.fhir.json import parse
from pater.fhir.references import parse_reference
from pater.fhir.search.index import IndexValues, index_values
from pater.fhir.search.query import Condition, matches, parse_search
from pater.records.export_walk import Shape
from pater.rest.errors import HttpError
from pater.rest.history_query import moment
from pater.rest.projection import project
from pater.rest.requests import parse_parameters

_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_VALUES: Final = ("valueString", "valueInstant", "valueDateTime", "valueCode", "valueUri")
_ONCE: Final = frozenset({"_since", "_until", "_outputFormat"})
# Search parameters of everything; what shapes a page has no meaning in an export.
_COMMON: Final = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"})
MOST_FILTERS: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A kick-off: types (empty = all), span of time, filters as they were written, patients."""

    types: frozenset[str]
    since: datetime | None
    until: datetime | None
    filters: tuple[str, ...]
    elements: tuple[str, ...]
    patients: tuple[str, ...] | None


def asked(
    parameters: Sequence[tuple[str, str]],
    resource: Mapping[str, Any] | None,
    *,
    level: str,
    lenient: bool,
    base_url: str,
) -> Asked:
    """Reads a kick-off (Bulk Data 2.0 "Query Parameters"). Raises HttpError 400, SearchError.

    `level` is "" for the system, else Patient or Group. With `lenient` what is not known is
    passed over, as the client wishes (Prefer: handling=lenient).
    """
    pairs = list(parameters)
    patients: list[str] | None = None
    for name, value, reference in _posted(resource):
        if name == "patient" and level:
            patients = patients or []
            patients.append(_patient(reference, base_url))
        else:
            pairs.append((name, value))
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in _ONCE and name in found:
            raise HttpError(400, "value", f"{name} stands here once")
        found.setdefault(name, []).append(value)
    unknown = sorted(set(found) - _ONCE - {"_type", "_typeFilter", "_elements"})
    if unknown and not lenient:
        text = f"an export does not take {', '.join(name[:64] for name in unknown[:10])}"
        if "patient" in unknown:
            text += "; patients are named in the body of a POST to Patient or a Group"
        raise HttpError(400, "not-supported", text)
    for value in found.get("_outputFormat", ()):
        if value.replace(" ", "+") not in _FORMATS:
            raise HttpError(400, "not-supported", "_outputFormat is application/fhir+ndjson")
    filters = [each for value in found.get("_typeFilter", ()) for each in _filters(value)]
    if len(filters) > MOST_FILTERS:
        raise HttpError(400, "too-costly", f"an export takes at most {MOST_FILTERS} filters")
    filters = [each for each in filters if _usable(each, base_url, lenient)]
    return Asked(
        _types(found.get("_type", ()), lenient),
        moment("_since", found["_since"][0]) if "_since" in found else None,
        moment("_until", found["_until"][0]) if "_until" in found else None,
        tuple(filters),
        tuple(_elements(found.get("_elements", ()), lenient)),
        None if patients is None else tuple(dict.fromkeys(patients)),
    )


def shape(filters: Sequence[str], elements: Sequence[str], base_url: str) -> Shape | None:
    """What makes lines of bodies for these filters and elements; None = they stay as they are."""
    if not filters and not elements:
        return None
    kept: dict[str, list[Sequence[Condition]]] = {}
    for text in filters:
        type_, conditions = _conditions(text, base_url)
        kept.setdefault(type_, []).append(conditions)
    everywhere = [each for each in elements if "." not in each]

    def line(type: str, body: bytes) -> bytes | None:
        if type in kept:
            resource = parse(body)
            index = index_values(type, resource)
            if not any(all(matches(c, resource, index) for c in each) for each in kept[type]):
                return None
        own = [each.split(".", 1)[1] for each in elements if each.startswith(f"{type}.")]
        return project(body, type, "", [*everywhere, *own]) if own or everywhere else body

    return line


def _posted(resource: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """(name, value, reference) of every parameter of a Parameters resource."""
    if resource is None:
        return []
    listed = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise HttpError(400, "invalid", "an export takes Parameters", path="resourceType")
    found = []
    for number, part in enumerate(listed):
        path = f"Parameters.parameter[{number}]"
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise HttpError(400, "invalid", "a parameter has a name", path=path)
        values = [part[name] for name in _VALUES if isinstance(part.get(name), str)]
        named = part.get("valueReference")
        reference = named.get("reference") if isinstance(named, dict) else None
        if isinstance(reference, str):
            found.append((part["name"], "", reference))
        elif len(values) == 1:
            found.append((part["name"], values[0], ""))
        else:
            raise HttpError(400, "invalid", "a parameter of an export has one value", path=path)
    return found


def _patient(reference: str, base_url: str) -> str:
    ref = parse_reference(reference.removeprefix(f"{base_url}/"))
    if ref.kind != "relative" or ref.type != "Patient" or not ref.id:
        raise HttpError(400, "value", "patient is a reference to a Patient here")
    return ref.id


def _types(values: Sequence[str], lenient: bool) -> frozenset[str]:
    names = {name.strip() for value in values for name in value.split(",")}
    unknown = sorted(name for name in names if name not in TYPE_NUMBER)
    if unknown and not lenient:
        raise HttpError(400, "value", f"R4 has no type {unknown[0][:64]}")
    known = frozenset(names - set(unknown))
    if names and not known:
        raise HttpError(400, "value", "none of the types of _type is known")
    return known


def _filters(value: str) -> list[str]:
    """The filters of one value: commas part them where a type and `?` follow."""
    parts: list[str] = []
    for piece in value.split(","):
        head, mark, _ = piece.strip().partition("?")
        if (mark and head in TYPE_NUMBER) or not parts:
            parts.append(piece.strip())
        else:
            parts[-1] += "," + piece
    return parts


def _conditions(text: str, base_url: str) -> tuple[str, Sequence[Condition]]:
    type_, _, query = text.partition("?")
    pairs = parse_parameters(query.encode("ascii", "backslashreplace"))
    return type_, parse_search(type_, pairs, base_url=base_url).conditions


def _usable(text: str, base_url: str, lenient: bool) -> bool:
    """Whether a filter can be used. Raises when it cannot and the client is not lenient."""
    type_, mark, query = text.partition("?")
    try:
        if type_ not in TYPE_NUMBER or not mark or not query:
            raise HttpError(400, "value", "a _typeFilter is like Observation?status=final")
        names = {name for name, _ in parse_parameters(query.encode("ascii", "backslashreplace"))}
        if any(n.startswith("_") and n.partition(":")[0] not in _COMMON for n in names):
            raise HttpError(400, "not-supported", "a _typeFilter takes search parameters only")
        _, conditions = _conditions(text, base_url)
        for condition in conditions:
            try:
                matches(condition, {"resourceType": type_}, IndexValues())
            except ValueError:
                text = "a _typeFilter looks at the resource itself: no chains, no _has"
                raise HttpError(400, "not-supported", text) from None
    except HttpError:
        if lenient:
            return False
        raise
    return True


def _elements(values: Sequence[str], lenient: bool) -> list[str]:
    found = []
    for name in (name.strip() for value in values for name in value.split(",")):
        type_, dot, element = name.partition(".")
        if dot and (type_ not in TYPE_NUMBER or not _is_element(type_, element)):
            if lenient:
                continue
            raise HttpError(400, "value", f"there is no element {name[:64]}")
        if name:
            found.append(name)
    return found


def _is_element(type: str, element: str) -> bool:
    paths = {row.path.split(".", 1)[1].removesuffix("[x]") for row in element_table(type)
             if row.path.count(".") == 1}  # fmt: skip
    return element in paths or element in ("id", "meta", "text")
