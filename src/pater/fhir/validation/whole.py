"""The whole validation of a resource: base R4, invariants, profiles, extensions, codes, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pater.fhir import invariants
from pater.fhir.issues import Issue, has_errors
from pater.fhir.references import reference_texts
from pater.fhir.validation import validate
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.rules.identity import linked_from_text
from pater.fhir.validation.run import Run, Settings, TooCostlyError
from pater.fhir.validation.terms import NO_TERMS, Terms
from pater.fhir.validation.types import LIMIT
from pater.fhir.validation.walk import Walker


def validate_whole(
    resource: dict[str, Any],
    profiles: Profiles,
    *,
    terms: Terms = NO_TERMS,
    settings: Settings | None = None,
    asked: Sequence[str] = (),
    path: str | None = None,
) -> list[Issue]:
    """All issues of a resource; those of a base check that fails come alone where the rest could
    make no sense of it.

    `asked` are profiles (canonical, perhaps with `|version`) the resource has to conform to,
    beside those it declares in `meta.profile`. At most 200 issues. Never raises.
    """
    found = validate(resource, path=path)
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(name, str) or any(each.code in _HOPELESS for each in found):
        return found
    own = settings or Settings()
    start = path if path is not None else name
    run = Run(profiles, own, terms)
    try:
        if not has_errors(found):
            found += _fair(
                invariants.check(
                    name, resource, path=start, clock=own.clock, member_of=run.member_of
                ),
                resource,
            )
        walker = Walker(run)
        walker.resource(resource, start, run.frame(resource, None, "", None), tuple(asked))
    except (RecursionError, TooCostlyError):
        return [*found, Issue("fatal", "too-costly", start, "This is too costly to validate.")]
    issues = list(dict.fromkeys([*found, *walker.issues]))
    if len(issues) > LIMIT:
        text = f"There are more than {LIMIT} issues; the rest is not listed."
        return [*issues[:LIMIT], Issue("information", "incomplete", start, text)]
    return issues


def validate_profiles(
    resource: dict[str, Any],
    profiles: Profiles,
    *,
    terms: Terms = NO_TERMS,
    settings: Settings | None = None,
    path: str | None = None,
) -> list[Issue]:
    """What of a resource (valid base R4) does not conform to the profiles it declares itself; of a
    document or collection also what its entries do not.

    A profile that is not known is one warning. At most 200 issues. Never raises.
    """
    run = Run(profiles, settings or Settings(), terms)
    start = path if path is not None else str(resource["resourceType"])
    walker = Walker(run)
    try:
        walker.declared(resource, start, run.frame(resource, None, "", None))
    except (RecursionError, TooCostlyError):
        return [Issue("fatal", "too-costly", start, "This is too costly to validate.")]
    return walker.issues[:LIMIT]


_HOPELESS = frozenset(("not-supported", "too-costly"))


def _fair(issues: list[Issue], resource: dict[str, Any]) -> list[Issue]:
    """Advice as information; without dom-3 where the text of the resource shows all that nothing
    else refers to."""
    issues = [
        replace(each, severity="information") if each.text.startswith("dom-6:") else each
        for each in issues
    ]
    if not any(each.text.startswith("dom-3:") for each in issues):
        return issues
    contained = [each.get("id") for each in resource.get("contained") or ()]
    if not set(contained) <= linked_from_text(resource) | {
        text.removeprefix("#") for text in reference_texts(resource)
    }:
        return issues
    return [each for each in issues if not each.text.startswith("dom-3:")]
