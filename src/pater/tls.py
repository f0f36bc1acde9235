"""TLS of our own: the server's certificate, and what certificate the other side shows."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pater.access.peer import NATIVE


class TlsProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP, which tells the application the certificate of the client (DER)."""

    _certificate: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Reads the certificate once; TLS has verified it and its key by now."""
        super().connection_made(transport)
        found: Any = transport.get_extra_info("ssl_object")
        if found is not None:
            self._certificate = found.getpeercert(binary_form=True)

    def on_message_begin(self) -> None:
        """Each request of the connection knows it."""
        super().on_message_begin()
        if self._certificate:
            cast(dict[str, Any], self.scope)[NATIVE] = self._certificate


def context(certificate: Path, key: Path, clients: Path | None) -> ssl.SSLContext:
    """What a server of this certificate and key speaks: TLS 1.2 and newer.

    `clients`: a PEM file with the authorities whose certificates clients may show; they need not
    show any. Raises OSError, ssl.SSLError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificate, key)
    made.options |= ssl.OP_NO_RENEGOTIATION
    if clients is not None:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.load_verify_locations(clients)
    return made
