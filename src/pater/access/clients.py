"""Registered systems: who they are, their public keys, and what they may be given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from pater.access.caller import KEY, Caller
from pater.access.policy import ROLE_PURPOSES, ROLES
from pater.access.representation import ACTING
from pater.access.scopes import SERVICES, parse_scope
from pater.store.database import Database, Record

MOST_KEYS: Final = 10
LONGEST_ID: Final = 128
_CURVES: Final = frozenset({"P-256", "P-384"})
_RSA_BITS: Final = range(2048, 8193)
# What a private key, or a key that is no key pair at all, would carry.
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class ClientError(ValueError):
    """A client cannot be registered like this; the text says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """A system. `jwks` is a JWK Set of public keys; `organization` an IČO; scopes are SMART v2."""

    id: str
    name: str
    role: str
    organization: str
    organization_name: str
    jwks: dict[str, Any]
    scopes: tuple[str, ...]
    purposes: tuple[str, ...]
    active: bool = True


def public_key(jwk: dict[str, Any]) -> ECKey | RSAKey:
    """The key of one JWK; raises ClientError unless it is a public EC P-256/P-384 or RSA key."""
    if not isinstance(jwk, dict) or _SECRET_MEMBERS & jwk.keys():
        raise ClientError("a client's key set must hold public keys only")
    try:
        if jwk.get("kty") == "EC" and jwk.get("crv") in _CURVES:
            return ECKey.import_key({k: str(jwk[k]) for k in ("kty", "crv", "x", "y")})
        if jwk.get("kty") == "RSA":
            key = RSAKey.import_key({k: str(jwk[k]) for k in ("kty", "n", "e")})
            if key.public_key.key_size in _RSA_BITS:
                return key
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ClientError("a key of the client cannot be read") from error
    raise ClientError("keys must be EC P-256 or P-384, or RSA of 2048 to 8192 bits")


def check(client: Client) -> None:
    """Raises ClientError (or ScopeError) unless the client can be registered."""
    if not 0 < len(client.id) <= LONGEST_ID or not client.id.isprintable() or " " in client.id:
        raise ClientError(f"a client id has 1 to {LONGEST_ID} visible characters")
    if client.role not in ROLES or client.role == ACTING:
        raise ClientError(f"there is no role {client.role!r}")
    unknown = set(client.purposes) - set(ROLE_PURPOSES[client.role])
    if unknown:
        raise ClientError(f"the role does not know the purpose {sorted(unknown)[0]!r}")
    for scope in client.scopes:
        if scope in SERVICES:
            if client.role != "provider-system":
                raise ClientError(f"the scope {scope!r} is for systems of providers")
            continue
        if parse_scope(scope).context != "system":
            raise ClientError("a system's scopes begin with 'system/'")
    keys = client.jwks.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise ClientError(f"a client has 1 to {MOST_KEYS} keys in a JWK Set")
    for key in keys:
        public_key(key)


async def register(db: Database, client: Client, clock: Callable[[], datetime]) -> None:
    """Create the client, or replace all that is known of it; raises ClientError."""
    check(client)
    await db.execute(
        """
        insert into client (id, name, role, organization, organization_name, jwks, scopes,
                            purposes, active, updated)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (id) do update
        set name = excluded.name, role = excluded.role, organization = excluded.organization,
            organization_name = excluded.organization_name, jwks = excluded.jwks,
            scopes = excluded.scopes, purposes = excluded.purposes, active = excluded.active,
            updated = excluded.updated
        """,
        client.id,
        client.name,
        client.role,
        client.organization,
        client.organization_name,
        orjson.dumps(client.jwks).decode(),
        list(client.scopes),
        list(client.purposes),
        client.active,
        clock(),
    )


async def find(db: Database, client_id: str) -> Client | None:
    """The client of an id, active or not."""
    if not 0 < len(client_id) <= LONGEST_ID or "\0" in client_id:
        return None
    row = await db.fetchrow("select * from client where id = $1", client_id)
    return None if row is None else _client(row)


async def find_many(db: Database, ids: Collection[str]) -> dict[str, Client]:
    """The clients of several ids, active or not, in one look."""
    rows = await db.fetch("select * from client where id = any($1)", list(ids)) if ids else []
    return {row["id"]: _client(row) for row in rows}


def client_caller(client: Client, *, scopes: tuple[str, ...], purpose: str) -> Caller:
    """The caller that a client is once its key has proved it."""
    return Caller(
        kind="system",
        id=client.id,
        name=client.name,
        role=client.role,
        organization=client.organization,
        organization_name=client.organization_name,
        purpose=purpose,
        strength=KEY,
        scopes=scopes,
    )


def _client(row: Record) -> Client:
    return Client(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        organization=row["organization"],
        organization_name=row["organization_name"],
        jwks=orjson.loads(row["jwks"]),
        scopes=tuple(row["scopes"]),
        purposes=tuple(row["purposes"]),
        active=row["active"],
    )
