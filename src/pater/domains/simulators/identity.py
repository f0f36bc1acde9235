"""A provider of identities as the state's would speak OpenID Connect: keys, codes, tokens.

It keeps nothing: codes and tokens carry their content under a seal, and the keys follow from a
secret and the time, so every process of a demonstration is the same provider. Its keys change
every hour; the one before and the one after are published too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey

from pater.domains.simulators.people import CLAIMS, LEVELS, PEOPLE, Simulated

PATH: Final = "/simulator/identity"
CODE_LIFE: Final = timedelta(seconds=60)
TOKEN_LIFE: Final = timedelta(minutes=5)
KEY_LIFE: Final = timedelta(hours=1)
_LONGEST: Final = 4096
_MOST_USED: Final = 1000
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


class ProviderError(Exception):
    """A request is refused (RFC 6749, section 5.2); the text is for developers."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks at the authorization endpoint, once it is in order."""

    client_id: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str


class Provider:
    """The simulated provider. `base` is the address that it is served at, without a slash.

    `clients` are the ids that may ask, with their secrets ("" = none, PKCE alone); `redirects` the
    beginnings of addresses that people may be sent back to.
    """

    def __init__(
        self,
        base: str,
        secret: bytes,
        clock: Callable[[], datetime],
        *,
        clients: Mapping[str, str],
        redirects: Sequence[str],
    ) -> None:
        self.issuer = base + PATH
        self.base = base
        self._secret = hmac.digest(secret, b"simulated identity", hashlib.sha256)
        self._clock = clock
        self._clients = clients
        self._redirects = tuple(redirects)
        self._used: OrderedDict[str, None] = OrderedDict()

    def discovery(self) -> dict[str, Any]:
        """The document of OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "userinfo_endpoint": self.issuer + "/userinfo",
            "jwks_uri": self.issuer + "/jwks",
            "end_session_endpoint": self.issuer + "/logout",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "none",
            ],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile"],
            "acr_values_supported": list(LEVELS),
            "claims_supported": [
                "sub", "acr", "auth_time", "name", "given_name", "family_name", "birthdate",
                *CLAIMS.values(),
            ],
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip

    def jwks(self) -> dict[str, Any]:
        """The public keys: of this hour, the one before and the one after."""
        now = self._period()
        keys = [self._key(period) for period in (now, now - 1, now + 1)]
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig",
                 "alg": "ES256"}
                for key in keys
            ]
        }  # fmt: skip

    def request(self, asked: Mapping[str, str]) -> Request:
        """What is asked, in order; raises ProviderError (nobody is sent back with an error: it
        is a mistake of whoever set the client up).
        """
        if asked.get("client_id", "") not in self._clients:
            raise ProviderError("invalid_client", "client_id is not known")
        redirect = asked.get("redirect_uri", "")
        if not redirect.startswith(self._redirects) or not redirect.isascii():
            raise ProviderError("invalid_request", "redirect_uri is not registered")
        if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
            raise ProviderError("invalid_request", "response_type is code, scope has openid")
        challenge = asked.get("code_challenge", "")
        if asked.get("code_challenge_method") != "S256" or len(challenge) != 43:
            raise ProviderError("invalid_request", "PKCE with S256 is needed")
        state, nonce = asked.get("state", ""), asked.get("nonce", "")
        if max(len(state), len(nonce), len(redirect)) > 500:
            raise ProviderError("invalid_request", "a parameter is too long")
        return Request(asked["client_id"], redirect, state, nonce, challenge)

    def code(self, request: Request, person: str, level: str) -> str:
        """The code for somebody who agreed, good for one minute and once."""
        now = int(self._clock().timestamp())
        return self._seal(
            "code",
            {
                "id": secrets.token_urlsafe(12),
                "client": request.client_id, "redirect": request.redirect_uri,
                "nonce": request.nonce, "challenge": request.challenge,
                "person": person, "level": level, "at": now,
                "until": now + int(CODE_LIFE.total_seconds()),
            },
        )  # fmt: skip

    def redeem(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> dict[str, Any]:
        """The answer of the token endpoint; raises ProviderError."""
        client, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        known = self._clients.get(client)
        if known is None or not hmac.compare_digest(
            known.encode(), secret.encode("utf-8", "replace")
        ):
            raise ProviderError("invalid_client", "the client is not known, or its secret is wrong")
        if form.get("grant_type") != "authorization_code":
            raise ProviderError("unsupported_grant_type", "only codes are exchanged")
        code = form.get("code", "")
        found = self._open("code", code)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode("utf-8", "replace")).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            found is None
            or found["client"] != client
            or found["redirect"] != form.get("redirect_uri", "")
            or not hmac.compare_digest(found["challenge"], challenge)
            or not self._first_use(code)
        ):
            raise ProviderError("invalid_grant", "the code is not valid")
        person = person_of(found["person"])
        if person is None:
            raise ProviderError("invalid_grant", "nobody is meant")
        now = int(self._clock().timestamp())
        life = int(TOKEN_LIFE.total_seconds())
        token = {"person": person.key, "client": client, "until": now + life}
        return {
            "access_token": self._seal("token", token),
            "token_type": "Bearer",
            "expires_in": life,
            "id_token": self._signed(
                {
                    "iss": self.issuer,
                    "sub": self._subject(person, client),
                    "aud": client,
                    "iat": now,
                    "exp": now + life,
                    "auth_time": found["at"],
                    "nonce": found["nonce"],
                    "acr": found["level"],
                }
            ),
        }

    def userinfo(self, token: str) -> dict[str, str] | None:
        """What is told of the person of an access token; None for one that is not valid."""
        found = self._open("token", token)
        person = person_of(found["person"]) if found else None
        if found is None or person is None:
            return None
        return {"sub": self._subject(person, found["client"]), **person.claims()}

    def may_return(self, address: str) -> bool:
        """Whether somebody who logged out may be sent there."""
        return address == self.base + "/" or address.startswith(self._redirects)

    def _subject(self, person: Simulated, client: str) -> str:
        """A different name of the person for each client, as a state's provider gives."""
        text = f"subject {person.key} {client}".encode()
        return hmac.digest(self._secret, text, hashlib.sha256).hex()[:32]

    def _period(self) -> int:
        return int(self._clock().timestamp() // KEY_LIFE.total_seconds())

    def _key(self, period: int) -> ECKey:
        digest = hmac.digest(self._secret, f"key {period}".encode(), hashlib.sha512)
        private = ec.derive_private_key(
            int.from_bytes(digest) % (_ORDER - 1) + 1, ec.SECP256R1()
        )  # fmt: skip
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return ECKey.import_key(pem)

    def _signed(self, claims: Mapping[str, Any]) -> str:
        key = self._key(self._period())
        header = {"alg": "ES256", "typ": "JWT", "kid": key.thumbprint()}
        return jws.serialize_compact(header, orjson.dumps(claims), key, ["ES256"])

    def _first_use(self, code: str) -> bool:
        if code in self._used:
            return False
        self._used[code] = None
        while len(self._used) > _MOST_USED:
            self._used.popitem(last=False)
        return True

    def _seal(self, use: str, content: Mapping[str, Any]) -> str:
        text = orjson.dumps({"use": use, **content})
        mac = hmac.digest(self._secret, text, hashlib.sha256)
        return base64.urlsafe_b64encode(mac + text).rstrip(b"=").decode()

    def _open(self, use: str, sealed: str) -> dict[str, Any] | None:
        try:
            if len(sealed) > _LONGEST:
                return None
            padded = sealed + "=" * (-len(sealed) % 4)
            raw = base64.b64decode(padded.encode("ascii"), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        mac, text = raw[:32], raw[32:]
        if not hmac.compare_digest(mac, hmac.digest(self._secret, text, hashlib.sha256)):
            return None
        found: dict[str, Any] = orjson.loads(text)
        late = found["until"] <= self._clock().timestamp()
        return None if late or found["use"] != use else found


def person_of(key: str) -> Simulated | None:
    """The invented person of a key."""
    return next((person for person in PEOPLE if person.key == key), None)
