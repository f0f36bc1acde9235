"""What has to be done now and then: partitions ahead, old sessions and feed rows, dictionaries.

Each step can be done at any time, twice, or by two processes at once; nothing waits for it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from pater.access import lockout, places, probing, relations
from pater.access.grants import purge as purge_grants
from pater.access.sessions import purge_sessions
from pater.access.transparency import archives
from pater.access.transparency.archive_file import ArchiveError
from pater.app import House
from pater.certifying import certification
from pater.clock import now
from pater.fhir.definitions import RESOURCE_TYPES
from pater.rest.subscriptions import LISTENER as SUBSCRIPTIONS
from pater.rest.subscriptions import purge_events
from pater.store.codes import fill as fill_codes
from pater.store.dictionaries import train
from pater.store.feed import purge as purge_feed
from pater.store.jobs import known, purge
from pater.store.migrate import ensure_partitions
from pater.store.text_index import KIND as WORDS
from pater.trust import acme

EVERY: Final = 600.0  # seconds
FIRST: Final = 60.0
# With fewer stored bodies a dictionary saves little; see docs/decisions/0004.
ENOUGH: Final = 1_000
# An upload is written for a while before there is a job for it.
FORGOTTEN: Final = 3600.0  # seconds
# Rows of the feed that go in one statement, and how many such statements one round may have.
PURGED: Final = 10_000
MOST_PURGES: Final = 100
_log = structlog.get_logger("pater.maintenance")

# Types with many bodies and no dictionary yet; the planner's own estimate, no counting.
_UNTRAINED = """
select t.type from unnest($1::smallint[]) as t(type)
where not exists (select 1 from dictionary d where d.type = t.type)
and (select count(*) from (
    select 1 from resource r where r.type = t.type and not r.deleted limit $2) few) = $2
"""


async def maintain(house: House) -> None:
    """Does everything once."""
    await ensure_partitions(house.db)
    await purge_sessions(house.db, now)
    await lockout.purge(house.db, now())
    await places.purge(house.db, now())
    await purge_grants(house.db, now)
    await relations.purge(house.db, now())
    await probing.purge(house.db, now())
    await purge(house.db)
    await sweep(house)
    await purge_events(house.db, now())
    await shorten_feed(house)
    await archive_journal(house)
    await certification(house.settings, house.db, now).keep_up()
    await acme.purge(house.db, now())
    await fill_codes(house.db)
    numbers = list(range(len(RESOURCE_TYPES)))
    for row in await house.db.fetch(_UNTRAINED, numbers, ENOUGH):
        await train(house.db, RESOURCE_TYPES[row["type"]], now())


async def shorten_feed(house: House) -> None:
    """Removes what every listener has heard of, `feed_days` after it was written."""
    if not house.settings.feed_days:
        return
    names = [one.name for parts in house.parts.values() for one in parts.listeners]
    before = now() - timedelta(days=house.settings.feed_days)
    for _ in range(MOST_PURGES):
        if await purge_feed(house.db, before, [*names, SUBSCRIPTIONS, WORDS], PURGED) < PURGED:
            return


async def archive_journal(house: House) -> None:
    """Moves months of the journal into archives, and removes those whose time is over."""
    settings, log = house.settings, house.services.log
    if log is None:
        return
    try:
        done = await archives.keep_up(
            house.db,
            log.keys.head,
            settings.journal_folder,
            now(),
            settings.journal_months,
            settings.journal_years,
        )
    except ArchiveError as error:
        _log.error("the journal was not archived", why=str(error))
        return
    for what in done:
        _log.info("journal", done=what)


async def sweep(house: House) -> None:
    """Removes the files of jobs that are no more."""
    files = house.services.files
    old = [each for each in files.folders() if files.age(each) > FORGOTTEN]
    for first in range(0, len(old), ENOUGH):
        some = old[first : first + ENOUGH]
        kept = await known(house.db, some)
        for each in some:
            if each not in kept:
                await asyncio.to_thread(files.remove, each)


async def keep_up(house: House, stop: asyncio.Event) -> None:
    """Does it every ten minutes until told to stop; a failure is logged and tried again."""
    pause = FIRST
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
            return
        pause = EVERY
        try:
            await maintain(house)
        except Exception as error:
            _log.error("maintenance failed", kind=type(error).__name__)
