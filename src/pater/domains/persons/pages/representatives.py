"""Who acts for a person: what is known, and a parent or a guardian entered with the proof of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import representation
from pater.access.representation import REGISTER, REZA
from pater.domains.persons.pages import view
from pater.domains.persons.pages.common import ROLE, File, Room, answers
from pater.records.errors import Unprocessable
from pater.registers.identifiers import RID
from pater.registers.numbers import holder
from pater.registers.representing import Representing, Wish
from pater.web.i18n import N_
from pater.web.mandates import last_day

_FIELDS: Final = ("kind", "rid", "born", "proof", "since", "until")
_KINDS: Final[Mapping[str, str]] = {
    "parent": N_("parent"), "guardian": N_("guardian"),
    "authorised": N_("authorised by the person"),
}  # fmt: skip
_SOURCES: Final[Mapping[str, str]] = {
    REGISTER: N_("entered by an official"), REZA: N_("register of rights and mandates"),
}  # fmt: skip
_OWN: Final = N_("the person's own declaration")
REFUSALS: Final = (
    N_("say by which document it is proved"), N_("nobody acts for themselves"),
    N_("one of them has died"), N_("the birth date of the child is not known"),
    N_("it would be over before it began"), N_("this is entered already"),
    N_("this person was merged or cancelled"),
    N_("the parent is not old enough: look at the birth dates"),
)  # fmt: skip
"""What the register says no with, to be translated."""


def routes(room: Room) -> Sequence[BaseRoute]:
    """The page of those who act for a person."""
    context, services = room.context, room.services
    desk = Representing(services.gate, services.db, services.parents)

    @context.require(ROLE)
    async def listing(request: Request) -> Response:
        caller = context.caller_of(request)
        file = await room.shown(caller, request.path_params["id"], "representatives")
        if request.method != "POST":
            return await show(request, file, {}, {})
        sent = await context.form(request)
        form = {name: " ".join(sent.get(name, "").split())[:300] for name in _FIELDS}
        errors: dict[str, str] = {}
        days = {name: _day(form[name], name, errors) for name in ("since", "until", "born")}
        if form["kind"] not in ("parent", "guardian"):
            errors["kind"] = N_("Choose one.")
        if not form["proof"]:
            errors["proof"] = N_("Say by which document it is proved.")
        other = await named(request, form["rid"], days["born"])
        if other is None and "born" not in errors:
            errors["rid"] = N_("Nobody of the register has this number and birth date.")
        if errors or other is None:
            return await show(request, file, form, errors)
        kind = "parent" if form["kind"] == "parent" else "guardian"
        wish = Wish(
            kind, file.id, other.id, form["proof"], days["since"], days["until"],  # type: ignore[arg-type]  # one of two
        )  # fmt: skip
        try:
            async with answers():
                await desk.enter(caller, wish)
        except Unprocessable as error:
            return await show(request, file, form, {"rid": room.refusal(request, error)})
        return context.redirect(f"/registry/persons/{file.id}/representatives?done=made")

    async def named(request: Request, rid: str, born: date | None) -> File | None:
        """The person of a number and a birth date that go together."""
        caller = context.caller_of(request)
        number = rid.replace(" ", "").upper()
        person = await holder(room.db, RID, number) if number and born else 0
        found = await room.shown_person(caller, person, "representatives") if person else None
        if found is None or born is None or found.patient.get("birthDate") != born.isoformat():
            await services.gate.missed(caller, [number])
            return None
        return found

    async def show(
        request: Request, file: File, form: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        now = services.clock()
        rows = []
        for one in await representation.history(room.db, file.person):
            source = context._(request, _SOURCES.get(one.source, _OWN))
            kind = context._(request, _KINDS[one.kind])
            over = one.until if one.ended is None else min(one.until, one.ended)
            state = "holds" if one.holds(now) else "over" if over <= now else "later"
            rows.append((one, kind, source, last_day(over), state))
        return context.render(
            request,
            "persons/representatives.html",
            status=422 if errors else 200,
            file=file,
            who=view.brief(file.patient),
            rows=rows,
            official=REGISTER,
            form={name: form.get(name, "") for name in _FIELDS},
            errors={name: context._(request, text) for name, text in errors.items()},
            done=request.query_params.get("done", ""),
        )

    @context.require(ROLE)
    async def end(request: Request) -> Response:
        caller = context.caller_of(request)
        file = await room.shown(caller, request.path_params["id"], "representatives")
        id_ = (await context.form(request)).get("id", "")[:64]
        async with answers():
            await desk.end(caller, file.id, id_)
        return context.redirect(f"/registry/persons/{file.id}/representatives?done=ended")

    path = "/registry/persons/{id}/representatives"
    return [
        Route(path, listing, methods=["GET", "POST"]),
        Route(f"{path}/end", end, methods=["POST"]),
    ]


def _day(text: str, name: str, errors: dict[str, str]) -> date | None:
    if not text:
        if name == "born":
            errors[name] = N_("Enter a date.")
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        errors[name] = N_("Enter a date.")
        return None
    if 1850 < day.year < 2200:
        return day
    errors[name] = N_("Enter a date.")
    return None
