"""A person as the register's own answers show them: each attribute with source and validity. Pure.

An attribute is {hodnota, zdroj, stav, referencni, platnostOd, platnostDo}; what nobody knows is
left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pater.domains.persons.tables import Standing
from pater.registers.held import OWN, Held, Insured, Registering, registerings
from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ID_CARD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
)
from pater.registers.matching.features import ADDRESS_POINT, MOTHER
from pater.registers.surviving import SAID

Json = dict[str, Any]

_SEX: Final = {"male": "M", "female": "Z", "other": "X", "unknown": "N"}


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
        "registrujiciPoskytovatele": [
            _provider(each) | _dates(each) for each in registerings(master, (), ())
        ],
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
        "zdroj": parts.get("source") or OWN,
        "stav": "Zpochybneny" if parts.get("state") == "disputed" else "Spravny",
        "referencni": parts.get("reference") is True,
    }
    since, until = period.get("start") or parts.get("since"), period.get("end")
    if since:
        made["platnostOd"] = since
    if until:
        made["platnostDo"] = until
    return made


def insurance(row: Insured) -> Json:
    """A span of somebody's insurance."""
    made: Json = {"cisloPojistence": row.number}
    if row.insurer or row.name:
        insurer = {"kod": row.insurer, "nazev": row.name}
        made["pojistovna"] = {key: value for key, value in insurer.items() if value}
    return made | _span(row)


def registering(row: Registering) -> Json:
    """A span of somebody's being registered with a provider."""
    return _provider(row) | _span(row)


def _span(row: Held) -> Json:
    made: Json = {
        "zdroj": row.source,
        "referencni": row.reference,
        "stav": "Zpochybneny" if row.disputed else "Spravny",
        "platnostOd": row.start,
        "platnostDo": row.end,
    }
    return {key: value for key, value in made.items() if value != ""}


def _dates(row: Registering) -> Json:
    found = {"platnostOd": row.start, "platnostDo": row.end}
    return {key: value for key, value in found.items() if value}


def _provider(row: Registering) -> Json:
    made = {
        "obor": row.field,
        "nazev": row.name,
        "identifikator": row.number,
        "system": row.system,
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
