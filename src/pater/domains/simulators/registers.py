"""The state's basic registers as they would answer: invented persons, and failures on demand.

All is in the memory of one process: what is changed on the page is gone when it ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pater.domains.simulators import demonstration
from pater.registers.identifiers import ico_from
from pater.registers.people import Person, people

PATH: Final = "/simulator/registers"
MODES: Final = ("ok", "down", "slow", "wrong")
"""How a register behaves; `slow` answers after everybody has given up."""
REGISTERS: Final = ("rob", "ruian", "ros", "reza")
COUNT: Final = 60
_SEED: Final = 25
_FIRST: Final = 600  # from here on there are children
_CHILDREN: Final = 20

Entry = dict[str, Any]


@dataclass
class Registers:
    """What the registers hold; `changed`, `moved` and `traded` say in which order persons,
    mandates and businesses changed last.
    """

    clock: Callable[[], datetime]
    modes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(REGISTERS, "ok"))
    persons: dict[str, Entry] = field(default_factory=dict)
    addresses: dict[str, Entry] = field(default_factory=dict)
    businesses: dict[str, Entry] = field(default_factory=dict)
    mandates: dict[str, Entry] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    traded: dict[str, int] = field(default_factory=dict)
    last: int = 0

    def find(self, question: Entry) -> Entry | None:
        """The one person of a name and birth date, or of a document; None for nobody, several."""
        document = question.get("document")
        found = [
            each
            for each in self.persons.values()
            if each["birthDate"] == question.get("birthDate")
            and (
                (each["family"], each["given"]) == (question.get("family"), question.get("given"))
                or (document and document in each["documents"])
            )
        ]  # fmt: skip
        return found[0] if len(found) == 1 else None

    def changes(self, after: str, count: int) -> Entry:
        """Pseudonyms that changed after a cursor."""
        names, cursor = _after(self.changed, after, count)
        return {"changes": [{"pseudonym": each} for each in names], "cursor": cursor}

    def mandate_changes(self, after: str, count: int) -> Entry:
        """Mandates that changed after a cursor."""
        names, cursor = _after(self.moved, after, count)
        return {"changes": [self.mandates[each] for each in names], "cursor": cursor}

    def business_changes(self, after: str, count: int) -> Entry:
        """IČO of businesses that changed after a cursor."""
        names, cursor = _after(self.traded, after, count)
        return {"changes": [{"ico": each} for each in names], "cursor": cursor}

    def trade(self, ico: str, **values: str) -> None:
        """Something of a business changes. KeyError for none."""
        self.businesses[ico] = {**self.businesses[ico], **values}
        self.traded[ico] = self._next()

    def change(self, pseudonym: str, **values: str) -> None:
        """Something of a person changes. KeyError for nobody."""
        self.persons[pseudonym] = {**self.persons[pseudonym], **values}
        self.changed[pseudonym] = self._next()

    def die(self, pseudonym: str) -> None:
        """A person has died. KeyError for nobody."""
        self.change(pseudonym, deathDate=self.clock().date().isoformat())

    def mandate(self, id: str, **values: Any) -> None:
        """A mandate is made or changes."""
        self.mandates[id] = {**self.mandates.get(id, {"id": id}), **values}
        self.moved[id] = self._next()

    def end(self, id: str) -> None:
        """A mandate ends now. KeyError for none."""
        self.mandates[id] = {**self.mandates[id], "ended": self.clock().isoformat()}
        self.moved[id] = self._next()

    def _next(self) -> int:
        self.last += 1
        return self.last


def _after(order: dict[str, int], after: str, count: int) -> tuple[list[str], str]:
    begin = int(after) if after.isascii() and after.isdigit() and len(after) < 18 else 0
    later = sorted((number, name) for name, number in order.items() if number > begin)
    page = later[: max(1, min(count, 1000))]
    return [name for _, name in page], str(page[-1][0] if page else begin)


def filled(clock: Callable[[], datetime], count: int = COUNT) -> Registers:
    """Registers with invented persons, their addresses, some businesses and mandates."""
    made = Registers(clock)
    since = (clock() - timedelta(days=400)).isoformat()
    everybody = list(people(_SEED, count, first=_FIRST))
    numbers = {one.number: pseudonym_of(one) for one in everybody}
    for one in everybody:
        name = pseudonym_of(one)
        made.persons[name] = _person(one, name)
        made.addresses[one.home.point] = {
            "code": one.home.point, "street": one.home.street, "houseNumber": one.home.number,
            "city": one.home.city, "postalCode": one.home.postcode, "valid": True,
        }  # fmt: skip
    for number, one in enumerate(everybody[:5], 1):
        ico = ico_from(f"{2_700_000 + number}")
        made.businesses[ico] = {
            "ico": ico, "name": f"Poskytovatel {number} s.r.o.", "address": one.home.point,
        }  # fmt: skip
        made.mandate(
            f"statutory-{number}", kind="statutory", organization=ico,
            agent=pseudonym_of(one), since=since, reference=f"OR C {number}",
        )  # fmt: skip
    children = [one for one in everybody if one.mother in numbers]
    for number, one in enumerate(children[:_CHILDREN], 1):
        made.mandate(
            f"parent-{number}", kind="parent", person=pseudonym_of(one),
            agent=numbers[one.mother], since=f"{one.born.isoformat()}T00:00:00+00:00",
            reference="matrika",
        )  # fmt: skip
    return made


def demonstrated(clock: Callable[[], datetime]) -> Registers:
    """The same with the patients and providers of the demonstration."""
    made = filled(clock)
    made.persons |= {each["pseudonym"]: each for each in demonstration.persons()}
    made.addresses |= {each["code"]: each for each in demonstration.addresses()}
    made.businesses |= {each["ico"]: each for each in demonstration.businesses()}
    return made


def pseudonym_of(person: Person) -> str:
    """The name of a person in these registers."""
    return hashlib.sha256(f"simulated {person.number}".encode()).hexdigest()[:24]


def _person(one: Person, name: str) -> Entry:
    documents = []
    if one.document:
        kind = "idcard" if one.country == "CZE" else "passport"
        documents = [{"type": kind, "country": one.country, "number": one.document}]
    return {
        "pseudonym": name, "family": one.family, "given": " ".join(one.givens),
        "birthDate": one.born.isoformat(), "gender": "female" if one.sex == "f" else "male",
        "address": one.home.point, "documents": documents,
    }  # fmt: skip
