"""A simulated mail gateway (RFC 5321): takes any mail and keeps the last ones, delivers none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

_LONGEST: Final = 1024 * 1024
_PATIENCE: Final = 60.0


@dataclass(slots=True)
class Mailbox:
    """The gateway. `arrived` is told of each mail; `refuse` says which recipients it refuses."""

    arrived: Callable[[EmailMessage], None] = lambda _: None
    refuse: Callable[[str], bool] = lambda _: False
    mails: deque[EmailMessage] = field(default_factory=lambda: deque(maxlen=1000))
    port: int = 0

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Mailbox]:
        """Listens while the context lasts; `port` is then the one it listens at."""
        server = await asyncio.start_server(self._serve, host, port, limit=64 * 1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE):
                await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode("ascii"))
            await writer.drain()

        await say("220 simulated gateway")
        while line := await reader.readline():
            word, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            match word.upper():
                case "EHLO" | "HELO" | "NOOP" | "RSET" | "MAIL":
                    await say("250 fine")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    await say("550 no such box" if self.refuse(address) else "250 fine")
                case "DATA":
                    await say("354 go on")
                    self._take(await _data(reader))
                    await say("250 taken")
                case "QUIT":
                    await say("221 bye")
                    return
                case _:
                    await say("500 not understood")

    def _take(self, data: bytes) -> None:
        mail = message_from_bytes(data, policy=policy.default)
        if isinstance(mail, EmailMessage):
            self.mails.append(mail)
            self.arrived(mail)


async def _data(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while (line := await reader.readline()) not in (b".\r\n", b""):
        found += line[1:] if line.startswith(b".") else line
        if len(found) > _LONGEST:
            raise ValueError("a mail is too long")
    return bytes(found)
