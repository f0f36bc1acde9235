"""The definitions one request sees: those it brought, those stored, loaded and built in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from pater.store.database import Database
from pater.terminology import builtin
from pater.terminology.grammar import grammar_systems
from pater.terminology.issues import TxError, TxIssue, UnknownSystemError, UnknownValueSetError
from pater.terminology.model import CodeSystem
from pater.terminology.resource_system import ResourceSystem, text
from pater.terminology.stored import StoredDefinitions, Weighed
from pater.terminology.table_system import SNOMED, LoadedSystems, TableSystem
from pater.terminology.versions import joined, matches, newest, sort_key, split_canonical

Json = Mapping[str, Any]
Opener = Callable[[Sequence[tuple[Any, Json]]], Awaitable[CodeSystem]]

_USABLE: Final = frozenset({"complete", "fragment"})


@dataclass(frozen=True, slots=True)
class Rules:
    """Parameters about versions, each (url, version): see the R4 operations $expand and
    $validate-code; `value_sets` are defaults for imported value sets."""

    default: tuple[tuple[str, str], ...] = ()
    check: tuple[tuple[str, str], ...] = ()
    force: tuple[tuple[str, str], ...] = ()
    value_sets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a code system that could be opened."""

    version: str
    content: str
    open: Opener
    resource: Json | None = None
    key: Any = None

    @property
    def shipped(self) -> bool:
        """Whether it came with the program, and nobody here chose it."""
        return isinstance(self.key, tuple) and self.key[0] == "r4"


@dataclass(slots=True)
class Used:
    """What an operation drew from, for the parameters of its answer."""

    systems: dict[str, CodeSystem] = field(default_factory=dict)
    value_sets: dict[str, Json] = field(default_factory=dict)
    supplements: dict[str, None] = field(default_factory=dict)
    rules: dict[tuple[str, str], None] = field(default_factory=dict)


class Catalogue:
    """All definitions of one database; shared by every request of a process."""

    def __init__(self, db: Database, *, keep_concepts: int = 300_000) -> None:
        self.stored = StoredDefinitions(db)
        self.loaded = LoadedSystems(db)
        self._opened: Weighed[ResourceSystem] = Weighed(keep_concepts)

    def open_resource(
        self, key: Any, resource: Json, supplements: Sequence[tuple[Any, Json]]
    ) -> ResourceSystem:
        """A CodeSystem resource made ready; kept under `key` unless that is None."""
        keys = tuple(each for each, _ in supplements)
        whole = (key, keys)
        keep = key is not None and None not in keys
        found = self._opened.get(whole) if keep else None
        if found is None:
            found = ResourceSystem(resource, [each for _, each in supplements])
            if keep:
                self._opened.put(whole, found, len(found) + 10)
        return found


class Session:
    """One request's view, with the resources it brought along (`tx-resource`)."""

    def __init__(
        self, catalogue: Catalogue, resources: Sequence[Json] = (), rules: Rules | None = None
    ) -> None:
        self._catalogue = catalogue
        self._own = list(resources)
        self.rules = rules or Rules()
        self.used = Used()
        self._entries: dict[str, list[Entry]] = {}
        self._systems: dict[tuple[str, str], CodeSystem] = {}
        self._sets: dict[str, list[Json]] = {}
        self._supplements: list[tuple[Any, Json]] = []

    async def require_supplements(self, canonicals: Sequence[str]) -> None:
        """Makes supplements part of every system opened from now on. Raises TxError."""
        for canonical in canonicals:
            url, version = split_canonical(canonical)
            found = [
                entry
                for entry in await self.entries(url)
                if entry.content == "supplement" and (not version or entry.version == version)
            ]
            if not found:
                sentence = f"Required supplement not found: {canonical}"
                raise TxError(
                    404,
                    TxIssue(
                        "error",
                        "not-found",
                        "not-found",
                        sentence,
                        id="VALUESET_SUPPLEMENT_MISSING",
                    ),
                )
            best = max(found, key=lambda entry: sort_key(entry.version))
            if best.resource is not None:
                self._supplements.append((best.key, best.resource))

    async def entries(self, url: str) -> list[Entry]:
        """Every version of a code system (supplements too) that is known, each once."""
        if url not in self._entries:
            self._entries[url] = await self._find(url)
        return self._entries[url]

    async def _find(self, url: str) -> list[Entry]:
        found: list[Entry] = []
        for resource in self._own:
            if resource.get("resourceType") == "CodeSystem" and resource.get("url") == url:
                found.append(self._entry(None, resource))
        if url:
            for key, resource in await self._catalogue.stored.by_url("CodeSystem", url):
                found.append(self._entry(key, resource))
            for row in await self._catalogue.loaded.versions(url):
                found.append(_loaded_entry(row))
            shipped = builtin.definition("CodeSystem", url)
            if shipped is not None:
                found.append(self._entry(("r4", url), shipped))
            grammar = grammar_systems().get(url)
            if grammar is not None:
                found.append(_grammar_entry(grammar))
        usable = {entry.version for entry in found if entry.content in _USABLE}
        once: dict[tuple[str, bool], Entry] = {}
        for entry in found:
            if entry.content in _USABLE or entry.version not in usable:
                once.setdefault((entry.version, entry.content == "supplement"), entry)
        return list(once.values())

    def _entry(self, key: Any, resource: Json) -> Entry:
        async def opened(supplements: Sequence[tuple[Any, Json]]) -> CodeSystem:
            return self._catalogue.open_resource(key, resource, supplements)

        content = text(resource, "content") or "complete"
        return Entry(text(resource, "version"), content, opened, resource, key)

    async def versions(self, url: str) -> list[str]:
        """The versions that can be used, in order."""
        usable = [e.version for e in await self.entries(url) if e.content in _USABLE]
        return sorted(usable, key=sort_key)

    async def system(self, url: str, version: str = "") -> CodeSystem:
        """The newest version that `version` (or a pattern, or "") allows.

        What somebody stored or loaded goes before what came with the program: versions of the
        one and the other are not always of one kind. Raises UnknownSystemError.
        """
        known = await self.versions(url)
        allowed = [each for each in known if not version or matches(version, each)]
        if not version and len(allowed) > 1:
            entries = await self.entries(url)
            chosen = {e.version for e in entries if e.content in _USABLE and not e.shipped}
            allowed = [each for each in allowed if each in chosen] or allowed
        best = newest(allowed)
        if best is None:
            raise UnknownSystemError(url, version, known)
        key = (url, best)
        if key not in self._systems:
            entry = next(
                e for e in await self.entries(url) if e.version == best and e.content in _USABLE
            )
            self._systems[key] = await entry.open(self._for(url, best))
        system = self._systems[key]
        self.used.systems.setdefault(system.info.canonical, system)
        for supplement in system.info.supplements:
            self.used.supplements.setdefault(supplement)
        return system

    def _for(self, url: str, version: str) -> list[tuple[Any, Json]]:
        fitting = []
        for key, supplement in self._supplements:
            target, wanted = split_canonical(text(supplement, "supplements"))
            if target == url and (not wanted or matches(wanted, version)):
                fitting.append((key, supplement))
        return fitting

    def wanted_version(self, system: str, version: str, *, note: bool = True) -> str:
        """The version that an include means once the request's rules were applied."""
        for url, forced in self.rules.force:
            if url == system:
                if note:
                    self.used.rules.setdefault(("force-system-version", joined(url, forced)))
                return forced
        if version:
            return version
        for name, rules in (
            ("system-version", self.rules.default),
            ("check-system-version", self.rules.check),
        ):
            for url, wanted in rules:
                if url == system:
                    if note:
                        self.used.rules.setdefault((name, joined(url, wanted)))
                    return wanted
        return ""

    def forbidden_version(self, system: str, version: str) -> str | None:
        """Why a `check-system-version` refuses this version, or None."""
        for url, wanted in self.rules.check:
            if url == system and not matches(wanted, version):
                return (
                    f"The version '{version}' is not allowed for system '{system}': required to be"
                    f" '{wanted}' by a version-check parameter"
                )
        return None

    async def value_set(self, canonical: str, container: Json | None = None) -> Json:
        """A value set by canonical, or `#id` of one contained. Raises UnknownValueSetError."""
        if canonical.startswith("#"):
            for each in (container or {}).get("contained", ()):
                if isinstance(each, dict) and each.get("id") == canonical[1:]:
                    return each
            raise UnknownValueSetError(canonical)
        url, version = split_canonical(canonical)
        if not version:
            version = next((v for each, v in self.rules.value_sets if each == url), "")
        candidates = await self.value_sets(url)
        allowed = [
            each for each in candidates if not version or matches(version, text(each, "version"))
        ]
        if not allowed:
            implied = await self._implied(url)
            if implied is None:
                raise UnknownValueSetError(joined(url, version))
            return implied
        shipped = builtin.definition("ValueSet", url)
        chosen = [each for each in allowed if each is not shipped]
        return max(chosen or allowed, key=lambda each: sort_key(text(each, "version")))

    async def value_sets(self, url: str) -> list[Json]:
        """Every version of a value set."""
        if url not in self._sets:
            found = [
                each
                for each in self._own
                if each.get("resourceType") == "ValueSet" and each.get("url") == url
            ]
            if url:
                stored = await self._catalogue.stored.by_url("ValueSet", url)
                found += [each for _, each in stored]
                shipped = builtin.definition("ValueSet", url)
                found += [shipped] if shipped is not None else []
            once: dict[str, Json] = {}
            for each in found:
                once.setdefault(text(each, "version"), each)
            self._sets[url] = list(once.values())
        return self._sets[url]

    async def _implied(self, url: str) -> Json | None:
        """The value sets that exist without being written down: all of a system, or a part."""
        system, _, query = url.partition("?fhir_vs")
        if system == url:
            if not url.endswith("/vs"):
                return None
            system, query = url.removesuffix("/vs"), ""
        include: dict[str, Any] = {"system": system}
        if query.startswith("=isa/"):
            value = query.removeprefix("=isa/")
            include["filter"] = [{"property": "concept", "op": "is-a", "value": value}]
        elif query.startswith("=ecl/") and system.startswith(SNOMED):
            value = unquote(query.removeprefix("=ecl/"))
            include["filter"] = [{"property": "constraint", "op": "=", "value": value}]
        elif query:
            return None
        known = await self.versions(system)
        if not known and system.startswith("http://snomed.info/sct/"):
            include["version"], include["system"] = system, "http://snomed.info/sct"
            known = await self.versions("http://snomed.info/sct")
        if not known:
            return None
        return {
            "resourceType": "ValueSet",
            "url": url,
            "status": "active",
            "compose": {"include": [include]},
        }

    async def concept_maps(
        self, url: str = "", *, system: str = "", reverse: bool = False
    ) -> list[Json]:
        """The concept maps of an address, or all that translate from `system` (or to it)."""
        own = [
            each
            for each in self._own
            if each.get("resourceType") == "ConceptMap" and (not url or each.get("url") == url)
        ]
        stored = self._catalogue.stored
        if url:
            return own + [each for _, each in await stored.by_url("ConceptMap", url)]
        parameter = "target-system" if reverse else "source-system"
        return own + [each for _, each in await stored.by_uri("ConceptMap", parameter, system)]


def _loaded_entry(row: TableSystem) -> Entry:
    async def opened(supplements: Sequence[tuple[Any, Json]]) -> CodeSystem:
        return row.with_supplements([each for _, each in supplements])

    return Entry(row.info.version, row.info.content, opened)


def _grammar_entry(system: CodeSystem) -> Entry:
    async def opened(_: Sequence[tuple[Any, Json]]) -> CodeSystem:
        return system

    return Entry(system.info.version, "complete", opened)
