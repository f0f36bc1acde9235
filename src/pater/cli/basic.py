"""`pater basic`: how the links to the basic registers are, one question, everything once more."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from pater import log_lines
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.registers.basic import Down, checks, waiting
from pater.registers.basic.health import Breaker
from pater.registers.basic.room import KIND, NIGHTLY, Basic
from pater.running import running_database, running_dsn
from pater.store import jobs
from pater.store.database import Database
from pater.store.read import read


@click.group()
def basic() -> None:
    """The links to the basic registers of the state: persons, addresses, business, mandates."""


@basic.command()
@readable
def status() -> None:
    """Say how each register is, and how much waits to be asked."""
    asyncio.run(_status())


async def _status() -> None:
    async with running_database(settings_of()) as db:
        for name, one in sorted((await Breaker(db, now).shown()).items()):
            answered = f"{one.answered:%Y-%m-%d %H:%M}" if one.answered else "never"
            click.echo(
                f"{name:6} {one.state(now()):8} answered {answered:16}  in 24 h: {one.asked} asked,"
                f" {one.wrong} failed, {one.spared} from what is kept  {one.error}".rstrip()
            )
        length, oldest = await waiting.length(db)
        since = f", the oldest since {oldest:%Y-%m-%d %H:%M}" if oldest else ""
        click.echo(f"{length} questions wait{since}")
        click.echo(f"{await checks.waits(db)} resources wait to be compared")


@basic.command()
@click.option("--count", default=50, show_default=True, help="Differences that are listed.")
@readable
def report(count: int) -> None:
    """Say which addresses and providers differ from what the registers say."""
    asyncio.run(_report(count))


async def _report(count: int) -> None:
    async with running_database(settings_of()) as db:
        found = await checks.report(db, count)
    for name in checks.OLD:
        one = found[name]
        click.echo(f"{name:6} {one['compared']} compared, {one['disputed']} differ")
    for each in found["differences"]:
        what = ", ".join(each["differs"])
        click.echo(f"{each['register']:6} {each['key']:10} {each['resource']}  {what}")


@basic.command()
@readable
def compare() -> None:
    """Compare again tonight's share now: what was compared long ago, or never."""
    asyncio.run(_compare())


async def _compare() -> None:
    async with running_database(settings_of()) as db:
        await jobs.enqueue(db, NIGHTLY, {}, dedupe=NIGHTLY)
        click.echo("it is compared now; see `pater basic report`")


@basic.command()
@click.argument("register", type=click.Choice(["rob", "ruian", "ros"]))
@click.argument("what")
@readable
def ask(register: str, what: str) -> None:
    """Ask one question: RUIAN a code, ROS an IČO, ROB who a Patient (its id) is."""
    from pater.app import open_house

    log_lines.configure("warning")
    settings = settings_of()

    async def run() -> str:
        async with open_house(settings, running_dsn(settings)) as house:
            links = house.services.basic
            if links is None:
                fail("There are no links.", "Set PATER_BASIC_REGISTERS; see docs/operations.md.")
            return await _asked(links, house.db, register, what)

    try:
        click.echo(asyncio.run(run()))
    except Down as error:
        fail(f"{register}: {error}.", "See `pater basic status`.")


async def _asked(links: Basic, db: Database, register: str, what: str) -> str:
    if register == "rob":
        stored = await read(db, "Patient", what)
        if stored is None or stored.deleted:
            fail("There is no such Patient.")
        told = await links.identities.identify(stored.person)
        if told is None:
            return "the register means nobody"
        await links.authorisations.came(told)
        return "told"
    if register == "ruian":
        answer = await links.public.address(what)
    else:
        answer = await links.public.business(what)  # type: ignore[assignment]  # shown alike
    if answer.value is None:
        return "there is no such one"
    lines = [f"{name}: {value}" for name, value in asdict(answer.value).items()]
    at = f"{answer.received:%Y-%m-%d %H:%M}"
    return "\n".join([*lines, f"as of {at}" + ("" if answer.fresh else ", it does not answer now")])


@basic.command()
@readable
def retry() -> None:
    """Ask everything that waits now, without waiting for its pause."""
    asyncio.run(_retry())


async def _retry() -> None:
    async with running_database(settings_of()) as db:
        await waiting.hurry(db, now())
        await checks.hurry(db, now())
        await db.execute("update basic_register set shut_until = null")
        await jobs.enqueue(db, KIND, {}, dedupe=KIND)
        length, _ = await waiting.length(db)
        click.echo(f"{length} questions are asked now")
