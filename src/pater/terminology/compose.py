"""What a value set holds: streams its codes in bounded steps, and tells which codes belong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.terminology.filters import OPERATORS
from pater.terminology.grammar import GrammarSystem
from pater.terminology.issues import TooCostlyError, TxError, TxIssue, UnknownValueSetError
from pater.terminology.model import (
    BadFilterError,
    CodeSystem,
    Concept,
    Filter,
    Query,
    UnknownFilterError,
)
from pater.terminology.resource_system import dicts, names, text
from pater.terminology.session import Session
from pater.terminology.versions import joined, matches
from pater.terminology.words import holds

STEP: Final = 1_000
_DEEPEST: Final = 30
_MOST_IMPORTS: Final = 5_000
_MOST_INCLUDES: Final = 50_000
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Include:
    """One `compose.include` or `exclude`, read; `concepts` None = not enumerated."""

    system: str
    version: str
    concepts: tuple[Json, ...] | None
    filters: tuple[Filter, ...]
    value_sets: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Coded:
    """A code to look for; version "" = any."""

    system: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class Item:
    """One member of a value set: its system, its concept, what the value set says of it."""

    system: CodeSystem
    concept: Concept
    overlay: Json | None = None
    nested: bool = False  # may stand below its parent

    @property
    def coded(self) -> Coded:
        info = self.system.info
        return Coded(info.url, info.version, self.concept.code)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a stream: words of a text filter, active codes only."""

    words: tuple[str, ...] = ()
    active_only: bool = False


class UnclosedError(Exception):
    """The members cannot be listed, because a system's codes follow a grammar."""

    def __init__(self, system: GrammarSystem) -> None:
        super().__init__(system.info.url)
        self.system = system


def name_of(value_set: Json) -> str:
    """url|version as messages say it."""
    url = text(value_set, "url")
    return joined(url, text(value_set, "version")) if url else "(unidentified)"


def read_includes(value_set: Json, kind: str = "include") -> list[Include]:
    """The includes or excludes; of a value set with nothing but an expansion, its codes.

    Raises TxError for a filter that lacks something.
    """
    compose = value_set.get("compose")
    if not isinstance(compose, dict):
        return _expanded(value_set) if kind == "include" else []
    found = []
    for place, each in enumerate(dicts(compose, kind)):
        path = f"ValueSet.compose.{kind}[{place}]"
        system = text(each, "system")
        sets = each.get("valueSet")
        version = text(each, "version")
        found.append(
            Include(
                system=system,
                version="" if version == "*" else version,
                concepts=tuple(dicts(each, "concept")) if each.get("concept") else None,
                filters=tuple(
                    _filter(raw, system, f"{path}.filter[{n}]")
                    for n, raw in enumerate(dicts(each, "filter"))
                ),
                value_sets=tuple(s for s in sets if isinstance(s, str))
                if isinstance(sets, list)
                else (),
                path=path,
            )
        )
    return found


def _filter(raw: Json, system: str, path: str) -> Filter:
    property, op, value = text(raw, "property"), text(raw, "op"), text(raw, "value")
    if not value:
        sentence = f"The system {system} filter with property = {property}, op = {op} has no value"
        id_ = "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE"
        raise TxError(422, TxIssue("error", "invalid", "vs-invalid", sentence, path, id=id_))
    if op not in OPERATORS:
        sentence = f"The system {system} filter with property = {property} has no known op: '{op}'"
        raise TxError(422, TxIssue("error", "invalid", "vs-invalid", sentence, path))
    return Filter(property, op, value)


def _expanded(value_set: Json) -> list[Include]:
    groups: dict[tuple[str, str], list[Json]] = {}
    stack = list(reversed(dicts(value_set.get("expansion") or {}, "contains")))
    while stack:
        each = stack.pop()
        if text(each, "code") and not each.get("abstract"):
            key = (text(each, "system"), text(each, "version"))
            groups.setdefault(key, []).append(each)
        stack += reversed(dicts(each, "contains"))
    return [
        Include(system, version, tuple(concepts), (), (), "ValueSet.expansion")
        for (system, version), concepts in groups.items()
    ]


def enter(value_set: Json, chain: tuple[str, ...]) -> tuple[str, ...]:
    """The chain of value sets with this one at its end. Raises TxError for a circle."""
    name = text(value_set, "url") or f"#{id(value_set)}"
    if name in chain or len(chain) >= _DEEPEST:
        circle = ", ".join([*chain, name])
        sentence = f"Cyclic reference detected when including {name} via [{circle}]"
        id_ = "VALUESET_CIRCULAR_REFERENCE"
        raise TxError(422, TxIssue("error", "processing", "vs-invalid", sentence, id=id_))
    return (*chain, name)


def merges_versions(value_set: Json) -> bool | None:
    """Whether the same code of two versions is one: as the value set says, else None.

    Where codes of a version are taken away that was never put in, nothing but the code can be
    meant.
    """
    compose = value_set.get("compose")
    if not isinstance(compose, dict):
        return None
    for extension in dicts(compose, "extension"):
        parts = {text(each, "url"): each for each in dicts(extension, "extension")}
        name = parts.get("name", {})
        if "versionsMatch" in name.values():
            value = parts.get("value", {})
            return "true" in value.values() or value.get("valueBoolean") is True
    given = {(i.system, i.version) for i in read_includes(value_set)}
    for each in read_includes(value_set, "exclude"):
        others = {version for system, version in given if system == each.system and version}
        if each.version and others and each.version not in others:
            return True
    return None


class Evaluator:
    """Evaluates value sets for one request."""

    def __init__(self, session: Session, *, merge_versions: bool = False) -> None:
        self.session = session
        self.merge_versions = merge_versions
        self._imports = 0
        self._includes = 0

    async def system_of(self, include: Include) -> CodeSystem:
        """The code system that an include means. Raises UnknownSystemError, TxError."""
        self._includes += 1
        if self._includes > _MOST_INCLUDES:
            raise TooCostlyError(include.path, _MOST_INCLUDES)
        wanted = self.session.wanted_version(include.system, include.version)
        system = await self.session.system(include.system, wanted)
        refused = self.session.forbidden_version(include.system, system.info.version)
        if refused is not None:
            issue = TxIssue(
                "error", "exception", "version-error", refused, id="VALUESET_VERSION_CHECK"
            )
            raise TxError(422, issue)
        return system

    async def import_of(self, canonical: str, container: Json) -> Json:
        """An imported value set, noted as used."""
        self._imports += 1
        if self._imports > _MOST_IMPORTS:
            raise TooCostlyError(canonical, _MOST_IMPORTS)
        found = await self.session.value_set(canonical, container)
        if not canonical.startswith("#"):
            self.session.used.value_sets.setdefault(name_of(found), found)
        return found

    async def refuse_circles(
        self, value_set: Json, chain: tuple[str, ...] = (), seen: set[str] | None = None
    ) -> None:
        """Raises TxError when a value set leads back to itself, whatever is looked for in it."""
        chain = enter(value_set, chain)
        done = seen if seen is not None else set()
        if chain[-1] in done:
            return
        for kind in ("include", "exclude"):
            for include in read_includes(value_set, kind):
                for canonical in include.value_sets:
                    try:
                        other = await self.session.value_set(canonical, value_set)
                    except UnknownValueSetError:
                        continue  # said where it matters
                    await self.refuse_circles(other, chain, done)
        done.add(chain[-1])

    async def stream(
        self, value_set: Json, wanted: Wanted, chain: tuple[str, ...] = ()
    ) -> AsyncIterator[list[Item]]:
        """The members in steps of at most `STEP`; one code may come more than once.

        Raises TxError (unknown value set or system, bad filter), UnclosedError.
        """
        chain = enter(value_set, chain)
        if (value_set.get("compose") or {}).get("inactive") is False:
            wanted = Wanted(wanted.words, True)
        excludes = read_includes(value_set, "exclude")
        for include in read_includes(value_set):
            async for step in self._included(include, value_set, wanted, chain):
                kept = step
                for exclude in excludes:
                    if kept:
                        gone = await self.belonging(
                            exclude, [each.coded for each in kept], value_set, chain
                        )
                        kept = [i for i, out in zip(kept, gone, strict=True) if not out]
                if kept:
                    yield kept

    async def _included(
        self, include: Include, value_set: Json, wanted: Wanted, chain: tuple[str, ...]
    ) -> AsyncIterator[list[Item]]:
        imports = list(include.value_sets)
        if include.system:
            source = self._of_system(include, wanted, text(value_set, "url"))
        elif imports:
            first = await self.import_of(imports.pop(0), value_set)
            source = self._imported(first, wanted, chain)
        else:
            return
        async for step in source:
            kept = step
            for canonical in imports:
                other = await self.import_of(canonical, value_set)
                among = await self.members(other, [each.coded for each in kept], chain)
                kept = [each for each, there in zip(kept, among, strict=True) if there]
            if kept:
                yield kept

    async def _imported(
        self, value_set: Json, wanted: Wanted, chain: tuple[str, ...]
    ) -> AsyncIterator[list[Item]]:
        async for step in self.stream(value_set, wanted, chain):
            yield [Item(each.system, each.concept, each.overlay) for each in step]

    async def _of_system(
        self, include: Include, wanted: Wanted, value_set: str
    ) -> AsyncIterator[list[Item]]:
        system = await self.system_of(include)
        if include.concepts is not None:
            for start in range(0, len(include.concepts), STEP):
                part = include.concepts[start : start + STEP]
                yield await _enumerated(system, part, wanted)
            return
        if isinstance(system, GrammarSystem) and not include.filters:
            raise UnclosedError(system)
        offset = 0
        nested = system.info.hierarchical and (bool(include.filters) or not wanted.words)
        while True:
            query = Query(include.filters, wanted.words, wanted.active_only, offset, STEP)
            with understood(include, value_set):
                page = await system.page(query)
            yield [Item(system, concept, None, nested) for concept in page.concepts]
            offset += STEP
            if len(page.concepts) < STEP:
                return

    async def members(
        self, value_set: Json, asked: Sequence[Coded], chain: tuple[str, ...] = ()
    ) -> list[bool]:
        """Which of these codes are in the value set. Raises as `stream`."""
        chain = enter(value_set, chain)
        found = [False] * len(asked)
        for include in read_includes(value_set):
            among = await self.belonging(include, asked, value_set, chain)
            found = [a or b for a, b in zip(found, among, strict=True)]
        for exclude in read_includes(value_set, "exclude"):
            if not any(found):
                break
            among = await self.belonging(exclude, asked, value_set, chain)
            found = [a and not b for a, b in zip(found, among, strict=True)]
        return found

    async def belonging(
        self, include: Include, asked: Sequence[Coded], container: Json, chain: tuple[str, ...]
    ) -> list[bool]:
        """Which of these codes one include (or exclude) names."""
        found = [True] * len(asked)
        if include.system:
            found = await self._in_system(include, asked, text(container, "url"))
        elif not include.value_sets:
            return [False] * len(asked)
        for canonical in include.value_sets:
            places = [n for n, there in enumerate(found) if there]
            if not places:
                break
            other = await self.import_of(canonical, container)
            among = await self.members(other, [asked[n] for n in places], chain)
            for n, there in zip(places, among, strict=True):
                found[n] = there
        return found

    async def _in_system(
        self, include: Include, asked: Sequence[Coded], value_set: str
    ) -> list[bool]:
        places = [n for n, each in enumerate(asked) if each.system == include.system]
        found = [False] * len(asked)
        if not places:
            return found
        system = await self.system_of(include)
        own = system.info.version
        wanted = self.session.wanted_version(include.system, include.version)

        def same(each: Coded) -> bool:
            if self.merge_versions or not wanted or not each.version:
                return True
            return each.version == own or matches(wanted, each.version)

        places = [n for n in places if same(asked[n])]
        codes = {asked[n].code for n in places}
        if include.concepts is not None:
            listed = {text(each, "code") for each in include.concepts}
            exact = codes & listed
            if not system.info.case_sensitive:
                folded = {code.casefold() for code in listed}
                exact = {code for code in codes if code.casefold() in folded}
            there = frozenset(await system.locate(exact))
        else:
            located = await system.locate(codes)
            with understood(include, value_set):
                passing = await system.among([c.code for c in located.values()], include.filters)
            there = frozenset(code for code, c in located.items() if c.code in passing)
        for n in places:
            found[n] = asked[n].code in there
        return found


async def _enumerated(system: CodeSystem, part: Sequence[Json], wanted: Wanted) -> list[Item]:
    located = await system.locate([text(each, "code") for each in part])
    items = []
    for raw in part:
        concept = located.get(text(raw, "code"))
        if concept is None or (wanted.active_only and concept.inactive):
            continue
        if wanted.words:
            said = [text(raw, "display"), *(text(d, "value") for d in dicts(raw, "designation"))]
            if not holds(wanted.words, [*names(concept), *said]):
                continue
        items.append(Item(system, concept, raw))
    return items


class understood:  # noqa: N801 reads as a phrase
    """Turns a filter that a code system does not understand into an answer."""

    def __init__(self, include: Include, value_set: str) -> None:
        self._include = include
        self._value_set = value_set

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, UnknownFilterError):
            bad = error.filter
            sentence = (
                f'The filter "{bad.property} {bad.op} {bad.value}" from the value set'
                f" {self._value_set} was not understood in the context of {error.system}"
            )
            issue = TxIssue("error", "invalid", "vs-invalid", sentence, self._include.path)
            raise TxError(422, issue) from None
        if isinstance(error, BadFilterError):
            issue = TxIssue("error", "invalid", "vs-invalid", str(error), self._include.path)
            raise TxError(422, issue) from None
