"""Checks the type of an element's value: allowed types, their profiles, targets of references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.items import Item
from pater.fhir.fhirpath.types import is_a, resource_type
from pater.fhir.references import parse_reference
from pater.fhir.validation.layers import Json, profiles_of
from pater.fhir.validation.run import Frame, Resolved, Run, failed
from pater.fhir.validation.types import Finding, Findings

if TYPE_CHECKING:
    from pater.fhir.validation.profiles import Profiles

ItemCheck = Callable[[Run, Item, Frame], Findings]

CORE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM = "http://hl7.org/fhirpath/"
_LOGICAL = frozenset(("Resource", "DomainResource"))


def type_code(row: Json) -> str:
    """The FHIR type a type row of an ElementDefinition names."""
    code = row.get("code")
    return code.removeprefix(CORE) if isinstance(code, str) else ""


def type_check(rows: list[Json], label: str, profiles: Profiles) -> ItemCheck:
    """The check of `ElementDefinition.type`."""
    rows = [each for each in rows if isinstance(each, dict)]
    codes = [type_code(each) for each in rows]
    free = any(not code or code.startswith(_SYSTEM) for code in codes)
    listed = ", ".join(codes)
    text = f"{label} is of the type {listed}, found "
    demanding = any(
        each.get(key)
        for each in rows
        for key in ("profile", "targetProfile", "aggregation", "versioning")
    )

    @cache
    def fitting(name: str) -> _Fitting | None:
        """What the rows that fit a type ask of it; None when none fits."""
        found = [row for row, code in zip(rows, codes, strict=True) if _is(name, code)]
        if not found:
            return None
        free = any(not row.get("profile") for row in found)
        wanted = () if free else tuple(url for row in found for url in profiles_of(row))
        return _Fitting(wanted, _Reference(found, label) if name == "Reference" else None)

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        name = item[0].name
        if not demanding and "." in name:
            return None
        found = fitting(name)
        if found is None:
            return None if free else [Finding("", "structure", f"{text}{name}.")]
        if not demanding:
            return None
        out: list[Finding] = []
        if found.profiles:
            out += _conforms(run, item, frame, found.profiles, label) or ()
        if found.reference is not None:
            out += found.reference.findings(run, item, frame)
        return out or None

    return check


def _is(name: str, code: str) -> bool:
    return is_a(name, code) or (code in _LOGICAL and type_kind(name) == "resource")


def _conforms(
    run: Run, item: Item, frame: Frame, wanted: Sequence[str], label: str
) -> Findings:  # fmt: skip
    """Whether an item conforms to one of several profiles; with one, what does not."""
    findings: list[Finding] = []
    unknown: list[str] = []
    for url in wanted:
        profile = run.profiles.get(url)
        if profile is None:
            unknown.append(url)
            continue
        found = run.conforms(item, frame, profile)
        if not failed(found):
            return found
        findings += found or ()
    if unknown:
        severity = run.settings.unknown_profiles
        return [
            Finding("", "not-found", f"The profile {url} of {label} is not known.", severity)
            for url in unknown
        ]
    if len(wanted) == 1:
        return findings
    text = f"{label} conforms to none of the profiles {', '.join(wanted)}."
    return [Finding("", "structure", text), *findings]


class _Fitting(NamedTuple):
    """The profiles a value has to conform to (one of them; none = any value is right), and what a
    reference has to point to."""

    profiles: tuple[str, ...]
    reference: _Reference | None


class _Reference:
    """What the type rows of an element ask of a reference."""

    def __init__(self, rows: list[Json], label: str) -> None:
        self._label = label
        modes = {mode for row in rows for mode in row.get("aggregation") or ()}
        self._modes = modes if all(row.get("aggregation") for row in rows) else set()
        self._versions = {str(row.get("versioning", "either")) for row in rows}
        self._targets = [url for row in rows for url in row.get("targetProfile") or ()]
        if any(not row.get("targetProfile") for row in rows):
            self._targets = []

    def findings(self, run: Run, item: Item, frame: Frame) -> list[Finding]:
        """What is wrong with a reference as an element of its resource."""
        value, label, targets = item[1], self._label, self._targets
        text = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(text, str):
            return []
        resolved = run.resolve(frame, text)
        out: list[Finding] = []
        if self._modes:
            how = resolved is not None and resolved.how
            out += _aggregation(self._modes, text, how, frame, label)
        out += _versioning(self._versions, text, label)
        if not targets:
            return out
        if resolved is None:
            return out + _stated(run, text, value, targets, label)
        return out + self._target(run, text, resolved)

    def _target(self, run: Run, text: str, resolved: Resolved) -> list[Finding]:
        label, targets = self._label, self._targets
        kind = resource_type(resolved.resource)
        target: Item = (kind, resolved.resource, None)
        known = [(url, run.profiles.get(url)) for url in targets]
        fitting = [each for _, each in known if each is not None and is_a(kind.name, each.type)]
        missing = [url for url, each in known if each is None]
        if not fitting:
            if missing:
                return []
            wanted = ", ".join(dict.fromkeys(each.type for _, each in known if each is not None))
            said = f"{label} refers to {kind.name}; expected {wanted}."
            return [Finding("", "structure", said)]
        if resolved.how == "referenced" and run.settings.references != "valid":
            return []
        if missing or any(
            each.plain or not failed(run.conforms(target, resolved.frame, each)) for each in fitting
        ):
            return []
        said = (
            f"{text} conforms to none of the profiles {label} may refer to: {', '.join(targets)}."
        )
        reasons = [
            one.text for each in fitting
            for one in run.conforms(target, resolved.frame, each) or () if one.severity == "error"
        ]  # fmt: skip
        if reasons:
            said += f" The first reason: {reasons[0]}"
        return [Finding("", "structure", said)]


def _stated(
    run: Run, text: str, value: dict[str, Any], targets: list[str], label: str
) -> list[Finding]:
    """The check of a target that is not at hand, by what its address says."""
    kind = parse_reference(text).type
    if kind is None:
        stated = value.get("type")
        kind = stated if isinstance(stated, str) and type_kind(stated) == "resource" else None
    if kind is None:
        return []
    for url in targets:
        profile = run.profiles.get(url)
        if profile is None or is_a(kind, profile.type):
            return []
    wanted = ", ".join(targets)
    return [Finding("", "structure", f"{label} refers to {kind}; expected one of {wanted}.")]


def _versioning(modes: set[str], text: str, label: str) -> list[Finding]:
    """Whether a reference names a version where it has to, and none where it must not."""
    versioned = parse_reference(text).version is not None
    if modes == {"specific"} and not versioned:
        return [Finding("", "value", f"{label} refers to one version (…/_history/version).")]
    if modes == {"independent"} and versioned:
        return [Finding("", "value", f"{label} refers to no version in particular.")]
    return []


def _aggregation(
    modes: set[str], text: str, how: str | bool, frame: Frame, label: str
) -> list[Finding]:
    found = "contained" if text.startswith("#") else how or "referenced"
    if found in modes:
        return []
    if frame.bundle is None and "bundled" in modes and found == "referenced":
        return []  # the Bundle it travelled in is not at hand
    wanted = ", ".join(sorted(modes))
    return [Finding("", "value", f"{label} is a reference that is {wanted}, found {found}.")]
