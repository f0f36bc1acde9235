"""Answers what validation asks of codes from ValueSet and CodeSystem resources at hand.

A code is held against the rules of a value set; nothing is expanded, so a value set over a large
code system costs no more than its rules. Answers have three values: what depends on a system
that is not known cannot be told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pater.fhir import ucum
from pater.fhir.definitions import code_display, required_codings
from pater.fhir.validation.terms import UNKNOWN, Verdict

Json = dict[str, Any]
Source = Callable[[str], Json | None]
"""Canonical address (perhaps with `|version`) → the resource; None when it is not known."""

_LANGUAGE = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    r"(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[a-wyzA-WYZ0-9](-[A-Za-z0-9]{2,8})+)*"
)
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,127}/[A-Za-z0-9!#$&^_.+\-*]{1,127}(\s*;.*)?")
_GRAMMARS: dict[str, Callable[[str], bool]] = {
    ucum.SYSTEM: ucum.is_valid,
    "urn:ietf:bcp:47": lambda code: _LANGUAGE.fullmatch(code) is not None,
    "urn:ietf:bcp:13": lambda code: _MIME.fullmatch(code) is not None,
}
_NEVER_WHOLE = frozenset(("http://loinc.org", "http://snomed.info/sct"))
_DEEPEST = 20
_MOST_SETS = 512


class System:
    """The concepts of one CodeSystem resource, by code, with the codes above each."""

    def __init__(self, resource: Json) -> None:
        count = resource.get("count")
        self.sensitive = resource.get("caseSensitive") is not False
        self.concepts: dict[str, Json] = {}
        self.above: dict[str, set[str]] = {}
        self._parents = {
            each.get("code") for each in _dicts(resource.get("property"))
            if each.get("uri") == "http://hl7.org/fhir/concept-properties#parent"
        } | {"parent"}  # fmt: skip
        for concept, parent in _concepts(resource.get("concept"), None, 0):
            code = concept.get("code")
            if isinstance(code, str):
                self.concepts.setdefault(code if self.sensitive else code.lower(), concept)
                above = self.above.setdefault(code, set())
                if parent is not None:
                    above.add(parent)
                for each in _dicts(concept.get("property")):
                    if each.get("code") in self._parents and isinstance(each.get("valueCode"), str):
                        above.add(each["valueCode"])

        # Extracts of large systems call themselves complete now and then.
        self.complete = (
            resource.get("content") == "complete"
            and resource.get("url") not in _NEVER_WHOLE
            and not (isinstance(count, int) and count > len(self.concepts))
        )

    def find(self, code: str) -> Json | None:
        """The concept of a code."""
        return self.concepts.get(code if self.sensitive else code.lower())

    def ancestors(self, code: str) -> set[str]:
        """All codes above a code."""
        out: set[str] = set()
        open_ = [code]
        while open_:
            for each in self.above.get(open_.pop(), ()):
                if each not in out:
                    out.add(each)
                    open_.append(each)
        return out


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _concepts(value: Any, parent: str | None, depth: int) -> Iterator[tuple[Json, str | None]]:
    for each in _dicts(value):
        yield each, parent
        if depth < 64:
            code = each.get("code")
            yield from _concepts(
                each.get("concept"), code if isinstance(code, str) else None, depth + 1
            )


class LocalTerms:
    """Terms (see `terms`) from resources that a source answers by canonical address."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._systems: dict[str, System | None] = {}
        self._sets: dict[str, Json | None] = {}

    def is_value_set(self, url: str) -> bool:
        return self._set(url) is not None

    def lookup(self, system: str, code: str, display: str | None = None) -> Verdict:
        verdict = self._lookup(system, code)
        if display is None or not verdict.displays:
            return verdict
        known = {_folded(each) for each in verdict.displays}
        return verdict if _folded(display) in known else verdict._replace(misnamed=True)

    def _lookup(self, system: str, code: str) -> Verdict:
        if grammar := _GRAMMARS.get(system):
            return Verdict(grammar(code), reason="" if grammar(code) else "It is no such code.")
        known = self._system(system)
        if known is None:
            display = code_display(system, code)
            return UNKNOWN if display is None else Verdict(True, (display,))
        concept = known.find(code)
        if concept is None:
            return Verdict(False) if known.complete else UNKNOWN
        return Verdict(True, _displays(concept))

    def validate(self, value_set: str, system: str | None, code: str | None) -> Verdict:
        if code is None:
            return Verdict(False)
        return self._in_set(value_set, system, code, 0)

    def knows(self, system: str) -> bool:
        """Whether all codes of a code system are known."""
        known = self._system(system)
        return system in _GRAMMARS or (known is not None and known.complete)

    def _system(self, url: str) -> System | None:
        if url not in self._systems:
            found = self._source(url)
            usable = found is not None and found.get("resourceType") == "CodeSystem"
            if len(self._systems) > _MOST_SETS:
                self._systems.clear()
            self._systems[url] = (
                System(found)
                if usable and found is not None and found.get("content") in (
                    "complete", "fragment", "example")
                else None
            )  # fmt: skip
        return self._systems[url]

    def _set(self, url: str) -> Json | None:
        if url not in self._sets:
            found = self._source(url)
            usable = found is not None and found.get("resourceType") == "ValueSet"
            if len(self._sets) > _MOST_SETS:
                self._sets.clear()
            self._sets[url] = found if usable else None
        return self._sets[url]

    def _in_set(self, url: str, system: str | None, code: str, depth: int) -> Verdict:
        if depth > _DEEPEST:
            return UNKNOWN
        found = self._set(url)
        if found is None:
            codings = required_codings(url)
            if codings is None:
                return Verdict(None, reason="The value set is not known.")
            systems = codings if system is None else (system,)
            return Verdict(any(code in codings.get(each, ()) for each in systems))
        compose = found.get("compose")
        if not isinstance(compose, dict):
            return self._in_expansion(found, system, code)
        verdict = self._any(compose.get("include"), system, code, depth)
        if verdict.result is False:
            return verdict
        excluded = self._any(compose.get("exclude"), system, code, depth)
        if excluded.result is True:
            return Verdict(False)
        return verdict if excluded.result is False else UNKNOWN

    def _in_expansion(self, value_set: Json, system: str | None, code: str) -> Verdict:
        expansion = value_set.get("expansion")
        if not isinstance(expansion, dict):
            return UNKNOWN
        open_ = _dicts(expansion.get("contains"))
        for each in open_:  # grows while it is walked
            met = each.get("code") == code and system in (None, each.get("system"))
            if met and each.get("abstract") is not True:
                return Verdict(True, _displays(each))
            open_ += _dicts(each.get("contains"))
        return Verdict(False)

    def _any(self, parts: Any, system: str | None, code: str, depth: int) -> Verdict:
        verdict = Verdict(False)
        for part in _dicts(parts):
            found = self._in_part(part, system, code, depth)
            if found.result is True:
                return found
            if found.result is None:
                verdict = found
        return verdict

    def _in_part(self, part: Json, system: str | None, code: str, depth: int) -> Verdict:
        for url in part.get("valueSet") or ():
            found = self._in_set(str(url), system, code, depth + 1)
            if found.result is not True:
                return found
        own = part.get("system")
        if not isinstance(own, str):
            return Verdict(True)
        if system is not None and system != own:
            return Verdict(False)
        if "concept" in part:
            for each in _dicts(part["concept"]):
                if each.get("code") == code:
                    return Verdict(True, _displays(each))
            known = self._system(own)
            if known is not None and not known.sensitive:
                return Verdict(any(str(each.get("code")).lower() == code.lower()
                                   for each in _dicts(part["concept"])))  # fmt: skip
            return Verdict(False)
        verdict = self.lookup(own, code)
        if verdict.result is None:
            return Verdict(None, reason=f"The code system {own} is not known here.")
        if verdict.result is not True:
            return verdict
        for rule in _dicts(part.get("filter")):
            holds = self._holds(rule, own, code)
            if holds is not True:
                return Verdict(holds)
        return verdict

    def _holds(self, rule: Json, url: str, code: str) -> bool | None:
        system = self._system(url)
        if system is None:
            return None
        name, value = rule.get("property"), str(rule.get("value"))
        match rule.get("op"):
            case "is-a":
                return code == value or value in system.ancestors(code)
            case "descendent-of":
                return value in system.ancestors(code)
            case "is-not-a":
                return not (code == value or value in system.ancestors(code))
            case "generalizes":
                return code == value or code in system.ancestors(value)
            case "in":
                wanted = {each.strip() for each in value.split(",")}
                return bool(wanted & self._values(system, code, name))
            case "not-in":
                wanted = {each.strip() for each in value.split(",")}
                return not wanted & self._values(system, code, name)
            case "=":
                return value in self._values(system, code, name)
            case "exists":
                return bool(self._values(system, code, name)) == (value == "true")
        return None

    @staticmethod
    def _values(system: System, code: str, name: Any) -> set[str]:
        concept = system.find(code) or {}
        if name in ("code", "concept"):
            return {code}
        if name == "display":
            return {str(concept.get("display"))}
        if name == "parent":
            return set(system.above.get(code, ()))
        out = set()
        for each in _dicts(concept.get("property")):
            if each.get("code") == name:
                value = next((v for k, v in each.items() if k.startswith("value")), None)
                if isinstance(value, dict):
                    value = value.get("code")
                out.add(str(value).lower() if isinstance(value, bool) else str(value))
        return out


def _displays(concept: Json) -> tuple[str, ...]:
    found = [concept.get("display")]
    found += [each.get("value") for each in _dicts(concept.get("designation"))]
    return tuple(each for each in found if isinstance(each, str))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
