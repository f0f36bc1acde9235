"""Files of persons: lists of hospitals and insurers as CSV.

`columns` makes a Patient of a row, `importing` takes rows through registration, `report` says what
became of them, `work` is the job, `tables` keeps what could not be taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pater.domain import Parts, Services
from pater.domains.persons.files import tables
from pater.domains.persons.forgetting import hourly

KEPT: Final = timedelta(days=180)
"""How long a row waits in quarantine."""


def parts(services: Services) -> Parts:
    """The task that forgets what is old. The job of an import is done by the process that asks."""

    async def forget(now: datetime) -> None:
        await tables.forget(services.db, now - KEPT)

    return Parts(tasks=[hourly("files", forget, services.clock)])
