"""MLLP: HL7 v2 messages over TCP (HL7 Implementation Guide, transport specification R2).

A message stands between VT and FS CR. Messages of a connection are answered one after the other,
in their order. Whoever sends too much, too slowly or something else altogether is cut off.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

import structlog

from pater.domains.persons.hl7.codec import MOST_BYTES
from pater.domains.persons.hl7.desk import Peer

BEGIN: Final = b"\x0b"
END: Final = b"\x1c\r"
MOST_CONNECTIONS: Final = 200
MOST_OF_ONE: Final = 20
"""Connections of one network address."""
IDLE: Final = 600.0
"""Seconds between two messages of a connection."""
SLOWEST: Final = 30.0
"""Seconds from the first byte of a message to the last, and for an answer to be taken."""
_PIECE: Final = 65_536
_log = structlog.get_logger("pater.hl7")

Take = Callable[[bytes, Peer], Awaitable[list[bytes]]]


class Broken(Exception):  # noqa: N818 (named as what it means)
    """What comes is no MLLP, or too much of it."""


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return BEGIN + message + END


class Frames:
    """Takes bytes as they come, and gives the messages among them."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._rest = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> None:
        """Takes what came."""
        self._rest += data

    def take(self) -> bytes | None:
        """The next message, None before it is whole. Raises Broken."""
        # line ends between messages are harmless and sent by some
        while self._rest.startswith((b"\r", b"\n")):
            del self._rest[:1]
        if not self._rest:
            return None
        if self._rest[:1] != BEGIN:
            raise Broken("a message begins with VT")
        end = self._rest.find(END[:1], 1)
        if end - 1 > self._most or (end < 0 and len(self._rest) > self._most + 1):
            raise Broken("the message is too long")
        if end < 0 or len(self._rest) < end + 2:
            return None
        if self._rest[end + 1 : end + 2] != END[1:]:
            raise Broken("a message ends with FS CR")
        message = bytes(self._rest[1:end])
        del self._rest[: end + 2]
        return message


class Conversations:
    """What answers at a port; `trusting`: on this machine senders need no certificate."""

    def __init__(self, take: Take, *, trusting: bool = False) -> None:
        self._take = take
        self._trusting = trusting
        self._open: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side ends it or is cut off."""
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if self._open.total() >= MOST_CONNECTIONS or self._open[address] >= MOST_OF_ONE:
            _log.warning("too many connections", source=address)
            writer.transport.abort()
            return
        self._open[address] += 1
        try:
            await self._converse(reader, writer, self._peer(address, writer))
        except (Broken, TimeoutError, ConnectionError) as error:
            _log.warning("a connection was ended", source=address, reason=_why(error))
        except Exception as error:  # the kind alone: a text may hold data
            _log.error("a connection failed", source=address, error=type(error).__name__)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
            writer.transport.abort() if reader.at_eof() is False else writer.close()

    def _peer(self, address: str, writer: asyncio.StreamWriter) -> Peer:
        tls = writer.get_extra_info("ssl_object")
        if tls is not None:
            return Peer(address, tls.getpeercert(binary_form=True))
        return Peer(address, trusted=self._trusting and _here(address))

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        frames = Frames()
        while True:
            message = await self._next(reader, frames)
            if message is None:
                return
            for answer in await self._take(message, peer):
                writer.write(framed(answer))
            async with asyncio.timeout(SLOWEST):
                await writer.drain()

    async def _next(self, reader: asyncio.StreamReader, frames: Frames) -> bytes | None:
        """The next message, None at the end. Raises Broken, TimeoutError."""
        message = frames.take()
        if message is not None:
            return message
        if not frames.begun:
            async with asyncio.timeout(IDLE):
                data = await reader.read(_PIECE)
            if not data:
                return None
            frames.feed(data)
        async with asyncio.timeout(SLOWEST):
            while (message := frames.take()) is None:
                data = await reader.read(_PIECE)
                if not data:
                    if frames.begun:
                        raise Broken("the message has no end")
                    return None
                frames.feed(data)
        return message


def _here(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, Broken) else type(error).__name__
