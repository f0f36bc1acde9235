"""`pater issuer`: providers of identities by which people may log in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import click

from pater.access.federation import issuers
from pater.access.federation.issuers import LEVELS, PROOFS, Issuer, IssuerError
from pater.cli.apps import operator
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database
from pater.store.database import Database
from pater.trust.keys import Keys


@click.group()
def issuer() -> None:
    """Look after providers of identities (OpenID Connect)."""


@issuer.command()
@click.argument("id")
@click.option("--address", required=True, help="Its issuer identifier (`iss`), https://…")
@click.option("--name", "names", nargs=2, required=True, help="Its name in Czech and in English.")
@click.option("--client-id", required=True, help="Who we are there.")
@click.option("--proof", type=click.Choice(PROOFS), help="How we prove it; default by --secret.")
@click.option(
    "--secret",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file whose first line is our secret there.",
)
@click.option("--scopes", default="openid profile", show_default=True)
@click.option("--host", "hosts", multiple=True, help="A further host of its endpoints.")
@click.option(
    "--claim", "claims", multiple=True, help="WHAT=CLAIM: rid, birth_number, professional, given …"
)
@click.option(
    "--level", "levels", multiple=True, help="ACR=1 (as a password) or ACR=2; default: eIDAS."
)
@readable
def add(
    id: str,
    address: str,
    names: tuple[str, str],
    client_id: str,
    proof: str | None,
    secret: Path | None,
    scopes: str,
    hosts: tuple[str, ...],
    claims: tuple[str, ...],
    levels: tuple[str, ...],
) -> None:
    """Let people log in by the provider ID, or replace what is known of it.

    Register at the provider the address …/login/from/ID to come back to. A provider that tells
    numbers of people decides who somebody is here: choose it like a key.
    """
    try:
        wish = Issuer(
            id=id,
            address=address,
            name={"cs": names[0], "en": names[1]},
            client_id=client_id,
            proof=proof or ("client_secret_basic" if secret else "none"),
            secret=secret.read_text("utf-8").partition("\n")[0].strip() if secret else "",
            scopes=tuple(dict.fromkeys(scopes.split())),
            hosts=tuple(dict.fromkeys(hosts)),
            claims=dict(_pairs(claims)),
            levels={acr: int(worth) for acr, worth in _pairs(levels)} or dict(LEVELS),
        )
        _run(lambda db, keys: issuers.register(db, keys, wish, now, operator()))
    except (IssuerError, ValueError) as error:
        fail(f"{error}.", "See docs/tutorials/identity.md.")
    back = f"{settings_of().base_url}/login/from/{id}"
    click.echo(f"{id} is written down. People come back to {back}")


@issuer.command(name="list")
@readable
def list_command() -> None:
    """Show the providers."""

    async def show(db: Database, keys: Keys) -> None:
        found = await issuers.every(db, keys)
        for each in found:
            click.echo(f"{each.id}  {each.name['en']}  {each.address}")
            click.echo(f"    we are   {each.client_id} ({each.proof})")
            for what, claim in each.claims.items():
                click.echo(f"    claim    {what} = {claim}")
            for acr, worth in each.levels.items():
                click.echo(f"    level    {acr or '(none said)'} = {worth}")
        if not found:
            click.echo("no providers")

    _run(show)


@issuer.command()
@click.argument("id")
@readable
def remove(id: str) -> None:
    """Take the provider ID away; sessions that it proved end, accounts stay."""

    async def take(db: Database, _: Keys) -> None:
        if not await issuers.remove(db, id, now, operator()):
            fail(f"There is no provider {id}.", "See `pater issuer list`.")

    _run(take)
    click.echo(f"{id} is gone.")


def _pairs(given: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for text in given:
        name, sign, value = text.rpartition("=") if "://" in text else text.partition("=")
        if not sign:
            raise IssuerError(f"{text!r} has no =")
        found.append((name, value))
    return found


def _run(work: Callable[[Database, Keys], Awaitable[None]]) -> None:
    async def run() -> None:
        settings = settings_of()
        async with running_database(settings) as db:
            await work(db, Keys.load_or_create(settings.data / "keys"))

    asyncio.run(run())
