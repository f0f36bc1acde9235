"""`pater tls`: certificates with which systems prove themselves in TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pater.access import client_tls
from pater.access.client_tls import BY_AUTHORITY, BY_FINGERPRINT
from pater.access.clients import ClientError
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database


@click.group()
def tls() -> None:
    """Look after systems that come with a certificate (RFC 8705)."""


@tls.command()
@click.argument("client")
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--self-signed", is_flag=True, help="This certificate alone, whoever issued it.")
@readable
def add(client: str, certificate: Path, self_signed: bool) -> None:
    """Let CLIENT come with CERTIFICATE (PEM), from then on with no token that is not bound.

    Without --self-signed the certificate is one of `pater ca`, and one renewed for the same
    subject counts too.
    """
    method = BY_FINGERPRINT if self_signed else BY_AUTHORITY
    asyncio.run(_add(client, certificate.read_bytes(), method))


async def _add(client: str, certificate: bytes, method: str) -> None:
    async with running_database(settings_of()) as db:
        try:
            value = await client_tls.register(db, client, certificate, method, now)
        except ClientError as error:
            fail(f"{error}.")
    click.echo(f"{client} comes with {value}")


@tls.command()
@click.argument("client")
@click.argument("value")
@readable
def remove(client: str, value: str) -> None:
    """CLIENT comes no longer with the certificate that `list` calls VALUE."""
    asyncio.run(_remove(client, value))


async def _remove(client: str, value: str) -> None:
    async with running_database(settings_of()) as db:
        done = await client_tls.remove(db, client, value)
    click.echo("removed" if done else "the client did not come with it")


@tls.command("list")
@click.argument("client")
@readable
def list_(client: str) -> None:
    """What CLIENT comes with."""
    asyncio.run(_list(client))


async def _list(client: str) -> None:
    async with running_database(settings_of()) as db:
        rows = await client_tls.of_client(db, client)
    for row in rows:
        click.echo(f"{row['method']}  {row['value']}")
    if not rows:
        click.echo("no certificates")
