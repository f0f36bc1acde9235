"""What the tests of ACME need: hosts that answer challenges, and a client that signs by hand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from pater.trust.acme.jose import encoded
from pater.trust.acme.proving import PATH

JOSE = {"content-type": "application/jose+json"}


@dataclass
class Hosts:
    """All hosts of the tests at once: they answer what stands in `answers`, by token."""

    port: int
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    location: str = ""


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Serves them on a port of 127.0.0.1 meanwhile."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.headers.get("host", ""), self.path))
            body = found.answers.get(self.path.removeprefix(PATH), b"")
            self.send_response(found.status if body or found.location else 404)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Hosts(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def signed(
    key: Any, header: dict[str, Any], payload: object, algorithm: str = "ES256"
) -> dict[str, str]:
    """A flattened JWS; `payload` None = empty, bytes as they are."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    head = encoded(json.dumps({"alg": algorithm, **header}).encode())
    body = "" if payload is None else encoded(data)
    signature = JWSRegistry.algorithms[algorithm].sign(f"{head}.{body}".encode(), key)
    return {"protected": head, "payload": body, "signature": encoded(signature)}


def public(key: Any) -> dict[str, Any]:
    """The public JWK."""
    found = key.as_dict(private=False)
    return {name: found[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in found}


def bound(kid: str, secret: bytes, jwk: object, url: str, algorithm: str = "HS256") -> Any:
    """An external account binding."""
    key = OctKey.import_key(secret)
    return signed(key, {"kid": kid, "url": url}, jwk, algorithm)


def thumbprint(key: Any) -> str:
    """RFC 7638, computed anew."""
    members = orjson.dumps(public(key), option=orjson.OPT_SORT_KEYS)
    return encoded(hashlib.sha256(members).digest())


@dataclass
class Hand:
    """A client that signs what it is told to, also what is wrong."""

    http: httpx.AsyncClient
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    kid: str = ""
    algorithm: str = "ES256"

    async def nonce(self) -> str:
        """A fresh one."""
        return str((await self.http.head("/acme/nonce")).headers["replay-nonce"])

    async def post(
        self, path: str, payload: object = None, *, bare: bool = False, **header: Any
    ) -> httpx.Response:
        """A message; `header` replaces members, None leaves one out."""
        url = path if path.startswith("http") else f"{self.http.base_url}".rstrip("/") + path
        who = {"jwk": public(self.key)} if bare or not self.kid else {"kid": self.kid}
        said = {"nonce": None, "url": url, **who, **header}
        if "nonce" not in header:
            said["nonce"] = await self.nonce()
        said = {name: value for name, value in said.items() if value is not None}
        message = signed(self.key, said, payload, self.algorithm)
        return await self.http.post(url, content=orjson.dumps(message), headers=JOSE)

    async def open(self, kid: str, secret: bytes) -> httpx.Response:
        """Opens its account."""
        url = f"{self.http.base_url}".rstrip("/") + "/acme/account"
        binding = bound(kid, secret, public(self.key), url)
        made = await self.post(url, {"externalAccountBinding": binding})
        self.kid = made.headers.get("location", "")
        return made


def rsa(bits: int = 2048) -> RSAKey:
    """A new RSA key of an account."""
    return RSAKey.generate_key(bits)


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    """What a refusal says; it has to be a problem document of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["type"] == f"urn:ietf:params:acme:error:{kind}", said
    assert said["status"] == status
    assert answer.headers["replay-nonce"]
    return str(said["detail"])
