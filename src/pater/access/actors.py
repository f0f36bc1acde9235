"""Whom a reference means: the IČO of an organization, or the names of a professional."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pater.fhir.references import Ref, parse_reference

_SID: Final = "https://ncez.mzcr.cz/fhir/sid/"
ORGANIZATION_SYSTEMS: Final = frozenset({_SID + "ico", _SID + "krpzs"})
PROFESSIONAL_SYSTEMS: Final = frozenset({_SID + "krzp"})
_LONGEST: Final = 40
_MEANT: Final = ("Organization", "Practitioner", "PractitionerRole")

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """Organizations by IČO; professionals by `Practitioner/id` and `krzp|number`."""

    organizations: frozenset[str] = frozenset()
    practitioners: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.organizations or self.practitioners)

    @property
    def names(self) -> frozenset[str]:
        """Those of the professionals if there are any, else `ico|` and the organizations'."""
        return self.practitioners or frozenset(f"ico|{each}" for each in self.organizations)

    def __or__(self, other: Who) -> Who:
        return Who(
            self.organizations | other.organizations, self.practitioners | other.practitioners
        )


NOBODY: Final = Who()


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a resource: those it refers to, as they are stored here.

    `resources` are current Organizations, Practitioners and PractitionerRoles; `documents` has of
    each DocumentReference the person and the label.
    """

    resources: Mapping[Key, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    documents: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    base_url: str = ""

    def ref(self, holder: Any) -> Ref:
        """The reference in a Reference element; an absolute one to this server as a relative one.

        What names a resource of another server names nothing here.
        """
        text = holder.get("reference") if isinstance(holder, dict) else None
        if not isinstance(text, str):
            return Ref("logical")
        if self.base_url and text.startswith(self.base_url + "/"):
            text = text.removeprefix(self.base_url + "/")
        ref = parse_reference(text)
        return ref if ref.kind in ("relative", "contained") else Ref("logical")


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, of whatever JSON."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def codings(concept: Any) -> list[dict[str, Any]]:
    """The codings of a CodeableConcept, of whatever JSON."""
    return items(concept.get("coding")) if isinstance(concept, dict) else []


def who(holder: Any, around: Around, resource: Mapping[str, Any] | None = None) -> Who:
    """Whom a Reference element means, NOBODY when that cannot be told.

    `resource` is the one that contains what `#id` means.
    """
    if not isinstance(holder, dict):
        return NOBODY
    found = _named(holder.get("identifier"))
    ref = around.ref(holder)
    if ref.kind == "contained" and resource is not None:
        for each in items(resource.get("contained")):
            if each.get("id") == ref.id:
                found |= _of(each, around)
    elif ref.kind == "relative" and ref.type in _MEANT and ref.id:
        if ref.type == "Practitioner":
            found |= Who(practitioners=frozenset({f"Practitioner/{ref.id}"}))
        else:
            target = around.resources.get((ref.type, ref.id))
            if target is not None:
                found |= _of(target, around)
    return found


def _of(resource: Mapping[str, Any], around: Around) -> Who:
    """Whom a resource is: an organization, a professional, or a professional of one."""
    found = NOBODY
    if resource.get("resourceType") == "PractitionerRole":
        for name in ("practitioner", "organization"):
            holder = resource.get(name)
            ref = around.ref(holder)
            found |= _named(holder.get("identifier") if isinstance(holder, dict) else None)
            if ref.kind != "relative" or not ref.type or not ref.id:
                continue
            if ref.type == "Practitioner":
                found |= Who(practitioners=frozenset({f"Practitioner/{ref.id}"}))
            else:
                found |= identified(around.resources.get((ref.type, ref.id), {}))
        return found
    return identified(resource)


def identified(resource: Mapping[str, Any]) -> Who:
    """What the identifiers of an Organization or a Practitioner say."""
    found = NOBODY
    for each in items(resource.get("identifier")):
        found |= _named(each)
    return found


def _named(identifier: Any) -> Who:
    if not isinstance(identifier, dict):
        return NOBODY
    system, value = identifier.get("system"), identifier.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        return NOBODY
    value = value.strip()
    if not 0 < len(value) <= _LONGEST or not value.isprintable():
        return NOBODY
    if system in ORGANIZATION_SYSTEMS:
        return Who(organizations=frozenset({value}))
    if system in PROFESSIONAL_SYSTEMS:
        return Who(practitioners=frozenset({f"krzp|{value}"}))
    return NOBODY


def wanted(holders: Iterator[Any], around: Around) -> set[Key]:
    """Which resources have to be read to tell whom the references mean."""
    found: set[Key] = set()
    for holder in holders:
        ref = around.ref(holder)
        if ref.kind == "relative" and ref.type and ref.id:
            found.add((ref.type, ref.id))
    return found


def further(resource: Mapping[str, Any], around: Around) -> set[Key]:
    """What has to be read besides of a resource that was: the organization of a role."""
    if resource.get("resourceType") != "PractitionerRole":
        return set()
    holders = iter([resource.get("organization")])
    return {key for key in wanted(holders, around) if key[0] == "Organization"}
