"""What a question says of a person, as a FHIR Patient. Raises HttpError 400 with the place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from pater.registers.held import INSURER
from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ICO,
    ID_CARD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
    check,
    tidy,
)
from pater.registers.matching.features import MOTHER
from pater.registers.surviving import REGISTERING
from pater.rest.errors import HttpError

Json = dict[str, Any]

LONGEST: Final = 200
GENDERS: Final = {"M": "male", "Z": "female", "X": "other", "N": "unknown"}
FIELDS: Final = ("700232004", "722176000", "310061009")
"""Fields of care in which somebody is registered: general practice, dentistry, gynaecology."""
_SNOMED: Final = "http://snomed.info/sct"
_NUMBERS: Final = (("rid", RID), ("rodneCislo", BIRTH_NUMBER), ("cisloPojistence", INSURED_NUMBER))
_CARDS: Final = {"ID": ID_CARD, "P": PASSPORT}
_MOST: Final = 10


def who(data: Mapping[str, Any], at: str = "zadostData") -> Json:
    """The Patient that the parts of a question make: names, birth date, numbers, a document."""
    patient: Json = {"resourceType": "Patient"}
    family, given = text(data, "prijmeni", at), text(data, "jmeno", at)
    name: Json = {"family": family} if family else {}
    if given:
        name["given"] = given.split()
    if name:
        patient["name"] = [{"use": "official", **name}]
    born = text(data, "datumNarozeni", at)
    if born:
        patient["birthDate"] = _date(born, f"{at}.datumNarozeni")
    numbers = [
        _number(system, said, f"{at}.{key}")
        for key, system in _NUMBERS
        if (said := text(data, key, at))
    ]
    if data.get("doklad") is not None:
        numbers.append(document(data["doklad"], f"{at}.doklad"))
    if numbers:
        patient["identifier"] = numbers
    return patient


def person(data: Any, at: str) -> Json:
    """The Patient that somebody is registered as: as `who`, with all else that is known."""
    if not isinstance(data, dict):
        raise wrong("an object", at)
    patient = who(data, at)
    for each in _listed(data, "doklady", at):
        patient.setdefault("identifier", []).append(document(*each))
    born_as = text(data, "rodnePrijmeni", at)
    if born_as:
        patient.setdefault("name", []).append({"use": "maiden", "family": born_as})
    sex = text(data, "pohlavi", at)
    if sex:
        if sex not in GENDERS:
            raise wrong(f"one of {', '.join(GENDERS)}", f"{at}.pohlavi")
        patient["gender"] = GENDERS[sex]
    died = text(data, "datumUmrti", at)
    if died:
        patient["deceasedDateTime"] = _date(died, f"{at}.datumUmrti")
    for each in _listed(data, "pojisteni", at):
        patient.setdefault("identifier", []).append(_insured(*each))
    providers = [_registering(*each) for each in _listed(data, "registrujiciPoskytovatele", at)]
    if providers:
        patient["extension"] = providers
    addresses = [_address(*each) for each in _listed(data, "adresy", at)]
    if addresses:
        patient["address"] = addresses
    telecom = [
        {"system": kind, "value": said}
        for key, kind in (("telefon", "phone"), ("email", "email"))
        if (said := text(data, key, at))
    ]
    if telecom:
        patient["telecom"] = telecom
    mother = text(data, "matkaRid", at)
    if mother:
        number = _number(RID, mother, f"{at}.matkaRid")
        patient.setdefault("extension", []).append({"url": MOTHER, "valueIdentifier": number})
    return patient


def document(data: Any, at: str) -> Json:
    """An identity card or a passport: druh ID or P, cislo, stat (three letters)."""
    if not isinstance(data, dict):
        raise wrong("an object", at)
    system = _CARDS.get(text(data, "druh", at, needed=True))
    if system is None:
        raise wrong("ID (an identity card) or P (a passport)", f"{at}.druh")
    country = text(data, "stat", at) or "CZE"
    return _number(system + country, text(data, "cislo", at, needed=True), f"{at}.cislo")


def rid(data: Mapping[str, Any], key: str = "rid") -> str:
    """A number of the register, its check done."""
    return str(_number(RID, text(data, key, needed=True), f"zadostData.{key}")["value"])


def text(
    data: Mapping[str, Any], key: str, at: str = "zadostData", *, needed: bool = False,
    longest: int = LONGEST,
) -> str:  # fmt: skip
    """A text of what was said, "" where it is missing and not needed."""
    said = data.get(key)
    if said is None and not needed:
        return ""
    if not isinstance(said, str) or (needed and not said.strip()) or len(said) > longest:
        raise wrong(f"a text of up to {longest} characters", f"{at}.{key}")
    if "\0" in said:
        raise wrong("no NUL", f"{at}.{key}")
    return said.strip()


def day(data: Mapping[str, Any], key: str, at: str = "zadostData") -> date | None:
    """A day of what was said; None where it is missing."""
    said = text(data, key, at)
    return date.fromisoformat(_date(said, f"{at}.{key}")) if said else None


def wrong(said: str, path: str) -> HttpError:
    """400 at a place."""
    return HttpError(400, "value", said, path=path)


def _number(system: str, said: str, path: str) -> Json:
    value = tidy(system, said)
    verdict = check(system, value)
    if verdict.ok is False:
        raise wrong(verdict.problem, path)
    return {"system": system, "value": value}


def _date(said: str, path: str) -> str:
    try:
        return date.fromisoformat(said).isoformat()
    except ValueError as error:
        raise wrong("a date is YYYY-MM-DD", path) from error


def _address(data: Any, at: str) -> Json:
    if not isinstance(data, dict):
        raise wrong("an object", at)
    street = " ".join(filter(None, (text(data, "ulice", at), text(data, "cislo", at))))
    made: Json = {"use": "home", "line": [street] if street else None}
    for key, element in (("obec", "city"), ("psc", "postalCode"), ("stat", "country")):
        made[element] = text(data, key, at) or None
    return {key: value for key, value in made.items() if value}


def _insured(data: Any, at: str) -> Json:
    """A period of insurance: cisloPojistence, pojistovna (kod), platnostOd, platnostDo."""
    if not isinstance(data, dict):
        raise wrong("an object", at)
    said = text(data, "cisloPojistence", at, needed=True)
    made = _number(INSURED_NUMBER, said, f"{at}.cisloPojistence")
    insurer = data.get("pojistovna") or {}
    if not isinstance(insurer, dict):
        raise wrong("an object", f"{at}.pojistovna")
    code = text(insurer, "kod", f"{at}.pojistovna")
    if code:
        number = _number(INSURER, code, f"{at}.pojistovna.kod")
        made["assigner"] = {"identifier": number}
    period = _period(data, at)
    return made | ({"period": period} if period else {})


def _registering(data: Any, at: str) -> Json:
    """With whom somebody is registered: obor (SNOMED CT), identifikator (IČO), nazev, platnost."""
    if not isinstance(data, dict):
        raise wrong("an object", at)
    number = text(data, "identifikator", at, needed=True)
    whom: Json = {"identifier": _number(ICO, number, f"{at}.identifikator")}
    name = text(data, "nazev", at)
    if name:
        whom["display"] = name
    field = text(data, "obor", at, needed=True)
    if field not in FIELDS:
        raise wrong(f"one of {', '.join(FIELDS)}", f"{at}.obor")
    coding = {"system": _SNOMED, "code": field}
    parts: list[Json] = [
        {"url": "value", "valueReference": whom},
        {"url": "category", "valueCodeableConcept": {"coding": [coding]}},
    ]
    period = _period(data, at)
    if period:
        parts.append({"url": "period", "valuePeriod": period})
    return {"url": REGISTERING, "extension": parts}


def _period(data: Mapping[str, Any], at: str) -> Json:
    begin, end = day(data, "platnostOd", at), day(data, "platnostDo", at)
    if begin is not None and end is not None and end < begin:
        raise wrong("it ends before it begins", f"{at}.platnostDo")
    made = {"start": begin, "end": end}
    return {key: said.isoformat() for key, said in made.items() if said is not None}


def _listed(data: Mapping[str, Any], key: str, at: str) -> list[tuple[Any, str]]:
    found = data.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MOST:
        raise wrong(f"a list of up to {_MOST}", f"{at}.{key}")
    return [(each, f"{at}.{key}[{place}]") for place, each in enumerate(found)]
