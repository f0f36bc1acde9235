"""The profiles that are known, each compiled to a check when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.items import Item
from pater.fhir.validation.elements import element_check
from pater.fhir.validation.layers import Node, Stack, part_of, tree
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Check, Finding, Findings

Json = dict[str, Any]
Source = Callable[[str], Json | None]
"""Canonical address (perhaps with `|version`) → StructureDefinition; None when it is not known."""

CORE = "http://hl7.org/fhir/StructureDefinition/"
_DEEPEST = 24


class Profile:
    """A profile and the profiles it is derived from.

    `key` tells it from all others (address and version), `type` is the FHIR type it is for, `stack`
    its own tree and those of its bases; empty for a type of R4 itself, which `validate` checks.
    """

    def __init__(self, definition: Json, type: str, stack: Stack, base: Profile | None) -> None:
        self.definition = definition
        self.url = str(definition.get("url", ""))
        version = definition.get("version")
        self.key = f"{self.url}|{version}" if version else self.url
        self.type = type
        self.stack = stack
        self.base = base
        self._check: Callable[[Run, Item, Frame], Findings] | None = None
        self._compiled = False

    @property
    def plain(self) -> bool:
        """Whether it says nothing beyond the type of R4."""
        return not self.stack

    def check(self, run: Run, item: Item, frame: Frame) -> Findings:
        """What of an item does not conform to the profile or to one it is derived from."""
        if not self._compiled:
            self._check = element_check(self.stack, self.url, run.profiles) if self.stack else None
            self._compiled = True
        found = None if self.base is None else self.base.check(run, item, frame)
        if self._check is None:
            return found
        own = self._check(run, item, frame)
        if not own:
            return found
        return own if not found else merged(found, own)


def merged(first: list[Finding], second: list[Finding]) -> list[Finding]:
    """Both, without what is said twice."""
    seen = set(first)
    return [*first, *(each for each in second if each not in seen)]


class Profiles:
    """Profiles by canonical address, from a source that is asked once for each.

    Threads may share one: loading is one's turn at a time, and what is compiled late is the same
    whoever compiles it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turn = RLock()
        self._profiles: dict[str, Profile | None] = {}
        self._loading: set[str] = set()

    def get(self, canonical: str) -> Profile | None:
        """The profile of a canonical address; None when it, or one it is derived from and no
        snapshot makes up for, is not known or is no profile of an R4 type."""
        if canonical in self._profiles:
            return self._profiles[canonical]
        with self._turn:
            if canonical in self._loading or len(self._loading) > _DEEPEST:
                return None
            self._loading.add(canonical)
            try:
                found = self._load(canonical)
            finally:
                self._loading.discard(canonical)
            return self._profiles.setdefault(canonical, found)

    def definition(self, canonical: str) -> Json | None:
        """The StructureDefinition, whatever it defines."""
        return self._source(canonical)

    def _load(self, canonical: str) -> Profile | None:
        address, _, part = canonical.partition("#")
        if part:
            whole = self.get(address)
            stack = part_of(whole.stack, part) if whole is not None else ()
            if whole is None or not stack:
                return None
            below = Profile(whole.definition, whole.type, stack, None)
            below.key = canonical
            return below
        name = canonical.partition("|")[0].removeprefix(CORE)
        if canonical.startswith(CORE) and type_kind(name) is not None:
            return Profile({"url": CORE + name}, name, (), None)
        definition = self._source(canonical)
        if definition is None or definition.get("kind") == "logical":
            return None
        kind = definition.get("type")
        if not isinstance(kind, str) or type_kind(kind) is None:
            return None
        base_url = definition.get("baseDefinition")
        base = self.get(base_url) if isinstance(base_url, str) else None
        own = _elements(definition, "differential")
        if base is None or (not own and "differential" not in definition):
            own = _elements(definition, "snapshot")
            if not own:
                return None
            base = self.get(CORE + kind)
        lower: Stack = () if base is None else base.stack
        node: Node = tree(own)
        return Profile(definition, kind, (node, *lower), base)


def _elements(definition: Json, part: str) -> list[Json]:
    holder = definition.get(part)
    found = holder.get("element") if isinstance(holder, dict) else None
    return found if isinstance(found, list) else []


__all__ = ["CORE", "Check", "Profile", "Profiles", "Source", "merged"]
