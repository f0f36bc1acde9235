"""Remarks on drafts, withdrawn definitions and codes that should not be used any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pater.terminology.compose import name_of
from pater.terminology.issues import TxIssue
from pater.terminology.model import Concept
from pater.terminology.resource_system import dicts, standards_status, text
from pater.terminology.session import Session

Json = Mapping[str, Any]
DEPRECATED: Final = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
OUTDATED: Final = frozenset({"deprecated", "withdrawn"})


def warning_of(definition: Json, root: Json | None) -> str:
    """`deprecated`, `withdrawn`, `retired`, `experimental`, `draft` or "" for a definition.

    A draft says nothing new within a draft, nor an experiment within an experiment.
    """
    standing = standards_status(definition)
    if standing in OUTDATED:
        return standing
    if definition is root:
        return ""
    if definition.get("status") == "retired":
        return "retired"
    if definition.get("experimental") is True and not (root or {}).get("experimental"):
        return "experimental"
    lax = (root or {}).get("experimental") is True or text(root or {}, "status") == "draft"
    if (standing or definition.get("status")) == "draft" and not lax:
        return "draft"
    return ""


def notes(session: Session, root: Json | None) -> list[tuple[str, str, str]]:
    """(warning, kind of definition, canonical) of everything the session used."""
    found = []
    for system in session.used.systems.values():
        resource = system.info.resource
        if resource is not None:
            warning = warning_of(resource, root)
            if warning:
                found.append((warning, "CodeSystem", system.info.canonical))
    sets = list(session.used.value_sets.values())
    if root is not None and not any(each is root for each in sets):
        sets.insert(0, root)
    for each in sets:
        warning = warning_of(each, root)
        if warning:
            found.append((warning, "ValueSet", name_of(each)))
    return found


def remarks(session: Session, root: Json | None) -> list[TxIssue]:
    """The notes as findings of $validate-code."""
    return [
        TxIssue(
            "information", "business-rule", "status-check",
            f"Reference to {warning} {kind} {canonical}", told=False,
            id=f"MSG_{warning.upper()}",
        )
        for warning, kind, canonical in notes(session, root)
    ]  # fmt: skip


def of_concept(concept: Concept, path: str) -> list[TxIssue]:
    """That a concept is inactive or deprecated."""
    if concept.inactive:
        status = concept.status
        said = "inactive" if status in ("", "inactive") else f"{status} and inactive"
        sentence = (
            f"The concept '{concept.code}' has a status of {said} and its use should be reviewed"
        )
        id_ = "INACTIVE_CONCEPT_FOUND"
    elif concept.status in OUTDATED:
        sentence = (
            f"The concept '{concept.code}' is {concept.status} and its use should be reviewed"
        )
        id_ = "DEPRECATED_CONCEPT_FOUND"
    else:
        return []
    return [TxIssue("warning", "business-rule", "code-comment", sentence, path, id=id_)]


def in_value_set(
    concept: Concept, system: str, overlay: Json, value_set: str, path: str
) -> list[TxIssue]:
    """That a value set advises against one of its codes."""
    status = standards_status(overlay)
    for extension in dicts(overlay, "extension"):
        if extension.get("url") == DEPRECATED and True in (
            each in (True, "true") for key, each in extension.items() if key.startswith("value")
        ):
            status = status or "deprecated"
    if status not in OUTDATED:
        return []
    sentence = (
        f"The presence of the concept '{concept.code}' in the system '{system}' in the value set"
        f" {value_set} is marked with a status of {status} and its use should be reviewed"
    )
    return [
        TxIssue(
            "warning",
            "business-rule",
            "code-comment",
            sentence,
            path,
            told=False,
            id="CONCEPT_DEPRECATED_IN_VALUESET",
        )
    ]
