"""The CapabilityStatement: generated from what the API really does."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pater.access.policy import group
from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.json import dumps
from pater.fhir.search.composites import composites
from pater.fhir.search.places import NEAR
from pater.fhir.search.query import SearchError, parse_search
from pater.rest.definitions import address
from pater.rest.everything import COMPARTMENTS
from pater.rest.interactions import Api
from pater.rest.patching import PATCH_TYPES

_SMART: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_PROBES: Final = {
    "date": "2020-01-01",
    "number": "1",
    "quantity": "1",
    "reference": "Patient/1",
    "special": "0|0",
    "string": "a",
    "token": "a",
    "uri": "http://example.org",
}
_SAID: Final = {
    ("Location", NEAR): {"documentation": "Without a distance: 10 km. Exact on a sphere."}
}
# What looks at more than one AuditEvent, or at its words.
_NOT_OF_AUDIT: Final = frozenset({"_content", "_text"})
_SMART_GUIDE: Final = (
    "http://hl7.org/fhir/smart-app-launch/ImplementationGuide/hl7.fhir.uv.smart-app-launch"
)
_BULK: Final = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
_BULK_GUIDE: Final = "http://hl7.org/fhir/uv/bulkdata/ImplementationGuide/hl7.fhir.uv.bulkdata"
_TERMINOLOGY: Final = "http://hl7.org/fhir/CapabilityStatement/terminology-server"
_MCSD: Final = "https://profiles.ihe.net/ITI/mCSD"
_DIRECTORY: Final = tuple(
    f"{_MCSD}/CapabilityStatement/IHE.mCSD.Directory{each}"
    for each in ("", ".Update", ".LocationDistance")
)
_DIRECTORY_GUIDE: Final = f"{_MCSD}/ImplementationGuide/ihe.iti.mcsd"
_ITI: Final = "https://profiles.ihe.net/ITI"
_PERSONS: Final = (
    f"{_ITI}/PIXm/CapabilityStatement/IHE.PIXm.Manager",
    f"{_ITI}/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
    f"{_ITI}/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch",
)
_PERSONS_GUIDES: Final = tuple(
    f"{_ITI}/{name}/ImplementationGuide/ihe.iti.{name.lower()}" for name in ("PIXm", "PDQm")
)
_COMPARTMENT: Final = "http://hl7.org/fhir/CompartmentDefinition"
_VALIDATE: Final = "http://hl7.org/fhir/OperationDefinition/Resource-validate"


def capability_statement(api: Api) -> bytes:
    """GET /metadata, FHIR R4 CapabilityStatement of kind instance."""
    config = api.config
    software: dict[str, Any] = {"name": "Páteř"}
    if config.version:
        software["version"] = config.version
    return dumps(
        {
            "resourceType": "CapabilityStatement",
            "id": "pater",
            "status": "active",
            "experimental": config.demo,
            "date": config.started.isoformat(timespec="seconds"),
            "kind": "instance",
            **_guides(api),
            "software": software,
            "implementation": {"description": "Páteř, FHIR R4 API", "url": config.base_url},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
            "patchFormat": [*PATCH_TYPES],
            "rest": [
                {
                    "mode": "server",
                    "security": _security(api),
                    "resource": [described(api, type_) for type_ in RESOURCE_TYPES],
                    **described(api, ""),
                    "compartment": [f"{_COMPARTMENT}/{t.lower()}" for t in sorted(COMPARTMENTS)],
                }
            ],
        }
    )


def _guides(api: Api) -> dict[str, Any]:
    """The guides that what is there follows: SMART where tokens are given, Bulk Data."""
    guides = [_SMART_GUIDE] if api.config.token_url else []
    found: dict[str, Any] = {}
    if any(name == "export" for name, _, _ in api.operations):
        found["instantiates"] = [_BULK]
        guides.append(_BULK_GUIDE)
    if ("expand", "ValueSet", False) in api.operations:
        found["instantiates"] = [*found.get("instantiates", ()), _TERMINOLOGY]
    if ("nearby", "HealthcareService", False) in api.operations:  # where there is a directory
        found["instantiates"] = [*found.get("instantiates", ()), *_DIRECTORY]
        guides.append(_DIRECTORY_GUIDE)
    if ("ihe-pix", "Patient", False) in api.operations:  # where there is a register of persons
        found["instantiates"] = [*found.get("instantiates", ()), *_PERSONS]
        guides += _PERSONS_GUIDES
    return {**found, **({"implementationGuide": guides} if guides else {})}


def _security(api: Api) -> dict[str, Any]:
    url = api.config.token_url
    uris = [{"url": "token", "valueUri": url}] if url else []
    uris += [{"url": name, "valueUri": at} for name, at in api.config.app_urls.items()]
    apps = " Apps act for a person who allowed it (SMART App Launch)." if len(uris) > 1 else ""
    tls = " Systems may come by mutual TLS, with tokens bound to their certificates (RFC 8705)."
    system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
    services = ["SMART-on-FHIR", *(["Certificates"] if api.config.certificates else [])]
    security: dict[str, Any] = {
        "cors": api.config.cors,
        "service": [
            {"coding": [{"system": system, "code": code, "display": code}]} for code in services
        ],
        "description": "OAuth 2 with SMART Backend Services: a signed client assertion gets a "
        "short-lived token. Scopes may be narrowed by search arguments. Every access is decided "
        "by policy and recorded." + apps + (tls if api.config.certificates else ""),
    }
    if uris:
        security["extension"] = [{"url": _SMART, "extension": uris}]
    return security


def described(api: Api, type: str) -> dict[str, Any]:
    """What can be done with a type ("" = with the whole): CapabilityStatement.rest.resource."""
    if not type:
        codes = ("transaction", "batch", "history-system", "search-system")
        more = api.described.get("", {})
        common = [{"name": name, "type": "special"} for name in ("_filter", "_has", "_list")]
        return {
            **more,
            "interaction": [{"code": code} for code in codes],
            "searchParam": common,
            **_operations(api, ""),
        }
    audit = group(type) == "audit"
    reading = ["read", "vread", "history-instance", "search-type"]
    reading += [] if audit else ["history-type"]
    told = ["create"] if type in api.creates else []  # what other systems tell
    writing = told if audit else ["create", "update", "patch", "delete"]
    resource: dict[str, Any] = {
        "type": type,
        "interaction": [{"code": code} for code in (*reading, *writing)],
        "versioning": "versioned" if audit else "versioned-update",
        "readHistory": True,
        "updateCreate": not audit,
        "conditionalCreate": not audit,
        "conditionalRead": "full-support",
        "conditionalUpdate": not audit,
        "conditionalDelete": "not-supported" if audit else "single",
        "searchParam": [
            {"name": code, "definition": url, "type": kind, **_SAID.get((type, code), {})}
            for code, url, kind in _searchable(api, type)
            if not (audit and code in _NOT_OF_AUDIT)
        ],
    }
    if not audit:
        includes = [
            f"{type}:{code}" for code, _, kind in _searchable(api, type) if kind == "reference"
        ]
        if includes:
            resource["searchInclude"] = includes
        if _referring(type):
            resource["searchRevInclude"] = ["*", *_referring(type)]
    return {**api.described.get(type, {}), **resource, **_operations(api, type)}


def _operations(api: Api, type: str) -> dict[str, Any]:
    found = {"validate": _VALIDATE} if type and group(type) != "audit" else {}
    for (name, place, _), operation in api.operations.items():
        if place == type or (type and place == "*"):
            found.setdefault(name, address(api.config.base_url, operation))
    listed = [{"name": name, "definition": found[name]} for name in sorted(found)]
    return {"operation": listed} if listed else {}


def _searchable(api: Api, type: str) -> list[tuple[str, str, str]]:
    """The parameters that a search of the type takes: code, address and type of each.

    Those of R4 that a probe is accepted for, and those beyond it whose index is complete.
    """
    found = {each: _probed(type, each) for each in search_parameters(type)}
    definitions = {code: parameter.definition for code, parameter in composites(type).items()}
    custom = api.gate.custom
    for code, parameter in custom.of(type).items():
        if (type, code) not in custom.progress:
            definitions[code] = parameter.definition
    listed = [each for each in found.values() if each is not None]
    listed += [(code, each.url, each.type) for code, each in definitions.items()]
    return sorted(listed)


@cache
def _referring(type: str) -> tuple[str, ...]:
    """The parameters of R4 by which other resources refer to those of the type.

    Those that may refer to any type are not repeated for each: `*` is all.
    """
    return tuple(
        f"{source}:{code}"
        for source in RESOURCE_TYPES
        if group(source) != "audit"
        for code, parameter in search_parameters(source).items()
        if parameter.type == "reference"
        and type in parameter.targets
        and len(parameter.targets) < len(RESOURCE_TYPES) // 2
        and _probed(source, code) is not None
    )


@cache
def _probed(type: str, code: str) -> tuple[str, str, str] | None:
    """A parameter of R4 when a search takes it."""
    parameter = search_parameters(type)[code]
    probe = _PROBES.get(parameter.type)
    if probe is None:
        return None
    if parameter.type == "reference" and parameter.targets:
        probe = f"{parameter.targets[0]}/1"
    try:
        parse_search(type, [(code, probe)], whole=True)
    except SearchError:
        return None
    return code, parameter.url, parameter.type
