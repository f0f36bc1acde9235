"""A quick look at a seal of this installation, for every reading of what it seals.

The whole validation of a seal takes a hundredth of a second, most of it for the certificates above
it and for its stamp. One seal of each certificate is validated wholly now and then; of all others
the hash, the signature and that it is by that very certificate are checked, each time anew.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Final

from asn1crypto import cms
from cryptography import x509

from pater.trust.seal.broken import Broken
from pater.trust.seal.jades_reading import Read, stamps_in, taken_apart
from pater.trust.seal.jose import JoseProblem, der_of, read
from pater.trust.seal.judging import sha256
from pater.trust.seal.model import Content, SealError, Sub
from pater.trust.seal.service import Service

_HOLDS: Final = timedelta(hours=1)
_MOST_KNOWN: Final = 100
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
# what says nothing against the seal: nobody could be asked, or nobody stamped it anew in time
_TOLERATED: Final = frozenset({Sub.TRY_LATER, Sub.OUT_OF_BOUNDS_NO_POE})


class Quick:
    """Looks at seals; remembers for an hour which certificates were found good."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: OrderedDict[bytes, datetime] = OrderedDict()

    async def agrees(self, seal: bytes, data: bytes, ending: str) -> Sub | None:
        """Why the seal over these data cannot be believed, or None when it can.

        `ending` is how the name of what is sealed ends.
        """
        content = Content(data)
        try:
            [jws] = read(seal)
            found = Read(jws)
            taken_apart(found, (content,), ())
        except Broken as broken:
            return broken.sub
        except (JoseProblem, ValueError):
            return Sub.FORMAT_FAILURE
        if len(found.covers) != 1 or not found.covers[0].endswith(ending):
            return Sub.SIGNED_DATA_NOT_FOUND
        name = sha256(found.certificate)
        if self._known.get(name, _NEVER) > self._now():
            return None
        try:
            report = await self._service.validate(seal, (content,))
        except SealError:
            return Sub.FORMAT_FAILURE
        if not report.passed and report.sub not in _TOLERATED:
            return report.sub or Sub.GENERIC
        if report.passed:
            self._known[name] = self._now() + _HOLDS
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return None

    def _now(self) -> datetime:
        return self._service.clock()


def lasts_until(seal: bytes) -> datetime:
    """When what a JAdES seal stands on ends: the certificates of its newest archive stamp; without
    one the signing certificate, or those of its stamp when they end first. Raises ValueError.
    """
    [jws] = read(seal)
    ends: list[datetime] = []
    archived = False
    for _, over, token in stamps_in(jws):
        end = min(one.not_valid_after_utc for one in _certificates(token))
        ends = [end] if over == "archive" else [*ends, end]
        archived = over == "archive"
    if not archived:
        signing = x509.load_der_x509_certificate(der_of(jws.header["x5c"][0]))
        ends.append(signing.not_valid_after_utc)
    return min(ends)


def _certificates(token: bytes) -> list[x509.Certificate]:
    held = cms.ContentInfo.load(token)["content"]["certificates"]
    found = [x509.load_der_x509_certificate(one.chosen.dump()) for one in held]
    if not found:
        raise ValueError("a stamp does not hold the certificate of its authority")
    return found
