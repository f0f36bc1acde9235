"""Who persons are as the register of persons (ROB) says: asked, told to ours, and followed.

What it says is one of the sources of a person, and no other source overrules it. It knows people
by a name of its own, which is kept as a keyed hash: the number of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from cryptography.exceptions import InvalidTag

from pater.access.caller import KEY, Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.records.errors import AlreadyClaimed, Unprocessable
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.basic import waiting
from pater.registers.basic.health import Breaker
from pater.registers.basic.keeping import Public
from pater.registers.basic.ports import Persons, Question
from pater.registers.basic.secrets import Pseudonyms
from pater.registers.basic.told import Address, Down, Person, Unusable
from pater.registers.cases import opening
from pater.registers.identifiers import ID_CARD, PASSPORT
from pater.registers.matching.features import ADDRESS_POINT
from pater.registers.matching.index import PersonIndex
from pater.registers.patients import demographics_agree
from pater.registers.registration import Registration
from pater.registers.surviving import Source
from pater.store.database import Database
from pater.store.read import Stored, claim_holders

NAME: Final = "rob"
SYSTEM: Final = "urn:pater:rob"
"""The system of the numbers (hashes) under which the register of persons knows people."""
TITLE: Final = "Registr obyvatel"
CALLER: Final = Caller(
    kind="system", id="basic-registers", name="Basic registers", role="loader", purpose="SYSADMIN",
    strength=KEY, scopes=("system/*.cruds",),
)  # fmt: skip
"""As whom what the basic registers say is written down."""
RUIAN: Final = "https://ncez.mzcr.cz/fhir/sid/ruian"
PAGE: Final = 500
"""Changes that are asked for at once."""
PAGES: Final = 20
"""Pages of one run; the next run goes on."""

_MASTER: Final = """
select r.id from resource r where r.type = $1 and r.person = $2 and not r.deleted
and not exists (select from alias a where a.patient = r.id) limit 1
"""
_CURSOR: Final = "select cursor from basic_register where register = $1"
_MOVE: Final = "update basic_register set cursor = $2, followed = $3 where register = $1"
_DOCUMENTS: Final = {"idcard": ID_CARD, "passport": PASSPORT}


class Identities:
    """Asks the register of persons, and tells our register what it says."""

    def __init__(
        self,
        gate: Gate,
        db: Database,
        registration: Registration,
        index: PersonIndex,
        persons: Persons,
        public: Public,
        breaker: Breaker,
        names: Pseudonyms,
        clock: Callable[[], datetime],
    ) -> None:
        self._gate, self._db, self._registration, self._index = gate, db, registration, index
        self._persons, self._public, self._breaker = persons, public, breaker
        self._names, self._clock = names, clock

    async def answer(self, one: waiting.Wait) -> bytes | None:
        """Asks what waits and writes down what it says; the key of who was told of, None = the
        register means nobody. Raises Down: then it goes on waiting.
        """
        if one.kind == "who":
            return await self.identify(one.person)
        try:
            pseudonym = self._names.open(one.sealed or b"")
        except InvalidTag as error:
            raise Unusable("what waits was sealed by other keys than these") from error
        return await self.changed(pseudonym)

    async def identify(self, person: int) -> bytes | None:
        """Asks who a person is. Raises Down."""
        stored = await self._master(person)
        if stored is None:
            return None  # taken out, or merged: the survivor has a question of its own
        master = parse(stored.body)
        question = question_of(master)
        if question is None:
            return None
        told = await self._breaker.ask(NAME, lambda: self._persons.find(question))
        if told is None:
            return None
        patient = patient_of(told, await self._address(told.address))
        if not demographics_agree(patient, master):
            raise Unusable("it means somebody else than was asked for")
        source = self._source(told)
        number = sources.key(source)
        holder = (await claim_holders(self._db, [number])).get(number)
        if holder is not None and holder[0] != person:
            # the state knows both as one
            ranked = await self._index.ranked(master, [holder[0]])
            case = opening(person, ranked, "numbers", NAME, self._clock())
            await self._gate.commit(CALLER, [], statements=[case], reason="loading")
            return self._names.key(told.pseudonym)
        if holder is None:
            claim = sources.claim(source, person, stored.id)
            try:
                await self._gate.commit(CALLER, [], claims=[claim], reason="loading")
            except AlreadyClaimed as error:
                raise Unusable("somebody else was told of as the same person just now") from error
        return await self._tell(patient, source, told)

    async def changed(self, pseudonym: str) -> bytes | None:
        """Asks what is so of somebody now, if they are one of ours. Raises Down."""
        number = sources.key(self._numbered(pseudonym))
        if not await claim_holders(self._db, [number]):
            return None
        told = await self._breaker.ask(NAME, lambda: self._persons.read(pseudonym))
        if told is None:
            return None
        patient = patient_of(told, await self._address(told.address))
        return await self._tell(patient, self._source(told), told)

    async def follow(self) -> int:
        """Has everybody of ours asked about of whom something changed; says how many."""
        found = 0
        for _ in range(PAGES):
            cursor = await self._db.fetchval(_CURSOR, NAME)
            page = await self._breaker.ask(NAME, partial(self._persons.changes, cursor, PAGE))
            ours = await self._ours(page.items)
            found += len(ours)
            async with self._db.transaction() as connection:
                await waiting.changed(connection, self._names, ours, self._clock())
                await connection.execute(_MOVE, NAME, page.cursor, self._clock())
            if len(page.items) < PAGE or page.cursor == cursor:
                break
        return found

    async def _ours(self, pseudonyms: tuple[str, ...]) -> list[str]:
        by_key = {sources.key(self._numbered(each)): each for each in pseudonyms}
        held = await claim_holders(self._db, list(by_key))
        return [by_key[key] for key in held]

    async def holders(self, keys: list[bytes]) -> dict[bytes, tuple[int, str]]:
        """The persons and Patients of hashed pseudonyms, as far as they are ours."""
        by_claim = {sources.key(Source(NAME, SYSTEM, key.hex())): key for key in keys}
        held = await claim_holders(self._db, list(by_claim))
        return {by_claim[claim]: holder for claim, holder in held.items()}

    async def _tell(self, patient: dict[str, Any], source: Source, told: Person) -> bytes:
        try:
            await self._registration.register(CALLER, patient, source)
        except Unprocessable as error:
            raise Unusable("what it says of somebody breaks a rule") from error
        return self._names.key(told.pseudonym)

    async def _address(self, code: str) -> Address | None:
        """The address of a code. Raises Down: a person is told of with the address, or later."""
        if not code:
            return None
        answer = await self._public.address(code)
        if answer.value is None:
            raise Down("the register of addresses does not know an address of it")
        return answer.value

    async def _master(self, person: int) -> Stored | None:
        patient = await self._db.fetchval(_MASTER, TYPE_NUMBER["Patient"], person)
        # what is read leaves for the register of persons: it stands in the journal
        return await self._gate.read(CALLER, "Patient", patient) if patient else None

    def _numbered(self, pseudonym: str) -> Source:
        value = self._names.key(pseudonym).hex()
        return Source(NAME, SYSTEM, value, reference=True, title=TITLE)

    def _source(self, told: Person) -> Source:
        return self._numbered(told.pseudonym)


def question_of(master: dict[str, Any]) -> Question | None:
    """How the register of persons is asked who somebody is; None when too little is known."""
    names = [each for each in master.get("name", ()) if each.get("use") not in ("old", "maiden")]
    names.sort(key=lambda each: each.get("use") != "official")
    born = master.get("birthDate", "")
    if not names or not names[0].get("family") or not _is_day(born):
        return None
    question: Question = {
        "family": names[0]["family"],
        "given": " ".join(names[0].get("given", ())),
        "birthDate": born,
    }
    for each in master.get("identifier", ()):
        for type_, system in _DOCUMENTS.items():
            if each.get("use") != "old" and str(each.get("system", "")).startswith(system):
                country = each["system"].removeprefix(system)
                number = str(each.get("value", ""))
                question["document"] = {"type": type_, "country": country, "number": number}
                return question
    return question


def patient_of(told: Person, address: Address | None) -> dict[str, Any]:
    """What the register of persons says, as a Patient; the address as the register of addresses
    has it, the code beside it.
    """
    name: dict[str, Any] = {"use": "official", "family": told.family}
    if told.given:
        name["given"] = told.given.split()
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "name": [name],
        "birthDate": told.born.isoformat(),
    }
    if told.documents:
        patient["identifier"] = [
            {"system": _DOCUMENTS[each.type] + each.country, "value": each.number}
            for each in told.documents
        ]
    if told.gender:
        patient["gender"] = told.gender
    if told.died is not None:
        patient["deceasedDateTime"] = told.died.isoformat()
    if address is not None:
        patient["address"] = [address_of(address)]
    return patient


def address_of(address: Address) -> dict[str, Any]:
    """An address point as a FHIR Address."""
    return {
        "use": "home",
        "line": [address.line],
        "city": address.city,
        "postalCode": address.postal_code,
        "country": "CZ",
        "extension": [
            {"url": ADDRESS_POINT, "valueIdentifier": {"system": RUIAN, "value": address.code}}
        ],
    }


def _is_day(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(date.fromisoformat(text))
    except ValueError:
        return False
