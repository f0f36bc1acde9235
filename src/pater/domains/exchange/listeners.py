"""What exchange does when something was written: it counts the documents that arrived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pater.domain import FeedEvent, Services
from pater.domains.exchange import tables


def arrivals(services: Services) -> Callable[[FeedEvent], Awaitable[None]]:
    """Counts each new DocumentReference on the day (UTC) of its arrival, once."""

    async def handle(event: FeedEvent) -> None:
        for change in event.changes:
            if change.type == "DocumentReference" and change.method == "POST":
                await tables.count_arrival(
                    services.db, change.id, event.at.date(), (event.xid, event.seq)
                )

    return handle
