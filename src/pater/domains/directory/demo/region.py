"""The facilities of the demonstration: two hospitals that the roof names, and some around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pater.domains.directory.importing import IMPORTER
from pater.domains.directory.lookups import TRANSLATION
from pater.domains.directory.model import (
    Address,
    Place,
    Professional,
    Qualification,
    place_id,
    places_resources,
    professionals_resources,
)
from pater.records.gate import Change, Gate
from pater.registers.identifiers import ico_from
from pater.registers.providers.hours import read_hours

_DAY: Final = date(2026, 1, 1)
_AT: Final = {"a": (49.63, 15.55), "b": (49.71, 15.90)}
_ENGLISH: Final = {
    "vnitřní lékařství": "internal medicine",
    "kardiologie": "cardiology",
    "urgentní medicína": "emergency medicine",
    "všeobecné praktické lékařství": "general practice",
    "lékárenská péče": "pharmacy",
    "zubní lékařství": "dentistry",
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital of the demonstration: `key` is a or b."""

    key: str
    name: str
    ico: str
    street: str
    city: str
    postal_code: str


@dataclass(frozen=True, slots=True)
class Physician:
    """A physician of one of them."""

    hospital: str
    krzp: str
    given: str
    family: str
    prefix: str
    suffix: str
    field: str
    gender: str


def places(hospitals: Sequence[Hospital]) -> list[Place]:
    """The hospitals, a general practitioner, a dentist and a pharmacy."""
    made = [
        Place(
            key=f"demo-{each.key}",
            ico=each.ico,
            name=each.name,
            provider=each.name,
            kind_code="102",
            kind="Nemocnice",
            address=Address(each.street, each.city, each.postal_code, region="Kraj Podlesí"),
            lat=_AT[each.key][0],
            lon=_AT[each.key][1],
            since=date(1994, 1, 1),
            fields=("vnitřní lékařství", "kardiologie", "urgentní medicína"),
            forms=("ambulantní", "lůžková"),
            hours=tuple(read_hours("nonstop")),
            permit=f"KUPO/{each.key.upper()}/1994",
            authority="Krajský úřad Podlesí",
            equipment=("CT", "magnetická rezonance"),
            departments=(("Interna", 42), ("JIP", 8)),
        )
        for each in hospitals
        if each.key in _AT
    ]
    around = (
        ("gp", "Ordinace Na Návsi", "všeobecné praktické lékařství", "Po-Pá 7:30-13:00",
         ("Náves 3", "Horní Lhotka", "999 27"), 49.66, 15.61),
        ("dentist", "Zubní ordinace Jílový Brod", "zubní lékařství", "Po-Čt 8:00-16:00",
         ("Na Hrázi 15", "Jílový Brod", "999 22"), 49.70, 15.88),
        ("pharmacy", "Lékárna U Dubu", "lékárenská péče", "Po-Pá 8:00-18:00; So 8:00-12:00",
         ("Dubová 8", "Javorné", "999 01"), 49.64, 15.56),
    )  # fmt: skip
    for number, (key, name, field, hours, where, lat, lon) in enumerate(around):
        made.append(
            Place(
                key=f"demo-{key}",
                ico=ico_from(f"{9_990_000 + number}"),
                name=name,
                provider=f"{name} s.r.o.",
                kind="Samostatná ordinace" if key != "pharmacy" else "Lékárna",
                address=Address(*where, region="Kraj Podlesí"),
                lat=lat,
                lon=lon,
                fields=(field,),
                forms=("ambulantní",),
                hours=tuple(read_hours(hours)),
            )
        )
    return made


async def fill(gate: Gate, hospitals: Sequence[Hospital], people: Sequence[Physician]) -> None:
    """Writes the facilities and their physicians, unless they are there."""
    first = place_id("demo-a")
    if await gate.read_all(IMPORTER, [("Location", first)]):
        return
    made: dict[tuple[str, str], Json] = {}
    for place in places(hospitals):
        for each in places_resources(place, _DAY):
            made.setdefault((each["resourceType"], each["id"]), _translated(each))
    employers = {each.key: each.ico for each in hospitals}
    for one in people:
        person = Professional(
            krzp=one.krzp, family=one.family, given=one.given, prefix=one.prefix,
            suffix=one.suffix, gender=one.gender,
            qualifications=(Qualification("specialised", one.field),),
            profession_code="L1", profession="lékař", specialty=one.field,
            ico=employers.get(one.hospital, ""), place=f"demo-{one.hospital}",
            since=date(2015, 9, 1),
        )  # fmt: skip
        for each in professionals_resources(person, _DAY):
            made.setdefault((each["resourceType"], each["id"]), each)
    changes = [Change("update", type_, id_, each) for (type_, id_), each in made.items()]
    for begin in range(0, len(changes), 50):
        await gate.commit(IMPORTER, changes[begin : begin + 50])


def _translated(resource: Json) -> Json:
    """A service with its English name."""
    english = _ENGLISH.get(str(resource.get("name", "")))
    if resource["resourceType"] != "HealthcareService" or english is None:
        return resource
    parts: list[Mapping[str, str]] = [
        {"url": "lang", "valueCode": "en"},
        {"url": "content", "valueString": english},
    ]
    return {**resource, "_name": {"extension": [{"url": TRANSLATION, "extension": parts}]}}
