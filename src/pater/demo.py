"""The demonstration: a small invented region with clients and accounts whose secrets are public.

It lives in a data folder of its own that carries a mark; outside such a folder nothing here works.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Final

import click
from joserfc.jwk import ECKey

from pater.access import accounts, apps, clients
from pater.access.accounts import Account
from pater.access.clients import Client
from pater.access.federation import identities, issuers
from pater.access.federation.issuers import Issuer
from pater.access.policy import ROLE_PURPOSES
from pater.access.scopes import SEAL
from pater.app import House
from pater.clock import now
from pater.demo_people import PLAYERS, system_caller
from pater.domains.apps import sample
from pater.domains.directory.demo import region as directory
from pater.domains.exchange.demo import Region, care, demo_region
from pater.domains.exchange.demo.people import Person
from pater.domains.exchange.intake import Intake
from pater.domains.persons import demo as persons
from pater.domains.persons.hl7 import demo as hl7
from pater.domains.simulators import people
from pater.domains.simulators.identity import PATH as SIMULATED_AT
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.registers.patients import known_identifiers, strong_key
from pater.running import ServingError
from pater.settings import Settings
from pater.web.pages import DemoAccount

SIMULATED: Final = {one.key: one for one in people.PEOPLE}
MARK: Final = "This folder holds a demonstration: its passwords and keys are public.\n"


def mark(settings: Settings) -> None:
    """Marks the data folder as a demonstration's. Raises ServingError on a folder in real use."""
    if settings.demo_mark.exists():
        return
    if (settings.data / "keys").exists():
        raise ServingError(
            f"The data folder {settings.data} is not a demonstration's.",
            "Choose another one for the demonstration: PATER_DATA=/tmp/pater-demo make demo",
        )
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        settings.demo_mark.write_text(MARK, "utf-8")
    except OSError as error:
        raise ServingError(
            f"The data folder {settings.data} cannot be used: {error.strerror}.",
            "Mend its rights, or choose another one: PATER_DATA=/path/to/folder",
        ) from error


class Preparation:
    """Makes clients, accounts and the region's records; what is there already stays."""

    def __init__(self, *, empty: bool) -> None:
        self._empty = empty

    async def __call__(self, house: House) -> None:
        """Prepares an open house, telling how far it is."""
        region = demo_region()
        await _register_clients(house, region)
        example = sample.app(house.settings.base_url)
        if await apps.find(house.db, example.id) != example:
            await apps.register(house.db, example, now)
        await _register_issuer(house)
        if not self._empty:
            await _load(house, region)
            await directory.fill(house.gate, *_of_directory(region))
            await _describe_senders(house, region)
            await _fill_register(house, region)
        await _open_accounts(house, region)
        await _number_professionals(house, region)


async def _register_clients(house: House, region: Region) -> None:
    folder = house.settings.data / "demo-keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    names = {h.key: h for h in region.hospitals}
    made = [
        ("hospital-a", names["a"].name, "provider-system", names["a"].ico, names["a"].name),
        ("hospital-b", names["b"].name, "provider-system", names["b"].ico, names["b"].name),
        ("insurer", "Pojišťovna Podlesí", "none", "", "Pojišťovna Podlesí"),
        ("loader", "Zavádění dat", "loader", "", ""),
    ]
    for name, title, role, ico, organization in made:
        if await clients.find(house.db, name) is not None:
            continue
        key = ECKey.generate_key("P-384", parameters={"kid": name, "alg": "ES384", "use": "sig"})
        handle = os.open(folder / f"{name}.jwk", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(key.as_dict(private=True), file)
        scope = "system/*.rs" if role == "none" else "system/*.cruds"
        await clients.register(
            house.db,
            Client(
                id=name,
                name=f"{title} (informační systém)" if role == "provider-system" else title,
                role=role,
                organization=ico,
                organization_name=organization,
                jwks={"keys": [dict(key.as_dict(private=False))]},
                scopes=(scope, SEAL) if role == "provider-system" else (scope,),
                purposes=ROLE_PURPOSES[role],
            ),
            now,
        )


async def _describe_senders(house: House, region: Region) -> None:
    """The hospitals as senders of HL7 v2 messages."""
    hospitals = [(f"hospital-{h.key}", h.ico, h.name) for h in region.hospitals]
    await hl7.fill(house.gate, house.db, await system_caller(house.db, "loader"), hospitals)


async def _register_issuer(house: House) -> None:
    """The simulated provider of identities, at our own address."""
    simulated = Issuer(
        id="simulated",
        address=house.settings.base_url + SIMULATED_AT,
        name={"cs": "Simulovaná identita státu", "en": "Simulated identity of the state"},
        client_id=people.CLIENT,
        proof="client_secret_basic",
        secret=people.SECRET,
        claims=people.CLAIMS,
        demo=True,
    )
    if await issuers.find(house.db, house.keys, simulated.id) != simulated:
        await issuers.register(house.db, house.keys, simulated, now)


async def _number_professionals(house: House, region: Region) -> None:
    """Whom the simulated provider names as professionals: a player, and one who only comes so."""
    alena = SIMULATED["alena"].professional
    known = await identities.of_professional(house.db, alena)
    if not known:
        await identities.set_professional(house.db, "clinician-b", alena, now())
    physician = SIMULATED["frantisek"]
    if not await identities.of_professional(house.db, physician.professional):
        hospital = next(h for h in region.hospitals if h.key == "b")
        made = Account(
            id="physician-and-patient",
            login="physician-and-patient",
            name=f"MUDr. {physician.name}",
            role="clinician",
            organization=hospital.ico,
            organization_name=hospital.name,
        )
        password = secrets.token_urlsafe(32)  # nobody knows it
        await accounts.save(house.db, house.keys, made, password, None, now)
        await identities.set_professional(house.db, made.id, physician.professional, now())


async def _load(house: House, region: Region) -> None:
    """Sends the region's documents as its hospitals, unless they are here."""
    if await house.db.fetchval("select 1 from exchange_document limit 1"):
        return
    intake = Intake(house.services, house.register, now)
    label = "▸ Demonstration records"
    pairs = list(zip(region.documents, region.senders, strict=True))
    with click.progressbar(pairs, label=label, file=sys.stderr) as documents:
        for body, sender in documents:
            caller = await system_caller(house.db, f"hospital-{sender}")
            await intake.accept(caller, parse(body), body)
    for hospital in region.hospitals:
        caller = await system_caller(house.db, f"hospital-{hospital.key}")
        stays = [
            Change("create", "Encounter", None, care.encounter(found[1], hospital.key))
            for person in region.patients
            if care.in_care(person, hospital.key) and (found := await _registered(house, person))
        ]
        await house.gate.commit(caller, stays)
    for person in region.patients:
        if person.key == care.RESERVED and (found := await _registered(house, person)):
            loader = await system_caller(house.db, "loader")
            declared = Change("create", "Consent", None, care.reserve(found[1]))
            await house.gate.commit(loader, [declared])


async def _fill_register(house: House, region: Region) -> None:
    """What the hospitals tell of people under their own numbers, for the registrars."""
    if house.services.registers is not None:
        callers = {
            h.key: await system_caller(house.db, f"hospital-{h.key}") for h in region.hospitals
        }
        loader = await system_caller(house.db, "loader")
        await persons.fill(house.services, house.services.registers, callers, loader)


def _of_directory(region: Region) -> tuple[list[directory.Hospital], list[directory.Physician]]:
    """The region's hospitals and physicians as the register of providers has them."""
    hospitals = [
        directory.Hospital(h.key, h.name, h.ico, h.street, h.city, h.postal_code)
        for h in region.hospitals
    ]
    people = [
        directory.Physician(
            d.hospital, d.krzp, d.given, d.family, d.prefix, d.suffix, d.specialty, d.gender
        )
        for d in region.practitioners
    ]
    return hospitals, people


async def _registered(house: House, person: Person) -> tuple[int, str] | None:
    """The number and the Patient id of a person of the region, None where no document came."""
    keys = [strong_key(i) for i in known_identifiers(person.resource()) if i.usable]
    row = await house.db.fetchrow(
        "select person, target from claim where key = any($1::bytea[]) limit 1", keys
    )
    return (row["person"], row["target"]) if row else None


async def _open_accounts(house: House, region: Region) -> None:
    hospitals = {h.key: h for h in region.hospitals}
    people = {p.key: p for p in region.patients}
    for player in PLAYERS:
        found = await accounts.find_by_login(house.db, player.login)
        if found is not None and (found.person or not player.person):
            continue
        hospital = hospitals.get(player.hospital)
        person, patient = 0, ""
        if player.person:
            person, patient = await _registered(house, people[player.person]) or (0, "")
        await accounts.save(
            house.db,
            house.keys,
            Account(
                id=player.login,
                login=player.login,
                name=player.name,
                role=player.role,
                organization=hospital.ico if hospital else "",
                organization_name=hospital.name if hospital else "",
                person=person or None,
                patient=patient or None,
            ),
            player.password,
            accounts.totp_secret(),
            now,
        )


async def demo_accounts(house: House) -> Sequence[DemoAccount]:
    """The accounts as the landing page offers them, with the codes of this moment."""
    db, keys = house.db, house.keys
    found = []
    for player in PLAYERS:
        account = await accounts.find_by_login(db, player.login)
        code = await accounts.current_code(db, keys, player.login, now)
        if account is not None and code is not None:
            found.append(
                DemoAccount(
                    login=player.login,
                    password=player.password,
                    name=account.name,
                    role=account.role,
                    code=code,
                    organization=account.organization_name,
                    note=player.note,
                )
            )
    return found


async def announce(house: House) -> None:
    """Prints where to go and as whom."""
    url = house.settings.base_url
    line = click.style
    click.echo(f"\n{line('Páteř', bold=True)} is running: {line(url, fg='green', bold=True)}\n")
    click.echo(f"  {'login':14}{'password':30}{'who'}")
    for one in await demo_accounts(house):
        who = f"{one.name}, {one.organization or one.role}"
        click.echo(f"  {one.login:14}{one.password:30}{who}")
    click.echo(
        "\n  The one-time code of a login is on the first page, or: .venv/bin/pater totp LOGIN\n"
        f"  FHIR API {url}/fhir, a token for it: .venv/bin/pater token hospital-a\n"
        f"  Data in {house.settings.data}. Stop with Ctrl-C; what was written stays.\n"
    )
    sys.stdout.flush()
