"""How the basic registers are: state, last answer, what waits, errors, questions of a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domain import Services
from pater.registers.basic import REGISTERS, checks, waiting
from pater.registers.basic.health import Breaker
from pater.web.context import PageContext
from pater.web.i18n import N_

PATH: Final = "/basic-registers"
ROLES: Final = ("administrator", "registrar")
TITLES: Final[Mapping[str, str]] = {
    "rob": N_("Persons (ROB)"), "ruian": N_("Addresses (RUIAN)"), "ros": N_("Business (ROS)"),
    "reza": N_("Rights and mandates (REZA)"),
}  # fmt: skip
DIFFERS: Final[Mapping[str, str]] = {
    "code": N_("there is no such address point"), "city": N_("town"), "postalCode": N_("postcode"),
    "line": N_("street or number"), "ico": N_("there is no such business"), "name": N_("name"),
    "address": N_("seat"), "ended": N_("the business has ended"),
}  # fmt: skip
_SHOWN: Final = 50
_FAILURES: Final[Mapping[str, str]] = {
    "": "",
    "it cannot be reached": N_("it cannot be reached"),
    "it did not answer in time": N_("it did not answer in time"),
}
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "up": (N_("answers"), "success"),
    "failing": (N_("fails"), "warning"),
    "shut": (N_("down, left alone for a while"), "error"),
    "unknown": (N_("not asked yet"), "neutral"),
}


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The page; it names nobody."""
    breaker = Breaker(services.db, services.clock)
    basic = services.basic

    @context.require(*ROLES)
    async def shown(request: Request) -> Response:
        language = context.language(request)
        now, health = services.clock(), await breaker.shown()
        length, oldest = await waiting.length(services.db)
        found = []
        for name in REGISTERS:
            one = health[name]
            text, color = _STATES[one.state(now)]
            why = _why(one.error)
            failure = language.gettext(why) if why else ""
            title = language.gettext(TITLES[name])
            found.append((title, one, language.gettext(text), color, failure))
        report = await checks.report(services.db, _SHOWN) if basic else {}
        titles = {name: language.gettext(text) for name, text in TITLES.items()}
        words = {name: language.gettext(text) for name, text in DIFFERS.items()}
        differing = []
        for each in report.get("differences", ()):
            what = ", ".join(words.get(name, name) for name in each["differs"])
            differing.append((titles[each["register"]], each["resource"], each["key"], what))
        return context.render(
            request,
            "basic/health.html",
            linked=basic is not None,
            report=report,
            differing=differing,
            registers=found,
            waiting=length,
            oldest=oldest,
            hours=await breaker.by_hour(),
        )

    return [Route(PATH, shown)]


def _why(error: str) -> str:
    """What went wrong, for people; the command line says it in full."""
    if error.startswith("it answered "):
        return N_("it answers with an error")
    return _FAILURES.get(error, N_("its answer cannot be used"))
