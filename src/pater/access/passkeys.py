"""Passkeys (WebAuthn level 2): registering them, and logging in with one.

A passkey stays in its authenticator, which checks the person itself (finger, face, PIN): alone it
is two factors. The library `webauthn` checks what came; here is what has to be remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from pater.access.accounts import Account, account_of
from pater.store.database import Database, Record

MOST_PASSKEYS: Final = 20
LONGEST_NAME: Final = 60
LONGEST_ANSWER: Final = 16_384
CHALLENGE_BYTES: Final = 32
CHALLENGE_LIFE: Final = timedelta(minutes=5)
_LONGEST_ID: Final = 1023  # WebAuthn level 2, 6.1
_COUNTED_TO: Final = 2**32
_TRANSPORTS: Final = frozenset(each.value for each in AuthenticatorTransport)

PasskeyProblem = Literal["login-key", "login-key-copied"]


class PasskeyError(Exception):
    """A passkey is not accepted. `reason` is a key of `policy_texts`; `account` whose it is."""

    def __init__(self, reason: PasskeyProblem, account: Account | None = None) -> None:
        super().__init__("the passkey was not accepted")
        self.reason = reason
        self.account = account


@dataclass(frozen=True, slots=True)
class Place:
    """Where passkeys hold: the host of the public address, and its origin."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A registered passkey as its person sees it."""

    id: str  # base64url
    name: str
    synced: bool
    created: datetime
    used: datetime | None


def place(base_url: str) -> Place | None:
    """Where passkeys hold under a public address; None where browsers have none: at a bare
    network address, and without https but on this very machine.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return None
    local = host == "localhost" or host.endswith(".localhost")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        return None
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port and parts.port != usual else ""
    return Place(host, f"{parts.scheme}://{host}{port}")


def handle(key: bytes, account: str) -> bytes:
    """What an authenticator keeps as the user: the same for an account, and says nothing of it."""
    return hmac.digest(key, b"user " + account.encode(), "sha256")


async def registration_options(
    db: Database, where: Place, account: Account, user: bytes, challenge: bytes
) -> str:
    """What the browser is asked to make, as JSON for `navigator.credentials.create`."""
    rows = await db.fetch(
        "select id, transports from passkey where account = $1 order by created limit $2",
        account.id,
        MOST_PASSKEYS,
    )
    options = webauthn.generate_registration_options(
        rp_id=where.rp_id,
        rp_name="Páteř",
        user_id=user,
        user_name=account.login,
        user_display_name=account.name,
        challenge=challenge,
        timeout=_milliseconds(CHALLENGE_LIFE),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(row) for row in rows],
    )
    return webauthn.options_to_json(options)


async def login_options(
    db: Database, where: Place, challenge: bytes, account: str | None = None
) -> str:
    """What the browser is asked to sign, as JSON for `navigator.credentials.get`.

    Without an account the authenticator offers whom it knows; so nothing is told of anybody.
    """
    rows: Sequence[Record] = ()
    if account is not None:
        rows = await db.fetch(
            "select id, transports from passkey where account = $1 order by created limit $2",
            account,
            MOST_PASSKEYS,
        )
    options = webauthn.generate_authentication_options(
        rp_id=where.rp_id,
        challenge=challenge,
        timeout=_milliseconds(CHALLENGE_LIFE),
        allow_credentials=[_descriptor(row) for row in rows],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


async def register(
    db: Database,
    where: Place,
    account: Account,
    answer: str,
    challenge: bytes,
    name: str,
    clock: Callable[[], datetime],
) -> Passkey:
    """Keep the passkey that the browser made for the challenge; raises PasskeyError."""
    now = clock()
    found = _read(answer)
    try:
        made = webauthn.verify_registration_response(
            credential=found,
            expected_challenge=challenge,
            expected_rp_id=where.rp_id,
            expected_origin=where.origin,
            require_user_verification=True,
        )
    except _BROKEN as error:
        raise PasskeyError("login-key", account) from error
    if _elsewhere(found) or not 0 < len(made.credential_id) <= _LONGEST_ID:
        raise PasskeyError("login-key", account)
    if not await first_use(db, challenge, now):
        raise PasskeyError("login-key", account)
    given = found.get("response", {}).get("transports", [])
    transports = [each for each in given if each in _TRANSPORTS] if isinstance(given, list) else []
    async with db.transaction() as connection:
        await connection.execute("select 1 from account where id = $1 for update", account.id)
        row = await connection.fetchrow(
            """
            insert into passkey (id, account, name, public_key, sign_count, synced, transports,
                                 created)
            select $1, $2, $3, $4, $5, $6, $7, $8
            where (select count(*) from passkey where account = $2) < $9
            on conflict (id) do nothing returning *
            """,
            made.credential_id,
            account.id,
            passkey_name(name),
            made.credential_public_key,
            made.sign_count,
            made.credential_backed_up,
            sorted(set(transports)),
            now,
            MOST_PASSKEYS,
        )
    if row is None:
        raise PasskeyError("login-key", account)
    return _passkey(row)


async def check(
    db: Database,
    where: Place,
    key: bytes,
    answer: str,
    challenge: bytes,
    clock: Callable[[], datetime],
    account: str | None = None,
) -> Account:
    """The account whose passkey signed the challenge (of this account only, when one is named).

    Raises PasskeyError: for another origin or host, an unverified person, an unknown passkey, a
    challenge that was answered before, or a counter that went back, which a copied key would show.
    A locked account stays open to its passkeys: they cannot be guessed.
    """
    now = clock()
    found = _read(answer)
    try:
        identity = base64url_to_bytes(str(found["id"]))
    except _BROKEN as error:
        raise PasskeyError("login-key") from error
    row = await db.fetchrow(
        """
        select a.*, p.public_key, p.sign_count from passkey p join account a on a.id = p.account
        where p.id = $1
        """,
        identity,
    )
    if row is None:
        raise PasskeyError("login-key")
    whose = account_of(row)
    if not whose.active or account not in (None, whose.id):
        raise PasskeyError("login-key", whose)
    try:
        seen = webauthn.verify_authentication_response(
            credential=found,
            expected_challenge=challenge,
            expected_rp_id=where.rp_id,
            expected_origin=where.origin,
            credential_public_key=row["public_key"],
            credential_current_sign_count=0,  # looked at below, where two at once are told apart
            require_user_verification=True,
        )
        given = found["response"].get("userHandle")
        named = base64url_to_bytes(given) if given else None
    except _BROKEN as error:
        raise PasskeyError("login-key", whose) from error
    if _elsewhere(found) or (named is None and account is None):
        raise PasskeyError("login-key", whose)
    if named is not None and not hmac.compare_digest(named, handle(key, whose.id)):
        raise PasskeyError("login-key", whose)
    if not await first_use(db, challenge, now):
        raise PasskeyError("login-key", whose)
    # WebAuthn 7.2, step 21: an authenticator without a counter always says zero
    counted = await db.fetchval(
        """
        update passkey set sign_count = $2, used = $3, synced = $4
        where id = $1 and (sign_count < $2 or (sign_count = 0 and $2 = 0)) returning true
        """,
        identity,
        seen.new_sign_count % _COUNTED_TO,
        now,
        seen.credential_backed_up,
    )
    if not counted:
        raise PasskeyError("login-key-copied", whose)
    return whose


async def first_use(db: Database, challenge: bytes, now: datetime) -> bool:
    """Whether this challenge was never answered before; kept until it would have expired."""
    key = hashlib.sha256(b"webauthn\0" + challenge).digest()
    new = await db.fetchval(
        """
        insert into used_jti (jti_hash, expires) values ($1, $2)
        on conflict (jti_hash) do nothing returning true
        """,
        key,
        now + 2 * CHALLENGE_LIFE,
    )
    return bool(new)


async def passkeys_of(db: Database, account: str) -> list[Passkey]:
    """The passkeys of an account, the oldest first."""
    rows = await db.fetch(
        "select * from passkey where account = $1 order by created, id limit $2",
        account,
        MOST_PASSKEYS,
    )
    return [_passkey(row) for row in rows]


async def rename(db: Database, account: str, id: str, name: str) -> bool:
    """Give a passkey of the account another name; False when there is no such one."""
    return bool(
        await db.fetchval(
            "update passkey set name = $3 where account = $1 and id = $2 returning true",
            account,
            _identity(id),
            passkey_name(name),
        )
    )


async def remove(db: Database, account: str, id: str) -> bool:
    """Forget a passkey of the account, unless it is the last second factor; False when it stays."""
    async with db.transaction() as connection:
        await connection.execute("select 1 from account where id = $1 for update", account)
        return bool(
            await connection.fetchval(
                """
                delete from passkey where account = $1 and id = $2
                and (exists (select 1 from passkey o where o.account = $1 and o.id <> $2)
                     or exists (select 1 from account a where a.id = $1 and a.totp is not null))
                returning true
                """,
                account,
                _identity(id),
            )
        )


def passkey_name(name: str) -> str:
    """A name on one line, within bounds."""
    text = re.sub(r"\s+", " ", "".join(c for c in name if c.isprintable() or c.isspace())).strip()
    return text[:LONGEST_NAME] or "Passkey"


_BROKEN: Final = (
    WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError,
    IndexError, OverflowError, EOFError,
)  # fmt: skip


def _read(answer: str) -> dict[str, Any]:
    """The browser's answer as it is; raises PasskeyError for what is none."""
    try:
        found = orjson.loads(answer) if len(answer) <= LONGEST_ANSWER else None
    except (ValueError, RecursionError) as error:
        raise PasskeyError("login-key") from error
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise PasskeyError("login-key")
    return found


def _elsewhere(found: dict[str, Any]) -> bool:
    """Whether the page that asked stood within another site's page (WebAuthn 7.2, step 10)."""
    data = parse_client_data_json(base64url_to_bytes(found["response"]["clientDataJSON"]))
    return bool(data.cross_origin)


def _identity(id: str) -> bytes:
    try:
        return base64url_to_bytes(id[:2000])
    except ValueError:
        return b""


def _descriptor(row: Record) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(each) for each in row["transports"] if each in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=row["id"], transports=transports or None)


def _passkey(row: Record) -> Passkey:
    return Passkey(
        bytes_to_base64url(row["id"]), row["name"], row["synced"], row["created"], row["used"]
    )


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
