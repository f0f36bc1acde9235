"""Keeps the person index beside every Patient that is written, whichever way it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Unprocessable
from pater.registers.matching.index import findable, gone, kept
from pater.registers.patients import number_of
from pater.store.read import Stored
from pater.store.write import Statement

_LOADING: Final = "loader"
# Who loads the register brings persons with the numbers that they have; given numbers stay.
_PERSON: Final = f"""
insert into person (person, rid, temporary, patient, created)
select r.person, $2, $3, r.id, r.updated from resource r
where r.type = {TYPE_NUMBER["Patient"]} and r.id = $1 and r.person > 0 and not r.deleted
and not exists (select from alias a where a.patient = r.id)
on conflict (person) do nothing
"""  # noqa: S608 a number of the program
_TELLING: Final = frozenset({"provider-system", "registrar"})


def told_only(caller: Caller, change: Change) -> None:
    """Who tells the register who somebody is does not write its Patient, which is made of what all
    say: that goes through the registration alone. Raises Unprocessable.
    """
    if caller.role in _TELLING and not change.derived:
        text = (
            "the register's Patient is made of what all its sources say, by the register alone: a"
            " provider tells of its own by PUT Patient?identifier=, or by POST"
        )
        raise Unprocessable([Issue("error", "business-rule", change.path or "Patient", text)])


async def keep_person(caller: Caller, change: Change, stored: Stored | None) -> Change:
    """A Patient is written: its entry is written with it. Raises Unprocessable."""
    told_only(caller, change)
    # in the transaction: whose the Patient is follows from the row that is written there
    statement = kept(change.id or "", change.resource) if change.resource is not None else None
    if statement is None and stored is not None and not stored.deleted:
        # one that was not to be found before has no entry of its own
        statement = gone(stored.person) if findable(parse(stored.body)) else None
    statements = [] if statement is None else [statement]
    number = number_of(change.resource) if change.resource is not None else ""
    if number and caller.role == _LOADING and not change.derived:
        statements.append(Statement(_PERSON, (change.id, number, number.startswith("D"))))
    return replace(change, statements=(*change.statements, *statements))
