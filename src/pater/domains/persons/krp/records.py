"""A person as the register's own answers show them: each attribute with source and validity. Pure.

An attribute is {hodnota, zdroj, stav, referencni, platnostOd, platnostDo}; what nobody knows is
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pater.domains.persons.tables import Standing
from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ICO,
    ID_CARD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
    SID,
)
from pater.registers.matching.features import ADDRESS_POINT, MOTHER
from pater.registers.surviving import SAID, Said, shown

Json = dict[str, Any]

REGISTERING: Final = "https://hl7.cz/fhir/core/StructureDefinition/registering-provider-cz"
"""The extension of HL7 Czech core by which a Patient names who registered them, and for what."""
INSURER: Final = SID + "kp"
_SEX: Final = {"male": "M", "female": "Z", "other": "X", "unknown": "N"}
_OWN: Final = "KRP"


def record(master: Json, standing: Standing | None) -> Json:
    """A person's record: kind and state, then everything that is known of them now."""
    numbers = list(_items(master, "identifier"))
    names = list(_items(master, "name"))
    official = next((each for each in names if each.get("use") not in ("old", "maiden")), {})
    made: Json = {
        "typZaznamu": kind(master, standing),
        "stavZaznamu": state(master, standing),
        "rid": _first(numbers, RID),
        "drivejsiRid": _values(numbers, RID, former=True),
        "jmeno": said(official, " ".join(official.get("given") or ())),
        "prijmeni": said(official, official.get("family")),
        "titulPred": said(official, " ".join(official.get("prefix") or ())),
        "titulZa": said(official, " ".join(official.get("suffix") or ())),
        "rodnePrijmeni": next(
            (said(each, each.get("family")) for each in names if each.get("use") == "maiden"), None
        ),
        "drivejsiPrijmeni": [
            said(each, each.get("family"))
            for each in names
            if each.get("use") == "old" and each.get("family")
        ],
        "datumNarozeni": said(master.get("_birthDate") or {}, master.get("birthDate")),
        "datumUmrti": said(master.get("_deceasedDateTime") or {}, master.get("deceasedDateTime")),
        "zemrel": said(master.get("_deceasedBoolean") or {}, master.get("deceasedBoolean")),
        "pohlavi": said(master.get("_gender") or {}, _SEX.get(str(master.get("gender")))),
        "poradiNarozeni": said(
            master.get("_multipleBirthInteger") or {}, master.get("multipleBirthInteger")
        ),
        "rodneCislo": _first(numbers, BIRTH_NUMBER),
        "drivejsiRodneCislo": _values(numbers, BIRTH_NUMBER, former=True),
        "cisloPojistence": _first(numbers, INSURED_NUMBER),
        "doklady": [each for number in numbers if (each := _document(number)) is not None],
        "adresy": [
            each for found in _items(master, "address") if (each := _address(found)) is not None
        ],
        "kontakty": [
            {"druh": found.get("system"), **(said(found, found.get("value")) or {})}
            for found in _items(master, "telecom")
        ],
        "matkaNovorozence": _mother(master),
        "registrujiciPoskytovatele": list(registering(master)),
    }
    return {key: value for key, value in made.items() if value not in (None, [], "")}


def kind(master: Json, standing: Standing | None) -> str:
    """Kmenovy: a reference register vouches for it; Castecny: sources do; Docasny: a DRID."""
    if standing is None or standing.temporary:
        return "Docasny"
    return "Kmenovy" if _vouched(master) else "Castecny"


def state(master: Json, standing: Standing | None) -> str:
    """Platny, or Zruseny for who was entered by mistake or leads to somebody else."""
    ended = master.get("active") is False or (standing is not None and standing.state != "valid")
    return "Zruseny" if ended else "Platny"


def said(element: Mapping[str, Any], value: Any) -> Json | None:
    """An attribute with what its element says of where it comes from; None = nothing is known."""
    if value in (None, "", []):
        return None
    parts = {
        part.get("url"): next((v for k, v in part.items() if k.startswith("value")), None)
        for extension in element.get("extension") or ()
        if extension.get("url") == SAID
        for part in extension.get("extension") or ()
    }
    period = element.get("period") or {}
    made: Json = {
        "hodnota": value,
        "zdroj": parts.get("source") or _OWN,
        "stav": "Zpochybneny" if parts.get("state") == "disputed" else "Spravny",
        "referencni": parts.get("reference") is True,
    }
    since, until = period.get("start") or parts.get("since"), period.get("end")
    if since:
        made["platnostOd"] = since
    if until:
        made["platnostDo"] = until
    return made


def registering(patient: Mapping[str, Any]) -> Iterator[Json]:
    """Who registered a patient, and for what."""
    for extension in patient.get("extension") or ():
        if extension.get("url") != REGISTERING:
            continue
        parts = {part.get("url"): part for part in extension.get("extension") or ()}
        whom = (parts.get("value") or {}).get("valueReference") or {}
        concept = (parts.get("category") or {}).get("valueCodeableConcept") or {}
        coding: Mapping[str, Any] = next(iter(concept.get("coding") or ()), {})
        yield _provider(whom, coding.get("code") or concept.get("text"))
    for whom in patient.get("generalPractitioner") or ():
        yield _provider(whom, None)


def insurance(patient: Mapping[str, Any]) -> Iterator[Json]:
    """The insured person's numbers, with the insurer where it is said."""
    for each in _items(patient, "identifier"):
        if each.get("system") != INSURED_NUMBER:
            continue
        number = (each.get("assigner") or {}).get("identifier") or {}
        insurer = number.get("value") if number.get("system") in (INSURER, ICO) else None
        made: Json = {"cisloPojistence": each.get("value")}
        if insurer or (each.get("assigner") or {}).get("display"):
            made["pojistovna"] = {"kod": insurer, "nazev": each["assigner"].get("display")}
        period = each.get("period") or {}
        yield made | {
            key: period[name]
            for key, name in (("platnostOd", "start"), ("platnostDo", "end"))
            if name in period
        }


def history(
    of: Callable[[Mapping[str, Any]], Iterator[Json]],
    now: Sequence[Said],
    past: Sequence[tuple[Said, datetime]],
) -> list[Json]:
    """What sources said of one thing, now and before, each from when to when, the newest first.

    A source that says the same again goes on saying it.
    """
    spans: dict[tuple[Any, ...], list[Any]] = {}
    told = [(each, None) for each in now]
    for source, until in sorted([*told, *past], key=lambda each: each[0].since, reverse=True):
        name = source.source.name
        for item in of(source.patient):
            key = (name, source.source.value, repr(item))
            span = spans.get(key)
            if span is None:
                spans[key] = [item, source, source.since, until]
            else:
                span[2] = min(span[2], source.since)
    made = []
    for item, source, since, until in spans.values():
        found: Json = {
            **item,
            "zdroj": shown(source.source),
            "referencni": source.source.reference,
            "stav": "Zpochybneny" if source.disputed else "Spravny",
        }
        found.setdefault("platnostOd", since.isoformat())
        if until is not None:
            found.setdefault("platnostDo", until.isoformat())
        made.append(found)
    return sorted(made, key=lambda each: str(each["platnostOd"]), reverse=True)


def _provider(whom: Mapping[str, Any], field: Any) -> Json:
    number = whom.get("identifier") or {}
    made = {
        "obor": field,
        "nazev": whom.get("display"),
        "identifikator": number.get("value"),
        "system": number.get("system"),
    }
    return {key: value for key, value in made.items() if value}


def _vouched(master: Mapping[str, Any]) -> bool:
    elements = [*_items(master, "identifier"), *_items(master, "name")]
    elements += [master.get(each) or {} for each in ("_birthDate", "_gender")]
    return any((said(each, 1) or {}).get("referencni") for each in elements)


def _items(master: Mapping[str, Any], name: str) -> Iterator[Json]:
    yield from (each for each in master.get(name) or () if isinstance(each, dict))


def _values(numbers: Sequence[Json], system: str, *, former: bool) -> list[Json]:
    found = (
        said(each, each.get("value"))
        for each in numbers
        if each.get("system") == system and (each.get("use") == "old") is former
    )
    return [each for each in found if each is not None]


def _first(numbers: Sequence[Json], system: str) -> Json | None:
    return next(iter(_values(numbers, system, former=False)), None)


def _document(number: Json) -> Json | None:
    system = str(number.get("system", ""))
    for prefix, kind_ in ((ID_CARD, "ID"), (PASSPORT, "P")):
        if system.startswith(prefix):
            shown = said(number, number.get("value"))
            return {"druh": kind_, "stat": system[len(prefix) :], **(shown or {})}
    return None


def _address(address: Json) -> Json | None:
    point = next(
        (
            (each.get("valueIdentifier") or {}).get("value")
            for each in address.get("extension") or ()
            if each.get("url") == ADDRESS_POINT
        ),
        None,
    )
    parts = {
        "ulice": " ".join(address.get("line") or ()),
        "obec": address.get("city"),
        "psc": address.get("postalCode"),
        "stat": address.get("country"),
        "text": address.get("text"),
        "ruian": point,
    }
    return said(address, {key: value for key, value in parts.items() if value} or None)


def _mother(master: Mapping[str, Any]) -> Json | None:
    for each in master.get("extension") or ():
        if each.get("url") == MOTHER:
            return said(each, (each.get("valueIdentifier") or {}).get("value"))
    return None
