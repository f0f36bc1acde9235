"""`pater hl7`: who sends HL7 v2 messages, and messages that could not be done."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click

from pater import log_lines
from pater.access import clients
from pater.cli.common import check_ids, fail, readable, settings_of
from pater.domains.persons.authorities import Authorities
from pater.domains.persons.hl7 import desk_of, tables
from pater.domains.persons.hl7.tables import Sender
from pater.running import running_database, running_dsn

_SHOWN = 200


@click.group()
def hl7() -> None:
    """HL7 v2 over MLLP: senders, and the quarantine of messages."""


@hl7.command()
@click.argument("application")
@click.argument("facility")
@click.option("--client", required=True, help="Id of the registered system that sends so.")
@click.option("--system", default="", help="System of its numbers where CX-4 says none.")
@readable
def sender(application: str, facility: str, client: str, system: str) -> None:
    """Note which client sends as APPLICATION (MSH-3) and FACILITY (MSH-4)."""

    async def run() -> str:
        async with running_database(settings_of()) as db:
            found = await clients.find(db, client)
            if found is None:
                return f"There is no client {client!r}."
            if system:
                known = (await Authorities(db).of([system])).get(system)
                if known is None:
                    return f"No NamingSystem names {system!r}."
                if not known.gives(found.organization):
                    return f"{client} does not give numbers of {system!r}."
            made = Sender(application, facility, client, system)
            await tables.keep_sender(db, made, datetime.now(UTC))
            return ""

    wrong = asyncio.run(run())
    if wrong:
        fail(wrong)
    click.echo(f"{application}|{facility} is {client}")


@hl7.command()
@click.option("--remove", nargs=2, metavar="APPLICATION FACILITY", help="Forget one.")
@readable
def senders(remove: tuple[str, str] | None) -> None:
    """List the senders, or forget one."""

    async def run() -> None:
        async with running_database(settings_of()) as db:
            if remove:
                done = await tables.remove_sender(db, *remove)
                click.echo("removed" if done else "there is no such sender")
                return
            found = await tables.senders(db)
            for one in found:
                click.echo(f"{one.application}|{one.facility}  {one.client}  {one.system}".rstrip())
            if not found:
                click.echo("no senders")

    asyncio.run(run())


@hl7.command()
@click.option("--client", default="", help="Of this system only.")
@click.option("--show", metavar="ID", help="Print one message. It is about a person.")
@click.option("--retry", metavar="ID", help="Do one again; `all` = each of them.")
@click.option("--drop", metavar="ID", help="Take one out undone.")
@readable
def quarantine(client: str, show: str | None, retry: str | None, drop: str | None) -> None:
    """List messages that could not be done, with the reasons, or settle them."""
    check_ids("message", "pater hl7 quarantine", retry, show, drop)
    if retry is not None:
        sys.exit(0 if asyncio.run(_retry(client, retry)) else 1)

    async def run() -> None:
        async with running_database(settings_of()) as db:
            if drop is not None:
                done = await tables.drop(db, drop)
                click.echo("dropped" if done else "there is no such message")
                return
            if show is not None:
                found = await tables.failure(db, show)
                text = found.body.decode("utf-8", "replace") if found is not None else ""
                click.echo(text.replace("\r", "\n") or "there is no such message")
                return
            waiting = await tables.failures(db, client, _SHOWN)
            for one in waiting:
                click.echo(
                    f"{one.id}  {one.at:%Y-%m-%d %H:%M}  {one.client}  {one.control}"
                    f"  {one.code} {one.place}  {one.reason}"
                )
            if not waiting:
                click.echo("nothing waits")
            if len(waiting) == _SHOWN:
                click.echo(f"only the oldest {_SHOWN} are listed", err=True)

    asyncio.run(run())


async def _retry(client: str, wanted: str) -> bool:
    """Does messages again, the oldest first; whether all of them are done now."""
    from pater.app import open_house

    settings = settings_of()
    log_lines.configure("warning")
    done = True
    async with open_house(settings, running_dsn(settings)) as house:
        registers = house.services.registers
        assert registers is not None  # a house has them
        desk = desk_of(house.services, registers)
        if wanted == "all":
            waiting = await tables.failures(house.db, client, _SHOWN)
        else:
            one = await tables.failure(house.db, wanted)
            waiting = [one] if one is not None else []
        if not waiting:
            click.echo("nothing waits" if wanted == "all" else "there is no such message")
        for each in waiting:
            why = await desk.retry(each)
            done = done and not why
            click.echo(f"{each.id}  {why or 'done'}")
    return done
