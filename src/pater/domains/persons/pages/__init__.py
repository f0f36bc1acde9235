"""The pages of this domain: registrars', and what people and providers see of the register."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.persons.pages import (
    acts,
    cases,
    disputes,
    mine,
    person,
    representatives,
    search,
    statistics,
)
from pater.domains.persons.pages.common import Room
from pater.registers.room import Registers
from pater.web.context import PageContext


def routes(context: PageContext, services: Services, registers: Registers) -> Sequence[BaseRoute]:
    """All of them."""
    room = Room(context, services, registers)
    rooms = (search, person, acts, cases, disputes, statistics, mine, representatives)
    return [route for each in rooms for route in each.routes(room)]
