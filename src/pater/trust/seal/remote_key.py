"""Seal keys at a remote provider: the API of the Cloud Signature Consortium, version 2.

Only hashes leave the house. The provider knows us by OAuth 2.0 client credentials; a credential
that a person must confirm each time cannot be used by a service.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from asn1crypto import algos
from cryptography import x509

from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.keys import best_algorithm
from pater.trust.seal.model import Algorithm, SealError, Text

SCHEME: Final = "csc+https:"
_LONGEST: Final = 256 * 1024
_RSA: Final = "1.2.840.113549.1.1.1"
_PSS: Final = "1.2.840.113549.1.1.10"
_ECDSA: Final = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_HASHES: Final = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """Where keys are kept: the address of the API (…/csc/v2), our client, the credential."""

    base: str
    credential: str
    client: str
    secret: str = field(repr=False)
    new_client: Callable[[], httpx.AsyncClient] = field(repr=False)

    @classmethod
    def of(
        cls, address: str, password: str, new_client: Callable[[], httpx.AsyncClient]
    ) -> Provider:
        """`csc+https://host/csc/v2#credential`, and `client:secret`. Raises SealError."""
        parts = urlsplit(address.removeprefix("csc+"))
        client, _, secret = password.partition(":")
        if not parts.hostname or not parts.fragment or not client or not secret:
            raise SealError(
                "key",
                Text(
                    "Vzdálený klíč: csc+https://host/csc/v2#id a heslo „klient:tajemství“.",
                    "A remote key: csc+https://host/csc/v2#id and a password `client:secret`.",
                ),
            )
        base = parts._replace(fragment="").geturl().rstrip("/")
        return cls(base, parts.fragment, client, secret, new_client)

    async def ask(self, path: str, body: dict[str, Any], bearer: str = "") -> dict[str, Any]:
        """One call. Raises SealError."""
        form = path == "oauth2/token"
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        try:
            async with self.new_client() as client:
                answer = await client.post(
                    f"{self.base}/{path}",
                    data=body if form else None,
                    json=None if form else body,
                    headers=headers,
                    follow_redirects=False,
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _refused(type(error).__name__) from error
        if answer.status_code != 200 or len(answer.content) > _LONGEST:
            raise _refused(f"{path}: {answer.status_code}")
        try:
            found = answer.json()
        except ValueError as error:
            raise _refused(f"{path}: no JSON") from error
        if not isinstance(found, dict):
            raise _refused(f"{path}: no object")
        return found

    async def bearer(self) -> str:
        """An access token for one piece of work."""
        body = {
            "grant_type": "client_credentials", "client_id": self.client,
            "client_secret": self.secret, "scope": "service",
        }  # fmt: skip
        return _text(await self.ask("oauth2/token", body), "access_token")


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A key that the provider keeps, with the certificate it gives (DER)."""

    provider: Provider
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    algorithm: Algorithm

    @classmethod
    async def at(cls, provider: Provider) -> RemoteKey:
        """The credential's key (11.5, credentials/info). Raises SealError."""
        body = {
            "credentialID": provider.credential, "certificates": "chain",
            "certInfo": False, "authInfo": True,
        }  # fmt: skip
        found = await provider.ask("credentials/info", body, await provider.bearer())
        auth = found.get("auth")
        if isinstance(auth, dict) and auth.get("mode") not in (None, "implicit"):
            raise _refused("the credential wants a person to confirm each seal")
        try:
            ders = [_base64(one) for one in found["cert"]["certificates"]]
            public = x509.load_der_x509_certificate(ders[0]).public_key()
            algorithm = best_algorithm(public)
            offered = found["key"]["algo"]
        except UNREADABLE as error:
            if isinstance(error, SealError):
                raise
            raise _refused("credentials/info") from error
        if isinstance(offered, list) and not _offers(offered, algorithm):
            raise _refused(f"the credential does not sign with {algorithm}")
        return cls(provider, ders[0], tuple(ders[1:]), algorithm)

    async def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        """The provider signs a hash (11.6 credentials/authorize, 11.10 signatures/signHash)."""
        digest = base64.b64encode(hashlib.new(algorithm.hash, data).digest()).decode()
        bearer = await self.provider.bearer()
        what: dict[str, Any] = {
            "credentialID": self.provider.credential, "hashes": [digest],
            "hashAlgorithmOID": _HASHES[algorithm.hash],
        }  # fmt: skip
        allowed = await self.provider.ask(
            "credentials/authorize", {**what, "numSignatures": 1}, bearer
        )
        how: dict[str, Any] = {"signAlgo": _oid(algorithm), "SAD": _text(allowed, "SAD")}
        if algorithm.kind == "pss":
            how["signAlgoParams"] = base64.b64encode(_parameters(algorithm)).decode()
        made = await self.provider.ask("signatures/signHash", {**what, **how}, bearer)
        values = made.get("signatures")
        if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
            raise _refused("signatures/signHash")
        return _base64(values[0])


def _oid(algorithm: Algorithm) -> str:
    if algorithm.kind == "ecdsa":
        return _ECDSA[algorithm.hash]
    return _RSA if algorithm.kind == "rsa" else _PSS


def _offers(offered: list[Any], algorithm: Algorithm) -> bool:
    names = {_oid(algorithm)}
    if algorithm.kind == "rsa":
        names |= {"1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"}
    return bool(names & {one for one in offered if isinstance(one, str)})


def _parameters(algorithm: Algorithm) -> bytes:
    inner = {"algorithm": algorithm.hash}
    made: bytes = algos.RSASSAPSSParams(
        {
            "hash_algorithm": inner,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": inner},
            "salt_length": int(algorithm.hash.removeprefix("sha")) // 8,
        }
    ).dump()
    return made


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(name)
    return value


def _base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise _refused("Base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("Base64") from error


def _refused(what: str) -> SealError:
    return SealError(
        "key",
        Text(
            f"Poskytovatel klíče neodpověděl, jak má ({what}).",
            f"The provider of the key did not answer as it should ({what}).",
        ),
    )
