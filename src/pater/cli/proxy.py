"""`pater proxy`: an official enters, lists and ends who acts for whom by law or by a decision."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from uuid import uuid4

import click

from pater.access import audit, representation
from pater.access.caller import Caller
from pater.access.policy_files import named
from pater.access.relations import EVER
from pater.access.representation import REGISTER, Representation
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.fhir.json import parse
from pater.running import running_database
from pater.store.database import Database
from pater.store.read import Stored, read
from pater.store.write import Committer, Statement, WriteSet

_DAY: Final = click.DateTime(["%Y-%m-%d"])
OPERATOR: Final = Caller(kind="system", id="operator", name="", role="")


@click.group()
def proxy() -> None:
    """Who acts for whom: parents for children, guardians."""


@proxy.command()
@click.argument("kind", type=click.Choice(["parent", "guardian"]))
@click.option("--patient", required=True, help="Patient id of the child or ward.")
@click.option("--by", "agent", required=True, help="Patient id of the parent or guardian.")
@click.option("--reference", required=True, help="Number of the decision or of the entry.")
@click.option("--since", type=_DAY, help="First day; today when left out.")
@click.option("--until", type=_DAY, help="Last day; a parent's ends with the child's majority.")
@readable
def add(
    kind: representation.Kind,
    patient: str,
    agent: str,
    reference: str,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Enter a parent or a guardian; both need a Patient of their own."""
    if not reference.strip():
        fail("Say by what number it can be found: --reference.")
    if patient == agent:
        fail("Nobody acts for themselves.")
    asyncio.run(_add(kind, patient, agent, reference.strip(), since, until))


async def _add(
    kind: representation.Kind,
    patient: str,
    agent: str,
    reference: str,
    since: datetime | None,
    until: datetime | None,
) -> None:
    settings = settings_of()
    moment = now()
    begin = representation.first_moment(since.date()) if since else moment
    over = representation.moment_after(until.date()) if until else EVER
    async with running_database(settings) as db:
        child, whose = await _patient(db, patient)
        other, name = await _patient(db, agent)
        if child.person == other.person:
            fail("Nobody acts for themselves.")
        born: date | None = None
        if kind == "parent":
            born = _born(whose)
            grown = representation.birthday(born, named(settings.policy).parents.until)
            over = min(over, grown)
        if over <= max(begin, moment):
            fail("It would be over before it began.", "Look at the days and at the birth date.")
        one = Representation(
            id=str(uuid4()),
            person=child.person,
            patient=patient,
            person_name=_name(whose),
            agent=other.person,
            agent_name=_name(name),
            kind=kind,
            source=REGISTER,
            reference=reference,
            born=born,
            since=begin,
            until=over,
            recorded=moment,
        )
        await _write(db, one, representation.made(one), "representation-made")
    click.echo(one.id)


@proxy.command("list")
@click.option("--patient", required=True, help="Patient id of the represented.")
@readable
def list_(patient: str) -> None:
    """List all who act or acted for a patient. That it was listed is recorded."""
    asyncio.run(_list(patient))


async def _list(patient: str) -> None:
    async with running_database(settings_of()) as db:
        stored, _ = await _patient(db, patient)
        await _commit(db, stored.person, patient, [], "explained")
        for one in await representation.history(db, stored.person):
            over = one.ended or one.until
            until = "" if over >= EVER else f"{over:%Y-%m-%d %H:%M}"
            state = "holds" if one.holds(now()) else "does not hold"
            click.echo(
                f"{one.id}  {one.kind:<10} {one.since:%Y-%m-%d} – {until:<16} {state:<13}"
                f" {one.agent_name} {one.reference}".rstrip()
            )


@proxy.command()
@click.argument("id")
@readable
def end(id: str) -> None:
    """End what an official entered, by its ID, from now on."""
    asyncio.run(_end(id))


async def _end(id: str) -> None:
    async with running_database(settings_of()) as db:
        one = await representation.find(db, id)
        if one is None or one.source != REGISTER:
            fail("No official entered this.", "See `pater proxy list`.")
        await _write(db, one, representation.end(id, now()), "representation-ended")


async def _patient(db: Database, id: str) -> tuple[Stored, dict[str, Any]]:
    stored = await read(db, "Patient", id)
    if stored is None or stored.deleted:
        fail(f"There is no Patient {id!r}.")
    return stored, parse(stored.body)


def _born(patient: dict[str, Any]) -> date:
    try:
        return date.fromisoformat(str(patient.get("birthDate", "")))
    except ValueError:
        fail("The child's birth date is not known to the day.", "Correct the Patient first.")


def _name(patient: dict[str, Any]) -> str:
    names = patient.get("name") or [{}]
    first = next((each for each in names if each.get("use") == "official"), names[0])
    parts = (*first.get("given", ()), first.get("family", ""))
    return str(first.get("text") or " ".join(part for part in parts if part))


async def _write(db: Database, one: Representation, statement: Statement, reason: str) -> None:
    """A statement with its entry at the represented, in one transaction."""
    await _commit(db, one.person, one.patient, [statement], reason)


async def _commit(
    db: Database, person: int, patient: str, statements: list[Statement], reason: str
) -> None:
    entry = audit.entry(
        replace(OPERATOR, name="pater proxy"), "E", "representation", audit.OK, clock=now,
        reason=reason, person=person, patient=patient,
    )  # fmt: skip
    committer = Committer(db, now)
    await committer.start()
    try:
        await committer.commit(WriteSet(statements=statements, journal=[entry]))
    finally:
        await committer.stop()
