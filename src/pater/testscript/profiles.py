"""`validateProfileId`: holds a resource against a profile of R4 itself, of the script, or given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pater.fhir.issues import Issue
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.whole import validate_whole

_USED = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})


class Validator:
    """Checks against the definitions it was given, those of R4 known from the start."""

    def __init__(self, definitions: Iterable[dict[str, Any]] = ()) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        for each in definitions:
            self.learn(each)
        self._profiles = Profiles(self._known.get)
        self._terms = LocalTerms(self._known.get)

    def learn(self, resource: dict[str, Any]) -> None:
        """Adds a StructureDefinition, ValueSet or CodeSystem, with and without its version."""
        url, version = resource.get("url"), resource.get("version")
        if resource.get("resourceType") not in _USED or not isinstance(url, str):
            return
        self._known[url] = resource
        if isinstance(version, str):
            self._known[f"{url}|{version}"] = resource

    def __call__(self, resource: dict[str, Any], profile: str) -> Sequence[Issue]:
        """What is wrong with a resource; LookupError when the profile is not known."""
        if self._profiles.get(profile) is None:
            raise LookupError(profile)
        return validate_whole(resource, self._profiles, terms=self._terms, asked=(profile,))
