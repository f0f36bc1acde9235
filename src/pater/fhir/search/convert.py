"""From FHIR values to index values: one converter for each kind of parameter and data type.

A converter takes (parameter, value, type, out) and appends to `out`. What cannot be indexed
(an impossible date, a coding without content) is left out; nothing raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pater.fhir import ucum
from pater.fhir.definitions import required_codings
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.references import reference_of
from pater.fhir.search.dates import date_span
from pater.fhir.search.values import (
    OPEN_HIGH,
    OPEN_LOW,
    IndexValues,
    NumberValue,
    RangeValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)

Converter = Callable[[str, Any, TypeRef, IndexValues], None]

CURRENCY = "urn:iso:std:iso:4217"
"""The unit system of Money: ISO 4217 currency codes."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# --- token --------------------------------------------------------------------------------------


def _token(param: str, system: Any, code: Any, out: IndexValues) -> None:
    system, code = _text(system), _text(code)
    if system is not None or code is not None:
        out.tokens.append(TokenValue(param, system, code))


def _coding(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if isinstance(value, dict):
        _token(param, value.get("system"), value.get("code"), out)


def _concept(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    codings = value.get("coding") if isinstance(value, dict) else None
    if isinstance(codings, list):
        for coding in codings:
            _coding(param, coding, kind, out)


def _identifier(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if isinstance(value, dict):
        _token(param, value.get("system"), value.get("value"), out)
        if "type" in value:
            _of_type(param, value, out)


def _of_type(param: str, value: dict[str, Any], out: IndexValues) -> None:
    """`identifier:of-type=system|code|value`, for each coding of the identifier's type."""
    told, text = value["type"], _text(value.get("value"))
    codings = told.get("coding") if isinstance(told, dict) else None
    for coding in codings if isinstance(codings, list) and text else ():
        if isinstance(coding, dict) and _text(coding.get("system")) and _text(coding.get("code")):
            out.tokens.append(
                TokenValue(f"{param}:of-type", coding["system"], f"{coding['code']}|{text}")
            )


def _contact_point(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    # The system of a ContactPoint (phone, email) is no code system (R4 search, "token").
    if isinstance(value, dict):
        _token(param, None, value.get("value"), out)


def _code(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    # The system of a `code` is implied by its required binding.
    system = None
    if kind.value_set and isinstance(value, str):
        for name, codes in (required_codings(kind.value_set) or {}).items():
            if value in codes:
                system = name
                break
    _token(param, system, value, out)


def _plain_token(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int):
        value = str(value)
    _token(param, None, value, out)


# --- reference ----------------------------------------------------------------------------------


def _reference(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if not isinstance(value, dict):
        return
    ref = reference_of(value)
    told = ref.type or (kind.targets[0] if len(kind.targets) == 1 else None)
    if ref.kind == "relative":
        out.references.append(ReferenceValue(param, ref.type, ref.id, None))
    elif ref.kind in ("absolute", "urn"):
        out.references.append(ReferenceValue(param, told, None, ref.url))
    identifier = value.get("identifier")
    if isinstance(identifier, dict):
        _token(f"{param}:identifier", identifier.get("system"), identifier.get("value"), out)


def _canonical(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    """A canonical is found with and without its version; a fragment never counts."""
    if not isinstance(value, str) or value.startswith("#"):
        return
    address, _, version = value.partition("#")[0].partition("|")
    if not address:
        return
    ref = reference_of({"reference": address})
    if ref.kind == "relative":
        out.references.append(ReferenceValue(param, ref.type, ref.id, None))
        return
    out.references.append(ReferenceValue(param, None, None, address))
    if version:
        out.references.append(ReferenceValue(param, None, None, f"{address}|{version}"))


def _inner_resource(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    # `Bundle.entry[0].resource`: the document's Composition, the message's header.
    ident = value.get("id") if isinstance(value, dict) else None
    if _text(ident):
        out.references.append(ReferenceValue(param, kind.name, ident, None))


# --- string and uri -----------------------------------------------------------------------------


def _string(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if _text(value):
        out.strings.append(StringValue(param, value))


def _parts(*names: str) -> Converter:
    def convert(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
        if not isinstance(value, dict):
            return
        for name in names:
            part = value.get(name)
            if isinstance(part, list):
                out.strings.extend(StringValue(param, each) for each in part if _text(each))
            elif _text(part):
                out.strings.append(StringValue(param, part))  # type: ignore[arg-type]  # a str here

    return convert


def _uri(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if _text(value):
        out.uris.append(UriValue(param, value))


# --- date ---------------------------------------------------------------------------------------


def _span(value: Any) -> tuple[datetime, datetime] | None:
    if not isinstance(value, str):
        return None
    try:
        return date_span(value)
    except ValueError:
        return None


def _period_span(value: Any) -> tuple[datetime, datetime] | None:
    if not isinstance(value, dict):
        return None
    start, end = _span(value.get("start")), _span(value.get("end"))
    if start is None and end is None:
        return None
    low, high = start[0] if start else OPEN_LOW, end[1] if end else OPEN_HIGH
    return (low, high) if low <= high else None


def _date(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if span := _span(value):
        out.dates.append(RangeValue(param, *span))


def _period(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if span := _period_span(value):
        out.dates.append(RangeValue(param, *span))


def _timing(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    """Of a schedule only the outer limits matter (R4 search, "date")."""
    if not isinstance(value, dict):
        return
    events, repeat = value.get("event"), value.get("repeat")
    spans = [_span(each) for each in events] if isinstance(events, list) else []
    if isinstance(repeat, dict):
        spans.append(_period_span(repeat.get("boundsPeriod")))
    known = [span for span in spans if span]
    if known:
        low, high = min(span[0] for span in known), max(span[1] for span in known)
        out.dates.append(RangeValue(param, low, high))


# --- number and quantity ------------------------------------------------------------------------


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _number(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    number = _float(value)
    if number is not None:
        out.numbers.append(NumberValue(param, number, number, "", ""))


def _with_units(
    param: str, low: float, high: float, units: Mapping[str, Any], out: IndexValues
) -> None:
    system, code = _text(units.get("system")) or "", _text(units.get("code")) or ""
    add = out.numbers.append
    add(NumberValue(param, low, high, "", ""))
    if code:
        add(NumberValue(param, low, high, "", code))
        scale = ucum.scale(code) if system == ucum.SYSTEM else None
        if scale is not None:
            # in base units: found in every unit that measures the same
            first = scale.base_number(low)
            last = first if low == high else scale.base_number(high)
            add(NumberValue(param, first, last, system, scale.dimension))
        elif system:
            add(NumberValue(param, low, high, system, code))
    unit = _text(units.get("unit"))
    if unit and unit != code:
        add(NumberValue(param, low, high, "", unit))


def _quantity(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    number = _float(value.get("value")) if isinstance(value, dict) else None
    if number is None:
        return
    comparator = str(value.get("comparator", ""))
    low = -math.inf if comparator.startswith("<") else number
    high = math.inf if comparator.startswith(">") else number
    _with_units(param, low, high, value, out)


def _money(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    number = _float(value.get("value")) if isinstance(value, dict) else None
    if number is not None:
        units = {"system": CURRENCY, "code": value.get("currency")}
        _with_units(param, number, number, units if _text(units["code"]) else {}, out)


def _range(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if not isinstance(value, dict):
        return
    ends = [value.get(name) for name in ("low", "high")]
    sides = [each if isinstance(each, dict) else {} for each in ends]
    low, high = (_float(side.get("value")) for side in sides)
    if low is None and high is None:
        return
    units = sides[0] if low is not None else sides[1]
    low = -math.inf if low is None else low
    high = math.inf if high is None else high
    if low <= high:
        _with_units(param, low, high, units, out)


def _sampled(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    """The span of the samples: value × factor + origin (R4 SampledData)."""
    origin = value.get("origin") if isinstance(value, dict) else None
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(origin, dict) or not isinstance(data, str):
        return
    factor, zero = _float(value.get("factor", 1)), _float(origin.get("value", 0))
    if factor is None or zero is None:
        return
    samples: list[float] = []
    for word in data.split():
        try:
            sample = float(word)
        except ValueError:
            continue  # E, L and U stand for error, below and above the limits
        if math.isfinite(sample):
            samples.append(sample * factor + zero)
    if samples:
        _with_units(param, min(samples), max(samples), origin, out)


_PLAIN = ("string", "id", "uri", "canonical", "url", "oid", "uuid", "markdown", "integer")
_QUANTITIES = ("Quantity", "Age", "Duration", "Count", "Distance")

CONVERTERS: Mapping[str, Mapping[str, Converter]] = MappingProxyType(
    {
        "token": MappingProxyType(
            dict.fromkeys((*_PLAIN, "boolean", "positiveInt", "unsignedInt"), _plain_token)
            | {
                "code": _code,
                "Coding": _coding,
                "CodeableConcept": _concept,
                "Identifier": _identifier,
                "ContactPoint": _contact_point,
            }
        ),
        "reference": MappingProxyType(
            {"Reference": _reference, "canonical": _canonical, "uri": _canonical}
        ),
        "string": MappingProxyType(
            dict.fromkeys((*_PLAIN, "code"), _string)
            | {
                "HumanName": _parts("text", "family", "given", "prefix", "suffix"),
                "Address": _parts(
                    "text", "line", "city", "district", "state", "postalCode", "country"
                ),
            }
        ),
        "date": MappingProxyType(
            {"date": _date, "dateTime": _date, "instant": _date}
            | {"Period": _period, "Timing": _timing}
        ),
        "number": MappingProxyType(
            dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), _number)
            | {"Range": _range}
        ),
        "quantity": MappingProxyType(
            dict.fromkeys(_QUANTITIES, _quantity)
            | {"Money": _money, "Range": _range, "SampledData": _sampled}
        ),
        "uri": MappingProxyType(dict.fromkeys(("uri", "url", "canonical", "oid"), _uri)),
    }
)
"""parameter type → FHIR type → converter; a type that is missing is not indexed."""


def converter(parameter_type: str, kind: TypeRef) -> Converter | None:
    """The converter for values of a type, or None when the parameter does not index it."""
    found = CONVERTERS[parameter_type].get(kind.name)
    if found is None and parameter_type == "reference" and "." not in kind.name:
        return _inner_resource if kind.name[:1].isupper() else None
    return found
