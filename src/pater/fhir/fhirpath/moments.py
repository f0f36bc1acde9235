"""How FHIRPath compares dates and times of unlike precision: sometimes there is no answer."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

_MOMENT = re.compile(
    r"(?:(\d{4})(?:-(\d\d)(?:-(\d\d))?)?T?)?"
    r"(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,12})?))?)?)?(Z|[+-]\d\d:\d\d)?\Z",
    re.ASCII,
)


class _Moment(NamedTuple):
    """The fields that are said: [year, month, day,] hour, minute, second with its fraction."""

    dated: bool
    fields: tuple[Decimal, ...]
    zone: str | None


def compare(left: object, right: object) -> int | None:
    """-1, 0 or 1; None when the precision or the offsets leave it open (FHIRPath 6.2).

    Seconds and their fractions are one precision. Raises ValueError when a side is no date,
    dateTime or time, or only one is a time.
    """
    one, two = _read(left), _read(right)
    if one.dated is not two.dated:
        raise ValueError("a time is no date")
    if one.zone != two.zone and min(len(one.fields), len(two.fields)) > 3 and one.dated:
        if one.zone is None or two.zone is None:
            return None
        one, two = _in_utc(one), _in_utc(two)
    for first, second in zip(one.fields, two.fields, strict=False):
        if first != second:
            return -1 if first < second else 1
    return 0 if len(one.fields) == len(two.fields) else None


def _read(text: object) -> _Moment:
    match = _MOMENT.match(text) if isinstance(text, str) and text else None
    if match is None:
        raise ValueError("not a date or time")
    said = match.groups()[:6] if match[1] else match.groups()[3:6]
    fields = tuple(Decimal(each) for each in said if each is not None)
    return _Moment(match[1] is not None, fields, match[7])


def _in_utc(moment: _Moment) -> _Moment:
    zone = moment.zone or "Z"
    shift = timedelta(0)
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        shift = -shift if zone[0] == "-" else shift
    whole = [int(each) for each in moment.fields[:5]]
    minute = whole[4] if len(whole) > 4 else 0
    try:
        here = datetime(whole[0], whole[1], whole[2], whole[3], minute, tzinfo=UTC) - shift
    except (IndexError, OverflowError) as problem:
        raise ValueError("not a date or time") from problem
    fields = (here.year, here.month, here.day, here.hour, here.minute)[: len(moment.fields)]
    return _Moment(True, tuple(map(Decimal, fields)) + moment.fields[5:], "Z")
