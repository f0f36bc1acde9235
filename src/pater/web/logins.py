"""Joins the shell to the accounts and sessions of `pater.access`; journals who came and went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pater.access import sessions
from pater.access.caller import TWO_FACTORS
from pater.access.employed import Employed, as_written
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from pater.web.security import Marks, Security
from pater.web.session import WebSession

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


class AccountLogins:
    """The shell's `Logins` over real accounts; an attempt is journaled before its answer.

    `security` is the rest of what people do with their accounts.
    """

    def __init__(
        self,
        db: Database,
        keys: Keys,
        journal: Journal,
        clock: Callable[[], datetime],
        *,
        single_use_codes: bool = True,
        base_url: str = "",
        employed: Employed = as_written,
    ) -> None:
        """`journal` writes entries durably (`Committer.journal_only`).

        `base_url` is the public address, to which passkeys are bound. `employed` knows whether a
        professional still works where the account says.
        """
        self._db = db
        self._employed = employed
        self._clock = clock
        self.security = Security(
            db, keys, journal, clock, base_url=base_url, single_use_codes=single_use_codes
        )

    async def password(
        self, login_name: str, password: str, source: str, request_id: str
    ) -> str | None:
        """First step: the account's id, or None; a refusal is journaled. Raises Locked."""
        account = await self.security.password(login_name, password, Marks(source, request_id))
        return account.id if account else None

    async def code(
        self, account: str, code: str, lang: str, source: str, request_id: str, agent: str = ""
    ) -> str | None:
        """Second step: the token of a new session, or None; both are journaled. Raises Locked."""
        marks = Marks(source, request_id, agent, lang)
        found = await self.security.second(account, code, marks)
        if found is None:
            return None
        return await self.security.enter(found[0], found[1], TWO_FACTORS, marks)

    async def read(self, token: str) -> WebSession | None:
        """The living session of a token; it ends when its person's employment has ended."""
        session = await sessions.read_session(self._db, token, self._clock)
        if session is None:
            return None
        account = await self._employed(session.account)
        if account is None:
            await sessions.end_session(self._db, token)
            await self.security.note(session.account, "employment-ended", Marks("", ""))
            return None
        if account is not session.account:
            session = replace(session, account=account)
        return WebSession(
            token,
            session.csrf,
            session.lang,
            sessions.caller_of(session),
            session.patient,
            session.freshly_proved(self._clock()),
            session.issuer,
        )

    async def end(self, token: str, source: str, request_id: str) -> None:
        """Ends a session and journals that its person left."""
        session = await sessions.read_session(self._db, token, self._clock)
        await sessions.end_session(self._db, token)
        if session is not None:
            await self.security.note(session.account, "logout", Marks(source, request_id))

    async def change(self, token: str, *, purpose: str, patient: str) -> None:
        """Sets the purpose of use and the opened patient; ValueError for a purpose not open."""
        await sessions.change_session(self._db, token, purpose=purpose, patient=patient)
