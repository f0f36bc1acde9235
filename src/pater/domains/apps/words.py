"""Says in plain words what a scope lets an app do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pater.access import app_scopes
from pater.access.scopes import ScopeError, parse_scope
from pater.web.i18n import N_

# The types that apps usually ask for; any other is shown under its own name.
TYPES: Final[Mapping[str, str]] = {
    "*": N_("all health records"),
    "AllergyIntolerance": N_("allergies and intolerances"),
    "Appointment": N_("appointments"),
    "AuditEvent": N_("the overview of who looked"),
    "Binary": N_("attached files"),
    "Bundle": N_("documents"),
    "CarePlan": N_("care plans"),
    "CareTeam": N_("care teams"),
    "Composition": N_("documents"),
    "Condition": N_("diagnoses and problems"),
    "Consent": N_("consents"),
    "Coverage": N_("health insurance"),
    "Device": N_("medical devices"),
    "DiagnosticReport": N_("examination reports"),
    "DocumentReference": N_("list of documents"),
    "Encounter": N_("visits and hospital stays"),
    "FamilyMemberHistory": N_("family history"),
    "Goal": N_("goals of treatment"),
    "ImagingStudy": N_("imaging examinations"),
    "Immunization": N_("vaccinations"),
    "Location": N_("places of care"),
    "Media": N_("pictures and recordings"),
    "Medication": N_("medicines"),
    "MedicationAdministration": N_("medicines given"),
    "MedicationDispense": N_("medicines dispensed"),
    "MedicationRequest": N_("prescriptions"),
    "MedicationStatement": N_("medicines used"),
    "Observation": N_("results and measurements"),
    "Organization": N_("healthcare providers"),
    "Patient": N_("personal data (name, birth date, contacts)"),
    "Practitioner": N_("health professionals"),
    "PractitionerRole": N_("roles of health professionals"),
    "Procedure": N_("procedures and operations"),
    "Provenance": N_("origin of the records"),
    "QuestionnaireResponse": N_("filled-in questionnaires"),
    "RelatedPerson": N_("related persons"),
    "ServiceRequest": N_("orders of examinations"),
    "Specimen": N_("samples"),
}
_CATEGORIES: Final[Mapping[str, str]] = {
    "laboratory": N_("laboratory"),
    "vital-signs": N_("vital signs"),
    "imaging": N_("imaging"),
    "social-history": N_("way of life"),
    "survey": N_("questionnaires"),
    "exam": N_("examination"),
    "procedure": N_("procedures"),
    "therapy": N_("therapy"),
    "activity": N_("activity"),
}
WHO: Final = N_("Know who you are: your name and your number here")
OFFLINE: Final = N_("Stay connected when you are not logged in, for up to one year")
ONLINE: Final = N_("Stay connected as long as you are logged in here")
READ: Final = N_("Read: %(what)s")
READ_ALL: Final = N_("Read, for the patients whom you treat: %(what)s")
ONLY: Final = N_("only %(what)s")

_WHO: Final = frozenset({app_scopes.OPENID, app_scopes.FHIR_USER, app_scopes.PROFILE})
_QUIET: Final = frozenset({app_scopes.LAUNCH, app_scopes.LAUNCH_PATIENT})

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that an app may do, and the scopes that say so."""

    text: str
    scopes: tuple[str, ...]


def lines(scopes: Iterable[str], _: Translate) -> list[Line]:
    """What the scopes mean, one line for each thing; several that mean the same are one.

    Which are one does not depend on the language, so a line keeps its number.
    """
    found: dict[str, list[str]] = {}
    for scope in scopes:
        if scope not in _QUIET:
            found.setdefault(_text(scope, str), []).append(scope)
    return [Line(_text(some[0], _), tuple(some)) for some in found.values()]


def quiet(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes that only say which record is meant."""
    return tuple(scope for scope in scopes if scope in _QUIET)


def _text(text: str, _: Translate) -> str:
    if text in _WHO:
        return _(WHO)
    if text == app_scopes.OFFLINE:
        return _(OFFLINE)
    if text == app_scopes.ONLINE:
        return _(ONLINE)
    try:
        scope = parse_scope(text)
    except ScopeError:
        return text
    what = _(TYPES[scope.type]) if scope.type in TYPES else scope.type
    if scope.arguments:
        parts = ", ".join(_argument(name, value, _) for name, value in scope.arguments)
        what += " (" + _(ONLY) % {"what": parts} + ")"
    frame = READ if scope.context == "patient" else READ_ALL
    return _(frame) % {"what": what}


def _argument(name: str, value: str, _: Translate) -> str:
    code = value.rpartition("|")[2]
    if name == "category" and code in _CATEGORIES:
        return _(_CATEGORIES[code])
    return f"{name} = {value}"
