"""The token endpoint for apps, and what else an app or a resource server asks about tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

import orjson
from joserfc import jws
from joserfc.jwk import RSAKey

from pater.access import accounts, app_scopes, apps, audit, clients, grants, smart
from pater.access.accounts import Account
from pater.access.app_scopes import FHIR_USER, LAUNCH, LAUNCH_PATIENT, OPENID, PLAIN, PROFILE
from pater.access.apps import App
from pater.access.caller import Caller
from pater.access.clients import Client
from pater.access.employed import Employed, as_written
from pater.access.grants import CodeError, Grant
from pater.access.revocations import Revocations
from pater.access.scopes import ScopeError, covers
from pater.access.sessions import account_caller
from pater.access.smart import OAuthError
from pater.access.tokens import LIFETIME, TokenError, Tokens
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys

ID_LIFETIME: Final = timedelta(minutes=5)
ID_ALGORITHM: Final = "RS256"
_APP_ROLE: Final = "app"  # of no account and no system: it has no line in the policy

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Marks:
    """What belongs to one request: its headers, where it came from, and its id."""

    headers: Mapping[str, str]
    source: str
    request_id: str
    audiences: Collection[str]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked, once proved: an app (which may be public), or a registered system."""

    app: App | None
    client: Client


class AppDesk:
    """Gives tokens to apps whom a person allowed it, looks into them, and ends them."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        identity: RSAKey,
        issuer: str,
        clock: Callable[[], datetime],
        tokens: Tokens,
        revocations: Revocations,
        journal: Journal,
        employed: Employed = as_written,
    ) -> None:
        """`identity` signs identity tokens; `issuer` is our public address; `employed` knows who
        still works where their account says."""
        self._employed = employed
        self._db = db
        self._refresh_key = keys.derived("refresh tokens")
        self._identity = identity
        self._issuer = issuer
        self._clock = clock
        self._tokens = tokens
        self._revocations = revocations
        self._journal = journal

    @property
    def identity(self) -> RSAKey:
        """The key that signs identity tokens."""
        return self._identity

    async def token(self, form: Mapping[str, str], marks: Marks) -> dict[str, Any]:
        """The answer to `authorization_code` or `refresh_token`; raises OAuthError."""
        asker = await self._asker(form, marks)
        if asker.app is None:
            raise OAuthError("invalid_client", "this is for apps", client=asker.client)
        try:
            if form["grant_type"] == "authorization_code":
                grant = await self._redeemed(form, asker.app)
                scopes = grant.scopes
            else:
                grant, scopes = await self._refreshed(form, asker)
        except CodeError as error:
            raise await self._not_valid(error, asker, marks) from error
        account = await self._acting(grant.account)
        caller = _caller(grant, account, asker.app, scopes)
        if account is None or caller is None:
            await self._revocations.end(grant.id)
            raise OAuthError(
                "invalid_grant", "the person has no such right any more", reason="app-code",
                client=asker.client,
            )  # fmt: skip
        await self._note(caller, "token", "app-token", marks)
        return self._answer(grant, account, caller, fresh=form["grant_type"] != "refresh_token")

    async def introspect(self, form: Mapping[str, str], marks: Marks) -> dict[str, Any]:
        """What a token is worth (RFC 7662); raises OAuthError unless the asker proves itself.

        An app is told of its own tokens, a registered system of any that it was shown.
        """
        asker = await self._asker(form, marks)
        caller = clients.client_caller(asker.client, scopes=(), purpose="")
        await self._note(caller, "introspect", "app-asked", marks)
        token = form.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "token is missing", client=asker.client)
        facts = await self._refresh_facts(token, asker)
        return facts or await self._access_facts(token, asker)

    async def revoke(self, form: Mapping[str, str], marks: Marks) -> None:
        """Ends what a token stands for (RFC 7009); one that is not known is no error."""
        asker = await self._asker(form, marks)
        token = form.get("token", "")
        if not token:
            raise OAuthError("invalid_request", "token is missing", client=asker.client)
        read = grants.read_refresh(self._refresh_key, token)
        grant = await grants.find(self._db, read[0]) if read else None
        if grant is None:
            try:
                found = self._tokens.verify(token)
            except TokenError:
                return
            if not found.grant:
                raise OAuthError(
                    "unsupported_token_type", "a system's token ends by itself within minutes",
                    client=asker.client,
                )  # fmt: skip
            grant = await grants.find(self._db, UUID(found.grant))
        if grant is None:
            return
        if asker.app is None or grant.app != asker.app.id:
            raise OAuthError("invalid_grant", "the token is another client's", client=asker.client)
        if await self._revocations.end(grant.id):
            await self._note_end(grant, asker.client, "app-ended", marks)

    async def userinfo(self, token: str, marks: Marks) -> dict[str, Any] | None:
        """Who the person of an app's token is (OpenID Connect Core, section 5.3), as the token
        may know it; None for a token without `openid`. Raises TokenError.
        """
        caller = self._tokens.verify(token)
        account = await self._acting(caller.id) if caller.grant else None
        if account is None or OPENID not in caller.scopes:
            return None
        await self._note(caller, "introspect", "app-asked", marks)
        return {"sub": account.id, **self._about(account, caller)}

    async def _acting(self, account_id: str) -> Account | None:
        """The account as the registers know it; None when nobody can act by it (any more)."""
        account = await accounts.find(self._db, account_id)
        return await self._employed(account) if account and account.active else None

    def _about(self, account: Account, caller: Caller) -> dict[str, str]:
        """What is told of a person beside their number."""
        told = {}
        user = fhir_user(self._issuer, account)
        if FHIR_USER in caller.scopes and user:
            told["fhirUser"] = user
        if PROFILE in caller.scopes:
            told["name"] = account.name
        return told

    async def _asker(self, form: Mapping[str, str], marks: Marks) -> Asker:
        """Who asks: by a signed assertion, a secret, or only by name where the app is public."""
        header = marks.headers.get("authorization", "")
        if "client_assertion" in form or "client_assertion_type" in form:
            if header:
                raise OAuthError("invalid_request", "prove yourself in one way, not in two")
            client = await smart.authenticate_client(
                self._db, form, marks.audiences, self._clock, _app_or_system(self._db)
            )
            return Asker(await apps.find(self._db, client.id) if _is_app(client) else None, client)
        if header:
            name, secret = _basic(header)
            if form.get("client_id", name) != name:
                raise _unproved("client_id is not that of the Authorization header")
            app = await apps.find(self._db, name)
            if app is None or not app.active:
                raise _unproved("the app is not registered")
            if not apps.is_secret(app, secret):
                raise _unproved("the secret is wrong", _as_client(app))
            return Asker(app, _as_client(app))
        app = await apps.find(self._db, form.get("client_id", ""))
        if app is None or not app.active:
            raise _unproved("client_id is missing or not registered")
        if app.confidential:
            raise _unproved("this app has to prove who it is", _as_client(app))
        return Asker(app, _as_client(app))

    async def _redeemed(self, form: Mapping[str, str], app: App) -> Grant:
        return await grants.redeem(
            self._db,
            form.get("code", ""),
            app.id,
            form.get("redirect_uri", ""),
            form.get("code_verifier", ""),
            self._clock,
        )

    async def _refreshed(
        self, form: Mapping[str, str], asker: Asker
    ) -> tuple[Grant, tuple[str, ...]]:
        """The grant and the scopes of the new token: all of it, or what is asked of it."""
        token = form.get("refresh_token", "")
        read = grants.read_refresh(self._refresh_key, token)
        known = await grants.find(self._db, read[0]) if read else None
        wanted = tuple(dict.fromkeys(form.get("scope", "").split()))
        # looked at first: a refused wish must not cost the token
        if known and not all(_within(known.scopes, text) for text in wanted):
            raise OAuthError(
                "invalid_scope", "the person did not allow this scope", reason="token-scope",
                client=asker.client,
            )  # fmt: skip
        grant = await grants.refresh(
            self._db, self._refresh_key, token, asker.client.id, self._clock
        )
        return grant, wanted or grant.scopes

    async def _not_valid(self, error: CodeError, asker: Asker, marks: Marks) -> OAuthError:
        """What the app is told (little), and who else hears of it: the other processes, the log."""
        reason = "app-replay" if error.problem == "replayed" else "app-code"
        if error.grant and error.problem != "unknown":
            ended = await grants.find(self._db, error.grant.id)
            if ended and ended.ended:
                self._revocations.note(ended.id)
            if error.problem == "replayed":
                await self._note_end(error.grant, asker.client, "app-replay", marks)
        return OAuthError(
            "invalid_grant",
            "the code or the refresh token is not valid",
            detail=error.problem,
            reason=reason,
            client=asker.client,
        )

    def _answer(
        self, grant: Grant, account: Account, caller: Caller, *, fresh: bool
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": self._tokens.issue(caller),
            "token_type": "Bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": " ".join(caller.scopes),
        }
        if grant.refreshable:
            answer["refresh_token"] = grants.refresh_token(self._refresh_key, grant)
        if grant.patient and _speaks_of_patient(caller.scopes):
            answer["patient"] = grant.patient
        if grant.launched:
            # the page behind the app may not be in sight (SMART 2.2, 3.0.4)
            answer["need_patient_banner"] = True
        if OPENID in caller.scopes:
            answer["id_token"] = self._id_token(grant, account, caller, nonce=fresh)
        return answer

    def _id_token(self, grant: Grant, account: Account, caller: Caller, *, nonce: bool) -> str:
        """Who the person is (OpenID Connect Core, section 2)."""
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": account.id,
            "aud": grant.app,
            "iat": now,
            "exp": now + int(ID_LIFETIME.total_seconds()),
            "auth_time": int(grant.logged_in.timestamp()),
        }
        if nonce and grant.nonce:
            claims["nonce"] = grant.nonce
        claims |= self._about(account, caller)
        header = {"alg": ID_ALGORITHM, "typ": "JWT", "kid": self._identity.thumbprint()}
        return jws.serialize_compact(header, orjson.dumps(claims), self._identity, [ID_ALGORITHM])

    async def _refresh_facts(self, token: str, asker: Asker) -> dict[str, Any]:
        read = grants.read_refresh(self._refresh_key, token)
        grant = await grants.find(self._db, read[0]) if read else None
        if read is None or grant is None or not _may_know(asker, grant.app):
            return {}
        now = self._clock()
        if grant.ended or not grant.redeemed_at(read[1]) or grant.until <= now:
            return {"active": False}
        if await self._acting(grant.account) is None:
            return {"active": False}
        return {
            "active": True,
            "client_id": grant.app,
            "scope": " ".join(grant.scopes),
            "sub": grant.account,
            "iss": self._issuer,
            "exp": int(grant.until.timestamp()),
        }

    async def _access_facts(self, token: str, asker: Asker) -> dict[str, Any]:
        try:
            bound = self._tokens.bound_to(token)
            caller = self._tokens.verify(token, bound)
        except TokenError:
            return {"active": False}
        name = caller.app or caller.id
        if not _may_know(asker, name):
            return {"active": False}
        grant = await grants.find(self._db, UUID(caller.grant)) if caller.grant else None
        account = await self._acting(grant.account) if grant else None
        if caller.grant and account is None:
            return {"active": False}
        issued, expires = self._tokens.expiry(token)
        facts: dict[str, Any] = {
            "active": True,
            "client_id": name,
            "scope": " ".join(caller.scopes),
            "sub": caller.id,
            "iss": self._issuer,
            "aud": self._issuer + "/fhir",
            "token_type": "Bearer",
            "iat": issued,
            "exp": expires,
        }
        if bound:
            facts["cnf"] = {"x5t#S256": bound}
        if grant is not None and account is not None:
            user = fhir_user(self._issuer, account)
            if grant.patient and _speaks_of_patient(caller.scopes):
                facts["patient"] = grant.patient
            if FHIR_USER in caller.scopes and user:
                facts["fhirUser"] = user
        return facts

    async def _note(self, caller: Caller, interaction: str, reason: str, marks: Marks) -> None:
        asked = replace(caller, source=marks.source, request_id=marks.request_id)
        entry = audit.entry(asked, "E", interaction, audit.OK, clock=self._clock, reason=reason)
        await self._journal([entry])

    async def _note_end(self, grant: Grant, client: Client, reason: str, marks: Marks) -> None:
        """The end of a grant; the patient whom it is about sees it among the looks."""
        caller = clients.client_caller(client, scopes=(), purpose="")
        asked = replace(caller, source=marks.source, request_id=marks.request_id)
        await self._journal(
            [
                audit.entry(
                    asked, "E", "app-end", audit.OK, clock=self._clock, reason=reason,
                    person=grant.person or 0, patient=grant.patient,
                )
            ]
        )  # fmt: skip


def fhir_user(issuer: str, account: Account) -> str:
    """The address of the resource that the person is, or "" where there is none."""
    if account.role == "patient" and account.patient:
        return f"{issuer}/fhir/Patient/{account.patient}"
    return f"{issuer}/fhir/Practitioner/{account.practitioner}" if account.practitioner else ""


def _caller(
    grant: Grant, account: Account | None, app: App, wanted: tuple[str, ...]
) -> Caller | None:
    """Who the app is for the API: its person as the account is now, within what is still open.

    None when nothing is left: the account is closed, is tied to another record, or lost its role.
    """
    if account is None or not account.active:
        return None
    if account.role == "patient" and grant.person != account.person:
        return None
    scopes = app_scopes.grantable(wanted, app.scopes, account.role, patient=bool(grant.patient))
    if not scopes:
        return None
    own = account.role == "patient"
    return replace(
        account_caller(account, strength=grant.strength, purpose=grant.purpose),
        scopes=scopes,
        app=app.id,
        app_name=app.name,
        grant=str(grant.id),
        # scopes of `patient/` speak of one record, and so does then all that the app may
        context=None if own or not _speaks_of_patient(scopes) else grant.person,
    )


def _speaks_of_patient(scopes: Collection[str]) -> bool:
    return any(text in (LAUNCH, LAUNCH_PATIENT) or text.startswith("patient/") for text in scopes)


def _within(granted: Collection[str], wanted: str) -> bool:
    """Whether a scope is among the granted ones or is less than them."""
    if wanted in granted:
        return True
    if wanted in PLAIN:
        return False
    try:
        return covers([text for text in granted if text not in PLAIN], wanted)
    except ScopeError:
        return False


def _may_know(asker: Asker, client_id: str) -> bool:
    """An app knows of its own tokens; a registered system is a server that was shown one."""
    return asker.app is None or asker.app.id == client_id


def _app_or_system(db: Database) -> smart.Registered:
    async def registered(_: Database, client_id: str) -> Client | None:
        app = await apps.find(db, client_id)
        return _as_client(app) if app else await clients.find(db, client_id)

    return registered


def _as_client(app: App) -> Client:
    """An app as the journal and the check of assertions know clients: without rights of its own."""
    return Client(
        id=app.id,
        name=app.name,
        role=_APP_ROLE,
        organization="",
        organization_name="",
        jwks=app.jwks or {"keys": []},
        scopes=(),
        purposes=(),
        active=app.active,
    )


def _is_app(client: Client) -> bool:
    return client.role == _APP_ROLE


def _basic(header: str) -> tuple[str, str]:
    """Name and secret of HTTP Basic (RFC 6749, section 2.3.1); raises OAuthError."""
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError(name)
        return unquote_plus(name), unquote_plus(secret)
    except (binascii.Error, ValueError) as error:
        raise _unproved("the Authorization header is not HTTP Basic") from error


def _unproved(detail: str, client: Client | None = None) -> OAuthError:
    return OAuthError(
        "invalid_client",
        "client authentication failed",
        detail=detail,
        reason="token-client",
        client=client,
    )
