"""Vital signs conform to their profiles whether they say so or not (R4 section 10.1.8)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pater.fhir.fhirpath.types import resource_type
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Findings

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vitalspanel": ("85353-1",),
        "resprate": ("9279-1", "86290005"),
        "heartrate": ("8867-4", "364075005"),
        "oxygensat": ("2708-6", "431314004"),
        "bodytemp": ("8310-5", "386725007", "276885007"),
        "bodyheight": ("8302-2", "50373000"),
        "headcircum": ("9843-4", "363812007"),
        "bodyweight": ("29463-7", "27113001"),
        "bmi": ("39156-5", "60621009"),
        "bp": ("85354-9", "75367002"),
    }
)
_SYSTEMS = frozenset(("http://loinc.org", "http://snomed.info/sct"))
_PROFILE = MappingProxyType({code: name for name, codes in _CODES.items() for code in codes})


def vital_sign_rules(run: Run, resource: dict[str, Any], frame: Frame) -> Findings:
    """What of an Observation that measures a vital sign does not conform to the profile of it;
    nothing when that is not known."""
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    for each in codings if isinstance(codings, list) else ():
        if isinstance(each, dict) and str(each.get("system")) in _SYSTEMS:
            name = _PROFILE.get(str(each.get("code")))
            profile = run.profiles.get(_CORE + name) if name else None
            if profile is not None:
                return run.conforms((resource_type(resource), resource, None), frame, profile)
    return None
