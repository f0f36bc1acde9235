"""Joins the shell to the accounts and sessions of `pater.access`; journals who came and went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from pater.access import accounts, login, sessions
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from pater.web.session import WebSession

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


class AccountLogins:
    """The shell's `Logins` over real accounts; an attempt is journaled before its answer."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        journal: Journal,
        clock: Callable[[], datetime],
        *,
        single_use_codes: bool = True,
    ) -> None:
        """`journal` writes entries durably (`Committer.journal_only`)."""
        self._db = db
        self._keys = keys
        self._journal = journal
        self._clock = clock
        self._single_use = single_use_codes

    async def password(
        self, login_name: str, password: str, source: str, request_id: str
    ) -> str | None:
        """First step: the account's id, or None; a refusal is journaled."""
        try:
            account = await login.check_password(self._db, login_name, password, self._clock)
        except login.LoginError as error:
            await self._note(error.account, error.reason, source, request_id)
            return None
        return account.id

    async def code(
        self, account: str, code: str, lang: str, source: str, request_id: str
    ) -> str | None:
        """Second step: the token of a new session, or None; both are journaled."""
        try:
            known = await login.check_code(
                self._db, self._keys, account, code, self._clock, single_use_codes=self._single_use
            )
        except login.LoginError as error:
            await self._note(error.account, error.reason, source, request_id)
            return None
        await self._note(known, "login", source, request_id)
        return await sessions.open_session(self._db, known, self._clock, lang=lang)

    async def read(self, token: str) -> WebSession | None:
        """The living session of a token."""
        session = await sessions.read_session(self._db, token, self._clock)
        if session is None:
            return None
        caller = sessions.caller_of(session)
        return WebSession(token, session.csrf, session.lang, caller, session.patient)

    async def end(self, token: str, source: str, request_id: str) -> None:
        """Ends a session and journals that its person left."""
        session = await sessions.read_session(self._db, token, self._clock)
        await sessions.end_session(self._db, token)
        if session is not None:
            await self._note(session.account, "logout", source, request_id)

    async def change(self, token: str, *, purpose: str, patient: str) -> None:
        """Sets the purpose of use and the opened patient; ValueError for a purpose not open."""
        await sessions.change_session(self._db, token, purpose=purpose, patient=patient)

    async def _note(
        self, account: accounts.Account | None, reason: str, source: str, request_id: str
    ) -> None:
        entry = sessions.login_entry(
            account, reason, clock=self._clock, source=source, request_id=request_id
        )
        await self._journal([entry])
