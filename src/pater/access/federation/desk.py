"""A login by another provider from its beginning to the accounts that the person may enter by."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from pater.access.accounts import Account
from pater.access.federation import identities, issuers
from pater.access.federation.errors import FederationError
from pater.access.federation.issuers import BIRTH_NUMBER, PROFESSIONAL, RID, Issuer
from pater.access.federation.provider import Providers
from pater.access.federation.tokens import Expected
from pater.store.database import Database
from pater.trust.keys import Keys

LONGEST_CODE: Final = 4096
_LONGEST_CLAIM: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider's claims mean, as it says it; "" = it says nothing of that."""

    rid: str = ""
    birth_number: str = ""
    professional: str = ""
    given: str = ""
    family: str = ""
    birth_date: str = ""
    name: str = ""

    @property
    def whole_name(self) -> str:
        """A name to show."""
        return self.name or f"{self.given} {self.family}".strip()


@dataclass(frozen=True, slots=True)
class Registered:
    """A person of the register: compartment number, Patient id, name."""

    person: int
    patient: str
    name: str


# Whom of the register somebody is, exactly; None for nobody. Raises FederationError when name or
# birth date are not theirs.
Finder = Callable[[Person], Awaitable[Registered | None]]


@dataclass(frozen=True, slots=True)
class Begun:
    """What only the browser that began a login knows, until the provider sends it back."""

    issuer: str
    state: str
    nonce: str
    verifier: str
    since: int  # Unix time
    again: bool  # the person has to be asked, whoever they are there already


@dataclass(frozen=True, slots=True)
class Proved:
    """Somebody whom a provider proved, and by which accounts they may enter.

    `registered` is set when a patient's account would have to be opened first.
    """

    issuer: Issuer
    subject: str
    strength: int
    accounts: tuple[Account, ...]
    registered: Registered | None = None


class Federation:
    """What the pages of login ask; it keeps nothing between two requests but what is public."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        providers: Providers,
        base_url: str,
        clock: Callable[[], datetime],
        finder: Finder,
    ) -> None:
        self._db = db
        self._keys = keys
        self._providers = providers
        self._base = base_url
        self._clock = clock
        self._finder = finder

    async def offered(self) -> list[Issuer]:
        """The providers that a login page names."""
        return await issuers.every(self._db, self._keys)

    async def of_account(self, account: str) -> list[Issuer]:
        """The providers that an account is known by."""
        known = set(await identities.issuers_of(self._db, account))
        return [issuer for issuer in await self.offered() if issuer.id in known] if known else []

    async def begin(self, id: str, lang: str, *, again: bool = False) -> tuple[str, Begun]:
        """Where to send the browser, and what it has to bring back. Raises FederationError."""
        issuer = await self._issuer(id)
        begun = Begun(
            id,
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            int(self._clock().timestamp()),
            again,
        )
        digest = hashlib.sha256(begun.verifier.encode()).digest()
        address = await self._providers.authorization(
            issuer,
            back=self._back(id),
            state=begun.state,
            nonce=begun.nonce,
            challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            lang=lang,
            again=again,
        )
        return address, begun

    async def finish(self, begun: Begun, answer: Mapping[str, str]) -> Proved:
        """Who came back, by the parameters of the answer. Raises FederationError."""
        issuer = await self._issuer(begun.issuer)
        state = answer.get("state", "")
        if not hmac.compare_digest(state.encode("utf-8", "replace"), begun.state.encode()):
            raise FederationError("late", "state is another one")
        metadata = await self._providers.metadata(issuer)
        # which provider answered (RFC 9207): another one must not be taken for this one
        if answer.get("iss", "" if metadata.names_itself else issuer.address) != issuer.address:
            raise FederationError("untrusted", "iss is another one")
        code = answer.get("code", "")
        if "error" in answer or not 0 < len(code) <= LONGEST_CODE:
            word = answer.get("error", "")
            raise FederationError("refused", word if word.isidentifier() and len(word) < 41 else "")
        since = datetime.fromtimestamp(begun.since, self._clock().tzinfo) if begun.again else None
        claims = await self._providers.redeem(
            issuer,
            code,
            back=self._back(issuer.id),
            verifier=begun.verifier,
            expected=Expected(issuer.address, issuer.client_id, begun.nonce, since),
        )
        level = claims.get("acr", "")
        strength = issuer.levels.get(level) if isinstance(level, str) else None
        if strength is None:
            raise FederationError("assurance", "acr is not accepted")
        return await self._proved(issuer, claims["sub"], strength, person_of(issuer, claims))

    async def _proved(
        self, issuer: Issuer, subject: str, strength: int, said: Person
    ) -> Proved:  # fmt: skip
        """By which accounts somebody may enter: what they are linked with, and whom claims name."""
        db = self._db
        registered = await self._finder(said) if said.rid or said.birth_number else None
        named = [
            *(await identities.of_person(db, registered.person) if registered else ()),
            *(await identities.of_professional(db, said.professional)),
        ]
        has_own = registered is not None and any(one.role == "patient" for one in named)
        # a link holds as long as the provider does not name somebody else
        links = await identities.linked(db, issuer.id, subject)
        numbers = await identities.professional_numbers(db, [one.id for one in links])
        found = {one.id: one for one in named}
        for one in links:
            other = registered is not None and one.role == "patient"
            other = other and one.person != (registered.person if registered else None)
            if not other and (not said.professional or numbers[one.id] in ("", said.professional)):
                found.setdefault(one.id, one)
        active = tuple(one for one in found.values() if one.active)
        opens = None if has_own else registered
        if not active and opens is None:
            raise FederationError("closed" if found else "unknown")
        return Proved(issuer, subject, strength, active, opens)

    async def enter(self, proved: Proved, account: str) -> tuple[Account, bool]:
        """The account that was chosen ("" = the patient's own, opened now), linked; and whether
        the link is new. Raises FederationError.
        """
        now = self._clock()
        if account:
            chosen = next((one for one in proved.accounts if one.id == account), None)
        elif proved.registered is not None:
            own = proved.registered
            chosen, _ = await identities.open_patient(
                self._db, own.person, own.patient, own.name, now
            )
        else:
            chosen = None
        if chosen is None:
            raise FederationError("unknown")
        if not chosen.active:
            raise FederationError("closed")
        new = await identities.link(self._db, proved.issuer.id, proved.subject, chosen.id, now)
        return chosen, new

    async def farewell(self, id: str) -> tuple[Issuer, str] | None:
        """Where somebody logs out of a provider too; None where it offers nothing."""
        try:
            issuer = await self._issuer(id)
            metadata = await self._providers.metadata(issuer)
        except FederationError:
            return None
        if not metadata.end_session:
            return None
        asked = {"client_id": issuer.client_id, "post_logout_redirect_uri": self._base + "/"}
        sign = "&" if "?" in metadata.end_session else "?"
        return issuer, metadata.end_session + sign + urlencode(asked)

    async def _issuer(self, id: str) -> Issuer:
        issuer = await issuers.find(self._db, self._keys, id)
        if issuer is None:
            raise FederationError("late", "there is no such provider")
        return issuer

    def _back(self, id: str) -> str:
        return f"{self._base}/login/from/{id}"


def person_of(issuer: Issuer, claims: Mapping[str, Any]) -> Person:
    """Whom the claims mean; a claim of an odd kind says nothing."""

    def said(what: str) -> str:
        value = claims.get(issuer.claim(what))
        if not isinstance(value, str) or len(value) > _LONGEST_CLAIM or not value.isprintable():
            return ""
        return " ".join(value.split())

    return Person(
        rid=said(RID),
        birth_number=said(BIRTH_NUMBER).replace("/", "").replace(" ", ""),
        professional=said(PROFESSIONAL),
        given=said("given"),
        family=said("family"),
        birth_date=said("birth_date"),
        name=said("name"),
    )
