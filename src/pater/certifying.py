"""What an installation has of `trust`, made of its settings: authority, ACME, seals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.routing import BaseRoute

from pater.access.peer import networks
from pater.settings import Settings
from pater.store.database import Database
from pater.trust import acme, ca
from pater.trust.keys import Keys
from pater.trust.seal.assembly import Wishes, service_of
from pater.trust.seal.own import Own
from pater.trust.seal.service import Service as SealService
from pater.trust.tsa.self_made import self_made

Clock = Callable[[], datetime]


def certification(settings: Settings, db: Database, now: Clock) -> ca.Authority:
    """The certification authority, with its keys in the data folder."""
    return ca.Authority(db, ca.FileSigners(settings.data / "ca"), settings.base_url, now)


def binding_keys(db: Database, keys: Keys, now: Clock) -> acme.Binding:
    """The keys by which servers of a provider may get certificates (ACME)."""
    return acme.Binding(db, keys.derived("binding keys of acme"), now)


def acme_routes(settings: Settings, db: Database, keys: Keys, now: Clock) -> list[BaseRoute]:
    """The addresses of ACME."""
    prover = acme.Prover(networks(settings.acme_networks), settings.acme_port)
    desk = acme.Acme(certification(settings, db, now), binding_keys(db, keys, now), prover, now)
    nonces = acme.Nonces(db, keys.derived("nonces of acme"), now)
    return acme.routes(desk, nonces, settings.base_url)


def seal_service(settings: Settings, db: Database, now: Clock) -> SealService:
    """The service that seals. Raises SealError or KeysError for settings that cannot be used."""
    stamps = self_made(settings.data / "keys", now).root  # those that `POST /tsa` gives
    wishes = Wishes(
        settings.seal_key,
        settings.seal_password,
        settings.seal_password_file,
        settings.seal_roots,
        settings.seal_origins,
        settings.stamp_url,
        settings.stamp_roots,
        unrevocable=(stamps.public_bytes(Encoding.DER),),
    )
    return service_of(wishes, Own(certification(settings, db, now), now), now)
