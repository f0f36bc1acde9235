"""Reads of the register through the gate, for questions and pages: a handful of searches each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.json import parse
from pater.fhir.search.parse import parse_search
from pater.records.gate import Gate

Json = dict[str, Any]
TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"
MOST: Final = 200
"""Resources of one kind that are shown of one provider, place or professional."""


async def resources(
    gate: Gate, caller: Caller, type: str, *parameters: tuple[str, str], count: int = MOST
) -> list[Json]:
    """What a search finds, up to `count`."""
    page = await gate.search(caller, parse_search(type, parameters), count=count)
    return [parse(each.body) for each in page.matches]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider with all that hangs on it."""

    organization: Json
    permits: Sequence[Json]
    places: Sequence[Json]
    services: Sequence[Json]
    departments: Sequence[Json]
    endpoints: Sequence[Json]


async def provider(gate: Gate, caller: Caller, organization: Json) -> Provider:
    """A provider, whole."""
    who = f"Organization/{organization['id']}"
    permits, places, services, departments, endpoints = await asyncio.gather(
        resources(gate, caller, "OrganizationAffiliation", ("participating-organization", who)),
        resources(gate, caller, "Location", ("organization", who)),
        resources(gate, caller, "HealthcareService", ("organization", who)),
        resources(gate, caller, "Organization", ("partof", who)),
        resources(gate, caller, "Endpoint", ("organization", who)),
    )
    return Provider(organization, permits, places, services, departments, endpoints)


def text_of(concept: Json | None) -> str:
    """The words of a CodeableConcept."""
    if not concept:
        return ""
    codings = concept.get("coding", ())
    found = concept.get("text") or next((c["display"] for c in codings if c.get("display")), "")
    return str(found or next((c["code"] for c in codings if c.get("code")), ""))


def name_of(resource: Json, lang: str) -> str:
    """The name of a resource in a language, where it is translated (FHIR extension translation)."""
    for each in (resource.get("_name") or {}).get("extension", ()):
        parts = {part.get("url"): part for part in each.get("extension", ())}
        if each.get("url") == TRANSLATION and parts.get("lang", {}).get("valueCode") == lang:
            return str(parts.get("content", {}).get("valueString", ""))
    return str(resource.get("name", ""))


def value_of(resource: Json, system: str) -> str:
    """The value of an identifier of a system; "" when there is none."""
    return next(
        (str(i["value"]) for i in resource.get("identifier", ())
         if i.get("system") == system and i.get("value")),
        "",
    )  # fmt: skip


def extensions(resource: Json, url: str) -> list[Any]:
    """The values of extensions."""
    return [
        value
        for each in resource.get("extension", ())
        if each.get("url") == url
        for name, value in each.items()
        if name.startswith("value")
    ]


def id_in(reference: Json | None) -> str:
    """The id that a Reference ends with."""
    return str((reference or {}).get("reference", "")).rpartition("/")[2]
