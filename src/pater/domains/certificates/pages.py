"""The pages under /certificates, for the administrator of one provider; others' do not exist."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.federation import identities
from pater.domain import Services
from pater.domains.certificates import orders
from pater.domains.certificates import tables as own
from pater.domains.certificates.orders import KINDS, PERSON, WARNED
from pater.trust.ca import PROFILES, Authority, CaError, Kept
from pater.trust.ca import tables as ca
from pater.trust.ca.tables import EXPIRED, ISSUED, REVOKED
from pater.trust.keys import KeysError
from pater.web.context import Endpoint, PageContext
from pater.web.forms import file_of
from pater.web.i18n import N_

ROLE: Final = "administrator"
PAGE: Final = 50
_FIELDS: Final = ("name", "krzp", "given", "family", "request")
_LONGEST_ADDRESS: Final = 200
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    ISSUED: (N_("in force"), "success"),
    REVOKED: (N_("withdrawn"), "error"),
    EXPIRED: (N_("expired"), "neutral"),
}
_REASONS: Final[Mapping[str, str]] = {
    "keyCompromise": N_("Somebody else may have the key"),
    "superseded": N_("Another certificate takes its place"),
    "affiliationChanged": N_("The person or system does not belong to us any more"),
    "cessationOfOperation": N_("The system is not used any more"),
    "unspecified": N_("Another reason"),
    "privilegeWithdrawn": N_("The right was withdrawn"),
}
_OFFERED: Final = tuple(_REASONS)[:5]
_WRONG: Final[Mapping[str, tuple[str, str]]] = {
    "request-private-key": (
        "request",
        N_("This holds a private key. Keep that to yourself and send the request only."),
    ),
    "request-too-large": ("request", N_("This is too large for a request.")),
    "request-several": ("request", N_("Send one request at a time.")),
    "request-signature": ("request", N_("The signature of the request does not fit its key.")),
    "request-digest": ("request", N_("Sign the request with SHA-256 or stronger.")),
    "key-compromised": ("request", N_("This key was compromised. Make a new one.")),
    "key-taken": ("request", N_("This key belongs to somebody else. Make a new one.")),
    "not-employed": (
        "krzp",
        N_("Nobody of this number and name has an account at your organisation."),
    ),
    "subject": ("name", N_("Fill in all of whom the certificate names; the number has 9 digits.")),
}
_UNREADABLE: Final = N_("This is no certification request (PKCS #10, PEM).")
_KEY: Final = N_("The key is RSA of 2048 to 4096 bits or EC P-256.")


@dataclass(frozen=True, slots=True)
class Row:
    """A certificate as the pages show it."""

    serial: str
    name: str
    kind: str
    state: str
    color: str
    ends: datetime
    left: int | None  # days; None unless in force
    soon: bool
    kept: Kept

    @property
    def number(self) -> str:
        """The serial number in groups, so that it fits narrow pages."""
        return " ".join(self.serial[at : at + 4] for at in range(0, len(self.serial), 4))


def routes(context: PageContext, services: Services, authority: Authority) -> Sequence[BaseRoute]:
    """All of them."""
    db, clock = services.db, services.clock
    for_administrators = functools.partial(let_in, context)

    async def listing(request: Request) -> Response:
        caller = context.caller_of(request)
        before = _position(request.query_params.get("before", ""))
        found = await ca.listing(db, owner=caller.organization, count=PAGE + 1, before=before)
        more = found[PAGE - 1] if len(found) > PAGE else None
        now = clock()
        until = now + timedelta(days=max(WARNED))
        ending = await ca.expiring(db, now, until, PAGE, caller.organization)
        return context.render(
            request,
            "certificates/listing.html",
            rows=[row(request, one) for one in found[:PAGE]],
            ending=[row(request, one) for one in ending],
            older=f"{more.ordered.isoformat()}~{more.serial}" if more else "",
            first=before is None,
            letters=services.letters is not None,
            address=await own.contact(db, caller.organization),
            wrong="wrong" in request.query_params,
            kept="kept" in request.query_params,
        )

    async def contact(request: Request) -> Response:
        caller = context.caller_of(request)
        address = (await context.form(request)).get("address", "").strip()
        if address and not _is_address(address):
            return context.redirect("/certificates?wrong=1")
        await own.set_contact(db, caller.organization, address, caller.id, clock())
        return context.redirect("/certificates?kept=1")

    async def new(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise HTTPException(404)
        return await ordered(request, kind, None)

    async def renew(request: Request) -> Response:
        kept = await known(request)
        if not orders.may_renew(kept, clock()):
            raise HTTPException(409)
        return await ordered(request, kept.profile, kept)

    async def ordered(request: Request, kind: str, old: Kept | None) -> Response:
        """The form of an order or of a renewal, and what it leads to."""
        if request.method != "POST":
            return form_of(request, kind, old, {}, {})
        caller = context.caller_of(request)
        form = await context.form(request)
        upload = file_of(request, "file")
        data = upload.content if upload else form.get("request", "").encode()
        subject = old.subject if old else orders.subject_of(kind, form, caller)
        operator = orders.operator_of(caller)
        try:
            if kind == PERSON:
                try:
                    found = await identities.of_professional(db, subject.krzp)
                    orders.check_employed(subject, found, caller.organization)
                except CaError as error:
                    act = "certificate-renew" if old else "certificate-issue"
                    await ca.journal(db, operator, act, clock(), refused=error.code)
                    raise
            if old:
                made = await authority.renew(operator, old.serial, data)
            else:
                made = await authority.issue(operator, kind, subject, data)
        except CaError as error:
            if error.code == "request-private-key":
                form = {**form, "request": ""}  # is not shown again
            return form_of(request, kind, old, form, _told(error, kind, new=old is None))
        return context.redirect(f"/certificates/{made.serial}?done=issued")

    def form_of(
        request: Request,
        kind: str,
        old: Kept | None,
        form: Mapping[str, str],
        errors: Mapping[str, str],
    ) -> Response:
        return context.render(
            request,
            "certificates/order.html",
            status=422 if errors else 200,
            kind=kind,
            old=row(request, old) if old else None,
            form={name: form.get(name, "") for name in _FIELDS},
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    async def one(request: Request) -> Response:
        kept = await known(request)
        newer = await ca.renewed_by(db, kept.serial)
        return context.render(
            request,
            "certificates/one.html",
            item=row(request, kept),
            newer=newer,
            reason=context._(request, _REASONS[kept.reason]) if kept.reason else "",
            renewable=orders.may_renew(kept, clock()),
            revocable=kept.state(clock()) == ISSUED,
            done=request.query_params.get("done", ""),
        )

    async def revoke(request: Request) -> Response:
        kept = await known(request)
        if kept.state(clock()) != ISSUED:
            return context.redirect(f"/certificates/{kept.serial}")
        errors = {}
        if request.method == "POST":
            reason = (await context.form(request)).get("reason", "")
            if reason in _OFFERED:
                operator = orders.operator_of(context.caller_of(request))
                await authority.revoke(operator, kept.serial, reason)
                return context.redirect(f"/certificates/{kept.serial}?done=revoked")
            errors["reason"] = context._(request, N_("Choose the reason."))
        return context.render(
            request,
            "certificates/revoke.html",
            status=422 if errors else 200,
            item=row(request, kept),
            reasons=[(name, context._(request, _REASONS[name]), "") for name in _OFFERED],
            errors=errors,
        )

    async def download(request: Request) -> Response:
        kept = await known(request)
        if kept.der is None:
            raise HTTPException(404)
        chain = [x509.load_der_x509_certificate(kept.der), *(await authority.chain())[:1]]
        return Response(
            b"".join(each.public_bytes(Encoding.PEM) for each in chain),
            media_type="application/x-pem-file",
            headers={"Content-Disposition": f'attachment; filename="{kept.serial}.pem"'},
        )

    async def known(request: Request) -> Kept:
        """A certificate of the caller's organisation; any other is not there."""
        kept = await authority.find(request.path_params["serial"])
        if kept is None or kept.owner != context.caller_of(request).organization:
            raise HTTPException(404)
        return kept

    def row(request: Request, kept: Kept) -> Row:
        now = clock()
        said, color = _STATES.get(kept.state(now), (N_("being made"), "warning"))
        who = kept.subject
        name = " ".join(filter(None, (who.given, who.family))) or who.name or ", ".join(who.hosts)
        left = orders.days_left(kept, now)
        return Row(
            kept.serial,
            name,
            PROFILES[kept.profile].title[context.lang(request)],
            context._(request, said),
            color,
            kept.not_after,
            left,
            left is not None and left < max(WARNED),
            kept,
        )

    acts = ["GET", "POST"]
    proved = functools.partial(for_administrators, fresh=True)
    return [
        Route("/certificates", for_administrators(listing)),
        Route("/certificates/contact", for_administrators(contact), methods=["POST"]),
        Route("/certificates/new/{kind}", proved(new), methods=acts),
        Route("/certificates/{serial}", for_administrators(one)),
        Route("/certificates/{serial}/file", for_administrators(download)),
        Route("/certificates/{serial}/renew", proved(renew), methods=acts),
        Route("/certificates/{serial}/revoke", proved(revoke), methods=acts),
    ]


def let_in(context: PageContext, endpoint: Endpoint, *, fresh: bool = False) -> Endpoint:
    """Lets in administrators; one of no organisation is told so."""

    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        if not context.caller_of(request).organization:
            return context.render(request, "certificates/untied.html")
        try:
            return await endpoint(request)
        except KeysError as error:
            raise HTTPException(503) from error

    return context.require(ROLE, fresh=fresh)(guarded)


def _told(error: CaError, kind: str, *, new: bool) -> dict[str, str]:
    """What an administrator is told of a refusal, at the field that it is about."""
    if error.code in _WRONG:
        field, text = _WRONG[error.code]
        if field == "name" and kind == PERSON:
            field = "krzp"
        return {field if new else "request": text}
    if error.code.startswith("key-") or error.code == "request-algorithm":
        return {"request": _KEY}
    return {"request": _UNREADABLE}


def _is_address(text: str) -> bool:
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ,;:<>"()[]\\')
    name, at, host = text.partition("@")
    return (
        plain and len(text) <= _LONGEST_ADDRESS and bool(name and at and host) and "@" not in host
    )


def _position(text: str) -> tuple[datetime, str] | None:
    """Where the next page of the list begins."""
    if not text:
        return None
    at, _, serial = text.partition("~")
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))
        if moment.tzinfo is None or not 0 < len(serial) <= 40 or not serial.isalnum():
            raise HTTPException(400)
        return moment.astimezone(UTC), serial
    except (ValueError, OverflowError) as error:
        raise HTTPException(400) from error
