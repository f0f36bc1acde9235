"""Logging in by a provider of others: there, back again, and by which account to enter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access import sessions
from pater.access.caller import TWO_FACTORS
from pater.access.federation.desk import Begun, Federation, Proved, Registered
from pater.access.federation.errors import FederationError, FederationProblem
from pater.web import forms
from pater.web.challenges import Challenges
from pater.web.context import PageContext
from pater.web.i18n import N_
from pater.web.portals import portal_of
from pater.web.second import marks_of
from pater.web.security import Security
from pater.web.session import Cookies, session_of

LIFETIME: Final = timedelta(minutes=15)
_LONGEST_PARAMETERS: Final = 8_000
_LONGEST_TARGET: Final = 800
_log = structlog.get_logger("pater.web")

TEXTS: Final[Mapping[FederationProblem, str]] = {
    "unreachable": N_("The provider of the login cannot be reached, or answers something odd. Try again later, or log in another way."),  # noqa: E501
    "refused": N_("The login was cancelled, or the provider refused it."),
    "untrusted": N_("What the provider said could not be verified, so nobody was logged in."),
    "assurance": N_("The provider did not prove well enough who you are. Choose a stronger way of proving it there."),  # noqa: E501
    "unknown": N_("We know nobody whom the provider named. If you have been treated by a connected provider of care, ask there whether your data are right."),  # noqa: E501
    "disagrees": N_("The name or the birth date at the provider differ from those in the register. Ask your provider of care to put it right."),  # noqa: E501
    "closed": N_("Your account is locked. Ask whoever looks after accounts."),
    "late": N_("The login took too long, or it belongs to another window. Begin again."),
}  # fmt: skip
_STATUS: Final[Mapping[FederationProblem, int]] = {
    "unreachable": 503, "late": 400, "refused": 400, "untrusted": 400,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """An account that somebody may enter by; `id` is "" for one that is opened now."""

    id: str
    name: str
    role: str
    organization: str


@dataclass(frozen=True, slots=True)
class FederatedPages:
    """`/login/with/…`, `/login/from/…`, `/login/as`, and the other half of logging out."""

    context: PageContext
    federation: Federation
    security: Security
    cookies: Cookies
    signer: forms.Signer
    challenges: Challenges
    clock: Callable[[], datetime]

    def routes(self) -> list[BaseRoute]:
        """The routes of these pages."""
        return [
            Route("/login/with/{issuer}", self.begin),
            Route("/login/from/{issuer}", self.arrived),
            Route("/login/as", self.choose, methods=["POST"]),
            Route("/logout/done", self.farewell),
        ]

    async def begin(self, request: Request) -> Response:
        """Sends the browser to a provider."""
        target = forms.safe_next(request.query_params.get("next", ""), "")
        again = "again" in request.query_params and session_of(request) is not None
        try:
            address, begun = await self.federation.begin(
                request.path_params["issuer"], self.context.lang(request), again=again
            )
        except FederationError as error:
            return await self._refuse(request, error)
        response = RedirectResponse(address, 303)
        kept = target if len(target) <= _LONGEST_TARGET else ""  # a cookie has 4096 bytes
        value = orjson.dumps({**asdict(begun), "next": kept}).hex()
        sealed = self.signer.seal(value, self.clock() + LIFETIME)
        self.cookies.set(response, "issuer", sealed, int(LIFETIME.total_seconds()))
        return response

    async def arrived(self, request: Request) -> Response:
        """Takes the browser back, with what the provider gave it."""
        issuer = request.path_params["issuer"]
        kept = self._kept(request)
        try:
            if kept is None or kept[0].issuer != issuer:
                raise FederationError("late", "the browser did not begin this")
            begun, target = kept
            query = request.query_params.multi_items()
            if len(request.url.query) > _LONGEST_PARAMETERS or len(dict(query)) != len(query):
                raise FederationError("untrusted", "odd parameters")
            proved = await self.federation.finish(begun, dict(query))
            if begun.again:
                response = await self._proved_again(request, proved, target)
            else:
                response = await self._chosen(request, proved, target)
        except FederationError as error:
            response = await self._refuse(request, error, issuer)
        self.cookies.drop(response, "issuer")
        return response

    async def choose(self, request: Request) -> Response:
        """Who has several accounts says by which one to enter."""
        form = await forms.read_form(request)
        found = self.challenges.open(request, "as", form.get("proved", ""))
        try:
            proved = await self._unpacked(found)
            if proved is None:
                raise FederationError("late", "the choice was not offered here")
            target = forms.safe_next(form.get("next", ""), "")
            return await self._enter(request, proved, form.get("account", ""), target)
        except FederationError as error:
            return await self._refuse(request, error)

    async def farewell(self, request: Request) -> Response:
        """Logged out here; and the way to log out of the provider as well."""
        found = await self.federation.farewell(request.query_params.get("issuer", "")[:40])
        if found is None:
            return RedirectResponse("/", 303)
        issuer, address = found
        return self.context.render(request, "logged_out.html", issuer=issuer, address=address)

    async def _chosen(self, request: Request, proved: Proved, target: str) -> Response:
        choices = [
            Choice(one.id, one.name, one.role, one.organization_name) for one in proved.accounts
        ]
        if proved.registered is not None:
            choices.insert(0, Choice("", proved.registered.name, "patient", ""))
        if len(choices) == 1:
            return await self._enter(request, proved, choices[0].id, target)
        return self.context.render(
            request,
            "login_as.html",
            choices=choices,
            next=target,
            proved=self.challenges.seal(request, "as", _packed(proved)),
        )

    async def _enter(
        self, request: Request, proved: Proved, account: str, target: str
    ) -> Response:  # fmt: skip
        marks, issuer = marks_of(request), proved.issuer.id
        offered = next((one for one in proved.accounts if one.id == account), None)
        role = offered.role if offered else "patient"
        if not sessions.may_begin(role, proved.strength):
            raise FederationError("assurance", "the role wants two factors")
        chosen, new = await self.federation.enter(proved, account)
        if new:
            await self.security.note(chosen, "login-linked", marks, query=f"issuer={issuer}")
        token = await self.security.enter(
            chosen, "login-federated", proved.strength, marks, issuer=issuer
        )
        portal = portal_of(self.context.portals, chosen.role)
        response = RedirectResponse(forms.safe_next(target, portal.home if portal else "/"), 303)
        self.cookies.set(response, "session", token)
        self.cookies.drop(response, "step")
        self.cookies.drop(response, "visit")
        return response

    async def _proved_again(self, request: Request, proved: Proved, target: str) -> Response:
        """The same person proved themselves once more, for an act that wants it."""
        session = session_of(request)
        if session is None:
            raise FederationError("late", "the session has ended")
        own = next((one for one in proved.accounts if one.id == session.caller.id), None)
        if own is None:
            raise FederationError("unknown", "somebody else was proved")
        if proved.strength < TWO_FACTORS:
            raise FederationError("assurance")
        token = await self.security.step_up(session.token, own, marks_of(request))
        if token is None:
            return RedirectResponse("/login", 303)
        response = RedirectResponse(forms.safe_next(target, "/account"), 303)
        self.cookies.set(response, "session", token)
        return response

    async def _refuse(
        self, request: Request, error: FederationError, issuer: str = ""
    ) -> Response:  # fmt: skip
        """Says in words what is wrong; the log gets the reason, the journal the refusal."""
        _log.warning("login by a provider failed", problem=error.problem, detail=error.detail)
        if issuer and error.problem not in ("late", "unreachable"):
            await self.security.note(None, "login-refused", marks_of(request))
        return self.context.render(
            request,
            "federation_refused.html",
            status=_STATUS.get(error.problem, 403),
            text=self.context._(request, TEXTS[error.problem]),
        )

    def _kept(self, request: Request) -> tuple[Begun, str] | None:
        """What the browser brought with it from the beginning, under our seal."""
        sealed = self.cookies.get(request, "issuer")
        if not sealed.isascii() or sealed.count(".") != 2 or len(sealed) > 4096:
            return None
        text = self.signer.open(sealed, self.clock())
        if text is None:
            return None
        found: dict[str, Any] = orjson.loads(bytes.fromhex(text))
        target = str(found.pop("next"))
        return Begun(**found), target

    async def _unpacked(self, packed: bytes | None) -> Proved | None:
        if packed is None:
            return None
        found = orjson.loads(packed)
        issuer = next((one for one in await self.federation.offered() if one.id == found[0]), None)
        if issuer is None:
            return None
        accounts = await self.security.open_accounts(found[3])
        own = Registered(*found[4]) if found[4] else None
        return Proved(issuer, found[1], found[2], accounts, own)


def _packed(proved: Proved) -> bytes:
    """What was proved, as short as it can be: it travels in a form under our seal."""
    own = proved.registered
    return orjson.dumps(
        [
            proved.issuer.id,
            proved.subject,
            proved.strength,
            [one.id for one in proved.accounts],
            [own.person, own.patient, own.name] if own else None,
        ]
    )


def again_address(issuer: str, target: str) -> str:
    """Where a session is proved once more by a provider."""
    return f"/login/with/{quote(issuer, safe='')}?again=1&next={quote(target, safe='')}"
