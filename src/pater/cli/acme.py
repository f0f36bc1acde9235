"""`pater acme`: keys by which servers of a provider get certificates by themselves (RFC 8555)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import click

from pater.certifying import binding_keys
from pater.cli.ca import operator, told
from pater.cli.common import fail, settings_of
from pater.clock import now as clock
from pater.registers.identifiers import check_ico
from pater.running import running_database
from pater.settings import Settings
from pater.trust.acme import Binding
from pater.trust.acme.tables import MOST_KEYS, Key
from pater.trust.keys import Keys


@click.group()
def acme() -> None:
    """Let servers of a provider get and renew their certificates by themselves (ACME)."""


def _with(work: Callable[[Binding, Settings], Awaitable[None]]) -> None:
    async def run(settings: Settings) -> None:
        keys = Keys.load_or_create(settings.data / "keys")
        async with running_database(settings) as db:
            await work(binding_keys(db, keys, clock), settings)

    asyncio.run(run(settings_of()))


@acme.command()
@click.option("--ico", required=True, help="IČO of the provider.")
@click.option("--organization", default="", help="Its name, for the certificates.")
@click.option("--host", "hosts", multiple=True, required=True, help="A DNS name; repeat it.")
@told
def key(ico: str, organization: str, hosts: tuple[str, ...]) -> None:
    """Give a provider a key that opens one ACME account, for these hosts and no others.

    Prints the key's id and its secret (for `--eab-kid` and `--eab-hmac-key` of certbot) and the
    address of the directory. An account has to be opened within 30 days.
    """
    if settings_of().strict_identifiers and check_ico(ico).ok is False:
        fail(f"{check_ico(ico).problem}.")

    async def work(binding: Binding, settings: Settings) -> None:
        made = await binding.give(operator(), ico, organization, hosts)
        click.echo(f"key       {made.id}")
        click.echo(f"secret    {binding.shown(made.id)}")
        click.echo(f"directory {settings.base_url}/acme/directory")

    _with(work)


@acme.command(name="list")
@click.option("--ico", default="", help="Only of this provider.")
@told
def list_(ico: str) -> None:
    """List the keys that were given out, newest first."""

    async def work(binding: Binding, _: Settings) -> None:
        found = await binding.listing(ico)
        now = datetime.now(UTC)
        for one in found:
            click.echo(f"{one.id}  {state(one, now):8} {one.ico} {' '.join(one.hosts)}")
        if not found:
            click.echo("no keys")
        if len(found) == MOST_KEYS:
            click.echo(f"only the newest {MOST_KEYS} are listed", err=True)

    _with(work)


def state(found: Key, now: datetime) -> str:
    """How a key stands: ended, in use, expired or waiting for its account."""
    if found.ended is not None:
        return "ended"
    if found.account:
        return "in use"
    return "expired" if found.until < now else "waiting"


@acme.command()
@click.argument("id")
@told
def end(id: str) -> None:
    """End a key and the account that it opened. Its certificates stay: see `pater ca revoke`."""

    async def work(binding: Binding, _: Settings) -> None:
        await binding.end(operator(), id)
        click.echo(f"{id} has ended")

    _with(work)
