"""Numbers of persons as HL7 v2 writes them (CX) and the systems in which they are.

CX-4 names who assigns: by a short name (the name of a NamingSystem), an OID or a URI. What is left
out of it is filled in from the NamingSystem.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pater.domains.persons.authorities import Authorities, Authority
from pater.domains.persons.hl7 import tables
from pater.domains.persons.hl7.codec import Location, Value, Written, part
from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER, RID, tidy

Resource = dict[str, Any]

NATIONAL: Final = {"RID": RID, "RC": BIRTH_NUMBER, "CPOJ": INSURED_NUMBER}
"""Names of the systems that need no NamingSystem."""
_NAMES: Final = {system: name for name, system in NATIONAL.items()}
_TYPES: Final = {"rid": "NI", "rcis": "NNCZE", "cpoj": "HC", "passport": "PPN"}
MOST: Final = 40
"""Numbers of one field."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a known system, and where in the message it stands (None: nowhere)."""

    authority: Authority
    value: str
    where: Location = ("", 0, 0, 0, 0)

    @property
    def identifier(self) -> Resource:
        """As FHIR has it."""
        made: Resource = {"system": self.authority.system, "value": self.value}
        if self.authority.national and self.authority.type.isupper():
            made["type"] = {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                        "code": self.authority.type,
                    }
                ]
            }
        return made


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a message: a code of table 0357, a text, where; a warning or an error."""

    code: int
    text: str
    where: Location
    severity: str = "E"


@dataclass(frozen=True, slots=True)
class Named:
    """How a CX says who assigns: HD-1, HD-2, HD-3."""

    name: str
    id: str
    kind: str

    @classmethod
    def of(cls, value: Value, component: int = 4) -> Named:
        """The assigning authority of a CX."""
        return cls(*(part(value, component, sub) for sub in (1, 2, 3)))

    def __bool__(self) -> bool:
        return bool(self.name or self.id)

    @property
    def system(self) -> str:
        """The system that HD-2 names, "" for none."""
        if not self.id:
            return ""
        uri = ":" in self.id or self.kind.upper() in ("URI", "URL")
        return self.id if uri else f"urn:oid:{self.id}"

    def said(self) -> str:
        """For people."""
        return (self.id or self.name)[:100]


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems of numbers of one database."""

    db: tables.Database
    authorities: Authorities

    async def of(self, asked: Collection[Named]) -> dict[Named, Authority]:
        """Those of the authorities that are known; one whose parts contradict each other is not."""
        few = list(dict.fromkeys(each for each in asked if each))[:MOST]
        ids = await self.authorities.of([each.system for each in few if each.system])
        names: dict[str, set[Authority]] = {}
        wanted = {each.name for each in few if each.name}
        for row in await tables.named(self.db, wanted - NATIONAL.keys()):
            authority = Authority(row.canonical, row.assigner, row.type, row.name)
            names.setdefault(row.name, set()).add(authority)
        fixed = wanted & NATIONAL.keys()
        national = await self.authorities.of([NATIONAL[name] for name in fixed])
        for name in fixed:
            names[name] = {national[NATIONAL[name]]}
        found = {}
        for each in few:
            by_id = ids.get(each.system) if each.system else None
            by_name = names.get(each.name, set())
            one = by_id or (next(iter(by_name)) if len(by_name) == 1 else None)
            contradicts = bool(by_name) and one not in by_name
            if one is not None and not contradicts and (not each.system or by_id is not None):
                found[each] = one
        return found

    async def written(self, numbers: Iterable[Resource]) -> list[Written]:
        """FHIR identifiers as CX, each with all that is known of its system."""
        listed = list(numbers)
        systems = {str(each.get("system", "")) for each in listed}
        rows = await tables.of_canonical(self.db, systems - _NAMES.keys())
        oids = {r.canonical: r.system for r in rows if r.system.startswith("urn:oid:")}
        names = {r.canonical: r for r in rows}
        kinds = await self.authorities.of(systems)
        made: list[Written] = []
        for each in listed:
            system = str(each.get("system", ""))
            row = names.get(system)
            name = row.name if row is not None else _NAMES.get(system, "")
            kind = row.type if row is not None else ""
            if not kind:
                known = kinds.get(system)
                national = known is not None and known.national
                kind = _TYPES.get(known.type, "") if known is not None and national else "PI"
            end = str((each.get("period") or {}).get("end", ""))[:10].replace("-", "")
            made.append(
                (str(each.get("value", "")), "", "", _hd(name, system, oids.get(system, "")), kind,
                 "", "", end)
            )  # fmt: skip
        return made


def _hd(name: str, system: str, oid: str) -> tuple[str, ...]:
    known = oid or (system if system.startswith("urn:oid:") else "")
    if known:
        return (name, known.removeprefix("urn:oid:"), "ISO")
    return (name,) if name in NATIONAL else (name, system, "URI")


def tidied(authority: Authority, text: str) -> str:
    """A number as it is kept."""
    return tidy(authority.system, text.strip())
