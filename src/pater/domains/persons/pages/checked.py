"""What the basic registers say of a person, for the registrars' file: who it is, each address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import File, Room
from pater.domains.persons.pages.view import Say
from pater.registers.basic import checks, waiting
from pater.registers.basic.checks import Checked, written
from pater.registers.basic.comparing import code_of
from pater.registers.basic.identities import NAME
from pater.registers.basic.told import Address
from pater.registers.surviving import Said
from pater.web.i18n import N_

_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "known": (N_("knows the person"), "success"),
    "correct": (N_("agrees"), "success"),
    "disputed": (N_("differs"), "warning"),
    "waits": (N_("is still to be asked"), "primary"),
    "silent": (N_("has told nothing"), "neutral"),
    "uncoded": (N_("no code to compare by"), "neutral"),
}
_DIFFERS: Final[Mapping[str, str]] = {
    "code": N_("the register has no such address"), "city": N_("Town"),
    "postalCode": N_("Postcode"), "line": N_("Street and number"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One check: of what, by which register, how it came out, when (or since when it waits), what
    differs and how the register has it.
    """

    what: str
    code: str
    register: str
    state: str
    color: str
    at: datetime | None
    differs: str
    said: str


async def rows(room: Room, file: File, said: Sequence[Said], say: Say) -> list[Row]:
    """The register of inhabitants first, then each present address."""
    who = next((each.received for each in said if each.source.name == NAME), None)
    asked = await waiting.since(room.db, file.person)
    state = "known" if who else "waits" if asked else "silent"
    found = [_row(say, say.text(N_("Who the person is")), "", NAME, state, who or asked)]
    results = {
        each.key: each
        for each in await checks.results(room.db, "Patient", file.id)
        if each.register == "ruian"
    }
    since = await checks.waits_since(room.db, "Patient", file.id)
    for address, text in view.addresses(file.patient, say):
        code = code_of(address)
        one = results.get(code)
        if one is not None:
            found.append(_compared(say, text, one))
        else:
            state = "uncoded" if not code else "waits" if since else "silent"
            at = since if state == "waits" else None
            found.append(_row(say, text, code, "ruian", state, at))
    return found


def _compared(say: Say, text: str, one: Checked) -> Row:
    differs = ", ".join(say.text(_DIFFERS.get(each, each)) for each in one.differs)
    spelt = written(Address(**one.said)) if one.said is not None and one.differs else ""
    return _row(say, text, one.key, "ruian", one.state, one.at, differs, spelt)


def _row(
    say: Say, what: str, code: str, register: str, state: str, at: datetime | None,
    differs: str = "", said: str = "",
) -> Row:  # fmt: skip
    text, color = _STATES[state]
    name = say.text(words.SOURCES[register])
    return Row(what, code, name, say.text(text), color, at, differs, said)
