"""One person's record as a whole: the current resources of some types, in a stable order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database
from pater.store.read import COLUMNS, Stored, to_stored

_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_RECORD = (
    f"select {COLUMNS}, rid from resource"  # noqa: S608 constants
    " where person = $1 and type = any($2::smallint[]) and not deleted and updated >= $3"
    " and (type, rid) > ($4, $5) order by type, rid limit $6"
)


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a page of a record ended: the number of its last resource's type, and its row."""

    type: int
    rid: int

    def text(self) -> str:
        """As a cursor."""
        return f"{self.type}.{self.rid}"

    @staticmethod
    def of(text: str) -> RecordPlace | None:
        """The place that `text` gave; None for another text."""
        type_, dot, rid = text.partition(".")
        good = all(part.isascii() and part.isdigit() for part in (type_, rid))
        if not dot or not good or len(type_) > 4 or len(rid) > 18:
            return None
        return RecordPlace(int(type_), int(rid))


async def record(
    db: Database,
    person: int,
    types: Iterable[str],
    since: datetime | None,
    after: RecordPlace | None,
    count: int,
) -> tuple[list[Stored], RecordPlace | None]:
    """Up to `count` resources of the person, and where the next page begins (None: at the end).

    Updates meanwhile do not move a resource: none is left out or comes twice over the pages.
    """
    numbers = sorted(TYPE_NUMBER[each] for each in types)
    place = after or RecordPlace(-1, 0)
    rows = await db.fetch(
        _RECORD, person, numbers, max(since or _FIRST, _FIRST), place.type, place.rid, count + 1
    )
    page = await to_stored(db, rows[:count])
    more = len(rows) > count
    return page, RecordPlace(rows[count - 1]["type"], rows[count - 1]["rid"]) if more else None
