"""Asks a host for the proof that it is the client's: http-01 (RFC 8555, section 8.3).

Our server calls a name that somebody else chose. So only the address that was looked up is called,
private ones only where an operator allows it, nothing is followed, and all is bounded.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import h11

from pater.trust.acme.errors import AcmeError
from pater.trust.network import Network, allowed

PATH: Final = "/.well-known/acme-challenge/"
LONGEST: Final = 1024  # bytes of an answer; a key authorization has about 90
_HEAD: Final = 16_384
_CONNECT: Final = 3.0  # seconds for one address
_MOST_ADDRESSES: Final = 4
_AT_ONCE: Final = 16


class Prover:
    """Asks hosts, a bounded number at a time.

    `private` are networks that may be called though they are private; `port` is where hosts answer
    (RFC 8555 wants 80); `seconds` bound the whole of one question.
    """

    def __init__(
        self, private: Sequence[Network] = (), port: int = 80, seconds: float = 10.0
    ) -> None:
        self._private, self._port, self._seconds = tuple(private), port, seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, host: str, token: str) -> bytes:
        """What the host says for a token, without blanks at its end. Raises AcmeError."""
        async with self._places:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._ask(host, token)
            except TimeoutError:
                raise _unreachable("no answer in time") from None

    async def _ask(self, host: str, token: str) -> bytes:
        for address in await self._addresses(host):
            try:
                async with asyncio.timeout(_CONNECT):
                    reader, writer = await asyncio.open_connection(address, self._port)
            except (OSError, TimeoutError):
                continue
            try:
                name = host if self._port == 80 else f"{host}:{self._port}"
                return await _Exchange(reader, writer).get(name, PATH + token)
            except (OSError, h11.RemoteProtocolError, EOFError):
                raise _unreachable("the host does not answer as HTTP says") from None
            finally:
                writer.transport.abort()
        raise _unreachable(f"no connection on port {self._port}")

    async def _addresses(self, host: str) -> list[str]:
        """Where the host is. One that also points inwards is refused whole."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                host, self._port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        except (OSError, UnicodeError):
            raise AcmeError("dns", "the host name cannot be resolved") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not addresses or not all(allowed(ip_address(each), self._private) for each in addresses):
            raise _unreachable("the host has an address that is not called from here")
        return addresses[:_MOST_ADDRESSES]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request on one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def get(self, host: str, target: str) -> bytes:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        headers = [("Host", host), ("User-Agent", "pater-acme"), ("Connection", "close")]
        sent = http.send(h11.Request(method="GET", target=target, headers=headers))
        self.writer.write((sent or b"") + (http.send(h11.EndOfMessage()) or b""))
        await self.writer.drain()
        body = b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await self.reader.read(4096))
            elif isinstance(event, h11.Response) and event.status_code != 200:
                raise AcmeError("unauthorized", f"the host answered {event.status_code}, not 200")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LONGEST:
                    raise AcmeError("unauthorized", "the host's answer is too long")
            elif isinstance(event, h11.EndOfMessage):
                return body.rstrip()
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError


def _unreachable(text: str) -> AcmeError:
    return AcmeError("connection", text)
