"""Ties a Patient as somebody sent it to one person of the register.

By RID or another verified identifier whose demographics agree; a new person gets a RID by the
published rule, and whoever cannot be told for sure gets a temporary one (DRID), never somebody
else's record. Uniqueness under concurrency is held by claims that are written with the records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from random import Random
from typing import Any, Final, Literal

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.search.index import normalise
from pater.registers.cases import opening
from pater.registers.identified import identified
from pater.registers.identifiers import (
    RID,
    births,
    canonical,
    check,
    new_drid,
    new_rid,
)
from pater.registers.matching import Decision, Score, features_of
from pater.registers.matching.index import PersonIndex
from pater.registers.matching.spelling import in_common
from pater.store.database import Database
from pater.store.read import claim_holder, read
from pater.store.write import Claim, Statement, claim_key

Resource = dict[str, Any]
State = Literal["matched", "new", "unsure"]

# Kinds of identifiers that name a person wherever they are shown (with agreeing demographics).
_NATIONAL: Final = frozenset({"rid", "drid", "rcis", "cpoj", "passport", "idcard", "national"})
# v2-0203 identifier types issued by a state or an insurer to a person.
_NATIONAL_TYPES: Final = frozenset({"NI", "JHN", "PPN", "SS", "CZ", "NH", "HC", "PRC", "DL"})
_COPIED: Final = (
    "identifier",
    "active",
    "name",
    "telecom",
    "gender",
    "birthDate",
    "_birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "address",
    "maritalStatus",
    "multipleBirthBoolean",
    "multipleBirthInteger",
    "communication",
)


REASONS: Final = {
    "numbers": "the identifiers belong to different persons",
    "disagree": "name or birth date differ from those of the identifier's holder",
    "unverified": "no identifier could be verified",
    "possible": "it may be somebody who is registered already",
}
"""Why a registrar is asked about somebody, by the reason of the case."""
_MASTER: Final = """
select r.id, coalesce(p.rid, '') as rid from resource r left join person p on p.person = r.person
where r.type = $1 and r.person = $2 and not r.deleted
and not exists (select from alias a where a.patient = r.id) limit 1
"""


@dataclass(frozen=True, slots=True)
class Known:
    """One identifier of an incoming Patient and what its check said."""

    system: str
    value: str
    kind: str
    usable: bool  # verified or without a rule, and issued to a person by a state or an insurer
    identifier: Resource


@dataclass(frozen=True, slots=True)
class Identity:
    """Which person a Patient is, and what has to be written with it.

    `master` is the register's Patient to create or update (None: unchanged) and `master_version`
    the version it updates (0: it is new). `claims` and `statements` belong to the same transaction.
    """

    person: int
    patient: str
    rid: str
    state: State
    reason: str
    master: Resource | None = None
    master_version: int = 0
    claims: tuple[Claim, ...] = ()
    statements: tuple[Statement, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Holder:
    person: int
    patient: str
    rid: str
    version: int
    master: Resource


def known_identifiers(patient: Resource) -> list[Known]:
    """The identifiers that have a system and a value, each with its verdict."""
    found = []
    for identifier in patient.get("identifier", ()):
        system, value = identifier.get("system"), identifier.get("value")
        if not (isinstance(system, str) and isinstance(value, str)):
            continue
        verdict = check(system, value)
        kind = verdict.kind
        if kind == "other" and _issued_by_state(identifier):
            kind = "national"
        usable = kind in _NATIONAL and verdict.ok is not False
        if kind in ("rcis", "cpoj") and usable:
            usable = _agrees(births(system, value), patient)
        found.append(Known(canonical(system), value, kind, usable, identifier))
    return found


def _issued_by_state(identifier: Resource) -> bool:
    codings = identifier.get("type", {}).get("coding", ())
    codes = {c.get("code") for c in codings if str(c.get("system", "")).endswith("v2-0203")}
    return bool(codes & _NATIONAL_TYPES) or any(str(c).startswith("NN") for c in codes)


def _agrees(dates: frozenset[date], patient: Resource) -> bool:
    """Whether one of the dates that a number may say is the birth date, as far as that is said."""
    born = patient.get("birthDate")
    if not isinstance(born, str):
        return True
    # a birth date may be partial (a year, or a year and month): what is said has to agree
    return any(each.isoformat().startswith(born) for each in dates)


def names(patient: Resource) -> tuple[frozenset[str], frozenset[str]]:
    """All family names and all given names of a Patient, normalised."""
    families: set[str] = set()
    givens: set[str] = set()
    for name in patient.get("name", ()):
        if isinstance(name.get("family"), str):
            families.add(normalise(name["family"]))
        givens.update(normalise(g) for g in name.get("given", ()) if isinstance(g, str))
    return frozenset(families), frozenset(givens)


def demographics_agree(one: Resource, other: Resource) -> bool:
    """Whether two Patients can be one person: birth dates do not differ, and a name is shared.

    The family name may have changed (marriage), then a given name and the full birth date decide.
    """
    born, other_born = one.get("birthDate"), other.get("birthDate")
    if born and other_born:
        short, long = sorted((str(born), str(other_born)), key=len)
        if not long.startswith(short):
            return False
    family, given = names(one)
    other_family, other_given = names(other)
    if in_common(family, other_family):
        return not (given and other_given) or in_common(given, other_given)
    if not family or not other_family:
        return bool(born and other_born)
    return in_common(given, other_given) and bool(born and other_born)


def somebody_else(one: Resource, other: Resource) -> bool:
    """Whether two Patients share no name, past or present, and have different birth dates."""
    born, other_born = str(one.get("birthDate", "")), str(other.get("birthDate", ""))
    if not (born and other_born) or born.startswith(other_born) or other_born.startswith(born):
        return False
    mine, theirs = frozenset.union(*names(one)), frozenset.union(*names(other))
    return bool(mine and theirs) and not in_common(mine, theirs)


def number_of(patient: Mapping[str, Any]) -> str:
    """The register's own number (RID, DRID) that a Patient bears; "" for none that holds."""
    for each in patient.get("identifier", ()):
        value = each.get("value")
        if each.get("system") == RID and isinstance(value, str) and each.get("use") != "old":
            verdict = check(RID, value)
            if verdict.kind in ("rid", "drid") and verdict.ok is not False:
                return value
    return ""


def strong_key(identifier: Known) -> bytes:
    """The claim of one person upon an identifier issued by a state or an insurer."""
    return claim_key("person", identifier.system, identifier.value)


def strong_keys(patient: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The keys of all identifiers of a Patient that are good for a claim."""
    return tuple(strong_key(each) for each in known_identifiers(dict(patient)) if each.usable)


def weak_keys(patient: Resource, identifiers: Sequence[Known]) -> list[bytes]:
    """Claims of a temporary person: an identifier together with exactly these demographics."""
    families, givens = names(patient)
    who = "|".join((*sorted(families), "", *sorted(givens)))
    born = str(patient.get("birthDate", ""))
    return [claim_key("person-unsure", i.system, i.value, born, who) for i in identifiers]


def who_key(patient: Resource) -> bytes | None:
    """The claim of who was registered last by exactly these demographics; None when they say too
    little. Its holder changes, so it tells two who look at once from two of one name.
    """
    families, givens = names(patient)
    born = patient.get("birthDate")
    if not (families or givens) or not isinstance(born, str):
        return None
    mother = features_of(patient).mother
    order = str(patient.get("multipleBirthInteger", ""))
    gender = str(patient.get("gender", ""))
    return claim_key(
        "person-who", born, gender, mother, order, *sorted(families), "", *sorted(givens)
    )


class PatientRegister:
    """Resolves Patients against the register's claims; reads only, the caller writes."""

    def __init__(
        self,
        db: Database,
        *,
        next_person: Callable[[], Awaitable[int]],
        random: Random,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        index: PersonIndex | None = None,
    ) -> None:
        """`index` finds by comparison who is not found by identifiers (None = nobody is)."""
        self._db = db
        self._next_person = next_person
        self._random = random
        self._clock = clock
        self._new_id = new_id
        self._index = index

    async def resolve(self, patient: Resource) -> Identity:
        """The person that this Patient is. Two at once may both say `new`: one claim will fail,
        and asking again finds the other's person.
        """
        identifiers = known_identifiers(patient)
        strong = [i for i in identifiers if i.usable]
        holders = await self._holders([strong_key(i) for i in strong])
        if len(holders) == 1 and demographics_agree(patient, holders[0].master):
            return self._matched(holders[0], strong)
        if holders:
            code = "numbers" if len(holders) > 1 else "disagree"
            ranked = await self._ranked(patient, [each.person for each in holders])
            return await self._unsure(patient, identifiers, REASONS[code], ranked, code)
        weak = await self._holders(weak_keys(patient, identifiers))
        if weak:
            return _as_before(weak[0])
        who = await self._last(patient)
        found = Decision("new", ()) if self._index is None else await self._index.match(patient)
        if found.outcome == "match":
            holder = await self._holder_of(found.ranked[0][0])
            if holder is not None:
                made = self._matched(holder, strong, "compared with those who are registered")
                counted = identified("alike", self._clock(), found.ranked[0][1].weight)
                return replace(made, statements=(*made.statements, counted))
        if found.outcome == "new" and verified(patient, strong):
            return await self._new(patient, identifiers, strong, who)
        code = "unverified" if found.outcome == "new" else "possible"
        return await self._unsure(patient, identifiers, REASONS[code], found.ranked, code, who)

    async def _last(self, patient: Resource) -> tuple[bytes, str] | None:
        """The claim of these demographics, and who holds it before anything is looked for."""
        key = who_key(patient) if self._index is not None else None
        return None if key is None else (key, await claim_holder(self._db, key))

    async def _ranked(self, patient: Resource, persons: Sequence[int]) -> list[tuple[int, Score]]:
        if self._index is None:
            return []
        return await self._index.ranked(patient, persons)

    async def _holder_of(self, person: int) -> _Holder | None:
        """A person who was found by comparison, with the register's Patient."""
        row = await self._db.fetchrow(_MASTER, TYPE_NUMBER["Patient"], person)
        stored = await read(self._db, "Patient", row["id"]) if row is not None else None
        if row is None or stored is None or stored.deleted:
            return None
        return _Holder(person, row["id"], row["rid"], stored.version, parse(stored.body))

    async def holder(self, patient: Resource) -> tuple[Identity, Resource] | None:
        """The one person whom verified identifiers name, and their Patient; None for nobody, or
        for several. `Identity.state` is `unsure` when name or birth date differ. Nothing is new.
        """
        strong = [i for i in known_identifiers(patient) if i.usable]
        holders = await self._holders([strong_key(i) for i in strong])
        if len(holders) != 1:
            return None
        one = holders[0]
        state: State = "matched" if demographics_agree(patient, one.master) else "unsure"
        return Identity(one.person, one.patient, one.rid, state, "identifier known"), one.master

    def claims_of(self, patient: Resource, person: int, patient_id: str) -> tuple[Claim, ...]:
        """The claims of a Patient that is written as it is, without being resolved."""
        strong = [i for i in known_identifiers(patient) if i.usable]
        return tuple(Claim(strong_key(i), person, patient_id) for i in strong)

    async def _holders(self, keys: list[bytes]) -> list[_Holder]:
        """The persons who hold any of the keys, each once."""
        if not keys:
            return []
        rows = await self._db.fetch(
            "select distinct c.person, c.target, coalesce(p.rid, '') as rid from claim c"
            " left join person p on p.person = c.person where c.key = any($1::bytea[])",
            keys,
        )
        found = []
        for row in rows[:8]:
            stored = await read(self._db, "Patient", row["target"])
            if stored is not None and not stored.deleted:
                found.append(
                    _Holder(
                        row["person"], row["target"], row["rid"], stored.version, parse(stored.body)
                    )
                )
        return found

    def _matched(
        self, holder: _Holder, strong: list[Known], reason: str = "identifier known"
    ) -> Identity:
        held = {(i.get("system"), i.get("value")) for i in holder.master.get("identifier", ())}
        # A number of a system that we cannot check must not be written to somebody's record by
        # whoever knows their name and birth date: it would take the number from its true owner.
        added = [i for i in strong if (i.system, i.value) not in held and i.kind != "national"]
        if not added:
            return Identity(holder.person, holder.patient, holder.rid, "matched", reason)
        master = {
            **holder.master,
            "identifier": [
                *holder.master.get("identifier", ()),
                *({**i.identifier, "system": i.system} for i in added),
            ],
        }
        return Identity(
            holder.person,
            holder.patient,
            holder.rid,
            "matched",
            reason,
            master,
            holder.version,
            tuple(Claim(strong_key(i), holder.person, holder.patient) for i in added),
        )

    async def _new(
        self,
        patient: Resource,
        identifiers: list[Known],
        strong: list[Known],
        who: tuple[bytes, str] | None,
    ) -> Identity:
        given = next((i.value for i in strong if i.kind == "rid"), None)
        rid = given or new_rid(self._random)
        keys = [strong_key(i) for i in strong]
        if given is None:
            keys.append(claim_key("person", RID, rid))
        made = await self._register(patient, identifiers, rid, "new", "verified identifier", keys)
        return _claiming(made, who)

    async def _unsure(
        self,
        patient: Resource,
        identifiers: list[Known],
        reason: str,
        ranked: Sequence[tuple[int, Score]] = (),
        code: str = "",
        who: tuple[bytes, str] | None = None,
    ) -> Identity:
        keys = weak_keys(patient, identifiers)
        holders = await self._holders(keys)
        if holders:
            return _as_before(holders[0], reason)
        rid = new_drid(self._random)
        # an identifier of somebody else stays in the document; here it would find two persons
        others = await self._held([strong_key(i) for i in identifiers if i.usable])
        own = [i for i in identifiers if not (i.usable and strong_key(i) in others)]
        made = await self._register(
            patient, own, rid, "unsure", reason, [*keys, claim_key("person", RID, rid)]
        )
        made = _claiming(made, who)
        if not ranked:
            return made
        case = opening(made.person, ranked, code, "", self._clock())
        return replace(made, statements=(*made.statements, case))

    async def _held(self, keys: list[bytes]) -> frozenset[bytes]:
        """Those of the keys that somebody has claimed."""
        rows = await self._db.fetch("select key from claim where key = any($1::bytea[])", keys)
        return frozenset(row["key"] for row in rows)

    async def _register(
        self,
        patient: Resource,
        identifiers: list[Known],
        rid: str,
        state: State,
        reason: str,
        keys: list[bytes],
    ) -> Identity:
        person = await self._next_person()
        patient_id = self._new_id()
        return Identity(
            person,
            patient_id,
            rid,
            state,
            reason,
            master_of(patient, identifiers, rid),
            0,
            tuple(Claim(key, person, patient_id) for key in dict.fromkeys(keys)),
            (
                Statement(
                    "insert into person (person, rid, temporary, patient, created)"
                    " values ($1, $2, $3, $4, $5) on conflict (person) do nothing",
                    (person, rid, rid.startswith("D"), patient_id, self._clock()),
                ),
            ),
        )


def _as_before(holder: _Holder, reason: str = "") -> Identity:
    """Who was unsure before and comes again, perhaps found to be somebody since."""
    state: State = "unsure" if holder.rid.startswith("D") else "matched"
    reason = reason or REASONS["unverified"]
    return Identity(holder.person, holder.patient, holder.rid, state, reason)


def _claiming(made: Identity, who: tuple[bytes, str] | None) -> Identity:
    """A new person who was not there when we looked, which holds as long as nobody else came."""
    if who is None:
        return made
    key, holder = who
    claim = Claim(key, made.person, made.patient, instead=holder)
    return replace(made, claims=(*made.claims, claim))


def verified(patient: Resource, strong: Sequence[Known]) -> bool:
    """Whether a new person may be registered for good: a verified identifier, a name, a birth date.

    A temporary identifier from elsewhere (DRID) verifies nobody.
    """
    family, given = names(patient)
    certain = any(i.kind != "drid" for i in strong)
    return certain and bool(family or given) and isinstance(patient.get("birthDate"), str)


def master_of(patient: Resource, identifiers: Sequence[Known], rid: str) -> Resource:
    """The register's own Patient, from what was sent: the person's data, no references."""
    master: Resource = {"resourceType": "Patient"}
    for element in _COPIED:
        if element in patient:
            master[element] = patient[element]
    # a provider's own number would tell others where somebody is treated
    sent = [{**i.identifier, "system": i.system} for i in identifiers if i.kind != "other"]
    if not any(i.system == RID and i.value == rid for i in identifiers):
        sent.insert(0, {"use": "official", "system": RID, "value": rid})
    master["identifier"] = sent
    return master
