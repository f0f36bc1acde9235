"""What code systems are made of: concepts, designations, properties, filters, pages of concepts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

CONCEPT_PROPERTIES: Final = "http://hl7.org/fhir/concept-properties#"
INACTIVE_STATUSES: Final = frozenset({"retired", "inactive"})


@dataclass(frozen=True, slots=True)
class Designation:
    """One name of a concept. `use` is a Coding; `status` is "" while the name is in use."""

    value: str
    language: str = ""
    use: Mapping[str, Any] | None = None
    status: str = ""
    extensions: tuple[Mapping[str, Any], ...] = ()
    source: str = ""  # url|version of the supplement that it comes from


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a concept: `kind` names the FHIR element (`valueCode`, `valueString` …)."""

    code: str
    kind: str
    value: Any

    @property
    def text(self) -> str:
        """The value as filters compare it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, Mapping):
            return str(self.value.get("code", ""))
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept as its code system defines it."""

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()
    extensions: tuple[Mapping[str, Any], ...] = ()
    parents: tuple[str, ...] = ()
    abstract: bool = False
    inactive: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What is said about a code system as a whole; `properties` by code: (uri, type)."""

    url: str
    version: str = ""
    name: str = ""
    title: str = ""
    language: str = ""
    content: str = "complete"
    case_sensitive: bool = True
    hierarchical: bool = False
    status: str = ""  # of the definition: draft, active, retired, or the standards status
    experimental: bool = False
    version_needed: bool = False
    grammar: bool = False  # its codes cannot be listed
    properties: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    supplements: tuple[str, ...] = ()
    resource: Mapping[str, Any] | None = None

    @property
    def canonical(self) -> str:
        """url|version, or the url alone."""
        return f"{self.url}|{self.version}" if self.version else self.url


@dataclass(frozen=True, slots=True)
class Filter:
    """One `compose.include.filter`."""

    property: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Query:
    """Which concepts of a system are wanted, in its order."""

    filters: tuple[Filter, ...] = ()
    text: tuple[str, ...] = ()  # normalised words, each a prefix of some word of a name
    active_only: bool = False
    offset: int = 0
    limit: int = 1000
    bare: bool = False  # code and display are enough: other names, properties, parents may lack


@dataclass(frozen=True, slots=True)
class Page:
    """Concepts, and how many there are in all (None: more than anybody counts)."""

    concepts: Sequence[Concept]
    total: int | None


class UnknownFilterError(Exception):
    """A filter that the code system does not understand."""

    def __init__(self, system: str, filter: Filter) -> None:
        super().__init__(f"{filter.property} {filter.op}")
        self.system = system
        self.filter = filter


class BadFilterError(Exception):
    """A filter whose value cannot be: a regular expression that is none."""


class CodeSystem(Protocol):
    """One version of one code system, whatever it is kept in."""

    @property
    def info(self) -> SystemInfo: ...

    async def locate(self, codes: Collection[str]) -> dict[str, Concept]:
        """asked code -> concept, of those that exist (another case of the letters may do)."""
        ...

    async def page(self, query: Query) -> Page:
        """Concepts that pass every filter. Raises UnknownFilterError, BadFilterError."""
        ...

    async def among(self, codes: Collection[str], filters: tuple[Filter, ...]) -> frozenset[str]:
        """Which of these (exact) codes pass every filter. Raises as `page`."""
        ...

    async def ancestors(self, code: str) -> frozenset[str]:
        """All codes above, the code itself not."""
        ...

    async def children(self, code: str, limit: int) -> Sequence[Concept]:
        """The codes directly below, at most `limit`."""
        ...
