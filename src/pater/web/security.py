"""Joins the pages to how accounts prove themselves: passkeys, codes, passwords, sessions.

Every change and every refusal is journaled before its answer leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pater.access import (
    accounts,
    credentials,
    grants,
    login,
    passkeys,
    passwords,
    places,
    sessions,
    single_codes,
)
from pater.access.accounts import Account
from pater.access.caller import PASSWORD
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of a request beside who asks."""

    source: str
    request_id: str
    agent: str = ""  # the browser's own words
    lang: str = "cs"


class Locked(Exception):  # noqa: N818 (an answer, not an error of ours)
    """Too many attempts: nothing is looked at until `until`.

    `network` = it is the network address that is locked, not the login name.
    """

    def __init__(self, until: datetime, *, network: bool) -> None:
        super().__init__("locked for a while")
        self.until = until
        self.network = network


@dataclass(frozen=True, slots=True)
class Overview:
    """All that a person sees of how they log in."""

    factors: credentials.Factors
    passkeys: Sequence[passkeys.Passkey]
    sessions: Sequence[sessions.Listed]
    places: Sequence[places.Place]


class Security:
    """What the pages of login and account do; `place` is None where browsers have no passkeys."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        journal: Journal,
        clock: Callable[[], datetime],
        *,
        base_url: str = "",
        single_use_codes: bool = True,
    ) -> None:
        self._db = db
        self._keys = keys
        self._journal = journal
        self._clock = clock
        self._single_use = single_use_codes
        self._user_key = keys.derived("passkey users")
        self.place = passkeys.place(base_url)

    # -- coming in

    async def password(self, name: str, password: str, marks: Marks) -> Account | None:
        """The account of a right password, else None. Raises Locked."""
        try:
            return await login.check_password(
                self._db, name, password, self._clock, source=marks.source
            )
        except login.LoginError as error:
            await self._refused(error, marks)
            return None

    async def second(self, account: str, code: str, marks: Marks) -> tuple[Account, str] | None:
        """The account of a right second factor and the reason to journal, else None; Locked.

        Six digits are of the authenticator app, anything else is a code that works once.
        """
        single = single_codes.looks_like(code)
        try:
            if single:
                found = await login.check_single_code(
                    self._db, self._keys, account, code, self._clock, source=marks.source
                )
            else:
                found = await login.check_code(
                    self._db, self._keys, account, code, self._clock,
                    single_use_codes=self._single_use, source=marks.source,
                )  # fmt: skip
        except login.LoginError as error:
            await self._refused(error, marks)
            return None
        return found, "login-single-code" if single else "login"

    async def passkey(
        self, answer: str, challenge: bytes, marks: Marks, account: str | None = None
    ) -> Account | None:
        """The account whose passkey answered the challenge, else None."""
        if self.place is None:
            return None
        try:
            return await passkeys.check(
                self._db, self.place, self._user_key, answer, challenge, self._clock, account
            )
        except passkeys.PasskeyError as error:
            await self.note(error.account, error.reason, marks)
            return None

    async def enter(
        self, account: Account, reason: str, strength: int, marks: Marks, *, issuer: str = ""
    ) -> str:
        """The token of a new session, when the login was journaled.

        `issuer` is the provider who proved the person; "" = we did.
        """
        agent = places.browser(marks.agent)
        await self.note(account, reason, marks, query=f"issuer={issuer}" if issuer else "")
        if await places.arrived(self._db, account.id, marks.source, agent, self._clock()):
            await self.note(account, "login-new", marks)
        return await sessions.open_session(
            self._db, account, self._clock, lang=marks.lang, strength=strength,
            source=marks.source, agent=agent, issuer=issuer,
        )  # fmt: skip

    async def enter_by_password(self, account: str, marks: Marks) -> str | None:
        """A session that has shown a password only, for who has no second factor yet.

        None where there is one, or a code of an operator that waits, or the role wants two.
        """
        found = await accounts.find(self._db, account)
        if found is None or not sessions.may_begin(found.role, PASSWORD):
            return None
        has = await self.factors(account)
        if has.any or has.operator_code or has.codes.count:
            return None
        return await self.enter(found, "login", PASSWORD, marks)

    async def open_accounts(self, ids: Sequence[str]) -> tuple[Account, ...]:
        """Those of some accounts that are not locked."""
        found = await accounts.find_many(self._db, ids)
        return tuple(found[id] for id in ids if id in found and found[id].active)

    async def step_up(self, token: str, account: Account, marks: Marks) -> str | None:
        """The token under which a session goes on after a second factor was shown."""
        fresh = await sessions.prove(self._db, token, self._clock)
        if fresh is not None:
            await self.note(account, "step-up", marks)
        return fresh

    async def login_options(self, challenge: bytes, account: str | None = None) -> str:
        """What the browser is asked to sign; an empty text where there are no passkeys."""
        if self.place is None:
            return ""
        return await passkeys.login_options(self._db, self.place, challenge, account)

    # -- looking after it

    async def factors(self, account: str) -> credentials.Factors:
        """What second factors the account has."""
        return await credentials.factors(self._db, account, self._clock())

    async def overview(self, account: str, token: str) -> Overview:
        """All of an account's credentials, sessions and places."""
        return Overview(
            await self.factors(account),
            await passkeys.passkeys_of(self._db, account),
            await sessions.sessions_of(self._db, account, token, self._clock),
            await places.places_of(self._db, account),
        )

    async def registration_options(self, account: str, challenge: bytes) -> str:
        """What the browser is asked to make; an empty text where there are no passkeys."""
        found = await accounts.find(self._db, account)
        if self.place is None or found is None:
            return ""
        user = passkeys.handle(self._user_key, account)
        return await passkeys.registration_options(self._db, self.place, found, user, challenge)

    async def add_passkey(
        self, account: str, answer: str, challenge: bytes, name: str, marks: Marks
    ) -> bool:
        """Keep a passkey that was made; False when it is not accepted."""
        found = await accounts.find(self._db, account)
        if self.place is None or found is None:
            return False
        try:
            await passkeys.register(
                self._db, self.place, found, answer, challenge, name, self._clock
            )
        except passkeys.PasskeyError:
            return False
        await self.note(found, "passkey-added", marks)
        return True

    async def rename_passkey(self, account: str, id: str, name: str, marks: Marks) -> bool:
        """Give a passkey another name."""
        return await self._done(
            await passkeys.rename(self._db, account, id, name), account, "passkey-renamed", marks
        )

    async def remove_passkey(self, account: str, id: str, marks: Marks) -> bool:
        """Forget a passkey; False when it is the last second factor, or unknown."""
        return await self._done(
            await passkeys.remove(self._db, account, id), account, "passkey-removed", marks
        )

    async def new_codes(self, account: str, marks: Marks) -> list[str]:
        """Ten new recovery codes; the old ones are void."""
        codes = await single_codes.renew(self._db, self._keys, account, self._clock())
        await self._done(True, account, "codes-made", marks)
        return codes

    async def set_totp(self, account: str, secret: str, code: str, marks: Marks) -> bool:
        """Set the authenticator app up; False when the code is not of it."""
        done = await credentials.set_totp(
            self._db, self._keys, account, secret, code, self._clock()
        )
        return await self._done(done, account, "totp-set", marks)

    async def set_password(
        self, account: str, old: str, new: str, token: str, marks: Marks
    ) -> passwords.Fault | str | None:
        """Change the password and end the other sessions. None when done, else what is wrong:
        `old` for the present password, or a fault of the new one. Raises Locked.
        """
        found = await accounts.find(self._db, account)
        if found is None or await self.password(found.login, old, marks) is None:
            return "old"
        fault = passwords.fault(new, found.login, found.name)
        if fault is not None:
            return fault
        await credentials.set_password(self._db, account, new, self._clock())
        await sessions.end_others(self._db, account, token)
        # who knew the old password may have let an app in
        await grants.end_all(self._db, account, self._clock())
        await self.note(found, "password-changed", marks)
        return None

    async def end_session(self, account: str, id: str, marks: Marks) -> bool:
        """End one session of the account."""
        try:
            name = UUID(id)
        except ValueError:
            return False
        done = await sessions.end_listed(self._db, account, name)
        return await self._done(done, account, "session-ended", marks)

    async def end_others(self, account: str, token: str, marks: Marks) -> None:
        """End all sessions of the account but this one."""
        done = await sessions.end_others(self._db, account, token) > 0
        await self._done(done, account, "sessions-ended", marks)

    # -- the journal

    async def note(
        self, account: Account | None, reason: str, marks: Marks, *, query: str = ""
    ) -> None:
        """Write one entry durably."""
        entry = sessions.login_entry(
            account, reason, clock=self._clock, source=marks.source, request_id=marks.request_id
        )
        await self._journal([replace(entry, query=query) if query else entry])

    async def _done(self, done: bool, account: str, reason: str, marks: Marks) -> bool:
        if done:
            await self.note(await accounts.find(self._db, account), reason, marks)
        return done

    async def _refused(self, error: login.LoginError, marks: Marks) -> None:
        await self.note(error.account, error.reason, marks)
        if error.until is not None:
            raise Locked(error.until, network=error.reason == "login-source") from error
