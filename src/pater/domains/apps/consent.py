"""The consent screen: what an app asks of a person, and what comes of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access import app_scopes, audit, authorize, grants, launches, sessions
from pater.access.authorize import Asked, AuthorizeError, read_request
from pater.access.caller import Caller
from pater.access.launches import Launch
from pater.domain import Services
from pater.domains.apps import asking, picking, words
from pater.domains.apps.picking import Picked
from pater.web.context import PageContext
from pater.web.forms import Signer
from pater.web.i18n import N_
from pater.web.session import Cookies

_TOO_LATE: Final = N_("The request is too old or belongs to another window.")
_NOTHING: Final = N_("The app asks for nothing that your account can give it.")
_NO_RECORD: Final = N_("Your account is not tied to a health record yet.")
_NO_LAUNCH: Final = N_("The patient handed over to the app is not known any more.")
_SINCE: Final = "pater_since"
_NONE_TICKED: Final = N_("Tick at least one thing, or refuse the app.")


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be given: the scopes, the record they speak of, why; or what stands in the way."""

    scopes: tuple[str, ...]
    person: int | None
    patient: str
    purpose: str
    launched: bool
    problem: str = ""
    name: str = ""  # of the patient whom a physician chose


def _since(pairs: Sequence[tuple[str, str]]) -> int:
    """When the app asked, in Unix seconds."""
    return int(dict(pairs).get(_SINCE, "0"))


def routes(context: PageContext, services: Services, issuer: str) -> Sequence[BaseRoute]:
    """`GET /oauth/authorize` and `/oauth/consent`."""
    cookies = Cookies(issuer.startswith("https://"))
    signer = Signer(services.secret, "apps")

    async def authorize_page(request: Request) -> Response:
        try:
            asked = await read_request(services.db, request.query_params.multi_items(), issuer)
        except AuthorizeError as error:
            if error.back:
                return RedirectResponse(error.back, 303)
            return context.render(
                request, "apps/refused.html", status=400, why=error.text, app=error.app
            )
        now = services.clock()
        # what the app may not say itself: when it asked
        pairs = [*authorize.parameters_of(asked, issuer), (_SINCE, str(int(now.timestamp())))]
        sealed = asking.seal(signer, "", pairs, now)
        if len(sealed) > asking.LONGEST:
            back = authorize.answer(
                asked.redirect_uri, issuer, state=asked.state,
                error="invalid_request", error_description="the request is too long",
            )  # fmt: skip
            return RedirectResponse(back, 303)
        response = RedirectResponse(f"/oauth/consent?ask={asking.mark(sealed)}", 303)
        age = int(asking.LIFETIME.total_seconds())
        cookies.set(response, "ask", sealed, age)
        return response

    @context.require()
    async def consent(request: Request) -> Response:
        caller = context.caller_of(request)
        if caller.acting:  # what is allowed would go on when the right to act has ended
            raise HTTPException(403)
        if request.method == "POST":
            return await decided(request, caller, await context.form(request))
        sealed = cookies.get(request, "ask")
        ours = request.query_params.get("ask", "") == asking.mark(sealed)
        pairs = asking.unseal(signer, "", sealed, services.clock()) if ours else None
        asked = await known(pairs)
        if asked is None or pairs is None:
            return too_late(request)
        if asked.max_age is not None and await proved(request) < _since(pairs) - asked.max_age:
            target = f"{request.url.path}?{request.url.query}"
            return RedirectResponse(f"/login/again?next={quote(target, safe='')}", 303)
        return await show(request, caller, asked, pairs)

    async def decided(request: Request, caller: Caller, form: Mapping[str, str]) -> Response:
        pairs = asking.unseal(signer, caller.id, form.get("asked", ""), services.clock())
        asked = await known(pairs)
        if asked is None or pairs is None:
            return too_late(request)
        if form.get("answer", "").startswith("pick") and picking.wanted(caller, asked):
            session = context.session_of(request)
            found = await picking.pick(services, caller, form, session.patient if session else "")
            if not isinstance(found, Picked):
                return await show(request, caller, asked, pairs, faults=found, filled=form)
            kept = [pair for pair in pairs if not pair[0].startswith("pater_")]
            since = (_SINCE, str(_since(pairs)))
            return await show(request, caller, asked, [*kept, since, *found.pairs()])
        offer = await offer_of(caller, asked, picking.picked(pairs))
        if form.get("answer") != "allow" or offer.problem:
            await note(caller, asked, offer, "app-refused")
            return leave(asked, error="access_denied")
        chosen = list(words.quiet(offer.scopes))
        lines = words.lines(offer.scopes, str)
        for number, line in enumerate(lines):
            if form.get(f"line-{number}"):
                chosen += line.scopes
        if not set(chosen) - set(words.quiet(offer.scopes)):
            return await show(request, caller, asked, pairs, wrong=_NONE_TICKED)
        if asked.launch and app_scopes.LAUNCH in offer.scopes:
            used = await launches.use(
                services.db, asked.launch, asked.app.id, caller.id, services.clock
            )
            if used is None and offer.launched:
                return await show(request, caller, asked, pairs, problem=_NO_LAUNCH)
        session = context.session_of(request)
        living = (
            await sessions.read_session(services.db, session.token, services.clock)
            if session
            else None
        )
        if session is None or living is None:
            raise HTTPException(401)
        order = {scope: place for place, scope in enumerate(offer.scopes)}
        code = await grants.allow(
            services.db,
            grants.Wish(
                app=asked.app.id,
                account=caller.id,
                session=session.token,
                scopes=tuple(sorted(chosen, key=order.__getitem__)),
                purpose=offer.purpose,
                strength=caller.strength,
                person=offer.person,
                patient=offer.patient,
                launched=offer.launched,
                nonce=asked.nonce,
                logged_in=max(living.created, living.proved or living.created),
                redirect_uri=asked.redirect_uri,
                challenge=asked.challenge,
            ),
            services.clock,
        )
        await note(caller, asked, offer, "app-allowed")
        return leave(asked, code=code)

    async def known(pairs: Sequence[tuple[str, str]] | None) -> Asked | None:
        """The request once more: the app may have been taken away meanwhile."""
        if pairs is None:
            return None
        try:
            return await read_request(services.db, pairs, issuer)
        except AuthorizeError:
            return None

    async def proved(request: Request) -> float:
        """When the person last showed who they are, in Unix seconds."""
        session = context.session_of(request)
        token = session.token if session else ""
        living = await sessions.read_session(services.db, token, services.clock)
        if living is None:
            raise HTTPException(401)
        return max(living.created, living.proved or living.created).timestamp()

    async def offer_of(caller: Caller, asked: Asked, chosen: Picked | None = None) -> Offer:
        own = caller.role == "patient"
        if chosen is not None and picking.wanted(caller, asked):
            scopes = app_scopes.grantable(asked.scopes, asked.app.scopes, caller.role, patient=True)
            problem = "" if words.lines(scopes, str) else _NOTHING
            return Offer(
                scopes, chosen.person, chosen.patient, chosen.purpose, False, problem, chosen.name
            )
        launch: Launch | None = None
        problem = ""
        if asked.launch:
            launch = await launches.read(
                services.db, asked.launch, asked.app.id, caller.id, services.clock
            )
            problem = "" if launch else _NO_LAUNCH
        person = caller.person if own else launch.person if launch else None
        patient = (caller.patient or "") if own else launch.patient if launch else ""
        scopes = app_scopes.grantable(
            asked.scopes, asked.app.scopes, caller.role, patient=bool(patient)
        )
        if not words.lines(scopes, str):
            problem = problem or (_NO_RECORD if own and not patient else _NOTHING)
        speaks = any(scope.startswith(("patient/", "launch")) for scope in scopes)
        return Offer(
            scopes=scopes,
            person=person if speaks else None,
            patient=patient if speaks else "",
            purpose="PATRQT" if own else launch.purpose if launch else "TREAT",
            launched=launch is not None and speaks,
            problem=problem,
        )

    async def show(
        request: Request,
        caller: Caller,
        asked: Asked,
        pairs: Sequence[tuple[str, str]],
        *,
        wrong: str = "",
        problem: str = "",
        faults: Mapping[str, str] | None = None,
        filled: Mapping[str, str] | None = None,
    ) -> Response:
        offer = await offer_of(caller, asked, picking.picked(pairs))
        offer = replace(offer, problem=problem or offer.problem)
        session = context.session_of(request)
        opened = bool(session and session.patient and caller.purpose in picking.PURPOSES)
        gettext = context.language(request).gettext
        request.state.form_targets = (authorize.target_of(asked.redirect_uri),)
        return context.render(
            request,
            "apps/consent.html",
            status=422 if wrong or faults else 200,
            picking=picking.wanted(caller, asked),
            picked=offer.name,
            opened=opened,
            faults={name: gettext(text) for name, text in (faults or {}).items()},
            filled=filled or {},
            kinds=[(kind, gettext(text)) for kind, text in picking.KINDS.items()],
            purposes=[
                (each, gettext(picking.PURPOSES[each]), "") for each in picking.purposes(caller)
            ],
            app=asked.app,
            place=authorize.target_of(asked.redirect_uri),
            lines=words.lines(offer.scopes, gettext),
            own=caller.role == "patient",
            launched=offer.launched,
            problem=context._(request, offer.problem),
            wrong=context._(request, wrong),
            asked=asking.seal(signer, caller.id, pairs, services.clock()),
        )

    def too_late(request: Request) -> Response:
        why = context._(request, _TOO_LATE)
        return context.render(request, "apps/refused.html", status=400, why=why, app=None)

    def leave(asked: Asked, **values: str) -> Response:
        back = authorize.answer(asked.redirect_uri, issuer, state=asked.state, **values)
        response = RedirectResponse(back, 303)
        cookies.drop(response, "ask")
        return response

    async def note(caller: Caller, asked: Asked, offer: Offer, reason: str) -> None:
        if services.journal is None:
            raise HTTPException(503)
        acting = replace(caller, app=asked.app.id, app_name=asked.app.name, purpose=offer.purpose)
        refused = reason == "app-refused"
        entry = audit.entry(
            acting,
            "E",
            "app-allow",
            audit.MINOR_FAILURE if refused else audit.OK,
            clock=services.clock,
            reason=reason,
            person=offer.person or 0,
            patient=offer.patient,
        )
        await services.journal([entry])

    return [
        Route("/oauth/authorize", authorize_page, methods=["GET"]),
        Route("/oauth/consent", consent, methods=["GET", "POST"]),
    ]
