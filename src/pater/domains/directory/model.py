"""What a row of the register's files becomes: FHIR resources of nobody, their ids made of its keys.

The same row gives the same resources each time, so that an import writes only what changed. A
place with its provider, permit, services and departments follows IHE mCSD; a professional with
qualifications, memberships and employments likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from typing import Any, Final

from pater.fhir.search.text import normalise
from pater.registers.identifiers import ICO, PROFESSIONAL, PROVIDER, SID
from pater.registers.providers import systems

Json = dict[str, Any]
_LONGEST_SLUG: Final = 40
_LONGEST_KEY: Final = 14
_CHAMBERS: Final = {
    "clk": ("Česká lékařská komora", SID + "clk"),
    "clek": ("Česká lékárnická komora", SID + "clek"),
    "csk": ("Česká stomatologická komora", SID + "csk"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where something is, in words."""

    street: str = ""
    city: str = ""
    postal_code: str = ""
    district: str = ""
    region: str = ""
    ruian: str = ""

    def resource(self) -> Json:
        """The Address; {} when nothing is known."""
        where = f"{self.postal_code} {self.city}".strip()
        found: Json = {
            "text": ", ".join(filter(None, (self.street, where))),
            "line": [self.street] if self.street else [],
            "city": self.city,
            "district": self.district,
            "state": self.region,
            "postalCode": self.postal_code,
        }
        made = {name: value for name, value in found.items() if value}
        if not made:
            return {}
        if self.ruian:
            point = {"system": systems.RUIAN, "value": self.ruian}
            made["extension"] = [{"url": systems.ADDRESS_POINT, "valueIdentifier": point}]
        return {"use": "work", **made, "country": "CZ"}


@dataclass(frozen=True, slots=True)
class Place:
    """One row of the register of providers: a place where a provider offers services."""

    key: str
    ico: str
    name: str
    provider: str
    code: str = ""
    workplace: str = ""  # PCZ
    kind_code: str = ""
    kind: str = ""
    address: Address = field(default_factory=Address)
    seat: Address = field(default_factory=Address)
    lat: float | None = None
    lon: float | None = None
    since: date | None = None
    until: date | None = None
    fields: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    webs: tuple[str, ...] = ()
    data_box: str = ""
    hours: tuple[Json, ...] = ()
    permit: str = ""
    authority: str = ""
    equipment: tuple[str, ...] = ()
    departments: tuple[tuple[str, int], ...] = ()  # name, beds
    beds: int = 0
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Qualification:
    """Something that was learnt or proved; `kind` is basic, specialised or special."""

    kind: str
    name: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Professional:
    """One row of the register of professionals: a person with at most one employment."""

    krzp: str
    family: str
    given: str
    prefix: str = ""
    suffix: str = ""
    gender: str = ""
    born: date | None = None  # is kept beside the resource: it is nobody's business
    qualifications: tuple[Qualification, ...] = ()
    restrictions: tuple[str, ...] = ()
    chamber: str = ""
    chamber_number: str = ""
    profession_code: str = ""
    profession: str = ""
    specialty: str = ""
    ico: str = ""
    place: str = ""
    since: date | None = None
    until: date | None = None


def slug(text: str) -> str:
    """A text as part of an id: letters without accents, digits and dashes; never empty."""
    plain = "".join(c if c.isascii() and c.isalnum() else " " for c in normalise(text))
    made = "-".join(plain.split())
    if made and len(made) <= _LONGEST_SLUG:
        return made
    digest = blake2b(text.encode(), digest_size=5).hexdigest()
    return f"{made[: _LONGEST_SLUG - 11]}-{digest}" if made else digest


def _short(key: str) -> str:
    made = slug(key)
    return made if len(made) <= _LONGEST_KEY else blake2b(key.encode(), digest_size=6).hexdigest()


def provider_id(ico: str) -> str:
    """The id of a provider's Organization."""
    return f"pzs-{ico}"


def place_id(key: str) -> str:
    """The id of a place's Location."""
    return f"place-{slug(key)}"


def practitioner_id(krzp: str) -> str:
    """The id of a professional's Practitioner."""
    return f"krzp-{krzp}"


def places_resources(place: Place, today: date) -> list[Json]:
    """The resources of a place, the Location first; the same provider comes with each of its."""
    running = place.until is None or place.until >= today
    provider = {
        "reference": f"Organization/{provider_id(place.ico)}",
        "display": place.provider,
    }
    where = {"reference": f"Location/{place_id(place.key)}", "display": place.name}
    services = _services(place, provider, where, running)
    made = [
        _location(place, provider, running),
        _organization(place),
        *services,
        *_permit(place, provider, where, services, running),
        *_departments(place, provider, running),
    ]
    if place.endpoint:
        made.append(
            {
                "resourceType": "Endpoint",
                "id": f"endpoint-{place.ico}",
                "status": "active",
                "connectionType": {
                    "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                    "code": "hl7-fhir-rest",
                },
                "name": place.provider,
                "managingOrganization": provider,
                "payloadType": [{"text": "FHIR R4"}],
                "address": place.endpoint,
            }
        )
    return made


def _organization(place: Place) -> Json:
    made: Json = {
        "resourceType": "Organization",
        "id": provider_id(place.ico),
        "identifier": [
            {"system": PROVIDER, "value": place.ico},
            {"system": ICO, "value": place.ico},
        ],
        "active": True,
        "type": [_concept(systems.ORGANIZATION_TYPE, "prov", "Healthcare Provider")],
        "name": place.provider,
    }
    if place.data_box:
        made["identifier"].append({"system": systems.DATA_BOX, "value": place.data_box})
    telecom = _telecom(place)
    if telecom:
        made["telecom"] = telecom
    seat = place.seat.resource()
    if seat:
        made["address"] = [seat]
    if place.endpoint:
        made["endpoint"] = [{"reference": f"Endpoint/endpoint-{place.ico}"}]
    return made


def _location(place: Place, provider: Json, running: bool) -> Json:
    identifiers = [{"system": systems.PLACE_ID, "value": place.key}]
    for system, value in ((systems.PLACE_CODE, place.code), (systems.WORKPLACE, place.workplace)):
        if value:
            identifiers.append({"system": system, "value": value})
    made: Json = {
        "resourceType": "Location",
        "id": place_id(place.key),
        "identifier": identifiers,
        "status": "active" if running else "inactive",
        "name": place.name,
        "mode": "instance",
        "type": [_concept(systems.MCSD_TYPE, "facility", "Facility")],
        "telecom": _telecom(place),
        "address": place.address.resource(),
        "managingOrganization": provider,
    }
    if place.kind or place.kind_code:
        coding = {"system": systems.DRZAR, "code": place.kind_code, "display": place.kind}
        kind: Json = {"text": place.kind} if place.kind else {}
        if place.kind_code:
            kind["coding"] = [{name: value for name, value in coding.items() if value}]
        made["type"].append(kind)
    if place.lat is not None and place.lon is not None:
        made["position"] = {"longitude": place.lon, "latitude": place.lat}
    if place.hours:
        made["hoursOfOperation"] = [
            {
                {"availableStartTime": "openingTime", "availableEndTime": "closingTime"}.get(
                    name, name
                ): value
                for name, value in each.items()
            }
            for each in place.hours
        ]
    more = [{"url": systems.EQUIPMENT, "valueString": each} for each in place.equipment]
    if place.beds:
        more.append({"url": systems.BEDS, "valueInteger": place.beds})  # type: ignore[dict-item]
    if more:
        made["extension"] = more
    return {name: value for name, value in made.items() if value}


def _services(place: Place, provider: Json, where: Json, running: bool) -> list[Json]:
    forms = [_concept(systems.FORM, slug(each), each) for each in place.forms]
    kinds = [_concept(systems.KIND, slug(each), each) for each in place.kinds]
    names = place.fields or ((place.kind or place.name),)
    made = []
    for name in dict.fromkeys(names):
        concept = _concept(systems.FIELD, slug(name), name)
        service: Json = {
            "resourceType": "HealthcareService",
            "id": f"service-{_short(place.key)}-{slug(name)}",
            "active": running,
            "providedBy": provider,
            "category": forms,
            "type": [concept],
            "specialty": [concept] if place.fields else [],
            "location": [where],
            "name": name,
            "characteristic": kinds,
            "availableTime": list(place.hours),
        }
        made.append({k: v for k, v in service.items() if v or k == "active"})
    return made


def _permit(
    place: Place, provider: Json, where: Json, services: Sequence[Json], running: bool
) -> list[Json]:
    """The permit of a place, and who gave it; nothing when the file says nothing of it."""
    if not (place.permit or place.since or place.authority):
        return []
    made: Json = {
        "resourceType": "OrganizationAffiliation",
        "id": f"permit-{slug(place.key)}",
        "active": running,
        "participatingOrganization": provider,
        "code": [_concept(systems.AFFILIATION, "permit", "Oprávnění k poskytování služeb")],
        "location": [where],
        "healthcareService": [
            {"reference": f"HealthcareService/{each['id']}", "display": each["name"]}
            for each in services
        ],
    }
    if place.permit:
        made["identifier"] = [{"system": systems.PERMIT, "value": place.permit}]
    period = _period(place.since, place.until)
    if period:
        made["period"] = period
    if not place.authority:
        return [made]
    authority = f"authority-{slug(place.authority)}"
    made["organization"] = {
        "reference": f"Organization/{authority}",
        "display": place.authority,
    }
    office = _body(authority, "govt", "Government", place.authority)
    return [made, office]


def _departments(place: Place, provider: Json, running: bool) -> list[Json]:
    found = []
    for name, beds in place.departments:
        made: Json = {
            "resourceType": "Organization",
            "id": f"dept-{_short(place.key)}-{slug(name)}",
            "active": running,
            "type": [_concept(systems.ORGANIZATION_TYPE, "dept", "Hospital Department")],
            "name": name,
            "partOf": provider,
        }
        if beds:
            made["extension"] = [{"url": systems.BEDS, "valueInteger": beds}]
        found.append(made)
    return found


def professionals_resources(person: Professional, today: date) -> list[Json]:
    """The resources of a professional's row, the PractitionerRole first where there is one."""
    who = {
        "reference": f"Practitioner/{practitioner_id(person.krzp)}",
        "display": " ".join(filter(None, (person.prefix, person.given, person.family))),
    }
    made = [*_employment(person, who, today), _practitioner(person)]
    if person.chamber:
        key = person.chamber.lower()
        title, _ = _CHAMBERS.get(key, (person.chamber, ""))
        chamber = f"chamber-{slug(key)}"
        made.append(_body(chamber, "other", "Other", title))
        made.append(
            {
                "resourceType": "PractitionerRole",
                "id": f"member-{person.krzp}-{slug(key)}",
                "active": True,
                "practitioner": who,
                "organization": {"reference": f"Organization/{chamber}", "display": title},
                "code": [_concept(systems.ROLE, "member", "Člen komory")],
            }
        )
    return made


def _practitioner(person: Professional) -> Json:
    identifiers = [{"system": PROFESSIONAL, "value": person.krzp}]
    if person.chamber and person.chamber_number:
        system = (
            _CHAMBERS.get(person.chamber.lower(), ("", ""))[1] or f"{SID}{slug(person.chamber)}"
        )
        identifiers.append({"system": system, "value": person.chamber_number})
    name: Json = {"use": "official", "family": person.family, "given": person.given.split()}
    if person.prefix:
        name["prefix"] = [person.prefix]
    if person.suffix:
        name["suffix"] = [person.suffix]
    made: Json = {
        "resourceType": "Practitioner",
        "id": practitioner_id(person.krzp),
        "identifier": identifiers,
        "active": True,
        "name": [name],
    }
    if person.gender:
        made["gender"] = person.gender
    if person.qualifications:
        made["qualification"] = [_qualified(each) for each in person.qualifications]
    if person.restrictions:
        made["extension"] = [
            {"url": systems.RESTRICTION, "valueString": each} for each in person.restrictions
        ]
    return made


def _qualified(one: Qualification) -> Json:
    made: Json = {
        "code": {
            "coding": [
                {"system": "urn:pater:qualification", "code": one.kind},
                {"system": systems.FIELD, "code": slug(one.name), "display": one.name},
            ],
            "text": one.name,
        }
    }
    if one.since:
        made["period"] = {"start": one.since}
    return made


def _employment(person: Professional, who: Json, today: date) -> list[Json]:
    if not person.ico:
        return []
    key = "|".join((person.place, person.profession_code, person.profession, person.specialty,
                    person.since.isoformat() if person.since else ""))  # fmt: skip
    digest = blake2b(key.encode(), digest_size=5).hexdigest()
    begun = person.since is None or person.since <= today
    made: Json = {
        "resourceType": "PractitionerRole",
        "id": f"role-{person.krzp}-{person.ico}-{digest}",
        "active": begun and (person.until is None or person.until >= today),
        "practitioner": who,
        "organization": {"reference": f"Organization/{provider_id(person.ico)}"},
        "code": [
            _concept(
                systems.PROFESSION,
                person.profession_code or slug(person.profession or "zdravotnicky pracovnik"),
                person.profession,
            )
        ],
    }
    period = _period(person.since, person.until)
    if period:
        made["period"] = period
    if person.specialty:
        made["specialty"] = [_concept(systems.FIELD, slug(person.specialty), person.specialty)]
    if person.place:
        made["location"] = [{"reference": f"Location/{place_id(person.place)}"}]
    return [made]


def ended(resource: Json, day: date) -> Json:
    """The resource as one that is over since a day; what had ended before keeps its end."""
    made = dict(resource)
    kind = made["resourceType"]
    if kind == "Location":
        made["status"] = "inactive"
    elif kind == "Endpoint":
        made["status"] = "off"
    else:
        made["active"] = False
    if kind in ("PractitionerRole", "OrganizationAffiliation", "Endpoint"):
        period = dict(made.get("period") or {})
        if str(period.get("end", "9999")) > day.isoformat():
            period["end"] = max(day.isoformat(), str(period.get("start", ""))[:10])
        made["period"] = period
    return made


def _body(id: str, code: str, display: str, name: str) -> Json:
    """An organisation that is no provider: an authority, a chamber."""
    return {
        "resourceType": "Organization",
        "id": id,
        "active": True,
        "type": [_concept(systems.ORGANIZATION_TYPE, code, display)],
        "name": name,
    }


def _telecom(place: Place) -> list[Json]:
    return [
        {"system": system, "value": value, "use": "work"}
        for system, values in (("phone", place.phones), ("email", place.emails),
                               ("url", place.webs))
        for value in values
    ]  # fmt: skip


def _concept(system: str, code: str, display: str) -> Json:
    coding = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return {"coding": [coding], **({"text": display} if display else {})}


def _period(since: date | None, until: date | None) -> Json:
    return {
        **({"start": since.isoformat()} if since else {}),
        **({"end": until.isoformat()} if until else {}),
    }
