"""Answers questions by the policy in force and how callers stand to persons, as any access is.

A provider that asks for itself is not told what the patient holds back: the answer is whether its
question would be admitted, and what is held back is not there when it looks. A service of the
operator, which hands over what others keep, is told the patient's will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pater.access import audit, representation
from pater.access.caller import KEY, TWO_FACTORS, Caller
from pater.access.clients import client_caller, find_many
from pater.access.facts import NOTHING, Facts, Standing
from pater.access.policy import Policy
from pater.access.roles import ROLE_SCOPES
from pater.domain import Services
from pater.fhir.json import parse
from pater.fhir.labels import Veil, label
from pater.fhir.search.parse import parse_search
from pater.records.errors import Forbidden
from pater.records.sight import NOBODY_KNOWN
from pater.registers.basic.authorisations import mandated
from pater.registers.identifiers import ICO, PROFESSIONAL, RID
from pater.rest.authorisations.question import ORGANISATIONS, PEOPLE, SERVICES, Question
from pater.rest.errors import HttpError
from pater.store.read import claim_holders
from pater.store.write import claim_key

MOST: Final = 100
"""Questions at once."""
NOT_PERMITTED: Final = "not-permitted"
"""The one reason of all refusals that depend on the person: nothing can be told from it."""
MANDATED: Final = "mandated"
_AGENTS: Final = ("Zastupce", "FyzickaOsoba")
_PERSONAL: Final = frozenset({"no-relation", "other-person", "no-person"})
_DISCREET: Final = Veil(())
_SEARCHED: Final = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is allowed, and a key of `policy_texts` saying why."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What was looked up for a batch: people by RID, professionals by number, systems by id."""

    people: Mapping[str, tuple[int, str]]
    professionals: Mapping[str, str]
    systems: Mapping[str, Caller]
    acting: Mapping[tuple[str, str], str]  # RIDs of who acts and for whom -> the representation
    mandates: frozenset[tuple[int, str, str]]  # who acts for which organisation in which service


@dataclass(frozen=True, slots=True)
class Desk:
    """Where questions are asked."""

    services: Services
    policy: Policy
    standing: Standing

    async def ask(self, caller: Caller, questions: Sequence[Question]) -> list[Verdict]:
        """The answers in order, each in the journal of the person asked about. Raises Forbidden,
        HttpError 400 for too many.
        """
        gate = self.services.gate
        decision = gate.decide(caller, "ask", "Consent")
        if not decision.allowed or caller.kind != "system" or caller.app:
            reason = "no-role" if decision.allowed else decision.reason
            await gate.refuse(caller, "ask", "Consent", reason)
            raise Forbidden(reason)
        if not 0 < len(questions) <= MOST:
            raise HttpError(400, "too-costly", f"ask 1 to {MOST} questions at once")
        provider = caller.role == "provider-system"
        if provider:
            gate.admit(caller)
        known = await self._look_up(caller, questions)
        if provider and not await self._are_own(caller, questions, known):
            await gate.refuse(caller, "ask", "Consent", "not-asked-for-others")
            raise Forbidden("not-asked-for-others")
        asked = [(each, self._grantee(caller, each, known)) for each in questions]
        facts = await self._facts(asked, known, discreet=provider)
        verdicts = [
            _by_mandate(each, known)
            if _of_organisation(each)
            else self._verdict(each, who, known.people.get(each.grantor, (0, ""))[0], facts)
            for each, who in asked
        ]
        await self._note(caller, questions, verdicts, known)
        if provider:
            both = zip(questions, verdicts, strict=True)
            named = [(_subject(each), said.allowed) for each, said in both]
            await gate.missed(caller, [subject for subject, allowed in named if not allowed])
        return verdicts

    async def _look_up(self, caller: Caller, questions: Sequence[Question]) -> _Known:
        """Each kind by one statement, whatever the number of questions."""
        db = self.services.db
        rids = sorted(set().union(*(each.names for each in questions)))
        keys = {claim_key("person", RID, each): each for each in rids}
        held = await claim_holders(db, keys)
        people = {keys[key]: found for key, found in held.items()}
        systems = await find_many(db, _grantees(questions, "Interni"))
        callers = {
            id_: client_caller(
                each, scopes=each.scopes, purpose=each.purposes[0] if each.purposes else ""
            )
            for id_, each in systems.items()
            if each.active
        }
        return _Known(
            people,
            await self._professionals(caller, _grantees(questions, "ZdravotniPracovnik")),
            callers,
            await self._acting(questions, people),
            await self._mandates(questions, people),
        )

    async def _mandates(
        self, questions: Sequence[Question], people: Mapping[str, tuple[int, str]]
    ) -> frozenset[tuple[int, str, str]]:
        """The mandates that hold at this moment, of the people and organisations asked about."""
        asked = [each for each in questions if _of_organisation(each) and each.grantee in people]
        found: set[tuple[int, str, str]] = set()
        now = self.services.clock()
        for service in sorted({each.service for each in asked}):
            agents = {people[each.grantee][0] for each in asked}
            organisations = {each.grantor for each in asked}
            held = await mandated(self.services.db, agents, organisations, service, now)
            found |= {(agent, ico, service) for agent, ico in held}
        return frozenset(found)

    async def _acting(
        self, questions: Sequence[Question], people: Mapping[str, tuple[int, str]]
    ) -> dict[tuple[str, str], str]:
        """The representations that hold now, of those who are asked about as representatives."""
        found: dict[tuple[str, str], str] = {}
        now = self.services.clock()
        patients = {each.grantor for each in questions if each.grantor_role == "Pacient"}
        by_person = {people[each][0]: each for each in patients if each in people}
        for agent in _grantees(questions, "Zastupce"):
            if agent not in people:
                continue
            for one in await representation.represented(self.services.db, people[agent][0], now):
                if one.person in by_person:
                    found.setdefault((agent, by_person[one.person]), one.id)
        return found

    async def _professionals(self, caller: Caller, numbers: Iterable[str]) -> dict[str, str]:
        """The Practitioner ids of numbers in the directory; who stands there twice is unknown."""
        wanted = set(numbers)
        if not wanted:
            return {}
        value = ",".join(f"{PROFESSIONAL}|{each}" for each in sorted(wanted))
        request = parse_search("Practitioner", [("identifier", value)])
        page = await self.services.gate.search(caller, request, count=_SEARCHED)
        found: dict[str, str] = {}
        twice: set[str] = set()
        for each in page.matches:
            for identifier in parse(each.body).get("identifier", ()):
                number = str(identifier.get("value"))
                if identifier.get("system") != PROFESSIONAL or number not in wanted:
                    continue
                if found.setdefault(number, each.id) != each.id:
                    twice.add(number)
        return {number: id_ for number, id_ in found.items() if number not in twice}

    async def _are_own(self, caller: Caller, questions: Sequence[Question], known: _Known) -> bool:
        """Whether a provider asks for itself, its own professionals and its own mandates only."""
        for each in questions:
            if _of_organisation(each) and each.grantor == caller.organization:
                continue
            match each.grantee_role:
                case "PZS" if each.grantee == caller.organization:
                    continue
                case "Interni" if each.grantee == caller.id:
                    continue
                case "ZdravotniPracovnik" if each.grantee in known.professionals:
                    continue
            return False
        numbers = _grantees(questions, "ZdravotniPracovnik")
        ids = {known.professionals[each] for each in numbers}
        return not ids or ids <= await self._employed(caller, ids)

    async def _employed(self, caller: Caller, ids: Iterable[str]) -> set[str]:
        """Those of the Practitioners who have a role at the caller's organization."""
        parameters = [
            ("practitioner", ",".join(f"Practitioner/{each}" for each in sorted(ids))),
            ("organization.identifier", f"{ICO}|{caller.organization}"),
        ]
        request = parse_search("PractitionerRole", parameters)
        page = await self.services.gate.search(caller, request, count=_SEARCHED)
        roles = [parse(each.body) for each in page.matches]
        return {
            str(role.get("practitioner", {}).get("reference", "")).rpartition("/")[2]
            for role in roles
            if role.get("active") is not False
        }

    def _grantee(self, asking: Caller, question: Question, known: _Known) -> Caller | None:
        """As whom the policy is asked; None for whom there is nobody."""
        purpose = SERVICES[question.service].purpose
        value = question.grantee
        match question.grantee_role:
            case "PZS":
                return _caller("system", "provider-system", purpose, organization=value)
            case "ZdravotniPracovnik" if value in known.professionals:
                own = asking.organization if asking.role == "provider-system" else ""
                id_ = known.professionals[value]
                who = _caller("person", "clinician", purpose, organization=own)
                return replace(who, practitioner=id_)
            case "Interni" if value in known.systems:
                return replace(known.systems[value], purpose=purpose)
            case "Pacient" | "FyzickaOsoba" if value in known.people:
                person, patient = known.people[value]
                who = _caller("person", "patient", "PATRQT")
                return replace(who, person=person, patient=patient)
            case "Zastupce" if (value, question.grantor) in known.acting:
                person, patient = known.people[question.grantor]
                who = _caller("person", representation.ACTING, "PATRQT")
                acting = known.acting[value, question.grantor]
                return replace(who, person=person, patient=patient, acting=acting)
        return None

    async def _facts(
        self,
        asked: Sequence[tuple[Question, Caller | None]],
        known: _Known,
        *,
        discreet: bool,
    ) -> dict[tuple[Caller, int], Facts]:
        """How each one asked about stands to the persons; one look for each of them."""
        wanted: dict[Caller, set[int]] = {}
        for question, who in asked:
            if who is not None:
                person = known.people.get(question.grantor, (NOBODY_KNOWN, ""))[0]
                wanted.setdefault(who, set()).add(person)
        found: dict[tuple[Caller, int], Facts] = {}
        for who, persons in wanted.items():
            for person, facts in (await self.standing.of(who, sorted(persons))).items():
                known_of = Facts(facts.relations, _DISCREET) if discreet else facts
                found[who, person] = known_of
        return found

    def _verdict(
        self,
        question: Question,
        who: Caller | None,
        person: int,
        facts: Mapping[tuple[Caller, int], Facts],
    ) -> Verdict:
        if who is None or person <= 0 or question.grantor_role != "Pacient":
            return Verdict(False, NOT_PERMITTED)
        service = SERVICES[question.service]
        known = facts.get((who, person), NOTHING)
        number = label(question.category)
        reason = ""
        for action in service.actions:
            found = self.policy.decide(who, action, service.type, person=person, facts=known)
            if not found.allowed:
                hidden = found.reason in _PERSONAL
                return Verdict(False, NOT_PERMITTED if hidden else found.reason)
            if not found.shows(number):
                return Verdict(False, NOT_PERMITTED)
            reason = found.reason
        return Verdict(True, reason)

    async def _note(
        self,
        caller: Caller,
        questions: Sequence[Question],
        verdicts: Sequence[Verdict],
        known: _Known,
    ) -> None:
        """One entry for each question, at whom it was about (0: at nobody)."""
        if self.services.journal is None:
            raise HttpError(503, "transient", "there is no journal to write to")
        entries = []
        for each, verdict in zip(questions, verdicts, strict=True):
            person, patient = 0, ""
            if each.grantor_role == "Pacient" or _of_organisation(each):
                person, patient = known.people.get(_subject(each), (0, ""))
            # the numbers of people are nobody else's to read
            who = each.grantee_role
            if who not in PEOPLE:
                who = f"{who}/{each.grantee}"
            allowed = "true" if verdict.allowed else "false"
            query = f"may={each.service}&type={each.document}&who={who}&allowed={allowed}"
            entries.append(
                audit.entry(
                    caller, "E", "operation", audit.OK, clock=self.services.clock,
                    reason="asked-may", person=person, patient=patient, query=query,
                )
            )  # fmt: skip
        await self.services.journal(entries)


def _of_organisation(question: Question) -> bool:
    """Whether it is asked about a person who acts for an organisation."""
    return question.grantor_role in ORGANISATIONS and question.grantee_role in _AGENTS


def _subject(question: Question) -> str:
    """The number of whom a question is about."""
    return question.grantee if _of_organisation(question) else question.grantor


def _by_mandate(question: Question, known: _Known) -> Verdict:
    """Whether somebody may act for an organisation; what of whom is not looked at."""
    agent = known.people.get(question.grantee, (0, ""))[0]
    held = (agent, question.grantor, question.service) in known.mandates
    return Verdict(True, MANDATED) if held else Verdict(False, NOT_PERMITTED)


def _grantees(questions: Iterable[Question], role: str) -> list[str]:
    return sorted({each.grantee for each in questions if each.grantee_role == role})


def _caller(kind: str, role: str, purpose: str, *, organization: str = "") -> Caller:
    """Who would come with the strength of login and the scopes that the role has."""
    system = kind == "system"
    return Caller(
        kind="system" if system else "person",
        id="",
        name="",
        role=role,
        organization=organization,
        purpose=purpose,
        strength=KEY if system else TWO_FACTORS,
        scopes=ROLE_SCOPES[role],
    )
