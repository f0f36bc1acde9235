"""Seals every received document, looks at the seal whenever one is read, and keeps seals alive.

A document and its wish for a seal are written together; the seal follows from the feed, so an
arrival waits neither for a key in hardware nor for a time stamp, and none is missed. The seal is a
detached JAdES over the bytes as received, with a time stamp (level T), stamped anew (LTA) before
its certificates end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from pater.access.caller import KEY, Caller
from pater.domain import FeedEvent, Services
from pater.domains.exchange import tables
from pater.records.errors import RecordsError
from pater.records.gate import Damaged, Stored
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Order,
    Packaging,
    SealError,
    Tools,
)
from pater.trust.seal.quick import Quick, lasts_until
from pater.trust.seal.service import Service

log = structlog.get_logger("pater.seals")
MIME: Final = "application/fhir+json"
_BATCH: Final = 50
_AT_ONCE: Final = 8  # seals in the making; a key elsewhere takes its time for each
_MARGIN: Final = timedelta(days=60)
_AGAIN: Final = timedelta(hours=6)
_EVERY: Final = 3600.0  # seconds
_MOST_REMEMBERED: Final = 20_000

KEEPER: Final = Caller(
    kind="system",
    id="pater",
    name="Páteř",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/Bundle.r",),
)
"""Who reads a document to stamp its seal anew; the journal says so."""


def name_of(base_url: str, bundle: str) -> str:
    """The address under which a seal names the document as it was received."""
    return base_url + _ending(bundle)


def _ending(bundle: str) -> str:
    """What the name ends with, whatever the address of the installation was then."""
    return f"/Bundle/{bundle}/_history/1"


class Seals:
    """The seals of the documents of one installation."""

    def __init__(self, services: Services, service: Service) -> None:
        self._db = services.db
        self._gate = services.gate
        self._base = services.base_url
        self._clock = services.clock
        self._service = service
        self._quick = Quick(service)
        self._good: OrderedDict[str, bytes] = OrderedDict()  # Bundle id -> SHA-256, sealed

    async def arrived(self, event: FeedEvent) -> None:
        """Seals what has no seal yet, when a document is among what was written."""
        if any(one.type == "Bundle" and one.method == "POST" for one in event.changes):
            await self.seal_waiting()

    async def seal_waiting(self) -> int:
        """Seals all documents that wait for it; how many. Raises SealError."""
        done = 0
        while found := await tables.waiting_for_seals(self._db, _BATCH):
            tools, turns = await self._service.tools(), asyncio.Semaphore(_AT_ONCE)
            seals = await asyncio.gather(*(self._sealed(*one, tools, turns) for one in found))
            renew = lasts_until(seals[0][1]) - _MARGIN
            await tables.keep_seals(self._db, seals, self._clock(), renew)
            done += len(seals)
        return done

    async def _sealed(
        self, bundle: str, digest: bytes, tools: Tools, turns: asyncio.Semaphore
    ) -> tuple[str, bytes]:
        content = Content(None, name_of(self._base, bundle), MIME, (("sha256", digest),))
        order = Order(Format.JADES, Level.T, Packaging.DETACHED, (content,))
        async with turns:
            return bundle, await self._service.create(order, tools)

    async def renew(self, stop: asyncio.Event) -> None:
        """Every hour, until the end: seals what was left over, stamps anew what is ageing."""
        while not stop.is_set():
            try:
                await self.renew_ageing()
            except Exception as error:
                log.error("seals.renewal-failed", kind=type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), _EVERY)
            except TimeoutError:
                continue

    async def renew_ageing(self) -> int:
        """Stamps anew the seals whose time has come; how many."""
        done = 0
        now = self._clock()
        while found := await tables.take_ageing_seals(self._db, now, now + _AGAIN, _BATCH):
            for one in found:
                done += await self._renewed(one, now + _AGAIN)
        return done

    async def _renewed(self, one: tables.Sealed, taken: datetime) -> bool:
        assert one.seal is not None  # the query asks for it
        try:
            stored = await self._gate.vread(KEEPER, "Bundle", one.bundle, 1)
            content = Content(stored.body, mime=MIME)
            after = await self._service.extend(one.seal, Level.LTA, (content,))
        except (SealError, RecordsError, Damaged) as error:
            # it comes again; what it stands on holds for weeks yet
            log.error("seals.not-renewed", document=one.bundle, kind=type(error).__name__)
            return False
        renew = lasts_until(after) - _MARGIN
        await tables.renew_seal(self._db, one.bundle, taken, after, renew)
        return True

    async def check(self, versions: Sequence[Stored]) -> None:
        """Raises Damaged unless every document among these is what was sealed on its arrival.

        Called with all Bundles that are read, whatever for. Versions after the first are changes
        that were made here, with a journal entry each; what came is the first.
        """
        of = {one.id: one for one in versions if one.version == 1 and one.body}
        unknown = [id for id in of if id not in self._good]
        kept = await tables.seals_of(self._db, unknown) if unknown else {}
        for id, stored in of.items():
            sealed, expected = kept.get(id), self._good.get(id)
            if expected is None and sealed is None:
                continue  # a Bundle that did not come as a document
            digest = hashlib.sha256(stored.body).digest()
            if digest != (expected or (sealed and sealed.digest)):
                raise self._alarm(id, "content")
            if expected is not None:
                self._good.move_to_end(id)
                continue
            if sealed is None or sealed.seal is None:
                continue  # it has just come
            problem = await self._quick.agrees(sealed.seal, stored.body, _ending(id))
            if problem is not None:
                raise self._alarm(id, problem.value)
            self._good[id] = digest
            while len(self._good) > _MOST_REMEMBERED:
                self._good.popitem(last=False)

    def _alarm(self, id: str, reason: str) -> Damaged:
        log.critical("document.damaged", document=id, reason=reason)
        return Damaged("Bundle", id)
