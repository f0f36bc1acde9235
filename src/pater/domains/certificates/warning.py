"""Warns before a certificate ends: in the log, and by mail where a provider said where to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import structlog

from pater.domain import Job, Services, enqueue_statement
from pater.domains.certificates import tables
from pater.domains.certificates.orders import WARNED, due
from pater.domains.certificates.tables import Due
from pater.trust.ca.tables import MOST_LISTED, expiring

KIND: Final = "certificates.letter"
_EVERY: Final = 3600.0  # seconds
_SUBJECT: Final = "Páteř: certifikát brzy skončí / a certificate ends soon"
_TEXT: Final = (
    "Certifikát {serial} skončí do {days} dnů. Obnovte jej:\n{url}\n\n"
    "The certificate {serial} ends within {days} days. Renew it:\n{url}\n"
)
log = structlog.get_logger("pater.certificates")


async def warn_once(services: Services) -> list[Due]:
    """Tells of each certificate that ends within 30, 14 and 7 days, once each; what was new."""
    now = services.clock()
    until = now + timedelta(days=max(WARNED))
    kept = await expiring(services.db, now, until, MOST_LISTED)
    found = [
        Due(one.serial, days, one.owner)
        for one in kept
        if (days := due(one.not_after - now, one.not_after - one.not_before)) is not None
    ]

    def letter(one: Due, address: str) -> tuple[str, tuple[object, ...]]:
        payload = {"serial": one.serial, "days": one.days, "address": address}
        made = enqueue_statement(KIND, payload, id=services.new_id())
        return made.sql, tuple(made.args)

    told = await tables.warn(services.db, found, letter, now) if found else []
    for one in told:
        log.warning("certificate.ends", serial=one.serial, days=one.days, owner=one.owner)
    return told


def watch(services: Services) -> Callable[[asyncio.Event], Awaitable[None]]:
    """The task that looks every hour, in each process; what one told the others do not."""

    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await warn_once(services)
            except Exception as error:
                log.error("certificate.warnings-failed", kind=type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), _EVERY)
            except TimeoutError:
                continue

    return run


def letter_job(services: Services) -> Callable[[Job], Awaitable[Mapping[str, Any]]]:
    """The job that writes one letter; tried again while the gateway does not take it."""

    async def work(job: Job) -> Mapping[str, Any]:
        if services.letters is None:
            return {"sent": False}
        serial = str(job.payload["serial"])
        url = services.base_url.removesuffix("/fhir") + f"/certificates/{serial}"
        text = _TEXT.format(serial=serial, days=job.payload["days"], url=url)
        await services.letters(str(job.payload["address"]), _SUBJECT, text)
        return {"sent": True}

    return work
