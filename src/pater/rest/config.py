"""What the FHIR API is given when it is built: plain settings and who knows its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from pater.access.caller import Caller
from pater.access.rates import Clients
from pater.records.changes import ClaimsOf
from pater.rest.later import Later
from pater.rest.profiles import StoredProfiles

MIB = 1024 * 1024


class Tokens(Protocol):
    """Whoever turns an access token into its caller; raises `access.tokens.TokenError`."""

    def verify(self, token: str) -> Caller: ...


@dataclass(frozen=True, slots=True)
class RestConfig:
    """`base_url` is the address of the API (`https://host/fhir`), no slash at the end.

    `max_body` bounds a request body in bytes, received and (gzip) unpacked. `started` is the date
    of the CapabilityStatement. `patient_claims` gives the business keys of a Patient that is
    written as it is. `cors` says whether pages of other origins may call. `link_key` (32 secret
    bytes, the same in all processes) seals the page links of searches by POST; without it they
    show their parameters. `log` = the log of the journal is beside the API. `later` takes requests
    that are answered later; without it none are.
    """

    base_url: str
    started: datetime
    demo: bool = False
    max_body: int = 16 * MIB
    version: str = ""
    token_url: str = ""
    # what apps need beside it, by the names of SMART (`authorize`, `introspect` …)
    app_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    patient_claims: ClaimsOf | None = None
    cors: bool = False
    certificates: bool = False  # systems can come by mutual TLS
    later: Later | None = None
    profiles: StoredProfiles | None = None
    log: bool = False
    link_key: bytes = field(default=b"", repr=False)
    # a caller with the record that is theirs now, if persons were merged since their token
    present: Callable[[Caller], Awaitable[Caller]] | None = None
    clients: Clients | None = None  # how often each may ask; None = as often as they like
