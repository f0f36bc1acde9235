"""What a person shares: the overview in plain words, new declarations, their end, their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.consents import declaration as declarations
from pater.domains.consents.declaration import SPOKEN_OF, Declaration, Party
from pater.domains.consents.pages.common import (
    answers,
    commit_once,
    day_of,
    for_patients,
    form_key,
    name_of,
    own_record,
)
from pater.domains.consents.pages.words import CATEGORY_NAMES, line_of
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.records.gate import Change, Claim, Stored, claim_key
from pater.registers.identifiers import ICO, PROFESSIONAL, check
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

PAGE: Final = 50
MOST_ACTIVE: Final = 500
_KNOWN: Final = 100  # documents in which providers and professionals are looked for
_HITS: Final = 20
TOPICS: Final[Mapping[str, str]] = {
    "everything": N_("The whole record"),
    "category": N_("One kind of records"),
    "document": N_("One document"),
    "provider": N_("One hospital or other provider"),
    "professional": N_("One doctor or other professional"),
}
_FIELDS: Final = ("topic", "effect", "category", "document", "who", "typed", "since", "until")


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it was filled in, what is wrong with it by field, and whom it may mean."""

    values: Mapping[str, str]
    errors: Mapping[str, str]
    choices: Sequence[Party] = ()


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient/will."""
    gate = services.gate

    @for_patients(context)
    async def overview(request: Request) -> Response:
        caller, _, patient = own_record(context, request)
        now, gettext = services.clock(), context.language(request).gettext
        active = await declared(caller, patient)
        lines = [line_of(each, now, gettext) for each in active]
        return context.render(
            request,
            "consents/will.html",
            lines=lines,
            opted_out=any(each.opts_out and each.in_force(now) for each in active),
            topics=TOPICS,
            done=request.query_params.get("done", ""),
        )

    @for_patients(context)
    async def new(request: Request) -> Response:
        caller, person, patient = own_record(context, request)
        if request.method != "POST":
            query = request.query_params
            asked = {name: query.get(name, "") for name in ("topic", "document")}
            values = dict.fromkeys(_FIELDS, "") | {"effect": "deny", "key": str(uuid4())} | asked
            if values["document"]:
                values["topic"] = "document"
            if values["topic"] not in TOPICS:
                raise HTTPException(404)
            return await show(request, caller, patient, Form(values, {}))
        sent = await context.form(request)
        key = form_key(sent)
        form, wish = await filled_in(request, caller, patient, sent)
        if wish is None:
            return await show(request, caller, patient, form, 422 if form.errors else 200)
        if wish.opts_out and sent.get("understood") != "1":
            wrong = {"understood": N_("Tick that you have read what this means.")}
            return await show(request, caller, patient, replace(form, errors=wrong), 422)
        active = await declared(caller, patient)
        # an older one that says the same may have been overruled since
        if not (active and wish.same_as(active[0])):
            consent = declarations.consent_of(wish, patient, services.clock())
            await write(caller, person, consent, [d.id for d in active if wish.replaces(d)], key)
        return context.redirect("/patient/will?done=made")

    async def write(
        caller: Caller, person: int, consent: dict[str, Any], replaced: Sequence[str], key: str
    ) -> None:
        """Writes a new Consent and ends those it replaces; the same form again writes nothing."""
        id = gate.new_id()
        once = Claim(claim_key("consent-form", str(person), key), person, id)
        ends = [Change("update", "Consent", old, edit=declarations.ended) for old in replaced]
        await commit_once(gate, caller, [Change("create", "Consent", id, consent), *ends], once)

    async def filled_in(
        request: Request, caller: Caller, patient: str, sent: Mapping[str, str]
    ) -> tuple[Form, Declaration | None]:
        """What a form declares, or what has to be asked once more."""
        values = {name: " ".join(sent.get(name, "").split())[:200] for name in _FIELDS}
        values["key"] = form_key(sent)
        if values["topic"] not in TOPICS or values["effect"] not in ("deny", "permit"):
            raise HTTPException(400)
        topic, errors = values["topic"], dict[str, str]()
        zone = context.language(request).zone
        since, until = day_of(values["since"]), day_of(values["until"])
        for name, day in (("since", since), ("until", until)):
            if values[name] and day is None:
                errors[name] = N_("Enter a day.")
        if until and until < services.clock().astimezone(zone).date():
            errors["until"] = N_("This day is over.")
        elif since and until and until < since:
            errors["until"] = N_("The end is before the beginning.")
        wish = Declaration(
            permits=values["effect"] == "permit",
            since=declarations.first_moment(since, zone) if since else None,
            until=declarations.last_moment(until, zone) if until else None,
        )
        choices: Sequence[Party] = ()
        if topic == "category":
            if values["category"] in SPOKEN_OF:
                wish = replace(wish, categories=(values["category"],))
            else:
                errors["category"] = N_("Choose a kind of records.")
        elif topic == "document":
            found = await document_of(caller, patient, values["document"])
            wish = replace(wish, documents=(found,))
        if topic in ("provider", "professional") or values["who"] or values["typed"]:
            system = PROFESSIONAL if topic == "professional" else ICO
            party, choices = await meant(caller, patient, system, values)
            if party is not None:
                wish = replace(wish, parties=(party,))
            elif not choices and (values["typed"] or topic in ("provider", "professional")):
                errors["typed"] = N_("Nobody was found. Choose from the list, or enter the number.")
        form = Form(values, errors, choices)
        return form, None if errors or choices else wish

    async def meant(
        caller: Caller, patient: str, system: str, values: Mapping[str, str]
    ) -> tuple[Party | None, Sequence[Party]]:
        """Whom a form names: one party, or those who may be meant."""
        typed = values["typed"]
        if not typed:
            value = values["who"]
            if not value or check(system, value).ok is False:
                return None, ()
            known = {p.value: p for p in await known_parties(caller, patient, system)}
            return known.get(value) or await by_number(caller, system, value), ()
        number = typed.replace(" ", "")
        if number.isdigit():
            if check(system, number).ok is False:
                return None, ()
            return await by_number(caller, system, number), ()
        hits = await byname_of(caller, system, typed)
        return None, hits

    async def by_number(caller: Caller, system: str, value: str) -> Party:
        """A party by its number, with its name where the registers know it."""
        kind = "Organization" if system == ICO else "Practitioner"
        async with answers():
            page = await gate.search(
                caller, parse_search(kind, [("identifier", f"{system}|{value}")]), count=1
            )
        names = [name_of(parse(stored.body)) for stored in page.matches]
        return Party(system, value, names[0] if names else "")

    async def byname_of(caller: Caller, system: str, text: str) -> list[Party]:
        """The providers or professionals whose name begins so."""
        kind = "Organization" if system == ICO else "Practitioner"
        literal = text
        for sign in ("\\", ",", "|", "$"):
            literal = literal.replace(sign, "\\" + sign)
        async with answers():
            page = await gate.search(caller, parse_search(kind, [("name", literal)]), count=_HITS)
        return _parties((parse(stored.body) for stored in page.matches), system)

    async def known_parties(caller: Caller, patient: str, system: str) -> list[Party]:
        """Who sent or wrote documents of the record."""
        include = "custodian" if system == ICO else "author"
        kind = "Organization" if system == ICO else "Practitioner"
        by_role = kind == "Practitioner"
        request = parse_search(
            "DocumentReference",
            [
                ("patient", f"Patient/{patient}"),
                ("_sort", "-date"),
                ("_include", f"DocumentReference:{include}"),
                *([("_include:iterate", "PractitionerRole:practitioner")] if by_role else []),
            ],
        )
        async with answers():
            page = await gate.search(caller, request, count=_KNOWN)
        return _parties((parse(s.body) for s in page.included if s.type == kind), system)

    async def document_of(caller: Caller, patient: str, id: str) -> tuple[str, str]:
        """The DocumentReference (id and name) of a document by the id of its Bundle; else 404."""
        if not is_id(id):
            raise HTTPException(404)
        request = parse_search(
            "DocumentReference",
            [("patient", f"Patient/{patient}"), ("location", f"Bundle/{id}")],
        )
        async with answers():
            page = await gate.search(caller, request, count=1)
        if not page.matches:
            raise HTTPException(404)
        found = parse(page.matches[0].body)
        return page.matches[0].id, str(found.get("description") or "")

    async def show(
        request: Request, caller: Caller, patient: str, form: Form, status: int = 200
    ) -> Response:
        topic = form.values["topic"]
        system = PROFESSIONAL if topic == "professional" else ICO
        parties = form.choices or await known_parties(caller, patient, system)
        named = ("", "")
        if topic == "document":
            named = await document_of(caller, patient, form.values["document"])
        return context.render(
            request,
            "consents/new.html",
            status=status,
            form=form.values,
            errors={name: context._(request, text) for name, text in form.errors.items()},
            title=context._(request, TOPICS[topic]),
            document_name=named[1],
            categories=[(c, context._(request, CATEGORY_NAMES[c])) for c in SPOKEN_OF],
            parties=parties[:_HITS],
            chosen=bool(form.choices),
        )

    @for_patients(context)
    async def end(request: Request) -> Response:
        caller, _, _ = own_record(context, request)
        sent = await context.form(request)
        id = sent.get("id", "")
        if not is_id(id):
            raise HTTPException(404)
        async with answers():
            stored = await gate.read(caller, "Consent", id)
            if parse(stored.body).get("status") == "active":
                change = Change("update", "Consent", id, edit=declarations.ended)
                await gate.commit(caller, [change])
        back = "directives" if sent.get("of") == "directive" else "will"
        return context.redirect(f"/patient/{back}?done=ended")

    @for_patients(context)
    async def history(request: Request) -> Response:
        caller, _, patient = own_record(context, request)
        cursor = request.query_params.get("page", "")
        pairs = [("patient", f"Patient/{patient}"), ("_sort", "-date")]
        asked = parse_search("Consent", [*pairs, *([("_cursor", cursor)] if cursor else [])])
        async with answers():
            page = await gate.search(caller, asked, count=PAGE)
        now, gettext = services.clock(), context.language(request).gettext
        return context.render(
            request,
            "consents/history.html",
            lines=[line_of(each, now, gettext) for each in _declarations(page.matches)],
            older=page.next or "",
            first=not cursor,
        )

    async def declared(caller: Caller, patient: str) -> list[Declaration]:
        """The declarations that nobody ended, the newest first."""
        asked = parse_search("Consent", [("patient", f"Patient/{patient}"), ("status", "active")])
        async with answers():
            page = await gate.search(caller, asked, count=MOST_ACTIVE)
        found = _declarations(page.matches)
        return sorted(found, key=lambda d: d.at.timestamp() if d.at else 0.0, reverse=True)

    return [
        Route("/patient/will", overview),
        Route("/patient/will/new", new, methods=["GET", "POST"]),
        Route("/patient/will/end", end, methods=["POST"]),
        Route("/patient/will/history", history),
    ]


def _declarations(found: Sequence[Stored]) -> list[Declaration]:
    resources = ((parse(stored.body), stored) for stored in found)
    return [
        declarations.declaration_of(consent, stored.version, stored.updated)
        for consent, stored in resources
        if declarations.is_privacy(consent)
    ]


def _parties(resources: Any, system: str) -> list[Party]:
    """Those with a number, each once, by name."""
    found: dict[str, Party] = {}
    for resource in resources:
        for identifier in resource.get("identifier") or ():
            value = identifier.get("value")
            if identifier.get("system") == system and value:
                found.setdefault(str(value), Party(system, str(value), name_of(resource)))
    return sorted(found.values(), key=lambda party: party.name.casefold())
