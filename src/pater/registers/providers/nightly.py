"""Has a file of the register imported once a day, as long as the settings name one."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pater.store.database import Database
from pater.store.jobs import schedule

KIND: Final = "directory.import"
"""The job that imports a file; the domain `directory` does it."""
EVERY: Final = timedelta(days=1)


async def nightly(db: Database, form: str, path: str) -> None:
    """From now on the file at `path` is imported each day as this form; "" = no more."""
    name = f"directory-{form}"
    if path:
        await schedule(db, name, KIND, EVERY, {"form": form, "path": path})
    else:
        await db.execute("delete from job_schedule where name = $1", name)
