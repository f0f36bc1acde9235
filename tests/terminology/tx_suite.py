"""Runs the cases of HL7's tx-ecosystem suite and compares answers by the rules of its README."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.shared_data import shared
from tests.terminology.stand_ins import PROFILES, STAND_INS

FHIR_VERSION = "4.0.1"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
ADDRESSES = {
    "expand": "/ValueSet/$expand",
    "validate-code": "/ValueSet/$validate-code",
    "cs-validate-code": "/CodeSystem/$validate-code",
    "lookup": "/CodeSystem/$lookup",
    "translate": "/ConceptMap/$translate",
    "batch-validate": "/ValueSet/$batch-validate-code",
    "term-caps": "/metadata?mode=terminology",
}
_TOLD = ("name", "title", "status", "experimental", "date", "publisher", "description")
_KINDS = {
    "$$": r"(?s).*",
    "$instant$": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "$date$": r"\d{4}(-\d\d(-\d\d(T.*)?)?)?",
    "$uuid$": r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "$id$": r"[A-Za-z0-9\-.]{1,64}",
    "$token$": r"\S+",
    "$string$": r"(?s)\S(.*\S)?",
    "$url$": r"\S+:\S+",
    "$semver$": r"\d+\.\d+\.\d+.*",
}


@dataclass(frozen=True)
class Case:
    """One case: its suite, its test entry, the resources of the suite's setup that are here."""

    suite: str
    test: Mapping[str, Any]
    setup: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.test['name']}"


@lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    """Every file of the suite by path."""
    data = shared("terminology/tx-tests.tgz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        out = {}
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                out[member.name.removeprefix("./")] = file.read()
        return out


def load(path: str) -> dict[str, Any]:
    """One JSON file of the suite."""
    value = json.loads(files()[path].decode("utf-8-sig"))
    assert isinstance(value, dict)
    return value


def cases(*suites: str) -> Iterator[Case]:
    """The cases whose request and expected response are here, of the general suites and others."""
    have = files()
    for suite in load("test-cases.json")["suites"]:
        if suite.get("mode", "general") != "general" and suite["name"] not in suites:
            continue
        setup = tuple(each for each in suite["setup"] if each in have)
        for test in suite["tests"]:
            if test.get("mode", "general") != "general" or test["operation"] not in ADDRESSES:
                continue
            if test.get("version", FHIR_VERSION)[:1] != "4":
                continue
            if test["response"] in have and test.get("request", test["response"]) in have:
                yield Case(suite["name"], test, setup)


def request_of(case: Case) -> dict[str, Any]:
    """The Parameters to send: the request, its profile, the setup, what stands in for lost files.

    Names and titles of stand-ins are those that the expected answer gives.
    """
    rows = list(load(case.test["request"])["parameter"])
    profile = case.test.get("profile")
    if profile:
        rows += load(profile)["parameter"] if profile in files() else PROFILES[profile]
    resources = [load(each) for each in case.setup]
    have = {(each["resourceType"], each["url"], each.get("version", "")) for each in resources}
    expected = load(case.test["response"])
    for key, each in STAND_INS.items():
        if key in have:
            continue
        if each["url"] == expected.get("url"):
            told = {key: expected[key] for key in _TOLD if key in expected}
            dropped = ("name", "title", "experimental", "date", "publisher")
            each = {**{k: v for k, v in each.items() if k not in dropped}, **told}
        resources.append(each)
    rows += [{"name": "tx-resource", "resource": each} for each in resources]
    return {"resourceType": "Parameters", "parameter": rows}


def in_r5(answer: Any) -> Any:
    """An answer with the properties of expansions as R5 has them."""
    if isinstance(answer, list):
        return [in_r5(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    out = {key: in_r5(value) for key, value in answer.items()}
    kept, properties = [], []
    for each in out.pop("extension", ()):
        if str(each.get("url", "")).startswith(R5):
            made = {}
            for part in each["extension"]:
                key = next(k for k in part if k.startswith("value"))
                made[part["url"] if part["url"] != "value" else key] = part[key]
            properties.append(made)
        else:
            kept.append(each)
    if kept:
        out["extension"] = kept
    if properties:
        out["property"] = properties
    return out


def difference(expected: Any, actual: Any, path: str = "", *, pattern: bool = False) -> str:
    """Where an answer is not as expected, "" when it is.

    `pattern`: what the answer has beyond the expectation does not matter.
    """
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return f"{path}: expected an object"
        return _objects(expected, actual, path, pattern)
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return f"{path}: expected a list"
        return _lists(expected, actual, path, pattern)
    if isinstance(expected, str) and isinstance(actual, str):
        return "" if _matches(expected, actual) else f"{path}: {expected!r} <> {actual!r}"
    if isinstance(expected, bool) or isinstance(actual, bool):
        return "" if expected is actual else f"{path}: {expected!r} <> {actual!r}"
    return "" if expected == actual else f"{path}: {expected!r} <> {actual!r}"


def _objects(expected: dict[str, Any], actual: dict[str, Any], path: str, pattern: bool) -> str:
    optional = set(expected.get("$optional-properties$", ()))
    counted = set(expected.get("$count-arrays$", ()))
    # The suite has `location` beside `expression` in some answers and not in others; R4 has both.
    optional.add("location")
    for key, value in actual.items():
        if key not in expected:
            if pattern or key == "location":
                continue
            return f"{path}: unexpected {key} = {json.dumps(value, ensure_ascii=False)[:200]}"
        if key in counted:
            if len(expected[key]) != len(value):
                return f"{path}.{key}: {len(expected[key])} expected, {len(value)} found"
            continue
        found = difference(expected[key], value, f"{path}.{key}", pattern=pattern)
        if found:
            return found
    for key in expected:
        if key not in actual and not key.startswith("$") and key not in optional:
            rows = expected[key]
            left_out = isinstance(rows, list) and rows and all(_optional(each) for each in rows)
            if "*" not in optional and not left_out:
                return f"{path}: missing {key}"
    return ""


def _lists(expected: list[Any], actual: list[Any], path: str, pattern: bool) -> str:
    """Order does not matter; what is optional may be missing."""
    left = list(expected)
    for place, each in enumerate(actual):
        reasons = [difference(one, each, f"{path}[{place}]", pattern=pattern) for one in left]
        fitting = next((n for n, reason in enumerate(reasons) if not reason), None)
        if fitting is None:
            if pattern:
                continue
            alike = [r for r in reasons if r]
            shown = json.dumps(each, ensure_ascii=False)[:600]
            near = max(alike, key=len) if alike else "nothing more expected"
            return f"{path}[{place}]: not expected: {shown}\n      nearest: {near[:300]}"
        left.pop(fitting)
    for one in left:
        if not _optional(one):
            return f"{path}: missing {json.dumps(one, ensure_ascii=False)[:300]}"
    return ""


def _optional(expected: Any) -> bool:
    said = expected.get("$optional$", False) if isinstance(expected, dict) else False
    if isinstance(said, bool):
        return said
    if said.startswith("version:"):
        return FHIR_VERSION.startswith(said.removeprefix("version:"))
    return True  # of another mode or server, or only a warning


def _matches(expected: str, actual: str) -> bool:
    if expected.startswith("$") and expected.endswith("$"):
        if expected in _KINDS:
            return re.fullmatch(_KINDS[expected], actual) is not None
        inner = expected[1:-1]
        if inner.startswith("choice:"):
            return actual in inner.removeprefix("choice:").split("|")
        fragments = ""
        if inner.startswith("fragments:"):
            fragments = inner.removeprefix("fragments:")
        elif inner.startswith("external:"):
            fragments = inner.removeprefix("external:").partition(":")[2]
        return all(part.lower() in actual.lower() for part in fragments.split("|"))
    return expected.replace("$version$", FHIR_VERSION) == actual
