"""Checks a document Bundle by itself: base R4, the rules of a document, identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pater.domains.exchange.document import (
    Entry,
    Resource,
    entries_of,
    identifier_issues,
    reference_issues,
    stamp_of,
    structure_issues,
    subject_entry,
)
from pater.domains.exchange.leniency import as_warnings, lenient
from pater.fhir.issues import Issue, has_errors
from pater.fhir.validation.base import validate_base
from pater.records.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class Received:
    """A checked document, before it is known whose it is."""

    bundle: Resource
    raw: bytes
    entries: list[Entry]
    composition: Resource
    stamp: datetime
    issues: tuple[Issue, ...]  # warnings and information


def document_issues(bundle: Resource, *, strict: bool) -> list[Issue]:
    """What the rules of a document find in a Bundle that holds to R4; nothing for other Bundles."""
    if bundle.get("type") != "document":
        return []
    issues = structure_issues(bundle)
    if has_errors(issues):
        return issues
    entries = entries_of(bundle)
    issues += reference_issues(entries)
    issues += identifier_issues(entries, strict=strict)
    if subject_entry(entries) is None and not has_errors(issues):
        issues.append(
            Issue(
                "error",
                "required",
                "Bundle.entry[0].resource.subject",
                "the Composition says whose record it is: a Patient within the document",
            )
        )
    return issues


def check_document(bundle: Resource, raw: bytes, *, strict: bool) -> Received:
    """All checks that need nothing but the document. Raises Unprocessable with every problem."""
    found = validate_base(bundle)
    issues = found if strict else lenient(found, bundle)
    # the rules of a document look into elements whose shape R4 has vouched for
    issues += (
        structure_issues(bundle) if has_errors(issues) else document_issues(bundle, strict=strict)
    )
    stamp = stamp_of(bundle)
    if has_errors(issues) or stamp is None:
        raise Unprocessable(issues)
    entries = entries_of(bundle)
    return Received(bundle, raw, entries, entries[0].resource, stamp, tuple(lasting(issues)))


def with_profiles(received: Received, found: Sequence[Issue], *, strict: bool) -> Received:
    """A document with what does not conform to the profiles that it and its entries declare.

    Raises Unprocessable for errors; while test data are taken in they are warnings.
    """
    issues = [*received.issues, *(found if strict else as_warnings(found))]
    if has_errors(issues):
        raise Unprocessable(issues)
    return replace(received, issues=tuple(lasting(issues)))


def lasting(issues: Sequence[Issue]) -> list[Issue]:
    return [i for i in issues if i.severity in ("warning", "information")]
