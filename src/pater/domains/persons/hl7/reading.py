"""A person as HL7 v2 tells of one (PID, PD1, NK1) made a FHIR R4 Patient. Pure.

Numbers are read by `numbers`, because what they are stands in the database. An empty field says
nothing, so what was said before stays; `""` says that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pater.domains.persons.hl7 import terms
from pater.domains.persons.hl7.codec import Location, Message, Segment, Value, part
from pater.domains.persons.hl7.numbers import Fault

Resource = dict[str, Any]

_MOMENT: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(\d{2})(?:(\d{2})(?:\.\d{1,4})?)?)?)?)?([+-]\d{4})?"
)
MOTHERS_FIELD: Final = 6
_SAYS: Final = {
    5: ("name",), 7: ("birthDate",), 8: ("gender",), 11: ("address",), 13: ("telecom",),
    14: ("telecom",), 15: ("communication",), 16: ("maritalStatus",),
    24: ("multipleBirthBoolean", "multipleBirthInteger"),
    25: ("multipleBirthBoolean", "multipleBirthInteger"),
    29: ("deceasedDateTime", "deceasedBoolean"), 30: ("deceasedDateTime", "deceasedBoolean"),
}  # fmt: skip
"""Fields of PID and the elements of a Patient that they say."""
_PLACES: Final = {
    "identifier": 3, "name": 5, "birthDate": 7, "gender": 8, "address": 11, "telecom": 13,
    "communication": 15, "maritalStatus": 16, "multipleBirthBoolean": 24,
    "multipleBirthInteger": 25, "deceasedDateTime": 29, "deceasedBoolean": 30,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says of a person without numbers, what it says there is none of, and remarks
    and errors."""

    patient: Resource
    nulled: frozenset[str]
    faults: tuple[Fault, ...]


def told(message: Message, pid: Segment) -> Told:
    """Reads PID, PD1 and NK1 of a message about one person."""
    faults: list[Fault] = []
    made: Resource = {"resourceType": "Patient"}
    made["name"] = [n for v in pid.values(5) if (n := name(v))]
    born = pid.text(7)
    if born:
        day = _date(born)
        if day:
            made["birthDate"] = day
        else:
            faults.append(Fault(102, "this is no date: YYYY[MM[DD]]", ("PID", 1, 7, 1, 0)))
    sex = pid.text(8).upper()
    if sex in terms.SEXES:
        made["gender"] = terms.SEXES[sex]
    elif sex:
        faults.append(Fault(103, "it is a code of table 0001", ("PID", 1, 8, 1, 0)))
    made["address"] = [a for v in pid.values(11) if (a := address(v))]
    made["telecom"] = [
        t for field, use in ((13, "home"), (14, "work")) for v in pid.values(field)
        for t in telecoms(v, use)
    ]  # fmt: skip
    made["communication"] = [
        {"language": {"coding": [{"system": terms.LANGUAGES, "code": code}]}}
        for code in [pid.text(15).lower()] if re.fullmatch(r"[a-z]{2,3}", code)
    ]  # fmt: skip
    status = terms.MARITAL_CODES.get(pid.text(16).upper())
    if status:
        made["maritalStatus"] = {"coding": [{"system": terms.MARITAL, "code": status}]}
    faults += _birth(pid, made)
    faults += _death(pid, made)
    made["contact"] = list(_contacts(message, pid))
    made["generalPractitioner"] = list(_physicians(message))
    nulled = {each for field, says in _SAYS.items() if pid.null(field) for each in says}
    made = {key: value for key, value in made.items() if value not in ([], "", None)}
    return Told(made, frozenset(nulled), tuple(faults))


def with_before(
    now: Told, identifiers: Sequence[Resource], before: Resource, today: date
) -> Resource:
    """What a source says of a person once a message has come: what it does not speak of stays,
    and names and addresses that it takes away have ended.
    """
    made = dict(now.patient)
    spoken = set(now.patient) | now.nulled
    for group in set(_SAYS.values()):
        if spoken.intersection(group):
            spoken.update(group)
    if "generalPractitioner" not in spoken and "generalPractitioner" in before:
        made["generalPractitioner"] = before["generalPractitioner"]
    for key, value in before.items():
        if key not in spoken and key not in ("identifier", "extension"):
            made.setdefault(key, value)
    for key in ("name", "address"):
        if key in now.nulled and before.get(key):
            made[key] = [ended(each, today) for each in before[key]]
    listed = {(i.get("system"), i.get("value")): i for i in before.get("identifier", ())}
    fresh = {i["system"] for i in identifiers}
    # of a system in which the message names a number, the message's is the one
    kept = [i for (system, _), i in listed.items() if system not in fresh]
    numbers = [*identifiers, *kept]
    if numbers:
        made["identifier"] = numbers
    if "extension" in before and "extension" not in made:
        made["extension"] = before["extension"]
    return made


def ended(item: Resource, today: date) -> Resource:
    """A name, address or contact that its source takes away."""
    period = {"end": today.isoformat(), **(item.get("period") or {})}
    return {**item, "use": "old", "period": period}


def place_of(path: str) -> Location:
    """Where in a message stands what a FHIRPath of a Patient names."""
    found = re.match(r"Patient\.([A-Za-z]+)(?:\[(\d+)\])?", path)
    if found is None:
        return ("PID", 1, 0, 0, 0)
    element, place = found[1], int(found[2] or 0)
    if element == "contact":
        return ("NK1", place + 1, 0, 0, 0)
    return ("PID", 1, _PLACES.get(element, 0), place + 1 if element in _PLACES else 0, 0)


def name(value: Value) -> Resource:
    """XPN as HumanName."""
    made: Resource = {}
    use = terms.NAME_USES.get(part(value, 7).upper())
    if use:
        made["use"] = use
    family = part(value, 1)
    if family:
        made["family"] = family
    given = [part(value, 2), *part(value, 3).split()]
    made["given"] = [each for each in given if each]
    suffixes = [part(value, 4), part(value, 6)]
    made["prefix"] = [each for each in [part(value, 5)] if each]
    made["suffix"] = [each for each in suffixes if each]
    made["period"] = _period(part(value, 12), part(value, 13)) or _period(
        part(value, 10, 1), part(value, 10, 2)
    )
    made = {key: each for key, each in made.items() if each}
    return made if made.keys() & {"family", "given"} else {}


def address(value: Value) -> Resource:
    """XAD as Address; {} for a place that is not where the person is."""
    kind = part(value, 7).upper()
    if kind in terms.NO_ADDRESS:
        return {}
    made: Resource = {}
    use, type_ = terms.ADDRESS_USES.get(kind, ("", ""))
    street = part(value, 1, 1) or " ".join(
        each for each in (part(value, 1, 2), part(value, 1, 3)) if each
    )
    made["use"], made["type"] = use, type_
    made["line"] = [each for each in (street, part(value, 2)) if each]
    made["city"], made["state"] = part(value, 3), part(value, 4)
    made["postalCode"], made["country"] = part(value, 5), part(value, 6)
    made["district"] = part(value, 9)
    made["period"] = _period(part(value, 13), part(value, 14)) or _period(
        part(value, 12, 1), part(value, 12, 2)
    )
    made = {key: each for key, each in made.items() if each}
    return made if made.keys() & {"line", "city", "postalCode", "district", "state"} else {}


def telecoms(value: Value, field: str) -> Iterator[Resource]:
    """XTN as ContactPoints: a mail address and a number may stand in one."""
    code, equipment = part(value, 2).upper(), part(value, 3).upper()
    use = terms.TELECOM_USES.get(code, "" if code else field)
    mail = part(value, 4)
    if not mail and (code == "NET" or equipment in ("INTERNET", "X.400")):
        mail = part(value, 1)
        if mail:
            yield {"system": "email", "value": mail, **({"use": field} if field else {})}
            return
    if mail:
        yield {"system": "email", "value": mail, "use": field}
    country, area, local, extension = (part(value, each) for each in (5, 6, 7, 8))
    text = part(value, 12) or part(value, 1)
    if local:
        pieces = [f"+{country.lstrip('+')}" if country else "", area, local]
        text = " ".join(each for each in pieces if each)
        text += f" ext. {extension}" if extension else ""
    if text:
        use = "mobile" if equipment == "CP" else use
        made = {"system": terms.EQUIPMENT.get(equipment, "phone"), "value": text}
        yield {**made, **({"use": use} if use else {})}


def _birth(pid: Segment, made: Resource) -> Iterator[Fault]:
    several, order = pid.text(24).upper(), pid.text(25)
    if re.fullmatch(r"[1-9]\d?", order):
        made["multipleBirthInteger"] = int(order)
    elif order:
        yield Fault(102, "the order of birth is a number", ("PID", 1, 25, 1, 0), "W")
    if "multipleBirthInteger" not in made and several in ("Y", "N"):
        made["multipleBirthBoolean"] = several == "Y"
    if several not in ("", "Y", "N"):
        yield Fault(103, "it is Y or N", ("PID", 1, 24, 1, 0), "W")


def _death(pid: Segment, made: Resource) -> Iterator[Fault]:
    when, dead = pid.text(29), pid.text(30).upper()
    if when:
        moment = _moment(when)
        if moment:
            made["deceasedDateTime"] = moment
        else:
            yield Fault(102, "this is no time", ("PID", 1, 29, 1, 0))
    elif dead in ("Y", "N"):
        made["deceasedBoolean"] = dead == "Y"
    elif dead:
        yield Fault(103, "it is Y or N", ("PID", 1, 30, 1, 0))


def _contacts(message: Message, pid: Segment) -> Iterator[Resource]:
    for value in pid.values(MOTHERS_FIELD)[:1]:
        mother = name(value)
        if mother:
            yield {"relationship": [related(terms.MOTHER_ROLE)], "name": mother}
    for nk1 in message.all("NK1"):
        made: Resource = {}
        role = terms.RELATED.get(nk1.text(3).upper())
        if role:
            made["relationship"] = [related(role)]
        names = [found for value in nk1.values(2) if (found := name(value))]
        places = [found for value in nk1.values(4) if (found := address(value))]
        numbers = [
            found for field, use in ((5, "home"), (6, "work")) for value in nk1.values(field)
            for found in telecoms(value, use)
        ]  # fmt: skip
        if names:
            made["name"] = names[0]
        if places:
            made["address"] = places[0]
        if numbers:
            made["telecom"] = numbers
        if made.keys() & {"name", "address", "telecom"}:
            yield made


def _physicians(message: Message) -> Iterator[Resource]:
    """PD1-4 by name only: whom a patient is registered with, the physician says."""
    pd1 = message.first("PD1")
    for value in pd1.values(4) if pd1 is not None else ():
        words = [part(value, each) for each in (6, 3, 2, 7)]
        text = " ".join(each for each in words if each)
        if text:
            yield {"display": text[:200]}


def related(role: str) -> Resource:
    """The relationship of a contact."""
    return {"coding": [{"system": terms.RELATIONSHIPS, "code": role}]}


def _date(text: str) -> str:
    """The date of a TS or DT as FHIR has it, "" for none."""
    found = _MOMENT.fullmatch(text)
    return "" if found is None else "-".join(each for each in found.groups()[:3] if each)


def _moment(text: str) -> str:
    """A TS as FHIR's dateTime: with its time where the zone is said, else its date."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return ""
    _, _, day, hour, minute, second, zone = found.groups()
    whole = _date(text)
    if not (day and hour and zone):
        return whole
    return f"{whole}T{hour}:{minute}:{second or '00'}{zone[:3]}:{zone[3:]}"


def _period(start: str, end: str) -> Resource:
    made = {"start": _date(start[:8]), "end": _date(end[:8])}
    return {key: each for key, each in made.items() if each}
