"""Registered apps: what they are called, where people are sent back to, and what they may ask."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from pater.access import audit
from pater.access.app_scopes import is_known
from pater.access.caller import Caller
from pater.access.clients import MOST_KEYS, public_key
from pater.store.database import Connection, Database, Record
from pater.store.journal import JournalEntry, write_entries

MOST_REDIRECTS: Final = 10
MOST_SCOPES: Final = 100
MOST_APPS: Final = 1000
LONGEST_URL: Final = 500
LONGEST_NAME: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_URL: Final = re.compile(r"[!-~]+", re.ASCII)
# No [::1]: a Content-Security-Policy cannot name it.
_LOCAL: Final = frozenset({"localhost", "127.0.0.1"})
# Addresses of a phone's own app (RFC 8252, 7.1): a domain name backwards, so never `javascript:`.
_OWN_SCHEME: Final = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+", re.ASCII)


class AppError(ValueError):
    """An app cannot be registered like this; the text says why."""


@dataclass(frozen=True, slots=True)
class App:
    """An app. Without `secret_hash` and `jwks` it is public: it can keep no secret.

    `scopes` are the most that it can be given; `demo` marks the demonstration's own.
    """

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    launch_url: str = ""
    secret_hash: bytes | None = None
    jwks: dict[str, Any] | None = None
    demo: bool = False
    active: bool = True

    @property
    def confidential(self) -> bool:
        """Whether it has to prove who it is."""
        return self.secret_hash is not None or self.jwks is not None


def new_secret() -> tuple[str, bytes]:
    """A random secret (256 bits) for the app and its hash for us."""
    secret = secrets.token_urlsafe(32)
    return secret, _hash(secret)


def is_secret(app: App, given: str) -> bool:
    """Whether this is the app's secret; compared in constant time."""
    return app.secret_hash is not None and hmac.compare_digest(app.secret_hash, _hash(given))


def check(app: App) -> None:
    """Raises AppError (or ClientError for its keys) unless the app can be registered."""
    if not _ID.fullmatch(app.id):
        raise AppError("an app's id has 1 to 100 letters, digits and . _ -")
    if not 0 < len(app.name.strip()) <= LONGEST_NAME or not app.name.isprintable():
        raise AppError(f"an app's name has 1 to {LONGEST_NAME} printable characters")
    if not 0 < len(app.redirect_uris) <= MOST_REDIRECTS:
        raise AppError(f"an app has 1 to {MOST_REDIRECTS} redirect addresses")
    for address in app.redirect_uris:
        _check_url(address, own_scheme=not app.confidential)
    if app.launch_url:
        _check_url(app.launch_url, own_scheme=False)
    if not 0 < len(app.scopes) <= MOST_SCOPES:
        raise AppError(f"an app has 1 to {MOST_SCOPES} scopes")
    for scope in app.scopes:
        if not is_known(scope):
            raise AppError(f"{scope!r} is no scope that an app can have")
    if app.secret_hash is not None and app.jwks is not None:
        raise AppError("an app proves itself by a secret or by a key, not by both")
    if app.jwks is not None:
        keys = app.jwks.get("keys")
        if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
            raise AppError(f"an app has 1 to {MOST_KEYS} keys in a JWK Set")
        for key in keys:
            public_key(key)


def _check_url(address: str, *, own_scheme: bool) -> None:
    """https, http to the same machine (RFC 8252, 7.3), or an app's own scheme; no fragment."""
    if len(address) > LONGEST_URL or not _URL.fullmatch(address):
        raise AppError("an address has at most 500 visible ASCII characters")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise AppError(f"{address!r} is no address") from error
    # what stands in a Content-Security-Policy must not end its part of it
    if "#" in address or any(sign in parts.netloc for sign in "@;,'\"\\"):
        raise AppError("an address has no fragment and names no user")
    if (parts.scheme == "https" and host) or (parts.scheme == "http" and host in _LOCAL):
        return
    if own_scheme and _OWN_SCHEME.fullmatch(parts.scheme) and not parts.netloc:
        return
    raise AppError("an address begins with https:// (http:// only to localhost)")


async def register(
    db: Database, app: App, clock: Callable[[], datetime], operator: str = ""
) -> None:
    """Create the app, or replace all that is known of it; raises AppError.

    `operator` is the system's own name of who does it, for the journal; "" = the program itself.
    """
    check(app)
    known = await db.fetchval("select count(*) from (select 1 from app limit $1) few", MOST_APPS)
    if known >= MOST_APPS and await find(db, app.id) is None:
        raise AppError(f"there are {MOST_APPS} apps already")
    async with db.transaction() as connection:
        await _write(connection, app, clock())
        await write_entries(connection, [_entry(app.id, operator, "app-registered", clock)])


async def _write(connection: Connection, app: App, now: datetime) -> None:
    await connection.execute(
        """
        insert into app (id, name, redirect_uris, launch_url, scopes, secret_hash, jwks, demo,
                         active, created)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (id) do update
        set name = excluded.name, redirect_uris = excluded.redirect_uris,
            launch_url = excluded.launch_url, scopes = excluded.scopes,
            secret_hash = excluded.secret_hash, jwks = excluded.jwks, demo = excluded.demo,
            active = excluded.active
        """,
        app.id,
        app.name,
        list(app.redirect_uris),
        app.launch_url,
        list(app.scopes),
        app.secret_hash,
        orjson.dumps(app.jwks).decode() if app.jwks is not None else "",
        app.demo,
        app.active,
        now,
    )


async def find(db: Database, app_id: str) -> App | None:
    """The app of an id, active or not."""
    if not _ID.fullmatch(app_id):
        return None
    row = await db.fetchrow("select * from app where id = $1", app_id)
    return None if row is None else _app(row)


async def find_many(db: Database, ids: Collection[str]) -> dict[str, App]:
    """The apps of several ids, active or not, in one look."""
    rows = await db.fetch("select * from app where id = any($1)", list(ids)) if ids else []
    return {row["id"]: _app(row) for row in rows}


async def every(db: Database) -> list[App]:
    """All registered apps by name."""
    rows = await db.fetch("select * from app order by name, id limit $1", MOST_APPS)
    return [_app(row) for row in rows]


async def remove(
    db: Database, app_id: str, clock: Callable[[], datetime], operator: str = ""
) -> bool:
    """Take the app away and end all that people allowed it; False when there is none."""
    async with db.transaction() as connection:
        gone = await connection.fetchval("delete from app where id = $1 returning true", app_id)
        await connection.execute(
            "update app_grant set ended = $2 where app = $1 and ended is null", app_id, clock()
        )
        if gone:
            await write_entries(connection, [_entry(app_id, operator, "app-removed", clock)])
    return bool(gone)


def _entry(app_id: str, operator: str, reason: str, clock: Callable[[], datetime]) -> JournalEntry:
    caller = Caller(
        kind="person" if operator else "system",
        id=f"cli:{operator}" if operator else "pater",
        name=operator or "Páteř",
        role="operator",
    )
    return audit.entry(
        caller, "E", "security", audit.OK, clock=clock, reason=reason,
        entity_id=app_id, query=f"app={app_id}",
    )  # fmt: skip


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _app(row: Record) -> App:
    return App(
        id=row["id"],
        name=row["name"],
        redirect_uris=tuple(row["redirect_uris"]),
        scopes=tuple(row["scopes"]),
        launch_url=row["launch_url"],
        secret_hash=row["secret_hash"],
        jwks=orjson.loads(row["jwks"]) if row["jwks"] else None,
        demo=row["demo"],
        active=row["active"],
    )
