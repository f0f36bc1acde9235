"""Talks to providers: their discovery document and keys (remembered), codes for identity tokens.

Every answer is bounded in size and time, no redirect is followed, and nothing is asked of hosts
that an operator did not write down.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import orjson
from joserfc import jws
from joserfc.jwk import RSAKey

from pater.access.federation import tokens
from pater.access.federation.errors import FederationError
from pater.access.federation.issuers import MOST, Issuer
from pater.access.federation.tokens import Expected, UnknownKeyError
from pater.access.smart import ASSERTION_TYPE

LONGEST_ANSWER: Final = 256 * 1024
TIMEOUT: Final = 10.0  # seconds for a whole answer
KEPT: Final = timedelta(hours=1)
# Keys change at any time; who sends tokens with made-up key ids does not make us ask each time.
KEYS_AGAIN: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What of a discovery document is used (OpenID Connect Discovery 1.0, section 3)."""

    authorization: str
    token: str
    jwks: str
    userinfo: str
    end_session: str
    names_itself: bool  # its answers carry `iss` (RFC 9207)


@dataclass(slots=True)
class _Known:
    issuer: Issuer
    metadata: Metadata
    until: datetime
    keys: Sequence[Mapping[str, Any]] = field(default=())
    keys_at: datetime | None = None


class Providers:
    """All providers as one process knows them; at most as many as may be written down."""

    def __init__(
        self, http: httpx.AsyncClient, identity: RSAKey, clock: Callable[[], datetime]
    ) -> None:
        """`identity` is the RSA key that proves us to providers of `private_key_jwt`."""
        self._http = http
        self._identity = identity
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def metadata(self, issuer: Issuer) -> Metadata:
        """Its discovery document, asked for again after an hour. Raises FederationError."""
        return (await self._of(issuer)).metadata

    async def authorization(
        self, issuer: Issuer, *, back: str, state: str, nonce: str, challenge: str,
        lang: str, again: bool,
    ) -> str:  # fmt: skip
        """Where the browser goes (code flow with PKCE). `again` = the person has to be asked."""
        asked = {
            "response_type": "code",
            "client_id": issuer.client_id,
            "redirect_uri": back,
            "scope": " ".join(issuer.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "ui_locales": lang,
        }
        if again:
            asked |= {"prompt": "login", "max_age": "0"}
        address = (await self.metadata(issuer)).authorization
        return address + ("&" if "?" in address else "?") + urlencode(asked)

    async def redeem(
        self, issuer: Issuer, code: str, *, back: str, verifier: str, expected: Expected
    ) -> dict[str, Any]:
        """What the provider says of the person: the claims of the identity token, and of userinfo
        where it has one. Raises FederationError.
        """
        known = await self._of(issuer)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": verifier,
        }
        headers = {}
        if issuer.proof == "client_secret_basic":
            pair = f"{quote(issuer.client_id, safe='')}:{quote(issuer.secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = issuer.client_id
            if issuer.proof == "client_secret_post":
                form["client_secret"] = issuer.secret
            elif issuer.proof == "private_key_jwt":
                form["client_assertion_type"] = ASSERTION_TYPE
                form["client_assertion"] = self._assertion(issuer, known.metadata.token)
        answer = await self._json(issuer, "POST", known.metadata.token, headers, form)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise FederationError("untrusted", "there is no identity token")
        claims = await self._read(known, token, expected)
        if known.metadata.userinfo and isinstance(access, str) and access.isascii():
            bearer = {"Authorization": f"Bearer {access}"}
            more = await self._json(issuer, "GET", known.metadata.userinfo, bearer)
            if more.get("sub") != claims["sub"]:
                raise FederationError("untrusted", "userinfo is of somebody else")
            claims = {**more, **claims}  # what is signed goes first
        return claims

    async def _read(self, known: _Known, token: str, expected: Expected) -> dict[str, Any]:
        await self._fetch_keys(known, older_than=KEPT)
        try:
            return tokens.read(token, known.keys, expected, self._clock())
        except UnknownKeyError:
            await self._fetch_keys(known, older_than=KEYS_AGAIN)
        return tokens.read(token, known.keys, expected, self._clock())

    async def _of(self, issuer: Issuer) -> _Known:
        known, now = self._known.get(issuer.id), self._clock()
        if known is None or known.issuer != issuer or known.until <= now:
            known = _Known(issuer, await self._discovered(issuer), now + KEPT)
            if len(self._known) > MOST:
                self._known.clear()
            self._known[issuer.id] = known
        return known

    async def _discovered(self, issuer: Issuer) -> Metadata:
        address = issuer.address.rstrip("/") + "/.well-known/openid-configuration"
        found = await self._json(issuer, "GET", address, {})
        if found.get("issuer") != issuer.address:
            raise FederationError("unreachable", "the discovery document names another issuer")

        def endpoint(name: str, *, needed: bool) -> str:
            url = found.get(name)
            if url is None and not needed:
                return ""
            if not isinstance(url, str) or not issuer.may_call(url):
                raise FederationError("unreachable", f"{name} is not at the provider's hosts")
            return url

        return Metadata(
            endpoint("authorization_endpoint", needed=True),
            endpoint("token_endpoint", needed=True),
            endpoint("jwks_uri", needed=True),
            endpoint("userinfo_endpoint", needed=False),
            endpoint("end_session_endpoint", needed=False),
            found.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _fetch_keys(self, known: _Known, older_than: timedelta) -> None:
        now = self._clock()
        if known.keys_at is not None and now - known.keys_at < older_than:
            return
        found = (await self._json(known.issuer, "GET", known.metadata.jwks, {})).get("keys")
        if not isinstance(found, list) or len(found) > tokens.MOST_KEYS:
            raise FederationError("unreachable", "the key set cannot be read")
        known.keys = tuple(key for key in found if isinstance(key, dict))
        known.keys_at = now

    async def _json(
        self,
        issuer: Issuer,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """An object that the provider answers with. Raises FederationError."""
        if not issuer.may_call(url):
            raise FederationError("unreachable", "the address is not the provider's")
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._http.stream(
                    method, url, headers=sent, data=form, timeout=TIMEOUT, follow_redirects=False
                ) as answer,
            ):
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > LONGEST_ANSWER:
                        raise FederationError("unreachable", "the answer is too long")
                status = answer.status_code
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise FederationError("unreachable", type(error).__name__) from error
        try:
            found = orjson.loads(bytes(body))
        except ValueError as error:
            raise FederationError("unreachable", f"no JSON, status {status}") from error
        if status != 200 or not isinstance(found, dict):
            problem = found.get("error") if isinstance(found, dict) else None
            # only a word of the standard: the rest may hold anything
            word = problem if isinstance(problem, str) and problem.isidentifier() else ""
            refused = method == "POST" and 400 <= status < 500
            raise FederationError(
                "refused" if refused else "unreachable", f"status {status} {word[:40]}".strip()
            )
        return found

    def _assertion(self, issuer: Issuer, audience: str) -> str:
        """RFC 7523, section 2.2: our name, signed with our key."""
        now = int(self._clock().timestamp())
        claims = {
            "iss": issuer.client_id,
            "sub": issuer.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": self._identity.thumbprint()}
        return jws.serialize_compact(header, orjson.dumps(claims), self._identity, ["RS256"])
