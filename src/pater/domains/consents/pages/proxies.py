"""Who acts for whom: whom a patient authorised, for whom they act, and the switch between both."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import audit, representation, sessions
from pater.access.caller import Caller
from pater.access.federation.desk import Person, Registered
from pater.access.federation.errors import FederationError
from pater.access.relations import EVER
from pater.access.representation import ACTING, Representation
from pater.domain import Services
from pater.domains.consents import declaration as declarations
from pater.domains.consents.declaration import SPOKEN_OF
from pater.domains.consents.pages.common import (
    answers,
    day_of,
    for_patients,
    form_key,
    own_record,
)
from pater.domains.consents.pages.words import CATEGORY_NAMES
from pater.domains.consents.proxies import Wish, consent_of
from pater.fhir.labels import label
from pater.records.errors import AlreadyClaimed
from pater.records.gate import Change, Claim, claim_key
from pater.records.patient_names import PatientNames
from pater.registers.basic import granting
from pater.registers.claimed import Claimed
from pater.registers.identifiers import RID, check
from pater.registers.patients import PatientRegister
from pater.registers.providers.tables import names_of
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_
from pater.web.mandates import lines

PATH: Final = "/patient/proxies"
INTERACTION: Final = "representation"
_FIELDS: Final = ("rid", "family", "born", "until", *(f"c-{name}" for name in SPOKEN_OF))
_NOBODY: Final = N_("Nobody was found with this number, family name and birth date.")


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient/proxies."""
    db, gate = services.db, services.gate
    names = PatientNames()
    known = Claimed(
        PatientRegister(
            db,
            next_person=services.next_person,
            random=services.random,
            clock=services.clock,
            new_id=services.new_id,
        )
    )

    @for_patients(context)
    async def listing(request: Request) -> Response:
        empty = dict.fromkeys(_FIELDS, "") | {"key": str(uuid4())}
        if request.method != "POST":
            return await show(request, empty, {})
        caller, person, patient = own_record(context, request)
        sent = await context.form(request)
        form = {name: " ".join(sent.get(name, "").split())[:100] for name in _FIELDS}
        form["key"] = form_key(sent)
        wish, found, errors = await filled_in(request, person, form)
        if wish is None or found is None:
            return await show(request, form, errors, 422)
        await authorise(caller, person, patient, wish, found, form["key"])
        return context.redirect(f"{PATH}?done=made")

    async def filled_in(
        request: Request, person: int, form: Mapping[str, str]
    ) -> tuple[Wish | None, Registered | None, dict[str, str]]:
        """Whom a form authorises and how, or what is wrong with it."""
        errors: dict[str, str] = {}
        now, born = services.clock(), day_of(form["born"])
        if born is None:
            errors["born"] = N_("Enter a day.")
        if not form["family"]:
            errors["family"] = N_("Enter the family name.")
        until, day = EVER, day_of(form["until"])
        if form["until"] and day is None:
            errors["until"] = N_("Enter a day.")
        elif day is not None:
            until = representation.moment_after(day)
            if until <= now:
                errors["until"] = N_("This day is over.")
        rid = form["rid"].replace(" ", "")
        found: Registered | None = None
        if born is not None and form["family"] and check(RID, rid).ok:
            said = Person(rid=rid, family=form["family"], birth_date=born.isoformat())
            try:
                found = await known(said)
            except FederationError:
                found = None
        if not errors and found is None:
            errors["rid"] = _NOBODY
        elif found is not None and found.person == person:
            errors["rid"] = N_("This is you.")
        if errors or found is None:
            return None, None, errors
        categories = frozenset(name for name in SPOKEN_OF if form[f"c-{name}"])
        return Wish(rid, found.name, categories, now, until), found, {}

    async def authorise(
        caller: Caller, person: int, patient: str, wish: Wish, found: Registered, key: str
    ) -> None:
        """Writes the Consent and who acts from now on; the same form again writes nothing."""
        id = gate.new_id()
        one = Representation(
            id=gate.new_id(),  # not the Consent's, which only the patient sees
            person=person,
            patient=patient,
            person_name=caller.name,
            agent=found.person,
            agent_name=wish.name,
            kind="authorised",
            source=id,
            categories=wish.categories,
            since=wish.since,
            until=wish.until,
            recorded=wish.since,
        )
        consent = {**consent_of(wish, patient), "id": id}
        change = Change(
            "create", "Consent", id, consent, person=person, derived=True, label=label("consent")
        )
        once = Claim(claim_key("proxy-form", str(person), key), person, id)
        try:
            await gate.commit(
                caller,
                [change],
                claims=[once],
                statements=[representation.made(one)],
                interaction=INTERACTION,
                reason="representation-made",
            )
        except AlreadyClaimed:
            return

    async def show(
        request: Request, form: Mapping[str, str], errors: Mapping[str, str], status: int = 200
    ) -> Response:
        caller, person, _ = own_record(context, request)
        now = services.clock()
        theirs = await representation.represented(db, person, now)
        await note(caller, "own-record", person)
        await note(caller, "represented-listed", *{each.person for each in theirs})
        held = await granting.held(db, person)
        mine = [
            (one, representation.has_own_say(one, now, services.parents))
            for one in await representation.representatives(db, person, now)
        ]
        return context.render(
            request,
            "consents/proxies.html",
            status=status,
            mine=mine,
            theirs=theirs,
            mandates=lines(held, functools.partial(context._, request), now),
            organizations=await names_of(db, [each.organization for each in held]),
            categories=[(name, context._(request, CATEGORY_NAMES[name])) for name in SPOKEN_OF],
            category_names={
                name: context._(request, text) for name, text in CATEGORY_NAMES.items()
            },
            ever=EVER,
            form=form,
            errors={name: context._(request, text) for name, text in errors.items()},
            done=request.query_params.get("done", ""),
        )

    async def chosen(request: Request) -> Representation:
        """The representation that a form names; else 404."""
        id = (await context.form(request)).get("id", "")
        one = await representation.find(db, id) if is_id(id) else None
        if one is None:
            raise HTTPException(404)
        return one

    @for_patients(context)
    async def end(request: Request) -> Response:
        """Ends what the patient allowed; or who was authorised gives it back."""
        caller, person, _ = own_record(context, request)
        one = await chosen(request)
        if one.kind != "authorised" or person not in (one.person, one.agent):
            raise HTTPException(404)
        if one.ended is None:
            change = Change(
                "update",
                "Consent",
                one.source,
                person=one.person,
                edit=declarations.ended,
                derived=True,
                label=label("consent"),
            )
            async with answers():
                await gate.commit(
                    caller,
                    [change],
                    statements=[representation.end(one.id, services.clock())],
                    interaction=INTERACTION,
                    reason="representation-ended",
                )
        return context.redirect(f"{PATH}?done=ended")

    @for_patients(context)
    async def opened(request: Request) -> Response:
        """A child who is old enough shows a parent everything, or no longer."""
        caller, person, _ = own_record(context, request)
        one, now = await chosen(request), services.clock()
        if one.person != person or not representation.has_own_say(one, now, services.parents):
            raise HTTPException(404)
        shown = (await context.form(request)).get("show") == "1"
        # told first: what is done without its entry must not happen
        await note(caller, "representation-opened", person)
        statement = representation.open_to(one.id, now if shown else None)
        await db.execute(statement.sql, *statement.args)
        return context.redirect(f"{PATH}?done=opened")

    @context.require("patient", ACTING)
    async def act(request: Request) -> Response:
        """From the own record to that of a represented person, or back."""
        session = context.session_of(request)
        caller = context.caller_of(request)
        if session is None:
            raise HTTPException(401)
        wanted = (await context.form(request)).get("id", "")
        if caller.acting:
            await note(caller, "acting-ended", caller.person or 0)
        if not wanted:
            await sessions.act_for(db, session.token, "")
            return context.redirect("/patient")
        if caller.acting or not caller.person:
            raise HTTPException(403)
        held = await representation.represented(db, caller.person, services.clock())
        one = next((each for each in held if each.id == wanted), None)
        if one is None:
            raise HTTPException(404)
        acting = replace(caller, role=ACTING, acting=one.id, acting_for=one.person_name)
        await note(acting, "acting-began", one.person)
        await sessions.act_for(db, session.token, one.id)
        return context.redirect("/patient")

    async def note(caller: Caller, reason: str, *persons: int) -> None:
        """Whoever is concerned reads in their journal what was done."""
        if services.journal is None:
            raise HTTPException(503)
        found = await names.of_all(db, [each for each in persons if each])
        await services.journal([
            audit.entry(
                caller, "E", INTERACTION, audit.OK, clock=services.clock, reason=reason,
                person=each, patient=found.get(each, ""),
            )
            for each in persons
        ])  # fmt: skip

    return [
        Route(PATH, listing, methods=["GET", "POST"]),
        Route(f"{PATH}/end", end, methods=["POST"]),
        Route(f"{PATH}/open", opened, methods=["POST"]),
        Route(f"{PATH}/act", act, methods=["POST"]),
    ]
