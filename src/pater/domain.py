"""What a domain is made of: the one shape that every folder under `domains/` has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from starlette.routing import BaseRoute

from pater.access.attended import Attended
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.employed import Employed, as_written
from pater.access.rates import Clients
from pater.access.revocations import Revocations
from pater.access.transparency.log import TransparencyLog
from pater.fhir.issues import Issue
from pater.records.gate import Gate
from pater.registers.basic.room import Basic
from pater.registers.room import Registers
from pater.store.database import Database
from pater.store.feed import FeedEvent
from pater.store.files import Files
from pater.store.jobs import Handler, Job, enqueue_statement
from pater.store.journal import JournalEntry
from pater.store.person_tables import PersonTable
from pater.store.read import Stored
from pater.trust.acme import Binding
from pater.trust.ca import Authority
from pater.trust.seal.service import Service as SealService

__all__ = [
    "Answer",
    "Attending",
    "Attention",
    "Check",
    "Conforming",
    "Conversation",
    "CreateHandler",
    "Domain",
    "FeedEvent",
    "Handler",
    "Job",
    "Letters",
    "Listener",
    "Looked",
    "Looking",
    "NavEntry",
    "Operation",
    "OperationRequest",
    "Parameter",
    "Parts",
    "PersonTable",
    "QueriedHandler",
    "Services",
    "enqueue_statement",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a domain answers to a FHIR request: a status, headers and a JSON body (or none)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


# what `$validate` reports of a resource beside the rules of R4
Check = Callable[[dict[str, Any]], Sequence[Issue]]

# what of a resource, and of what is kept in it, does not conform to the profiles it declares
Conforming = Callable[[dict[str, Any]], Awaitable[Sequence[Issue]]]

# (caller, parsed resource, bytes as received, Prefer return value) -> answer; None = not for me
CreateHandler = Callable[[Caller, dict[str, Any], bytes, str], Awaitable[Answer | None]]


# (caller, POST (If-None-Exist), PUT or DELETE, the query, parsed resource if any, Prefer return
# value) -> answer;
# None = not for me
QueriedHandler = Callable[
    [Caller, str, Sequence[tuple[str, str]], dict[str, Any] | None, str], Awaitable[Answer | None]
]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a search of a type is asked as, how what it found is shown, and what is remarked."""

    parameters: Sequence[tuple[str, str]]
    show: Callable[[Sequence[Stored]], Awaitable[list[Stored]]]
    remarks: Sequence[Issue] = ()


# (caller, parameters) -> how the search is done; None = as it is
Looking = Callable[[Caller, Sequence[tuple[str, str]]], Awaitable[Looked | None]]


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """One call of an operation: the place it was called at, its parameters, its body."""

    method: str
    type: str  # "" = on the whole system
    id: str  # "" = on the type
    parameters: Sequence[tuple[str, str]]
    resource: dict[str, Any] | None
    raw: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # lower case


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation: its FHIR type ("" = it has parts), what it means, how often
    it stands there.
    """

    name: str
    type: str
    text: str
    least: int = 0
    most: str = "1"
    parts: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `name` without `$`, the types it stands at ("" = the system, "*" = each).

    `instance` says whether it stands at `/Type/id/$name` instead of `/Type/$name`. One of our own
    says what it does (`text`, what it `takes` and `gives`): it has an OperationDefinition here.
    """

    name: str
    run: Callable[[Caller, OperationRequest], Awaitable[Answer]]
    types: frozenset[str] = frozenset({""})
    instance: bool = False
    methods: frozenset[str] = frozenset({"POST"})
    definition: str = ""  # canonical address of the OperationDefinition of others
    text: str = ""
    takes: tuple[Parameter, ...] = ()
    gives: tuple[Parameter, ...] = ()
    changes: bool = False  # whether anything is another afterwards


@dataclass(frozen=True, slots=True)
class Listener:
    """Something that follows the feed, at least once in order, with a cursor of its own."""

    name: str
    handle: Callable[[FeedEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class NavEntry:
    """One entry that a domain adds to a portal's navigation."""

    portal: str
    url: str
    title: Mapping[str, str]  # by language


@dataclass(frozen=True, slots=True)
class Attention:
    """What the first page of a portal tells somebody before all else, and where it leads."""

    url: str
    text: Mapping[str, str]  # by language


# who looks -> what they should be told; asked each time the first page of a portal is shown
Attending = Callable[[Caller], Awaitable[Sequence[Attention]]]

# one connection of a protocol that is not HTTP, until it ends
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# (address, subject, text) -> handed to the mail gateway; raises OSError when it cannot be
Letters = Callable[[str, str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """What the roof hands to a domain when it builds it."""

    gate: Gate
    db: Database
    base_url: str  # of the FHIR API, without a slash at the end
    strict_identifiers: bool
    next_person: Callable[[], Awaitable[int]]
    clock: Callable[[], datetime]
    random: Random
    new_id: Callable[[], str]
    verify: Callable[[str], Caller]  # a bearer token's caller; raises access.tokens.TokenError
    files: Files  # what is kept beside the database: exports, uploads
    import_origins: tuple[str, ...] = ()  # https://host[:port] from which imports may fetch
    conforming: Conforming | None = None
    log: TransparencyLog | None = None  # proofs for entries of the journal
    # what has ended of what people allowed their apps; None where nobody lets apps in
    revocations: Revocations | None = None
    journal: Callable[[Sequence[JournalEntry]], Awaitable[None]] | None = None  # durably
    seals: SealService | None = None  # None where nothing is sealed
    secret: bytes = b""  # for what a domain's pages seal
    demo: bool = False
    registers: Registers | None = None  # who is who; None where persons are not kept
    attended: Attended | None = None  # tells of questions about one person before they are decided
    parents: Ages = field(default_factory=Ages)  # how long parents act for their children
    certification: Authority | None = None  # None where nobody certifies
    acme: Binding | None = None  # keys by which servers of a provider get certificates
    letters: Letters | None = None  # mail to people; None where there is no gateway
    basic: Basic | None = None  # links to the basic registers; None = there are none
    clients: Clients | None = None  # how often each client may ask; None = as often as they like
    employed: Employed = as_written  # who still works where their account says


@dataclass(frozen=True, slots=True)
class Domain:
    """One system of the mission: its name, what it adds to the API, its listeners and pages.

    `build` turns it into its working parts once the services are there; `migrations` is the folder
    of its plain tables, `templates` and `locale` the folders of its pages. `persons` are those of
    its tables that carry a person number: their rows move when two persons are merged.
    """

    name: str
    title: Mapping[str, str]  # by language
    build: Callable[[Services], Parts]
    migrations: Path | None = None
    templates: Path | None = None
    locale: Path | None = None
    static: Path | None = None
    navigation: Sequence[NavEntry] = ()
    persons: Sequence[PersonTable] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """The working parts of a domain, or of a room of `rest`."""

    creates: Mapping[str, CreateHandler] = field(default_factory=lambda: MappingProxyType({}))
    # what takes POST, PUT and DELETE of a type by a query, before they are ordinary ones
    queried: Mapping[str, QueriedHandler] = field(default_factory=lambda: MappingProxyType({}))
    # whether what a caller tells of a type goes a way of its own, which no transaction holds
    alone: Mapping[str, Callable[[Caller], bool]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    # what makes another search of a search of a type, before it is read
    looking: Mapping[str, Looking] = field(default_factory=lambda: MappingProxyType({}))
    checks: Mapping[str, Check] = field(default_factory=lambda: MappingProxyType({}))
    operations: Sequence[Operation] = ()
    # what GET /metadata?mode=… answers for a mode, anew each time
    metadata: Mapping[str, Callable[[], Awaitable[bytes]]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    listeners: Sequence[Listener] = ()
    # kind of job -> what does it; a kind has one handler (see store.jobs)
    jobs: Mapping[str, Handler] = field(default_factory=lambda: MappingProxyType({}))
    routes: Sequence[BaseRoute] = ()  # addresses outside the FHIR dispatcher, before it
    # what the CapabilityStatement says more of a type ("" = of the whole API)
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    # what answers connections at a port of its own, by protocol (`mllp`); the roof opens the ports
    ports: Mapping[str, Conversation] = field(default_factory=lambda: MappingProxyType({}))
    # what goes on in the background of every process until its event is set
    tasks: Sequence[Callable[[asyncio.Event], Awaitable[None]]] = ()
    attention: Attending | None = None
    # given the page context of the web shell, the domain's pages
    pages: Callable[[Any], Sequence[BaseRoute]] | None = None
