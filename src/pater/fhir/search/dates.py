"""FHIR dates of any precision as spans of time: for the index, the query and comparisons."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z",
    re.ASCII,
)
# From the first microsecond of each precision to its last.
_DAY = timedelta(days=1, microseconds=-1)
_MINUTE = timedelta(minutes=1, microseconds=-1)
_FRACTION = tuple(timedelta(microseconds=10 ** (6 - digits) - 1) for digits in range(7))
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def date_span(text: str) -> tuple[datetime, datetime]:
    """First and last microsecond (UTC, both included) of a date, dateTime or instant.

    A year is the whole year, a minute the whole minute, a fraction of a second what its digits
    leave open. Without an offset UTC is meant. Ends beyond the years 1 to 9999 are cut there.
    Raises ValueError when the text is no FHIR date or no day of the calendar.
    """
    match = _DATE.match(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        first_month, last_month = (int(month), int(month)) if month else (1, 12)
        low = datetime(int(year), first_month, int(day) if day else 1, tzinfo=UTC)
        if day:
            return low, low + _DAY
        last_day = monthrange(int(year), last_month)[1]
        return low, datetime(int(year), last_month, last_day, 23, 59, 59, 999999, tzinfo=UTC)
    # A leap second is kept as the last moment of its minute: datetime has no 60th second.
    leap = second == "60"
    width = _MINUTE if second is None else _FRACTION[6 if leap else min(len(fraction or ""), 6)]
    micro = 999999 if leap else int(fraction[:6].ljust(6, "0")) if fraction else 0
    low = datetime(
        int(year), int(month), int(day), int(hour), int(minute),
        59 if leap else int(second or 0), micro, tzinfo=UTC,
    )  # fmt: skip
    offset = _offset(zone)
    if offset:
        return _shift(low, -offset), _shift(low, width - offset)
    return low, low + width


@lru_cache(maxsize=256)
def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("not an offset from UTC")
    span = timedelta(hours=hours, minutes=minutes)
    return -span if zone[0] == "-" else span


def _shift(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return _FIRST if by < timedelta(0) else _LAST
