"""Access tokens: JWTs (RFC 9068) that this installation signs for itself and reads back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from pater.access.caller import Caller
from pater.trust.keys import Keys

LIFETIME: Final = timedelta(minutes=5)
LEEWAY: Final = timedelta(seconds=5)
LONGEST_TOKEN: Final = 8192
_ALGORITHM: Final = "ES256"
_TYPE: Final = "at+jwt"

TokenProblem = Literal[
    "malformed", "forged", "expired", "not-yet-valid", "wrong-audience", "revoked", "bound"
]


class TokenError(Exception):
    """The token is not accepted; `code` says why in one word, the text in one line."""

    def __init__(self, code: TokenProblem, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Tokens:
    """Issues and verifies the access tokens of one installation.

    `issuer` is its public address (no slash at the end); tokens are for its FHIR API and nothing
    else, so the audience is `issuer` + `/fhir`. The algorithm is ES256 whatever a header says.
    `revoked` tells whether what a person allowed an app (`Caller.grant`) has ended; it is asked
    with every use of an app's token and must not wait for anything. Without it no app is let in.
    """

    def __init__(
        self,
        keys: Keys,
        issuer: str,
        clock: Callable[[], datetime],
        revoked: Callable[[str], bool] | None = None,
    ) -> None:
        self._key = keys.signing
        self._kid = keys.kid
        self._issuer = issuer
        self._audience = issuer + "/fhir"
        self._clock = clock
        self._revoked = revoked
        public = ECKey.import_key({str(k): str(v) for k, v in keys.jwks()["keys"][0].items()})

        def claims(token: str) -> Mapping[str, Any]:
            return _signed_claims(token, public)

        # A client sends one token with many requests. Whether its signature is right never
        # changes; the times are looked at with every use.
        self._claims = lru_cache(maxsize=4096)(claims)
        self._caller = lru_cache(maxsize=4096)(lambda token: _caller(self._claims(token)))

    def issue(self, caller: Caller, lifetime: timedelta = LIFETIME, bound_to: str = "") -> str:
        """A token that says all about the caller but the marks of one request.

        Organisation, name, role and purpose stand where IHE IUA (ITI-71, JWT) puts them.
        `bound_to` is the certificate without which it is refused (`x5t#S256`, RFC 8705, 3.1).
        """
        now = int(self._clock().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": caller.id,
            "client_id": caller.app or caller.id,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": secrets.token_urlsafe(16),
            "scope": " ".join(caller.scopes),
            **({"cnf": {"x5t#S256": bound_to}} if bound_to else {}),
            "extensions": {
                "ihe_iua": {
                    "subject_name": caller.name,
                    "subject_organization": caller.organization_name,
                    "subject_organization_id": caller.organization,
                    "purpose_of_use": caller.purpose,
                },
                "pater": {
                    "kind": caller.kind,
                    "role": caller.role,
                    "strength": caller.strength,
                    "legal_basis": caller.legal_basis,
                    "person": caller.person,
                    "patient": caller.patient,
                    "practitioner": caller.practitioner,
                    **_app_claims(caller),
                },
            },
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": self._kid}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, [_ALGORITHM])

    def expiry(self, token: str) -> tuple[int, int]:
        """When a token that `verify` accepted was issued and when it expires, in Unix seconds."""
        claims = self._claims(token)
        return claims["iat"], claims["exp"]

    def bound_to(self, token: str) -> str:
        """The certificate that a token of ours is bound to, "" for none; raises TokenError."""
        if len(token) > LONGEST_TOKEN:
            raise TokenError("malformed", "the access token is too long")
        return str(self._claims(token).get("cnf", {}).get("x5t#S256", ""))

    def unbound(self, token: str, certificate: str) -> str:
        """The same token without its bond, for whoever has shown the certificate; TokenError.

        It ends with the other one, and stays within this process.
        """
        caller = self.verify(token, certificate)
        left = self._claims(token)["exp"] - self._clock().timestamp()
        return self.issue(caller, timedelta(seconds=max(left, 0)))

    def verify(self, token: str, certificate: str = "") -> Caller:
        """The caller of a token (without `request_id` and `source`); raises TokenError.

        `certificate` is the one that was shown with it (`x5t#S256`), "" for none.
        """
        if len(token) > LONGEST_TOKEN:
            raise TokenError("malformed", "the access token is too long")
        claims = self._claims(token)
        try:
            if claims["iss"] != self._issuer or claims["aud"] != self._audience:
                raise TokenError("wrong-audience", "the access token is for another service")
            now = self._clock().timestamp()
            leeway = LEEWAY.total_seconds()
            if now >= claims["exp"] + leeway:
                raise TokenError("expired", "the access token has expired")
            if now < claims["nbf"] - leeway:
                raise TokenError("not-yet-valid", "the access token is not valid yet")
            if "cnf" in claims and claims["cnf"]["x5t#S256"] != (certificate or None):
                raise TokenError("bound", "the access token needs the certificate it is bound to")
            caller = self._caller(token)
            if caller.grant and (self._revoked is None or self._revoked(caller.grant)):
                raise TokenError("revoked", "the access token was revoked")
            return caller
        except (KeyError, TypeError, AttributeError) as error:
            # signed by us, but by another release
            raise TokenError("malformed", "the access token lacks a claim") from error


def _signed_claims(token: str, key: ECKey) -> Mapping[str, Any]:
    try:
        found = jws.deserialize_compact(token.encode("ascii"), key, [_ALGORITHM])
        header = found.headers()
        if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE:
            raise TokenError("malformed", "the token is not an access token")
        claims = orjson.loads(found.payload or b"")
    except JoseError as error:
        if error.error == "bad_signature":
            raise TokenError("forged", "the signature of the access token is wrong") from error
        raise TokenError("malformed", "the access token is not a JWT of this service") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TokenError("malformed", "the access token is not a JWT") from error
    if not isinstance(claims, dict):
        raise TokenError("malformed", "the access token has no claims")
    return claims


def _app_claims(caller: Caller) -> dict[str, Any]:
    """What only the token of an app says."""
    if not caller.grant:
        return {}
    return {"app_name": caller.app_name, "grant": caller.grant, "context": caller.context}


def _caller(claims: Mapping[str, Any]) -> Caller:
    iua, own = claims["extensions"]["ihe_iua"], claims["extensions"]["pater"]
    return Caller(
        kind=own["kind"],
        id=claims["sub"],
        name=iua["subject_name"],
        role=own["role"],
        organization=iua["subject_organization_id"],
        organization_name=iua["subject_organization"],
        purpose=iua["purpose_of_use"],
        legal_basis=own["legal_basis"],
        strength=own["strength"],
        scopes=tuple(claims["scope"].split()),
        person=own["person"],
        patient=own["patient"],
        practitioner=own["practitioner"],
        app=claims["client_id"] if "grant" in own else "",
        app_name=own.get("app_name", ""),
        grant=own.get("grant", ""),
        context=own.get("context"),
    )
