"""The CapabilityStatement: generated from what the API really does."""

from __future__ import annotations

from typing import Any, Final

from pater.access.policy import group
from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.json import dumps
from pater.fhir.search.query import SearchError, parse_search
from pater.rest.interactions import Api

_SMART: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_PROBES: Final = {
    "date": "2020-01-01",
    "number": "1",
    "quantity": "1",
    "reference": "Patient/1",
    "string": "a",
    "token": "a",
    "uri": "http://example.org",
}
_AUDIT_SEARCH: Final = frozenset(
    {"_id", "_lastUpdated", "action", "agent", "date", "entity", "outcome", "patient", "subtype"}
)
_EVERYTHING: Final = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
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
            "software": software,
            "implementation": {"description": "Páteř, FHIR R4 API", "url": config.base_url},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
            "patchFormat": ["application/json-patch+json"],
            "rest": [
                {
                    "mode": "server",
                    "security": _security(api),
                    "resource": [_resource(api, type_) for type_ in RESOURCE_TYPES],
                    "interaction": [
                        {"code": code} for code in ("transaction", "batch", "history-system")
                    ],
                    **_operations(api, ""),
                    "compartment": ["http://hl7.org/fhir/CompartmentDefinition/patient"],
                }
            ],
        }
    )


def _security(api: Api) -> dict[str, Any]:
    url = api.config.token_url
    uris = [{"url": "token", "valueUri": url}] if url else []
    security: dict[str, Any] = {
        "cors": False,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                        "display": "SMART-on-FHIR",
                    }
                ]
            }
        ],
        "description": "OAuth 2 with SMART Backend Services: a signed client assertion gets a "
        "short-lived token. Every access is decided by policy and recorded.",
    }
    if uris:
        security["extension"] = [{"url": _SMART, "extension": uris}]
    return security


def _resource(api: Api, type: str) -> dict[str, Any]:
    audit = group(type) == "audit"
    reading = ["read", "vread", "history-instance", "search-type"]
    reading += [] if audit else ["history-type"]
    writing = [] if audit else ["create", "update", "patch", "delete"]
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
            {"name": code, "definition": url, "type": kind}
            for code, url, kind in _searchable(type)
            if not audit or code in _AUDIT_SEARCH
        ],
    }
    if not audit:
        includes = [f"{type}:{code}" for code, _, kind in _searchable(type) if kind == "reference"]
        if includes:
            resource["searchInclude"] = includes
    return {**resource, **_operations(api, type)}


def _operations(api: Api, type: str) -> dict[str, Any]:
    found = (
        [{"name": "validate", "definition": _VALIDATE}] if type and group(type) != "audit" else []
    )
    if type == "Patient":
        found.append({"name": "everything", "definition": _EVERYTHING})
    found += [
        {"name": operation.name, "definition": operation.definition}
        for (_, place, _), operation in api.operations.items()
        if operation.definition and (place == type or (type and place == "*"))
    ]
    return {"operation": found} if found else {}


def _searchable(type: str) -> list[tuple[str, str, str]]:
    """The parameters that a search of the type takes: those that a probe is accepted for."""
    found = []
    for code, parameter in sorted(search_parameters(type).items()):
        probe = _PROBES.get(parameter.type)
        if probe is None:
            continue
        if parameter.type == "reference" and parameter.targets:
            probe = f"{parameter.targets[0]}/1"
        try:
            parse_search(type, [(code, probe)])
        except SearchError:
            continue
        found.append((code, parameter.url, parameter.type))
    return found
