"""The review queue: who may be whom, explained, decided with one key, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import ROLE, UNDER_WAY, Room, answers, whole
from pater.domains.persons.pages.waterfall import bands, waterfall
from pater.fhir.json import parse
from pater.records.errors import Unprocessable
from pater.registers.queue import HELD_FOR, Taken, Wanted
from pater.registers.reviewing import Candidate, Case, Shown
from pater.web.i18n import N_

PAGE: Final = 20
DOCUMENTS: Final = "documents"
"""The filter's word for cases that a document led to."""
OLD: Final[Mapping[str, tuple[timedelta | None, timedelta | None]]] = {
    "day": (None, timedelta(days=1)),
    "week": (timedelta(days=1), timedelta(days=7)),
    "month": (timedelta(days=7), timedelta(days=30)),
    "older": (timedelta(days=30), None),
}
"""How old the cases of an age are: at least, and less than."""
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
        filters = wished(request)
        async with answers():
            if done:
                shown = await reviewing.decided(caller, PAGE, _moment(asked.get("after", "")))
            else:
                place = _place(asked.get("after", ""))
                shown = await reviewing.queue(caller, PAGE, place, wanted(filters))
            sources = await reviewing.sources(caller)
        last = shown.cases[-1] if len(shown.cases) == PAGE else None
        after = ""
        if last is not None:
            after = (
                f"{last.decided.isoformat() if done and last.decided else last.weight}~{last.id}"
            )
        holders = {case.id: reviewing.holder(case) for case in shown.cases}
        return context.render(
            request,
            "persons/cases.html",
            items=[_item(case, shown) for case in shown.cases],
            decided=done,
            filters=filters,
            query=urlencode(filters),
            holders=holders,
            me=caller.id,
            held_for=HELD_FOR,
            reasons=words.REASONS,
            scores=words.SCORES,
            ages=words.AGES,
            taken_words=words.TAKEN,
            sources=_sources(sources, room.say(request)),
            decisions=words.DECISIONS,
            people=await room.names_of(
                request, [*(c.decided_by for c in shown.cases), *holders.values()]
            ),
            after=after,
            first=not asked.get("after"),
            last=await just_decided(request, caller),
        )

    def wished(request: Request) -> dict[str, str]:
        """The filters of an address that mean something, as they travel on."""
        asked = request.query_params
        known = {
            "reason": words.REASONS,
            "score": words.SCORES,
            "age": words.AGES,
            "taken": words.TAKEN,
        }
        found = {name: asked.get(name, "") for name in known}
        chosen = {name: text for name, text in found.items() if text in known[name]}
        source = asked.get("source", "")[:200]
        return {**chosen, "source": source} if source else chosen

    def wanted(filters: Mapping[str, str]) -> Wanted:
        """The filters as the register understands them."""
        model, now = room.registers.index.model, services.clock()
        steps = [*bands(model.possible, model.automatic), ("", float("inf"))]
        score = {name: (at, end) for (name, at), (_, end) in pairwise(steps)}
        least, below = score.get(filters.get("score", ""), (None, None))
        young, old = OLD.get(filters.get("age", ""), (None, None))
        source = filters.get("source")
        return Wanted(
            reason=filters.get("reason", ""),
            least=least,
            below=below,
            since=now - old if old else None,
            before=now - young if young else None,
            source="" if source == DOCUMENTS else source,
            taken=_taken(filters.get("taken", "")),
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
            return await between(request, caller, id, error)
        filters = wished(request)
        if decision in ("take", "give"):
            return context.redirect(_address(id, filters))
        async with answers():
            following = await reviewing.following(caller, wanted(filters), id)
        done = {"done": str(id)} if decision != "later" else {}
        return context.redirect(_address(following, {**filters, **done}))

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
            case "take":
                await reviewing.take(caller, id, version)
            case "give":
                await reviewing.give_back(caller, id, version)
            case _:
                raise HTTPException(400)

    async def between(request: Request, caller: Caller, id: int, error: HTTPException) -> Response:
        """Somebody else decided meanwhile, or much is being moved."""
        under_way = str(error.__cause__) in UNDER_WAY
        text = room.conflict(request, error)
        return await show(
            request, caller, id, text if under_way else "", taken=not under_way, status=409
        )

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
            filters = wished(request)
            shown = await reviewing.one(caller, id)
            following = await reviewing.following(caller, wanted(filters), id)
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
        return context.render(
            request,
            "persons/case.html",
            status=status,
            case=case,
            who=view.brief(parse(mine.body)) if mine else None,
            whom=whom,
            chosen=chosen,
            query=urlencode(filters),
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
            holder=reviewing.holder(case),
            me=caller.id,
            held_until=case.taken + HELD_FOR if case.taken else None,
            here=_address(case.id, filters),
            queue=_address(0, filters),
            people=await room.names_of(request, [case.decided_by, case.taken_by]),
            following=_address(following, filters) if following else "",
            refused=refused,
            taken=taken,
            progress=await room.registers.merging.underway.of_act(case.merge),
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
            return await between(request, caller, id, error)
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


def _address(id: int, filters: Mapping[str, str]) -> str:
    """A case in the queue as it is filtered; 0 = the queue."""
    place = f"/registry/cases/{id}" if id else "/registry/cases"
    return f"{place}?{urlencode(filters)}" if filters else place


def _taken(text: str) -> Taken:
    match text:
        case "free" | "mine" | "others":
            return text
    return ""


def _sources(found: Mapping[str, str], say: view.Say) -> list[tuple[str, str]]:
    """Who told of those who wait, as the choices of a filter."""
    named = [
        (source or DOCUMENTS,
         say.text(words.SOURCES.get(source, "")) if source in words.SOURCES
         else name or source or say.text(words.RECEIVED))
        for source, name in found.items()
    ]  # fmt: skip
    return sorted(named, key=lambda each: each[1])


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
