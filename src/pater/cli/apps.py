"""`pater app`: which apps people may connect, written down by the operator."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from pater.access import apps
from pater.access.apps import App, AppError
from pater.access.clients import ClientError
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database
from pater.settings import Settings
from pater.store.database import Database


@click.group()
def app() -> None:
    """Register apps that people may allow to act for them (SMART App Launch)."""


@app.command(name="add")
@click.argument("id")
@click.option("--name", required=True, help="What people see.")
@click.option("--redirect", "redirects", multiple=True, required=True, help="Redirect address.")
@click.option("--launch", default="", help="Address to open the app with a record.")
@click.option("--scopes", required=True, help="The most it can be given, parted by spaces.")
@click.option("--secret", is_flag=True, help="Confidential: make a secret and print it once.")
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Confidential: a file with its public keys (JWK Set).",
)
@readable
def add(
    id: str,
    name: str,
    redirects: tuple[str, ...],
    launch: str,
    scopes: str,
    secret: bool,
    keys: Path | None,
) -> None:
    """Register the app ID, or replace what is known of it.

    Without --secret and --keys it is public: a phone's app or a page, which can keep no secret.
    """
    text, hashed = apps.new_secret() if secret else ("", None)
    wish = App(
        id=id,
        name=name,
        redirect_uris=tuple(dict.fromkeys(redirects)),
        scopes=tuple(dict.fromkeys(scopes.split())),
        launch_url=launch,
        secret_hash=hashed,
        jwks=_keys(keys) if keys else None,
    )

    async def write(db: Database) -> None:
        await apps.register(db, wish, now, operator())

    try:
        _run(write)
    except (AppError, ClientError) as error:
        fail(f"{error}.", "See docs/tutorials/apps.md.")
    click.echo(f"{id} is registered ({'confidential' if wish.confidential else 'public'}).")
    if text:
        click.echo(f"Its secret, shown only now: {text}")


@app.command(name="list")
@readable
def list_command() -> None:
    """Show the registered apps."""

    async def show(db: Database) -> None:
        for each in await apps.every(db):
            kind = "confidential" if each.confidential else "public"
            click.echo(f"{each.id}  {each.name}  ({kind})")
            for address in each.redirect_uris:
                click.echo(f"    redirect {address}")
            if each.launch_url:
                click.echo(f"    launch   {each.launch_url}")
            click.echo(f"    scopes   {' '.join(each.scopes)}")

    _run(show)


@app.command()
@click.argument("id")
@readable
def remove(id: str) -> None:
    """Take the app ID away; all its tokens end within seconds."""

    async def take(db: Database) -> None:
        if not await apps.remove(db, id, now, operator()):
            fail(f"There is no app {id}.", "See `pater app list`.")

    _run(take)
    click.echo(f"{id} is gone, and so is all that people allowed it.")


def operator() -> str:
    """Who sits at the command line, by the system's own name for them."""
    return pwd.getpwuid(os.getuid()).pw_name


def _keys(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        fail(f"{path} holds no JWK Set.")
    if not isinstance(found, dict):
        fail(f"{path} holds no JWK Set.")
    return found


def _run(work: Callable[[Database], Awaitable[None]]) -> None:
    async def run(settings: Settings) -> None:
        async with running_database(settings) as db:
            await work(db)

    asyncio.run(run(settings_of()))
