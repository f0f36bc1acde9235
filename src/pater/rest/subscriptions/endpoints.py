"""Where notifications may go: the rules for addresses, and which network addresses are refused.

A subscriber chooses the address that our server connects to. It must not become a way into the
network the server stands in, so what is private is refused unless an operator allows it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pater.trust.network import Address, Network, allowed

LONGEST: Final = 2000
MOST_HEADERS: Final = 20
_LONGEST_HEADER: Final = 4096
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_MAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
)
# What says how a message is carried is ours to say.
_OURS: Final = frozenset(
    {
        "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade",
        "te", "trailer", "expect", "keep-alive", "proxy-connection", "proxy-authorization",
        "content-encoding",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """`networks` are allowed though they are private, and by plain http; `http` allows it all."""

    networks: tuple[Network, ...] = ()
    http: bool = False


class RefusedError(Exception):
    """The address may not be connected to, or there is none; the text says why."""


def problem(url: str, rules: Rules) -> str:
    """What is wrong with the address of a rest-hook, "" when nothing can be seen yet."""
    if not url:
        return "a rest-hook has the address that is called"
    parts = _split(url)
    if parts is None:
        return "expected an absolute https address without user name and fragment"
    literal = _literal(parts.hostname or "")
    if literal is not None and not allowed(literal, rules.networks):
        return "this address is not one that may be called from here"
    trusted = literal is not None and any(literal in each for each in rules.networks)
    if parts.scheme == "http" and not (rules.http or rules.networks or trusted):
        return "a rest-hook is called by https"
    return ""


def mail_problem(url: str) -> str:
    """What is wrong with the address of a mail channel."""
    return "" if mail_address(url) else "expected mailto: with one mail address"


def mail_address(url: str) -> str:
    """The address of `mailto:…` (or of a bare address), "" when it is none."""
    text = url.removeprefix("mailto:")
    return text if _MAIL.fullmatch(text) and ".." not in text else ""


def header(text: object) -> tuple[str, str] | None:
    """Name and value of `Name: value`, None when it may not be sent."""
    if not isinstance(text, str) or len(text) > _LONGEST_HEADER:
        return None
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        return None
    return None if name.lower() in _OURS else (name, value)


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a rest-hook with the network address it was resolved to: the one called."""

    url: SplitResult
    ip: str
    port: int

    @property
    def host(self) -> str:
        """The host name, for TLS and the Host header."""
        return self.url.hostname or ""

    @property
    def secure(self) -> bool:
        """Whether it is called by https."""
        return self.url.scheme == "https"


async def resolve(url: str, rules: Rules) -> Target:
    """Looks the host up now and pins the address. Raises RefusedError.

    Every address of the name must be allowed: one that also points inwards is refused whole.
    """
    parts = _split(url)
    if parts is None:
        raise RefusedError("the address cannot be used")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            parts.hostname, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except (OSError, UnicodeError):
        raise RefusedError("the host name cannot be resolved") from None
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    if not addresses or not all(allowed(each, rules.networks) for each in addresses):
        raise RefusedError("the address is not one that may be called from here")
    if parts.scheme == "http" and not rules.http and not _all_trusted(addresses, rules):
        raise RefusedError("plain http is not allowed for this address")
    return Target(parts, str(addresses[0]), port)


def _all_trusted(addresses: Sequence[Address], rules: Rules) -> bool:
    return all(any(each in network for network in rules.networks) for each in addresses)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _split(url: str) -> SplitResult | None:
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    if parts.username is not None or parts.password is not None or parts.fragment:
        return None
    return parts
