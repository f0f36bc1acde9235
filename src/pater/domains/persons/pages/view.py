"""A person of the register as pages show them: rows of what is known, sources side by side. Pure.

Texts are already in the reader's language: `Say` has the words, dates are written by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.domains.persons.pages import words
from pater.fhir.search.text import normalise
from pater.registers.held import OWN, Held, Insured, Registering
from pater.registers.identifiers import BIRTH_NUMBER, ID_CARD, INSURED_NUMBER, PASSPORT, RID
from pater.registers.matching.features import MOTHER
from pater.registers.surviving import ATTRIBUTES, LISTED, SAID, SINGLE, Said

Resource = Mapping[str, Any]

SHOWN: Final = tuple(each for each in ATTRIBUTES if each != "communication")
"""The attributes of a person file, in its order."""
MOST: Final = 12
"""Sources that stand side by side on one page."""


@dataclass(frozen=True, slots=True)
class Say:
    """How a language says things: texts marked with `N_`, and dates."""

    text: Callable[[str], str]
    date: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Value:
    """One value: where it comes from, since when, whether it is of a reference register."""

    text: str
    source: str = ""
    since: str = ""
    reference: bool = False
    disputed: bool = False
    former: bool = False
    until: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one attribute, present values first."""

    attribute: str
    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One source beside the others."""

    title: str
    number: str
    received: datetime
    reference: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What one source says of one attribute; `differs` from what the register holds."""

    texts: tuple[str, ...]
    differs: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """Sources side by side: for each attribute what the register holds and what each one says."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[str, str, Cell, tuple[Cell, ...]], ...]  # attribute, label, register's, …
    left_out: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One attribute of two persons; `same` is None where one of them does not have it."""

    label: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    same: bool | None


@dataclass(frozen=True, slots=True)
class Brief:
    """A person on one line."""

    id: str
    name: str
    birth_date: str
    gender: str
    rid: str
    town: str


def brief(patient: Resource) -> Brief:
    """Who somebody is, shortly; the gender is FHIR's code."""
    name: Resource = _present(patient, "name")
    home: Resource = _present(patient, "address")
    return Brief(
        id=str(patient.get("id", "")),
        name=_name(name),
        birth_date=str(patient.get("birthDate", "")),
        gender=str(patient.get("gender", "")),
        rid=number_of(patient),
        town=str(home.get("city", "")),
    )


def _present(patient: Resource, attribute: str) -> Resource:
    items: Sequence[Resource] = patient.get(attribute) or ()
    return next((each for each in items if each.get("use") != "old"), {})


def number_of(patient: Resource) -> str:
    """The register's present number of a person."""
    return next(
        (
            str(each.get("value", ""))
            for each in patient.get("identifier") or ()
            if each.get("system") == RID and each.get("use") != "old"
        ),
        "",
    )


def lines(master: Resource, say: Say, sources: Mapping[str, str]) -> list[Line]:
    """What the register holds of a person; `sources` are names of sources for people."""
    found = []
    for attribute in SHOWN:
        values = [
            _value(element, text, say, sources)
            for element, text in _elements(master, attribute, say)
        ]
        if values:
            values.sort(key=lambda each: each.former)
            found.append(Line(attribute, say.text(words.ATTRIBUTES[attribute]), tuple(values)))
    return found


def beside(master: Resource, said: Sequence[Said], say: Say) -> Beside:
    """What each source says of a person beside what the register holds."""
    shown = said[:MOST]
    rows = []
    for attribute in SHOWN:
        mine = _texts(master, attribute, say)
        theirs = []
        for each in shown:
            texts = _texts(each.patient, attribute, say)
            differs = bool(texts) and _differ(attribute, master, each.patient, mine, texts)
            theirs.append(Cell(texts, differs, attribute in each.disputed))
        if mine or any(cell.texts for cell in theirs):
            label = say.text(words.ATTRIBUTES[attribute])
            rows.append((attribute, label, Cell(mine), tuple(theirs)))
    columns = tuple(
        Column(title_of(each, say), each.source.value, each.received, each.source.reference)
        for each in shown
    )
    return Beside(columns, tuple(rows), len(said) - len(shown))


def pairs(left: Resource, right: Resource, say: Say) -> list[Pair]:
    """Two persons side by side."""
    found = []
    for attribute in SHOWN:
        one, other = _texts(left, attribute, say), _texts(right, attribute, say)
        if one or other:
            same = None
            if one and other and _comparable(attribute, left, right):
                same = not _differ(attribute, left, right, one, other)
            found.append(Pair(say.text(words.ATTRIBUTES[attribute]), one, other, same))
    return found


def title_of(said: Said, say: Say) -> str:
    """The name of a source for people."""
    named = words.SOURCES.get(said.source.name)
    return say.text(named) if named else said.source.title or said.source.name


def titles(said: Sequence[Said], say: Say) -> dict[str, str]:
    """The names of sources for people, by source."""
    return {each.source.name: title_of(each, say) for each in said}


def insured(rows: Sequence[Insured], say: Say, sources: Mapping[str, str]) -> list[list[Any]]:
    """Insurance as rows of a table: insurer, number, from when to when, who says so."""
    return [
        [
            {"text": row.name or row.insurer or "–", "sub": row.insurer if row.name else ""},
            row.number,
            *_lasting(row, say, sources),
        ]
        for row in rows
    ]


def registering(
    rows: Sequence[Registering], say: Say, sources: Mapping[str, str]
) -> list[list[Any]]:
    """Who registered a person, as rows of a table: field, provider, from when to when, who says."""
    return [
        [
            say.text(words.FIELDS[row.field]) if row.field in words.FIELDS else row.field or "–",
            {"text": row.name or row.number or "–", "sub": row.number if row.name else ""},
            *_lasting(row, say, sources),
        ]
        for row in rows
    ]


def _lasting(row: Held, say: Say, sources: Mapping[str, str]) -> list[Any]:
    if row.source == OWN:
        who = say.text(words.REGISTER)
    elif row.source in words.SOURCES:
        who = say.text(words.SOURCES[row.source])
    else:
        who = sources.get(row.source, row.source)
    state = {"tag": say.text(words.DISPUTED), "color": "warning", "sub": who}
    return [
        say.date(row.start[:10]),
        say.date(row.end[:10]),
        state if row.disputed else {"text": who},
    ]


def disputable(master: Resource, say: Say) -> list[tuple[str, str, str]]:
    """What somebody may say is wrong: attribute, label, how it stands."""
    return [
        (attribute, say.text(words.ATTRIBUTES[attribute]), "; ".join(texts))
        for attribute in (*LISTED, *SINGLE)
        if (texts := _texts(master, attribute, say))
    ]


def _value(element: Resource, text: str, say: Say, sources: Mapping[str, str]) -> Value:
    said: dict[str, Any] = {}
    for extension in element.get("extension") or ():
        if extension.get("url") == SAID:
            for each in extension.get("extension") or ():
                said[each.get("url")] = next(
                    (value for key, value in each.items() if key.startswith("value")), None
                )
    source = str(said.get("source", ""))
    named = words.SOURCES.get(source)
    if not source:
        named = words.REGISTER if element.get("system") == RID else words.RECEIVED
    period = element.get("period") or {}
    return Value(
        text=text,
        source=say.text(named) if named else sources.get(source, source),
        since=say.date(str(period.get("start") or said.get("since") or "")[:10]),
        reference=said.get("reference") is True,
        disputed=said.get("state") == "disputed",
        former=element.get("use") == "old",
        until=say.date(str(period.get("end", ""))[:10]),
    )


def addresses(patient: Resource, say: Say) -> list[tuple[Resource, str]]:
    """The present addresses, and each on one line."""
    return [
        (element, text)
        for element, text in _elements(patient, "address", say)
        if element.get("use") != "old"
    ]


def _texts(patient: Resource, attribute: str, say: Say) -> tuple[str, ...]:
    """The present values of an attribute."""
    return tuple(
        text for element, text in _elements(patient, attribute, say) if element.get("use") != "old"
    )


def _elements(patient: Resource, attribute: str, say: Say) -> list[tuple[Resource, str]]:
    """The values of an attribute with the elements that say where they come from."""
    if attribute in SINGLE:
        found = []
        for element in SINGLE[attribute]:
            value = patient.get(element)
            if value is not None:
                carrier = value if isinstance(value, dict) else patient.get(f"_{element}") or {}
                found.append((carrier, _single(element, value, say)))
        return found
    items = [each for each in patient.get(attribute) or () if isinstance(each, dict)]
    if attribute == "extension":
        items = [each for each in items if each.get("url") == MOTHER]
    made = ((each, _listed(attribute, each, say)) for each in items)
    return [(each, text) for each, text in made if text]


def _single(element: str, value: Any, say: Say) -> str:
    if element in ("birthDate", "deceasedDateTime"):
        return say.date(str(value)[:10])
    if element == "gender":
        return say.text(words.GENDERS.get(str(value), str(value)))
    if isinstance(value, bool):
        return say.text(words.YES if value else words.NO)
    if isinstance(value, dict):
        return _concept(value)
    return str(value)


def _listed(attribute: str, item: Resource, say: Say) -> str:
    match attribute:
        case "name":
            text = _name(item)
            return f"{text} ({say.text(words.MAIDEN)})" if item.get("use") == "maiden" else text
        case "identifier":
            label = say.text(identifier_label(str(item.get("system", ""))))
            return f"{label}: {item.get('value', '')}"
        case "address":
            place = " ".join(
                str(each) for each in (item.get("postalCode"), item.get("city")) if each
            )
            parts = [*(str(each) for each in item.get("line") or ()), place]
            parts.append(str(item.get("country", "")))
            return ", ".join(each for each in parts if each) or str(item.get("text", ""))
        case "telecom":
            return str(item.get("value", ""))
        case "contact":
            return _name(item.get("name") or {})
        case "generalPractitioner":
            number = (item.get("identifier") or {}).get("value", "")
            return str(item.get("display") or number or item.get("reference", ""))
        case "extension":
            return str((item.get("valueIdentifier") or {}).get("value", ""))
    return ""


def identifier_label(system: str) -> str:
    """The name of a system of numbers, to be translated; its address where it has none."""
    if system.startswith(PASSPORT):
        return words.SYSTEMS[PASSPORT]
    if system.startswith(ID_CARD):
        return words.SYSTEMS[ID_CARD]
    return words.SYSTEMS.get(system, system)


def _name(name: Resource) -> str:
    spoken = [*(name.get("prefix") or ()), *(name.get("given") or ()), name.get("family", "")]
    text = " ".join(str(each) for each in spoken if each)
    return ", ".join([text, *(str(each) for each in name.get("suffix") or ())]) or str(
        name.get("text", "")
    )


def _concept(value: Resource) -> str:
    coding: Resource = next(iter(value.get("coding") or ()), {})
    return str(value.get("text") or coding.get("display") or coding.get("code", ""))


_ONE_EACH: Final = frozenset({BIRTH_NUMBER, INSURED_NUMBER})
"""Systems of which somebody has one number; of the register's own two persons have two anyway."""


def _comparable(attribute: str, left: Resource, right: Resource) -> bool:
    """Whether two say something of the same kind; numbers of two systems tell nothing."""
    return attribute != "identifier" or bool(_numbers(left).keys() & _numbers(right).keys())


def _differ(
    attribute: str,
    left: Resource,
    right: Resource,
    mine: Sequence[str],
    theirs: Sequence[str],
) -> bool:
    """Whether two say something that cannot both be so, or nothing that is the same."""
    if attribute == "identifier":
        one, other = _numbers(left), _numbers(right)
        return any(one[system].isdisjoint(other[system]) for system in one.keys() & other.keys())
    return {normalise(each) for each in mine}.isdisjoint(normalise(each) for each in theirs)


def _numbers(patient: Resource) -> dict[str, set[str]]:
    """Numbers of which a person has one at a time, by system."""
    found: dict[str, set[str]] = {}
    for each in patient.get("identifier") or ():
        if each.get("system") in _ONE_EACH and each.get("use") != "old":
            found.setdefault(each["system"], set()).add(str(each.get("value")))
    return found
