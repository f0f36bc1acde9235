"""The rules of a FHIR document Bundle that come before any profile: pure functions.

Sources: FHIR R4 3.3 (documents) and bdl-* invariants; HL7 Czech Republic core (identifiers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pater.fhir.compartment import patient_references
from pater.fhir.issues import Issue
from pater.fhir.references import iter_references, parse_reference, reference_texts
from pater.registers.identifiers import check

Resource = dict[str, Any]

# Where a failing check digit is looked at: the identifiers that say who somebody is.
_IDENTIFIED: Final = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a document: its place, its name within the document, the resource."""

    position: int
    full_url: str
    resource: Resource

    @property
    def path(self) -> str:
        """The FHIRPath of the resource, for issues."""
        return f"Bundle.entry[{self.position}].resource"


def entries_of(bundle: Resource) -> list[Entry]:
    """The entries that carry a resource, in order."""
    return [
        Entry(position, str(entry.get("fullUrl", "")), entry["resource"])
        for position, entry in enumerate(bundle.get("entry", ()))
        if isinstance(entry.get("resource"), dict)
    ]


def names_of(entries: list[Entry]) -> dict[str, Entry]:
    """Every way in which a reference may name an entry: its fullUrl, and Type/id.

    A relative reference is resolved by Type/id (FHIR R4, bundle, resolving references); an exact
    fullUrl goes first, so that an odd resource id cannot hide another entry.
    """
    names = {f"{e.resource.get('resourceType')}/{e.resource.get('id')}": e for e in entries}
    names.update({e.full_url: e for e in entries if e.full_url})
    return names


def structure_issues(bundle: Resource) -> list[Issue]:
    """What is wrong with the Bundle as a document: identifier, timestamp, Composition, fullUrls."""
    issues: list[Issue] = []
    identifier = bundle.get("identifier")
    if not isinstance(identifier, dict) or not identifier.get("value"):
        issues.append(
            Issue("error", "required", "Bundle.identifier", "a document has an identifier (bdl-9)")
        )
    if "timestamp" not in bundle:
        issues.append(
            Issue("error", "required", "Bundle.timestamp", "a document has a timestamp (bdl-10)")
        )
    elif stamp_of(bundle) is None:
        issues.append(
            Issue("error", "value", "Bundle.timestamp", "not an instant with a time zone")
        )
    listed = bundle.get("entry")
    # the shape may be wrong, too: what is no entry counts as one with nothing in it
    entries = [
        each if isinstance(each, dict) else {}
        for each in (listed if isinstance(listed, list) else [])
    ]
    types = [
        e.get("resource", {}).get("resourceType") if isinstance(e.get("resource"), dict) else None
        for e in entries
    ]
    if not types or types[0] != "Composition":
        issues.append(
            Issue(
                "error", "structure", "Bundle.entry[0]", "the first entry is a Composition (bdl-11)"
            )
        )
    for position, kind in enumerate(types):
        if kind is None:
            issues.append(
                Issue("error", "required", f"Bundle.entry[{position}]", "the entry has no resource")
            )
        elif kind == "AuditEvent":
            issues.append(
                Issue(
                    "error",
                    "not-supported",
                    f"Bundle.entry[{position}]",
                    "who looked is recorded here, a document brings no records of access",
                )
            )
        elif kind == "Composition" and position:
            issues.append(
                Issue(
                    "error",
                    "structure",
                    f"Bundle.entry[{position}]",
                    "a document has one Composition only",
                )
            )
    urls = Counter(str(e.get("fullUrl")) for e in entries if e.get("fullUrl"))
    for position, entry in enumerate(entries):
        url = str(entry.get("fullUrl") or "")
        if not url:
            issues.append(
                Issue(
                    "error",
                    "required",
                    f"Bundle.entry[{position}].fullUrl",
                    "every entry of a document has a fullUrl",
                )
            )
        elif urls[url] > 1:
            issues.append(
                Issue(
                    "error",
                    "duplicate",
                    f"Bundle.entry[{position}].fullUrl",
                    f"another entry has the same fullUrl {url} (bdl-7)",
                )
            )
    return issues


def reference_issues(entries: list[Entry]) -> list[Issue]:
    """References that lead nowhere within the document.

    An error from the Composition (FHIR R4 3.3.1: what it refers to is in the Bundle) and where a
    reference says whose record it is; a warning elsewhere, for the published guides have such.
    """
    names = names_of(entries)
    issues: list[Issue] = []
    for entry in entries:
        if all(text in names or text[:1] == "#" for text in reference_texts(entry.resource)):
            continue
        kind = str(entry.resource.get("resourceType"))
        owners = {
            ref.url or f"{ref.type}/{ref.id}" for ref in patient_references(kind, entry.resource)
        }
        for path, holder in iter_references(entry.resource):
            text = holder["reference"]
            if text.startswith("#") or text in names:
                continue
            # iter_references names a place by its type; the issue names it from the Bundle
            place = f"{entry.path}{path.removeprefix(kind)}.reference"
            if kind == "Composition" and ".relatesTo[" in path:
                continue  # another document (R4 Composition.relatesTo): `replaces` is looked up
            if kind == "Composition":
                what = "a reference of the Composition leads nowhere in the document"
            elif text in owners or parse_reference(text).type == "Patient":
                # of any element and of any version: here it would mean somebody else's record
                what = "the reference to the patient leads nowhere in the document"
            else:
                issues.append(
                    Issue("warning", "not-found", place, f"{text} is not in the document")
                )
                continue
            issues.append(Issue("error", "not-found", place, f"{what}: {text}"))
    return issues


def identifier_issues(entries: list[Entry], *, strict: bool) -> list[Issue]:
    """Identifiers whose check fails: an error when strict, else a warning (import of test data)."""
    severity: Any = "error" if strict else "warning"
    issues: list[Issue] = []
    for entry in entries:
        if entry.resource.get("resourceType") not in _IDENTIFIED:
            continue
        for place, identifier in _identifiers(entry.resource):
            verdict = check(identifier["system"], identifier["value"])
            if verdict.ok is False:
                issues.append(
                    Issue(
                        severity,
                        "value",
                        f"{entry.path}.{place}.value",
                        f"{verdict.problem} ({identifier['system']})",
                    )
                )
    return issues


def _identifiers(resource: Resource) -> Iterator[tuple[str, Resource]]:
    for position, identifier in enumerate(resource.get("identifier", ())):
        if isinstance(identifier.get("system"), str) and isinstance(identifier.get("value"), str):
            yield f"identifier[{position}]", identifier


def stamp_of(bundle: Resource) -> datetime | None:
    """Bundle.timestamp as an aware datetime, or None."""
    try:
        stamp = datetime.fromisoformat(str(bundle.get("timestamp")))
        return stamp.astimezone(UTC) if stamp.tzinfo is not None else None
    except (ValueError, OverflowError):  # the latter at both ends of the calendar
        return None


def subject_entry(entries: list[Entry]) -> Entry | None:
    """The Patient whom the Composition is about."""
    subject = entries[0].resource.get("subject") if entries else None
    text = subject.get("reference") if isinstance(subject, dict) else None
    found = names_of(entries).get(text) if isinstance(text, str) else None
    return found if found and found.resource.get("resourceType") == "Patient" else None


def replaced_identifiers(composition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(system, value) of the documents that this one says it replaces (Composition.relatesTo)."""
    found = []
    for relation in composition.get("relatesTo", ()):
        target = relation.get("targetIdentifier") or relation.get("targetReference", {}).get(
            "identifier"
        )
        if relation.get("code") == "replaces" and isinstance(target, dict) and "value" in target:
            found.append((str(target.get("system", "")), str(target["value"])))
    return found


def replaced_compositions(composition: Mapping[str, Any], base_url: str) -> list[str]:
    """Composition/id of the documents here that this one says it replaces."""
    found = []
    for relation in composition.get("relatesTo", ()):
        text = relation.get("targetReference", {}).get("reference")
        if relation.get("code") == "replaces" and isinstance(text, str):
            ref = parse_reference(text.removeprefix(f"{base_url}/"))
            if ref.kind == "relative" and ref.type == "Composition":
                found.append(f"Composition/{ref.id}")
    return found


def replacement_issues(composition: Mapping[str, Any]) -> list[Issue]:
    """Said of a document that says it replaces another one which is not known here."""
    return [
        Issue(
            "warning",
            "not-found",
            f"Bundle.entry[0].resource.relatesTo[{position}]",
            "what this document says it replaces is not known here: nothing was replaced",
        )
        for position, relation in enumerate(composition.get("relatesTo", ()))
        if relation.get("code") == "replaces"
    ]
