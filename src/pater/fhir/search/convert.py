"""From FHIR values to index values: one converter for each kind of parameter and data type.

A converter takes (parameter, value, type, out) and appends to `out`. What cannot be indexed
(an impossible date, a coding without content) is left out; nothing raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir import ucum
from pater.fhir.definitions import required_codings
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.references import parse_reference, reference_of
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

# Longer texts are not remembered: the memory of what was seen stays small.
_SHORT = 200
_LONGEST_DATE = 40
# What the constructors of named tuples do, without their detour.
_new = tuple.__new__

CURRENCY = "urn:iso:std:iso:4217"
"""The unit system of Money: ISO 4217 currency codes."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# --- token --------------------------------------------------------------------------------------


def _token(param: str, system: Any, code: Any, out: IndexValues) -> None:
    if not (type(code) is str and code):
        code = None
    if not (type(system) is str and system):
        if code is None:
            return
        system = None
    out.tokens.append(_new(TokenValue, (param, system, code)))


def _coding(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if isinstance(value, dict):
        _token(param, value.get("system"), value.get("code"), out)


def _concept(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    codings = value.get("coding") if isinstance(value, dict) else None
    if isinstance(codings, list):
        for coding in codings:
            if type(coding) is dict:
                _token(param, coding.get("system"), coding.get("code"), out)


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
    if type(value) is str and value:
        system = _systems(kind.value_set).get(value) if kind.value_set else None
        out.tokens.append(_new(TokenValue, (param, system, value)))


@lru_cache(maxsize=512)
def _systems(value_set: str) -> Mapping[str, str]:
    """code → the first system of a required value set that has it."""
    found: dict[str, str] = {}
    for system, codes in (required_codings(value_set) or {}).items():
        for code in codes:
            found.setdefault(code, system)
    return MappingProxyType(found)


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
    text = value.get("reference")
    if isinstance(text, str):
        only = kind.targets[0] if len(kind.targets) == 1 else None
        stated = value.get("type")
        if not isinstance(stated, str) or len(stated) > _SHORT:
            stated = None
        found = (_kept_referred if len(text) <= _SHORT else _referred)(param, text, stated, only)
        if found is not None:
            out.references.append(found)
    identifier = value.get("identifier")
    if isinstance(identifier, dict):
        _token(f"{param}:identifier", identifier.get("system"), identifier.get("value"), out)


def _referred(param: str, text: str, stated: str | None, only: str | None) -> ReferenceValue | None:
    """What a Reference points to; `stated` is its type, `only` the one that the element allows."""
    kind, told, ident, _, url = parse_reference(text)
    if kind == "relative":
        return _new(ReferenceValue, (param, told, ident, None))
    if kind in ("absolute", "urn"):
        if told is None and stated is not None:
            told = reference_of({"reference": text, "type": stated}).type
        return ReferenceValue(param, told or only, None, url)
    return None


# All resources of a record refer to the same patient and to a few encounters.
_kept_referred = lru_cache(maxsize=16_384)(_referred)


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
    if type(value) is str and value:
        out.strings.append(_new(StringValue, (param, value)))


def _parts(*names: str) -> Converter:
    def convert(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
        if not isinstance(value, dict):
            return
        for name in names:
            part = value.get(name)
            if part is None:
                continue
            for each in part if type(part) is list else (part,):
                if type(each) is str and each:
                    out.strings.append(_new(StringValue, (param, each)))

    return convert


def _uri(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if type(value) is str and value:
        out.uris.append(_new(UriValue, (param, value)))


# --- date ---------------------------------------------------------------------------------------


def _span(value: Any) -> tuple[datetime, datetime] | None:
    return _kept_span(value) if isinstance(value, str) and len(value) <= _LONGEST_DATE else None


@lru_cache(maxsize=8_192)
def _kept_span(text: str) -> tuple[datetime, datetime] | None:
    """What happened at one visit has one date."""
    try:
        return date_span(text)
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
        out.dates.append(_new(RangeValue, (param, *span)))


def _period(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    if span := _period_span(value):
        out.dates.append(_new(RangeValue, (param, *span)))


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
    if type(value) is float and math.isfinite(value):
        return value
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


class _Form(NamedTuple):
    """A unit under which a quantity is found; `ucum` is the code to convert it to base units by."""

    system: str
    code: str
    ucum: str = ""


def _unit_forms(system: str, code: str, unit: str) -> tuple[_Form, ...]:
    forms = [_Form("", "")]
    if code:
        forms.append(_Form("", code))
        scale = ucum.scale(code) if system == ucum.SYSTEM else None
        if scale is not None:
            # in base units: found in every unit that measures the same
            forms.append(_Form(system, scale.dimension, code))
        elif system:
            forms.append(_Form(system, code))
    if unit and unit != code:
        forms.append(_Form("", unit))
    return tuple(forms)


_kept_forms = lru_cache(maxsize=4_096)(_unit_forms)


def _in_base(code: str, value: float) -> float:
    """A number of a UCUM unit in base units."""
    scale = ucum.scale(code)
    assert scale is not None
    return scale.base_number(value)


_kept_in_base = lru_cache(maxsize=8_192)(_in_base)


def _with_units(
    param: str, low: float, high: float, units: Mapping[str, Any], out: IndexValues
) -> None:
    system, code, unit = units.get("system"), units.get("code"), units.get("unit")
    system = system if type(system) is str else ""
    code = code if type(code) is str else ""
    unit = unit if type(unit) is str else ""
    short = len(system) + len(code) + len(unit) <= _SHORT
    add = out.numbers.append
    for named, as_code, convert in (_kept_forms if short else _unit_forms)(system, code, unit):
        first, last = low, high
        if convert:
            # zeros of either sign are equal, so they would be taken for each other
            base = _kept_in_base if low and high else _in_base
            first = base(convert, low)
            last = first if low == high else base(convert, high)
        add(_new(NumberValue, (param, first, last, named, as_code)))


def _quantity(param: str, value: Any, kind: TypeRef, out: IndexValues) -> None:
    number = _float(value.get("value")) if isinstance(value, dict) else None
    if number is None:
        return
    low = high = number
    if "comparator" in value:
        comparator = str(value["comparator"])
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


_BEYOND: Mapping[str, Converter] = MappingProxyType(
    {
        "HumanName": _parts("text", "prefix", "suffix"),
        "Address": _parts("text", "line", "district"),
    }
)


def beyond(kind: TypeRef) -> Converter:
    """For what a name or an address says beyond the parts that have parameters of their own.

    Raises KeyError for another type.
    """
    return _BEYOND[kind.name]
