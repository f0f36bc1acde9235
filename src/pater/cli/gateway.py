"""`pater gateway`: certificates with which systems may sign their own bearer tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pater.access import gateway as access
from pater.access.clients import ClientError
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database


@click.group()
def gateway() -> None:
    """Look after the certificates of systems that come the Czech gateway's way."""


@gateway.command()
@click.argument("client")
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "name", required=True, help="The id that assertions name as `kid`.")
@readable
def add(client: str, certificate: Path, name: str) -> None:
    """Let CLIENT sign its bearer tokens with the key of CERTIFICATE (PEM)."""
    asyncio.run(_add(client, name, certificate.read_bytes()))


async def _add(client: str, name: str, certificate: bytes) -> None:
    async with running_database(settings_of()) as db:
        try:
            await access.register(db, client, name, certificate, now)
        except ClientError as error:
            fail(f"{error}.")
    click.echo(f"certificate {name} of {client} is registered")


@gateway.command()
@click.argument("name", metavar="ID")
@readable
def revoke(name: str) -> None:
    """From now on the certificate ID opens nothing."""
    asyncio.run(_revoke(name))


async def _revoke(name: str) -> None:
    async with running_database(settings_of()) as db:
        done = await access.revoke(db, name, now)
    click.echo("revoked" if done else "there is no certificate in force by this id")


@gateway.command("list")
@click.argument("client")
@readable
def list_(client: str) -> None:
    """The certificates of CLIENT."""
    asyncio.run(_list(client))


async def _list(client: str) -> None:
    async with running_database(settings_of()) as db:
        rows = await access.certificates(db, client)
    for row in rows:
        state = "revoked" if row["revoked"] else f"until {row['not_after']:%Y-%m-%d}"
        click.echo(f"{row['id']}  {state}")
    if not rows:
        click.echo("no certificates")
