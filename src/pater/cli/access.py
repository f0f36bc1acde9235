"""`pater access`: check a policy file, list the policies that were in force, explain a decision."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import click

from pater.access import (
    accounts,
    audit,
    clients,
    policy_versions,
    probing,
    representation,
    sessions,
)
from pater.access.caller import TWO_FACTORS, Caller
from pater.access.deciding import ACTIONS, Action, Policy
from pater.access.explaining import Asked
from pater.access.explaining import explain as explained
from pater.access.policy_files import PolicyError, named, read_policy
from pater.access.policy_files import body_of as body
from pater.access.standing import DatabaseStanding
from pater.cli.common import fail, readable, settings_of
from pater.cli.noting import note
from pater.clock import now
from pater.fhir.definitions import RESOURCE_TYPES
from pater.running import running_database
from pater.store.database import Database
from pater.store.read import persons_of

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
OPERATOR = Caller(kind="system", id="operator", name="", role="")


@click.group()
def access() -> None:
    """Who may what: the policy, and why something is or is not allowed."""


@access.command()
@click.argument("file", type=_FILE)
@readable
def check(file: Path) -> None:
    """Check a policy FILE before it is set as PATER_POLICY."""
    try:
        policy = read_policy(body(str(file)))
    except PolicyError as error:
        _wrong(error)
    click.echo(f"{policy.name} {policy.version}: {len(policy.rules)} rules, {policy.digest}")


def _wrong(error: PolicyError) -> NoReturn:
    fail("The policy cannot be used.", "\n  ".join(error.problems))


@access.command()
@readable
def policy() -> None:
    """List the policies that have been in force, the last one first."""
    asyncio.run(_policies())


async def _policies() -> None:
    async with running_database(settings_of()) as db:
        for each in await policy_versions.versions(db):
            since = f"{each.since:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{since}  {each.name} {each.version}  {each.digest[:12]}")


@access.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("type", type=click.Choice(RESOURCE_TYPES), metavar="TYPE")
@click.option("--client", default="", help="Id of a system.")
@click.option("--account", default="", help="Login name of a person.")
@click.option("--purpose", default="", help="Purpose of use, e.g. TREAT.")
@click.option("--patient", default="", help="Id of a Patient; without: the type in general.")
@click.option("--at", type=_MOMENT, help="A moment in the past (UTC); now when left out.")
@click.option("--lang", type=click.Choice(["cs", "en"]), default="en")
@readable
def explain(
    action: Action,
    type: str,
    client: str,
    account: str,
    purpose: str,
    patient: str,
    at: datetime | None,
    lang: str,
) -> None:
    """Explain why ACTION on TYPE is or is not allowed. What is asked of a patient is recorded."""
    if bool(client) == bool(account):
        fail("Whose right?", "Name a system by --client or a person by --account.")
    moment = at.replace(tzinfo=UTC) if at else now()
    asyncio.run(_explain(action, type, client, account, purpose, patient, moment, bool(at), lang))


async def _explain(
    action: Action,
    type: str,
    client: str,
    account: str,
    purpose: str,
    patient: str,
    at: datetime,
    past: bool,
    lang: str,
) -> None:
    settings = settings_of()
    async with running_database(settings) as db:
        caller = await _caller(db, client, account, purpose)
        policy: Policy | None = named(settings.policy)
        if past:
            policy = await policy_versions.in_force(db, at)
        if policy is None:
            fail("No policy was in force at that time.", "See `pater access policy`.")
        asked = Asked(caller, action, type, None, at)
        if patient:
            found = await persons_of(db, [patient])
            if patient not in found:
                fail("There is no such Patient.")
            person = found[patient]
            await _note(db, person, patient, caller)
            standing = DatabaseStanding(db, now, policy.territories, policy.parents)
            acting = None
            if caller.person and caller.person != person:
                acting = await representation.between(db, caller.person, person, at)
            if acting is not None and acting.holds(at):
                caller = representation.stepped_in(caller, acting)
            seen = await standing.seen(caller, person, at)
            said = await standing.said(caller, person, at)
            asked = Asked(caller, action, type, person, at, seen, said, acting)
        for line in explained(policy, asked, lang):
            click.echo(line)
        if past and patient:
            click.echo(_AS_NOW[lang])


@access.command()
@click.option("--days", type=click.IntRange(1, 400), default=30, help="How far to look back.")
@readable
def alarms(days: int) -> None:
    """List who asked for many people in vain, the last one first."""
    asyncio.run(_alarms(days))


async def _alarms(days: int) -> None:
    async with running_database(settings_of()) as db:
        found = await probing.alarms(db, now() - timedelta(days=days))
    for each in found:
        who = " ".join(x for x in (each["organization"], each["agent_name"]) if x)
        click.echo(
            f"{each['at']:%Y-%m-%d %H:%M} UTC  {each['kind']:7}  {each['people']:5} people  "
            f"{each['agent_kind']}/{each['agent']}  {who}  {each['role']}  {each['source']}"
        )
    if not found:
        click.echo("None.")


async def _caller(db: Database, client: str, account: str, purpose: str) -> Caller:
    if client:
        system = await clients.find(db, client)
        if system is None:
            fail(f"There is no system {client!r}.")
        return clients.client_caller(system, scopes=system.scopes, purpose=purpose)
    person = await accounts.find_by_login(db, account)
    if person is None:
        fail(f"There is no account {account!r}.", "See `pater account show LOGIN`.")
    return sessions.account_caller(person, strength=TWO_FACTORS, purpose=purpose)


async def _note(db: Database, person: int, patient: str, caller: Caller) -> None:
    """Who had a decision about a patient explained is in that patient's journal."""
    entry = audit.entry(
        OPERATOR, "R", "operation", audit.OK, clock=now, reason="explained", person=person,
        patient=patient, query=f"access-explain={caller.kind}/{caller.id}",
    )  # fmt: skip
    await note(db, entry)


_AS_NOW = {
    "cs": "Vztahy starší než 90 dnů po svém konci se nevedou; prohlášení jsou ta dnešní.",
    "en": "Relations are kept for 90 days after their end; declarations are those of today.",
}
