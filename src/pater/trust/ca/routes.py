"""The public addresses of the authority: its certificates, its revocation lists, its responder."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pater.trust.ca import ocsp, tables
from pater.trust.ca.authority import AUTHORITIES, CRL_EVERY, ISSUING, Authority, Identity
from pater.trust.ca.errors import CaError
from pater.trust.ca.ocsp import Asked, Ours
from pater.trust.ca.tables import Crl, Status
from pater.trust.keys import KeysError

ANSWER_HOLDS: Final = timedelta(hours=1)
_CACHED: Final = timedelta(minutes=5)
_LOOK_AGAIN: Final = timedelta(minutes=10)
_TYPE: Final = "application/ocsp-response"
log = structlog.get_logger("pater.ca")


def routes(authority: Authority, clock: Callable[[], datetime]) -> list[BaseRoute]:
    """`/pki/root.cer`, `issuing.cer`, `chain.pem`, `root.crl`, `issuing.crl` and `/pki/ocsp`."""
    pki = _Pki(authority, clock)
    return [
        Route("/pki/chain.pem", pki.chain),
        Route("/pki/ocsp", pki.post, methods=["POST"]),
        Route("/pki/ocsp/{question:path}", pki.get),
        *(Route(f"/pki/{name}.cer", pki.certificate(name)) for name in AUTHORITIES),
        *(Route(f"/pki/{name}.crl", pki.crl(name)) for name in AUTHORITIES),
    ]


def _nothing() -> Response:
    return PlainTextResponse("There is no certification authority here yet.\n", 404)


class _Pki:
    """What the addresses share: the authority, the last lists, the responder at work."""

    def __init__(self, authority: Authority, clock: Callable[[], datetime]) -> None:
        self._authority = authority
        self._clock = clock
        self._lists: dict[str, Crl] = {}  # by authority, so two at most
        self._identity: Identity | None = None
        self._ours = Ours({})
        self._looked = datetime.min.replace(tzinfo=UTC)

    async def chain(self, _: Request) -> Response:
        """The issuing authority and the root, PEM."""
        found = await self._authority.chain()
        if not found:
            return _nothing()
        text = b"".join(one.public_bytes(Encoding.PEM) for one in found)
        return Response(text, media_type="application/x-pem-file", headers=_cached(_CACHED))

    def certificate(self, name: str) -> Callable[[Request], object]:
        """The certificate of one authority, DER (RFC 2585)."""

        async def answer(_: Request) -> Response:
            found = await tables.authority(self._authority.db, name)
            if found is None:
                return _nothing()
            return Response(found, media_type="application/pkix-cert", headers=_cached(_CACHED))

        return answer

    def crl(self, name: str) -> Callable[[Request], object]:
        """The revocation list of one authority, DER (RFC 2585)."""

        async def answer(request: Request) -> Response:
            found = await self._list(name)
            if found is None:
                return _nothing()
            headers = {
                **_cached(_CACHED),
                "ETag": f'"{found.number}"',
                "Last-Modified": format_datetime(found.made, usegmt=True),
            }
            known = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
            if headers["ETag"] in known:
                return Response(status_code=304, headers=headers)
            return Response(found.der, media_type="application/pkix-crl", headers=headers)

        return answer

    async def _list(self, name: str) -> Crl | None:
        """The list in force; its bytes are fetched when there is a newer one."""
        stands = await tables.crl_number(self._authority.db, name)
        last = self._lists.get(name)
        young = last is not None and self._clock() - last.made < CRL_EVERY
        if last is not None and young and stands == (last.number, last.made):
            return last
        found = await self._authority.crl(name)
        if found is not None:
            self._lists[name] = found
        return found

    async def get(self, request: Request) -> Response:
        """A question in the address: base64 of the DER (RFC 6960, appendix A.1)."""
        text = request.path_params["question"]
        try:
            if len(text) > 2 * ocsp.LONGEST:
                raise ValueError("too long")
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error):
            return _refusal("malformed_request")
        return await self._respond(data, get=True)

    async def post(self, request: Request) -> Response:
        """A question as the body (RFC 6960, appendix A.1)."""
        data = bytearray()
        try:
            async for chunk in request.stream():
                data += chunk
                if len(data) > ocsp.LONGEST:
                    return _refusal("malformed_request")
        except ClientDisconnect:
            return _refusal("malformed_request")
        return await self._respond(bytes(data), get=False)

    async def _respond(self, data: bytes, *, get: bool) -> Response:
        try:
            question = ocsp.read(data)
            identity = await self._at_work()
        except ocsp.RefusedError as refused:
            return _refusal(refused.status)
        except (CaError, KeysError, OSError) as error:
            log.error("OCSP cannot answer", kind=type(error).__name__)
            return _refusal("try_later")
        ours = [one for one in question.asked if self._ours.names(one)]
        wanted = [tables.serial_text(number) for number in ocsp.serials(ours)]
        try:
            found = await tables.statuses(self._authority.db, ISSUING, wanted)
        except OSError:
            return _refusal("try_later")

        def status_of(asked: Asked) -> Status | None:
            known = self._ours.names(asked) and asked.serial > 0
            return found.get(tables.serial_text(asked.serial)) if known else None

        now = self._clock()
        made = ocsp.answer(
            question, status_of, identity.signer, identity.certificate, now, now + ANSWER_HOLDS
        )
        shared = get and question.nonce is None
        headers = _cached(_CACHED) if shared else {"Cache-Control": "no-store"}
        return Response(made, media_type=_TYPE, headers=headers)

    async def _at_work(self) -> Identity:
        """The responder with its certificate, looked up now and then.

        Raises RefusedError, CaError, KeysError.
        """
        now = self._clock()
        if self._identity is None or now - self._looked > _LOOK_AGAIN:
            found = await self._authority.identity("ocsp")
            if found is None:
                raise ocsp.RefusedError("unauthorized")
            self._identity, self._looked = found, now
            self._ours = Ours.of(found.chain[0])
        return self._identity


def _cached(age: timedelta) -> dict[str, str]:
    return {"Cache-Control": f"public, max-age={int(age.total_seconds())}, must-revalidate"}


def _refusal(status: str) -> Response:
    return Response(ocsp.refusal(status), media_type=_TYPE, headers={"Cache-Control": "no-store"})
