"""The addresses of ACME under /acme, and what every message has to be (RFC 8555, section 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.trust.acme import tables
from pater.trust.acme.binding import is_id
from pater.trust.acme.errors import AcmeError, malformed
from pater.trust.acme.jose import (
    LONGEST,
    AccountKey,
    Message,
    account_key,
    message_of,
    read,
    verify,
)
from pater.trust.acme.nonces import Nonces
from pater.trust.acme.service import Acme
from pater.trust.acme.tables import Account, Order, Proof
from pater.trust.keys import KeysError

PREFIX: Final = "/acme"
_PAGE: Final = 50
_TYPE: Final = "application/jose+json"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_log = structlog.get_logger("pater.acme")


def routes(acme: Acme, nonces: Nonces, base_url: str) -> list[BaseRoute]:
    """All of them; `base_url` is the public address without a slash at the end."""
    desk = _Desk(acme, nonces, base_url)
    posted: dict[str, Callable[[_Asked], Awaitable[Response]]] = {
        "/account": desk.open_account,
        "/account/{id}": desk.account,
        "/account/{id}/orders": desk.orders,
        "/key-change": desk.key_change,
        "/order": desk.new_order,
        "/order/{id}": desk.order,
        "/order/{id}/finalize": desk.finalize,
        "/proof/{id}": desk.proof,
        "/proof/{id}/http-01": desk.challenge,
        "/certificate/{id}": desk.certificate,
        "/revoke": desk.revoke,
    }
    return [
        Route(f"{PREFIX}/directory", desk.directory),
        Route(f"{PREFIX}/nonce", desk.nonce),
        *(
            Route(PREFIX + path, desk.endpoint(work), methods=["POST"])
            for path, work in posted.items()
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A message whose form, nonce and signature are right. One of account and key is there."""

    request: Request
    message: Message
    account: Account | None
    key: AccountKey | None

    @property
    def id(self) -> str:
        """The id in the address."""
        return str(self.request.path_params["id"])

    @property
    def source(self) -> str:
        """The network address of the client."""
        return self.request.client.host if self.request.client else ""

    @property
    def reads(self) -> bool:
        """Whether it only reads (POST-as-GET: an empty payload)."""
        return not self.message.payload

    def holder(self) -> Account:
        """The account that signed. Raises AcmeError for a message with a bare key."""
        if self.account is None:
            raise malformed("this is signed by an account: name it by kid, not by jwk")
        return self.account

    def bare(self) -> AccountKey:
        """The key that signed. Raises AcmeError for a message with an account."""
        if self.key is None:
            raise malformed("this is signed with the key itself: jwk, not kid")
        return self.key


class _Desk:
    """What the addresses share."""

    def __init__(self, acme: Acme, nonces: Nonces, base_url: str) -> None:
        self._acme, self._nonces, self._base = acme, nonces, base_url
        self._links = f'<{base_url}{PREFIX}/directory>;rel="index"'

    async def directory(self, _: Request) -> Response:
        """Where everything is (section 7.1.1)."""
        return _json(
            {
                "newNonce": self._at("/nonce"),
                "newAccount": self._at("/account"),
                "newOrder": self._at("/order"),
                "revokeCert": self._at("/revoke"),
                "keyChange": self._at("/key-change"),
                "meta": {"externalAccountRequired": True},
            }
        )

    async def nonce(self, request: Request) -> Response:
        """A fresh nonce (section 7.2)."""
        status = 200 if request.method == "HEAD" else 204
        headers = {"Replay-Nonce": self._nonces.made(), "Link": self._links, **_NO_STORE}
        return Response(status_code=status, headers=headers)

    def endpoint(
        self, work: Callable[[_Asked], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Does the work for messages that are as they have to be; refusals become problems."""

        async def answer(request: Request) -> Response:
            try:
                made = await work(await self._asked(request))
            except AcmeError as error:
                made = _json(error.problem(), error.status, "application/problem+json")
                made.headers.update(error.headers)
            except KeysError as error:
                _log.error("ACME cannot sign", kind=type(error).__name__)
                said = AcmeError("serverInternal", "no certificates can be signed now", 503)
                made = _json(said.problem(), 503, "application/problem+json")
            made.headers.update(_NO_STORE)
            made.headers["Replay-Nonce"] = self._nonces.made()
            made.headers.append("Link", self._links)
            return made

        return answer

    async def _asked(self, request: Request) -> _Asked:
        """Form, address, key, signature and nonce of a message. Raises AcmeError."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _TYPE:
            raise AcmeError("malformed", f"messages are of the type {_TYPE}", 415)
        message = read(await _body(request))
        header = message.header
        if ("jwk" in header) == ("kid" in header):
            raise malformed("a message names its key by jwk or by kid, one of them")
        query = f"?{request.url.query}" if request.url.query else ""
        if message.text("url") != self._base + request.url.path + query:
            raise AcmeError("unauthorized", "the message is for another address (url)", 403)
        if not message.text("nonce"):
            raise AcmeError("badNonce", "a message carries a nonce")
        account, key = None, None
        if "kid" in header:
            account = await self._acme.account(self._account_id(message.text("kid")))
            verify(message, account_key(orjson.loads(account.jwk)))
        else:
            key = account_key(header["jwk"])
            verify(message, key)
        await self._nonces.take(message.text("nonce"))
        return _Asked(request, message, account, key)

    def _account_id(self, kid: str) -> str:
        start = self._at("/account/")
        return kid.removeprefix(start) if kid.startswith(start) else ""

    async def open_account(self, asked: _Asked) -> Response:
        """newAccount (section 7.3)."""
        payload = asked.message.object()
        url = self._at("/account")
        made, new = await self._acme.open_account(asked.bare(), payload, url, asked.source)
        headers = {"Location": self._at(f"/account/{made.id}")}
        return _json(self._account(made), 201 if new else 200, headers=headers)

    async def account(self, asked: _Asked) -> Response:
        """An account as it is, changed or ended (section 7.3.2)."""
        account = self._own(asked)
        if not asked.reads:
            payload = asked.message.object()
            account = await self._acme.change_account(account, payload, asked.source)
        return _json(self._account(account))

    async def orders(self, asked: _Asked) -> Response:
        """The orders of an account, newest first (section 7.1.2.1)."""
        account = self._own(asked)
        _only_reads(asked)
        before = _position(asked.request.query_params.get("before", ""))
        found = await self._acme.orders(account, before, _PAGE + 1)
        made = _json({"orders": [self._at(f"/order/{id}") for _, id in found[:_PAGE]]})
        if len(found) > _PAGE:
            at, id = found[_PAGE - 1]
            place = f"{int(at.timestamp() * 1_000_000)}.{id}"
            address = self._at(f"/account/{account.id}/orders?before={place}")
            made.headers.append("Link", f'<{address}>;rel="next"')
        return made

    async def key_change(self, asked: _Asked) -> Response:
        """A new key for an account: signed by the old one around, by the new one inside (7.3.5)."""
        account = asked.holder()
        inner = message_of(asked.message.object())
        if "jwk" not in inner.header or "kid" in inner.header or "nonce" in inner.header:
            raise malformed("the inner message is signed by the new key: jwk, no kid, no nonce")
        if inner.text("url") != self._at("/key-change"):
            raise malformed("the inner message is for another address (url)")
        new = account_key(inner.header["jwk"])
        verify(inner, new)
        payload = inner.object()
        old = account_key(payload.get("oldKey")).thumbprint
        if payload.get("account") != self._at(f"/account/{account.id}"):
            raise malformed("the inner message names another account")
        if old != account.thumbprint:
            raise malformed("the inner message names another old key")
        taken = await self._acme.change_key(account, new, asked.source)
        if taken is not None:
            where = {"Location": self._at(f"/account/{taken.id}")}
            raise AcmeError("malformed", "this key has an account", 409, headers=where)
        return _json(self._account(await self._acme.account(account.id)))

    async def new_order(self, asked: _Asked) -> Response:
        """newOrder (section 7.4)."""
        made = await self._acme.order(asked.holder(), asked.message.object())
        return self._order(made, 201)

    async def order(self, asked: _Asked) -> Response:
        """An order as it stands."""
        found = await self._acme.order_of(asked.holder(), asked.id)
        _only_reads(asked)
        return self._order(found)

    async def finalize(self, asked: _Asked) -> Response:
        """The request of an order whose hosts are proved."""
        account = asked.holder()
        found = await self._acme.order_of(account, asked.id)
        payload = asked.message.object()
        return self._order(await self._acme.finalize(account, found, payload, asked.source))

    async def proof(self, asked: _Asked) -> Response:
        """An authorization as it stands, or its end (sections 7.5, 7.5.2)."""
        account = asked.holder()
        found = await self._acme.proof_of(account, asked.id)
        if not asked.reads:
            if asked.message.object().get("status") != "deactivated":
                raise malformed("status can become deactivated, nothing else")
            found = await self._acme.give_up(account, found)
        return _json(self._proof(found))

    async def challenge(self, asked: _Asked) -> Response:
        """The challenge of an authorization; a payload says that the host is ready (7.5.1)."""
        account = asked.holder()
        found = await self._acme.proof_of(account, asked.id)
        if not asked.reads:
            asked.message.object()
            found = await self._acme.check(account, found)
        made = _json(self._challenge(found))
        made.headers.append("Link", f'<{self._at(f"/proof/{found.id}")}>;rel="up"')
        return made

    async def certificate(self, asked: _Asked) -> Response:
        """The certificate of an order with the authority above it."""
        found = await self._acme.order_of(asked.holder(), asked.id)
        _only_reads(asked)
        pem = await self._acme.certificate(found)
        return Response(pem, media_type="application/pem-certificate-chain")

    async def revoke(self, asked: _Asked) -> Response:
        """revokeCert (section 7.6)."""
        payload = asked.message.object()
        await self._acme.revoke(payload, asked.account, asked.key, asked.source)
        return Response(status_code=200)

    def _own(self, asked: _Asked) -> Account:
        account = asked.holder()
        if asked.id != account.id:
            raise AcmeError("unauthorized", "this is another account", 403)
        return account

    def _at(self, path: str) -> str:
        return self._base + PREFIX + path

    def _account(self, account: Account) -> dict[str, Any]:
        return {
            "status": account.state,
            "contact": list(account.contact),
            "orders": self._at(f"/account/{account.id}/orders"),
        }

    def _order(self, order: Order, status: int = 200) -> Response:
        where = self._at(f"/order/{order.id}")
        said: dict[str, Any] = {
            "status": order.state,
            "expires": _time(order.expires),
            "identifiers": [{"type": "dns", "value": host} for host in order.hosts],
            "authorizations": [self._at(f"/proof/{one.id}") for one in order.proofs],
            "finalize": f"{where}/finalize",
        }
        failed = next((one.error for one in order.proofs if one.error), None)
        if order.state == tables.INVALID and failed:
            said["error"] = failed
        if order.serial:
            said["certificate"] = self._at(f"/certificate/{order.id}")
        return _json(said, status, headers={"Location": where})

    def _proof(self, proof: Proof) -> dict[str, Any]:
        return {
            "status": proof.state,
            "expires": _time(proof.expires),
            "identifier": {"type": "dns", "value": proof.host},
            "challenges": [self._challenge(proof)],
        }

    def _challenge(self, proof: Proof) -> dict[str, Any]:
        said: dict[str, Any] = {
            "type": "http-01",
            "url": self._at(f"/proof/{proof.id}/http-01"),
            "token": proof.token,
            "status": "invalid" if proof.state == tables.DEACTIVATED else proof.state,
        }
        if proof.state == tables.VALID and proof.checked:
            said["validated"] = _time(proof.checked)
        if proof.error:
            said["error"] = proof.error
        return said


async def _body(request: Request) -> bytes:
    """The body, within its bound. Raises AcmeError."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > LONGEST:
                raise AcmeError("malformed", f"a message has at most {LONGEST} bytes", 413)
    except ClientDisconnect:
        raise malformed("the message was not sent whole") from None
    return bytes(data)


def _json(
    said: Mapping[str, Any],
    status: int = 200,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(orjson.dumps(said), status, headers, kind)


def _only_reads(asked: _Asked) -> None:
    if not asked.reads:
        raise malformed("this address is only read: send an empty payload")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _position(text: str) -> tuple[datetime, str] | None:
    """Where the next page of orders begins. Raises AcmeError."""
    if not text:
        return None
    at, _, id = text.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) <= 17 and is_id(id)):
        raise malformed("this page of orders does not exist")
    seconds, rest = divmod(int(at), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), id
