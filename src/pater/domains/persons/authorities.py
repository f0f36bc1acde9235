"""Which systems of numbers the register of persons knows, and who gives numbers in each.

National numbers are known. Any other system is a NamingSystem resource (FHIR R4) of kind
identifier: its `uniqueId`s, a URL and an OID, are names of one system; the extension ASSIGNER says
who alone gives numbers in it (IČO); a `type` of v2-0203 that a state or an insurer issues (NI, JHN,
…) says that its numbers name a person wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pater.access.caller import Caller
from pater.domains.persons import tables
from pater.domains.persons.tables import Known
from pater.fhir.issues import Issue
from pater.records.changes import Change
from pater.records.errors import Unprocessable
from pater.records.gate import Stored
from pater.registers.identifiers import check, check_ico
from pater.registers.patients import known_identifiers

Resource = dict[str, Any]

ASSIGNER: Final = "urn:pater:assigner"
"""Extension of a NamingSystem: valueIdentifier, the IČO of who gives the numbers."""
V2_0203: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
MOST: Final = 64
"""Systems of one question."""
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Authority:
    """A system: its canonical name, who alone gives its numbers ("" = nobody in particular), the
    kind of number where a state or an insurer issues it, and a name for people.
    """

    system: str
    assigner: str = ""
    type: str = ""
    name: str = ""

    @property
    def national(self) -> bool:
        """Whether its numbers name a person wherever they are shown."""
        return bool(self.type)

    def gives(self, organization: str) -> bool:
        """Whether an organisation may say under which of its numbers it knows somebody."""
        return not self.national and self.assigner in ("", organization)


class Authorities:
    """The systems of one database."""

    def __init__(self, db: tables.Database) -> None:
        self._db = db

    async def of(self, systems: Collection[str]) -> dict[str, Authority]:
        """Those of the systems that are known, by the name under which they were asked for."""
        asked = list(dict.fromkeys(each for each in systems if len(each) <= _LONGEST))[:MOST]
        found = {each: Authority(each, type=kind) for each in asked if (kind := _national(each))}
        others = [each for each in asked if each not in found]
        for row in await tables.known(self._db, others) if others else ():
            found[row.system] = Authority(row.canonical, row.assigner, row.type, row.name)
        return found

    async def keep(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """The keeper of NamingSystem. Raises Unprocessable."""
        number = change.id or (stored.id if stored is not None else "")
        rows: list[Known] = []
        if change.method != "delete" and change.resource is not None:
            rows = list(_rows(change.resource, change.path or "NamingSystem"))
        taken = await tables.held_by_others(self._db, [each.system for each in rows], number)
        if taken:
            text = f"{taken[0]} is named by another NamingSystem"
            raise _wrong(f"{change.path or 'NamingSystem'}.uniqueId", text)
        kept = tables.replaced(number, rows)
        return replace(change, statements=(*change.statements, *kept))


def _national(system: str) -> str:
    """The kind of a national number, "" for any other system."""
    kind = check(system, "").kind
    return kind if kind in ("rid", "rcis", "cpoj", "passport", "idcard") else ""


def _rows(resource: Resource, path: str) -> Iterator[Known]:
    """The names of a system; nothing for one that is no system of identifiers, or has ended."""
    if resource.get("kind") != "identifier" or resource.get("status") == "retired":
        return
    names = [_system(each) for each in resource.get("uniqueId") or ()]
    for place, each in enumerate(names):
        if not 0 < len(each) <= _LONGEST or "|" in each or not each.isprintable():
            raise _wrong(f"{path}.uniqueId[{place}]", f"a system has 1 to {_LONGEST} characters")
        if _national(each):
            raise _wrong(f"{path}.uniqueId[{place}]", "this is a national number, which is known")
    assigner = _assigner(resource, path)
    urls = [each for each in names if not each.startswith("urn:oid:")]
    canonical = (urls or names)[0]
    for each in dict.fromkeys(names):
        name = str(resource.get("name", ""))[:_LONGEST]
        yield Known(each, canonical, assigner, _type(resource), name)


def _system(unique: Mapping[str, Any]) -> str:
    value = str(unique.get("value", ""))
    bare = unique.get("type") == "oid" and not value.startswith("urn:oid:")
    return f"urn:oid:{value}" if bare else value


def _assigner(resource: Resource, path: str) -> str:
    for each in resource.get("extension") or ():
        if each.get("url") == ASSIGNER:
            ico = str((each.get("valueIdentifier") or {}).get("value", ""))
            if check_ico(ico).ok is not True:
                raise _wrong(f"{path}.extension", "the assigner's identifier is an IČO")
            return ico
    return ""


def _type(resource: Resource) -> str:
    """The kind of number, when it is one that a state or an insurer issues."""
    for coding in (resource.get("type") or {}).get("coding") or ():
        probe = {"system": "urn:x", "value": "1", "type": {"coding": [coding]}}
        if known_identifiers({"identifier": [probe]})[0].kind == "national":
            return str(coding.get("code", ""))[:_LONGEST]
    return ""


def _wrong(path: str, text: str) -> Unprocessable:
    return Unprocessable([Issue("error", "business-rule", path, text)])
