"""What the register takes of a Patient that somebody tells it, and what it refuses with a reason.

Pure. Nearly everything may be missing: a newborn has no given name, an unknown person no name at
all. What is said has to be possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from pater.fhir.issues import Issue, has_errors
from pater.fhir.search.dates import date_span
from pater.fhir.validation.base import validate_base
from pater.records.errors import Unprocessable
from pater.registers.identifiers import births, canonical, check, tidy

Resource = dict[str, Any]

TAKEN: Final = (
    "extension",
    "identifier",
    "name",
    "telecom",
    "gender",
    "birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "address",
    "maritalStatus",
    "multipleBirthBoolean",
    "multipleBirthInteger",
    "contact",
    "communication",
    "generalPractitioner",
)
"""Elements of a Patient that are the person's; links, photos and texts stay with who sent them."""
MOST: Final = 40
"""Names, identifiers, addresses and so on that one source may say, each."""
_LISTS: Final = (
    "identifier", "name", "telecom", "address", "contact", "communication",
    "generalPractitioner", "extension",
)  # fmt: skip
_EARLIEST: Final = 1850


def accepted(
    patient: Mapping[str, Any], now: datetime, *, strict: bool = True
) -> tuple[Resource, tuple[Issue, ...]]:
    """The Patient as it is kept, and remarks. Raises Unprocessable with all that is wrong.

    With `strict` a wrong check digit is an error, else a remark: the number is kept with the source
    and names nobody.
    """
    whole = dict(patient)
    wrong = [each for each in validate_base(whole) if each.severity in ("error", "fatal")]
    if whole.get("resourceType") != "Patient":
        wrong.append(Issue("error", "structure", "resourceType", "this is no Patient"))
    if wrong:
        raise Unprocessable(wrong)
    issues = [
        Issue("error", "too-long", f"Patient.{each}", f"a source says at most {MOST} of these")
        for each in _LISTS
        if len(whole.get(each) or ()) > MOST
    ]
    made: Resource = {"resourceType": "Patient"}
    for element in TAKEN:
        for key in (element, f"_{element}"):
            if key in whole:
                made[key] = _apart(whole[key])
    made = {key: value for key, value in made.items() if value not in ([], {}, None)}
    made["identifier"] = [_tidied(each) for each in made.get("identifier", ())]
    if not made["identifier"]:
        del made["identifier"]
    # it may be tomorrow already where the sender is
    issues += _dates(made, now.date() + timedelta(days=1))
    issues += _numbers(made, strict=strict)
    if has_errors(issues):
        raise Unprocessable(issues)
    return made, tuple(issues)


def usable(patient: Mapping[str, Any], now: datetime) -> tuple[Resource, tuple[Issue, ...]]:
    """A Patient that somebody is looked for by, without what cannot be anybody's, and remarks.

    The Patient is valid FHIR. Wrong check digits and impossible dates name nobody.
    """
    whole = dict(patient)
    whole["identifier"] = [_tidied(each) for each in whole.get("identifier", ())]
    remarks = [*_dates(whole, now.date() + timedelta(days=1)), *_numbers(whole, strict=True)]
    gone = {each.path for each in remarks if each.severity == "error"}
    whole["identifier"] = [
        each
        for place, each in enumerate(whole["identifier"])
        if f"Patient.identifier[{place}].value" not in gone
    ]
    for element in ("birthDate", "deceasedDateTime"):
        if f"Patient.{element}" in gone:
            whole.pop(element, None)
    if not whole["identifier"]:
        del whole["identifier"]
    return whole, tuple(remarks)


def born_in_vain(said: str, now: datetime) -> str:
    """What is wrong with a birth date that nobody alive or registered can have; "" = nothing."""
    try:
        found = list(_dates({"birthDate": said}, now.date() + timedelta(days=1)))
    except ValueError:
        return ""  # no date at all, which others say
    return found[0].text if found else ""


def _apart(value: Any) -> Any:
    """A value without references to resources of the sender, which mean something else here."""
    if isinstance(value, list):
        kept = [_apart(each) for each in value]
        return [each for each, before in zip(kept, value, strict=True) if each or not before]
    if not isinstance(value, dict):
        return value
    made = {
        key: _apart(each)
        for key, each in value.items()
        if not (key == "reference" and isinstance(each, str))
    }
    made = {key: each for key, each in made.items() if each or each in (0, False)}
    # an extension that said nothing but a reference says nothing any more
    return {} if set(made) == {"url"} and set(value) != {"url"} else made


def _tidied(identifier: Resource) -> Resource:
    system, value = identifier.get("system"), identifier.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        return identifier
    return {**identifier, "system": canonical(system), "value": tidy(system, value)}


def _numbers(patient: Resource, *, strict: bool) -> Iterator[Issue]:
    """Numbers that break their rule, or say another birth date than the Patient."""
    born = patient.get("birthDate")
    for place, identifier in enumerate(patient.get("identifier", ())):
        system, value = identifier.get("system", ""), identifier.get("value", "")
        path = f"Patient.identifier[{place}].value"
        verdict = check(system, value)
        if verdict.ok is False:
            severity: Any = "error" if strict else "warning"
            yield Issue(severity, "value", path, verdict.problem)
            continue
        dates = births(system, value)
        if dates and born and not any(each.isoformat().startswith(born) for each in dates):
            text = "the number says another birth date, so it does not tell who this is"
            yield Issue("warning", "business-rule", path, text)


def _dates(patient: Resource, today: date) -> Iterator[Issue]:
    born = patient.get("birthDate")
    first = None
    if isinstance(born, str):
        first = date_span(born)[0].date()
        if first > today:
            yield Issue("error", "business-rule", "Patient.birthDate", "it is in the future")
        elif first.year < _EARLIEST:
            text = f"nobody who was born before {_EARLIEST} is registered"
            yield Issue("error", "business-rule", "Patient.birthDate", text)
    died = patient.get("deceasedDateTime")
    if isinstance(died, str):
        begin, end = (each.date() for each in date_span(died))
        if begin > today:
            yield Issue("error", "business-rule", "Patient.deceasedDateTime", "it is in the future")
        elif first is not None and end < first:
            text = "nobody dies before they are born"
            yield Issue("error", "business-rule", "Patient.deceasedDateTime", text)
