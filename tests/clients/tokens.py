"""A token as a system gets it: by a client assertion signed with its private key."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.waiting import PATIENCE

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def key_file(data: Path, client: str) -> Path:
    """The private key that the demonstration made for one of its clients."""
    return data / "demo-keys" / f"{client}.jwk"


def assertion(data: Path, client: str, endpoint: str) -> str:
    """A signed client assertion (SMART Backend Services) for the token endpoint."""
    key = ECKey.import_key(json.loads(key_file(data, client).read_text()))
    claims = {
        "iss": client,
        "sub": client,
        "aud": endpoint,
        "exp": int(time.time()) + 240,
        "jti": secrets.token_hex(16),
    }
    return jwt.encode({"alg": "ES384", "kid": client}, claims, key, algorithms=["ES384"])


def token(base: str, data: Path, client: str, scope: str) -> str:
    """An access token, by what the server itself says about where to get one."""
    said = httpx.get(f"{base}/.well-known/smart-configuration", timeout=PATIENCE).json()
    endpoint = said["token_endpoint"]
    answer = httpx.post(
        endpoint,
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion(data, client, endpoint),
            "scope": scope,
        },
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found
