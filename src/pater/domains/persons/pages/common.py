"""What the registrars' pages do alike: whose page it is, refusals in the reader's words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pater.access import accounts
from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.persons.pages.view import Resource, Say
from pater.domains.persons.tables import Database
from pater.fhir.json import parse
from pater.fhir.search.query import SearchError
from pater.records.errors import Conflict, Forbidden, Gone, NotFound, Unprocessable
from pater.registers.numbers import person_of
from pater.registers.room import Registers
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

ROLE: Final = "registrar"


@dataclass(frozen=True, slots=True)
class Room:
    """What the pages work with."""

    context: PageContext
    services: Services
    registers: Registers

    @property
    def db(self) -> Database:
        """The database."""
        return self.services.db

    def say(self, request: Request) -> Say:
        """How the reader's language says things."""
        language = self.context.language(request)
        return Say(language.gettext, language.date)

    async def shown(self, caller: Caller, patient: str, what: str) -> File:
        """The Patient that an id leads to, journalled as shown; 404 when there is none."""
        person = await person_of(self.db, patient) if is_id(patient) else 0
        return await self.shown_person(caller, person, what)

    async def shown_person(self, caller: Caller, person: int, what: str) -> File:
        """A person by their number, journalled as shown; 404 when there is none."""
        async with answers():
            found = await self.services.gate.identify(caller, [person], what)
        stored = found.get(person)
        if stored is None:
            raise HTTPException(404)
        return File(person, stored.id, stored.version, parse(stored.body))

    async def names_of(self, request: Request, ids: Sequence[str]) -> dict[str, str]:
        """The names of registrars by their accounts."""
        mine = self.context.caller_of(request).id
        found = await accounts.find_many(self.db, [each for each in set(ids) if each])
        names = {id_: account.name for id_, account in found.items()}
        return {**{each: each for each in ids}, **names, mine: self.context._(request, YOU)}

    def refusal(self, request: Request, error: Unprocessable) -> str:
        """Why something cannot be done, in the reader's language."""
        return " ".join(self.context._(request, each.text) for each in error.issues)

    def conflict(self, request: Request, error: HTTPException) -> str:
        """What has come between, in the reader's language; raises what is something else."""
        if not isinstance(error.__cause__, Conflict):
            raise error
        text = str(error.__cause__)
        return self.context._(request, text if text in UNDER_WAY else CHANGED)


@dataclass(frozen=True, slots=True)
class File:
    """A person whose page is shown."""

    person: int
    id: str
    version: int
    patient: Resource


YOU: Final = N_("you")
CHANGED: Final = N_("Somebody changed one of them meanwhile. Look at them again.")
UNDER_WAY: Final = frozenset(
    {
        N_("another large merge of one of these persons is under way: wait for its end"),
        N_("this is under way: wait for its end"),
    }
)
"""What the register says while it moves a large record."""


@asynccontextmanager
async def answers() -> AsyncIterator[None]:
    """Turns the gate's refusals into the statuses of pages."""
    try:
        yield
    except (NotFound, Gone) as error:
        raise HTTPException(404) from error
    except SearchError as error:
        raise HTTPException(400) from error
    except Forbidden as error:
        raise HTTPException(403) from error
    except Conflict as error:
        raise HTTPException(409) from error


def whole(form: Mapping[str, str], name: str, digits: int = 9) -> int:
    """A whole number of a form of at most so many digits; 400 for anything else."""
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise HTTPException(400)
    return int(text)
