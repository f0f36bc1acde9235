"""What people allowed their apps: codes, changing refresh tokens, the list, and the end of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID, uuid4

from pater.access.app_scopes import OFFLINE, ONLINE
from pater.store.database import Database, Record

CODE_LIFETIME: Final = timedelta(seconds=60)
OFFLINE_LIFETIME: Final = timedelta(days=365)
ONLINE_LIFETIME: Final = timedelta(hours=12)  # that of the longest session
WITHOUT_REFRESH: Final = timedelta(minutes=10)  # longer than an access token lives
# How long an ended grant is kept, so that what was stolen is still known as stolen.
KEPT: Final = timedelta(days=30)
MOST_SHOWN: Final = 200
_PURGED_AT_ONCE: Final = 1000
_MAC: Final = 32  # bytes
_REFRESH_BYTES: Final = 16 + 4 + _MAC
_LONGEST_CODE: Final = 100

CodeProblem = Literal["unknown", "replayed", "late", "other-app", "other-redirect", "verifier"]


class CodeError(Exception):
    """A code or a refresh token is not accepted; `problem` is for the journal, not for the app."""

    def __init__(self, problem: CodeProblem, grant: Grant | None = None) -> None:
        super().__init__("the code or token is not valid (any more)")
        self.problem = problem
        self.grant = grant


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person agreed to; see the columns of `app_grant`."""

    app: str
    account: str
    session: str  # the token of the session in which it happened
    scopes: tuple[str, ...]
    purpose: str
    strength: int
    person: int | None
    patient: str
    launched: bool
    nonce: str
    logged_in: datetime
    redirect_uri: str
    challenge: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One agreement of a person with an app; what it was and what became of it."""

    id: UUID
    app: str
    account: str
    session: bytes | None
    scopes: tuple[str, ...]
    purpose: str
    strength: int
    person: int | None
    patient: str
    launched: bool
    nonce: str
    logged_in: datetime
    redeemed: bool
    turn: int
    created: datetime
    used: datetime
    until: datetime
    ended: datetime | None

    def redeemed_at(self, turn: int) -> bool:
        """Whether its code was used and this is its present turn."""
        return self.redeemed and self.turn == turn

    @property
    def refreshable(self) -> bool:
        """Whether the app gets refresh tokens."""
        return OFFLINE in self.scopes or ONLINE in self.scopes


async def allow(db: Database, wish: Wish, clock: Callable[[], datetime]) -> str:
    """Write down what a person agreed to; gives the authorization code (256 random bits)."""
    code, now = secrets.token_urlsafe(32), clock()
    online = OFFLINE not in wish.scopes and ONLINE in wish.scopes
    life = (
        OFFLINE_LIFETIME
        if OFFLINE in wish.scopes
        else (ONLINE_LIFETIME if online else WITHOUT_REFRESH)
    )
    await db.execute(
        """
        insert into app_grant (id, app, account, session, scopes, purpose, strength, person,
                               patient, launched, nonce, logged_in, code_hash, code_until,
                               redeemed, redirect_uri, challenge, turn, created, used, until)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, false, $15, $16, 0,
                $17, $17, $18)
        """,
        uuid4(),
        wish.app,
        wish.account,
        _hash(wish.session) if online else None,
        list(wish.scopes),
        wish.purpose,
        wish.strength,
        wish.person,
        wish.patient,
        wish.launched,
        wish.nonce,
        wish.logged_in,
        _hash(code),
        now + CODE_LIFETIME,
        wish.redirect_uri,
        wish.challenge,
        now,
        now + life,
    )
    return code


async def redeem(
    db: Database,
    code: str,
    app: str,
    redirect_uri: str,
    verifier: str,
    clock: Callable[[], datetime],
) -> Grant:
    """The grant of a code that its app brings for the first time; raises CodeError.

    A code that comes again ends what it gave (RFC 6749, 4.1.2), whoever brings it. One that
    another app brings, or that comes without its verifier or address, has leaked: it is used up.
    """
    if not 0 < len(code) <= _LONGEST_CODE:
        raise CodeError("unknown")
    now = clock()
    row = await db.fetchrow(
        """
        update app_grant set redeemed = true, used = $2
        where code_hash = $1 and not redeemed and ended is null returning *
        """,
        _hash(code),
        now,
    )
    if row is None:
        found = await db.fetchrow("select * from app_grant where code_hash = $1", _hash(code))
        if found is None:
            raise CodeError("unknown")
        await end(db, found["id"], now)
        raise CodeError("replayed", _grant(found))
    problem: CodeProblem | None = None
    if row["app"] != app:
        problem = "other-app"
    elif row["redirect_uri"] != redirect_uri:
        problem = "other-redirect"
    elif not _verifies(verifier, row["challenge"]):
        problem = "verifier"
    elif row["code_until"] <= now:
        problem = "late"
    if problem:
        await end(db, row["id"], now)
        raise CodeError(problem, _grant(row))
    return _grant(row)


async def refresh(
    db: Database, key: bytes, token: str, app: str, clock: Callable[[], datetime]
) -> Grant:
    """The grant of a refresh token, whose next token is due; raises CodeError.

    A token that was changed already ends the grant (RFC 9700, 4.14.2): two hold it. An online
    grant is alive while its session is.
    """
    read = read_refresh(key, token)
    if read is None:
        raise CodeError("unknown")
    id, turn = read
    now = clock()
    row = await db.fetchrow(
        """
        update app_grant g set turn = turn + 1, used = $4
        where id = $1 and turn = $2 and app = $3 and redeemed and ended is null and until > $4
        and (session is null or exists (
            select 1 from session s
            where s.token_hash = g.session and s.expires > $4))
        returning *
        """,
        id,
        turn,
        app,
        now,
    )
    if row is not None:
        return _grant(row)
    found = await find(db, id)
    if found is None:
        raise CodeError("unknown")
    if found.app != app:
        raise CodeError("other-app", found)
    if turn < found.turn:
        await end(db, id, now)
        raise CodeError("replayed", found)
    raise CodeError("late", found)


def refresh_token(key: bytes, grant: Grant) -> str:
    """The refresh token of the grant's present turn: its number under a MAC, kept nowhere."""
    text = grant.id.bytes + grant.turn.to_bytes(4)
    return base64.urlsafe_b64encode(text + _mac(key, text)).rstrip(b"=").decode()


def read_refresh(key: bytes, token: str) -> tuple[UUID, int] | None:
    """The grant and the turn of a refresh token of ours, used up or not; None for another."""
    try:
        raw = base64.b64decode(token.encode("ascii") + b"==", b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    text, mac = raw[:-_MAC], raw[-_MAC:]
    if len(raw) != _REFRESH_BYTES or not hmac.compare_digest(mac, _mac(key, text)):
        return None
    return UUID(bytes=text[:16]), int.from_bytes(text[16:])


async def find(db: Database, id: UUID) -> Grant | None:
    """The grant of an id, ended or not."""
    row = await db.fetchrow("select * from app_grant where id = $1", id)
    return None if row is None else _grant(row)


async def of_account(db: Database, account: str, clock: Callable[[], datetime]) -> Sequence[Grant]:
    """What an account allows its apps now, newest first (at most 200)."""
    now = clock()
    rows = await db.fetch(
        """
        select * from app_grant g
        where account = $1 and ended is null and redeemed and until > $2
        and (session is null or exists (
            select 1 from session s
            where s.token_hash = g.session and s.expires > $2))
        order by created desc, id limit $3
        """,
        account,
        now,
        MOST_SHOWN,
    )
    return [_grant(row) for row in rows]


async def end(db: Database, id: UUID, now: datetime, account: str | None = None) -> bool:
    """End a grant (of this account only, when one is named); False when it had ended before."""
    return bool(
        await db.fetchval(
            """
            update app_grant set ended = $2
            where id = $1 and ended is null and ($3::text is null or account = $3) returning true
            """,
            id,
            now,
            account,
        )
    )


async def end_all(db: Database, account: str, now: datetime) -> int:
    """End all that an account allowed its apps; gives how many that were."""
    rows = await db.fetch(
        "update app_grant set ended = $2 where account = $1 and ended is null returning id",
        account,
        now,
    )
    return len(rows)


async def ended_since(db: Database, since: datetime, most: int) -> Sequence[Record]:
    """`id` and `ended` of what ended since then, newest first."""
    return await db.fetch(
        "select id, ended from app_grant where ended >= $1 order by ended desc limit $2",
        since,
        most,
    )


async def purge(db: Database, clock: Callable[[], datetime]) -> None:
    """Remove grants and launch handles that have been over for long."""
    now = clock()
    await db.execute("delete from app_launch where expires <= $1", now)
    while True:
        gone = await db.fetch(
            """
            delete from app_grant where id in (
                select id from app_grant where until <= $1 order by until limit $2)
            returning 1
            """,
            now - KEPT,
            _PURGED_AT_ONCE,
        )
        if len(gone) < _PURGED_AT_ONCE:
            return


def _verifies(verifier: str, challenge: str) -> bool:
    """PKCE, S256 (RFC 7636, section 4.6)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return 43 <= len(verifier) <= 128 and hmac.compare_digest(made, challenge.encode())


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _grant(row: Record) -> Grant:
    return Grant(
        id=row["id"],
        app=row["app"],
        account=row["account"],
        session=row["session"],
        scopes=tuple(row["scopes"]),
        purpose=row["purpose"],
        strength=row["strength"],
        person=row["person"],
        patient=row["patient"],
        launched=row["launched"],
        nonce=row["nonce"],
        logged_in=row["logged_in"],
        redeemed=row["redeemed"],
        turn=row["turn"],
        created=row["created"],
        used=row["used"],
        until=row["until"],
        ended=row["ended"],
    )
