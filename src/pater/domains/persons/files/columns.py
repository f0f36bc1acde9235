"""A row of a file of persons made a FHIR R4 Patient, by the names of its columns. Pure.

What a file has no column for, it does not speak of: what its source said of that before stays. An
empty cell says that the source knows of none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pater.domains.persons.hl7.reading import ended
from pater.domains.persons.krp import asked
from pater.registers.csv_files import FileError, RowError, columns_of, day_of
from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ID_CARD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
    SID,
    check,
)
from pater.registers.matching.features import ADDRESS_POINT, MOTHER
from pater.registers.providers.systems import RUIAN
from pater.rest.errors import HttpError

Resource = dict[str, Any]

NUMBER: Final = "mistniId"
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    NUMBER: ("mistni_cislo", "mistni_id", "cislo_pacienta", "id_pacienta", "cislo_karty",
             "local_number", "local_id", "patient_number", "patient_id", "mrn", "id"),
    "rid": ("rid",),
    "rodneCislo": ("rodne_cislo", "rc", "birth_number", "national_id"),
    "cisloPojistence": ("cislo_pojistence", "insured_number", "insurance_number"),
    "pojistovna": ("pojistovna", "kod_pojistovny", "zp", "insurer", "insurer_code"),
    "prijmeni": ("prijmeni", "family_name", "family", "last_name", "surname"),
    "jmeno": ("jmeno", "jmena", "krestni_jmeno", "given_name", "given", "given_names",
              "first_name"),
    "rodnePrijmeni": ("rodne_prijmeni", "birth_name", "maiden_name", "birth_surname"),
    "titulPred": ("titul_pred", "titul", "title", "prefix"),
    "titulZa": ("titul_za", "suffix"),
    "datumNarozeni": ("datum_narozeni", "narozen", "birth_date", "date_of_birth", "dob", "born"),
    "pohlavi": ("pohlavi", "gender", "sex"),
    "datumUmrti": ("datum_umrti", "umrti", "date_of_death", "death_date", "died"),
    "poradi": ("poradi_narozeni", "birth_order", "multiple_birth"),
    "matkaRid": ("rid_matky", "matka_rid", "mother_rid"),
    "ulice": ("ulice", "street"),
    "cislo": ("cislo_domu", "cislo_domovni", "cislo_popisne", "house_number"),
    "obec": ("obec", "mesto", "city", "town"),
    "psc": ("psc", "postal_code", "postcode", "zip"),
    "stat": ("stat", "zeme", "country"),
    "ruian": ("ruian", "ruian_kod", "kod_adresniho_mista", "address_point"),
    "telefon": ("telefon", "mobil", "phone", "mobile"),
    "email": ("email", "mail"),
    "prukaz": ("cislo_op", "obcansky_prukaz", "cislo_dokladu", "id_card"),
    "pas": ("cislo_pasu", "pas", "passport"),
    "statDokladu": ("stat_dokladu", "document_country"),
}  # fmt: skip
"""Fields, named as in the register's own questions, and the columns that are them."""
NEEDED: Final = (NUMBER, "prijmeni", "jmeno", "datumNarozeni")
_LONGEST: Final = 200
_NOTHING: Final = frozenset({"null", "nan", "-"})
_GENDERS: Final = {
    "m": "M", "muž": "M", "muz": "M", "male": "M", "1": "M",
    "z": "Z", "ž": "Z", "žena": "Z", "zena": "Z", "f": "Z", "female": "Z", "2": "Z",
    "x": "X", "jiné": "X", "other": "X", "n": "N", "neznámé": "N", "unknown": "N",
}  # fmt: skip
_PARTIAL: Final = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?", re.ASCII)
_PLAIN_DAY: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_IDENTIFIERS: Final = {
    "rid": RID, "rodneCislo": BIRTH_NUMBER, "cisloPojistence": INSURED_NUMBER, "prukaz": ID_CARD,
    "pas": PASSPORT,
}  # fmt: skip
_ELEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "prijmeni": ("name",),
    "datumNarozeni": ("birthDate", "_birthDate"),
    "pohlavi": ("gender", "_gender"),
    "datumUmrti": (
        "deceasedDateTime", "deceasedBoolean", "_deceasedDateTime", "_deceasedBoolean",
    ),
    "poradi": ("multipleBirthInteger", "multipleBirthBoolean"),
    "obec": ("address",),
    "ulice": ("address",),
    "psc": ("address",),
}  # fmt: skip
"""What of a Patient a column speaks of, numbers, contacts and the mother apart."""
_CONTACTS: Final = {"telefon": "phone", "email": "email"}
_PATHS: Final = {
    "Patient.birthDate": "datumNarozeni",
    "Patient.deceasedDateTime": "datumUmrti",
    "Patient.gender": "pohlavi",
}


class CellError(RowError):
    """A cell cannot be used; `field` says which."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file: where each field stands, what each is called, what is not read."""

    places: Mapping[str, int]
    names: Mapping[str, str]
    ignored: tuple[str, ...]

    @classmethod
    def of(cls, header: Sequence[str]) -> Columns:
        """Raises FileError naming all that are missing, or one that stands twice."""
        places = columns_of(header, COLUMNS)
        missing = [field for field in NEEDED if field not in places]
        if missing:
            named = "; ".join(" or ".join(COLUMNS[field][:3]) for field in missing)
            raise FileError(f"these columns are missing: {named}")
        names = {field: header[at] for field, at in places.items()}
        used = set(places.values())
        return cls(places, names, tuple(n for at, n in enumerate(header) if n and at not in used))

    def named(self, path: str) -> str:
        """The column that a path of a question or a Patient is about, "" for none in particular."""
        field = _PATHS.get(path) or path.rpartition(".")[2]
        return self.names.get(field, "")

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """The fields of a row. Raises CellError."""
        found = {}
        for field, at in self.places.items():
            text = row[at]
            if not text.isprintable():  # an address may stand on two lines
                text = " ".join(text.split())
            if not text.isprintable():
                raise CellError(field, "it has control characters: is the encoding right?")
            if "�" in text:
                raise CellError(field, "a character was lost before the file was written")
            if len(text) > _LONGEST:
                raise CellError(field, f"it is longer than {_LONGEST} characters")
            found[field] = "" if text.lower() in _NOTHING else text
        return found


def number_of(cells: Mapping[str, str]) -> str:
    """The number under which the source knows the person. Raises CellError."""
    number = cells[NUMBER]
    if not number:
        raise CellError(NUMBER, "the number of the person is missing")
    return number


def patient_of(cells: Mapping[str, str]) -> Resource:
    """The Patient of a row, without the source's own number. Raises CellError."""
    data: dict[str, Any] = {
        field: cells[field]
        for field in ("rid", "rodneCislo", "cisloPojistence", "prijmeni", "jmeno",
                      "rodnePrijmeni", "telefon", "email", "matkaRid")
        if cells.get(field)
    }  # fmt: skip
    born = cells.get("datumNarozeni", "")
    partial = born if _PARTIAL.fullmatch(born) else ""
    if born and not partial:
        data["datumNarozeni"] = _day("datumNarozeni", born)
    if cells.get("datumUmrti"):
        data["datumUmrti"] = _day("datumUmrti", cells["datumUmrti"])
    if cells.get("pohlavi"):
        data["pohlavi"] = _GENDERS.get(cells["pohlavi"].lower(), "?")
    address = {e: cells[e] for e in ("ulice", "cislo", "obec", "psc", "stat") if cells.get(e)}
    if address:
        data["adresy"] = [address]
    country = cells.get("statDokladu", "").upper() or "CZE"
    documents = [("ID", "prukaz"), ("P", "pas")]
    try:
        patient = asked.person(data, "")
        for kind, field in documents:
            if cells.get(field):
                said = {"druh": kind, "cislo": cells[field], "stat": country}
                patient.setdefault("identifier", []).append(_document(said, field))
    except HttpError as error:
        issue = error.issues[0]
        raise CellError(issue.path.rpartition(".")[2], issue.text) from error
    if partial:
        patient["birthDate"] = partial
    if not patient.keys() & {"identifier", "name"}:
        raise CellError("prijmeni", "the row has neither a name nor a number of a state or insurer")
    _more(patient, cells)
    return patient


def _document(said: Resource, field: str) -> Resource:
    try:
        return asked.document(said, "")
    except HttpError as error:
        raise CellError(field, error.issues[0].text) from error


def _more(patient: Resource, cells: Mapping[str, str]) -> None:
    """What files say and the register's own questions do not."""
    name = next((e for e in patient.get("name", ()) if e["use"] == "official"), None)
    for field, element in (("titulPred", "prefix"), ("titulZa", "suffix")):
        if name is not None and cells.get(field):
            name[element] = [cells[field]]
    order = cells.get("poradi", "")
    if order:
        if not re.fullmatch(r"[1-9]", order, re.ASCII):
            raise CellError("poradi", "the order of birth is a number from 1 to 9")
        patient["multipleBirthInteger"] = int(order)
    point = cells.get("ruian", "")
    if point:
        if not re.fullmatch(r"[0-9]{1,9}", point):
            raise CellError("ruian", "the code of the address point (RÚIAN) is a number")
        number = {"system": RUIAN, "value": point}
        address = patient.setdefault("address", [{"use": "home"}])[0]
        address["extension"] = [{"url": ADDRESS_POINT, "valueIdentifier": number}]
    insurer = cells.get("pojistovna", "")
    if insurer:
        verdict = check(SID + "kp", insurer)
        if verdict.ok is False:
            raise CellError("pojistovna", verdict.problem)
        for each in patient.get("identifier", ()):
            if each["system"] == INSURED_NUMBER:
                each["assigner"] = {"identifier": {"system": SID + "kp", "value": insurer}}


def _day(field: str, text: str) -> str:
    plain = _PLAIN_DAY.fullmatch(text)
    try:
        return day_of("-".join(plain.groups()) if plain else text).isoformat()
    except RowError as error:
        said = "this is no day of the calendar, written YYYY-MM-DD or D. M. YYYY"
        raise CellError(field, said) from error


def with_before(
    now: Resource, number: Resource, before: Resource, fields: Mapping[str, int], today: date
) -> Resource:
    """What a source says of a person under a `number` of its own once a row has come: of what the
    file has no column for, it goes on saying what it said; a name, an address or a contact that it
    says no longer has ended.
    """
    made = {**now, "identifier": [number, *now.get("identifier", ())]}
    spoken = {element for field in fields for element in _ELEMENTS.get(field, ())}
    for element, said in before.items():
        if element in spoken or element in ("identifier", "telecom", "extension"):
            continue
        made.setdefault(element, said)
    kept = {
        "identifier": list(_unspoken_numbers(before, fields, number["system"])),
        "telecom": [
            each
            for each in before.get("telecom", ())
            if each.get("system") not in {_CONTACTS.get(field) for field in fields}
        ],
        "extension": [
            each
            for each in before.get("extension", ())
            if each.get("url") != MOTHER or "matkaRid" not in fields
        ],
    }
    for element, rest in kept.items():
        if rest:
            made[element] = [*made.get(element, ()), *rest]
    for element in ("name", "address", "telecom"):
        if element not in made and before.get(element):
            made[element] = [ended(each, today) for each in before[element]]
    return made


def _unspoken_numbers(before: Resource, fields: Mapping[str, int], own: str) -> Iterator[Resource]:
    spoken = tuple(system for field, system in _IDENTIFIERS.items() if field in fields)
    for each in before.get("identifier", ()):
        system = str(each.get("system", ""))
        if system != own and not system.startswith(spoken):
            yield each
