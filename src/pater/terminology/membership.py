"""Looks for one code in a value set, and keeps every version question that arises on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pater.terminology.compose import (
    Coded,
    Evaluator,
    Include,
    enter,
    read_includes,
    understood,
)
from pater.terminology.issues import UnknownSystemError, unknown_system
from pater.terminology.model import CodeSystem, Concept
from pater.terminology.resource_system import text
from pater.terminology.versions import is_pattern, joined, matches

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A code system that an include led to, and its concept (None: it has no such code).

    `conflicts` are versions that contradict each other, `absent` versions that are not here (and
    `causes` their canonicals), `notes` only remarks; `refused` a version that a check forbids.
    """

    system: CodeSystem
    concept: Concept | None
    overlay: Json | None
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A code system (in some version) that an include names and that is not here."""

    system: str
    version: str
    known: tuple[str, ...]
    conflict: str = ""


@dataclass(slots=True)
class Looked:
    """All that was seen: where the code is a member, where it is not, what was missing."""

    found: list[Found] = field(default_factory=list)
    consulted: list[Found] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    active_only: bool = False


class Member:
    """The search for one code in one value set; system "" = in all of its systems."""

    def __init__(
        self, evaluator: Evaluator, value_set: Json, system: str, version: str, code: str
    ) -> None:
        self._evaluator = evaluator
        self._session = evaluator.session
        self._value_set = value_set
        self._system = system
        self._version = version
        self._code = code

    async def look(self) -> Looked:
        """Searches. Raises TxError."""
        looked = Looked()
        await self._evaluator.refuse_circles(self._value_set)
        await self._in(self._value_set, looked, ())
        if any(not each.conflicts for each in (*looked.found, *looked.consulted)):
            # one include is of the very version: those of others say nothing about it
            looked.found = [each for each in looked.found if not each.conflicts]
            looked.consulted = [each for each in looked.consulted if not each.conflicts]
        return looked

    async def systems(self) -> list[str]:
        """The code systems that the value set names."""
        found: dict[str, None] = {}
        for include in read_includes(self._value_set):
            if include.system:
                found.setdefault(include.system)
        return list(found)

    async def _in(self, value_set: Json, looked: Looked, chain: tuple[str, ...]) -> None:
        chain = enter(value_set, chain)
        if (value_set.get("compose") or {}).get("inactive") is False:
            looked.active_only = True
        here: list[Found] = []
        for include in read_includes(value_set):
            here += await self._included(include, value_set, looked, chain)
        for exclude in read_includes(value_set, "exclude"):
            if not here:
                break
            gone = await self._evaluator.belonging(
                exclude, [_coded(each) for each in here], value_set, chain
            )
            looked.consulted += [f for f, out in zip(here, gone, strict=True) if out]
            here = [f for f, out in zip(here, gone, strict=True) if not out]
        looked.found += here

    async def _included(
        self, include: Include, value_set: Json, looked: Looked, chain: tuple[str, ...]
    ) -> list[Found]:
        imports = list(include.value_sets)
        if include.system:
            if self._system and include.system != self._system:
                return []
            found = await self._of_system(include, value_set, looked)
        elif imports:
            inner = Looked()
            other = await self._evaluator.import_of(imports.pop(0), value_set)
            await self._in(other, inner, chain)
            looked.consulted += inner.consulted
            looked.missing += inner.missing
            looked.active_only = looked.active_only or inner.active_only
            found = inner.found
        else:
            return []
        for canonical in imports:
            other = await self._evaluator.import_of(canonical, value_set)
            among = await self._evaluator.members(other, [_coded(f) for f in found], chain)
            looked.consulted += [f for f, there in zip(found, among, strict=True) if not there]
            found = [f for f, there in zip(found, among, strict=True) if there]
        return found

    async def _of_system(self, include: Include, value_set: Json, looked: Looked) -> list[Found]:
        session, url = self._session, include.system
        wanted = session.wanted_version(url, include.version)
        known = await session.versions(url)
        changed = wanted != include.version
        given = self._version
        conflict, notes, absent, causes = "", "", "", ""
        target = wanted
        if given:
            if wanted and not matches(wanted, given) and given != wanted:
                conflict = _conflict(url, wanted, include.version, given, changed=changed)
            elif given in known:
                target = given
            if given not in known and known:
                so = "so the code cannot be validated"
                absent = unknown_system(url, given, known, so)
                causes = joined(url, given)
        try:
            system = await session.system(url, target)
        except UnknownSystemError as error:
            missing = Missing(url, target, tuple(error.known), conflict)
            if missing not in looked.missing:
                looked.missing.append(missing)
            return []
        if given and not wanted and not is_pattern(given) and given != system.info.version:
            notes = (
                f"The code system '{url}' version '{system.info.version}' for the versionless"
                " include in the ValueSet include is different to the one in the value"
                f" ('{given}')"
            )
        located = (await system.locate([self._code])).get(self._code)
        overlay, member = await self._holds(include, system, located, text(value_set, "url"))
        found = Found(
            system,
            located,
            overlay,
            (conflict,) if conflict else (),
            (notes,) if notes else (),
            (absent,) if absent else (),
            (causes,) if causes else (),
            session.forbidden_version(url, system.info.version),
        )
        fragment = system.info.content == "fragment"
        whole = include.concepts is None and not include.filters
        if member or (located is None and fragment and whole):
            return [found]
        looked.consulted.append(found)
        return []

    async def _holds(
        self, include: Include, system: CodeSystem, concept: Concept | None, value_set: str
    ) -> tuple[Json | None, bool]:
        """What the include says of the concept, and whether it names it."""
        if concept is None:
            return None, False
        if include.concepts is not None:
            for raw in include.concepts:
                code = text(raw, "code")
                same = code == concept.code or (
                    not system.info.case_sensitive and code.casefold() == concept.code.casefold()
                )
                if same:
                    return raw, True
            return None, False
        with understood(include, value_set):
            return None, bool(await system.among([concept.code], include.filters))


def _coded(found: Found) -> Coded:
    code = found.concept.code if found.concept else ""
    return Coded(found.system.info.url, found.system.info.version, code)


def _conflict(url: str, wanted: str, written: str, given: str, *, changed: bool) -> str:
    how = f"resulting from the version '{written}' in" if changed else "in"
    return (
        f"The code system '{url}' version '{wanted}' {how} the ValueSet include is different to"
        f" the one in the value ('{given}')"
    )
