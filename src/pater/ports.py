"""Opens the ports of protocols that are not HTTP: MLLP, with TLS and the clients' certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pater import tls
from pater.domain import Conversation
from pater.settings import Settings

_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_HANDSHAKE: Final = 10.0
_PIECE: Final = 65_536


class PortError(RuntimeError):
    """A port cannot be opened as the settings have it; the text says why."""


def context_of(settings: Settings) -> ssl.SSLContext | None:
    """What the port of MLLP speaks; None = no TLS, which a demonstration does on its own machine.

    Whoever sends shows a certificate. Raises PortError, OSError, ssl.SSLError.
    """
    if settings.tls_certificate and settings.tls_clients:
        made = tls.context(
            Path(settings.tls_certificate),
            Path(settings.tls_key or settings.tls_certificate),
            Path(settings.tls_clients),
        )
        made.verify_mode = ssl.CERT_REQUIRED
        return made
    if settings.demo and settings.host in _LOCAL:
        return None
    raise PortError(
        "MLLP needs TLS with the certificates of its clients; without, a demonstration has it on"
        " 127.0.0.1 alone"
    )


@asynccontextmanager
async def opened(settings: Settings, talk: Conversation) -> AsyncIterator[int]:
    """Answers at the port of MLLP until the end; gives the port. Raises as `context_of`."""
    secure = context_of(settings)
    open_now: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a server runs each connection in one
        open_now.add(task)
        try:
            await talk(reader, writer)
        except asyncio.CancelledError:  # the port is closed; asyncio would log the end as a fault
            writer.transport.abort()
        finally:
            open_now.discard(task)

    server = await asyncio.start_server(
        converse,
        settings.host,
        settings.mllp_port,
        limit=_PIECE,
        ssl=secure,
        ssl_handshake_timeout=_HANDSHAKE if secure else None,
        reuse_port=settings.workers > 1 or None,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # what was not answered comes again, and is done once
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
