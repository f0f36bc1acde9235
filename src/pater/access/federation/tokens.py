"""Whether an identity token holds (OpenID Connect Core, section 3.1.3.7). Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from pater.access.clients import ClientError, public_key
from pater.access.federation.errors import FederationError
from pater.access.smart import is_time

ALGORITHMS: Final = ("RS256", "ES256", "PS256", "RS384", "ES384", "RS512", "PS384", "PS512")
LEEWAY: Final = timedelta(seconds=60)  # their clock is not ours
LONGEST_AGE: Final = timedelta(minutes=10)
LONGEST_TOKEN: Final = 32_768
LONGEST_SUBJECT: Final = 255
MOST_KEYS: Final = 50
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}


class UnknownKeyError(FederationError):
    """Signed with a key that is not in the set at hand: the provider may have changed keys."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an identity token has to say.

    `authenticated_since`: the person was asked at this moment or later; None = whenever.
    """

    issuer: str
    client_id: str
    nonce: str
    authenticated_since: datetime | None = None


def read(
    token: str, keys: Iterable[Mapping[str, Any]], expected: Expected, now: datetime
) -> dict[str, Any]:
    """The claims of a token that holds; raises FederationError, UnknownKeyError.

    `keys` are the JWKs that the provider publishes. Algorithms without a key pair never count.
    """
    claims = _signed(token, keys)
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    if claims.get("iss") != expected.issuer:
        raise _untrusted("iss is another one")
    audiences = claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    if expected.client_id not in audiences:
        raise _untrusted("aud is another one")
    if len(audiences) > 1 and "azp" not in claims:
        raise _untrusted("azp is missing")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise _untrusted("azp is another one")
    expires, issued = claims.get("exp"), claims.get("iat")
    if not is_time(expires) or moment >= expires + leeway:
        raise _untrusted("the token has expired")
    if not is_time(issued) or issued > moment + leeway:
        raise _untrusted("iat lies in the future")
    if issued < moment - LONGEST_AGE.total_seconds():
        raise _untrusted("the token was made long ago")
    if is_time(claims.get("nbf")) and claims["nbf"] > moment + leeway:
        raise _untrusted("nbf lies in the future")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), expected.nonce.encode()
    ):
        raise _untrusted("the nonce is another one")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or "\0" in subject:
        raise _untrusted("sub is missing or too long")
    since = expected.authenticated_since
    if since is not None:
        at = claims.get("auth_time")
        if not is_time(at) or at < since.timestamp() - leeway:
            raise _untrusted("the person was not asked again")
    return claims


def _signed(token: str, keys: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    if not 0 < len(token) <= LONGEST_TOKEN:
        raise _untrusted("the identity token is missing or too long")
    try:
        found = jws.extract_compact(token.encode("ascii"), registry=_registry(*ALGORITHMS))
        header, claims = found.headers(), orjson.loads(found.payload or b"")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _untrusted("the identity token is not a JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or "crit" in header or "b64" in header:
        raise _untrusted("the algorithm is not accepted")
    if not isinstance(claims, dict) or not (kid is None or isinstance(kid, str)):
        raise _untrusted("the identity token is not a JWT")
    tried = False
    for key in _keys(keys, algorithm, kid):
        tried = True
        try:
            jws.deserialize_compact(token.encode("ascii"), key, registry=_registry(algorithm))
        except (JoseError, ValueError, TypeError):
            continue
        return claims
    if not tried:
        raise UnknownKeyError("untrusted", "no key of the provider fits")
    raise _untrusted("the signature is wrong")


def _keys(
    keys: Iterable[Mapping[str, Any]], algorithm: str, kid: str | None
) -> list[ECKey | RSAKey]:
    """The keys that may have signed; the kind of key is bound to the algorithm here."""
    found: list[ECKey | RSAKey] = []
    for jwk in keys:
        if kid is not None and jwk.get("kid") != kid:
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
            continue
        curve = _CURVES.get(algorithm)
        if jwk.get("crv") != curve if curve else jwk.get("kty") != "RSA":
            continue
        try:
            # a set that shows private members is not one to trust
            found.append(public_key(dict(jwk)))
        except ClientError:
            continue
    return found


def _registry(*algorithms: str) -> JWSRegistry:
    registry = JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    registry.max_header_length = LONGEST_TOKEN
    registry.max_payload_length = LONGEST_TOKEN
    return registry


def _untrusted(detail: str) -> FederationError:
    return FederationError("untrusted", detail)
