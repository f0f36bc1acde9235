"""The core registers of one running Páteř, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from pater.records.gate import Gate
from pater.registers.bearers import Bearers
from pater.registers.keeping import keep_person, told_only
from pater.registers.matching import Model, reindexing
from pater.registers.matching.index import PersonIndex
from pater.registers.merging import Merging, keep_merged
from pater.registers.patients import PatientRegister
from pater.registers.registration import Registration
from pater.registers.reviewing import Reviewing
from pater.store.database import Database
from pater.store.person_tables import PersonTable


@dataclass(frozen=True, slots=True)
class Registers:
    """Who is who: `patients` ties the Patients of documents to persons, `index` finds persons who
    are alike, `registration` takes what systems and registrars tell of persons, `merging` joins
    and parts them, `reviewing` is the registrars' queue, `bearers` knows whom a token means.
    """

    patients: PatientRegister
    index: PersonIndex
    registration: Registration
    merging: Merging
    reviewing: Reviewing
    bearers: Bearers


async def assembled(
    gate: Gate,
    db: Database,
    tables: Sequence[PersonTable],
    *,
    base_url: str,
    clock: Callable[[], datetime],
    random: Random,
    new_id: Callable[[], str],
    next_person: Callable[[], Awaitable[int]],
    strict: bool,
) -> Registers:
    """The registers over one gate, which from now on keeps the person index beside each Patient.

    `tables` are the plain tables of all rooms that carry a person number; `random` gives numbers
    that nobody guesses.
    """
    gate.keep("Patient", keep_merged, after=True)
    gate.keep("Patient", keep_person, after=True)
    gate.close("Patient", told_only)
    settled = await reindexing.ask(db)
    bearers = Bearers(db, clock)
    await bearers.refresh()
    index = PersonIndex(db, Model.load(), settled=settled)
    patients = PatientRegister(
        db, next_person=next_person, random=random, clock=clock, new_id=new_id, index=index
    )
    registration = Registration(
        gate, db, index, next_person=next_person, random=random, clock=clock, strict=strict
    )
    merging = Merging(
        gate, db, tables, base_url=base_url, random=random, next_person=next_person,
        told=bearers.note,
    )  # fmt: skip
    reviewing = Reviewing(gate, db, merging, random=random, clock=clock)
    return Registers(patients, index, registration, merging, reviewing, bearers)
