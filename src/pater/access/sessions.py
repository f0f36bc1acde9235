"""Sessions of people who logged in: a random token in the browser, only its hash in the table."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pater.access import audit
from pater.access.accounts import Account, account_of
from pater.access.caller import PASSWORD, TWO_FACTORS, Caller
from pater.access.policy import ROLE_PURPOSES, ROLE_SCOPES
from pater.store.database import Database, Record
from pater.store.journal import JournalEntry

IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
# A look at a page keeps the session alive; it is written down at most this often.
_TOUCH: Final = timedelta(minutes=1)
_TOKEN_BYTES: Final = 32
_LONGEST_TOKEN: Final = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A living session.

    `strength` is that of the login (see `caller`), `purpose` the chosen purpose of use, `patient`
    the Patient id that a professional has opened, `csrf` the secret of the session's forms.
    """

    account: Account
    created: datetime
    expires: datetime
    strength: int
    purpose: str
    patient: str
    csrf: str
    lang: str


async def open_session(
    db: Database, account: Account, clock: Callable[[], datetime], *, lang: str
) -> str:
    """A new session for an account whose login was checked; gives its token (256 random bits).

    An account with a one-time-code secret has proved two factors. A role with one purpose of use
    starts with it, any other chooses.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = clock()
    purposes = ROLE_PURPOSES[account.role]
    await db.execute(
        """
        insert into session (token_hash, account, created, seen, expires, strength, purpose,
                             patient, csrf, lang)
        values ($1, $2, $3, $3, $4, $5, $6, '', $7, $8)
        """,
        _hash(token),
        account.id,
        now,
        now + LONGEST,
        TWO_FACTORS if account.two_factors else PASSWORD,
        purposes[0] if len(purposes) == 1 else "",
        secrets.token_urlsafe(_TOKEN_BYTES),
        lang,
    )
    return token


async def read_session(db: Database, token: str, clock: Callable[[], datetime]) -> Session | None:
    """The living session of a token, kept alive by this look; None when it ended, idled for 30
    minutes, is older than 12 hours, or its account is closed.
    """
    if not 0 < len(token) <= _LONGEST_TOKEN:
        return None
    now = clock()
    key = _hash(token)
    row = await db.fetchrow(
        """
        select a.*, s.created as session_created, s.seen, s.expires, s.strength, s.purpose,
               s.patient as opened, s.csrf, s.lang
        from session s join account a on a.id = s.account
        where s.token_hash = $1 and s.expires > $2 and s.seen > $3 and a.active
        """,
        key,
        now,
        now - IDLE,
    )
    if row is None:
        return None
    if now - row["seen"] >= _TOUCH:
        await db.execute(
            "update session set seen = $2 where token_hash = $1 and seen < $2", key, now
        )
    return _session(row)


async def change_session(db: Database, token: str, *, purpose: str, patient: str) -> None:
    """Set the purpose of use and the opened patient; raises ValueError for a purpose that the
    account's role has not. A session that has ended is no error.
    """
    key = _hash(token)
    role = await db.fetchval(
        "select a.role from session s join account a on a.id = s.account where s.token_hash = $1",
        key,
    )
    if role is None:
        return
    if purpose and purpose not in ROLE_PURPOSES[role]:
        raise ValueError("this purpose of use is not open to the role")
    await db.execute(
        "update session set purpose = $2, patient = $3 where token_hash = $1",
        key,
        purpose,
        patient,
    )


async def end_session(db: Database, token: str) -> None:
    """End a session; an unknown token is no error."""
    await db.execute("delete from session where token_hash = $1", _hash(token))


async def purge_sessions(db: Database, clock: Callable[[], datetime]) -> None:
    """Remove the sessions that have ended by themselves."""
    now = clock()
    await db.execute("delete from session where expires <= $1 or seen <= $2", now, now - IDLE)


def caller_of(session: Session) -> Caller:
    """The caller behind a session, without the marks of one request."""
    return account_caller(session.account, strength=session.strength, purpose=session.purpose)


def account_caller(account: Account, *, strength: int, purpose: str) -> Caller:
    """The caller that an account is, with the scopes of its role."""
    return Caller(
        kind="person",
        id=account.id,
        name=account.name,
        role=account.role,
        organization=account.organization,
        organization_name=account.organization_name,
        purpose=purpose,
        strength=strength,
        scopes=ROLE_SCOPES[account.role],
        person=account.person,
        patient=account.patient,
        practitioner=account.practitioner,
    )


def login_entry(
    account: Account | None,
    reason: str,
    *,
    clock: Callable[[], datetime],
    source: str,
    request_id: str,
) -> JournalEntry:
    """The journal entry of a login (`reason` login), a logout (logout) or a `LoginError.reason`.

    Somebody unknown is written without the login name: people type passwords into that field.
    """
    known = (
        account_caller(account, strength=PASSWORD, purpose="")
        if account
        else Caller(kind="person", id="", name="", role="")
    )
    caller = replace(known, source=source, request_id=request_id)
    done = reason in ("login", "logout")
    return audit.entry(
        caller,
        "E",
        reason if done else "login",
        audit.OK if done else audit.MINOR_FAILURE,
        clock=clock,
        reason=reason,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _session(row: Record) -> Session:
    return Session(
        account=account_of(row),
        created=row["session_created"],
        expires=row["expires"],
        strength=row["strength"],
        purpose=row["purpose"],
        patient=row["opened"],
        csrf=row["csrf"],
        lang=row["lang"],
    )
