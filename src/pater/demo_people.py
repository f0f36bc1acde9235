"""Who can come to a demonstration, and what lets them in: tokens, and codes of this moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pater.access import accounts, clients
from pater.access.caller import TWO_FACTORS, Caller
from pater.access.clients import client_caller
from pater.access.policy import ROLE_PURPOSES
from pater.access.sessions import account_caller
from pater.access.tokens import Tokens
from pater.clock import now
from pater.running import ServingError, running_database
from pater.settings import Settings
from pater.store.database import Database
from pater.trust.keys import Keys

TOKEN_LIFETIME: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Player:
    """Somebody of the demonstration who can log in."""

    login: str
    name: str
    role: str
    hospital: str  # key of a hospital, "" for patients
    person: str  # key of a person, "" for professionals
    note: dict[str, str]

    @property
    def password(self) -> str:
        """Known to everybody."""
        return f"demo-{self.login}-heslo"


PLAYERS: Final[tuple[Player, ...]] = (
    Player(
        "patient",
        "Jana Svobodová",
        "patient",
        "",
        "patient",
        {
            "cs": "Pacientka se zprávami z obou nemocnic",
            "en": "A patient with reports from both hospitals",
        },
    ),
    Player(
        "patient-2",
        "Petr Dvořák",
        "patient",
        "",
        "patient-2",
        {"cs": "Jiný pacient", "en": "Another patient"},
    ),
    Player(
        "clinician-b",
        "MUDr. Alena Horáková",
        "clinician",
        "b",
        "",
        {"cs": "Lékařka druhé nemocnice", "en": "A physician of the other hospital"},
    ),
    Player(
        "clinician-a",
        "MUDr. Martin Beneš",
        "clinician",
        "a",
        "",
        {"cs": "Lékař první nemocnice", "en": "A physician of the first hospital"},
    ),
    Player(
        "privacy",
        "Mgr. Hana Tichá",
        "privacy-officer",
        "",
        "",
        {
            "cs": "Prověřuje přístupy v nouzi",
            "en": "Reviews what was opened in an emergency",
        },
    ),
    Player(
        "admin-a",
        "Ing. Tomáš Říha",
        "administrator",
        "a",
        "",
        {
            "cs": "Spravuje certifikáty první nemocnice",
            "en": "Looks after the certificates of the first hospital",
        },
    ),
    Player(
        "registrar",
        "Bc. Lenka Malá",
        "registrar",
        "",
        "",
        {
            "cs": "Rozhoduje, kdo je kdo v registru pacientů",
            "en": "Decides who is who in the register of patients",
        },
    ),
)


def require(settings: Settings) -> None:
    """Raises ServingError unless the data folder is a demonstration's."""
    if not settings.demo_mark.exists():
        raise ServingError(
            "This works in demo mode only.",
            "Start the demonstration first, in another terminal: make demo",
        )


async def system_caller(db: Database, name: str) -> Caller:
    """The caller that a demonstration client is. Raises ServingError for an unknown name."""
    client = await clients.find(db, name)
    if client is None:
        raise _unknown(name)
    return client_caller(client, scopes=client.scopes, purpose=_first(client.purposes))


async def _caller(db: Database, name: str) -> Caller:
    account = await accounts.find_by_login(db, name)
    if account is None:
        return await system_caller(db, name)
    purpose = _first(ROLE_PURPOSES[account.role])
    return account_caller(account, strength=TWO_FACTORS, purpose=purpose)


def _first(purposes: Sequence[str]) -> str:
    return purposes[0] if purposes else ""


def _unknown(name: str) -> ServingError:
    known = "hospital-a, hospital-b, insurer, loader, " + ", ".join(p.login for p in PLAYERS)
    return ServingError(f"The demonstration does not know {name!r}.", f"It knows: {known}.")


async def token(settings: Settings, name: str, purpose: str | None) -> str:
    """A bearer token of a client or person of the running demonstration."""
    keys = Keys.load_or_create(settings.data / "keys")
    async with running_database(settings) as db:
        caller = await _caller(db, name)
        if purpose is not None:
            if purpose not in ROLE_PURPOSES[caller.role]:
                allowed = ", ".join(ROLE_PURPOSES[caller.role]) or "none"
                raise ServingError(
                    f"The purpose {purpose!r} is not open to {name}.", f"Open are: {allowed}."
                )
            caller = replace(caller, purpose=purpose)
        return Tokens(keys, settings.base_url, now).issue(caller, TOKEN_LIFETIME)


async def code(settings: Settings, login: str) -> str:
    """The current one-time code of an account of the running demonstration."""
    keys = Keys.load_or_create(settings.data / "keys")
    async with running_database(settings) as db:
        found = await accounts.current_code(db, keys, login, now)
    if found is None:
        raise _unknown(login)
    return found
