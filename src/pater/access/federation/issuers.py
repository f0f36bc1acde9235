"""Which providers people may log in by: their addresses, what their claims mean, how far we trust.

Nothing is trusted that an operator did not write down. A provider that names people by their
number says who somebody is, so it is chosen like a key of the house.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import orjson

from pater.access import audit
from pater.access.caller import PASSWORD, TWO_FACTORS, Caller
from pater.store.database import Database, Record
from pater.store.journal import JournalEntry, write_entries
from pater.trust.keys import Keys

MOST: Final = 20
LONGEST_NAME: Final = 60
LONGEST: Final = 500
PROOFS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
RID, BIRTH_NUMBER, PROFESSIONAL = "rid", "birth_number", "professional"
NAMING: Final = (RID, BIRTH_NUMBER, PROFESSIONAL)
"""What names a person; a provider has to say at least one of these."""
DESCRIBING: Final[Mapping[str, str]] = {
    "given": "given_name",
    "family": "family_name",
    "birth_date": "birthdate",
    "name": "name",
}
"""What has to agree with the register, and its claim in OpenID Connect Core, section 5.1."""
# Levels of assurance of eIDAS; what is not listed is not enough.
LEVELS: Final[Mapping[str, int]] = {
    "http://eidas.europa.eu/LoA/low": PASSWORD,
    "http://eidas.europa.eu/LoA/substantial": TWO_FACTORS,
    "http://eidas.europa.eu/LoA/high": TWO_FACTORS,
}
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_LOCAL: Final = frozenset({"localhost", "127.0.0.1"})


class IssuerError(ValueError):
    """A provider cannot be written down like this; the text says why."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A provider of identities. `address` is its `iss`, without a slash at the end or with one.

    `claims` says which of its claims tells what (`NAMING`, `DESCRIBING`); `levels` how strong a
    login of an `acr` is here ("" = one that says none); `hosts` where else its endpoints may be.
    """

    id: str
    address: str
    name: Mapping[str, str]  # by language
    client_id: str
    proof: str = "none"
    secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "profile")
    hosts: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=lambda: dict(LEVELS))
    demo: bool = False
    active: bool = True

    def claim(self, what: str) -> str:
        """The claim that says it, "" where none does."""
        return self.claims.get(what) or DESCRIBING.get(what, "")

    def may_call(self, url: str) -> bool:
        """Whether an address is one of the provider's: its host, or one that was written down."""
        try:
            asked, own = urlsplit(url), urlsplit(self.address)
            named = f"{asked.hostname}:{asked.port}" if asked.port else asked.hostname or ""
        except ValueError:
            return False
        if asked.username is not None or asked.scheme != own.scheme or not _VISIBLE.fullmatch(url):
            return False
        return asked.netloc == own.netloc or named in self.hosts


def check(issuer: Issuer) -> None:
    """Raises IssuerError unless the provider can be written down."""
    if not _ID.fullmatch(issuer.id):
        raise IssuerError("a provider's id has 1 to 40 small letters, digits and -")
    _check_address(issuer.address)
    for lang in ("cs", "en"):
        name = issuer.name.get(lang, "")
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise IssuerError(f"a provider's name has 1 to {LONGEST_NAME} printable characters")
    if not 0 < len(issuer.client_id) <= LONGEST or not _VISIBLE.fullmatch(issuer.client_id):
        raise IssuerError("the client id has 1 to 500 visible characters")
    if issuer.proof not in PROOFS:
        raise IssuerError(f"we can prove ourselves by {', '.join(PROOFS)}")
    if issuer.proof.startswith("client_secret") != bool(issuer.secret):
        raise IssuerError("a secret goes with client_secret_basic or client_secret_post only")
    if "openid" not in issuer.scopes or len(issuer.scopes) > 30:
        raise IssuerError("the scopes are at most 30, and openid is among them")
    if len(issuer.hosts) > 10 or not all(map(_VISIBLE.fullmatch, issuer.hosts)):
        raise IssuerError("there are at most 10 further hosts")
    unknown = set(issuer.claims) - {*NAMING, *DESCRIBING}
    if unknown:
        raise IssuerError(f"claims tell {', '.join((*NAMING, *DESCRIBING))}; not {min(unknown)!r}")
    if not any(issuer.claims.get(name) for name in NAMING):
        raise IssuerError(f"at least one claim has to name a person: {', '.join(NAMING)}")
    if not issuer.levels or not set(issuer.levels.values()) <= {PASSWORD, TWO_FACTORS}:
        raise IssuerError("a level of assurance is worth 1 (as a password) or 2 (two factors)")


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise IssuerError("the address of a provider cannot be read") from error
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)
    if not safe or not host or parts.username is not None:
        raise IssuerError("a provider's address begins with https:// (http:// only to localhost)")
    if parts.query or parts.fragment or len(address) > LONGEST or not _VISIBLE.fullmatch(address):
        raise IssuerError("a provider's address has no query and no fragment")


async def register(
    db: Database,
    keys: Keys,
    issuer: Issuer,
    clock: Callable[[], datetime],
    operator: str = "",
) -> None:
    """Write a provider down, or replace all that is known of it; raises IssuerError.

    `operator` is the system's own name of who does it; "" = the program itself.
    """
    check(issuer)
    async with db.transaction() as connection:
        await connection.execute("lock table issuer in share row exclusive mode")
        others = await connection.fetch(
            "select id, address from issuer where id <> $1 limit $2", issuer.id, MOST
        )
        if len(others) >= MOST:
            raise IssuerError(f"there are {MOST} providers already")
        if any(row["address"] == issuer.address for row in others):
            raise IssuerError("another provider has this address")
        await connection.execute(
            """
            insert into issuer (id, address, name_cs, name_en, client_id, proof, secret, scopes,
                                hosts, claims, levels, demo, active, created)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            on conflict (id) do update
            set address = excluded.address, name_cs = excluded.name_cs,
                name_en = excluded.name_en, client_id = excluded.client_id,
                proof = excluded.proof, secret = excluded.secret, scopes = excluded.scopes,
                hosts = excluded.hosts, claims = excluded.claims, levels = excluded.levels,
                demo = excluded.demo, active = excluded.active
            """,
            issuer.id,
            issuer.address,
            issuer.name["cs"],
            issuer.name["en"],
            issuer.client_id,
            issuer.proof,
            keys.encrypt(issuer.secret.encode(), _context(issuer.id)) if issuer.secret else None,
            list(issuer.scopes),
            list(issuer.hosts),
            orjson.dumps(dict(issuer.claims)).decode(),
            orjson.dumps(dict(issuer.levels)).decode(),
            issuer.demo,
            issuer.active,
            clock(),
        )
        await write_entries(connection, [_entry(issuer.id, operator, "issuer-registered", clock)])


async def every(db: Database, keys: Keys) -> list[Issuer]:
    """The active providers by id (at most 20)."""
    rows = await db.fetch("select * from issuer where active order by id limit $1", MOST)
    return [_issuer(row, keys) for row in rows]


async def find(db: Database, keys: Keys, id: str) -> Issuer | None:
    """The active provider of an id."""
    if not _ID.fullmatch(id):
        return None
    row = await db.fetchrow("select * from issuer where id = $1 and active", id)
    return _issuer(row, keys) if row else None


async def remove(
    db: Database, id: str, clock: Callable[[], datetime], operator: str = ""
) -> bool:  # fmt: skip
    """Take a provider away, with its links and the sessions that it proved; False for none."""
    async with db.transaction() as connection:
        gone = await connection.fetchval("delete from issuer where id = $1 returning true", id)
        if gone:
            await connection.execute(
                "delete from session s using federated_identity f"
                " where f.issuer = $1 and s.account = f.account and s.issuer = $1",
                id,
            )
            await connection.execute("delete from federated_identity where issuer = $1", id)
            await write_entries(connection, [_entry(id, operator, "issuer-removed", clock)])
    return bool(gone)


def _context(id: str) -> bytes:
    return f"issuer {id}".encode()


def _entry(id: str, operator: str, reason: str, clock: Callable[[], datetime]) -> JournalEntry:
    caller = Caller(
        kind="person" if operator else "system",
        id=f"cli:{operator}" if operator else "pater",
        name=operator or "Páteř",
        role="operator",
    )
    return audit.entry(
        caller, "E", "security", audit.OK, clock=clock, reason=reason,
        entity_id=id, query=f"issuer={id}",
    )  # fmt: skip


def _issuer(row: Record, keys: Keys) -> Issuer:
    sealed = row["secret"]
    return Issuer(
        id=row["id"],
        address=row["address"],
        name={"cs": row["name_cs"], "en": row["name_en"]},
        client_id=row["client_id"],
        proof=row["proof"],
        secret=keys.decrypt(bytes(sealed), _context(row["id"])).decode() if sealed else "",
        scopes=tuple(row["scopes"]),
        hosts=tuple(row["hosts"]),
        claims=orjson.loads(row["claims"]),
        levels=orjson.loads(row["levels"]),
        demo=row["demo"],
        active=row["active"],
    )
