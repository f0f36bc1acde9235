"""How often clients may ask: counts by client where one is known, else by network address.

Counts are kept by each process for itself, of at most ten thousand clients an entrance; who asks
too often is told when to come again. The slow locks that every process shares are
`access.lockout`, and who looks for people is `access.probing`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from types import MappingProxyType
from typing import Final, Literal

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pater.access.caller import Caller

MOST_ADDRESSES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and from then on `each_minute`; what is heavy counts more than once."""

    each_minute: float
    burst: float


# More than anybody needs and than one process can do for long, less than what wears it out: a
# hospital's systems and people share an address.
RATES: Final[Mapping[str, Rate]] = MappingProxyType(
    {
        "system": Rate(600_000, 120_000),  # a client of the API
        "person": Rate(12_000, 6_000),  # a person's token at the API, by themselves or by an app
        "unknown": Rate(12_000, 6_000),  # without a token, or with one that is refused
        "oauth": Rate(1_200, 600),
        "login": Rate(300, 150),
        "trust": Rate(60_000, 30_000),  # stamps, lists, OCSP, ACME
        "pages": Rate(60_000, 20_000),
    }
)
"""The limits by name; `PATER_RATES` replaces single ones."""

Saying = Literal["oauth", "fhir", "acme", "problem", "page"]


@dataclass(frozen=True, slots=True)
class Entrance:
    """Addresses that are counted by network address: where they begin, and how no is said."""

    start: str
    rate: str  # "" = not counted
    methods: frozenset[str] = frozenset()  # empty = all
    cost: float = 1.0
    said: Saying = "page"


_POST: Final = frozenset({"POST"})
ENTRANCES: Final = (
    Entrance("/fhir", "", said="fhir"),
    Entrance("/static/", ""),
    Entrance("/health/", ""),
    Entrance("/oauth/", "oauth", _POST, said="oauth"),
    Entrance("/login", "login", _POST),
    Entrance("/acme/", "trust", cost=5.0, said="acme"),
    Entrance("/tsa", "trust", _POST, 10.0, "problem"),
    Entrance("/tsa", "trust", said="problem"),
    Entrance("/pki/", "trust", said="problem"),
    Entrance("/seal/", "", said="fhir"),
    Entrance("/opravneni/", "", said="problem"),
    Entrance("/Opravneni/", "", said="problem"),
    Entrance("/audit/log/", "trust", said="fhir"),
    Entrance("/", "pages"),
)
"""Each request is counted at the first that fits. Where a token says who asks, the room that reads
it counts by client (`Clients`)."""

_HEAVY: Final[Mapping[str, float]] = MappingProxyType(
    {
        "$everything": 10, "$export": 100, "$graphql": 5, "$import": 20, "$lastn": 5, "$match": 5,
        "$may": 2, "$meta": 5, "$validate": 5, "$document": 10, "_history": 3, "create": 50,
        "extend": 50, "validate": 50,
    }
)  # fmt: skip
_ROUNDING: Final = 1e-6
_BYTES: Final = 16_384
"""So many bytes of a body count as one request more."""


class Limit:
    """A leaking bucket for each of those who ask."""

    def __init__(self, rate: Rate, timer: Callable[[], float]) -> None:
        """`timer` gives seconds that only grow."""
        self.rate = rate
        self._timer = timer
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, source: str, cost: float = 1.0) -> int:
        """0 when the source may ask now, else the whole seconds until it may.

        What costs more than the whole burst goes through an empty bucket, and fills it.
        """
        now = self._timer()
        level, at = self._known.pop(source, (0.0, now))
        level = max(0.0, level - (now - at) * self.rate.each_minute / 60)
        cost = min(cost, self.rate.burst)
        refused = level + cost > self.rate.burst + _ROUNDING
        self._known[source] = (level if refused else level + cost, now)
        if len(self._known) > MOST_ADDRESSES:
            self._known.popitem(last=False)
        if not refused:
            return 0
        return max(1, ceil((level + cost - self.rate.burst) * 60 / self.rate.each_minute))

    def full(self, source: str) -> int:
        """The seconds to wait when there is no room for one more; nothing is counted."""
        known = self._known.get(source)
        if known is None:
            return 0
        level = known[0] - (self._timer() - known[1]) * self.rate.each_minute / 60
        over = level + 1 - self.rate.burst - _ROUNDING
        return max(1, ceil(over * 60 / self.rate.each_minute)) if over > 0 else 0


def cost_of(segments: list[str], headers: Mapping[str, str]) -> float:
    """What a request to the API counts for: more for heavy operations and for large bodies."""
    cost = _HEAVY.get(segments[-1], 1.0)
    length = headers.get("content-length", "")
    if len(length) > 4 and length.isascii() and length.isdigit():
        cost += min(int(length[:12]) / _BYTES, 1_000.0)
    return cost


class Clients:
    """How often each client of the API and each person may ask; the loader is not counted."""

    def __init__(self, timer: Callable[[], float], rates: Mapping[str, Rate] = RATES) -> None:
        self._limits = {
            kind: Limit(rates[kind], timer) for kind in ("system", "person") if kind in rates
        }

    def wait(self, caller: Caller, cost: float) -> int:
        """0 when the caller may ask now, else the whole seconds until it may."""
        limit = self._limits.get(caller.kind)
        if limit is None or caller.role == "loader":
            return 0
        return limit.wait(caller.id, cost)

    def told(self, caller: Caller, seconds: int) -> list[tuple[bytes, bytes]]:
        """The headers of a refusal."""
        return told(caller.kind, self._limits[caller.kind].rate, seconds)


def told(name: str, rate: Rate, seconds: int) -> list[tuple[bytes, bytes]]:
    """Retry-After (RFC 9110 10.2.3) and the RateLimit fields of the IETF draft."""
    window = max(1, ceil(rate.burst * 60 / rate.each_minute))
    return [
        (b"retry-after", str(seconds).encode()),
        (b"ratelimit-policy", f'"{name}";q={rate.burst:.0f};w={window}'.encode()),
        (b"ratelimit", f'"{name}";r=0;t={seconds}'.encode()),
    ]


class Rates:
    """ASGI middleware: 429 for what comes too often to `ENTRANCES` from one network address.

    An address from which refused tokens come too often (401) has to wait with tokens, too.
    """

    def __init__(
        self,
        app: ASGIApp,
        timer: Callable[[], float],
        rates: Mapping[str, Rate] = RATES,
    ) -> None:
        self._app = app
        self._limits = {name: Limit(rate, timer) for name, rate in rates.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        entrance = next(
            one
            for one in ENTRANCES
            if path.startswith(one.start) and (not one.methods or method in one.methods)
        )
        name = entrance.rate
        unknown = self._limits.get("unknown")
        if name:
            limit = self._limits.get(name)
            if limit is not None:
                seconds = limit.wait(_network(scope), entrance.cost)
                if seconds:
                    await _refuse(send, name, limit.rate, seconds, entrance.said, method)
                    return
        elif unknown is not None and entrance.said != "page":
            await self._watched(unknown, entrance, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _watched(
        self, limit: Limit, entrance: Entrance, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serves what brings a token, and counts the answer when the token was refused."""
        source = _network(scope)
        seconds = limit.full(source)
        if seconds:
            await _refuse(send, "unknown", limit.rate, seconds, entrance.said, scope["method"])
            return

        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                limit.wait(source)
            await send(message)

        await self._app(scope, receive, watching)


def _network(scope: Scope) -> str:
    return network_of((scope.get("client") or ("",))[0])


@lru_cache(maxsize=4096)
def network_of(source: str) -> str:
    """An address as it is counted: of IPv6 its /64, because a single home has that many."""
    try:
        address = ip_address(source)
    except ValueError:
        return source[:64]
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else address.packed[:8].hex()
    return str(address)


_ONE: Final = re.compile(r"([a-z]{1,20})=(?:([0-9]{1,9})/([0-9]{1,9})|off)", re.ASCII)


def read_rates(text: str) -> Mapping[str, Rate]:
    """`RATES` with those that a setting names: `system=600000/120000 login=off`, a minute and at
    once; raises ValueError."""
    found = dict(RATES)
    for word in text.replace(",", " ").split():
        one = _ONE.fullmatch(word)
        if one is None:
            raise ValueError(f"{word!r} is not NAME=EACH_MINUTE/AT_ONCE or NAME=off")
        name, each_minute, burst = one.groups()
        if name not in RATES:
            raise ValueError(f"there is no limit {name!r}: they are {', '.join(RATES)}")
        if each_minute is None:
            found.pop(name, None)
        elif not (int(each_minute) and int(burst)):
            raise ValueError(f"{word!r} would let nobody in")
        else:
            found[name] = Rate(float(each_minute), float(burst))
    return MappingProxyType(found)


_PAGE: Final = (
    "<!doctype html><html lang=cs><meta charset=utf-8><title>429</title>"
    "<h1>Příliš mnoho požadavků</h1><p>Počkejte chvíli a zkuste to znovu."
    "<h1 lang=en>Too many requests</h1><p lang=en>Wait a moment and try again."
).encode()


async def _refuse(
    send: Send, name: str, rate: Rate, seconds: int, said: Saying, method: str
) -> None:
    text = f"Too many requests. Try again in {seconds} s."
    kind, body = _said(said, text)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        *told(name, rate, seconds),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _said(said: Saying, text: str) -> tuple[bytes, bytes]:
    match said:
        case "oauth":
            body = {"error": "slow_down", "error_description": text}
            return b"application/json", orjson.dumps(body)
        case "fhir":
            issue = {"severity": "error", "code": "throttled", "diagnostics": text}
            outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
            return b"application/fhir+json; charset=utf-8", orjson.dumps(outcome)
        case "page":
            return b"text/html; charset=utf-8", _PAGE
    type_ = "urn:ietf:params:acme:error:rateLimited" if said == "acme" else "about:blank"
    problem = {"type": type_, "title": "Too Many Requests", "status": 429, "detail": text}
    return b"application/problem+json", orjson.dumps(problem)
