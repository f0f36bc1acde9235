"""The certificate of the other side: from the TLS connection, or from a proxy that is trusted.

It stands in the scope of a request under `CERTIFICATE`. The header Client-Cert (RFC 9440) of
anybody but a trusted proxy is thrown away, before anything else sees it. A token that is bound to
a certificate is exchanged here for one that is not, for this request only, so that nobody behind
has to know; without its certificate it is refused wherever it is shown.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import ASGIApp, Receive, Scope, Send

from pater.access.client_tls import LONGEST, Presented, Standing
from pater.access.tokens import LONGEST_TOKEN, TokenError, Tokens

CERTIFICATE: Final = "pater.certificate"
NATIVE: Final = "pater.tls"  # DER, put there by our own TLS
_HEADERS: Final = frozenset({b"client-cert", b"client-cert-chain"})
_MOST_KEPT: Final = 4096

Networks = Sequence[IPv4Network | IPv6Network]


def networks(text: str) -> Networks:
    """Networks from a list of them, parted by commas; raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def read_header(value: bytes) -> bytes | None:
    """The certificate (DER) of a Client-Cert header; None for what is none.

    Base64 of DER between colons (RFC 9440, section 2), or percent-encoded PEM, as nginx has it.
    """
    text = value.strip()
    if len(text) > 3 * LONGEST:
        return None
    try:
        if text.startswith(b":") and text.endswith(b":") and len(text) > 2:
            return base64.b64decode(text[1:-1], validate=True)
        if text.startswith(b"-----BEGIN%20"):
            found = x509.load_pem_x509_certificate(unquote_to_bytes(text))
            return found.public_bytes(Encoding.DER)
    except (binascii.Error, ValueError, TypeError, x509.InvalidVersion):
        return None
    return None


class Peer:
    """ASGI middleware, the outermost: it has to see who really connects."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, standing: Standing, proxies: Networks = ()
    ) -> None:
        """`proxies` are the networks whose header Client-Cert is believed."""
        self._app = app
        self._tokens = tokens
        self._standing = standing
        self._proxies = proxies
        self._unbound: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] in ("http", "websocket"):
            scope = await self._seen(scope)
        await self._app(scope, receive, send)

    async def _seen(self, scope: Scope) -> Scope:
        der: bytes | None = scope.get(NATIVE)
        if any(name in _HEADERS for name, _ in scope["headers"]):
            given = [value for name, value in scope["headers"] if name == b"client-cert"]
            kept = [pair for pair in scope["headers"] if pair[0] not in _HEADERS]
            if len(given) == 1 and self._trusted(scope):
                der = read_header(given[0])
            scope = {**scope, "headers": kept}
        if der is None:
            return scope
        presented = Presented.of(der)
        scope = {**scope, CERTIFICATE: presented}
        return await self._exchanged(scope, presented)

    def _trusted(self, scope: Scope) -> bool:
        try:
            address = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    async def _exchanged(self, scope: Scope, presented: Presented) -> Scope:
        """The scope with an unbound token in place of one that is bound to this certificate."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1 or len(given[0]) > LONGEST_TOKEN:
            return scope
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer":
            return scope
        try:
            if self._tokens.bound_to(token) != presented.thumbprint:
                return scope
            if not await self._standing.good(presented):
                return scope  # refused where it is read: it is bound
            ours = self._unbound.get(token)
            if ours is None:
                ours = self._unbound[token] = self._tokens.unbound(token, presented.thumbprint)
                while len(self._unbound) > _MOST_KEPT:
                    self._unbound.popitem(last=False)
        except TokenError:
            return scope  # not a token of ours, or over: whoever reads it says so
        bearer = b"Bearer " + ours.encode()
        headers = [
            (name, bearer if name == b"authorization" else value)
            for name, value in scope["headers"]
        ]
        return {**scope, "headers": headers}
