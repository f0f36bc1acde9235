"""How long validation takes: base R4, its invariants, a profile; beside jsonschema-rs.

The floor is a JSON schema made here from the same definitions and compiled by jsonschema-rs: it
knows names, JSON types, mandatory elements and repetition, and nothing of codes, choices,
references, invariants or profiles. It runs on the parsed resource, as ours does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import jsonschema_rs

from bench.documents import templates
from bench.table import number, render
from pater.fhir.definitions import ANY, RESOURCE_TYPES, element_table, type_kind
from pater.fhir.invariants import check
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import dumps, parse
from pater.fhir.validation import validate, validate_closely
from pater.fhir.validation.base import validate_base
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.whole import validate_profiles, validate_whole

Json = dict[str, Any]

BASE: Final = "http://example.org/StructureDefinition/"
_JSON: Final = {
    "boolean": "boolean", "decimal": "number", "integer": "integer", "positiveInt": "integer",
    "unsignedInt": "integer",
}  # fmt: skip


def _profile(name: str, type_: str, *elements: Json) -> Json:
    for each in elements:
        each["path"] = ".".join(part.partition(":")[0] for part in each["id"].split("."))
        last = each["id"].rpartition(".")[2]
        each |= {"sliceName": last.partition(":")[2]} if ":" in last else {}
    return {
        "resourceType": "StructureDefinition", "url": BASE + name, "type": type_,
        "kind": "resource", "derivation": "constraint",
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "differential": {"element": list(elements)},
    }  # fmt: skip


def _by(kind: str, path: str) -> Json:
    return {"discriminator": [{"type": kind, "path": path}], "rules": "open"}


PROFILES: Final = {
    each["url"]: each
    for each in (
        _profile(
            "patient", "Patient",
            {"id": "Patient.identifier", "min": 1, "slicing": _by("value", "system")},
            {"id": "Patient.identifier:rid", "max": "1"},
            {"id": "Patient.identifier:rid.system", "fixedUri": "https://ncez.mzcr.cz/fhir/sid/rid"},
            {"id": "Patient.identifier:rid.value", "min": 1, "maxLength": 10},
            {"id": "Patient.name", "min": 1,
             "constraint": [{"key": "n-1", "severity": "error", "human": "a name has a family name",
                             "expression": "family.exists() or text.exists()"}]},
            {"id": "Patient.birthDate", "min": 1},
        ),
        _profile(
            "observation", "Observation",
            {"id": "Observation.code.coding", "min": 1, "slicing": _by("value", "system")},
            {"id": "Observation.code.coding:loinc"},
            {"id": "Observation.code.coding:loinc.system", "fixedUri": "http://loinc.org"},
            {"id": "Observation.code.coding:loinc.code", "min": 1},
            {"id": "Observation.subject", "min": 1,
             "type": [{"code": "Reference", "targetProfile": [BASE + "patient"]}]},
        ),
        _profile(
            "bundle", "Bundle",
            {"id": "Bundle.entry", "min": 1, "slicing": _by("profile", "resource")},
            {"id": "Bundle.entry:patient", "min": 1, "max": "1"},
            {"id": "Bundle.entry:patient.resource",
             "type": [{"code": "Patient", "profile": [BASE + "patient"]}]},
        ),
    )
}  # fmt: skip


def schema() -> Json:
    """A JSON schema (draft 2020-12) of all resource types, from the element tables."""
    made: dict[str, Json] = {}
    for name in RESOURCE_TYPES:
        _define(name, made)
    every = [{"$ref": f"#/$defs/{name}"} for name in RESOURCE_TYPES]
    discriminated: Json = {"type": "object", "required": ["resourceType"], "allOf": [
        {"if": {"properties": {"resourceType": {"const": name}}}, "then": each}
        for name, each in zip(RESOURCE_TYPES, every, strict=True)
    ]}  # fmt: skip
    return {"$defs": {**made, "Resource": discriminated}, "$ref": "#/$defs/Resource"}


def _define(name: str, made: dict[str, Json]) -> None:
    """A type with its backbones, and the types of its elements."""
    if name in made or name == "Resource":
        return
    if type_kind(name) == "primitive":
        made[name] = {"type": _JSON.get(name, "string")}
        return
    rows = element_table(name)
    inner = {row.path.rpartition(".")[0] for row in rows}
    for path in inner:
        made[path] = {"type": "object", "properties": {}, "required": [],
                      "additionalProperties": False}  # fmt: skip
    if type_kind(name) == "resource":
        made[name]["properties"]["resourceType"] = {"const": name}
    for row in rows:
        holder, _, last = row.path.rpartition(".")
        target = made[holder]
        for kind in row.types or ("",):
            named = row.content or (row.path if row.path in inner else kind)
            if named == kind:
                _define(kind, made)
            value: Json = {"$ref": f"#/$defs/{named}"}
            if row.maximum == ANY:
                value = {"type": "array", "items": value, "minItems": 1}
            key = last.replace("[x]", kind[:1].upper() + kind[1:])
            target["properties"][key] = value
            if type_kind(kind) == "primitive":
                target["properties"]["_" + key] = {}
        if row.minimum and not last.endswith("[x]") and row.maximum != 0:
            target["required"].append(last)


@dataclass(frozen=True, slots=True)
class _Way:
    name: str
    run: Callable[[Json], Any]


def _best(run: Callable[[], Any], seconds: float) -> float:
    """The quickest of many runs, in microseconds."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def _resources() -> dict[str, Json]:
    """A document of the demonstration, its Patient, one of its Observations."""
    documents = []
    for each in templates(with_original=False):
        document = parse(each.before + dumps(each.patient) + each.after)
        documents.append(document)
    document = max(documents, key=lambda one: len(one["entry"]))
    inner = [entry["resource"] for entry in document["entry"]]
    observations = [each for each in inner if each["resourceType"] == "Observation"]
    found = {
        "Patient": next(each for each in inner if each["resourceType"] == "Patient"),
        "Observation": max(observations, key=lambda one: len(dumps(one))),
        "Bundle": document,
    }
    for kind, resource in found.items():
        resource.setdefault("meta", {})["profile"] = [BASE + kind.lower()]
    return found


def _closely(resource: Json) -> list[Issue]:
    """What a resource costs that is not seen to be right at once."""
    return validate_closely(resource) + check(resource["resourceType"], resource, advice=False)


def _from_bytes(raw: bytes) -> list[Issue]:
    return validate_base(parse(raw))


def validation(seconds: float = 1.0) -> dict[str, Any]:
    """Microseconds of each way for each resource: kind → {bytes, way → µs}."""
    compiled = jsonschema_rs.validator_for(schema())
    profiles, terms = Profiles(PROFILES.get), LocalTerms(PROFILES.get)
    ways = (
        _Way("jsonschema-rs", compiled.is_valid),
        _Way("base R4", validate),
        _Way("base and invariants", validate_base),
        _Way("the same, closely", _closely),
        _Way("profile", lambda body: validate_profiles(body, profiles, terms=terms)),
        _Way("everything", lambda body: validate_whole(body, profiles, terms=terms)),
    )
    out: dict[str, Any] = {}
    for kind, resource in _resources().items():
        raw = dumps(resource)
        if not compiled.is_valid(resource) or has_errors(validate_whole(resource, profiles)):
            raise ValueError(f"the {kind} to measure with is not valid")
        row: dict[str, Any] = {
            "bytes": len(raw),
            "parse": _best(partial(parse, raw), seconds),
        }
        row["parse, base, invariants"] = _best(partial(_from_bytes, raw), seconds)
        for way in ways:
            row[way.name] = _best(partial(way.run, resource), seconds)
        out[kind] = row
    return out


def told(found: dict[str, Any]) -> str:
    """The figures as a table of microseconds, and each as a multiple of jsonschema-rs."""
    names = [name for name in next(iter(found.values())) if name != "bytes"]
    rows = []
    for name in names:
        cells = [
            f"{number(row[name])} ({row[name] / row['jsonschema-rs']:.1f}×)"
            for row in found.values()
        ]
        rows.append([name, *cells])
    head = ["µs", *(f"{kind}, {row['bytes']} bytes" for kind, row in found.items())]
    return render(head, rows)
