"""The definitions of HL7 FHIR R4 (4.0.1) that the product needs, from compact files beside it.

`tools/generate_definitions.py` makes the files (HL7 publishes the content of FHIR as CC0). The
first one is read at import (some ten milliseconds); code displays and invariants are read when
first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import orjson
import zstandard

ANY = -1
"""The maximum `*` of a cardinality."""


class Element(NamedTuple):
    """One row of an element table.

    `path` starts with the type (`Observation.value[x]`); `maximum` is `ANY` for `*`; `types` are
    FHIR type names (System types replaced by the FHIR type they carry); `targets` the resource
    types a Reference may point to (empty = any); `canonicals` those of a canonical; `content` the
    path whose children this element shares; `strength`/`value_set` the binding or "".
    """

    path: str
    minimum: int
    maximum: int
    types: tuple[str, ...]
    targets: tuple[str, ...]
    canonicals: tuple[str, ...]
    content: str
    strength: str
    value_set: str
    summary: bool
    modifier: bool


class SearchComponent(NamedTuple):
    """One part of a composite search parameter: the address of its definition, its expression."""

    definition: str
    expression: str


class SearchParameter(NamedTuple):
    """One search parameter (R4 section 5.8). `base` are the types it is defined on, `expression`
    the FHIRPath as published (of all bases, joined by `|`; "" when there is none), `type` one of
    token, string, date, reference, number, quantity, uri, composite, special."""

    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    components: tuple[SearchComponent, ...]
    url: str


class Primitive(NamedTuple):
    """The published lexical limits of a primitive type."""

    regex: str | None
    max_length: int | None


class Constraint(NamedTuple):
    """One invariant where it is defined: `expression` is FHIRPath, `text` says it in words."""

    path: str
    key: str
    severity: Literal["error", "warning"]
    expression: str
    text: str


def _load(name: str) -> Any:
    packed = Path(__file__).with_name(name).read_bytes()
    return orjson.loads(zstandard.ZstdDecompressor().decompress(packed))


_CORE: Mapping[str, Any] = MappingProxyType(_load("r4.json.zst"))

RESOURCE_TYPES: tuple[str, ...] = tuple(
    sorted(
        name
        for name, row in _CORE["types"].items()
        if row["kind"] == "resource" and not row["abstract"]
    )
)
"""All concrete resource types of R4, sorted; the index is the stable number of the type."""

TYPE_NUMBER: Mapping[str, int] = MappingProxyType(
    {name: number for number, name in enumerate(RESOURCE_TYPES)}
)


def type_kind(name: str) -> Literal["resource", "complex", "primitive"] | None:
    """What kind of type a name stands for; None when R4 knows no such type."""
    row = _CORE["types"].get(name)
    return None if row is None else row["kind"]


@cache
def element_table(type_name: str) -> tuple[Element, ...]:
    """All elements of a resource type, data type or primitive, in order, from its snapshot.

    Raises KeyError for a name that is no R4 type. The root itself is not in the table.
    """
    return tuple(
        Element(
            path, minimum, maximum, tuple(types), tuple(targets), tuple(canonicals), content or "",
            binding[0] if binding else "", binding[1] if binding else "",
            bool(flags & 1), bool(flags & 2),
        )
        for path, minimum, maximum, types, targets, canonicals, content, binding, flags
        in _CORE["types"][type_name]["elements"]
    )  # fmt: skip


@cache
def primitive(name: str) -> Primitive:
    """The lexical limits of a primitive type. Raises KeyError when it is none."""
    row = _CORE["types"][name]
    return Primitive(row.get("regex"), row.get("max_length"))


@lru_cache(maxsize=1)
def _search_by_base() -> Mapping[str, Mapping[str, SearchParameter]]:
    out: dict[str, dict[str, SearchParameter]] = {}
    for code, kind, base, expression, targets, components, url in _CORE["search"]:
        parts = tuple(SearchComponent(*part) for part in components)
        parameter = SearchParameter(code, kind, tuple(base), expression, tuple(targets), parts, url)
        for name in base:
            out.setdefault(name, {})[code] = parameter
    return out


@cache
def search_parameters(type_name: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a resource type by code, those of every resource included."""
    by_base = _search_by_base()
    out = dict(by_base["Resource"])
    if any(row[0] == f"{type_name}.text" for row in _CORE["types"][type_name]["elements"]):
        out |= by_base["DomainResource"]
    out |= by_base.get(type_name, {})
    return MappingProxyType(out)


@cache
def compartment(code: str) -> Mapping[str, tuple[str, ...]]:
    """resource type → the search parameters that put it in a compartment (R4 section 5.10).

    `code` is Patient, Encounter, Practitioner, RelatedPerson or Device. Types that are never in
    the compartment are left out. Raises KeyError for another code.
    """
    return MappingProxyType(
        {name: tuple(codes) for name, codes in _CORE["compartments"][code].items()}
    )


@lru_cache(maxsize=512)
def required_codings(value_set: str) -> Mapping[str, frozenset[str]] | None:
    """system → codes of a value set that some element requires; None = it cannot be checked.

    Not finite or not in the definitions: MIME types, currencies, UCUM units, LOINC LL379-9.
    """
    found = _CORE["codes"].get(value_set.partition("|")[0])
    if found is None:
        return None
    return MappingProxyType({system: frozenset(codes) for system, codes in found.items()})


@lru_cache(maxsize=512)
def required_codes(value_set: str) -> frozenset[str] | None:
    """The codes of a required value set whatever their system; None = it cannot be checked."""
    found = required_codings(value_set)
    return None if found is None else frozenset().union(*found.values())


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, Any]:
    return MappingProxyType(_load("r4-codes.json.zst"))


def code_display(system: str, code: str) -> str | None:
    """The published display of a code of a FHIR, v3 or v2 code system."""
    display = _codes()["displays"].get(system, {}).get(code)
    return None if display is None else str(display)


def value_set_systems(value_set: str) -> tuple[str, ...]:
    """The code systems a value set names; empty when it is unknown or only joins other sets."""
    return tuple(_codes()["systems"].get(value_set.partition("|")[0], ()))


@lru_cache(maxsize=1)
def _constraints() -> Mapping[str, Any]:
    return MappingProxyType(_load("r4-constraints.json.zst"))


def constraints(type_name: str) -> tuple[Constraint, ...]:
    """The invariants that one type itself defines (its parents and data types have their own)."""
    return tuple(Constraint(*row) for row in _constraints().get(type_name, ()))
