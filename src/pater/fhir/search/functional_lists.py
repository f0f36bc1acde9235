"""Lists that are only functions (`_list=$current-problems`): what is on them, as conditions.

R4 (3.1.1.4.10, Lists) leaves to the server what such a list holds. Here it is what the resources
say of themselves: nobody has to keep a List.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_TERMS = "http://terminology.hl7.org/CodeSystem"
_DRUG = ("category", "medication")
_ALLERGY = (
    ("clinical-status", f"{_TERMS}/allergyintolerance-clinical|active"),
    ("verification-status:not", "refuted,entered-in-error"),
)
_PROBLEM = (
    (
        "clinical-status",
        ",".join(
            f"{_TERMS}/condition-clinical|{code}" for code in ("active", "recurrence", "relapse")
        ),
    ),
    ("verification-status:not", "refuted,entered-in-error"),
)
_TAKEN = (("status", "active"),)

FUNCTIONAL: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        "$current-allergies": {"AllergyIntolerance": _ALLERGY},
        "$current-drug-allergies": {"AllergyIntolerance": (*_ALLERGY, _DRUG)},
        "$current-medications": {"MedicationRequest": _TAKEN, "MedicationStatement": _TAKEN},
        "$current-problems": {"Condition": _PROBLEM},
    }
)
"""List → resource type → parameters (name, value) that its members meet."""
