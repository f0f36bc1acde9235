"""`pater subscriptions` and `pater mailbox`: how deliveries stand, and a simulated gateway."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import click

from pater.cli.common import readable, settings_of
from pater.rest.subscriptions import tables
from pater.rest.subscriptions.mailbox import Mailbox
from pater.rest.subscriptions.tables import Kept
from pater.running import running_database
from pater.settings import Settings

_MOST = 10_000


@click.command()
@click.option("--state", type=click.Choice(["requested", "active", "error", "off"]), default=None)
@readable
def subscriptions(state: str | None) -> None:
    """List the subscriptions of a running Páteř: state, events, delivered, failures."""
    asyncio.run(_list(settings_of(), state))


async def _list(settings: Settings, state: str | None) -> None:
    async with running_database(settings) as db:
        found = await tables.owned(db, None, _MOST)
    shown = [kept for kept in found if state in (None, kept.state)]
    for kept in shown:
        click.echo(line(kept))
    if not shown:
        click.echo("no subscriptions")


def line(kept: Kept) -> str:
    """One subscription for people; addresses and criteria are left out: they may be secret."""
    sent = kept.sent.isoformat(timespec="seconds") if kept.sent else "nothing sent yet"
    parts = [
        kept.id,
        f"{kept.state:9}",
        f"{kept.channel:9}",
        f"{kept.delivered}/{kept.events} delivered",
        sent,
        kept.owner.id,
    ]
    if kept.failures:
        parts.append(f"{kept.failures} failures")
    return "  ".join([*parts, kept.error]).rstrip()


@click.command()
@click.option("--port", default=2525, show_default=True)
@readable
def mailbox(port: int) -> None:
    """Run a simulated mail gateway that prints what it is handed (PATER_MAIL_HOST=127.0.0.1)."""
    asyncio.run(_mailbox(port))


async def _mailbox(port: int) -> None:
    def arrived(mail: EmailMessage) -> None:
        click.echo(f"{mail['To']}: {mail['Subject']}\n{mail.get_content()}")

    async with Mailbox(arrived).listening(port=port) as box:
        click.echo(f"Mail is taken at 127.0.0.1:{box.port} and goes nowhere. Ctrl+C ends it.")
        await asyncio.Event().wait()
