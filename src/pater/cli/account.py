"""`pater account`: add people, lock and unlock them, help those who lost their second factor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import click

from pater.access import accounts, credentials, lockout, passwords, sessions
from pater.access.accounts import Account, AccountError
from pater.access.federation import identities
from pater.access.policy import ROLES
from pater.cli.common import fail, readable, settings_of
from pater.clock import new_id, now
from pater.registers.identifiers import check_professional
from pater.running import running_database
from pater.store.database import Database
from pater.store.write import Committer
from pater.trust.keys import Keys


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands work with."""

    db: Database
    keys: Keys
    committer: Committer

    async def account(self, login: str) -> Account:
        """The account of a login name, or an end with a message."""
        found = await accounts.find_by_login(self.db, login)
        if found is None:
            fail(f"There is no account {login!r}.", "See `pater account show LOGIN`.")
        return found

    async def note(self, account: Account, reason: str) -> None:
        """Journal what the operator did; the source tells that it was not the person."""
        entry = sessions.login_entry(account, reason, clock=now, source="", request_id="")
        operator = replace(
            entry,
            agent="operator",
            agent_name="",
            role="",
            organization="",
            organization_name="",
            query=f"account={account.id}",
        )
        await self.committer.journal_only([operator])


@asynccontextmanager
async def _desk() -> AsyncIterator[Desk]:
    settings = settings_of()
    async with running_database(settings) as db:
        committer = Committer(db, now)
        await committer.start()
        try:
            yield Desk(db, Keys.load_or_create(settings.data / "keys"), committer)
        finally:
            await committer.stop()


@click.group()
def account() -> None:
    """Look after the accounts of people in a running Páteř."""


@account.command()
@click.argument("login")
@click.option("--name", required=True, help="Full name.")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option("--organization", default="", help="IČO of the employer.")
@click.option("--organization-name", default="")
@click.option("--practitioner", default=None, help="Practitioner id of a professional.")
@click.password_option(help="The first password; the person changes it. Asked for when not given.")
@readable
def add(
    login: str,
    name: str,
    role: str,
    organization: str,
    organization_name: str,
    practitioner: str | None,
    password: str,
) -> None:
    """Add an account; prints the one-time code that finishes its first login."""
    made = Account(new_id(), login, name, role, organization, organization_name, practitioner)
    asyncio.run(_add(made, password))


async def _add(made: Account, password: str) -> None:
    fault = passwords.fault(password, made.login, made.name)
    if fault is not None:
        fail("The password is too easy.", "At least 12 characters, and none that all try first.")
    async with _desk() as desk:
        try:
            kept = await accounts.save(desk.db, desk.keys, made, password, None, now)
        except AccountError as error:
            fail(f"{error}.")
        code = await credentials.reset(desk.db, desk.keys, kept.id, now())
        await desk.note(kept, "account-added")
    click.echo(f"account {kept.login} added\none-time code: {code} (works once, for 7 days)")


@account.command()
@click.argument("login")
@readable
def show(login: str) -> None:
    """Show an account: role, second factors, whether it is locked."""
    asyncio.run(_show(login))


async def _show(login: str) -> None:
    async with _desk() as desk:
        found = await desk.account(login)
        has = await credentials.factors(desk.db, found.id, now())
        until = await lockout.locked_until(desk.db, lockout.name_key(found.login), now())
    state = "open" if found.active else "locked by an operator"
    if until is not None:
        state += f", after wrong attempts locked until {until:%Y-%m-%d %H:%M} UTC"
    click.echo(
        f"{found.login}: {found.name}, {found.role}, {state}\n"
        f"passkeys {has.passkeys}, authenticator app {'yes' if has.totp else 'no'}, "
        f"recovery codes {has.codes.count}, "
        f"one-time code {'waiting' if has.operator_code else 'none'}"
    )


@account.command()
@click.argument("login")
@click.argument("number", metavar="KRZP")
@readable
def professional(login: str, number: str) -> None:
    """The number by which providers of identities name a professional ("" = no longer)."""
    if number and check_professional(number).ok is False:
        fail(f"{check_professional(number).problem}.")
    asyncio.run(_number(login, number))


async def _number(login: str, number: str) -> None:
    async with _desk() as desk:
        found = await desk.account(login)
        await identities.set_professional(desk.db, found.id, number, now())
        await desk.note(found, "account-numbered")
    click.echo(f"account {found.login} is known as {number or 'nobody'}")


@account.command()
@click.argument("login")
@readable
def lock(login: str) -> None:
    """Close an account and end its sessions."""
    asyncio.run(_set(login, active=False))


@account.command()
@click.argument("login")
@readable
def unlock(login: str) -> None:
    """Open an account again, also one that wrong attempts have locked."""
    asyncio.run(_set(login, active=True))


async def _set(login: str, *, active: bool) -> None:
    async with _desk() as desk:
        found = await desk.account(login)
        await credentials.set_active(desk.db, found, active, now())
        await desk.note(found, "account-unlocked" if active else "account-locked")
    click.echo(f"account {found.login} is {'open' if active else 'locked'}")


@account.command()
@click.argument("login")
@readable
def reset(login: str) -> None:
    """Take away the second factors of who lost them; prints a one-time code instead."""
    asyncio.run(_reset(login))


async def _reset(login: str) -> None:
    async with _desk() as desk:
        found = await desk.account(login)
        code = await credentials.reset(desk.db, desk.keys, found.id, now())
        await desk.note(found, "account-reset")
    click.echo(f"one-time code: {code} (works once, for 7 days)")
