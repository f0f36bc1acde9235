"""Arithmetic of FHIRPath: numbers, texts, quantities, and durations added to dates (6.6)."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import MINYEAR, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from types import MappingProxyType

from pater.fhir.fhirpath import quantities
from pater.fhir.fhirpath.items import (
    S_DATE_TIME,
    S_TIME,
    EvaluationError,
    Item,
    Items,
    Quantity,
    category,
    exact,
    integer_of,
    longest,
    moment,
    number,
    number_of,
    quantity,
    single,
    string,
    text_of,
)

Number = int | Decimal
_LARGEST = 9_223_372_036_854_775_807
_LARGEST_EXPONENT = 50
_MOST_DIGITS = 28


def _bounded(value: Number) -> Items:
    """A result, or nothing when it is out of range (an overflow is empty)."""
    if isinstance(value, Decimal) and not value.is_finite():
        return []
    return number(value) if -_LARGEST < value < _LARGEST else []


def _numbers(operator: str, left: Number, right: Number) -> Items:
    if operator == "+":
        return _bounded(left + right)
    if operator == "-":
        return _bounded(left - right)
    if operator == "*":
        return _bounded(left * right)
    if right == 0:
        return []
    if operator == "/":
        return _bounded(Decimal(left) / Decimal(right))
    if isinstance(left, int) and isinstance(right, int):
        whole = abs(left) // abs(right) * (1 if (left < 0) is (right < 0) else -1)
        return _bounded(whole if operator == "div" else left - whole * right)
    if operator == "div":
        return _bounded(int(Decimal(left) / Decimal(right)))
    return _bounded(Decimal(left) % Decimal(right))


def _binary(operator: str) -> Callable[[Items, Items], Items]:
    def run(left: Items, right: Items) -> Items:
        one, two = single(left, operator), single(right, operator)
        if one is None or two is None or one[1] is None or two[1] is None:
            return []
        kinds = category(one[0].name), category(two[0].name)
        try:
            if kinds == ("number", "number"):
                return _numbers(operator, exact(one[1]), exact(two[1]))
            if kinds == ("string", "string") and operator == "+":
                longest(len(one[1]) + len(two[1]))
                return string(one[1] + two[1])
            if kinds == ("moment", "quantity") and operator in "+-":
                return _shift(one, two, 1 if operator == "+" else -1)
            if "quantity" in kinds and "moment" not in kinds and "string" not in kinds:
                return _quantities(operator, one, two)
        except ArithmeticError:
            return []
        raise EvaluationError(f"{one[0].name} {operator} {two[0].name} has no meaning")

    return run


def _quantities(operator: str, left: Item, right: Item) -> Items:
    one, two = quantities.read(left), quantities.read(right)
    if one is None or two is None:
        return []
    if operator in ("+", "-"):
        same = quantities.calendar_code(one.unit) == quantities.calendar_code(two.unit)
        scale = (
            None
            if same
            else quantities.product(
                Quantity(Decimal(1), two.unit), Quantity(Decimal(1), one.unit), -1
            )
        )
        if not quantities.comparable(one, two):
            return []
        other = two.value if scale is None else two.value * scale.value
        return quantity(one.value + other if operator == "+" else one.value - other, one.unit)
    if operator in ("*", "/"):
        found = quantities.product(one, two, 1 if operator == "*" else -1)
        return [] if found is None else quantity(*found)
    raise EvaluationError(f"quantities have no {operator}")


_SECONDS: Mapping[str, Decimal] = MappingProxyType(
    {
        "wk": Decimal(604800), "d": Decimal(86400), "h": Decimal(3600), "min": Decimal(60),
        "s": Decimal(1), "ms": Decimal("0.001"),
    }
)  # fmt: skip


def _shift(item: Item, amount: Item, sign: int) -> Items:
    """A date or time moved by a duration; the precision and the offset stay (FHIRPath 6.6.7)."""
    found = quantities.read(amount)
    if found is None:
        return []
    word = found.unit in quantities.CALENDAR_UNITS
    unit = quantities.calendar_code(found.unit)
    if (not word and unit in ("a", "mo")) or unit not in ("a", "mo", *_SECONDS):
        raise EvaluationError(f"'{found.unit}' is no duration that a date can be moved by")
    text: str = item[1]
    if category(item[0].name) == "moment" and item[0].name in ("time", "System.Time"):
        return _shift_time(text, unit, found.value * sign)
    head, zone = _without_zone(text)
    dated = head.partition("T")[0]
    full = head + "0001-01-01T00:00:00"[len(head) :] if len(head) < 19 else head
    if len(dated) < 10:
        full = (dated + "-01-01")[:10] + "T00:00:00"
    try:
        start = datetime.fromisoformat(full[:19])
        moved = _move(start, head, unit, found.value * sign)
    except (ValueError, OverflowError):
        return []
    if moved.year < MINYEAR or not 1 <= moved.year <= 9999:
        return []
    out = moved.isoformat(timespec="seconds") + full[19:]
    if len(head) > 19 and unit in ("s", "ms"):
        digits = len(head) - 20
        out = moved.isoformat(timespec="microseconds")[: 20 + max(digits, 3)]
    kind = item[0] if "T" not in head else S_DATE_TIME
    return moment(out[: max(len(head), len(out) if len(head) > 19 else 0)] + zone, kind)


def _without_zone(text: str) -> tuple[str, str]:
    if text.endswith("Z"):
        return text[:-1], "Z"
    if "T" in text and len(text) > 6 and text[-6] in "+-":
        return text[:-6], text[-6:]
    return text, ""


def _move(start: datetime, head: str, unit: str, amount: Decimal) -> datetime:
    if unit in ("a", "mo") or len(head) < 10:
        months = _months(unit, amount)
        if len(head) == 4:
            months = int(months / 12) * 12
        place = start.year * 12 + start.month - 1 + months
        year, month = divmod(place, 12)
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        return start.replace(year=year, month=month + 1, day=day)
    seconds = _SECONDS[unit]
    if len(head) == 10:
        return start + timedelta(days=int(amount * seconds / 86400))
    whole = amount if unit in ("s", "ms") else Decimal(int(amount))
    fraction = Decimal(f"0.{head[20:]}") if len(head) > 20 and unit in ("s", "ms") else Decimal(0)
    return start + timedelta(microseconds=int((whole * seconds + fraction) * 1_000_000))


def _months(unit: str, amount: Decimal) -> int:
    if unit == "a":
        return int(amount) * 12
    if unit == "mo":
        return int(amount)
    return int(amount * _SECONDS[unit] / (86400 * 30))


def _shift_time(text: str, unit: str, amount: Decimal) -> Items:
    if unit in ("a", "mo", "wk", "d"):
        raise EvaluationError("a time of day cannot be moved by days")
    parts = [Decimal(part) for part in text.split(":")]
    start = sum(part * scale for part, scale in zip(parts, (3600, 60, 1), strict=False))
    whole = amount if unit in ("s", "ms") else Decimal(int(amount))
    place = (start + whole * _SECONDS[unit]) % 86400
    hours, rest = divmod(place, 3600)
    minutes, seconds = divmod(rest, 60)
    digits = len(text) - 9
    shown = f"{int(hours):02}:{int(minutes):02}:" + (
        f"{seconds:0{digits + 3}.{digits}f}" if digits > 0 else f"{int(seconds):02}"
    )
    return moment(shown[: len(text)], S_TIME)


def _concatenate(left: Items, right: Items) -> Items:
    one, two = text_of(left, "&") or "", text_of(right, "&") or ""
    longest(len(one) + len(two))
    return string(one + two)


OPERATORS: Mapping[str, Callable[[Items, Items], Items]] = MappingProxyType(
    {
        "+": _binary("+"), "-": _binary("-"), "*": _binary("*"), "/": _binary("/"),
        "div": _binary("div"), "mod": _binary("mod"), "&": _concatenate,
    }
)  # fmt: skip


def negate(items: Items) -> Items:
    """Unary minus."""
    item = single(items, "-")
    if item is None:
        return []
    if isinstance(item[1], Quantity):
        return quantity(-item[1].value, item[1].unit)
    value = number_of(items, "-")
    if value is None:
        return []
    return number(-value)


# --- functions ----------------------------------------------------------------------------------


def _abs(items: Items) -> Items:
    item = single(items, "abs()")
    if item is not None and isinstance(item[1], Quantity):
        return quantity(abs(item[1].value), item[1].unit)
    value = number_of(items, "abs()")
    if value is None:
        return []
    return number(-value if value < 0 else value)


def _whole(mode: str) -> Callable[[Items], Items]:
    def run(items: Items) -> Items:
        value = number_of(items, "rounding")
        if value is None:
            return []
        return number(int(Decimal(value).to_integral_value(rounding=mode)))

    return run


def _truncate(items: Items) -> Items:
    value = number_of(items, "truncate()")
    return [] if value is None else number(int(value))


def _round(items: Items, digits: Items | None = None) -> Items:
    value = number_of(items, "round()")
    places = 0 if digits is None else integer_of(digits, "round()")
    if value is None or places is None:
        return []
    if not 0 <= places <= _MOST_DIGITS:
        raise EvaluationError(f"round() wants 0 to {_MOST_DIGITS} digits")
    if isinstance(value, int):
        return number(value)
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return number(rounded if digits is not None else int(rounded))


def _real(name: str, work: Callable[[Decimal], Decimal]) -> Callable[[Items], Items]:
    def run(items: Items) -> Items:
        value = number_of(items, name)
        if value is None:
            return []
        try:
            return _bounded(work(Decimal(value)))
        except ArithmeticError:
            return []

    return run


def _exp(value: Decimal) -> Decimal:
    return value.exp() if value < _LARGEST_EXPONENT else Decimal("Infinity")


def _log(items: Items, base: Items) -> Items:
    value, root = number_of(items, "log()"), number_of(base, "log()")
    if value is None or root is None or value <= 0 or root <= 0 or root == 1:
        return []
    if root == 10:
        return _bounded(Decimal(value).log10())
    found = Decimal(value).ln() / Decimal(root).ln()
    return _bounded(round(found, 20).normalize())


def _power(items: Items, exponent: Items) -> Items:
    value, raised = number_of(items, "power()"), number_of(exponent, "power()")
    if value is None or raised is None:
        return []
    try:
        found = Decimal(value) ** Decimal(raised)
        both = isinstance(value, int) and isinstance(raised, int) and raised >= 0
        return _bounded(int(found) if both and -_LARGEST < found < _LARGEST else found)
    except ArithmeticError:
        return []


def _total(operator: str, average: bool = False) -> Callable[[Items], Items]:
    def run(items: Items) -> Items:
        if not items:
            return []
        out = items[:1]
        for item in items[1:]:
            out = OPERATORS[operator](out, [item])
        return OPERATORS["/"](out, number(len(items))) if average else out

    return run


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Items]]] = MappingProxyType(
    {
        "abs": (0, 0, _abs),
        "ceiling": (0, 0, _whole(ROUND_CEILING)),
        "floor": (0, 0, _whole(ROUND_FLOOR)),
        "truncate": (0, 0, _truncate),
        "round": (0, 1, _round),
        "sqrt": (0, 0, _real("sqrt()", lambda value: value.sqrt())),
        "exp": (
            0,
            0,
            _real("exp()", _exp),
        ),
        "ln": (0, 0, _real("ln()", lambda value: value.ln())),
        "log": (1, 1, _log),
        "power": (1, 1, _power),
        "sum": (0, 0, _total("+")),
        "avg": (0, 0, _total("+", average=True)),
    }
)
"""Name → least and most arguments, function of the focus and the arguments."""
