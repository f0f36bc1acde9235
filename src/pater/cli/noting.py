"""What a command that only looks leaves in the journal, durable before it shows anything."""

from __future__ import annotations

from pater.clock import now
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.store.write import Committer


async def note(db: Database, entry: JournalEntry) -> None:
    """Writes one entry."""
    committer = Committer(db, now)
    await committer.start()
    try:
        await committer.journal_only([entry])
    finally:
        await committer.stop()
