"""From a resource to its label: of which category and how confidential it is, by type and codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pater.fhir.labels import (
    CATEGORIES,
    NORMAL,
    RESTRICTED,
    VERY_RESTRICTED,
    document_bits,
    provider_bits,
)

CATEGORY_SYSTEM: Final = "urn:pater:record-category"
"""The system of our categories: in consents, and as a tag of what no type or code tells."""

_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_LOINC: Final = "http://loinc.org"
_SNOMED: Final = "http://snomed.info/sct"
_OBSERVATION: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"

_BY_TYPE: Final[Mapping[str, str]] = MappingProxyType({
    "Patient": "identification", "RelatedPerson": "identification", "Person": "identification",
    "Coverage": "identification",
    "Medication": "medication", "MedicationRequest": "medication",
    "MedicationDispense": "medication", "MedicationAdministration": "medication",
    "MedicationStatement": "medication",
    "Immunization": "vaccination", "ImmunizationEvaluation": "vaccination",
    "ImmunizationRecommendation": "vaccination",
    "Specimen": "laboratory-report", "ImagingStudy": "imaging-report",
    "Consent": "consent",
    "Communication": "notice", "CommunicationRequest": "notice",
    "Encounter": "care-relation", "EpisodeOfCare": "care-relation", "CareTeam": "care-relation",
})  # fmt: skip

_LABORATORY: Final = (
    "LAB BLB CG CH CP CTH GE HM IMM MB MCB MYC PAR PHR SP SR TX URN VR"
).split()  # fmt: skip
_IMAGING: Final = "CT CUS IMG MRI NMR NMS OUS RAD RUS RX VUS XRC".split()

_BY_CODE: Final[Mapping[tuple[str, str], str]] = MappingProxyType({
    **{(_LOINC, code): category for category, codes in {
        "patient-summary": "60591-5",
        "ambulatory-report": "34108-1 67781-5 11488-4 11506-3 34748-4",
        "discharge-report": "34105-7 18842-5 100719-4",
        "laboratory-report":
            "11502-2 26436-6 18716-1 18717-9 18719-5 18722-9 18723-7 18725-2 18728-6",
        "imaging-report": "18748-4 85430-7 18726-0",
        "medication": "57833-6 60593-1 56445-0",
        "vaccination": "11369-6 82593-5",
        "advance-directive": "42348-3 75320-2",
        "epidemiology": "55751-2",
        "consent": "59284-0",
    }.items() for code in codes.split()},
    # orders, and of which kind a procedure is
    (_SNOMED, "721965002"): "laboratory-order", (_SNOMED, "721964003"): "imaging-order",
    (_SNOMED, "108252007"): "laboratory-order", (_SNOMED, "363679005"): "imaging-order",
    (_OBSERVATION, "laboratory"): "laboratory-report",
    (_OBSERVATION, "imaging"): "imaging-report",
    **{(_SECTION, code): "laboratory-report" for code in _LABORATORY},
    **{(_SECTION, code): "imaging-report" for code in _IMAGING},
})  # fmt: skip
"""What a code of a type or category element means."""

_ELEMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "Observation": ("category",),
    "DiagnosticReport": ("category", "code"),
    "DocumentReference": ("type", "category"),
    "DocumentManifest": ("type",),
    "Composition": ("type", "category"),
    "ServiceRequest": ("category", "code"),
})  # fmt: skip
"""Where the types that are told by a code have it; the first that means something decides."""

_TAGGED: Final = frozenset(CATEGORIES) - {
    "other", "identification", "consent", "notice", "care-relation"
}  # fmt: skip
"""Categories that a tag may name; what the others hold is told by types alone."""
_NUMBER: Final[Mapping[str, int]] = MappingProxyType({c: n for n, c in enumerate(CATEGORIES)})
_LEVEL: Final[Mapping[object, int]] = MappingProxyType({
    "R": RESTRICTED, "V": VERY_RESTRICTED,
})  # fmt: skip


def label_of(type: str, resource: Any, provider: str = "", document: str = "") -> int:
    """The label of a resource of a type: total, for whatever JSON it is.

    `provider` is the IČO of who wrote it, `document` the id of the chain of its document.
    """
    number = _NUMBER[category_of(type, resource)] | (confidentiality_of(resource) << 6)
    if provider:
        number |= provider_bits(provider)
    return number | document_bits(document) if document else number


def category_of(type: str, resource: Any) -> str:
    """The category of a resource: by its type, else by its codes, else by a tag."""
    fixed = _BY_TYPE.get(type)
    if fixed is not None:
        if fixed == "consent" and _is_directive(resource):
            return "advance-directive"
        return fixed
    if not isinstance(resource, dict):
        return "other"
    if type == "Bundle":
        head = _first_entry(resource)
        return "other" if head is None else category_of("Composition", head)
    for element in _ELEMENTS.get(type, ()):
        for coding in _codings(resource.get(element)):
            found = _meaning(coding)
            if found is not None:
                return found
    return _tagged(resource)


def confidentiality_of(resource: Any) -> int:
    """How confidential a resource says it is: by its security labels, of a document also by its
    Composition; N (and less) is 0, R is 1, V is 2.
    """
    if not isinstance(resource, dict):
        return NORMAL
    meta = resource.get("meta")
    found = NORMAL
    if isinstance(meta, dict) and "security" in meta:
        found = _highest(meta["security"])
    match resource.get("resourceType"):
        case "Composition":
            found = max(found, _level(resource.get("confidentiality")))
        case "DocumentReference" if "securityLabel" in resource:
            labels = resource["securityLabel"]
            for concept in labels if isinstance(labels, list) else ():
                if isinstance(concept, dict):
                    found = max(found, _highest(concept.get("coding")))
        case "Bundle":
            head = _first_entry(resource)
            if head is not None:
                found = max(found, confidentiality_of(head))
    return found


def _meaning(coding: dict[str, Any]) -> str | None:
    key = (coding.get("system"), coding.get("code"))
    return _BY_CODE.get(key) if all(isinstance(part, str) for part in key) else None  # type: ignore[arg-type]  # both are texts


def _tagged(resource: dict[str, Any]) -> str:
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and tag.get("system") == CATEGORY_SYSTEM:
            code = tag.get("code")
            if isinstance(code, str) and code in _TAGGED:
                return code
    return "other"


def _is_directive(resource: Any) -> bool:
    scope = resource.get("scope") if isinstance(resource, dict) else None
    return any(
        coding.get("code") == "adr" and coding.get("system") in (_CONSENT_SCOPE, None)
        for coding in _codings(scope)
    )


def _highest(codings: Any) -> int:
    found = NORMAL
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict) and coding.get("system") == _CONFIDENTIALITY:
            found = max(found, _level(coding.get("code")))
    return found


def _level(code: Any) -> int:
    return _LEVEL.get(code, NORMAL) if isinstance(code, str) else NORMAL


def _first_entry(bundle: dict[str, Any]) -> dict[str, Any] | None:
    """The Composition of a document."""
    entries = bundle.get("entry")
    if bundle.get("type") != "document" or not isinstance(entries, list) or not entries:
        return None
    first = entries[0].get("resource") if isinstance(entries[0], dict) else None
    if not isinstance(first, dict) or first.get("resourceType") != "Composition":
        return None
    return first


def _codings(concepts: Any) -> Iterator[dict[str, Any]]:
    """The codings of a CodeableConcept or of a list of them."""
    for concept in concepts if isinstance(concepts, list) else (concepts,):
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            if isinstance(coding, dict):
                yield coding
