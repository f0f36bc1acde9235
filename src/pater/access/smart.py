"""SMART Backend Services: a system proves who it is with its private key and gets a token."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeGuard

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from pater.access.caller import Caller
from pater.access.clients import Client, ClientError, client_caller, find, public_key
from pater.access.scopes import SERVICES, ScopeError, covers, parse_scope
from pater.store.database import Database

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RS384 and ES384 are those of SMART; the others are what systems have beside them.
ALGORITHMS: Final = ("ES384", "RS384", "ES256", "RS256", "PS256")
LONGEST_ASSERTION: Final = 16_384
LONGEST_LIFE: Final = timedelta(minutes=5)
LEEWAY: Final = timedelta(seconds=5)
_LONGEST_JTI: Final = 256
_LONGEST_SCOPE: Final = 2000  # it stands in the token, which has its own limit
_PURGED_AT_ONCE: Final = 100
_PURPOSE_SYSTEMS: Final = (
    "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "urn:oid:2.16.840.1.113883.5.8",
)

OAuthCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unsupported_grant_type",
    "unsupported_token_type",
]

Registered = Callable[[Database, str], Awaitable[Client | None]]


class OAuthError(Exception):
    """A token request is refused (RFC 6749, section 5.2).

    `code` and `text` go to the client; `detail` says more and is told only in a demonstration;
    `reason` is a key of `policy_texts` for the journal; `client` is who asked, once it is known.
    """

    def __init__(
        self,
        code: OAuthCode,
        text: str,
        *,
        detail: str = "",
        reason: str = "",
        client: Client | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.detail = detail
        self.reason = reason
        self.client = client


@dataclass(frozen=True, slots=True)
class Assertion:
    """The parts of a client assertion before anything in it is believed."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]


async def grant(
    db: Database,
    form: Mapping[str, str],
    audiences: Collection[str],
    clock: Callable[[], datetime],
    proved: Callable[[str], Awaitable[Client]] | None = None,
) -> tuple[Caller, Client]:
    """The caller that a token request proves, and its client; raises OAuthError.

    `form` are the fields of the request (`grant_type`, `client_assertion_type`,
    `client_assertion`, `scope`, `purpose_of_use`), each once; `audiences` the addresses of this
    token endpoint that an assertion may be made out to (SMART Backend Services, 4.1.4). `proved`
    gives the client of an id whose certificate was shown; it is asked where there is no assertion.
    """
    kind = form.get("grant_type")
    if not kind:
        raise OAuthError("invalid_request", "grant_type is missing")
    if kind != "client_credentials":
        raise OAuthError("unsupported_grant_type", "only client_credentials is supported")
    if proved is not None and "client_assertion" not in form and "client_id" in form:
        client = await proved(form["client_id"])
    else:
        client = await authenticate_client(db, form, audiences, clock)
    scopes = _scopes(client, form.get("scope", ""))
    purpose = purpose_of(client, form.get("purpose_of_use", ""))
    return client_caller(client, scopes=scopes, purpose=purpose), client


async def authenticate_client(
    db: Database,
    form: Mapping[str, str],
    audiences: Collection[str],
    clock: Callable[[], datetime],
    registered: Registered = find,
) -> Client:
    """The client whose private key signed the assertion (RFC 7523, section 3); raises OAuthError.

    An assertion lives five minutes at most and is accepted once. `registered` looks clients up.
    """
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise _unproved(f"client_assertion_type must be {ASSERTION_TYPE}")
    text = form.get("client_assertion", "")
    assertion = read_assertion(text)
    client_id = assertion.claims.get("iss")
    if not isinstance(client_id, str) or client_id != assertion.claims.get("sub"):
        raise _unproved("iss and sub must both be the client id")
    if form.get("client_id", client_id) != client_id:
        raise _unproved("client_id is not that of the assertion")
    client = await registered(db, client_id)
    if client is None or not client.active:
        raise _unproved("the client is not registered")
    if not _signed(text, assertion, client):
        raise _unproved("no registered key of the client fits the signature", client)
    expires = proved_until(
        assertion.claims, clock(), LONGEST_LIFE, lambda text: _unproved(text, client)
    )
    if not audience_fits(assertion.claims.get("aud"), audiences):
        raise _unproved("aud must be the address of the token endpoint", client)
    jti = assertion.claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise _unproved(f"jti must be a text of 1 to {_LONGEST_JTI} characters", client)
    if not await first_use(db, client.id, jti, expires, clock()):
        raise OAuthError(
            "invalid_client",
            "client authentication failed",
            detail="this jti was used before",
            reason="token-replay",
            client=client,
        )
    return client


def read_assertion(text: str) -> Assertion:
    """Take a compact JWS apart without believing it; raises OAuthError for what is none."""
    if not text:
        raise _unproved("client_assertion is missing")
    if len(text) > LONGEST_ASSERTION:
        raise _unproved("client_assertion is too long")
    try:
        found = jws.extract_compact(text.encode("ascii"), registry=_registry())
        header, claims = found.headers(), orjson.loads(found.payload or b"")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unproved("client_assertion is not a JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _unproved(f"alg must be one of {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:
        raise _unproved("critical headers are not supported")
    if not isinstance(claims, dict) or not (kid is None or isinstance(kid, str)):
        raise _unproved("client_assertion is not a JWT")
    return Assertion(algorithm, kid, claims)


def _registry(algorithm: str | None = None) -> JWSRegistry:
    """What is understood of a header: one algorithm at a time, and never more than is ours.

    Header members that we do not use (x5t, jku …) are no error; no key is ever taken from one.
    """
    allowed = [algorithm] if algorithm else list(ALGORITHMS)
    registry = JWSRegistry(algorithms=allowed, strict_check_header=False)
    registry.max_header_length = LONGEST_ASSERTION  # a certificate chain (x5c) may stand there
    return registry


def _signed(text: str, assertion: Assertion, client: Client) -> bool:
    registry = _registry(assertion.algorithm)
    for key in _keys(client, assertion):
        try:
            jws.deserialize_compact(text.encode("ascii"), key, registry=registry)
        except (JoseError, ValueError, TypeError):
            continue
        return True
    return False


def _keys(client: Client, assertion: Assertion) -> list[ECKey | RSAKey]:
    """The registered keys that may have signed: of the kid when one is named, of the alg's kind.

    The kind of key is bound to the algorithm here, whatever the library would try.
    """
    found: list[ECKey | RSAKey] = []
    for jwk in client.jwks.get("keys", ()):
        if assertion.kid is not None and jwk.get("kid") not in (None, assertion.kid):
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", assertion.algorithm) != (
            assertion.algorithm
        ):
            continue
        if _fits(assertion.algorithm, jwk):
            try:
                found.append(public_key(jwk))
            except ClientError:
                continue
    return found


def _fits(algorithm: str, jwk: Mapping[str, Any]) -> bool:
    match algorithm:
        case "ES256":
            return jwk.get("crv") == "P-256"
        case "ES384":
            return jwk.get("crv") == "P-384"
        case _:
            return jwk.get("kty") == "RSA"


def proved_until(
    claims: Mapping[str, Any],
    now: datetime,
    longest: timedelta,
    refused: Callable[[str], OAuthError],
) -> datetime:
    """When an assertion expires; raises `refused` unless it is valid now, and not for long."""
    leeway = LEEWAY.total_seconds()
    moment = now.timestamp()
    expires = claims.get("exp")
    if not is_time(expires):
        raise refused("exp must be a number")
    if moment >= expires + leeway:
        raise refused("the assertion has expired")
    if expires > moment + longest.total_seconds() + leeway:
        raise refused(f"exp must be at most {longest.total_seconds():.0f} seconds ahead")
    for name in ("nbf", "iat"):
        value = claims.get(name)
        if value is not None and (not is_time(value) or value > moment + leeway):
            raise refused(f"{name} lies in the future")
    return datetime.fromtimestamp(expires, now.tzinfo)


def is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def audience_fits(value: object, audiences: Collection[str]) -> bool:
    given = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and each in audiences for each in given)


async def first_use(
    db: Database, client_id: str, jti: str, expires: datetime, now: datetime
) -> bool:
    """Whether this jti of the client was never seen; the table's key decides, not a look before.

    The row outlives the assertion by more than the leeway; old rows go along the way.
    """
    key = hashlib.sha256(orjson.dumps([client_id, jti])).digest()
    new = await db.fetchval(
        """
        insert into used_jti (jti_hash, expires) values ($1, $2)
        on conflict (jti_hash) do nothing returning true
        """,
        key,
        expires + 4 * LEEWAY,
    )
    await db.execute(
        """
        delete from used_jti where jti_hash in (
            select jti_hash from used_jti where expires < $1 order by expires limit $2
            for update skip locked
        )
        """,
        now,
        _PURGED_AT_ONCE,
    )
    return bool(new)


def _scopes(client: Client, wanted: str) -> tuple[str, ...]:
    """The scopes to grant: all that were wanted, or a refusal (SMART Backend Services, 4.1.4)."""
    if not wanted.strip():
        raise OAuthError("invalid_scope", "scope is missing", reason="token-scope", client=client)
    if len(wanted) > _LONGEST_SCOPE:
        raise OAuthError("invalid_scope", "scope is too long", reason="token-scope", client=client)
    scopes = tuple(dict.fromkeys(wanted.split()))
    for scope in scopes:
        try:
            held = covers(client.scopes, scope)
        except ScopeError as error:
            raise OAuthError(
                "invalid_scope", str(error), reason="token-scope", client=client
            ) from error
        if not held or (scope not in SERVICES and parse_scope(scope).context != "system"):
            raise OAuthError(
                "invalid_scope",
                "the client does not hold this scope",
                reason="token-scope",
                client=client,
            )
    return scopes


def purpose_of(client: Client, wanted: str) -> str:
    """The purpose of use (IHE IUA, ITI-71): a code or `system|code`.

    A client with one purpose has it without saying so; any other without one gets none, which
    opens no patient's record.
    """
    if not wanted:
        return client.purposes[0] if len(client.purposes) == 1 else ""
    system, bar, code = wanted.rpartition("|")
    if (bar and system not in _PURPOSE_SYSTEMS) or code not in client.purposes:
        raise OAuthError(
            "invalid_request",
            "purpose_of_use is not open to the client",
            reason="token-purpose",
            client=client,
        )
    return code


def _unproved(detail: str, client: Client | None = None) -> OAuthError:
    return OAuthError(
        "invalid_client",
        "client authentication failed",
        detail=detail,
        reason="token-client",
        client=client,
    )


def configuration(base_url: str, *, tls: bool = False) -> dict[str, Any]:
    """The document at `.well-known/smart-configuration` (SMART App Launch 2, section 7).

    `tls` = systems can come with certificates (RFC 8705).
    """
    by_certificate = ["tls_client_auth", "self_signed_tls_client_auth"] if tls else []
    return {
        "token_endpoint": base_url + "/oauth/token",
        "jwks_uri": base_url + "/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", *by_certificate],
        **({"tls_client_certificate_bound_access_tokens": True} if tls else {}),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": [
            "system/*.rs",
            "system/Bundle.c",
            "system/*.cruds",
            # any type with any of its search parameters, as far as registered for the client
            "system/Observation.rs?category=laboratory",
        ],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
