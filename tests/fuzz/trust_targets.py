"""What reads the bytes of strangers about keys: requests, messages, stamps, archives and seals.

Targets of the same kind as those of `tests.fuzz.targets`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from joserfc.jwk import ECKey

from pater.access.transparency.archive_file import ArchiveError, SignedArchive
from pater.trust.acme.errors import AcmeError
from pater.trust.acme.jose import account_key
from pater.trust.acme.jose import read as read_acme
from pater.trust.acme.requests import certificate_of, request_of
from pater.trust.ca import CaError, ocsp
from pater.trust.ca.requests import read_request
from pater.trust.seal import families
from pater.trust.seal.model import Content, Format, Level, Order, Packaging, Rules, SealError
from pater.trust.tsa import self_made
from pater.trust.tsa.authority import Authority
from pater.trust.tsa.verifying import StampError, token_of
from pater.trust.tsa.verifying import verify as verify_stamp

NOW: Final = datetime(2026, 1, 15, tzinfo=UTC)


def certification_request(data: bytes) -> None:
    """What is sent to have a key certified."""
    with suppress(CaError):
        assert read_request(data).spki


def acme_message(data: bytes) -> None:
    """A signed message of ACME, and the key and the request that it may hold."""
    with suppress(AcmeError):
        found = read_acme(data)
        assert account_key(found.header.get("jwk")).thumbprint
    with suppress(AcmeError):
        assert request_of(data, ("a.test",), _ACCOUNT)
    with suppress(AcmeError):
        assert certificate_of(data)


_ACCOUNT: Final = account_key(ECKey.generate_key("P-256").as_dict(private=False)).jwk


def certificate_question(data: bytes) -> None:
    """A question about certificates (OCSP): what is read can be answered."""
    with suppress(ocsp.RefusedError):
        found = ocsp.read(data)
        assert found.asked
        assert all(isinstance(one.serial, int) and one.der for one in found.asked)


@lru_cache(maxsize=1)
def _authority() -> Authority:
    return self_made.read(self_made.new(NOW), lambda: NOW)


def time_stamp_seed() -> bytes:
    """A good token."""
    return _authority().stamp(bytes(32))


def time_stamp_request(data: bytes) -> None:
    """A TimeStampReq: any gets an answer, granted or refused with the reason."""
    token = _authority().answer(data)
    with suppress(StampError):
        token_of(token)


def time_stamp(data: bytes) -> None:
    """An answer of a stranger's authority, and a token: believed or refused."""
    with suppress(StampError):
        token_of(data)
    with suppress(StampError):
        verify_stamp(data, bytes(32), [_authority().root])


def archive_statement(data: bytes) -> None:
    """A statement that says it is of an archive."""
    with suppress(ArchiveError):
        SignedArchive(data.decode("latin-1"), data).verified({})


def seal(data: bytes) -> None:
    """A seal of any format: read to the end, and never believed where nobody is trusted."""
    rules = Rules(at=datetime(2026, 11, 23, tzinfo=UTC), anchors=())
    for content in ((), (Content(b"sealed", "urn:a"),)):
        with suppress(SealError):
            report = asyncio.run(families.validate(data, rules, content))
            assert not report.passed
            report.as_dict()


def seal_seeds() -> tuple[bytes, ...]:
    """Seals by a key that is made here, which nobody trusts."""
    from tests.trust.seal.ground import Ground, pdf

    ground = Ground()
    kinds = (
        (Format.JADES, Packaging.ATTACHED),
        (Format.JADES, Packaging.DETACHED),
        (Format.XADES, Packaging.ENVELOPED),
        (Format.XADES, Packaging.DETACHED),
        (Format.CADES, Packaging.ATTACHED),
        (Format.ASIC_S, Packaging.ATTACHED),
        (Format.ASIC_E, Packaging.ATTACHED),
        (Format.PADES, Packaging.ENVELOPED),
    )
    content = {Format.XADES: Content(b"<a><b/></a>"), Format.PADES: Content(pdf())}
    return tuple(
        asyncio.run(
            families.create(
                Order(kind, Level.LTA, packaging, (content.get(kind, _SEALED),)),
                ground.tools(),
            )
        )
        for kind, packaging in kinds
    )


_SEALED: Final = Content(b"sealed", "urn:a")
