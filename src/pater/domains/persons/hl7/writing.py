"""A FHIR R4 Patient as PID tells of one, for answers. Pure; numbers are written by `numbers`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pater.domains.persons.hl7 import terms
from pater.domains.persons.hl7.codec import Written

Resource = dict[str, Any]
Fields = dict[int, Written | list[Written]]

_PARTS: Final = re.compile(r"(?:\+(\d{1,3}) )?(\d{1,4}) (\d{4,})")
_MOST: Final = 20


def pid(patient: Resource) -> Fields:
    """The fields of PID that say who somebody is, but for numbers."""
    made: Fields = {
        5: [name(each) for each in _present(patient, "name")],
        7: str(patient.get("birthDate", "")).replace("-", ""),
        8: terms.SEX_CODES.get(str(patient.get("gender", "")), ""),
        11: [address(each) for each in _present(patient, "address")],
        13: [telecom(e) for e in _present(patient, "telecom") if e.get("use") != "work"],
        14: [telecom(e) for e in _present(patient, "telecom") if e.get("use") == "work"],
    }
    mother = mothers_name(patient)
    if mother:
        made[6] = [name(mother)]
    for each in (patient.get("communication") or ())[:1]:
        made[15] = _code(each.get("language"), terms.LANGUAGES).upper()
    made[16] = terms.MARITAL_BACK.get(_code(patient.get("maritalStatus"), terms.MARITAL), "")
    order, several = patient.get("multipleBirthInteger"), patient.get("multipleBirthBoolean")
    if isinstance(order, int):
        made[24], made[25] = "Y", str(order)
    elif isinstance(several, bool):
        made[24] = "Y" if several else "N"
    died = patient.get("deceasedDateTime")
    if isinstance(died, str):
        made[29], made[30] = _moment(died), "Y"
    elif isinstance(patient.get("deceasedBoolean"), bool):
        made[30] = "Y" if patient["deceasedBoolean"] else "N"
    return {field: value for field, value in made.items() if value}


def mothers_name(patient: Resource) -> Resource:
    """The name of the mother as the Patient says it, {} when it does not."""
    for each in patient.get("contact") or ():
        roles = [_code(role, terms.RELATIONSHIPS) for role in each.get("relationship") or ()]
        if terms.MOTHER_ROLE in roles and isinstance(each.get("name"), dict):
            return dict(each["name"])
    return {}


def name(human: Resource) -> Written:
    """HumanName as XPN."""
    given = [str(each) for each in human.get("given") or ()]
    prefix, suffix = " ".join(human.get("prefix") or ()), human.get("suffix") or []
    start, end = _bounds(human)
    return (
        str(human.get("family", "")),
        given[0] if given else "",
        " ".join(given[1:]),
        str(suffix[0]) if suffix else "",
        prefix,
        " ".join(map(str, suffix[1:])),
        terms.NAME_TYPES.get(str(human.get("use", "")), ""),
        "", "", "", "", start, end,
    )  # fmt: skip


def address(place: Resource) -> Written:
    """Address as XAD."""
    lines = [str(each) for each in place.get("line") or ()]
    postal = "M" if place.get("type") == "postal" and not place.get("use") else ""
    start, end = _bounds(place)
    return (
        lines[0] if lines else "",
        ", ".join(lines[1:]),
        str(place.get("city", "")),
        str(place.get("state", "")),
        str(place.get("postalCode", "")),
        str(place.get("country", "")),
        postal or terms.ADDRESS_TYPES.get(str(place.get("use", "")), ""),
        "",
        str(place.get("district", "")),
        "", "", "", start, end,
    )  # fmt: skip


def telecom(point: Resource) -> Written:
    """ContactPoint as XTN."""
    value, system = str(point.get("value", "")), str(point.get("system", ""))
    if system == "email":
        return ("", "NET", "Internet", value)
    use = terms.TELECOM_CODES.get(str(point.get("use", "")), "")
    kind = {"fax": "FX", "pager": "BP"}.get(system, "CP" if use == "PRS" else "PH")
    split = _PARTS.fullmatch(value)
    if split:
        return ("", use, kind, "", split[1] or "", split[2], split[3])
    return (value, use, kind)


def _present(patient: Resource, element: str) -> Sequence[Resource]:
    """What holds now; what is former is not told."""
    listed: Sequence[Resource] = patient.get(element) or ()
    return [
        each for each in listed
        if each.get("use") != "old" and not (each.get("period") or {}).get("end")
    ][:_MOST]  # fmt: skip


def _bounds(value: Resource) -> tuple[str, str]:
    period = value.get("period") or {}
    start, end = (str(period.get(each, ""))[:10].replace("-", "") for each in ("start", "end"))
    return start, end


def _code(concept: Any, system: str) -> str:
    codings = (concept or {}).get("coding") or ()
    return next((str(c.get("code", "")) for c in codings if c.get("system") == system), "")


def _moment(text: str) -> str:
    date, _, time = text.partition("T")
    found = re.match(r"(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})", time)
    made = date.replace("-", "")
    if found is None:
        return made
    zone = "+0000" if found[4] == "Z" else found[4].replace(":", "")
    return f"{made}{found[1]}{found[2]}{found[3]}{zone}"
