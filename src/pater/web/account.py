"""A person's own account: passkeys, authenticator app, recovery codes, password, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyotp
import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access.accounts import totp_secret
from pater.access.caller import PASSWORD
from pater.access.passkeys import LONGEST_NAME, MOST_PASSKEYS
from pater.web.challenges import Challenges
from pater.web.context import PageContext
from pater.web.i18n import N_
from pater.web.second import PASSKEY_REFUSED, Asked, lock_text, marks_of
from pater.web.security import Locked, Security
from pater.web.session import WebSession, session_of

PASSWORD_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "old": ("old", N_("The present password is not right")),
    "short": ("new", N_("The new password has fewer than 12 characters")),
    "long": ("new", N_("The new password is too long")),
    "common": ("new", N_("Such a password is among the first that are tried. Choose another one.")),
    "name": ("new", N_("The new password is made of your name. Choose another one.")),
    "again": ("again", N_("The two new passwords differ")),
}
DONE: Final[Mapping[str, str]] = {
    "passkey": N_("The passkey was added."),
    "renamed": N_("The passkey has a new name."),
    "removed": N_("The passkey was removed."),
    "app": N_("The authenticator app is set up."),
    "password": N_("The password was changed. You were logged out everywhere else."),
    "ended": N_("The session was ended."),
    "others": N_("You were logged out everywhere else."),
}
LAST_FACTOR = N_("The last second factor cannot be removed. Add another one first.")
WRONG_CODE = N_("The code does not fit. Look whether the clock of your phone is right.")


@dataclass(frozen=True, slots=True)
class AccountPages:
    """The pages below /account. What changes how one logs in asks for the second factor first."""

    context: PageContext
    security: Security
    challenges: Challenges

    def routes(self) -> list[BaseRoute]:
        """The routes of these pages."""
        seen = self.context.require(strength=PASSWORD)
        proved = self.context.require(fresh=True)
        both = ["GET", "POST"]
        return [
            Route("/account", seen(self.overview)),
            Route("/account/sessions", seen(self.sessions), methods=["POST"]),
            Route("/account/passkeys/new", proved(self.new_passkey), methods=both),
            Route("/account/passkeys/{id}", proved(self.passkey), methods=both),
            Route("/account/app", proved(self.app), methods=both),
            Route("/account/codes", proved(self.codes), methods=both),
            Route("/account/password", proved(self.password), methods=both),
        ]

    async def overview(self, request: Request) -> Response:
        """Everything at once."""
        session = _session(request)
        found = await self.security.overview(session.caller.id, session.token)
        return self.context.render(
            request,
            "account.html",
            own=found,
            possible=self.security.place is not None,
            room=len(found.passkeys) < MOST_PASSKEYS,
            done=DONE.get(request.query_params.get("done", ""), ""),
        )

    async def sessions(self, request: Request) -> Response:
        """Ends one session, or all others."""
        session = _session(request)
        form = await self.context.form(request)
        account, marks = session.caller.id, marks_of(request)
        if "others" in form:
            await self.security.end_others(account, session.token, marks)
            return _done("others")
        await self.security.end_session(account, form.get("id", ""), marks)
        return _done("ended")

    async def new_passkey(self, request: Request) -> Response:
        """Makes a passkey with the browser and keeps it under a name."""
        session = _session(request)
        if self.security.place is None:
            return RedirectResponse("/account", 303)
        account, errors, name = session.caller.id, dict[str, str](), ""
        if request.method == "POST":
            form = await self.context.form(request)
            name = form.get("name", "").strip()[:LONGEST_NAME]
            challenge = self.challenges.open(request, "passkey", form.get("challenge", ""))
            if not name:
                errors["name"] = N_("Give the passkey a name")
            elif challenge is not None and await self.security.add_passkey(
                account, form.get("credential", ""), challenge, name, marks_of(request)
            ):
                return _done("passkey")
            else:
                errors["passkey"] = PASSKEY_REFUSED
        fresh, sealed = self.challenges.fresh(request, "passkey")
        options = await self.security.registration_options(account, fresh)
        return self.context.render(
            request,
            "passkey_new.html",
            status=422 if errors else 200,
            errors=errors,
            name=name,
            longest=LONGEST_NAME,
            asked=Asked(options, sealed),
        )

    async def passkey(self, request: Request) -> Response:
        """Renames or removes one."""
        session = _session(request)
        id, account = request.path_params["id"], session.caller.id
        error = ""
        if request.method == "POST":
            form = await self.context.form(request)
            marks = marks_of(request)
            if "remove" in form:
                if await self.security.remove_passkey(account, id, marks):
                    return _done("removed")
                error = LAST_FACTOR
            else:
                await self.security.rename_passkey(account, id, form.get("name", ""), marks)
                return _done("renamed")
        found = await self.security.overview(account, session.token)
        one = next((each for each in found.passkeys if each.id == id), None)
        if one is None:
            return RedirectResponse("/account", 303)
        return self.context.render(
            request,
            "passkey.html",
            status=422 if error else 200,
            one=one,
            longest=LONGEST_NAME,
            error=error,
        )

    async def app(self, request: Request) -> Response:
        """Sets up an authenticator app: shows its secret, asks for a code of it."""
        session = _session(request)
        secret, error = totp_secret(), ""
        if request.method == "POST":
            form = await self.context.form(request)
            given = self.challenges.open(request, "app", form.get("secret", ""))
            if given is None:
                error = N_("This took too long. Scan the picture once more.")
            else:
                secret = given.decode("ascii", "replace")
                marks = marks_of(request)
                code = form.get("code", "")[:20]
                if await self.security.set_totp(session.caller.id, secret, code, marks):
                    return _done("app")
                error = WRONG_CODE
        uri = pyotp.TOTP(secret).provisioning_uri(name=session.caller.name, issuer_name="Páteř")
        return self.context.render(
            request,
            "app.html",
            status=422 if error else 200,
            errors={"code": error} if error else {},
            secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
            sealed=self.challenges.seal(request, "app", secret.encode()),
            picture=segno.make(uri, error="m").svg_data_uri(scale=4, border=4, light="#fff"),
            uri=uri,
        )

    async def codes(self, request: Request) -> Response:
        """Makes ten new recovery codes and shows them, once."""
        session = _session(request)
        account = session.caller.id
        made: list[str] = []
        if request.method == "POST":
            made = await self.security.new_codes(account, marks_of(request))
        left = (await self.security.factors(account)).codes
        return self.context.render(request, "codes.html", made=made, left=left)

    async def password(self, request: Request) -> Response:
        """Changes the password."""
        session = _session(request)
        errors: dict[str, str] = {}
        if request.method == "POST":
            form = await self.context.form(request)
            old, new = form.get("old", "")[:1000], form.get("new", "")[:2000]
            fault: str | None = "again"
            if new == form.get("again", "")[:2000]:
                try:
                    fault = await self.security.set_password(
                        session.caller.id, old, new, session.token, marks_of(request)
                    )
                except Locked as error:
                    fault = None
                    errors["old"] = lock_text(self.context.language(request), error)
            if fault is not None:
                field, text = PASSWORD_FAULTS[fault]
                errors[field] = text
            if not errors:
                return _done("password")
        return self.context.render(
            request, "password.html", status=422 if errors else 200, errors=errors
        )


def _session(request: Request) -> WebSession:
    """The session; `require` has let the request in, so there is one."""
    session = session_of(request)
    if session is None:
        raise RuntimeError("a page of an account without a session")
    return session


def _done(what: str) -> Response:
    return RedirectResponse(f"/account?done={what}", 303)
