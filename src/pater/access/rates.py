"""How often one network address may ask where a guess could help: tokens, logins.

Counts are kept by each process for itself, of at most ten thousand addresses; who asks too often
is told when to come again. The slow locks that every process shares are `access.lockout`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_ADDRESSES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and from then on `each_minute`."""

    each_minute: float
    burst: float


# A hospital's systems and people share an address: far more than they need, far less than
# guessing does.
RATES: Final[Mapping[str, Rate]] = {
    "/oauth/": Rate(each_minute=1200, burst=600),
    "/login": Rate(each_minute=300, burst=150),
}


class Limit:
    """A leaking bucket for each address."""

    def __init__(self, rate: Rate, timer: Callable[[], float]) -> None:
        """`timer` gives seconds that only grow."""
        self._rate = rate
        self._timer = timer
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, source: str) -> int:
        """0 when the address may ask now, else the whole seconds until it may."""
        now = self._timer()
        level, at = self._known.pop(source, (0.0, now))
        level = max(0.0, level - (now - at) * self._rate.each_minute / 60)
        refused = level + 1 > self._rate.burst
        self._known[source] = (level if refused else level + 1, now)
        if len(self._known) > MOST_ADDRESSES:
            self._known.popitem(last=False)
        if not refused:
            return 0
        return max(1, ceil((level + 1 - self._rate.burst) * 60 / self._rate.each_minute))


class Rates:
    """ASGI middleware: 429 for POSTs that come too often to the addresses of `RATES`."""

    def __init__(
        self, app: ASGIApp, timer: Callable[[], float], rates: Mapping[str, Rate] = RATES
    ) -> None:
        self._app = app
        self._limits = {path: Limit(rate, timer) for path, rate in rates.items()}
        self._paths = tuple(rates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        path = scope.get("path", "")
        if scope["type"] == "http" and scope["method"] == "POST" and path.startswith(self._paths):
            limit = next(one for start, one in self._limits.items() if path.startswith(start))
            seconds = limit.wait(network_of((scope.get("client") or ("",))[0]))
            if seconds:
                await _refuse(send, seconds, json=path.startswith("/oauth/"))
                return
        await self._app(scope, receive, send)


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


async def _refuse(send: Send, seconds: int, *, json: bool) -> None:
    text = f"Too many requests from this address. Try again in {seconds} s."
    said = orjson.dumps({"error": "slow_down", "error_description": text})
    body = said if json else text.encode()
    kind = b"application/json" if json else b"text/plain; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(seconds).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
