"""Subscription topics: those that ship, and those that operators write as Basic resources.

R4 has no SubscriptionTopic. The Subscriptions Backport guide (1.1) has it written as a Basic whose
extensions are the elements of the later resource; that is what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pater.access.policy import is_personal
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER, search_parameters
from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.issues import Issue
from pater.rest.subscriptions.criteria import CriteriaError, conditions_of

INTERACTIONS: Final = frozenset({"create", "update", "delete"})
VARIABLES: Final = frozenset({"previous", "current"})
_NAME: Final = re.compile(
    r"http://hl7\.org/fhir/[0-9.]{1,9}/StructureDefinition/extension-SubscriptionTopic\.([A-Za-z]+)"
)
_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/"
_CODE: Final = "SubscriptionTopic"
_MOST_TRIGGERS: Final = 200
PERSONS: Final = "urn:pater:topic:person-changed"
PROVIDERS: Final = "urn:pater:topic:provider-changed"
PROFESSIONALS: Final = "urn:pater:topic:professional-changed"
_OF_PROVIDERS: Final = (
    "Organization",
    "Location",
    "HealthcareService",
    "OrganizationAffiliation",
    "Endpoint",
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes an event (SubscriptionTopic.resourceTrigger); queries are without `Type?`.

    `passes_create` and `passes_delete` are the result of the test that has nothing to look at
    (queryCriteria.resultForCreate, resultForDelete).
    """

    type: str
    interactions: frozenset[str] = INTERACTIONS
    previous: str = ""
    current: str = ""
    passes_create: bool = True
    passes_delete: bool = True
    both: bool = False
    fhirpath: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its canonical address; `filters` are the parameters it may be filtered by."""

    url: str
    title: str
    triggers: tuple[Trigger, ...]
    filters: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


def _shipped() -> dict[str, Topic]:
    written = frozenset({"create", "update"})
    followed = [t for t in RESOURCE_TYPES if is_personal(t) and "patient" in search_parameters(t)]
    made = [
        Topic(
            "urn:pater:topic:document-published",
            "A document of a patient is here, in a new version too",
            (Trigger("DocumentReference", written, current="status=current"),),
            _filters(("DocumentReference",), "patient", "type", "category", "facility"),
        ),
        Topic(
            "urn:pater:topic:result-reported",
            "A result was written or changed",
            (Trigger("DiagnosticReport", written), Trigger("Observation", written)),
            _filters(("DiagnosticReport", "Observation"), "patient", "code", "category", "status"),
        ),
        Topic(
            "urn:pater:topic:encounter-started",
            "An encounter has begun",
            (
                Trigger(
                    "Encounter", written, "status:not=in-progress", "status=in-progress",
                    both=True,
                ),
            ),
            _filters(("Encounter",), "patient", "class", "type", "service-provider"),
        ),
        Topic(
            "urn:pater:topic:encounter-finished",
            "An encounter has ended",
            (
                Trigger(
                    "Encounter", written, "status:not=finished", "status=finished", both=True
                ),
            ),
            _filters(("Encounter",), "patient", "class", "type", "service-provider"),
        ),
        Topic(
            "urn:pater:topic:record-changed",
            "Anything in a patient's record was written, changed or deleted",
            tuple(Trigger(type_) for type_ in followed),
            _filters(tuple(followed), "patient"),
        ),
        Topic(
            PERSONS,
            "Identification of a person was changed, merged or split",
            (Trigger("Patient"),),
            _filters(("Patient",), "_id", "identifier"),
        ),
        Topic(
            PROVIDERS,
            "The register of providers was changed",
            tuple(map(Trigger, _OF_PROVIDERS)),
            _filters(_OF_PROVIDERS, "_id", "identifier"),
        ),
        Topic(
            PROFESSIONALS,
            "The register of professionals was changed",
            (Trigger("Practitioner"), Trigger("PractitionerRole")),
            _filters(("Practitioner", "PractitionerRole"), "_id", "identifier"),
        ),
    ]  # fmt: skip
    return {topic.url: topic for topic in made}


def _filters(types: tuple[str, ...], *params: str) -> dict[str, frozenset[str]]:
    return {type_: frozenset(params) for type_ in types}


SHIPPED: Final[Mapping[str, Topic]] = MappingProxyType(_shipped())


def is_topic(resource: Mapping[str, Any]) -> bool:
    """Whether a Basic says that it is a SubscriptionTopic."""
    if any(_NAME.fullmatch(str(each.get("url"))) for each in _extensions(resource)):
        return True
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    return any(isinstance(c, dict) and c.get("code") == _CODE for c in codings or ())


def read_topic(resource: Mapping[str, Any], base_url: str = "") -> tuple[Topic | None, list[Issue]]:
    """The topic of a Basic, or what is wrong with it."""
    issues: list[Issue] = []
    url, title = "", ""
    triggers: list[Trigger] = []
    filters: dict[str, set[str]] = {}
    for number, extension in enumerate(_extensions(resource)):
        found = _NAME.fullmatch(str(extension.get("url")))
        path = f"Basic.extension[{number}]"
        match found and found[1]:
            case "url":
                url = str(_value(extension) or "")
            case "title":
                title = str(_value(extension) or "")
            case "resourceTrigger":
                try:
                    triggers.append(_trigger(extension, base_url))
                except CriteriaError as error:
                    issues.append(Issue("error", "invalid", path, str(error)))
            case "eventTrigger":
                text = "event triggers are not supported: use a resource trigger"
                issues.append(Issue("error", "not-supported", path, text))
            case "canFilterBy":
                parts = _parts(extension)
                for type_ in parts.get("resource", [""]):
                    filters.setdefault(_type_name(type_), set()).update(
                        map(str, parts.get("filterParameter", ()))
                    )
    if not url or url in SHIPPED or any(c.isspace() for c in url):
        text = "a topic has a canonical address of its own (extension …SubscriptionTopic.url)"
        issues.append(Issue("error", "required", "Basic.extension", text))
    if not 0 < len(triggers) <= _MOST_TRIGGERS and not issues:
        text = f"a topic has 1 to {_MOST_TRIGGERS} resource triggers"
        issues.append(Issue("error", "required", "Basic.extension", text))
    if issues:
        return None, issues
    allowed = {type_: frozenset(names) for type_, names in filters.items()}
    return Topic(url, title or url, tuple(triggers), allowed), []


def _trigger(extension: Mapping[str, Any], base_url: str) -> Trigger:
    parts = _parts(extension)
    type_ = _type_name(str((parts.get("resource") or [""])[0]))
    if type_ not in TYPE_NUMBER:
        raise CriteriaError("a trigger names a resource type of R4")
    interactions = frozenset(map(str, parts.get("supportedInteraction", ())))
    if not interactions <= INTERACTIONS:
        raise CriteriaError("supportedInteraction is create, update or delete")
    query: dict[str, list[Any]] = {}
    for each in extension.get("extension") or ():
        if isinstance(each, dict) and each.get("url") == "queryCriteria":
            query = _parts(each)
    previous, current = (
        str((query.get(name) or [""])[0]).removeprefix(f"{type_}?")
        for name in ("previous", "current")
    )
    for text in (previous, current):
        conditions_of(type_, text, base_url)
    fhirpath = str((parts.get("fhirPathCriteria") or [""])[0])
    if fhirpath:
        try:
            compile_expression(fhirpath, type_, VARIABLES)
        except FhirPathError as error:
            raise CriteriaError("fhirPathCriteria cannot be read") from error
    return Trigger(
        type_,
        interactions or INTERACTIONS,
        previous,
        current,
        (query.get("resultForCreate") or ["test-passes"])[0] == "test-passes",
        (query.get("resultForDelete") or ["test-passes"])[0] == "test-passes",
        (query.get("requireBoth") or [False])[0] is True,
        fhirpath,
    )


def _type_name(text: str) -> str:
    return text.removeprefix(_TYPE)


def _extensions(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = resource.get("extension")
    if isinstance(found, list):
        yield from (each for each in found if isinstance(each, dict))


def _value(extension: Mapping[str, Any]) -> Any:
    return next((v for name, v in extension.items() if name.startswith("value")), None)


def _parts(extension: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The simple parts of a complex extension: name -> values."""
    found: dict[str, list[Any]] = {}
    for each in _extensions(extension):
        value = _value(each)
        if value is not None and isinstance(each.get("url"), str):
            found.setdefault(each["url"], []).append(value)
    return found
