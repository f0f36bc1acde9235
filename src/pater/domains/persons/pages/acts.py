"""Making two persons one, parting one into two, taking out a mistake: seen first, then confirmed.

Every act is shown with what it will move before it is done, and can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import ROLE, File, Room, answers, whole
from pater.records.errors import Unprocessable
from pater.registers import overview, sources
from pater.registers.identifiers import RID
from pater.registers.numbers import holder
from pater.registers.surviving import Said
from pater.web.i18n import N_

LONGEST: Final = 1000
"""Characters of a reason."""


def routes(room: Room) -> Sequence[BaseRoute]:
    """The pages of acts upon a person."""
    context, services, merging = room.context, room.services, room.registers.merging

    async def opened(request: Request) -> tuple[Caller, File]:
        caller = context.caller_of(request)
        return caller, await room.shown(caller, request.path_params["id"], "act")

    @context.require(ROLE)
    async def merge(request: Request) -> Response:
        caller, file = await opened(request)
        form = await context.form(request) if request.method == "POST" else {}
        other, errors = None, dict[str, str]()
        if form:
            other = await named(caller, form.get("other", ""))
            if other is None:
                errors["other"] = N_("Nobody of the register has this number.")
            elif other.person == file.person:
                other, errors["other"] = None, N_("This is the same person.")
        if other is None or form.get("step") != "do":
            return await show_merge(request, file, other, form, errors)
        reason = _reason(form, errors)
        if form.get("kind") not in ("merge", "link"):
            errors["kind"] = N_("Choose what to do.")
        if errors:
            return await show_merge(request, file, other, form, errors)
        one, two = (other, file) if form.get("survivor") == other.id else (file, other)
        done = form["kind"]
        try:
            async with answers():
                if form["kind"] == "link":
                    await merging.link(caller, one.id, two.id, reason)
                else:
                    seen = {file.id: whole(form, "version"), other.id: whole(form, "versions")}
                    versions = seen[one.id], seen[two.id]
                    made = await merging.merge(caller, one.id, two.id, reason, versions)
                    done = "accepted" if made.job else done
        except Unprocessable as error:
            errors["other"] = room.refusal(request, error)
            return await show_merge(request, file, other, form, errors)
        except HTTPException as error:
            errors["other"] = room.conflict(request, error)
            return await show_merge(request, file, other, form, errors, status=409)
        return context.redirect(f"/registry/persons/{one.id}?done={done}")

    async def named(caller: Caller, typed: str) -> File | None:
        """The person of a number of the register."""
        number = typed.replace(" ", "").upper()
        person = await holder(room.db, RID, number) if number else 0
        if not person:
            await services.gate.missed(caller, [number])
            return None
        return await room.shown_person(caller, person, "act")

    async def show_merge(
        request: Request,
        file: File,
        other: File | None,
        form: Mapping[str, str],
        errors: Mapping[str, str],
        status: int = 0,
    ) -> Response:
        people = [file.person, *([other.person] if other else [])]
        standings = await overview.standings(room.db, people)
        keep = form.get("survivor", "")
        if other and keep not in (file.id, other.id):
            mine, theirs = standings.get(file.person), standings.get(other.person)
            waits = bool(mine and mine.temporary and not (theirs and theirs.temporary))
            keep = other.id if waits else file.id
        return context.render(
            request,
            "persons/merge.html",
            status=status or (422 if errors else 200),
            file=file,
            other=other,
            who=view.brief(file.patient),
            whom=view.brief(other.patient) if other else None,
            pairs=view.pairs(file.patient, other.patient, room.say(request)) if other else (),
            sizes=[await overview.size(room.db, each) for each in people],
            survivor=keep,
            kind=form.get("kind", "merge"),
            typed=form.get("other", "")[:40],
            reason=form.get("reason", ""),
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    @context.require(ROLE)
    async def split(request: Request) -> Response:
        caller, file = await opened(request)
        said = await sources.of(room.db, file.person)
        form = await context.form(request) if request.method == "POST" else {}
        chosen = [each for each in said if form.get(f"source-{_key(each)}")]
        errors, status = dict[str, str](), 0
        reason = _reason(form, errors) if form else ""
        if form and not chosen:
            errors["sources"] = N_("Choose at least one source.")
        elif form and len(chosen) == len(said):
            errors["sources"] = N_("Leave at least one source with this person.")
        if form.get("step") == "do" and not errors:
            keys = [(e.source.name, e.source.system, e.source.value) for e in chosen]
            try:
                async with answers():
                    made = await merging.split(caller, file.id, reason, sources=keys)
            except Unprocessable as error:
                errors["sources"] = room.refusal(request, error)
            except HTTPException as error:
                errors["sources"] = room.conflict(request, error)
                status = 409
            else:
                return context.redirect(f"/registry/persons/{made.merged}?done=split")
        say = room.say(request)
        return context.render(
            request,
            "persons/split.html",
            status=status or (422 if errors else 200),
            file=file,
            who=view.brief(file.patient),
            beside=view.beside(file.patient, said, say),
            choices=[
                (_key(each), view.title_of(each, say), each.source.value, view.brief(each.patient),
                 each in chosen)
                for each in said[: view.MOST]
            ],
            preview=bool(form) and not errors,
            reason=reason,
            errors={name: context._(request, text) for name, text in errors.items()},
        )  # fmt: skip

    @context.require(ROLE)
    async def cancel(request: Request) -> Response:
        caller, file = await opened(request)
        form = await context.form(request) if request.method == "POST" else {}
        errors, status = dict[str, str](), 0
        reason = _reason(form, errors) if form else ""
        if form and not errors:
            try:
                async with answers():
                    await merging.cancel(caller, file.id, reason)
            except Unprocessable as error:
                errors["reason"] = room.refusal(request, error)
            except HTTPException as error:
                errors["reason"] = room.conflict(request, error)
                status = 409
            else:
                return context.redirect(f"/registry/persons/{file.id}?done=cancel")
        return context.render(
            request,
            "persons/cancel.html",
            status=status or (422 if errors else 200),
            file=file,
            who=view.brief(file.patient),
            size=await overview.size(room.db, file.person),
            reason=reason,
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    @context.require(ROLE)
    async def undo(request: Request) -> Response:
        caller = context.caller_of(request)
        async with answers():
            await services.gate.require(caller, "update", "Patient")
            act = await merging.one(request.path_params["act"])
        file = await side(caller, act.survivor)
        other = await side(caller, act.merged) if act.merged != act.survivor else file
        refused, status = "", 200
        if request.method == "POST":
            await context.form(request)
            try:
                async with answers():
                    done = await merging.undo(caller, act.id)
            except Unprocessable as error:
                refused, status = room.refusal(request, error), 422
            except HTTPException as error:
                refused, status = room.conflict(request, error), 409
            else:
                word = "accepted" if done.job else "undo"
                return context.redirect(f"/registry/persons/{act.survivor}?done={word}")
        return context.render(
            request,
            "persons/undo.html",
            status=status,
            act=act,
            act_words=words.ACTS,
            who=view.brief(file.patient if file else {}),
            whom=view.brief(other.patient if other else {}),
            people=await room.names_of(request, [act.by, act.undone_by]),
            refused=refused,
        )

    async def side(caller: Caller, patient: str) -> File | None:
        """One of the two of an act; None when it was deleted, which the act then says."""
        try:
            return await room.shown(caller, patient, "act")
        except HTTPException as error:
            if error.status_code != 404:
                raise
            return None

    both = ["GET", "POST"]
    return [
        Route("/registry/persons/{id}/merge", merge, methods=both),
        Route("/registry/persons/{id}/split", split, methods=both),
        Route("/registry/persons/{id}/cancel", cancel, methods=both),
        Route("/registry/acts/{act}/undo", undo, methods=both),
    ]


def _reason(form: Mapping[str, str], errors: dict[str, str]) -> str:
    """Why an act is done; an error where it is not said."""
    reason = form.get("reason", "").strip()
    if not 3 <= len(reason) <= LONGEST:
        errors["reason"] = N_("Say why, in 3 to 1000 characters.")
    return reason


def _key(said: Said) -> str:
    """A source in a form: its own number of the person need not be there in words."""
    text = "\x00".join((said.source.name, said.source.system, said.source.value))
    return blake2b(text.encode(), digest_size=12).hexdigest()
