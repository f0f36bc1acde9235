"""What the FHIR API is given when it is built: plain settings and the hooks of domains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.records.changes import ClaimsOf

MIB = 1024 * 1024


class Answer(Protocol):
    """What a domain's handler answers: a status, a JSON body (or none) and further headers."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Tokens(Protocol):
    """Whoever turns an access token into its caller; raises `access.tokens.TokenError`."""

    def verify(self, token: str) -> Caller: ...


CreateHandler = Callable[[Caller, dict[str, Any], bytes, str], Awaitable[Answer | None]]
"""(caller, resource, bytes as received, Prefer return) -> answer; None = an ordinary create."""

Check = Callable[[dict[str, Any]], Sequence[Issue]]
"""Further rules that `$validate` reports for a resource type, beside those of R4."""


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """One call of an operation: the place it was called at, its parameters, its body."""

    method: str
    type: str  # "" = on the whole system
    id: str  # "" = on the type
    parameters: Sequence[tuple[str, str]]
    resource: dict[str, Any] | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a domain: `name` without `$`, the types it stands at ("" = the system).

    `instance` says whether it stands at `/Type/id/$name` instead of `/Type/$name`.
    """

    name: str
    run: Callable[[Caller, OperationRequest], Awaitable[Answer]]
    types: frozenset[str] = frozenset({""})
    instance: bool = False
    methods: frozenset[str] = frozenset({"POST"})
    definition: str = ""  # canonical address of the OperationDefinition


class Domain(Protocol):
    """The part of a domain's working parts that the API looks at."""

    @property
    def creates(self) -> Mapping[str, CreateHandler]: ...


@dataclass(frozen=True, slots=True)
class RestConfig:
    """`base_url` is the address of the API (`https://host/fhir`), no slash at the end.

    `max_body` bounds a request body in bytes, received and (gzip) unpacked. `started` is the date
    of the CapabilityStatement. `patient_claims` gives the business keys of a Patient that is
    written as it is. `link_key` (32 secret bytes, the same in all processes) seals the page links
    of searches by POST; without it they show their parameters. `checks` are further rules by
    type for `$validate`.
    """

    base_url: str
    started: datetime
    demo: bool = False
    max_body: int = 16 * MIB
    version: str = ""
    authorize_url: str = ""
    token_url: str = ""
    patient_claims: ClaimsOf | None = None
    link_key: bytes = field(default=b"", repr=False)
    checks: Mapping[str, Check] = field(default_factory=lambda: MappingProxyType({}))
    operations: Sequence[Operation] = ()
