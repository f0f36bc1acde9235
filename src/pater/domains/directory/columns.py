"""The files that are understood: names of their columns, and what a row of them says.

Columns are found by name in any order; further ones are ignored. Providers: the published file of
places of the national register (both its present and its former columns), Eurostat's hospitals,
and columns of our own for what the published file does not tell. Professionals: a form of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pater.domains.directory import model
from pater.domains.directory.model import Address, Place, Professional, Qualification
from pater.registers.csv_files import FileError, RowError, columns_of, day_of
from pater.registers.identifiers import check_ico, check_professional
from pater.registers.providers.hours import read_hours

PROVIDERS: Final = "providers"
PROFESSIONALS: Final = "professionals"

_PLACE: Final[Mapping[str, Sequence[str]]] = {
    "key": ("ZZ_ID", "MistoPoskytovaniId", "ZdravotnickeZarizeniId", "id"),
    "ico": ("poskytovatel_ICO", "ICO"),
    "name": ("ZZ_nazev", "NazevCely", "NazevZarizeni", "site_name", "hospital_name"),
    "provider": ("poskytovatel_nazev", "PoskytovatelNazev", "hospital_name"),
    "code": ("ZZ_kod", "ZdravotnickeZarizeniKod", "KodZZ", "Kod"),
    "workplace": ("PCZ",),
    "kind_code": ("ZZ_druh_kod", "DruhZarizeniKod"),
    "kind": ("ZZ_druh_nazev", "DruhZarizeni", "facility_type"),
    "street": ("ZZ_ulice", "Ulice", "street"),
    "number": ("ZZ_cislo_domovni_orientacni", "CisloDomovniOrientacni", "house_number"),
    "city": ("ZZ_obec", "Obec", "city"),
    "postal_code": ("ZZ_PSC", "Psc", "postcode"),
    "district": ("ZZ_okres_nazev", "Okres"),
    "region": ("ZZ_kraj_nazev", "Kraj"),
    "ruian": ("ZZ_RUIAN_kod", "RUIANKod"),
    "gps": ("ZZ_GPS", "GPS"),
    "lat": ("Lat",),
    "lon": ("Lng", "lon"),
    "since": ("ZZ_datum_zahajeni_cinnosti", "DatumZahajeniCinnosti"),
    "until": ("ZZ_datum_ukonceni_cinnosti", "DatumUkonceniCinnosti"),
    "fields": ("ZZ_obor_pece", "OborPece", "list_specs"),
    "forms": ("ZZ_forma_pece", "FormaPece"),
    "kinds": ("ZZ_druh_pece", "DruhPece"),
    "phones": ("poskytovatel_telefon", "PoskytovatelTelefon", "tel"),
    "emails": ("poskytovatel_email", "PoskytovatelEmail", "email"),
    "webs": ("poskytovatel_web", "PoskytovatelWeb", "url"),
    "data_box": ("poskytovatel_datova_schranka", "IdentifikatorDatoveSchranky"),
    "seat_street": ("poskytovatel_sidlo_ulice", "UliceSidlo"),
    "seat_number": ("poskytovatel_sidlo_cislo_domovni_orientacni", "CisloDomovniOrientacniSidlo"),
    "seat_city": ("poskytovatel_sidlo_obec", "ObecSidlo"),
    "seat_postal_code": ("poskytovatel_sidlo_PSC", "PscSidlo"),
    "hours": ("oteviraci_doba", "ordinacni_doba"),
    "permit": ("opravneni_cislo",),
    "authority": ("spravni_organ",),
    "equipment": ("pristroje",),
    "departments": ("oddeleni",),
    "beds": ("luzka", "cap_beds"),
    "endpoint": ("vymenna_sit",),
}
_PERSON: Final[Mapping[str, Sequence[str]]] = {
    "krzp": ("krzp", "krzpid"),
    "family": ("prijmeni",),
    "given": ("jmeno",),
    "prefix": ("titul_pred",),
    "suffix": ("titul_za",),
    "gender": ("pohlavi",),
    "born": ("datum_narozeni",),
    "basic": ("odborna_zpusobilost",),
    "specialised": ("specializovana_zpusobilost",),
    "special": ("zvlastni_zpusobilost",),
    "restrictions": ("omezeni",),
    "chamber": ("komora",),
    "chamber_number": ("komora_cislo",),
    "profession_code": ("povolani_kod",),
    "profession": ("povolani",),
    "specialty": ("obor",),
    "ico": ("zamestnavatel_ico", "ico"),
    "place": ("misto", "zz_id"),
    "since": ("zamestnan_od",),
    "until": ("zamestnan_do",),
}
_GENDERS: Final = {"m": "male", "muz": "male", "muž": "male", "male": "male", "f": "female",
                   "z": "female", "ž": "female", "zena": "female", "žena": "female",
                   "female": "female"}  # fmt: skip
_NUMBERS: Final = re.compile(r"-?\d+(?:[.,]\d+)?")
_LONGEST: Final = 500
_MOST: Final = 200
_WEB: Final = re.compile(r"https?://\S+", re.IGNORECASE)

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: which fields it must have, and what makes resources of a row.

    `main` is the type whose resources are counted when something vanishes, `key` the field that
    says what a row is about. `made` gives a row's resources, its own first; `born` a Practitioner's
    birth date.
    """

    name: str
    main: str
    key: str
    columns: Mapping[str, Sequence[str]]
    needed: Sequence[str]
    made: Callable[[Cells, date], list[dict[str, Any]]]
    born: Callable[[Cells], tuple[str, date] | None]

    def places(self, header: Sequence[str]) -> dict[str, int]:
        """Where the fields stand. Raises FileError naming all that are missing."""
        found = columns_of(header, self.columns)
        missing = [field for field in self.needed if field not in found]
        if missing:
            named = "; ".join(" or ".join(self.columns[field]) for field in missing)
            raise FileError(f"these columns are missing: {named}")
        return found

    def cells(self, places: Mapping[str, int], row: Sequence[str]) -> dict[str, str]:
        """The fields of a row. Raises RowError."""
        found = {field: row[at] for field, at in places.items()}
        for field, text in found.items():
            if len(text) > _LONGEST * 20 or (field in ("key", "name") and len(text) > _LONGEST):
                raise RowError(f"the column {self.columns[field][0]} is too long")
            if not text.isprintable():
                found[field] = " ".join(text.split())
                if not found[field].isprintable():
                    raise RowError(f"the column {self.columns[field][0]} has control characters")
        return found


def form_of(header: Sequence[str], name: str = "") -> Form:
    """The form that a header belongs to, or the named one. Raises FileError."""
    if name:
        return FORMS[name]
    for form in FORMS.values():
        found = columns_of(header, form.columns)
        if all(field in found for field in form.needed):
            return form
    scores = {f.name: len(columns_of(header, f.columns)) for f in FORMS.values()}
    likely = FORMS[max(scores, key=scores.__getitem__)]
    likely.places(header)
    raise AssertionError("a form whose columns are all there was found above")


def place_of(cells: Cells) -> Place:
    """The place that a row describes. Raises RowError."""
    key = _text(cells, "key")
    if not key:
        raise RowError("the number of the place is missing")
    ico = _text(cells, "ico") or (key[:8] if re.fullmatch(r"\d{14}", key) else "")
    number = _ico(ico)
    name = _text(cells, "name") or _text(cells, "provider")
    if not name:
        raise RowError("the place has no name")
    lat, lon = _position(cells)
    departments = tuple(_department(each) for each in _several(cells, "departments", ";"))
    beds = _text(cells, "beds")
    if beds and not beds.isdecimal():
        raise RowError("the number of beds is no number")
    hours = _text(cells, "hours")
    try:
        opening = tuple(read_hours(hours)) if hours else ()
    except ValueError as error:
        raise RowError(str(error)) from error
    since, until = _day(cells, "since"), _day(cells, "until")
    if since and until and since > until:
        raise RowError("the place ends before it begins")
    endpoint = _text(cells, "endpoint")
    if endpoint and not _WEB.fullmatch(endpoint):
        raise RowError("the address of the endpoint is no http address")
    return Place(
        key=key,
        ico=number,
        name=name,
        provider=_text(cells, "provider") or name,
        code=_text(cells, "code"),
        workplace=_text(cells, "workplace"),
        kind_code=_text(cells, "kind_code"),
        kind=_text(cells, "kind"),
        address=_address(cells, ""),
        seat=_address(cells, "seat_"),
        lat=lat,
        lon=lon,
        since=since,
        until=until,
        fields=_several(cells, "fields"),
        forms=_several(cells, "forms"),
        kinds=_several(cells, "kinds"),
        phones=_several(cells, "phones"),
        emails=_several(cells, "emails"),
        webs=_several(cells, "webs"),
        data_box=_text(cells, "data_box"),
        hours=opening,
        permit=_text(cells, "permit"),
        authority=_text(cells, "authority"),
        equipment=_several(cells, "equipment", ";"),
        departments=departments,
        beds=int(beds or 0),
        endpoint=endpoint,
    )


def professional_of(cells: Cells) -> Professional:
    """The professional that a row describes. Raises RowError."""
    krzp = _text(cells, "krzp")
    verdict = check_professional(krzp)
    if verdict.ok is False:
        raise RowError(verdict.problem)
    family, given = _text(cells, "family"), _text(cells, "given")
    if not family or not given:
        raise RowError("the name of the professional is not complete")
    gender = _text(cells, "gender").lower()
    if gender and gender not in _GENDERS:
        raise RowError("the gender is neither M nor Z")
    ico = _text(cells, "ico")
    since, until = _day(cells, "since"), _day(cells, "until")
    if since and until and since > until:
        raise RowError("the employment ends before it begins")
    return Professional(
        krzp=krzp,
        family=family,
        given=given,
        prefix=_text(cells, "prefix"),
        suffix=_text(cells, "suffix"),
        gender=_GENDERS.get(gender, ""),
        born=_day(cells, "born"),
        qualifications=tuple(
            _qualification(kind, each)
            for kind in ("basic", "specialised", "special")
            for each in _several(cells, kind, ";")
        ),
        restrictions=_several(cells, "restrictions", ";"),
        chamber=_text(cells, "chamber"),
        chamber_number=_text(cells, "chamber_number"),
        profession_code=_text(cells, "profession_code"),
        profession=_text(cells, "profession"),
        specialty=_text(cells, "specialty"),
        ico=_ico(ico) if ico else "",
        place=_text(cells, "place"),
        since=since,
        until=until,
    )


def _born(cells: Cells) -> tuple[str, date] | None:
    born = _day(cells, "born")
    return (model.practitioner_id(_text(cells, "krzp")), born) if born else None


def _text(cells: Cells, field: str) -> str:
    text = cells.get(field, "")
    return "" if text.lower() in ("null", "nan", "-") else text


def _several(cells: Cells, field: str, parted: str = ",") -> tuple[str, ...]:
    """The parts of a list, each once; commas within brackets part nothing."""
    found: list[str] = []
    depth, part = 0, ""
    for each in _text(cells, field) + parted:
        depth += (each == "(") - (each == ")" and depth > 0)
        if each == parted and depth == 0:
            found.append(" ".join(part.split()))
            part = ""
        else:
            part += each
    if part.strip():  # a bracket that nobody closed
        found.append(" ".join(part.strip(parted).split()))
    some = tuple(dict.fromkeys(filter(None, found)))
    if len(some) > _MOST:
        raise RowError(f"there are more than {_MOST} of {field}")
    return some


def _ico(text: str) -> str:
    number = text.zfill(8) if text.isascii() and text.isdecimal() else text
    verdict = check_ico(number)
    if not verdict.ok:
        raise RowError(verdict.problem)
    return number


def _address(cells: Cells, which: str) -> Address:
    street, number = _text(cells, which + "street"), _text(cells, which + "number")
    postal = _text(cells, which + "postal_code").replace(" ", "")
    if re.fullmatch(r"\d{5}", postal):
        postal = f"{postal[:3]} {postal[3:]}"
    city = _text(cells, which + "city")
    line = f"{street or city} {number}".strip() if number else street
    ruian = "" if which else _text(cells, "ruian")
    if ruian and not ruian.isdecimal():
        raise RowError("the code of the address point (RÚIAN) is no number")
    return Address(
        line, city, postal, "" if which else _text(cells, "district"),
        "" if which else _text(cells, "region"), ruian,
    )  # fmt: skip


def _position(cells: Cells) -> tuple[float | None, float | None]:
    """Latitude and longitude; both are in any order in `POINT(…)`, and no place is outside."""
    texts = [_text(cells, "lat"), _text(cells, "lon")]
    if all(texts):
        found = [_NUMBERS.fullmatch(each) for each in texts]
        if not all(found):
            raise RowError("the position is no pair of numbers")
        numbers = [float(each.replace(",", ".")) for each in texts]
    else:
        text = _text(cells, "gps")
        if not text:
            return None, None
        pieces = _NUMBERS.findall(text if "." in text else text.replace(",", " "))
        numbers = [float(each.replace(",", ".")) for each in pieces]
        if len(numbers) != 2:
            raise RowError("the position is no pair of numbers")
    for lat, lon in (numbers, numbers[::-1]):
        if 48 <= lat <= 52 and 12 <= lon <= 19:
            return lat, lon
    raise RowError("the position lies outside Czechia")


def _day(cells: Cells, field: str) -> date | None:
    text = _text(cells, field)
    if not text:
        return None
    return day_of(text)


def _department(text: str) -> tuple[str, int]:
    """`Interna (42)`: the name and its beds."""
    found = re.fullmatch(r"(.+?)\s*\((\d{1,5})\)", text)
    return (found[1], int(found[2])) if found else (text, 0)


def _qualification(kind: str, text: str) -> Qualification:
    """`vnitřní lékařství (2012)`: the name and since when."""
    found = re.fullmatch(r"(.+?)\s*\((\d{4}(?:-\d{2}(?:-\d{2})?)?)\)", text)
    return Qualification(kind, found[1], found[2]) if found else Qualification(kind, text)


FORMS: Final[Mapping[str, Form]] = {
    PROVIDERS: Form(
        PROVIDERS, "Location", "key", _PLACE, ("key", "name", "city"),
        lambda cells, today: model.places_resources(place_of(cells), today), lambda _: None,
    ),
    PROFESSIONALS: Form(
        PROFESSIONALS, "Practitioner", "krzp", _PERSON, ("krzp", "family", "given"),
        lambda cells, today: model.professionals_resources(professional_of(cells), today), _born,
    ),
}  # fmt: skip
