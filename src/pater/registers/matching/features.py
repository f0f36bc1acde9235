"""What of a Patient is compared: names, dates, numbers, addresses, folded and packed small.

Pure. `features_of` reads a FHIR R4 Patient once, when it is written; `unpack` gives the same back
from the bytes that stand in the index, so that a comparison reads no resource.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ID_CARD,
    ID_CARD_OLD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
    check,
)
from pater.registers.matching.names import stem
from pater.registers.matching.spelling import plain as latin

Resource = Mapping[str, Any]

MOTHER: Final = "urn:pater:person:mother"
"""Extension of a newborn's Patient: `valueIdentifier` is a number of the mother."""
ADDRESS_POINT: Final = "https://hl7.cz/fhir/core/StructureDefinition/address-point-cz"
_STREET: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-streetName"
_NUMBER: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-houseNumber"
_PAST_NAMES: Final = frozenset({"old", "maiden"})
_NAMES: Final = 4  # of each kind, addresses, telecoms and documents likewise: nobody has so many
_LONGEST: Final = 60
_LINE: Final = re.compile(r"(.*?)(?:^|\s+)(?:c\.?\s*p\.?\s*|č\.?\s*p\.?\s*)?([0-9]+[0-9/a-z]*)$")
_DATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_FIELD, _ITEM, _PART = "\x1e", "\x1f", "\x1d"
_RULE: Final = "2"  # by which features are made; before, Latin names only and middle words kept
_FIELDS: Final = 18
_MIDDLE: Final = frozenset({"thi", "van"})  # tell the sex in Vietnamese names, and nothing else
_CONTROL: Final = dict.fromkeys(range(32), " ")


class Address(NamedTuple):
    """One address, folded: no case, no marks; empty where it is not known."""

    street: str
    number: str  # house number, perhaps with the orientation number: `123/4a`
    postcode: str
    city: str
    district: str
    state: str
    point: str  # code of the address point (RÚIAN)


class Features(NamedTuple):
    """What is compared of one person; empty text or tuple where it is not known."""

    families: tuple[str, ...]  # current, case folded, marks kept
    families_plain: tuple[str, ...]  # the same without marks
    stems: tuple[str, ...]  # the same without the ending of the gender
    former: tuple[str, ...]  # stems of maiden and former names
    givens: tuple[str, ...]
    givens_plain: tuple[str, ...]
    born: str  # YYYYMMDD, YYYYMM or YYYY
    sex: str  # m, f
    birth_number: str
    insured_number: str
    rid: str
    documents: tuple[str, ...]  # kind, `|`, number
    addresses: tuple[Address, ...]
    phones: tuple[str, ...]  # last nine digits
    emails: tuple[str, ...]
    mother: str  # a number of the mother
    order: str  # of birth, among twins
    checked: str  # numbers whose check holds: b birth number, i insured number


EMPTY: Final = Features(
    (), (), (), (), (), (), "", "", "", "", "", (), (), (), (), "", "", ""
)  # fmt: skip


def fold(text: str) -> str:
    """Case folded, marks kept and composed, single blanks, no control characters, bounded."""
    return " ".join(
        unicodedata.normalize("NFC", text.translate(_CONTROL).casefold())[:_LONGEST].split()
    )


def plain(text: str) -> str:
    """In Latin letters without marks, case and control characters, bounded."""
    return latin(text.translate(_CONTROL))[:_LONGEST].strip()


def features_of(patient: Resource) -> Features:
    """The features of a FHIR R4 Patient; what is not there or not readable is not known."""
    families, former, givens = _names(patient)
    numbers, documents, checked = _identifiers(patient)
    phones, emails = _telecoms(patient)
    gender = patient.get("gender")
    order = patient.get("multipleBirthInteger")
    return Features(
        families=families,
        families_plain=tuple(map(plain, families)),
        stems=tuple(stem(plain(each)) for each in families),
        former=tuple(dict.fromkeys(stem(plain(each)) for each in former)),
        givens=givens,
        givens_plain=tuple(map(plain, givens)),
        born=_date(patient.get("birthDate")),
        sex={"male": "m", "female": "f"}.get(gender if isinstance(gender, str) else "", ""),
        birth_number=numbers.get(BIRTH_NUMBER, ""),
        insured_number=numbers.get(INSURED_NUMBER, ""),
        rid=numbers.get(RID, ""),
        documents=documents,
        addresses=_addresses(patient),
        phones=phones,
        emails=emails,
        mother=_mother(patient),
        order=str(order) if isinstance(order, int) and not isinstance(order, bool) else "",
        checked=checked,
    )


def _dicts(values: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(values, list | tuple):
        yield from (each for each in values if isinstance(each, Mapping))


def _texts(values: object) -> Iterator[str]:
    if isinstance(values, list | tuple):
        yield from (each for each in values if isinstance(each, str))


def _few(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in values if each))[:_NAMES]


def _names(patient: Resource) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Current family names, former ones, and given names, the first and usual ones first."""
    current: list[str] = []
    former: list[str] = []
    givens: list[str] = []
    for name in _dicts(patient.get("name")):
        ended = isinstance(name.get("period"), Mapping) and "end" in name["period"]
        past = name.get("use") in _PAST_NAMES or ended
        family = name.get("family")
        if isinstance(family, str):
            (former if past else current).append(_family(fold(family)))
        for given in _texts(name.get("given")):
            givens.extend(fold(given).split())
    if not any(current):
        current, former = former, []
    families = _few(current)
    former = [each for each in former if each not in families]
    return families, _few(former), _few(_telling(givens))


def _family(name: str) -> str:
    """A family name without the middle word that came with it: Nguyen Thi."""
    words = name.split()
    while len(words) > 1 and plain(words[-1]) in _MIDDLE:
        words.pop()
    return " ".join(words)


def _telling(givens: list[str]) -> list[str]:
    """Given names without middle words, unless there is nothing else."""
    told = [each for each in givens if plain(each) not in _MIDDLE]
    return told or givens[-1:]


def _identifiers(patient: Resource) -> tuple[dict[str, str], tuple[str, ...], str]:
    """Numbers by system, documents and other identifiers, and which of the numbers are checked."""
    numbers: dict[str, str] = {}
    documents: list[str] = []
    checked = ""
    for identifier in _dicts(patient.get("identifier")):
        system, value = identifier.get("system"), identifier.get("value")
        if not (isinstance(system, str) and isinstance(value, str)):
            continue
        value = re.sub(r"[\s/-]", "", value.translate(_CONTROL)).upper()[:_LONGEST]
        if not value or identifier.get("use") == "old":
            continue
        if system in (BIRTH_NUMBER, INSURED_NUMBER):
            holds = check(system, value).ok is True
            mark = "b" if system == BIRTH_NUMBER else "i"
            # a number whose check holds stands for those that do not
            if system not in numbers or (holds and mark not in checked):
                numbers[system] = value
                checked += mark if holds else ""
        elif system == RID:
            numbers.setdefault(RID, value)
        else:
            documents.append(f"{_kind(system)}|{value}")
    return numbers, _few(documents), checked


def _kind(system: str) -> str:
    """A short name of what a system numbers: documents by country, others as they are."""
    if system.startswith(PASSPORT):
        return "P" + system[len(PASSPORT) :][:3]
    if system.startswith(ID_CARD):
        return "I" + system[len(ID_CARD) :][:3]
    if system == ID_CARD_OLD:
        return "ICZE"
    return system.translate(_CONTROL)[:_LONGEST].replace("|", " ")


def _telecoms(patient: Resource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    phones: list[str] = []
    emails: list[str] = []
    for telecom in _dicts(patient.get("telecom")):
        value = telecom.get("value")
        if not isinstance(value, str):
            continue
        if telecom.get("system") in ("phone", "sms"):
            digits = re.sub(r"[^0-9]", "", value)[-9:]
            phones.append(digits if len(digits) >= 6 else "")
        elif telecom.get("system") == "email":
            emails.append(fold(value).replace(" ", ""))
    return _few(phones), _few(emails)


def _extension(element: Mapping[str, Any], url: str) -> Mapping[str, Any]:
    return next((e for e in _dicts(element.get("extension")) if e.get("url") == url), {})


def _mother(patient: Resource) -> str:
    identifier = _extension(patient, MOTHER).get("valueIdentifier")
    value = identifier.get("value") if isinstance(identifier, Mapping) else None
    return re.sub(r"[\s/-]", "", value.translate(_CONTROL))[:_LONGEST] if isinstance(value, str) \
        else ""  # fmt: skip


def _addresses(patient: Resource) -> tuple[Address, ...]:
    """Current addresses first; a former one still tells something."""
    current: list[Address] = []
    former: list[Address] = []
    for address in _dicts(patient.get("address")):
        found = _address(address)
        if any(found):
            ended = isinstance(address.get("period"), Mapping) and "end" in address["period"]
            (former if ended or address.get("use") == "old" else current).append(found)
    return tuple(dict.fromkeys((*current, *former)))[:_NAMES]


def _address(address: Mapping[str, Any]) -> Address:
    lines = [plain(each) for each in _texts(address.get("line"))]
    street, number = "", ""
    for element in _dicts(address.get("_line")):
        named = _extension(element, _STREET).get("valueString")
        numbered = _extension(element, _NUMBER).get("valueString")
        street = street or (plain(named) if isinstance(named, str) else "")
        number = number or (plain(numbered).replace(" ", "") if isinstance(numbered, str) else "")
    if not (street or number) and lines:
        read = _LINE.fullmatch(lines[0])
        street, number = (read[1].strip(), read[2]) if read else (lines[0], "")
    point = _extension(address, ADDRESS_POINT).get("valueIdentifier")
    code = point.get("value") if isinstance(point, Mapping) else None
    postcode = _text(address.get("postalCode")).replace(" ", "")
    city = _text(address.get("city"))
    if not street and number:
        street = city  # a village without streets: its houses are numbered
    return Address(
        street,
        number,
        postcode,
        city,
        _text(address.get("district")),
        _text(address.get("state")),
        _text(code),
    )


def _text(value: object) -> str:
    return plain(value) if isinstance(value, str) else ""


def _date(value: object) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return ""
    return value.replace("-", "")


def pack(features: Features) -> bytes:
    """The features as bytes; what follows from something else is left out where it is the same."""
    f = features
    plains = ("" if p == n else p for p, n in zip(f.families_plain, f.families, strict=True))
    stems = ("" if s == p else s for s, p in zip(f.stems, f.families_plain, strict=True))
    given_plains = ("" if p == n else p for p, n in zip(f.givens_plain, f.givens, strict=True))
    return _FIELD.join(
        (
            _ITEM.join(f.families),
            _ITEM.join(plains),
            _ITEM.join(stems),
            _ITEM.join(f.former),
            _ITEM.join(f.givens),
            _ITEM.join(given_plains),
            f.born,
            f.sex,
            f.birth_number,
            "=" if f.insured_number and f.insured_number == f.birth_number else f.insured_number,
            f.rid,
            _ITEM.join(f.documents),
            _ITEM.join(_PART.join(address).rstrip(_PART) for address in f.addresses),
            _ITEM.join(f.phones),
            _ITEM.join(f.emails),
            f.mother,
            f.order,
            f.checked,
            _RULE,
        )
    ).encode()


def _items(text: str) -> tuple[str, ...]:
    return tuple(text.split(_ITEM)) if text else ()


def _filled(text: str, base: tuple[str, ...]) -> tuple[str, ...]:
    """Items of which an empty one is the same as in `base`."""
    if not text or not text.strip(_ITEM):
        return base
    return tuple(own or same for own, same in zip(text.split(_ITEM), base, strict=True))


def _unpacked_address(text: str) -> Address:
    parts = text.split(_PART)
    return Address(*parts, *("",) * (7 - len(parts)))


def unpack(data: bytes) -> Features:
    """The features that `pack` made bytes of. ValueError when they are something else."""
    fields = data.decode().split(_FIELD)
    if len(fields) != _FIELDS + 1 and len(fields) != _FIELDS:
        raise ValueError("these bytes are no features")
    families = _items(fields[0])
    families_plain = _filled(fields[1], families)
    givens = _items(fields[4])
    number = fields[8]
    features = Features(
        families,
        families_plain,
        _filled(fields[2], families_plain),
        _items(fields[3]),
        givens,
        _filled(fields[5], givens),
        fields[6],
        fields[7],
        number,
        number if fields[9] == "=" else fields[9],
        fields[10],
        _items(fields[11]),
        tuple(map(_unpacked_address, fields[12].split(_ITEM))) if fields[12] else (),
        _items(fields[13]),
        _items(fields[14]),
        fields[15],
        fields[16],
        fields[17],
    )
    return features if len(fields) > _FIELDS else _renewed(features)


def _renewed(old: Features) -> Features:
    """Features that were made by the first rule, as they are made now."""
    families = _few(map(_family, old.families))
    families_plain = tuple(map(plain, families))
    givens = _few(_telling(list(old.givens)))
    return old._replace(
        families=families,
        families_plain=families_plain,
        stems=tuple(map(stem, families_plain)),
        givens=givens,
        givens_plain=tuple(map(plain, givens)),
    )
