"""Sessions of people who logged in: a random token in the browser, only its hash in the table."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pater.access import audit
from pater.access.accounts import Account, account_of
from pater.access.caller import PASSWORD, TWO_FACTORS, Caller
from pater.access.policy import ROLE_PURPOSES, ROLE_SCOPES
from pater.access.representation import ACTING
from pater.store.database import Database, Record
from pater.store.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lives without a look, and how long at most."""

    idle: timedelta
    longest: timedelta


def _minutes(idle: int, longest: int) -> Limits:
    return Limits(timedelta(minutes=idle), timedelta(minutes=longest))


# By role and strength of the login. A role that is not in it with strength 1 has no session
# before the second factor was shown.
LIMITS: Final[dict[tuple[str, int], Limits]] = {
    ("patient", PASSWORD): _minutes(10, 60),
    ("patient", TWO_FACTORS): _minutes(30, 8 * 60),
    ("clinician", PASSWORD): _minutes(10, 60),
    ("clinician", TWO_FACTORS): _minutes(30, 12 * 60),
    ("rescue", TWO_FACTORS): _minutes(30, 12 * 60),
    ("khs", TWO_FACTORS): _minutes(15, 8 * 60),
    ("insurer", TWO_FACTORS): _minutes(15, 8 * 60),
    ("privacy-officer", TWO_FACTORS): _minutes(15, 4 * 60),
    ("auditor", TWO_FACTORS): _minutes(15, 4 * 60),
    ("administrator", TWO_FACTORS): _minutes(15, 4 * 60),
    ("registrar", TWO_FACTORS): _minutes(15, 8 * 60),
    ("researcher", TWO_FACTORS): _minutes(15, 4 * 60),
    ("loader", TWO_FACTORS): _minutes(15, 4 * 60),
    ("provider-system", TWO_FACTORS): _minutes(15, 4 * 60),
    ("none", TWO_FACTORS): _minutes(15, 60),
}
_OTHERWISE: Final = _minutes(5, 30)
IDLE: Final = max(each.idle for each in LIMITS.values())
# For acts that change how somebody logs in, a second factor shown this long ago is enough.
PROVED_FOR: Final = timedelta(minutes=10)
MOST_SHOWN: Final = 50
# A look at a page keeps the session alive; it is written down at most this often.
_TOUCH: Final = timedelta(minutes=1)
_TOKEN_BYTES: Final = 32
_LONGEST_TOKEN: Final = 200


@dataclass(frozen=True, slots=True)
class Acting:
    """For whom a session acts: the representation, the represented, and their name."""

    id: str
    person: int
    patient: str
    name: str


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
    proved: datetime | None = None  # when a second factor was last shown
    issuer: str = ""  # the provider who proved the person; "" = we did
    acting: Acting | None = None  # None = for themselves

    def freshly_proved(self, now: datetime) -> bool:
        """Whether a second factor was shown a short while ago."""
        return self.proved is not None and now - self.proved < PROVED_FOR


@dataclass(frozen=True, slots=True)
class Listed:
    """A living session as its person sees it; `id` is a name, not the token."""

    id: str
    created: datetime
    seen: datetime
    source: str
    agent: str
    strength: int
    current: bool


def limits(role: str, strength: int) -> Limits:
    """How long a session of this role and strength lives."""
    return LIMITS.get((role, strength), _OTHERWISE)


def may_begin(role: str, strength: int) -> bool:
    """Whether the role has sessions of this strength at all."""
    return (role, strength) in LIMITS


async def open_session(
    db: Database,
    account: Account,
    clock: Callable[[], datetime],
    *,
    lang: str,
    strength: int | None = None,
    source: str = "",
    agent: str = "",
    issuer: str = "",
) -> str:
    """A new session for an account whose login was checked; gives its token (256 random bits).

    Without a `strength`, an account with a one-time-code secret has proved two factors. A role
    with one purpose of use starts with it, any other chooses. `agent` is the browser in a few
    words.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = clock()
    purposes = ROLE_PURPOSES[account.role]
    if strength is None:
        strength = TWO_FACTORS if account.two_factors else PASSWORD
    await db.execute(
        """
        insert into session (token_hash, account, created, seen, expires, strength, purpose,
                             patient, csrf, lang, proved, source, agent, issuer)
        values ($1, $2, $3, $3, $4, $5, $6, '', $7, $8, $9, $10, $11, $12)
        """,
        _hash(token),
        account.id,
        now,
        now + limits(account.role, strength).longest,
        strength,
        purposes[0] if len(purposes) == 1 else "",
        secrets.token_urlsafe(_TOKEN_BYTES),
        lang,
        now if strength >= TWO_FACTORS else None,
        source,
        agent,
        issuer,
    )
    return token


async def prove(db: Database, token: str, clock: Callable[[], datetime]) -> str | None:
    """A second factor was shown within a living session: gives the token that it goes on under.

    A session that gets stronger gets a new token (whoever knew the old one has nothing); None
    when it has ended meanwhile.
    """
    session = await read_session(db, token, clock)
    if session is None:
        return None
    now = clock()
    if session.strength >= TWO_FACTORS:
        await db.execute("update session set proved = $2 where token_hash = $1", _hash(token), now)
        return token
    fresh = secrets.token_urlsafe(_TOKEN_BYTES)
    until = session.created + limits(session.account.role, TWO_FACTORS).longest
    changed = await db.fetchval(
        """
        update session
        set token_hash = $2, csrf = $3, strength = $4, proved = $5, expires = $6
        where token_hash = $1 returning true
        """,
        _hash(token),
        _hash(fresh),
        secrets.token_urlsafe(_TOKEN_BYTES),
        TWO_FACTORS,
        now,
        until,
    )
    return fresh if changed else None


async def sessions_of(
    db: Database, account: str, token: str, clock: Callable[[], datetime]
) -> list[Listed]:
    """The living sessions of an account, the last used first; `token` tells which is the asker's.

    At most 50, of which the asker's is one.
    """
    now = clock()
    rows = await db.fetch(
        """
        select s.id, s.created, s.seen, s.source, s.agent, s.strength, a.role,
               s.token_hash = $2 as current
        from session s join account a on a.id = s.account
        where s.account = $1 and s.expires > $3 and s.seen > $4
        order by s.token_hash = $2 desc, s.seen desc limit $5
        """,
        account,
        _hash(token),
        now,
        now - IDLE,
        MOST_SHOWN,
    )
    return [
        Listed(
            str(row["id"]), row["created"], row["seen"], row["source"], row["agent"],
            row["strength"], row["current"],
        )
        for row in rows
        if row["seen"] > now - limits(row["role"], row["strength"]).idle
    ]  # fmt: skip


async def end_listed(db: Database, account: str, id: UUID) -> bool:
    """End one session of the account by its name; False when there is none (any more)."""
    return bool(
        await db.fetchval(
            "delete from session where account = $1 and id = $2 returning true", account, id
        )
    )


async def end_others(db: Database, account: str, token: str) -> int:
    """End every session of the account but the one of `token` ("" = all); gives their number."""
    rows = await db.fetch(
        "delete from session where account = $1 and token_hash <> $2 returning id",
        account,
        _hash(token),
    )
    return len(rows)


async def read_session(db: Database, token: str, clock: Callable[[], datetime]) -> Session | None:
    """The living session of a token, kept alive by this look; None when it ended, idled or lived
    longer than its `limits`, or its account is closed.
    """
    if not 0 < len(token) <= _LONGEST_TOKEN:
        return None
    now = clock()
    key = _hash(token)
    row = await db.fetchrow(
        """
        select a.*, s.created as session_created, s.seen, s.expires, s.strength, s.purpose,
               s.patient as opened, s.csrf, s.lang, s.proved, s.issuer,
               r.id as acting, r.person as acting_person, r.patient as acting_patient,
               r.person_name as acting_name
        from session s join account a on a.id = s.account
        left join representation r
          on r.id = s.acting and r.agent = a.person and a.role = 'patient'
          and r.ended is null and r.since <= $2 and r.until > $2
        where s.token_hash = $1 and s.expires > $2 and s.seen > $3 and a.active
        """,
        key,
        now,
        now - IDLE,
    )
    if row is None or row["seen"] <= now - limits(row["role"], row["strength"]).idle:
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


async def act_for(db: Database, token: str, representation: str) -> None:
    """From now on the session acts under a representation ("" = for its own person).

    One that is not the person's, or does not hold, gives nothing: the session stays at their own
    record. A session that has ended is no error.
    """
    await db.execute(
        "update session set acting = $2 where token_hash = $1", _hash(token), representation
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
    own = account_caller(session.account, strength=session.strength, purpose=session.purpose)
    acting = session.acting
    if acting is None:
        return own
    return replace(
        own,
        role=ACTING,
        scopes=ROLE_SCOPES[ACTING],
        person=acting.person,
        patient=acting.patient,
        acting=acting.id,
        acting_for=acting.name,
    )


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


# What is no refusal, and as which interaction it stands in the journal.
_DONE: Final = {
    "login": "login",
    "login-new": "login",
    "login-passkey": "login",
    "login-federated": "login",
    "login-linked": "security",
    "login-single-code": "login",
    "step-up": "login",
    "logout": "logout",
    "session-ended": "logout",
    "sessions-ended": "logout",
    "password-changed": "security",
    "passkey-added": "security",
    "passkey-renamed": "security",
    "passkey-removed": "security",
    "totp-set": "security",
    "codes-made": "security",
    "account-added": "security",
    "account-locked": "security",
    "account-unlocked": "security",
    "account-reset": "security",
    "account-numbered": "security",
}


def login_entry(
    account: Account | None,
    reason: str,
    *,
    clock: Callable[[], datetime],
    source: str,
    request_id: str,
) -> JournalEntry:
    """The journal entry of a coming or going, of a change in how somebody logs in, or of a
    refusal (`LoginError.reason`).

    Somebody unknown is written without the login name: people type passwords into that field.
    """
    known = (
        account_caller(account, strength=PASSWORD, purpose="")
        if account
        else Caller(kind="person", id="", name="", role="")
    )
    caller = replace(known, source=source, request_id=request_id)
    return audit.entry(
        caller,
        "E",
        _DONE.get(reason, "login"),
        audit.OK if reason in _DONE else audit.MINOR_FAILURE,
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
        proved=row["proved"],
        issuer=row["issuer"],
        acting=Acting(
            row["acting"], row["acting_person"], row["acting_patient"], row["acting_name"]
        )
        if row["acting"]
        else None,
    )
