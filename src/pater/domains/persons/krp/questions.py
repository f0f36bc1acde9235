"""What the register answers to its own questions, and what it takes: each through the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.persons import tables
from pater.domains.persons.feed import Feed
from pater.domains.persons.krp import asked as read
from pater.domains.persons.krp import records
from pater.domains.persons.krp.envelope import Asked
from pater.fhir.json import dumps, parse
from pater.registers.cases import opening
from pater.registers.disputes import AlreadyDisputed
from pater.registers.finding import found
from pater.registers.held import Insured, Registering, insurance_of, registering_of
from pater.registers.identifiers import RID
from pater.registers.room import Registers
from pater.rest.errors import HttpError

Json = dict[str, Any]

ATTRIBUTES: Final[Mapping[str, str]] = {
    "jmeno": "name", "prijmeni": "name", "rodnePrijmeni": "name", "datumNarozeni": "birthDate",
    "pohlavi": "gender", "datumUmrti": "deceased", "poradiNarozeni": "multipleBirth",
    "rodneCislo": "identifier", "cisloPojistence": "identifier", "doklady": "identifier",
    "adresy": "address", "kontakty": "telecom", "matkaNovorozence": "extension",
    "registrujiciPoskytovatele": "generalPractitioner",
}  # fmt: skip
"""What can be said to be wrong, and the element of the Patient that it is."""
_REASON: Final = 2_000
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "rid": ("rid",),
    "jmeno-rc": ("jmeno", "prijmeni", "rodneCislo"),
    "jmeno-datum": ("jmeno", "prijmeni", "datumNarozeni"),
    "doklad": ("doklad",),
    "cizinec": ("cisloPojistence",),
    "univerzalni": (),
}
"""The kinds of question, and what each has to say."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of one register."""

    services: Services
    registers: Registers
    feed: Feed

    def finding(self, kind: str) -> Callable[[Caller, Asked], Any]:
        """A question for who somebody is, by exactly what it names."""

        async def answer(caller: Caller, asked: Asked) -> Json:
            for each in NEEDED[kind]:
                if asked.data.get(each) is None:
                    raise HttpError(400, "required", "it is needed", path=f"zadostData.{each}")
            taken = NEEDED[kind] or tuple(asked.data)
            patient = read.who({key: asked.data.get(key) for key in taken})
            shown = await self.persons(caller, patient, asked.query(kind))
            return {"pacienti": await self.shown(shown)}

        return answer

    async def persons(self, caller: Caller, patient: Json, what: str) -> dict[int, Json]:
        """The master Patients of whom is meant, decided and recorded. Raises HttpError 404."""
        gate = self.services.gate
        await gate.require(caller, "ask", "Patient")
        enough = patient.get("identifier") or (patient.get("name") and patient.get("birthDate"))
        if not enough:
            text = "say more: a number, a document, or a name with a birth date"
            raise HttpError(400, "required", text, path="zadostData")
        gate.admit(caller)
        meant = await found(self.services.db, self.registers.index, patient)
        shown = await gate.identify(caller, meant, what)
        if not shown:
            await gate.missed(caller, [dumps(patient).decode()])
            raise HttpError(404, "not-found", "nobody of the register is meant", path="zadostData")
        return {person: parse(stored.body) for person, stored in shown.items()}

    async def shown(self, masters: Mapping[int, Json]) -> list[Json]:
        """The records of persons."""
        standing = await tables.standing(self.services.db, list(masters))
        return [records.record(each, standing.get(who)) for who, each in masters.items()]

    async def insurance(self, caller: Caller, asked: Asked) -> Json:
        """Somebody's insurance: all of it, or as it was on a day (`kDatu`)."""
        _, rows = await self.insured(caller, asked)
        return {"pojisteni": [records.insurance(each) for each in rows]}

    async def insured(self, caller: Caller, asked: Asked) -> tuple[Json, list[Insured]]:
        """The Patient, and `insurance` as it is kept."""
        at = read.day(asked.data, "kDatu")
        person, master = await self._one(caller, asked, "pojisteni")
        return master, await insurance_of(self.services.db, person, master, at)

    async def registering(self, caller: Caller, asked: Asked) -> Json:
        """Who registered somebody: all of them, or those of a day (`kDatu`)."""
        rows = await self.registered(caller, asked)
        return {"registrujiciPoskytovatele": [records.registering(each) for each in rows]}

    async def registered(self, caller: Caller, asked: Asked) -> list[Registering]:
        """As `registering`, as it is kept."""
        at = read.day(asked.data, "kDatu")
        person, master = await self._one(caller, asked, "registrujici")
        return await registering_of(self.services.db, person, master, at)

    async def create(self, caller: Caller, asked: Asked) -> Json:
        """Somebody whom the provider did not know before, under its own number."""
        return await self._tell(caller, asked, known=False)

    async def change(self, caller: Caller, asked: Asked) -> Json:
        """What the provider says of somebody whom it knows, anew."""
        return await self._tell(caller, asked, known=True)

    async def temporary(self, caller: Caller, asked: Asked) -> Json:
        """Somebody of whom little is known: a number for the time being (DRID)."""
        patient = asked.data.get("pacient") or {}
        numbered = [k for k in ("rid", "rodneCislo", "cisloPojistence", "doklad", "doklady")
                    if isinstance(patient, dict) and patient.get(k)]  # fmt: skip
        if numbered:
            text = "who has a number is created, and needs none for the time being"
            raise HttpError(400, "value", text, path=f"zadostData.pacient.{numbered[0]}")
        return await self._tell(caller, asked, known=False)

    async def _tell(self, caller: Caller, asked: Asked, *, known: bool) -> Json:
        patient = read.person(asked.data.get("pacient") or {}, "zadostData.pacient")
        number = asked.data.get("mistniId")
        if not isinstance(number, dict):
            raise HttpError(400, "required", "an object", path="zadostData.mistniId")
        system = read.text(number, "system", "zadostData.mistniId", needed=True)
        value = read.text(number, "hodnota", "zadostData.mistniId", needed=True)
        outcome, person, master = await self.told(
            caller, system, value, patient, asked.query("zapis"), known=known
        )
        [one] = await self.shown({person: master})
        outcomes = {"matched": "Ztotoznen", "new": "Zalozen", "possible": "KOvereni"}
        return {"vysledek": outcomes[outcome], "pacient": one}

    async def told(
        self, caller: Caller, system: str, value: str, patient: Json, what: str, *, known: bool
    ) -> tuple[str, int, Json]:
        """Takes what the sender says under its own number: the outcome, who it is, their Patient.

        Raises what `Feed.tell` raises.
        """
        told = await self.feed.tell(caller, system, value, patient, known=known)
        shown = await self.services.gate.identify(caller, [told.person], what)
        [(person, stored)] = shown.items()
        return told.outcome, person, parse(stored.body)

    async def merge(self, caller: Caller, asked: Asked) -> Json:
        """Asks a registrar to make two persons one."""
        reason = read.text(asked.data, "duvod", needed=True, longest=_REASON)
        gate, db = self.services.gate, self.services.db
        person, _ = await self._one(caller, asked, "slouceni")
        other, master = await self._one(caller, asked, "slouceni", "druhyRid")
        if person == other:
            text = "these two numbers are one person already"
            raise HttpError(422, "business-rule", text, path="zadostData.druhyRid")
        ranked = await self.registers.index.ranked(master, [person])
        who = caller.organization or caller.id
        await gate.commit(
            caller,
            [],
            statements=[
                opening(other, ranked, "possible", who, gate.now()),
                tables.noted(other, reason),
            ],
            reason=gate.decide(caller, "ask", "Patient").reason,
        )
        case = await tables.open_case(db, other)
        return {"zadost": str(case), "stav": "Prijata"}

    async def split(self, caller: Caller, asked: Asked) -> Json:
        """Says that one record is of two persons."""
        reason = read.text(asked.data, "duvod", needed=True, longest=_REASON)
        _, master = await self._one(caller, asked, "rozdeleni")
        return await self._disputed(caller, master, "identifier", reason)

    async def dispute(self, caller: Caller, asked: Asked) -> Json:
        """Says that a datum is wrong."""
        reason = read.text(asked.data, "popis", needed=True, longest=_REASON)
        element = ATTRIBUTES.get(read.text(asked.data, "udaj", needed=True))
        if element is None:
            text = f"one of {', '.join(ATTRIBUTES)}"
            raise HttpError(400, "value", text, path="zadostData.udaj")
        _, master = await self._one(caller, asked, "reklamace")
        return await self._disputed(caller, master, element, reason)

    async def _disputed(self, caller: Caller, master: Json, element: str, why: str) -> Json:
        disputes = self.registers.merging.disputes
        try:
            made = await disputes.open(caller, master["id"], element, why)
        except AlreadyDisputed as error:
            raise HttpError(409, "duplicate", str(error), path="zadostData") from error
        return {"reklamaceId": made.id, "stav": "Prijata"}

    async def _one(
        self, caller: Caller, asked: Asked, kind: str, key: str = "rid"
    ) -> tuple[int, Json]:
        """The person of a number of the register, and their Patient."""
        number = {"system": RID, "value": read.rid(asked.data, key)}
        patient = {"resourceType": "Patient", "identifier": [number]}
        masters = await self.persons(caller, patient, asked.query(kind))
        [(person, master)] = masters.items()
        return person, master
