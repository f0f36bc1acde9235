"""Calls the address of a rest-hook: the resolved address only, no redirects, all bounded."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import cache
from typing import Final

import h11

from pater.rest.subscriptions.endpoints import RefusedError, Rules, Target, resolve

_CHUNK: Final = 16 * 1024
_LONGEST_ANSWER: Final = 256 * 1024
_LONGEST_HEAD: Final = 64 * 1024
_OPEN: Final = 5.0  # seconds to look up, connect and shake hands


class DeliveryError(Exception):
    """A notification was not accepted; the text says why, without anything secret.

    `final` = there is no use in trying again.
    """

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Hook:
    """One address, called as often as there are notifications; the connection is kept meanwhile."""

    def __init__(
        self, url: str, headers: Sequence[tuple[str, str]], timeout: float, rules: Rules
    ) -> None:
        self._url, self._headers, self._timeout, self._rules = url, headers, timeout, rules
        self._target: Target | None = None
        self._wire: _Wire | None = None

    async def send(
        self, body: bytes, mime: str, key: str, *, method: str = "POST", below: str = ""
    ) -> None:
        """Sends one notification; a repetition carries the same `key`.

        `below` is a path added to the address. Raises DeliveryError unless the answer is 2xx.
        """
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._exchange(method, below, body, mime, key)
        except TimeoutError:
            await self.close()
            raise DeliveryError(f"no answer within {self._timeout:g} s") from None
        except RefusedError as error:
            await self.close()
            raise DeliveryError(str(error)) from None
        except ssl.SSLError:
            await self.close()
            raise DeliveryError("the TLS connection failed") from None
        except (OSError, h11.RemoteProtocolError, EOFError):
            await self.close()
            raise DeliveryError("the connection failed") from None
        if not 200 <= status < 300:
            raise DeliveryError(f"the endpoint answered {status}", final=status == 410)

    async def _exchange(self, method: str, below: str, body: bytes, mime: str, key: str) -> int:
        if self._wire is not None:
            try:
                return await self._request(self._wire, method, below, body, mime, key)
            except (OSError, h11.RemoteProtocolError, EOFError):
                await self.close()  # it was closed while nothing was said: once more, anew
        if self._target is None:
            self._target = await resolve(self._url, self._rules)
        self._wire = await _Wire.open(self._target)
        return await self._request(self._wire, method, below, body, mime, key)

    async def _request(
        self, wire: _Wire, method: str, below: str, body: bytes, mime: str, key: str
    ) -> int:
        target = wire.target
        path = (target.url.path.rstrip("/") + below if below else target.url.path) or "/"
        query = f"?{target.url.query}" if target.url.query else ""
        host = f"[{target.host}]" if ":" in target.host else target.host
        port = target.url.port
        headers = [
            ("Host", f"{host}:{port}" if port else host),
            ("User-Agent", "pater"),
            ("Idempotency-Key", key),
            ("Content-Length", str(len(body))),
            *([("Content-Type", mime)] if body else []),
            *self._headers,
        ]
        status, again = await wire.exchange(
            h11.Request(
                method=method,
                target=path + query,
                headers=[(n.encode("ascii"), v.encode("ascii")) for n, v in headers],
            ),
            body,
        )
        if not again:
            await self.close()
        return status

    async def close(self) -> None:
        """Ends the connection; the next call looks the address up again."""
        wire, self._wire, self._target = self._wire, None, None
        if wire is not None:
            wire.abort()


class _Wire:
    """One HTTP/1.1 connection."""

    def __init__(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.target = target
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    @classmethod
    async def open(cls, target: Target) -> _Wire:
        """Connects to the pinned address; the certificate must be the host name's."""
        async with asyncio.timeout(_OPEN):
            reader, writer = await asyncio.open_connection(
                target.ip,
                target.port,
                ssl=_tls() if target.secure else None,
                server_hostname=target.host if target.secure else None,
            )
        return cls(target, reader, writer)

    async def exchange(self, request: h11.Request, body: bytes) -> tuple[int, bool]:
        """Sends a request; gives the status, and whether the connection can be used again."""
        data = self._http.send(request) or b""
        data += self._http.send(h11.Data(data=body)) or b"" if body else b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(data)
        await self._writer.drain()
        status, received = 0, 0
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                more = await self._reader.read(_CHUNK)
                self._http.receive_data(more)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                received += len(event.data)
                if received > _LONGEST_ANSWER:
                    return status, False  # nobody reads it
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return status, True
        return status, False

    def abort(self) -> None:
        """Closes without ceremony."""
        self._writer.transport.abort()
