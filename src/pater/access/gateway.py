"""The Czech gateway's way in: a system signs a short assertion with its access certificate and
sends it straight as the bearer token, a new one with every request.

Only registered certificates count (`register`); who has none cannot come this way. What was proved
becomes an access token of our own for the same request, so nobody behind it has to know.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from pater.access import audit
from pater.access.caller import KEY, Caller
from pater.access.clients import Client, ClientError, client_caller, find, public_key
from pater.access.smart import (
    LONGEST_ASSERTION,
    OAuthError,
    audience_fits,
    first_use,
    is_time,
    proved_until,
    purpose_of,
)
from pater.access.tokens import Tokens
from pater.fhir.issues import Issue, operation_outcome
from pater.store.database import Database, Record
from pater.store.journal import JournalEntry
from pater.trust.ca.requests import key_hash
from pater.trust.ca.tables import key_in_force

ALGORITHM: Final = "RS256"
LONGEST_LIFE: Final = timedelta(seconds=60)
MOST_CERTIFICATES: Final = 10
LONGEST_ID: Final = 128
_LONGEST_JTI: Final = 256
_FEWEST_BITS: Final = 2048

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


async def register(
    db: Database, client_id: str, id: str, certificate: bytes, clock: Callable[[], datetime]
) -> None:
    """Let a client come with a certificate (PEM) whose id its assertions name as `kid`.

    Raises ClientError: unknown client, unusable id or certificate, or one registered already.
    """
    client = await find(db, client_id)
    if client is None:
        raise ClientError(f"there is no client {client_id!r}")
    if not 0 < len(id) <= LONGEST_ID or not id.isprintable() or " " in id:
        raise ClientError(f"a certificate id has 1 to {LONGEST_ID} visible characters")
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion) as error:
        raise ClientError("the certificate cannot be read; it is PEM") from error
    key = found.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < _FEWEST_BITS:
        raise ClientError(f"a certificate of the gateway has an RSA key of {_FEWEST_BITS} bits")
    if found.not_valid_after_utc <= clock():
        raise ClientError("the certificate has expired")
    jwk = RSAKey.import_key(
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ).as_dict(private=False)
    kept = await db.fetchval(
        """
        insert into client_certificate (id, client, public_key, not_before, not_after)
        select $1, $2, $3, $4, $5
        where (select count(*) from client_certificate where client = $2 and revoked is null) < $6
        on conflict (id) do nothing returning true
        """,
        id,
        client.id,
        orjson.dumps({name: jwk[name] for name in ("kty", "n", "e")}).decode(),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        MOST_CERTIFICATES,
    )
    if not kept:
        raise ClientError(
            f"the id is taken, or the client has {MOST_CERTIFICATES} certificates already"
        )


async def revoke(db: Database, id: str, clock: Callable[[], datetime]) -> bool:
    """From now on the certificate opens nothing; False when there is none in force by this id."""
    return bool(
        await db.fetchval(
            "update client_certificate set revoked = $2 where id = $1 and revoked is null"
            " returning true",
            id,
            clock(),
        )
    )


async def certificates(db: Database, client: str) -> list[Record]:
    """The certificates of a client: id, not_before, not_after, revoked."""
    return await db.fetch(
        """
        select id, not_before, not_after, revoked from client_certificate
        where client = $1 order by not_after desc limit 100
        """,
        client,
    )


async def verify(
    db: Database, token: str, audiences: Collection[str], clock: Callable[[], datetime]
) -> Caller:
    """The system whose certificate signed the assertion; raises OAuthError.

    `kid` names the certificate, `iss` and `sub` the client it is registered for, `aud` this
    service; it lives 60 seconds at most and its `jti` is accepted once. The caller has all scopes
    of the client, and the purpose that the claim `purpose_of_use` names or its only one.
    """
    header, claims = _parts(token)
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM:
        raise _refused(f"alg must be {ALGORITHM}")
    if "crit" in header or "b64" in header:
        raise _refused("critical headers are not supported")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_ID or "\0" in kid:
        raise _refused("kid must be the id of the certificate")
    row = await db.fetchrow("select * from client_certificate where id = $1", kid)
    if row is None:
        raise _refused("the certificate is not registered")
    client = await find(db, row["client"])
    if client is None or not client.active:
        raise _refused("the client is not registered")
    if not _signed(token, row["public_key"]):
        raise _refused("the signature is not that of the certificate")
    # from here on it is the client who made the mistake
    now = clock()
    if row["revoked"] is not None:
        raise _refused("the certificate was revoked", client)
    if await key_in_force(db, _key_hash(row["public_key"]), now) is False:
        raise _refused("the authority revoked the certificate", client)
    if not row["not_before"] <= now < row["not_after"]:
        raise _refused("the certificate is not valid now", client)
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise _refused("iss and sub must both be the client id", client)
    if not audience_fits(claims.get("aud"), audiences):
        raise _refused("aud must be the address of the service", client)
    expires = _expiry(claims, now, client)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise _refused(f"jti must be a text of 1 to {_LONGEST_JTI} characters", client)
    wanted = claims.get("purpose_of_use", "")
    if not isinstance(wanted, str):
        raise _refused("purpose_of_use must be a text", client)
    purpose = purpose_of(client, wanted)
    if not await first_use(db, client.id, jti, expires, now):
        raise _refused("this jti was used before", client, reason="token-replay")
    return client_caller(client, scopes=client.scopes, purpose=purpose)


class Gateway:
    """ASGI middleware before the API: exchanges an assertion for an access token of our own."""

    def __init__(
        self,
        app: ASGIApp,
        db: Database,
        tokens: Tokens,
        issuer: str,
        clock: Callable[[], datetime],
        journal: Journal,
        *,
        demo: bool = False,
    ) -> None:
        """`issuer` is the public address without a slash at the end; `journal` writes durably.

        In a demonstration a refused system is told what exactly was wrong.
        """
        self._app = app
        self._db = db
        self._tokens = tokens
        self._audiences = frozenset({issuer, issuer + "/fhir", issuer + "/oauth/token"})
        self._clock = clock
        self._journal = journal
        self._demo = demo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; one without an assertion passes as it is."""
        token = _assertion(scope)
        if token is None:
            await self._app(scope, receive, send)
            return
        try:
            caller = await verify(self._db, token, self._audiences, self._clock)
        except OAuthError as error:
            await self._refuse(error, scope, send)
            return
        ours = b"Bearer " + self._tokens.issue(caller, LONGEST_LIFE).encode()
        headers = [(b"authorization", ours) if name == b"authorization" else (name, value)
                   for name, value in scope["headers"]]  # fmt: skip
        await self._app({**scope, "headers": headers}, receive, send)

    async def _refuse(self, error: OAuthError, scope: Scope, send: Send) -> None:
        client = scope.get("client")
        request_id = str(uuid4())
        known = (
            client_caller(error.client, scopes=(), purpose="")
            if error.client
            else Caller(kind="system", id="", name="", role="", strength=KEY)
        )
        caller = replace(known, source=client[0] if client else "", request_id=request_id)
        entry = audit.entry(
            caller, "E", "token", audit.MINOR_FAILURE, clock=self._clock, reason=error.reason
        )
        await self._journal([entry])
        text = "the assertion was not accepted"
        if self._demo and error.detail:
            text += ": " + error.detail
        body = orjson.dumps(operation_outcome([Issue("error", "login", "", text)]))
        headers = [
            (b"content-type", b"application/fhir+json; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"www-authenticate", b'Bearer realm="fhir", error="invalid_token"'),
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body})


def _assertion(scope: Scope) -> str | None:
    """The bearer token of a request to the API when it is an assertion, not a token of ours."""
    if scope["type"] != "http" or not scope["path"].startswith("/fhir"):
        return None
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1 or len(given[0]) > LONGEST_ASSERTION:
        return None
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    token = token.strip()
    head, dot, _ = token.partition(".")
    return token if dot and scheme.lower() == "bearer" and _is_foreign(head) else None


@lru_cache(maxsize=1024)
def _is_foreign(head: str) -> bool:
    """Whether the first part of a JWT says that it was signed by an RSA key: ours never are."""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(found, dict) and str(found.get("alg", ""))[:2] in ("RS", "PS")


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before anything in them is believed; raises OAuthError."""
    registry = _registry([ALGORITHM, "RS384", "RS512", "PS256", "PS384", "PS512"])
    try:
        found = jws.extract_compact(token.encode("ascii"), registry=registry)
        header, claims = found.headers(), orjson.loads(found.payload or b"")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _refused("the assertion is not a JWT") from error
    if not isinstance(claims, dict):
        raise _refused("the assertion is not a JWT")
    return dict(header), claims


def _registry(algorithms: list[str]) -> JWSRegistry:
    registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = LONGEST_ASSERTION
    return registry


def _signed(token: str, jwk: str) -> bool:
    try:
        key = public_key(orjson.loads(jwk))
        jws.deserialize_compact(token.encode("ascii"), key, registry=_registry([ALGORITHM]))
    except (JoseError, ClientError, ValueError, TypeError):
        return False
    return True


@lru_cache(maxsize=1024)
def _key_hash(jwk: str) -> bytes:
    """What our authority knows the key by."""
    found = public_key(orjson.loads(jwk)).public_key
    return key_hash(found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _expiry(claims: dict[str, Any], now: datetime, client: Client) -> datetime:
    """When the assertion expires; raises OAuthError unless it is valid now and not for long."""
    until = proved_until(claims, now, LONGEST_LIFE, lambda text: _refused(text, client))
    expires, issued = claims["exp"], claims.get("iat")
    if is_time(issued) and expires - issued > LONGEST_LIFE.total_seconds():
        raise _refused("the assertion lives longer than 60 seconds", client)
    return until


def _refused(detail: str, client: Client | None = None, reason: str = "token-client") -> OAuthError:
    return OAuthError(
        "invalid_client", "the assertion was not accepted", detail=detail, reason=reason,
        client=client,
    )  # fmt: skip
