"""`pater proxy`: an official enters, lists and ends who acts for whom by law or by a decision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal

import click

from pater.access import audit, representation
from pater.access.caller import KEY, Caller
from pater.access.relations import EVER
from pater.access.representation import REGISTER
from pater.cli.common import fail, readable, settings_of
from pater.cli.noting import note
from pater.clock import now
from pater.records.errors import Gone, NotFound, RecordsError, Unprocessable
from pater.records.patient_names import PatientNames
from pater.registers.representing import Representing, Wish
from pater.running import running_database, running_dsn
from pater.store.database import Database
from pater.store.read import Stored, read

_DAY: Final = click.DateTime(["%Y-%m-%d"])
OPERATOR: Final = Caller(
    kind="system", id="operator", name="pater proxy", role="loader", purpose="SYSADMIN",
    strength=KEY, scopes=("system/*.cruds",),
)  # fmt: skip


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
    kind: Literal["parent", "guardian"],
    patient: str,
    agent: str,
    reference: str,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Enter a parent or a guardian, as a registrar does; both need a Patient of their own."""
    days = [day.date() if day else None for day in (since, until)]
    asyncio.run(_add(Wish(kind, patient, agent, reference, *days)))


async def _add(wish: Wish) -> None:
    async with _desk() as (_, desk):
        one = await desk.enter(OPERATOR, wish)
    click.echo(one.id)


@asynccontextmanager
async def _desk() -> AsyncIterator[tuple[Database, Representing]]:
    """What the registrars' page writes with, over the database of the Páteř that runs."""
    from pater.app import open_house

    settings = settings_of()
    async with open_house(settings, running_dsn(settings)) as house:
        try:
            yield house.db, Representing(house.gate, house.db, house.services.parents)
        except (NotFound, Gone) as error:
            fail(f"There is no Patient {error.id!r}.")
        except Unprocessable as error:
            fail("It cannot be done: " + "; ".join(each.text for each in error.issues) + ".")
        except RecordsError as error:
            fail(f"It was refused: {error}.", "Somebody may have changed it meanwhile: look again.")


@proxy.command("list")
@click.option("--patient", required=True, help="Patient id of the represented.")
@readable
def list_(patient: str) -> None:
    """List all who act or acted for a patient. That it was listed is recorded."""
    asyncio.run(_list(patient))


async def _list(patient: str) -> None:
    async with running_database(settings_of()) as db:
        stored = await read(db, "Patient", patient)
        if stored is None or stored.deleted:
            fail(f"There is no Patient {patient!r}.")
        await _note(db, stored)
        for one in await representation.history(db, stored.person):
            over = one.ended or one.until
            until = "" if over >= EVER else f"{over:%Y-%m-%d %H:%M}"
            state = "holds" if one.holds(now()) else "does not hold"
            click.echo(
                f"{one.id}  {one.kind:<10} {one.since:%Y-%m-%d} – {until:<16} {state:<13}"
                f" {one.agent_name} {one.reference}".rstrip()
            )


async def _note(db: Database, patient: Stored) -> None:
    entry = audit.entry(
        OPERATOR, "E", "representation", audit.OK, clock=now, reason="explained",
        person=patient.person, patient=patient.id,
    )  # fmt: skip
    await note(db, entry)


@proxy.command()
@click.argument("id")
@readable
def end(id: str) -> None:
    """End what an official entered, by its ID, from now on."""
    asyncio.run(_end(id))


async def _end(id: str) -> None:
    async with _desk() as (db, desk):
        one = await representation.find(db, id)
        if one is None or one.source != REGISTER:
            fail("No official entered this.", "See `pater proxy list`.")
        await desk.end(OPERATOR, await PatientNames().of(db, one.person), id)
