"""`pater serve` and `demo`, and what helps to run them: tokens, settings, the database."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace

import click

from pater import demo_people
from pater.cli.common import fail, readable, settings_of
from pater.processes import MOST
from pater.running import running_dsn
from pater.settings import Settings


def free_port(settings: Settings) -> None:
    """Ends when somebody else listens on our port already."""
    if not 0 < settings.port < 65536:
        fail(f"{settings.port} is no port: they go from 1 to 65535.", "Choose one: PATER_PORT=8080")
    if not 0 < settings.workers <= MOST:
        fail(f"{settings.workers} server processes cannot be run.", f"From 1 to {MOST} can.")
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            fail(
                f"{settings.host}:{settings.port} cannot be used: {error.strerror}.",
                f"Stop what listens there (ss -ltnp 'sport = :{settings.port}'), or choose another"
                f" port: PATER_PORT={settings.port + 1} make demo",
            )


@click.command(name="demo")
@click.option("--port", type=int, help="Port to serve at (PATER_PORT).")
@click.option("--empty", is_flag=True, help="No demonstration records, only clients and accounts.")
@click.option("--workers", type=int, help="Server processes (PATER_WORKERS).")
@readable
def demo_command(port: int | None, empty: bool, workers: int | None) -> None:
    """Serve a demonstration with a small region of its own."""
    from pater import demo, serving

    settings = settings_of(port=port, demo=True, workers=workers)
    strict = os.environ.get("PATER_STRICT_IDENTIFIERS")
    if strict is None:  # published examples hold identifiers that fail their check
        settings = replace(settings, strict_identifiers=False)
    demo.mark(settings)
    free_port(settings)
    serving.run(
        settings,
        serving.Extras(demo.Preparation(empty=empty), demo.announce, demo.demo_accounts),
    )


@click.command()
@click.option("--port", type=int, help="Port to serve at (PATER_PORT).")
@click.option("--workers", type=int, help="Server processes (PATER_WORKERS).")
@readable
def serve(port: int | None, workers: int | None) -> None:
    """Serve with the settings of the environment."""
    from pater import serving

    settings = settings_of(port=port, workers=workers)
    if settings.demo_mark.exists():
        fail(
            f"{settings.data} holds a demonstration with public credentials.",
            "Use `pater demo` there, or give a service its own folder: PATER_DATA=/srv/pater",
        )
    free_port(settings)
    serving.run(settings)


@click.command()
@click.argument("name")
@click.option("--purpose", help="Purpose of use, e.g. TREAT, ETREAT, PATRQT.")
@readable
def token(name: str, purpose: str | None) -> None:
    """Print a bearer token of a demonstration client or person (demo mode only)."""
    settings = settings_of()
    demo_people.require(settings)
    click.echo(asyncio.run(demo_people.token(settings, name, purpose)))


@click.command()
@click.argument("login")
@readable
def totp(login: str) -> None:
    """Print the current one-time code of a demonstration account (demo mode only)."""
    settings = settings_of()
    demo_people.require(settings)
    click.echo(asyncio.run(demo_people.code(settings, login)))


@click.command()
def config() -> None:
    """Print the settings in force, secrets masked."""
    for name, value in settings_of().shown().items():
        click.echo(f"{name:20} {value}")


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@readable
def migrate() -> None:
    """Bring the schema up to date."""
    from pater import serving

    asyncio.run(serving.migrate_only(settings_of()))
    click.echo("The schema is up to date.")


@db.command()
@readable
def dsn() -> None:
    """Print the address of the running embedded database (for psql)."""
    click.echo(running_dsn(settings_of()))


@db.command()
@click.option("--make", is_flag=True, help="Make those that a load of millions put off.")
@readable
def indexes(make: bool) -> None:
    """List the indexes that wait until a load is done, or make them."""
    from pater.cli.indexes import make_waiting, names_waiting

    url = running_dsn(settings_of())
    if make:
        asyncio.run(make_waiting(url))
    names = asyncio.run(names_waiting(url))
    for name in names:
        click.echo(f"{name}: not there, searches that need it are slow")
    if names:
        click.echo("Make them with: pater db indexes --make")
    else:
        click.echo("All indexes are there.")


@db.command()
@readable
def warm() -> None:
    """Read into the database's memory what finding persons touches (after its restart)."""
    from pater.cli.indexes import warm_up

    if not asyncio.run(warm_up(running_dsn(settings_of()))):
        raise click.ClickException(
            "The database has no extension pg_prewarm, and its user may not make it."
            " Ask its administrator for: create extension pg_prewarm"
        )
