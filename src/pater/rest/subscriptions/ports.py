"""What the parts of this room work with, and how patient its deliverers are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pater.access.caller import KEY, Caller
from pater.access.employed import Employed, as_written
from pater.records.gate import Gate
from pater.rest.subscriptions.endpoints import Rules
from pater.store.database import Database
from pater.trust.keys import Keys

# Páteř itself, when it turns a subscription on or off. Known by identity: no token makes it.
HOUSE: Final = Caller(
    kind="system",
    id="pater",
    name="Páteř",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/Subscription.cruds",),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked, how long is waited, when is given up.

    The pauses between attempts double from `first` to `longest`; after `most` failures in a row
    a subscription is in error (with these values after about two days). `patience` is the lease:
    what a process that was killed had in hand is taken by another after it.
    """

    look: float = 0.25
    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(hours=4)
    most: int = 24
    patience: timedelta = timedelta(seconds=6)
    at_once: int = 64
    kept: timedelta = timedelta(days=30)

    def pause(self, failures: int) -> timedelta:
        """The pause after so many failures in a row (1 = the first)."""
        return min(self.first * float(2 ** min(failures - 1, 30)), self.longest)


@dataclass(frozen=True, slots=True)
class Mail:
    """The gateway that mail is handed to; `host` "" = there is none.

    `tls` is "", "starttls" or "tls". `sender` is the address that mail comes from.
    """

    host: str = ""
    port: int = 25
    tls: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """The floors below and the settings."""

    db: Database
    gate: Gate
    keys: Keys
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    base_url: str  # of the FHIR API
    rules: Rules = field(default_factory=Rules)
    mail: Mail = field(default_factory=Mail)
    pace: Pace = field(default_factory=Pace)
    employed: Employed = as_written
