"""The demonstration's share of the register: who was told twice, alike, wrongly; one merge.

Two hospitals tell of invented people under numbers of their own; what they disagree about makes the
registrars' queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pater.access.accounts import Account
from pater.access.caller import TWO_FACTORS, Caller
from pater.access.sessions import account_caller
from pater.domain import Services
from pater.registers import sources
from pater.registers.basic.identities import RUIAN
from pater.registers.identifiers import BIRTH_NUMBER, ID_CARD
from pater.registers.matching.features import ADDRESS_POINT
from pater.registers.registration import Registered
from pater.registers.room import Registers
from pater.registers.surviving import Source

Json = dict[str, Any]

NUMBERS: Final = "https://{key}.demo.example/patient"
"""The system of a hospital's own numbers, by its key."""


def _told(family: str, given: str, born: str, gender: str, **more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": family, "given": [given]}],
        "birthDate": born,
        "gender": gender,
        **more,
    }


def _lives(street: str, city: str, postcode: str) -> list[Json]:
    return [{"use": "home", "line": [street], "city": city, "postalCode": postcode}]


def _number(value: str) -> list[Json]:
    return [{"system": BIRTH_NUMBER, "value": value}]


def _phone(value: str) -> list[Json]:
    return [{"system": "phone", "value": value}]


_POINT: Final = "42000001"
"""A code of the simulated register of addresses."""


def _at(code: str, lives: list[Json]) -> list[Json]:
    point = {"url": ADDRESS_POINT, "valueIdentifier": {"system": RUIAN, "value": code}}
    return [{**each, "extension": [point]} for each in lives]


_HOME: Final = _lives("Lipová 12", "Podlesí", "56301")
TOLD: Final[tuple[tuple[str, str, Json], ...]] = (
    # two hospitals, one person, two addresses
    ("a", "1001", _told("Pospíšil", "Karel", "1958-03-14", "male", address=_HOME,
                        identifier=_number("580314/0013"), telecom=_phone("+420 601 200 301"))),
    ("b", "B-77", _told("Pospíšil", "Karel", "1958-03-14", "male",
                        identifier=_number("580314/0013"),
                        address=_lives("Nádražní 3", "Horní Lhota", "56302"))),
    # day and month swapped, no number
    ("a", "1002", _told("Vondráčková", "Květa", "1985-06-09", "female", address=_HOME,
                        telecom=_phone("+420 601 200 302"))),
    ("b", "B-78", _told("Vondráčková", "Květa", "1985-09-06", "female")),
    # twins, or one child whose order was mistaken
    ("a", "1003", _told("Jelínek", "Matěj", "2015-05-20", "male", telecom=_phone("601200303"),
                        address=_lives("Školní 8", "Podlesí", "56301"), multipleBirthInteger=1)),
    ("b", "B-79", _told("Jelínek", "Matěj", "2015-05-20", "male", telecom=_phone("601200303"),
                        address=_lives("Školní 8", "Podlesí", "56301"), multipleBirthInteger=2)),
    # one number, two names
    ("a", "1004", _told("Benda", "Otakar", "1971-11-02", "male", identifier=_number("711102/0015"),
                        address=_lives("Polní 5", "Dolní Lhota", "56303"))),
    ("b", "B-80", _told("Zeman", "Radim", "1971-11-02", "male", identifier=_number("711102/0015"),
                        address=_lives("Zahradní 40", "Horní Lhota", "56302"))),
    # a slip in the year
    ("a", "1006", _told("Hrubeš", "Ludvík", "1949-12-01", "male", address=_HOME)),
    ("b", "B-82", _told("Hrubeš", "Ludvik", "1948-12-01", "male")),
    # a maiden name
    ("a", "1005", _told("Křížová", "Alžběta", "1992-08-25", "female", address=_HOME)),
    ("b", "B-81", _told("Tichá", "Alžběta", "1992-08-25", "female",
                        address=_lives("U Mlýna 1", "Horní Lhota", "56302"))),
    # a code of an address point that belongs to another town
    ("a", "1007", _told("Hanáková", "Dana", "1983-04-17", "female",
                        address=_at(_POINT, _lives("Mlýnská 21", "Podhájí", "56301")))),
    # the register of persons has her married name by now
    ("b", "B-83", _told("Vitásková", "Simona", "1991-09-30", "female",
                        identifier=[{"system": f"{ID_CARD}CZE", "value": "109200311"}],
                        address=_lives("Nová 7", "Podlesí", "56301"))),
)  # fmt: skip
MERGED: Final = ("1005", "B-81")


async def fill(
    services: Services, registers: Registers, hospitals: Mapping[str, Caller], loader: Caller
) -> None:
    """Registers the people, unless they are there; `hospitals` by key (`a`, `b`)."""
    first = _source(hospitals, *TOLD[0][:2])
    if await sources.one(services.db, first.name, first.system, first.value) is not None:
        return
    known: dict[str, Registered] = {}
    for key, number, patient in TOLD:
        source = _source(hospitals, key, number)
        known[number] = await registers.registration.register(hospitals[key], patient, source)
    one, other = (known[each].patient for each in MERGED)
    await registers.merging.merge(loader, one, other, "Provdala se; doložila oddací list.")
    who = known["1001"]
    karel = Account(
        "karel", "karel", "Karel Pospíšil", "patient", person=who.person, patient=who.patient
    )
    caller = account_caller(karel, strength=TWO_FACTORS, purpose="PATRQT")
    text = "V Horní Lhotě už nebydlím, bydlím zase v Podlesí."
    await registers.merging.disputes.open(caller, who.patient, "address", text)


def _source(hospitals: Mapping[str, Caller], key: str, number: str) -> Source:
    teller = hospitals[key]
    return Source(
        teller.organization, NUMBERS.format(key=key), number, title=teller.organization_name
    )
