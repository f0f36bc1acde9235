"""The review queue: who may be whom, explained, decided with one key, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import ROLE, Room, answers, whole
from pater.domains.persons.pages.waterfall import waterfall
from pater.fhir.json import parse
from pater.records.errors import Conflict, Unprocessable
from pater.registers.reviewing import Candidate, Case, Shown
from pater.web.i18n import N_

PAGE: Final = 20
LATER: Final[Mapping[str, timedelta]] = {
    "1": timedelta(days=1),
    "7": timedelta(days=7),
    "30": timedelta(days=30),
}
LONGEST: Final = 1000


def routes(room: Room) -> Sequence[BaseRoute]:
    """The pages under /registry/cases."""
    context, services, reviewing = room.context, room.services, room.registers.reviewing

    @context.require(ROLE)
    async def queue(request: Request) -> Response:
        caller, asked = context.caller_of(request), request.query_params
        done = asked.get("view") == "decided"
        reason = asked.get("reason", "") if asked.get("reason") in words.REASONS else ""
        async with answers():
            if done:
                shown = await reviewing.decided(caller, PAGE, _moment(asked.get("after", "")))
            else:
                shown = await reviewing.queue(caller, PAGE, _place(asked.get("after", "")), reason)
        last = shown.cases[-1] if len(shown.cases) == PAGE else None
        after = ""
        if last is not None:
            after = (
                f"{last.decided.isoformat() if done and last.decided else last.weight}~{last.id}"
            )
        return context.render(
            request,
            "persons/cases.html",
            items=[_item(case, shown) for case in shown.cases],
            decided=done,
            reason=reason,
            reasons=words.REASONS,
            decisions=words.DECISIONS,
            people=await room.names_of(request, [c.decided_by for c in shown.cases]),
            after=after,
            first=not asked.get("after"),
            last=await just_decided(request, caller),
        )

    async def just_decided(request: Request, caller: Caller) -> Case | None:
        """The case that was decided a moment ago, to be taken back if need be."""
        text = request.query_params.get("done", "")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            return None
        try:
            async with answers():
                found = await reviewing.one(caller, int(text))
        except HTTPException:
            return None
        case = found.cases[0]
        return case if case.state == "decided" and case.decided_by == caller.id else None

    @context.require(ROLE)
    async def one(request: Request) -> Response:
        caller, id = context.caller_of(request), _id(request)
        if request.method != "POST":
            return await show(request, caller, id)
        form = await context.form(request)
        version, decision = whole(form, "version"), form.get("decision", "")
        note = form.get("note", "").strip()
        if len(note) > LONGEST:
            text = context._(request, N_("The note is too long."))
            return await show(request, caller, id, text, status=422)
        try:
            async with answers():
                await decide(caller, id, version, decision, note, form)
        except Unprocessable as error:
            return await show(request, caller, id, room.refusal(request, error), status=422)
        except HTTPException as error:
            if not isinstance(error.__cause__, Conflict):
                raise
            return await show(request, caller, id, taken=True, status=409)
        async with answers():
            rest = await reviewing.queue(caller, 1)
        target = f"/registry/cases/{rest.cases[0].id}" if rest.cases else "/registry/cases"
        return context.redirect(target + (f"?done={id}" if decision != "later" else ""))

    async def decide(
        caller: Caller, id: int, version: int, decision: str, note: str, form: Mapping[str, str]
    ) -> None:
        match decision:
            case "match":
                await reviewing.match(caller, id, version, whole(form, "other", 18), note)
            case "new":
                await reviewing.new(caller, id, version, note)
            case "later":
                wait = LATER.get(form.get("until", ""), LATER["1"])
                await reviewing.postpone(caller, id, version, services.clock() + wait, note)
            case _:
                raise HTTPException(400)

    async def show(
        request: Request,
        caller: Caller,
        id: int,
        refused: str = "",
        *,
        taken: bool = False,
        status: int = 200,
    ) -> Response:
        async with answers():
            shown = await reviewing.one(caller, id)
            rest = await reviewing.queue(caller, 2)
        case = shown.cases[0]
        mine = shown.patients.get(case.person)
        there = [each for each in case.candidates if each.person in shown.patients]
        chosen = _chosen(there, request.query_params.get("candidate", "1"))
        say = room.say(request)
        picture, whom, pairs = None, None, []
        if chosen is not None and mine is not None:
            model = room.registers.index.model
            picture = waterfall(chosen.parts, model.possible, model.automatic)
            patient = parse(shown.patients[chosen.person].body)
            whom, pairs = view.brief(patient), view.pairs(parse(mine.body), patient, say)
        following = next((each.id for each in rest.cases if each.id != case.id), None)
        return context.render(
            request,
            "persons/case.html",
            status=status,
            case=case,
            who=view.brief(parse(mine.body)) if mine else None,
            whom=whom,
            chosen=chosen,
            place=there.index(chosen) + 1 if chosen is not None else 0,
            candidates=[view.brief(parse(shown.patients[e.person].body)) for e in there],
            pairs=pairs,
            picture=picture,
            compared=words.COMPARED,
            levels=words.LEVELS,
            speaks=words.speaks,
            contradictions=[words.CONTRADICTIONS[e] for e in chosen.contradictions
                            if e in words.CONTRADICTIONS] if chosen else [],
            reasons=words.REASONS,
            decisions=words.DECISIONS,
            people=await room.names_of(request, [case.decided_by, case.taken_by]),
            following=following,
            refused=refused,
            taken=taken,
            last=await just_decided(request, caller),
        )  # fmt: skip

    @context.require(ROLE)
    async def undo(request: Request) -> Response:
        caller, id = context.caller_of(request), _id(request)
        form = await context.form(request)
        try:
            async with answers():
                await reviewing.undo(caller, id, whole(form, "version"))
        except Unprocessable as error:
            return await show(request, caller, id, room.refusal(request, error), status=422)
        except HTTPException as error:
            if not isinstance(error.__cause__, Conflict):
                raise
            return await show(request, caller, id, taken=True, status=409)
        return context.redirect(f"/registry/cases/{id}")

    return [
        Route("/registry/cases", queue),
        Route("/registry/cases/{id}", one, methods=["GET", "POST"]),
        Route("/registry/cases/{id}/undo", undo, methods=["POST"]),
    ]


def _item(case: Case, shown: Shown) -> tuple[Case, view.Brief | None, view.Brief | None]:
    """A case with its person, and whom they may be: who was decided on, else the likeliest."""
    others = [case.other] if case.other else [each.person for each in case.candidates]
    whom = next((shown.patients[each] for each in others if each in shown.patients), None)
    who = shown.patients.get(case.person)
    return (
        case,
        view.brief(parse(who.body)) if who else None,
        view.brief(parse(whom.body)) if whom else None,
    )


def _chosen(candidates: Sequence[Candidate], place: str) -> Candidate | None:
    if not candidates:
        return None
    index = int(place) if place.isascii() and place.isdigit() and len(place) < 3 else 1
    return candidates[index - 1] if 1 <= index <= len(candidates) else candidates[0]


def _id(request: Request) -> int:
    text = request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HTTPException(404)
    return int(text)


def _place(text: str) -> tuple[float, int] | None:
    """Where the next page of what waits begins."""
    if not text:
        return None
    weight, _, id = text.partition("~")
    try:
        found = float(weight), int(id)
    except ValueError as error:
        raise HTTPException(400) from error
    if not (abs(found[0]) < 1e6 and 0 < found[1] < 2**62):
        raise HTTPException(400)
    return found


def _moment(text: str) -> tuple[datetime, int] | None:
    """Where the next page of what was decided begins."""
    if not text:
        return None
    at, _, id = text.partition("~")
    try:
        moment, number = datetime.fromisoformat(at.replace(" ", "+")), int(id)
    except ValueError as error:
        raise HTTPException(400) from error
    if moment.tzinfo is None or not 0 < number < 2**62 or not 1900 < moment.year < 2200:
        raise HTTPException(400)
    return moment.astimezone(UTC), number
