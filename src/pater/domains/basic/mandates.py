"""Who may act for a provider: its administrator sees, gives and ends mandates."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import accounts, audit, representation
from pater.access.caller import Caller
from pater.access.federation.desk import Person, Registered
from pater.access.federation.errors import FederationError
from pater.access.relations import EVER
from pater.domain import Services
from pater.records.patient_names import PatientNames
from pater.registers.basic import granting
from pater.registers.claimed import Claimed
from pater.registers.identifiers import RID, check
from pater.registers.room import Registers
from pater.web.context import Endpoint, PageContext
from pater.web.i18n import N_
from pater.web.mandates import SERVICES, lines

PATH: Final = "/mandates"
ROLE: Final = "administrator"
PAGE: Final = 50
_FIELDS: Final = ("rid", "family", "born", "reference", "until", *(f"s-{one}" for one in SERVICES))


def routes(context: PageContext, services: Services, registers: Registers) -> Sequence[BaseRoute]:
    """All of them."""
    db, names = services.db, PatientNames()
    known = Claimed(registers.patients)

    async def listing(request: Request) -> Response:
        if request.method != "POST":
            empty = dict.fromkeys(_FIELDS, "") | {"key": str(uuid4())}
            return await show(request, empty, {})
        caller = context.caller_of(request)
        sent = await context.form(request)
        form = {name: " ".join(sent.get(name, "").split())[:200] for name in _FIELDS}
        form["key"] = _key(sent)
        chosen = [name for name in SERVICES if form[f"s-{name}"]]
        errors: dict[str, str] = {}
        if not chosen:
            errors["s-read"] = N_("Choose at least one.")
        until = _until(form["until"], services.clock(), errors)
        found = await whom(caller, form, errors)
        if not errors and not await may(caller, chosen):
            errors["s-read"] = N_("Only a statutory body gives the administration to others.")
        if errors or found is None:
            return await show(request, form, errors)
        await note(caller, "mandate-made", [found.person])
        statement = granting.give(
            f"here:{form['key']}", caller.organization, found.person, found.name, chosen,
            form["reference"], services.clock(), until, caller.id,
        )  # fmt: skip
        await db.execute(statement.sql, *statement.args)
        return context.redirect(f"{PATH}?done=made")

    async def may(caller: Caller, chosen: Sequence[str]) -> bool:
        account = await accounts.find(db, caller.id)
        if account is None:
            return False
        now = services.clock()
        return await granting.may_give(db, account.person, caller.organization, chosen, now)

    async def whom(
        caller: Caller, form: Mapping[str, str], errors: dict[str, str]
    ) -> Registered | None:
        """The person of a number, a family name and a birth date that go together."""
        rid = form["rid"].replace(" ", "")
        born = _day(form["born"])
        if not form["family"]:
            errors["family"] = N_("Enter the family name.")
        if born is None:
            errors["born"] = N_("Enter a day.")
        found: Registered | None = None
        if form["family"] and born is not None and check(RID, rid).ok:
            try:
                found = await known(
                    Person(rid=rid, family=form["family"], birth_date=born.isoformat())
                )
            except FederationError:
                found = None
        if found is None and not errors.keys() & {"family", "born"}:
            await services.gate.missed(caller, [rid])
            errors["rid"] = N_("Nobody was found with this number, family name and birth date.")
        return found

    async def show(
        request: Request, form: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        caller, now = context.caller_of(request), services.clock()
        mark = request.query_params.get("after", "")[:200]
        after = None
        if mark and mark.isprintable():
            after = await granting.one(db, caller.organization, mark)
        found = await granting.listing(db, caller.organization, now, after=after, count=PAGE + 1)
        shown = found[:PAGE]
        await note(caller, "mandates-listed", sorted({each.agent for each in shown}) or [0])
        say = functools.partial(context._, request)
        return context.render(
            request,
            "basic/mandates.html",
            status=422 if errors else 200,
            rows=lines(shown, say, now),
            older=found[PAGE - 1].id if len(found) > PAGE else "",
            first=after is None,
            services=[(name, say(text)) for name, text in SERVICES.items()],
            form=form,
            errors={name: say(text) for name, text in errors.items()},
            done=request.query_params.get("done", ""),
        )

    async def end(request: Request) -> Response:
        caller = context.caller_of(request)
        id_ = (await context.form(request)).get("id", "")[:200]
        one = None
        if id_.isprintable():
            one = await granting.one(db, caller.organization, id_)
        if one is None or one.source != granting.HERE:
            raise HTTPException(404)
        await note(caller, "mandate-ended", [one.agent])
        statement = granting.end(one.id, caller.organization, services.clock())
        await db.execute(statement.sql, *statement.args)
        return context.redirect(f"{PATH}?done=ended")

    async def note(caller: Caller, reason: str, people: Sequence[int]) -> None:
        """Told first: what is done without its entry must not happen."""
        if services.journal is None:
            raise HTTPException(503)
        found = await names.of_all(db, [each for each in people if each])
        await services.journal([
            audit.entry(
                caller, "E", "mandate", audit.OK, clock=services.clock, reason=reason,
                person=each, patient=found.get(each, ""), query=f"PZS/{caller.organization}",
            )
            for each in people
        ])  # fmt: skip

    return [
        Route(PATH, _let_in(context, listing), methods=["GET", "POST"]),
        Route(f"{PATH}/end", _let_in(context, end), methods=["POST"]),
    ]


def _let_in(context: PageContext, endpoint: Endpoint) -> Endpoint:
    """Lets in administrators of a provider."""

    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        if not context.caller_of(request).organization:
            raise HTTPException(403)
        return await endpoint(request)

    return context.require(ROLE)(guarded)


def _key(form: Mapping[str, str]) -> str:
    """By it the same form sent twice does one thing; 400 without one."""
    try:
        return str(UUID(form.get("key", "")))
    except ValueError as error:
        raise HTTPException(400) from error


def _until(text: str, now: datetime, errors: dict[str, str]) -> datetime:
    if not text:
        return EVER
    day = _day(text)
    if day is None:
        errors["until"] = N_("Enter a day.")
        return EVER
    until = representation.moment_after(day)
    if until <= now:
        errors["until"] = N_("This day is over.")
    return until


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1850 < day.year < 2200 else None
