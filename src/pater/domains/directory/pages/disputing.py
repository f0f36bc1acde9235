"""What the register says of a provider, for its administrator, who says that it is wrong.

And the registers' side of it: what waits, and the decision. Until then the public pages say that
the entry is being looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import accounts
from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.directory import tables
from pater.domains.directory.disputes import dispute
from pater.domains.directory.lookups import extensions, id_in, name_of, resources, value_of
from pater.domains.directory.tables import Dispute
from pater.domains.directory.wording import Words, concept, said
from pater.fhir.json import parse
from pater.records.errors import Forbidden, Gone, NotFound
from pater.registers.identifiers import PROFESSIONAL, PROVIDER
from pater.registers.providers import systems
from pater.registers.providers import tables as register
from pater.rest.errors import HttpError
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

PAGE: Final = 20
MOST: Final = 100
"""Facilities and professionals of a provider that its page lists."""
_LONGEST: Final = 2_000
ELEMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "Organization": {
        "name": N_("Name"),
        "seat": N_("Seat"),
        "contacts": N_("Telephone, e-mail, website"),
        "number": N_("Number of the provider (IČO)"),
        "other": N_("Something else"),
    },
    "Location": {
        "name": N_("Name"),
        "kind": N_("Kind of facility"),
        "address": N_("Address"),
        "contacts": N_("Telephone, e-mail, website"),
        "services": N_("Services offered"),
        "hours": N_("Opening hours"),
        "equipment": N_("Equipment"),
        "permit": N_("Permit"),
        "other": N_("Something else"),
    },
    "Practitioner": {
        "name": N_("Name"),
        "qualification": N_("Qualifications"),
        "employment": N_("Employment"),
        "restriction": N_("Restrictions"),
        "other": N_("Something else"),
    },
}
KINDS: Final[Mapping[str, str]] = {
    "Organization": N_("Provider"),
    "Location": N_("Facility"),
    "Practitioner": N_("Professional"),
}
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "open": (N_("waiting"), "warning"),
    "accepted": (N_("will be corrected"), "success"),
    "refused": (N_("stays as it is"), "neutral"),
}
REGISTERS: Final[Mapping[str, str]] = {
    "ros": N_("Register of businesses"),
    "ruian": N_("Register of addresses"),
}
_DIFFERS: Final[Mapping[str, str]] = {
    "ros": N_("Differs from the register of businesses"),
    "ruian": N_("Differs from the register of addresses"),
}
BY_COMMAND: Final = "pater directory"
"""Who decided, when it was done on the machine itself."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the register as these pages show it; `rows` are (label, values)."""

    type: str
    id: str
    name: str
    number: str
    public: str
    rows: Sequence[tuple[str, Sequence[Words]]]


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The administrator's pages and the registrars'."""
    gate, db = services.gate, services.db

    @context.require("administrator")
    async def own(request: Request) -> Response:
        caller = context.caller_of(request)
        lang = context.language(request).code
        ids = await register.organizations_of(db, caller.organization)
        found = await gate.read_all(caller, [("Organization", each) for each in ids[:MOST]])
        organizations = [parse(each.body) for each in found.values()]
        places: list[Json] = []
        for each in organizations:
            who = f"Organization/{each['id']}"
            places += await resources(
                gate, caller, "Location", ("organization", who), count=MOST - len(places) + 1
            )
            if len(places) > MOST:
                break
        staff = await register.employed_by(db, ids, MOST + 1)
        people = await gate.read_all(caller, [("Practitioner", each) for each in staff[:MOST]])
        return context.render(
            request,
            "directory/own.html",
            organizations=[_entry(each, lang) for each in organizations],
            places=[_entry(each, lang) for each in places[:MOST]],
            people=[_entry(parse(each.body), lang) for each in people.values()],
            more=len(places) > MOST or len(staff) > MOST,
            most=MOST,
            disputes=await _shown(caller, await tables.disputes_by(db, caller.organization, MOST)),
            states=STATES,
            kinds=KINDS,
            labels=_label,
            done="done" in request.query_params,
        )

    @context.require("administrator")
    async def wrong(request: Request) -> Response:
        caller = context.caller_of(request)
        entry = await one(request, caller)
        form = await context.form(request) if request.method == "POST" else {}
        errors = dict[str, str]()
        element, claim = form.get("element", ""), form.get("claim", "").strip()
        if request.method == "POST":
            if element not in ELEMENTS[entry.type]:
                errors["element"] = N_("Choose what is wrong.")
            if not 3 <= len(claim) <= _LONGEST:
                errors["claim"] = N_("Say what is right, in 3 to 2000 characters.")
            if not errors:
                try:
                    await dispute(services, caller, entry.type, entry.id, element, claim)
                except HttpError as error:
                    if error.status != 409:
                        raise HTTPException(400) from error
                    errors["element"] = N_("This was said already and waits for its answer.")
                except Forbidden as error:
                    raise HTTPException(403) from error
                else:
                    return context.redirect("/directory/own?done=1")
        waiting = await tables.disputes_of(db, [(entry.type, entry.id)])
        return context.render(
            request,
            "directory/wrong.html",
            status=422 if errors else 200,
            entry=entry,
            kinds=KINDS,
            elements=[(key, context._(request, text), "")
                      for key, text in ELEMENTS[entry.type].items()],
            element=element,
            claim=claim,
            waiting=[(each, _label(each)) for each in waiting
                     if each.organization == caller.organization],
            errors={name: context._(request, text) for name, text in errors.items()},
        )  # fmt: skip

    async def one(request: Request, caller: Caller) -> Entry:
        """The entry of an address, when it is of the administrator's own provider."""
        type_, id_ = request.path_params["type"], request.path_params["id"]
        if type_ not in ELEMENTS or not is_id(id_):
            raise HTTPException(404)
        try:
            resource = parse((await gate.read(caller, type_, id_)).body)
        except (NotFound, Gone) as error:
            raise HTTPException(404) from error
        own_ones = set(await register.organizations_of(db, caller.organization))
        if type_ == "Practitioner":
            of = set(await register.employers_of(db, id_))
        else:
            of = {id_ if type_ == "Organization" else id_in(resource.get("managingOrganization"))}
        if not own_ones & of:
            raise HTTPException(404)
        return _entry(resource, context.language(request).code)

    @context.require("registrar")
    async def queue(request: Request) -> Response:
        caller, asked = context.caller_of(request), request.query_params
        await _let(caller)
        decided = asked.get("view") == "decided"
        place = _place(asked.get("after", ""))
        read = tables.decided_disputes if decided else tables.open_disputes
        found = await read(db, PAGE + 1, place)
        shown = found[:PAGE]
        after = ""
        if len(found) > PAGE:
            last = shown[-1]
            after = f"{(last.decided if decided else last.at):%Y-%m-%dT%H:%M:%S.%fZ}~{last.id}"
        return context.render(
            request,
            "directory/disputes.html",
            items=await _shown(caller, shown),
            decided=decided,
            after=after,
            first=place is None,
            states=STATES,
            kinds=KINDS,
            labels=_label,
            registers=REGISTERS,
            people=await _people(request, shown),
            done=asked.get("done", ""),
        )

    @context.require("registrar")
    async def judge(request: Request) -> Response:
        caller = context.caller_of(request)
        await _let(caller)
        found = await _one(request.path_params["id"])
        form = await context.form(request) if request.method == "POST" else {}
        errors = dict[str, str]()
        state, answer = form.get("state", ""), form.get("answer", "").strip()
        taken = False
        if request.method == "POST":
            if state not in ("accepted", "refused"):
                errors["state"] = N_("Choose what was decided.")
            if not 3 <= len(answer) <= _LONGEST:
                errors["answer"] = N_("Say why, in 3 to 2000 characters: the provider reads it.")
            if not errors:
                if await tables.decide_dispute(
                    db, found.id, state, answer, caller.id, services.clock()
                ):
                    return context.redirect(f"/registry/providers?done={state}")
                taken, found = True, await _one(str(found.id))
        [(_, entry)] = await _shown(caller, [found], context.language(request).code)
        return context.render(
            request,
            "directory/dispute.html",
            status=409 if taken else (422 if errors else 200),
            item=found,
            entry=entry,
            label=_label(found),
            kinds=KINDS,
            states=STATES,
            registers=REGISTERS,
            state=state,
            answer=answer,
            taken=taken,
            people=await _people(request, [found]),
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    async def _let(caller: Caller) -> None:
        await gate.require(caller, "update", "Patient")

    async def _one(text: str) -> Dispute:
        try:
            found = await tables.dispute_by_id(db, UUID(text))
        except ValueError as error:
            raise HTTPException(404) from error
        if found is None:
            raise HTTPException(404)
        return found

    async def _shown(
        caller: Caller, disputes: Sequence[Dispute], lang: str = "cs"
    ) -> list[tuple[Dispute, Entry | None]]:
        """Disputes with the entries that they are of; None = it is not in the register."""
        keys = dict.fromkeys((each.type, each.target) for each in disputes)
        there = await gate.read_all(caller, list(keys))
        entries = {key: _entry(parse(stored.body), lang) for key, stored in there.items()}
        return [(each, entries.get((each.type, each.target))) for each in disputes]

    async def _people(request: Request, disputes: Sequence[Dispute]) -> dict[str, str]:
        """The names of who decided."""
        ids = {each.decided_by for each in disputes} - {"", BY_COMMAND}
        found = await accounts.find_many(db, sorted(ids))
        names = {id_: account.name for id_, account in found.items()}
        return {BY_COMMAND: context._(request, N_("the operator")), **names}

    both = ["GET", "POST"]
    return [
        Route("/directory/own", own),
        Route("/directory/own/{type}/{id}", wrong, methods=both),
        Route("/registry/providers", queue),
        Route("/registry/providers/{id}", judge, methods=both),
    ]


def _entry(resource: Json, lang: str) -> Entry:
    type_, id_ = resource["resourceType"], str(resource["id"])
    if type_ == "Practitioner":
        name: Json = next(iter(resource.get("name", ())), {})
        whole = " ".join([*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")])
        rows = [
            (N_("Qualifications"),
             [concept(each.get("code"), lang) for each in resource.get("qualification", ())]),
            (N_("Restrictions"),
             [said(str(each), lang) for each in extensions(resource, systems.RESTRICTION)]),
        ]  # fmt: skip
        number, public = value_of(resource, PROFESSIONAL), f"/directory/professional/{id_}"
        return Entry(type_, id_, whole, number, public, rows)
    contacts = [Words(str(each.get("value", ""))) for each in resource.get("telecom", ())]
    addresses = resource.get("address", ())
    if isinstance(addresses, dict):
        addresses = [addresses]
    rows = [
        (N_("Address"), [Words(str(each.get("text", ""))) for each in addresses]),
        (N_("Telephone, e-mail, website"), contacts),
        (N_("Kind of facility"),
         [concept(each, lang) for each in resource.get("type", ())[1:]]),
        (N_("Equipment"),
         [said(str(each), lang) for each in extensions(resource, systems.EQUIPMENT)]),
    ]  # fmt: skip
    public = f"/directory/place/{id_}" if type_ == "Location" else ""
    return Entry(type_, id_, name_of(resource, lang), value_of(resource, PROVIDER), public, rows)


def _label(one: Dispute) -> str:
    """The disputed datum in words, to be translated; what a system wrote stays as it is."""
    if one.who in _DIFFERS and one.element.startswith(f"{one.who}: "):
        return _DIFFERS[one.who]
    return ELEMENTS.get(one.type, {}).get(one.element, one.element)


def _place(text: str) -> tuple[datetime, UUID] | None:
    """Where the next page begins."""
    if not text:
        return None
    at, _, id_ = text.partition("~")
    try:
        moment, number = datetime.fromisoformat(at), UUID(id_)
    except ValueError as error:
        raise HTTPException(400) from error
    if moment.tzinfo is None or not 1900 < moment.year < 2200:
        raise HTTPException(400)
    return moment.astimezone(UTC), number
