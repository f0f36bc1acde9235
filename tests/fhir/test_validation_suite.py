"""The verdicts on the public validation cases are those of the reference validator, but for the
differences listed here with their reasons."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest

from pater.fhir import xml
from pater.fhir.issues import has_errors
from pater.fhir.json import JsonError, parse
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.run import Settings
from pater.fhir.validation.whole import validate_whole
from pater.fhir.xml import XmlError
from pater.terminology.builtin import definition
from tests.fhir.definitions_at_hand import REFERENCE, source_of
from tests.shared_data import shared

Json = dict[str, Any]

# Whole groups of cases that are about something else than FHIR resources.
OTHER_MODULES = {
    "cdshooks": "CDS Hooks messages: no FHIR resources, and their logical models are not at hand",
    "matchetype": "compares two files with each other: it tests the tool of the test suite",
    "shc": "SMART Health Cards, whose profiles are not at hand",
}
FILES = "the profiles, value sets or targets it is about are not among the files of the suite"
# (case, with its profile?) → why it says nothing about this validator
NOT_APPLICABLE = {
    ("profile-choice-3", True): FILES,
    ("no/Person-test", True): FILES,
    ("bb-obs-value-is-not-in-valueset", True): FILES,
    ("parameters-profiled-resource-multiple", True): FILES,
    ("additional-bindings-observation-2", True): FILES,
    ("profile-slicing-multiple", True): FILES,
    ("profile-slicing-multipleb", True): FILES,
    ("extension-version-restriction-range-r4", False): FILES,
    ("extension-version-restriction-range-ctxt-r4", False): FILES,
    ("aggregation-apart-good4", False): "R5: in R4 an Encounter has a class",
    ("aggregation-apart-good4", True): "R5: in R4 an Encounter has a class",
    ("patient-circle1-bad-linked1", False): FILES,
    ("patient-circle1-bad-linked1", True): FILES,
    ("patient-circle1-bad-linked2", False): FILES,
    ("patient-circle1-bad-linked2", True): FILES,
    ("patient-circle1-bad-source2", False): FILES,
    ("patient-circle1-bad-source2", True): FILES,
    ("patient-circle2-bad-source1", False): FILES,
    ("patient-circle2-bad-source1", True): FILES,
    ("patient-circle2-bad-source2", False): FILES,
    ("patient-circle2-bad-source2", True): FILES,
}
CODES = "needs the content of a licensed code system, which nobody may ship"
REGIONS = "a word may be the code of a region, whose list (ISO 3166-2) is published in no package"
# (case, with its profile?) → why the verdict is another one
DIFFERENT: dict[tuple[str, bool], str] = {
    ("patient-translated-codes", True): "wrong names of codes are an error without the profile, "
    "and none with it; here they are one either way",
    ("mr-covid-m2", False): CODES,
    ("list-bad-reference", False): "`XXX/_history/1` is no reference, assumed or not",
    ("cvx", False): CODES,
    ("uk-msg", False): CODES,
    ("encounter-period", False): "a day and a time on it: which is earlier cannot be said, so "
    "per-1 has no answer, which is no error here",
    ("ips-nz-pj", False): CODES,
    ("string-with-coding-async-qr", False): REGIONS,
    ("patient-min-length", True): "the profile has its elements out of order, so it is no XML of "
    "FHIR and is not read",
}

_TRUSTED = (
    "http://example.org", "https://example.org", "http://example.com", "http://acme",
    "http://hl7.org/fhir/tools/",
)  # fmt: skip
COUNTRIES = "urn:iso:std:iso:3166"
_LOOKUPS = {"CHECK_VALID": "valid", "CHECK_EXISTS_AND_TYPE": "exists"}


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    with tarfile.open(shared("validator/files.tgz"), "r:gz") as archive:
        out = {}
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                out[member.name.removeprefix("./")] = file.read()
        return out


def _read(name: str) -> Json:
    body = _files()[name].removeprefix(b"\xef\xbb\xbf")
    if name.endswith(".xml"):
        found = xml.parse(body)
        return found[0] if isinstance(found, tuple) else found
    return parse(body)


def _supporting(names: list[str]) -> list[Json]:
    """The definitions a case brings; some are missing from the suite, some cannot be read."""
    out: list[Json] = []
    for name in names:
        if name not in _files():
            continue
        try:
            found = _read(name)
        except (XmlError, JsonError):
            continue
        inner = [each["resource"] for each in found.get("entry", ())]
        out += inner if found["resourceType"] == "Bundle" else [found]
    return out


def _resolver(text: str) -> Json | None:
    name = text.rpartition("/")[2]
    for path in (f"{name}.json", f"{name}.xml"):
        if path in _files():
            return _read(path)
    return None


@lru_cache(maxsize=1)
def _countries() -> Json | None:
    """The code system of countries, as the server has it."""
    found = definition("CodeSystem", COUNTRIES)
    return None if found is None else dict(found)


def _verdict(case: Json, *, with_profile: bool) -> bool:
    """Whether there is an error."""
    names = [*case.get("supporting", ()), *case.get("profiles", ()), *case.get("supporting5", ())]
    asked: list[str] = []
    profile = case.get("profile") if with_profile else None
    if profile:
        names += [*profile.get("supporting", ()), profile["source"]]
        if profile["source"] in _files():
            asked += [each["url"] for each in _supporting([profile["source"]])]
        else:
            asked.append(profile["source"])
    brought = _supporting(names)
    extra = {each["url"]: each for each in brought if "url" in each}
    published = source_of(*REFERENCE)

    def source(canonical: str) -> Json | None:
        bare = canonical.partition("|")[0]
        found = extra.get(canonical) or extra.get(bare) or published(canonical)
        return found or _countries() if bare == COUNTRIES else found

    trusted = case.get("allowed-extension-domain")
    settings = Settings(
        unknown_extensions="error",
        trusted_extensions=(*_TRUSTED, trusted) if trusted else _TRUSTED,
        unknown_profiles="error",
        references=_LOOKUPS.get(case.get("validateReference", ""), "no"),  # type: ignore[arg-type]
        examples=case.get("examples", True),
        html_in_markdown=not case.get("noHtmlInMarkdown"),
        displays="error",
        resolver=_resolver,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    try:
        resource = _read(case["file"])
    except (JsonError, XmlError):
        return True
    for each in brought:  # a guide may name profiles for all resources of a type
        if each["resourceType"] == "ImplementationGuide":
            listed = each.get("global", ())
            asked += [g["profile"] for g in listed if g["type"] == resource["resourceType"]]

    def check(what: Json, wanted: list[str]) -> bool:
        return has_errors(
            validate_whole(
                what, Profiles(source), terms=LocalTerms(source), settings=settings, asked=wanted
            )
        )

    wrong = check(resource, asked)
    if rule := case.get("bundle-param"):
        kind, _, number = rule["rule"].partition(":")
        entries = [each["resource"] for each in resource["entry"]]
        entry = [each for each in entries if each["resourceType"] == kind][int(number)]
        wrong = check(entry, [rule["profile"]]) or wrong
    return wrong


def _expected(outcome: Json) -> bool:
    return any(each["severity"] in ("error", "fatal") for each in outcome.get("issue", ()))


def test_the_verdicts_are_those_of_the_reference_validator() -> None:
    cases = json.loads(shared("validator/cases.json").read_text())
    counted: Counter[str] = Counter()
    different: dict[tuple[str, bool], str] = {}
    for case in cases:
        for part, with_profile in (("expected", False), ("expectedForProfile", True)):
            key = (case["name"], with_profile)
            if part not in case:
                continue
            if case.get("module") in OTHER_MODULES or key in NOT_APPLICABLE:
                counted["not applicable"] += 1
                continue
            wanted = _expected(case[part])
            same = _verdict(case, with_profile=with_profile) is wanted
            counted["same" if same else "different"] += 1
            if not same:
                different[key] = "an error is expected" if wanted else "no error is expected"
    assert different.keys() == DIFFERENT.keys(), different
    applicable = counted["same"] + counted["different"]
    assert applicable > 350
    assert counted["same"] / applicable >= 0.97, counted


@pytest.mark.parametrize("key", [*DIFFERENT, *NOT_APPLICABLE])
def test_every_listed_case_is_one_of_the_suite(key: tuple[str, bool]) -> None:
    cases = {case["name"]: case for case in json.loads(shared("validator/cases.json").read_text())}
    assert ("expectedForProfile" if key[1] else "expected") in cases[key[0]]
