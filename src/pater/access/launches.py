"""One-time handles with which a page hands its patient to an app (SMART EHR launch)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pater.store.database import Database

LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Launch:
    """Who opened which app with which patient, and why."""

    app: str
    account: str
    purpose: str
    person: int
    patient: str


async def make(db: Database, launch: Launch, clock: Callable[[], datetime]) -> str:
    """A handle (256 random bits) that lives five minutes; the table keeps only its hash."""
    handle = secrets.token_urlsafe(32)
    await db.execute(
        """
        insert into app_launch (handle_hash, app, account, purpose, person, patient, expires)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        _hash(handle),
        launch.app,
        launch.account,
        launch.purpose,
        launch.person,
        launch.patient,
        clock() + LIFETIME,
    )
    return handle


async def read(
    db: Database, handle: str, app: str, account: str, clock: Callable[[], datetime]
) -> Launch | None:
    """The launch of a handle, for its own app and account only; it stays."""
    row = await db.fetchrow(
        """
        select * from app_launch
        where handle_hash = $1 and app = $2 and account = $3 and expires > $4
        """,
        _hash(handle),
        app,
        account,
        clock(),
    )
    if row is None:
        return None
    return Launch(row["app"], row["account"], row["purpose"], row["person"], row["patient"])


async def use(
    db: Database, handle: str, app: str, account: str, clock: Callable[[], datetime]
) -> Launch | None:
    """The same, and the handle is used up; of two at once one gets it."""
    row = await db.fetchrow(
        """
        delete from app_launch
        where handle_hash = $1 and app = $2 and account = $3 and expires > $4 returning *
        """,
        _hash(handle),
        app,
        account,
        clock(),
    )
    if row is None:
        return None
    return Launch(row["app"], row["account"], row["purpose"], row["person"], row["patient"])


def _hash(handle: str) -> bytes:
    return hashlib.sha256(handle.encode("utf-8", "replace")).digest()
