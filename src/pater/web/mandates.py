"""How pages say what a mandate of an organisation is: in what, until when, how it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pater.access.relations import EVER
from pater.registers.basic.authorisations import ADMINISTRATION
from pater.registers.basic.granting import HERE, Given
from pater.web.i18n import N_

SERVICES: Final[Mapping[str, str]] = {
    "read": N_("Read documents"),
    "emergency-read": N_("Read documents in an emergency"),
    "submit": N_("Hand over documents"),
    ADMINISTRATION: N_("Look after the provider's certificates here"),
}
_KINDS: Final[Mapping[str, str]] = {
    "statutory": N_("statutory body"), "delegated": N_("delegated person"),
}  # fmt: skip
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "holds": (N_("holds"), "success"), "later": (N_("begins later"), "primary"),
    "over": (N_("is over"), "neutral"),
}  # fmt: skip
_SOURCES: Final[Mapping[str, str]] = {
    "reza": N_("register of rights and mandates"), HERE: N_("given here"),
}  # fmt: skip
_EVERYTHING: Final = N_("everything")


@dataclass(frozen=True, slots=True)
class Line:
    """A mandate in the reader's language; `last` is its last day (None = no end)."""

    given: Given
    kind: str
    what: str
    last: datetime | None
    source: str
    state: str
    color: str
    ends_here: bool


def lines(found: Iterable[Given], say: Callable[[str], str], now: datetime) -> list[Line]:
    """Mandates as a table shows them."""
    made = []
    for one in found:
        known = [name for name in SERVICES if name in one.services]
        further = [name for name in one.services if name not in SERVICES]
        what = [say(SERVICES[name]) for name in known] + further
        state, color = _STATES[one.state(now)]
        made.append(Line(
            one, say(_KINDS[one.kind]), ", ".join(what or [say(_EVERYTHING)]), last_day(one.over),
            say(_SOURCES[one.source]), say(state), color,
            ends_here=one.source == HERE and one.state(now) != "over",
        ))  # fmt: skip
    return made


def last_day(over: datetime) -> datetime | None:
    """A moment of the last day of what is over at a moment, None = it has no end."""
    return None if over >= EVER else over - timedelta(microseconds=1)
