"""One validation: where it is in the resource, what references point to, what was found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pater.fhir.fhirpath import Environment
from pater.fhir.fhirpath.items import Item
from pater.fhir.fhirpath.types import resource_type
from pater.fhir.issues import Severity
from pater.fhir.references import parse_reference
from pater.fhir.validation.terms import NO_TERMS, Terms
from pater.fhir.validation.types import Findings

if TYPE_CHECKING:
    from pater.fhir.validation.profiles import Profile, Profiles

Json = dict[str, Any]
Resolver = Callable[[str], Json | None]

MOST_CHECKS = 50_000
"""Profiles held against values in one validation; profiles that call each other end here."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How strict a validation is, and what it may ask of the outside.

    `unknown_extensions`: what an extension without a known definition is (a modifier extension
    is always an error); those under `trusted_extensions` (prefixes of addresses) are let pass.
    `unknown_profiles`: what it is when a definition names a profile that is not known.
    `references`: whether references out of the resource are looked up with `resolver`: not at
    all, for existence, or also held against the profiles of their targets. `must_support`: tell
    which supported elements are absent. `examples`: example addresses are allowed.
    `html_in_markdown`: so are HTML tags in markdown. `displays`: what a wrong name of a code is.
    """

    unknown_extensions: Severity = "information"
    trusted_extensions: tuple[str, ...] = ()
    unknown_profiles: Severity = "warning"
    references: Literal["no", "exists", "valid"] = "no"
    must_support: bool = False
    examples: bool = True
    html_in_markdown: bool = True
    displays: Severity = "warning"
    resolver: Resolver | None = None
    clock: Callable[[], datetime] | None = None


class Frame:
    """The resource an element belongs to: `root` contains it (itself when it is not contained),
    `bundle` is the Bundle (or Parameters) around it, `full_url` its identity there, `outer` the
    frame of the resource it stands in."""

    __slots__ = ("bundle", "environment", "full_url", "outer", "resource", "root")

    def __init__(
        self, resource: Json, root: Json | None, full_url: str, bundle: Json | None,
        outer: Frame | None = None,
    ) -> None:  # fmt: skip
        self.outer = outer
        self.resource = resource
        self.root = resource if root is None else root
        self.full_url = full_url
        self.bundle = bundle
        self.environment: Environment | None = None


class Resolved(NamedTuple):
    """What a reference points to, and how it was found."""

    resource: Json
    frame: Frame
    how: Literal["contained", "bundled", "referenced"]


class TooCostlyError(Exception):
    """The profiles ask for more than one validation may cost."""


class BundleIndex:
    """The entries of one Bundle by fullUrl and by type and id."""

    def __init__(self, bundle: Json) -> None:
        self.by_url: dict[str, list[Json]] = {}
        self.by_place: dict[str, list[Json]] = {}
        entries = bundle.get("entry") if "entry" in bundle else bundle.get("parameter")
        for entry in entries if isinstance(entries, list) else ():
            inner = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(inner, dict):
                continue
            url = entry.get("fullUrl")
            if isinstance(url, str):
                self.by_url.setdefault(url, []).append(entry)
            place = f"{inner.get('resourceType')}/{inner.get('id')}"
            self.by_place.setdefault(place, []).append(entry)

    def find(self, text: str, from_url: str) -> list[Json]:
        """The entries a reference text may mean, seen from the entry with the address."""
        ref = parse_reference(text)
        version = ref.version if ref.kind in ("relative", "absolute") and ref.id else None
        if ref.kind == "relative":
            place = f"{ref.type}/{ref.id}"
            base = base_of(from_url)
            found = self.by_url.get(base + place, []) if base else []
            if not found and not base:
                found = self.by_place.get(place, [])
        else:
            found = self.by_url.get(text.partition("/_history/")[0], [])
        if version is not None:
            found = [
                each for each in found if (each["resource"].get("meta") or {}).get("versionId")
                == version
            ]  # fmt: skip
        return found


def base_of(url: str) -> str:
    """The base of a RESTful address with its slash, "" when it is none."""
    ref = parse_reference(url)
    if ref.kind != "absolute" or not ref.id or not url.startswith(("http://", "https://")):
        return ""
    return url.partition("/_history/")[0].removesuffix(f"{ref.type}/{ref.id}")


class Run:
    """The state of one validation; not shared."""

    def __init__(self, profiles: Profiles, settings: Settings, terms: Terms = NO_TERMS) -> None:
        self.profiles = profiles
        self.settings = settings
        self.terms = terms
        self.checks = 0
        self._bundles: dict[int, BundleIndex] = {}
        self._known: dict[tuple[int, str], Findings] = {}
        self._open: set[tuple[int, str]] = set()
        self._frames: dict[int, Frame] = {}

    def frame(
        self, resource: Json, root: Json | None, full_url: str, bundle: Json | None,
        outer: Frame | None = None,
    ) -> Frame:  # fmt: skip
        """The frame of a resource; one for each, however often it is asked for."""
        found = self._frames.get(id(resource))
        if found is None:
            found = self._frames[id(resource)] = Frame(resource, root, full_url, bundle, outer)
        return found

    def index(self, bundle: Json) -> BundleIndex:
        """The index of a Bundle."""
        found = self._bundles.get(id(bundle))
        if found is None:
            found = self._bundles[id(bundle)] = BundleIndex(bundle)
        return found

    def inner(self, frame: Frame, key: str, holder: Json, resource: Any) -> Frame:
        """The frame of a resource inside another one, at a key of an element."""
        if not isinstance(resource, dict):
            return frame
        if key == "contained":
            return self.frame(resource, frame.root, frame.full_url, frame.bundle, frame)
        url = holder.get("fullUrl")
        gathers = frame.resource.get("resourceType") in ("Bundle", "Parameters")
        bundle = frame.resource if gathers else frame.bundle
        return self.frame(resource, None, url if isinstance(url, str) else "", bundle, frame)

    def resolve(self, frame: Frame, text: str) -> Resolved | None:
        """What a reference text in a resource points to; None when it cannot be found."""
        if text.startswith("#"):
            if text == "#":
                return Resolved(frame.root, self._root_frame(frame), "contained")
            contained = frame.root.get("contained")
            for each in contained if isinstance(contained, list) else ():
                if isinstance(each, dict) and each.get("id") == text[1:]:
                    return Resolved(each, self.inner(frame, "contained", {}, each), "contained")
            return None
        if frame.bundle is not None:
            for entry in self.index(frame.bundle).find(text, frame.full_url):
                url = str(entry.get("fullUrl", ""))
                inner = entry["resource"]
                own = self.frame(inner, None, url, frame.bundle, self._outer(frame))
                return Resolved(inner, own, "bundled")
        if self.settings.references == "no" or self.settings.resolver is None:
            return None
        found = self.settings.resolver(text)
        if found is None:
            return None
        return Resolved(found, self.frame(found, None, "", None), "referenced")

    @staticmethod
    def _outer(frame: Frame) -> Frame | None:
        while frame.outer is not None and frame.resource is not frame.bundle:
            frame = frame.outer
        return frame

    def _root_frame(self, frame: Frame) -> Frame:
        return self.frame(frame.root, None, frame.full_url, frame.bundle)

    def environment(self, frame: Frame) -> Environment:
        """What FHIRPath may ask when it stands in a resource."""
        if frame.environment is None:

            def resolver(text: str) -> Json | None:
                found = self.resolve(frame, text)
                return None if found is None else found.resource

            def conforms(value: Any, address: str) -> bool | None:
                profile = self.profiles.get(address)
                if profile is None or not isinstance(value, dict):
                    return None
                if profile.type != value.get("resourceType"):
                    return False
                inner = self._frames.get(id(value)) or Frame(value, None, "", frame.bundle)
                item: Item = (resource_type(value), value, None)
                return not failed(self.conforms(item, inner, profile))

            frame.environment = Environment(
                frame.resource, root=frame.root, resolver=resolver, clock=self.settings.clock,
                member_of=self.member_of, conforms_to=conforms,
            )  # fmt: skip
        return frame.environment

    def member_of(self, value: Any, value_set: str) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in a value set; None = cannot be told."""
        if isinstance(value, str):
            return self.terms.validate(value_set, None, value).result
        if not isinstance(value, dict):
            return None
        codings = value.get("coding") if "coding" in value else [value]
        answers = [
            self.terms.validate(value_set, each.get("system"), each.get("code")).result
            for each in codings if isinstance(each, dict)
        ] if isinstance(codings, list) else []  # fmt: skip
        if True in answers:
            return True
        return None if None in answers else False

    def conforms(self, item: Item, frame: Frame, profile: Profile) -> Findings:
        """What of an item does not conform to a profile; kept, so asking again costs nothing.

        An item that is being held against the same profile further up conforms, as far as this
        question goes: profiles may be circular.
        """
        value = item[1] if item[1] is not None else item[2]
        key = (id(value), profile.key)
        if key in self._open:
            return None
        if isinstance(value, dict) and key in self._known:
            return self._known[key]
        self.checks += 1
        if self.checks > MOST_CHECKS:
            raise TooCostlyError
        self._open.add(key)
        try:
            found = profile.check(self, item, frame)
        finally:
            self._open.discard(key)
        if isinstance(value, dict):
            self._known[key] = found
        return found


def failed(findings: Findings) -> bool:
    """Whether there is an error among findings."""
    return findings is not None and any(each.severity in ("error", "fatal") for each in findings)
