"""Writes FHIR data types as a reader of Czech or English expects them."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pater.domains.exchange.view.bundle import BundleIndex, Json, choice, items, obj, text, texts
from pater.domains.exchange.view.model import Code, Field
from pater.domains.exchange.view.words import counted, words
from pater.terminology.names import Language, display, own_name, system_name

_DATE = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?)?)?)?")
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)
_MONTHS_CS: Final = (
    "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec".split()
)
_COMPARATORS: Final = {"<": "<", "<=": "≤", ">=": "≥", ">": ">"}
# UCUM codes that people write otherwise.
_UNITS: Final = {
    "Cel": "°C",
    "mm[Hg]": "mmHg",
    "/min": "/min",
    "10*9/L": "10⁹/l",
    "10*12/L": "10¹²/l",
    "umol/L": "µmol/l",
    "mmol/L": "mmol/l",
    "ug/L": "µg/l",
    "mg/L": "mg/l",
    "g/L": "g/l",
    "ukat/L": "µkat/l",
    "mL/s/{1.73_m2}": "ml/s/1,73 m²",
    "1": "",
    "{score}": "",
}


class Wording:
    """Formatting bound to one document and one reader: language, code names, references."""

    def __init__(self, index: BundleIndex, lang: Language, document_lang: str) -> None:
        self.index = index
        self.lang: Language = lang
        self.w = words(lang)
        # An author who wrote in the reader's language, or did not say which, is quoted as is.
        self.quotes = not document_lang or document_lang.split("-")[0].lower() == lang

    # -- time ---------------------------------------------------------------
    def date(self, value: Any) -> str:
        """A date, dateTime or instant; the clock as written in the document, whatever the zone."""
        match = _DATE.match(text(value))
        if match is None:
            return text(value)
        year, month, day, clock = match.groups()
        if month is None or not 1 <= int(month) <= 12:
            return year
        if day is None:
            names = _MONTHS_CS if self.lang == "cs" else _MONTHS
            return f"{names[int(month) - 1]} {year}"
        if self.lang == "cs":
            shown = f"{int(day)}. {int(month)}. {year}"
        else:
            shown = f"{int(day)} {_MONTHS[int(month) - 1]} {year}"
        return f"{shown} {clock}" if clock else shown

    def day(self, value: Any) -> str:
        """The date without the time of day."""
        return self.date(text(value)[:10])

    def period(self, value: Any) -> str:
        """A Period, with the same day written once."""
        start, end = text(obj(value).get("start")), text(obj(value).get("end"))
        if start and end:
            if start[:10] == end[:10] and len(end) > 10:
                clock = _DATE.match(end)
                last = (clock.group(4) if clock else None) or self.date(end)
                return (
                    self.date(start)
                    if self.date(start).endswith(last)
                    else (f"{self.date(start)} – {last}")
                )
            return f"{self.date(start)} – {self.date(end)}" if start != end else self.date(start)
        if start:
            return f"{self.w['from']} {self.date(start)}"
        return f"{self.w['to']} {self.date(end)}" if end else ""

    # -- numbers ------------------------------------------------------------
    def number(self, value: Any) -> str:
        """A number with its digits as written; decimal comma in Czech."""
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return ""
        shown = f"{value:f}" if isinstance(value, Decimal) else repr(value)
        shown = shown.replace("-", "−", 1) if shown.startswith("-") else shown
        return shown.replace(".", ",") if self.lang == "cs" else shown

    def unit(self, quantity: Json) -> str:
        """The unit of a Quantity as people write it."""
        unit = text(quantity.get("unit")) or text(quantity.get("code"))
        return _UNITS.get(unit, unit)

    def quantity(self, value: Any) -> str:
        """A Quantity: comparator, number, unit."""
        quantity = obj(value)
        number = self.number(quantity.get("value"))
        if not number:
            return self.absent(value) or self.unit(quantity)
        sign = _COMPARATORS.get(text(quantity.get("comparator")), "")
        return " ".join(part for part in (sign, number, self.unit(quantity)) if part)

    def span(self, low: Any, high: Any) -> str:
        """A range of two quantities, the unit once."""
        lows, highs = obj(low), obj(high)
        first, last = self.number(lows.get("value")), self.number(highs.get("value"))
        unit = self.unit(highs) or self.unit(lows)
        shown = f"{first} – {last}" if first and last else f"≥ {first}" if first else f"≤ {last}"
        return f"{shown} {unit}".strip() if first or last else ""

    # -- codes --------------------------------------------------------------
    def concept(self, value: Any) -> Code:
        """A CodeableConcept (or lone Coding) in the reader's language with its first code."""
        concept = obj(value)
        codings = items(concept.get("coding")) or ([concept] if concept.get("code") else [])
        written = text(concept.get("text"))
        ours = next((name for one in codings if (name := self._own(one))), "")
        shown = next((name for one in codings if (name := text(one.get("display")))), "")
        theirs = written or shown
        fallback = next((name for one in codings if (name := self._fhir(one))), "")
        first = next((one for one in codings if one.get("code")), {})
        code = text(first.get("code"))
        name = (written if self.quotes else "") or ours or theirs or fallback or code
        name = name or self.absent(concept)
        system = system_name(text(first.get("system")), self.lang)
        # A code of a small technical list (status, category) says less than its name.
        small = code if system and code != name else ""
        foreign = "" if self.quotes or theirs.casefold() == name.casefold() else theirs
        return Code(name, small, system if small else "", foreign)

    def name(self, value: Any) -> str:
        """Only the name of a CodeableConcept or of the first of a list of them."""
        if isinstance(value, list):
            return ", ".join(name for one in items(value) if (name := self.concept(one).name))
        return self.concept(value).name

    def word(self, system: str, code: Any) -> str:
        """The name of a code of a fixed list."""
        plain = text(code)
        return (display(system, plain, self.lang) or plain) if plain else ""

    def _own(self, coding: Json) -> str:
        return own_name(text(coding.get("system")), text(coding.get("code")), self.lang) or ""

    def _fhir(self, coding: Json) -> str:
        return display(text(coding.get("system")), text(coding.get("code")), self.lang) or ""

    def absent(self, value: Any) -> str:
        """Why a value is missing, by the data-absent-reason extension."""
        for extension in items(obj(value).get("extension")):
            if text(extension.get("url")).endswith("/data-absent-reason"):
                return self.word(
                    "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                    extension.get("valueCode"),
                )
        return ""

    # -- people and things ----------------------------------------------------
    def human_name(self, value: Any) -> str:
        """A HumanName list or object: official first, titles included."""
        names = items(value)
        order = {"official": 0, "usual": 1}
        for name in sorted(names, key=lambda one: order.get(text(one.get("use")), 2)):
            parts = [
                *texts(name.get("prefix")),
                *texts(name.get("given")),
                text(name.get("family")),
            ]
            plain = " ".join(part for part in parts if part)
            suffix = ", ".join(texts(name.get("suffix")))
            shown = f"{plain}, {suffix}" if plain and suffix else plain or text(name.get("text"))
            if shown:
                return shown
        return ""

    def address(self, value: Any) -> str:
        """An Address in one line."""
        for one in items(value):
            written = text(one.get("text"))
            if written:
                return written
            town = " ".join(p for p in (text(one.get("postalCode")), text(one.get("city"))) if p)
            parts = [*texts(one.get("line")), town, text(one.get("country"))]
            shown = ", ".join(part for part in parts if part)
            if shown:
                return shown
        return ""

    def identifiers(self, value: Any) -> tuple[Field, ...]:
        """Identifier list as (kind, value) pairs."""
        found: list[Field] = []
        for one in items(value):
            number = text(one.get("value"))
            if not number:
                continue
            system = text(one.get("system"))
            label = system_name(system, self.lang) or self.name(one.get("type"))
            if not label and "/sid/passport-" in system:
                label = f"{self.word('http://terminology.hl7.org/CodeSystem/v2-0203', 'PPN')} "
                label += system.rsplit("-", 1)[-1]
            field = Field(label or self.w["identifier"], number.removeprefix("urn:uuid:"))
            if field not in found:
                found.append(field)
        return tuple(found)

    def reference(self, value: Any, holder: Json | None = None) -> str:
        """What a Reference means, in a few words."""
        reference = obj(value)
        resource = self.index.resolve(reference, holder)
        shown = self.thing(resource) if resource else ""
        return (
            shown
            or text(reference.get("display"))
            or text(obj(reference.get("identifier")).get("value"))
        )

    def thing(self, resource: Json, depth: int = 0) -> str:
        """A resource in a few words: a name, a code, a title."""
        if depth > 3:
            return ""
        kind = text(resource.get("resourceType"))
        if kind in {"Patient", "Practitioner", "RelatedPerson", "Person"}:
            return self.human_name(resource.get("name"))
        if kind == "PractitionerRole":
            who = self.index.resolve(resource.get("practitioner"), resource)
            where = self.index.resolve(resource.get("organization"), resource)
            names = (self.thing(one, depth + 1) for one in (who, where) if one)
            return ", ".join(name for name in names if name)
        if kind == "Device":
            names = (text(one.get("name")) for one in items(resource.get("deviceName")))
            return next((name for name in names if name), "") or self.name(resource.get("type"))
        plain = text(resource.get("name")) or text(resource.get("title"))
        for key in ("code", "vaccineCode", "type", "medicationCodeableConcept", "category"):
            if plain:
                break
            plain = self.name(resource.get(key))
        return plain or text(resource.get("description"))

    def notes(self, resource: Json) -> str:
        """The annotations of a resource in one text."""
        return " ".join(t for one in items(resource.get("note")) if (t := text(one.get("text"))))

    def when(self, resource: Json, name: str) -> str:
        """A choice of dateTime, Period, Age, Range or string as one text."""
        kind, value = choice(resource, name)
        if kind == "Period":
            return self.period(value)
        if kind in {"Age", "Duration", "Quantity"}:
            return self.quantity(value)
        if kind == "Range":
            return self.span(obj(value).get("low"), obj(value).get("high"))
        return self.date(value)

    def value(self, kind: str, value: Any) -> str:
        """Any value[x] of an Observation, extension or detail as text."""
        if kind in {"Quantity", "SimpleQuantity", "Age", "Duration", "Distance", "Count"}:
            return self.quantity(value)
        if kind in {"CodeableConcept", "Coding"}:
            return self.name(value)
        if kind == "Boolean":
            return self.w["yes" if value is True else "no"]
        if kind == "Range":
            return self.span(obj(value).get("low"), obj(value).get("high"))
        if kind == "Ratio":
            sides = (obj(value).get("numerator"), obj(value).get("denominator"))
            return " / ".join(shown for one in sides if (shown := self.quantity(one)))
        if kind == "Period":
            return self.period(value)
        if kind == "Reference":
            return self.reference(value)
        if kind in {"DateTime", "Date", "Instant", "Time"}:
            return self.date(value)
        return self.number(value) or text(value)


def age(birth: str, at: str, lang: Language) -> str:
    """How old somebody was on a day: years, months under two years, days under a month.

    Both are FHIR dates; "" when either is missing, imprecise beyond use, or in wrong order.
    """
    born, then = _moment(birth), _moment(at)
    if born is None or then is None or then < born:
        return ""
    months = (then.year - born.year) * 12 + then.month - born.month - (then.day < born.day)
    if months >= 24:
        return counted(months // 12, "year", lang)
    if len(birth) < 10 or len(at) < 10:
        return ""
    return counted(months, "month", lang) if months else counted((then - born).days, "day", lang)


def stay_length(period: Json, lang: Language) -> str:
    """The length of a stay in days (nights), or hours when it ended on the same day."""
    start, end = text(period.get("start")), text(period.get("end"))
    first, last = _moment(start), _moment(end)
    if first is None or last is None or last < first or min(len(start), len(end)) < 10:
        return ""
    days = (last - first).days
    if days:
        return counted(days, "day", lang)
    try:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return counted(round(seconds / 3600), "hour", lang) if seconds >= 1800 else ""


def _moment(value: str) -> date | None:
    parts = value[:10].split("-")
    try:
        year, month, day = (int(part) for part in [*parts, "1", "1"][:3])
        return date(year, month, day)
    except ValueError:
        return None


def decimal_of(value: Any) -> Decimal | None:
    """The exact number of a JSON number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
