"""Keeps beside resources what decides who may see a person's data: their will, relations of care.

Every way to write comes here, because the gate asks about each change of these types; the rows are
written in the resource's own transaction, so that what is decided next is right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pater.access import relations, will
from pater.access.actors import Around, Key, further, who
from pater.access.caller import Caller
from pater.access.relations import Relation
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.fhir.labels import PROVIDER_MASK
from pater.records.changes import Change, Keeper
from pater.records.errors import Unprocessable
from pater.store.database import Database
from pater.store.read import Stored, persons_of, read_many
from pater.store.write import Statement

_PROVIDERS: Final = frozenset({"provider-system", "clinician"})
_READ: Final = frozenset({"Organization", "Practitioner", "PractitionerRole", "DocumentReference"})
MOST_CONSENTS: Final = 2_000
"""Declarations of one person; each is looked at when something of theirs is asked for."""


@dataclass(frozen=True, slots=True)
class StandingKept:
    """The keepers of the types that say who has a person in care, and of Consent."""

    db: Database
    clock: Callable[[], datetime]
    base_url: str

    def keepers(self) -> Mapping[str, Keeper]:
        """The keeper of each type."""
        return {
            **dict.fromkeys(relations.SAYING, self.relation),
            "Encounter": self.encounter,
            "Consent": self.consent,
        }

    async def relation(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """A resource that may say who has a person in care is written."""
        said: tuple[Relation, ...] = ()
        resource = change.resource or {}
        now = self.clock()
        if change.derived:
            # A document speaks for its sender alone, and of care only by its encounter.
            if change.type != "Encounter":
                return change
            said = relations.in_care_of(caller.organization, change.type, resource, now)
        elif relations.says_something(change.type, resource, now):
            around = await self._around(relations.referred(change.type, resource, self._empty()))
            said = relations.relations_of(change.type, resource, around, now)
        if not said and stored is None:
            return change
        statement = relations.said(change.type, change.id or "", said)
        return replace(change, statements=(*change.statements, statement))

    async def encounter(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """An Encounter is written: a provider states by it that a patient is in its own care."""
        if not change.derived and caller.role in _PROVIDERS and change.method != "delete":
            said = [change.resource or {}]
            if stored is not None and not stored.deleted:
                said.append(parse(stored.body))
            for each in said:
                await self._own_care(caller, each, change.path)
        return await self.relation(caller, change, stored)

    async def _own_care(self, caller: Caller, resource: Mapping[str, Any], path: str) -> None:
        keys = relations.referred("Encounter", resource, self._empty())
        means = who(resource.get("serviceProvider"), await self._around(keys), resource)
        if not caller.organization or means.organizations != {caller.organization}:
            text = "a provider states only that a patient is in its own care: by its IČO"
            place = (path or "Encounter") + ".serviceProvider"
            raise Unprocessable([Issue("error", "business-rule", place, text)])

    async def consent(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """A Consent is written: what it says must be what we can hold to."""
        if change.derived:
            return change  # of a document: it tells of a will, and decides nothing here
        if (
            stored is not None
            and not stored.deleted
            and caller.role == "patient"
            and stored.label & PROVIDER_MASK
        ):
            text = "a provider wrote this Consent: declare your own"
            _refuse([Issue("error", "business-rule", "Consent", text)], change.path)
        id_ = change.id or ""
        resource = change.resource
        if resource is None or not will.is_will(resource):
            if (
                caller.role == "patient"
                and resource is not None
                and not will.is_directive(resource)
            ):
                text = "a patient declares by scope patient-privacy or adr"
                _refuse([Issue("error", "not-supported", "Consent.scope", text)], change.path)
            more = () if stored is None else (_gone(id_),)
            return replace(change, statements=(*change.statements, *more))
        person = await self._person(resource)
        around = await self._around(will.referred(resource, self._empty()))
        rules, issues = will.read_consent(resource, around, person)
        _refuse(issues, change.path)
        if stored is None and person is not None:
            count = await self.db.fetchval(_COUNT, person, MOST_CONSENTS)
            if count >= MOST_CONSENTS:
                text = f"nobody has more than {MOST_CONSENTS} declarations"
                _refuse([Issue("error", "too-costly", "Consent", text)], change.path)
        rows = Statement(_SAID, (id_, will.write_rules(rules)))
        return replace(change, statements=(*change.statements, _gone(id_), rows))

    def _empty(self) -> Around:
        return Around(base_url=self.base_url)

    async def _person(self, resource: Mapping[str, Any]) -> int | None:
        """Whose a Consent is; None when that cannot be told (and then it is not stored)."""
        ref = self._empty().ref(resource.get("patient"))
        if ref.kind != "relative" or ref.type != "Patient" or not ref.id:
            return None
        return (await persons_of(self.db, [ref.id])).get(ref.id)

    async def _around(self, keys: Collection[Key]) -> Around:
        """The resources of these keys, as far as they tell whom a reference means."""
        around = self._empty()
        keys = {key for key in keys if key[0] in _READ}
        if not keys:
            return around
        found = {(s.type, s.id): s for s in await read_many(self.db, keys) if not s.deleted}
        documents = {
            s.id: (s.person, s.label) for s in found.values() if s.type == "DocumentReference"
        }
        resources = {
            key: parse(s.body) for key, s in found.items() if key[0] != "DocumentReference"
        }
        more = {key for each in resources.values() for key in further(each, around)}
        for s in await read_many(self.db, more - resources.keys()):
            if not s.deleted:
                resources[s.type, s.id] = parse(s.body)
        return Around(resources, documents, self.base_url)


_TYPE: Final = TYPE_NUMBER["Consent"]
_COUNT: Final = "select count(*) from (select from will where person = $1 limit $2) as w"
# The stamp of whose it was changes with it, in the transaction that changes it.
_GONE: Final = """
with gone as (delete from will where source = $1 returning person)
insert into will_state (person, stamp) select person, nextval('will_stamp') from gone
on conflict (person) do update set stamp = excluded.stamp
"""
_SAID: Final = f"""
with said as (
  insert into will (source, person, rules)
  select r.id, r.person, $2 from resource r
  where r.type = {_TYPE} and r.id = $1 and not r.deleted and r.person > 0
  returning person
)
insert into will_state (person, stamp) select person, nextval('will_stamp') from said
on conflict (person) do update set stamp = excluded.stamp
"""  # noqa: S608 a number of the program


def _gone(id: str) -> Statement:
    return Statement(_GONE, (id,))


def _refuse(issues: Sequence[Issue], path: str) -> None:
    """Raises Unprocessable with the issues at their place in what was sent."""
    if issues:
        raise Unprocessable(
            [
                replace(issue, path=path + issue.path[issue.path.find(".") :]) if path else issue
                for issue in issues
            ]
        )
