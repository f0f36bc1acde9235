"""Opening hours: of a HealthcareService or a text, as minutes of a week, and whether it is open.

A week has 10,080 minutes from Monday 0:00 local time (Europe/Prague); a range is half open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Europe/Prague")
DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CZECH: Final = {"po": 0, "út": 1, "ut": 1, "st": 2, "čt": 3, "ct": 3, "pá": 4, "pa": 4, "so": 5,
                 "ne": 6}  # fmt: skip
_NAMES: Final = {**_CZECH, **{name: at for at, name in enumerate(DAYS)}}
_CLOCK: Final = re.compile(r"(\d{1,2})[:.](\d{2})")
_SPAN: Final = re.compile(r"(\d{1,2}[:.]\d{2})\s*[-–]\s*(\d{1,2}[:.]\d{2})")
_MOST: Final = 200

Span = tuple[int, int]


def minute_of_week(moment: datetime) -> int:
    """The minute of the week, local time, of an aware moment."""
    local = moment.astimezone(ZONE)
    return local.weekday() * DAY + local.hour * 60 + local.minute


def spans(available: Sequence[Mapping[str, Any]]) -> tuple[Span, ...]:
    """`availableTime` (or `hoursOfOperation` of a Location) as sorted ranges that do not touch."""
    found: list[Span] = []
    for each in available:
        opening = each.get("availableStartTime", each.get("openingTime"))
        closing = each.get("availableEndTime", each.get("closingTime"))
        if each.get("allDay"):
            first, length = 0, DAY
        elif opening and closing and opening != closing:
            first, last = _minutes(opening), _minutes(closing)
            last = DAY if last == DAY - 1 else last  # 23:59 is as late as a time can be written
            length = last - first if last > first else last - first + DAY  # over midnight
        else:
            continue
        for name in each.get("daysOfWeek") or DAYS:
            if name in DAYS:
                begin = DAYS.index(name) * DAY + first
                found += _wrapped(begin, begin + length)
    return joined(found)


def joined(found: Sequence[Span]) -> tuple[Span, ...]:
    """Sorted, with what overlaps or touches made one."""
    made: list[Span] = []
    for first, last in sorted(found):
        if made and first <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return tuple(made)


def is_open(week: Sequence[Span], moment: datetime) -> bool:
    """Whether a moment lies in one of the ranges."""
    at = minute_of_week(moment)
    return any(first <= at < last for first, last in week)


def closed_times(unavailable: Sequence[Mapping[str, Any]]) -> tuple[tuple[datetime, datetime], ...]:
    """`notAvailable` as aware [from, until); what has no period, or none to read, is left out."""
    found = []
    for each in unavailable:
        period = each.get("during") or {}
        first, last = _begin(period.get("start")), _end(period.get("end"))
        if first is not None and last is not None and first < last:
            found.append((first, last))
    return tuple(found)


def read_hours(text: str) -> list[dict[str, Any]]:
    """`Po-Pá 7:00-15:00, 16:00-18:00; So 8:00-12:00` or `nonstop` as `availableTime`.

    Days in Czech or English, ranges by dash, days by comma. Raises ValueError.
    """
    made: list[dict[str, Any]] = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        if len(made) > _MOST:
            raise ValueError("these are too many opening hours")
        if part.lower() in ("nonstop", "24/7"):
            made.append({"daysOfWeek": list(DAYS), "allDay": True})
            continue
        times = _SPAN.findall(part)
        named = _SPAN.sub("", part).strip(" ,")
        days = _days(named)
        if not days or not times:
            raise ValueError(f"opening hours that cannot be read: {part[:60]}")
        for opening, closing in times:
            made.append(
                {
                    "daysOfWeek": days,
                    "availableStartTime": _time(opening),
                    "availableEndTime": _time(closing),
                }
            )
    return made


def _days(text: str) -> list[str]:
    found: list[str] = []
    for part in filter(None, (each.strip().lower() for each in text.split(","))):
        first, dash, last = (each.strip(" .") for each in re.sub("–", "-", part).partition("-"))
        if first not in _NAMES or (dash and last not in _NAMES):
            return []
        low, high = _NAMES[first], _NAMES[last] if dash else _NAMES[first]
        found += [DAYS[at % 7] for at in range(low, high + 1 if high >= low else high + 8)]
    return sorted(set(found), key=DAYS.index)


def _time(text: str) -> str:
    found = _CLOCK.fullmatch(text)
    assert found  # _SPAN found it
    hour, minute = int(found[1]), int(found[2])
    if (hour, minute) == (24, 0):
        return "23:59:00"
    if hour > 23 or minute > 59:
        raise ValueError(f"there is no time {text}")
    return f"{hour:02}:{minute:02}:00"


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:5])


def _wrapped(first: int, last: int) -> list[Span]:
    if last <= WEEK:
        return [(first, last)]
    return [(first, WEEK), (0, last - WEEK)]


def _begin(text: Any) -> datetime | None:
    found = _moment(text)
    return found[0] if found else None


def _end(text: Any) -> datetime | None:
    found = _moment(text)
    return found[1] if found else None


def _moment(text: Any) -> tuple[datetime, datetime] | None:
    """A FHIR dateTime as [first, after last); a day is a local one. Years and months too."""
    if not isinstance(text, str):
        return None
    try:
        if len(text) > 10:
            at = datetime.fromisoformat(text)
            return (at.astimezone(UTC), at.astimezone(UTC)) if at.tzinfo else None
        parts = [int(each) for each in text.split("-")]
        first = date(*[*parts, 1, 1][:3])
        if len(parts) == 3:
            after = first + timedelta(days=1)
        elif len(parts) == 2:
            after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            after = date(first.year + 1, 1, 1)
        return _midnight(first), _midnight(after)
    except (ValueError, OverflowError, TypeError):
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)
