"""The invented region of the demonstration: its hospitals, their people and their patients."""
# ruff: noqa: E501  # tables read better one entry a line

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ICO,
    PASSPORT,
    PROFESSIONAL,
    PROVIDER,
    RID,
    birth_number_for,
    ico_from,
    rid_from,
)

Json = dict[str, Any]

REGION: Final = "Kraj Podlesí"


@dataclass(frozen=True, slots=True)
class Hospital:
    """A provider of care; `key` is "a" or "b", `site` the address its identifiers live under."""

    key: str
    name: str
    ico: str
    street: str
    city: str
    postal_code: str
    phone: str
    site: str

    def resource(self) -> Json:
        """The Organization as it stands in a document."""
        return {
            "resourceType": "Organization",
            "identifier": [
                {"system": PROVIDER, "value": self.ico},
                {"system": ICO, "value": self.ico},
            ],
            "name": self.name,
            "telecom": [{"system": "phone", "value": self.phone, "use": "work"}],
            "address": [
                {
                    "use": "work",
                    "text": f"{self.street}, {self.postal_code} {self.city}",
                    "line": [self.street],
                    "city": self.city,
                    "postalCode": self.postal_code,
                    "country": "CZ",
                }
            ],
        }


@dataclass(frozen=True, slots=True)
class Doctor:
    """A physician of one of the hospitals."""

    key: str
    hospital: str
    prefix: str
    given: str
    family: str
    krzp: str
    specialty: str
    gender: str
    suffix: str = ""

    @property
    def name(self) -> str:
        """The whole name with titles."""
        plain = f"{self.prefix} {self.given} {self.family}"
        return f"{plain}, {self.suffix}" if self.suffix else plain

    def resource(self) -> Json:
        """The Practitioner as it stands in a document."""
        name: Json = {
            "use": "official",
            "family": self.family,
            "given": [self.given],
            "prefix": [self.prefix],
        }
        if self.suffix:
            name["suffix"] = [self.suffix]
        return {
            "resourceType": "Practitioner",
            "identifier": [{"system": PROFESSIONAL, "value": self.krzp}],
            "name": [name],
            "gender": self.gender,
        }


@dataclass(frozen=True, slots=True)
class Person:
    """A patient; exactly the identifiers that such a person has in the Czech registers."""

    key: str
    given: str
    family: str
    gender: str
    born: date
    rid: str  # resort identifier, or a temporary one (D and nine digits)
    birth_number: str = ""
    passport: tuple[str, str] | None = None  # country (ISO 3166 alpha-3), number
    insurer: str = "111"
    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = "CZ"
    phone: str = ""
    prefix: str = ""
    language: str = "cs"
    mother: str = ""  # key of the mother of a newborn
    allergies: tuple[str, ...] = ()  # keys of catalogue.ALLERGIES
    chronic: tuple[tuple[str, str], ...] = field(default=())  # (MKN-10 code, since)

    @property
    def name(self) -> str:
        """Given name and family name."""
        return f"{self.given} {self.family}"

    def resource(self) -> Json:
        """The Patient as it stands in a document."""
        identifiers: list[Json] = [{"use": "official", "system": RID, "value": self.rid}]
        if self.birth_number:
            identifiers.append(
                {"use": "secondary", "system": BIRTH_NUMBER, "value": self.birth_number}
            )
        name: Json = {"use": "official", "family": self.family, "given": [self.given]}
        if self.prefix:
            name["prefix"] = [self.prefix]
        out: Json = {
            "resourceType": "Patient",
            "identifier": identifiers,
            "name": [name],
            "gender": self.gender,
            "birthDate": self.born.isoformat(),
            "address": [
                {
                    "use": "home",
                    "text": f"{self.street}, {self.postal_code} {self.city}",
                    "line": [self.street],
                    "city": self.city,
                    "postalCode": self.postal_code,
                    "country": self.country,
                }
            ],
            "communication": [
                {
                    "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": self.language}]},
                    "preferred": True,
                }
            ],
        }
        if self.phone:
            out["telecom"] = [{"system": "phone", "value": self.phone, "use": "mobile"}]
        if self.passport:
            country, number = self.passport
            identifiers.append(
                {
                    "type": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                                "code": "PPN",
                            }
                        ]
                    },
                    "system": PASSPORT + country,
                    "value": number,
                }
            )
        if self.mother:
            mother = PERSONS[self.mother]
            out["multipleBirthBoolean"] = False
            out["contact"] = [
                {
                    "relationship": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
                                    "code": "MTH",
                                    "display": "mother",
                                }
                            ]
                        }
                    ],
                    "name": {"family": mother.family, "given": [mother.given]},
                    "telecom": [{"system": "phone", "value": mother.phone, "use": "mobile"}],
                }
            ]
        return out


def _krzp(seed: int) -> str:
    """The first identifier of a professional from `seed` on: divisible by 11."""
    return str(seed + -seed % 11)


def _person(
    key: str, given: str, family: str, gender: str, born: date, seed: int, **more: Any
) -> Person:
    number = more.pop("birth_number", None)
    if number is None:
        number = birth_number_for(born, gender, 100 + seed % 800)
    rid = more.pop("rid", "") or rid_from(3_000_000_000 + seed * 7_919_113)
    return Person(key, given, family, gender, born, rid, number, **more)


HOSPITALS: Final[dict[str, Hospital]] = {
    one.key: one
    for one in (
        Hospital(
            "a",
            "Krajská nemocnice Javorné, a. s.",
            ico_from("9990101"),
            "U Nemocnice 1200/4",
            "Javorné",
            "999 01",
            "+420 999 010 111",
            "https://nemocnice-javorne.example",
        ),
        Hospital(
            "b",
            "Městská nemocnice Jílový Brod, p. o.",
            ico_from("9990202"),
            "Lipová 77",
            "Jílový Brod",
            "999 22",
            "+420 999 022 111",
            "https://nemocnice-jilovybrod.example",
        ),
    )
}

# fmt: off
DOCTORS: Final[dict[str, Doctor]] = {
    one.key: one
    for one in (
        Doctor("a-orto", "a", "MUDr.", "Karel", "Blažek", _krzp(112_400_100), "Ortopedie a traumatologie pohybového ústrojí", "male"),
        Doctor("a-kardio", "a", "doc. MUDr.", "Helena", "Říhová", _krzp(118_207_300), "Kardiologie", "female", "Ph.D."),
        Doctor("a-interna", "a", "MUDr.", "Martin", "Zelenka", _krzp(121_555_000), "Vnitřní lékařství", "male"),
        Doctor("a-neuro", "a", "MUDr.", "Ivana", "Šťastná", _krzp(133_018_700), "Neurologie", "female"),
        Doctor("a-gyn", "a", "MUDr.", "Barbora", "Křížová", _krzp(140_733_900), "Gynekologie a porodnictví", "female"),
        Doctor("a-neo", "a", "MUDr.", "Ondřej", "Havelka", _krzp(144_290_200), "Neonatologie", "male"),
        Doctor("a-chir", "a", "MUDr.", "Radek", "Jelínek", _krzp(150_622_800), "Chirurgie", "male"),
        Doctor("a-det", "a", "MUDr.", "Zuzana", "Malá", _krzp(157_004_100), "Dětské lékařství", "female"),
        Doctor("b-plic", "b", "MUDr.", "Jiří", "Sýkora", _krzp(163_119_500), "Pneumologie a ftizeologie", "male"),
        Doctor("b-interna", "b", "MUDr.", "Tereza", "Bartošová", _krzp(169_871_600), "Vnitřní lékařství", "female"),
        Doctor("b-chir", "b", "MUDr.", "Pavel", "Urban", _krzp(174_260_400), "Chirurgie", "male"),
        Doctor("b-trauma", "b", "MUDr.", "Lenka", "Vaňková", _krzp(181_345_700), "Traumatologie", "female"),
    )
}

PERSONS: Final[dict[str, Person]] = {}
PERSONS.update(
    (one.key, one)
    for one in (
        _person("patient", "Jana", "Svobodová", "female", date(1957, 3, 14), 11, street="Zahradní 318/12", city="Javorné", postal_code="999 01", phone="+420 601 000 101", allergies=("penicilin",), chronic=(("I10", "2009"), ("E11.9", "2015-05"), ("E78.5", "2015"))),
        _person("patient-2", "Petr", "Dvořák", "male", date(1968, 11, 2), 47, street="Hradební 9", city="Jílový Brod", postal_code="999 22", phone="+420 601 000 102", prefix="Ing.", insurer="211", allergies=(), chronic=(("I10", "2016"), ("E78.0", "2018"), ("F17.2", "1990"))),
        _person("prochazkova", "Lucie", "Procházková", "female", date(1994, 6, 21), 83, street="Na Výsluní 45", city="Javorné", postal_code="999 01", phone="+420 601 000 103", insurer="205", allergies=("pyl",)),
        _person("prochazka-novorozenec", "Matěj", "Procházka", "male", date(2025, 9, 12), 0, rid="D900000731", birth_number="", street="Na Výsluní 45", city="Javorné", postal_code="999 01", insurer="205", mother="prochazkova"),
        _person("kovalenko", "Olena", "Kovalenko", "female", date(1989, 1, 30), 129, birth_number="", passport=("UKR", "FA731902"), street="Tovární 1022/3", city="Jílový Brod", postal_code="999 22", phone="+420 601 000 105", language="uk"),
        _person("novotny", "František", "Novotný", "male", date(1948, 8, 7), 171, street="Lesní 6", city="Podhájí", postal_code="999 14", phone="+420 601 000 106", allergies=("jod",), chronic=(("I10", "2001"), ("I48.0", "2021-10"), ("E78.5", "2010"))),
        _person("cerna", "Marie", "Černá", "female", date(1941, 12, 19), 213, street="Náves 14", city="Horní Lhotka", postal_code="999 27", phone="+420 601 000 107", chronic=(("I10", "1998"), ("E03.9", "2006"), ("N18.3", "2020"))),
        _person("kucera", "Václav", "Kučera", "male", date(1955, 4, 25), 257, street="Hornická 201", city="Jílový Brod", postal_code="999 22", phone="+420 601 000 108", insurer="213", allergies=("diklofenak",), chronic=(("J44.9", "2014"), ("I10", "2008"), ("F17.2", "1975"))),
        _person("vesely", "Tomáš", "Veselý", "male", date(2001, 2, 8), 301, street="Školní 88", city="Jílový Brod", postal_code="999 22", phone="+420 601 000 109", insurer="207"),
        _person("horakova", "Eva", "Horáková", "female", date(1979, 10, 3), 347, street="Sadová 5", city="Javorné", postal_code="999 01", phone="+420 601 000 110", prefix="Mgr.", insurer="111", chronic=(("E66.9", "2012"),)),
        _person("marek", "Jakub", "Marek", "male", date(2009, 7, 16), 389, street="K Rybníku 31", city="Javorné", postal_code="999 01", phone="+420 601 000 111", insurer="201"),
        _person("pokorna", "Alena", "Pokorná", "female", date(1962, 5, 28), 433, street="Krátká 2", city="Jílový Brod", postal_code="999 22", phone="+420 601 000 112", insurer="205", allergies=("penicilin",), chronic=(("K21.9", "2017"),)),
    )
)
