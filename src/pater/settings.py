"""The settings of one running Páteř: from the environment, over one TOML file, over defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from pater.access.policy import PolicyError, named
from pater.access.probing import read_bounds
from pater.access.rates import read_rates
from pater.trust.seal.origins import origins_of

PREFIX: Final = "PATER_"
_NUMBERS: Final = (
    "port", "workers", "max_body", "mail_port", "feed_days", "journal_months", "journal_years",
    "acme_port", "mllp_port", "database_memory",
)  # fmt: skip
SECRET: Final = frozenset({"mail_password", "seal_password", "database_url", "basic_token"})


class SettingsError(ValueError):
    """A setting that cannot be used; the text says which and what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may set; every name is also an environment variable PATER_NAME."""

    data: Path  # keys, embedded database
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""  # as users see it; http://host:port when empty
    database_url: str = ""  # any PostgreSQL 16+; the embedded one when empty
    workers: int = 1
    max_body: int = 16 * 1024 * 1024  # bytes of one request
    strict_identifiers: bool = True  # a failing check digit is an error, not a warning
    demo: bool = False
    cors_origins: str = ""  # https://host[:port] …: pages that may call the API; none, "*" = any
    import_origins: str = ""  # https://host[:port] …: where `$import` may fetch from; none
    hook_networks: str = ""  # private networks that rest-hooks may call: 10.1.0.0/16, 10.2.3.4
    mail_host: str = ""  # the gateway for notifications by mail; none: no such subscriptions
    mail_port: int = 25
    mail_tls: str = ""  # starttls, tls or nothing
    mail_user: str = ""
    mail_password: str = ""
    mail_sender: str = "pater@localhost"
    # MB in which the embedded database keeps pages; 0 = two fifths of the memory of the machine
    database_memory: int = 0
    feed_days: int = 30  # how long listeners can look back; 0 = for ever
    journal_months: int = 36  # how long entries stay in the database; 0 = for ever
    journal_years: int = 10  # how long their archives are kept; 0 = for ever
    journal_archive: str = ""  # folder of the archives; `journal` in the data folder when empty
    stamp_url: str = ""  # time-stamp authority of the transparency log; our own when empty
    stamp_roots: str = ""  # PEM file with the root of that authority
    seal_key: str = (
        ""  # PEM or PKCS #12 file, pkcs11:…, csc+https://…; our own authority's if empty
    )
    seal_password: str = ""  # of the file or token; client:secret of a remote provider
    seal_password_file: str = ""  # the same from a file
    seal_roots: str = ""  # folder of PEM files: authorities whose seals and stamps are believed
    seal_origins: str = ""  # http://host[:port] …: where lists and answers are fetched from; none
    directory_providers: str = ""  # CSV file of the register of providers, imported each day
    directory_professionals: str = ""  # the same of professionals
    basic_registers: str = ""  # address of the interface of the basic registers; none
    basic_token: str = ""  # the bearer token for it
    policy: str = "cz"  # who may what: cz, declared, or the path of a policy file
    tls_certificate: str = ""  # PEM file: we end TLS ourselves; else a proxy does
    tls_key: str = ""
    tls_clients: str = ""  # PEM file with the authorities of clients' certificates
    certificate_proxies: str = ""  # networks whose header Client-Cert is believed
    acme_networks: str = ""  # private networks whose hosts may get certificates: 10.1.0.0/16
    acme_port: int = 80  # where hosts answer when ACME asks for their proof
    mllp_port: int = 0  # HL7 v2 over MLLP, with TLS and tls_clients; 0 = none
    rates: str = ""  # system=600000/120000 login=off …: limits other than those of access.rates
    probing: str = ""  # system=200/1000 …: bounds of looking for people, see access.probing
    log_level: str = "info"

    @property
    def base_url(self) -> str:
        """The public address without a slash at the end."""
        scheme = "https" if self.tls_certificate else "http"
        return (self.public_url or f"{scheme}://{self.host}:{self.port}").rstrip("/")

    @property
    def knows_certificates(self) -> bool:
        """Whether clients can show certificates here, or to a proxy that tells us."""
        return bool(self.tls_clients or self.certificate_proxies)

    @property
    def journal_folder(self) -> Path:
        """Where months of the journal are archived."""
        if self.journal_archive:
            return Path(self.journal_archive).expanduser()
        return self.data / "journal"

    @property
    def demo_mark(self) -> Path:
        """The file that marks a data folder as a demonstration's."""
        return self.data / "demonstration"

    def shown(self) -> dict[str, str]:
        """The settings for people, with secrets masked."""
        return {
            f.name: "********" if f.name in SECRET and getattr(self, f.name) else str(value)
            for f in fields(self)
            for value in [getattr(self, f.name)]
        }


def default_data() -> Path:
    """`.pater` in a source checkout; else the user's (or for root the system's) data folder."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / ".pater"
    if os.geteuid() == 0:
        return Path("/var/lib/pater")
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "pater"


def load(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from `environment` over the file that PATER_CONFIG names; `overrides` go first.

    Raises SettingsError for an unknown name or a value of the wrong kind.
    """
    known = {f.name: f.type for f in fields(Settings)}
    values: dict[str, Any] = {"data": default_data()}
    file = environment.get(PREFIX + "CONFIG")
    if file:
        values.update(_from_file(Path(file), known))
    for name in known:
        text = environment.get(PREFIX + name.upper())
        if text is not None and text != "":
            values[name] = _typed(name, text)
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["data"] = Path(values["data"]).expanduser().resolve()
    return Settings(**values)


def _from_file(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not valid TOML: {error}") from error
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise SettingsError(f"unknown settings in {path}: {', '.join(unknown)}")
    return {name: _typed(name, str(value)) for name, value in table.items()}


def _typed(name: str, text: str) -> Any:
    if name in _NUMBERS:
        try:
            number = int(text)
        except ValueError as error:
            raise SettingsError(f"{name} is a whole number, not {text!r}") from error
        if name == "acme_port" and not 1 <= number <= 65_535:
            raise SettingsError(f"acme_port is from 1 to 65535, not {number}")
        if name == "mllp_port" and not 0 <= number <= 65_535:
            raise SettingsError(f"mllp_port is from 1 to 65535, or 0 for none, not {number}")
        if name == "database_memory" and number and not 16 <= number <= 1_048_576:
            raise SettingsError(f"database_memory is from 16 to 1048576 MB, or 0, not {number}")
        if name == "feed_days" and not 0 <= number <= 36_500:
            raise SettingsError(f"feed_days is from 0 to 36500, not {number}")
        if name == "journal_months" and number and not 2 <= number <= 1200:
            raise SettingsError(f"journal_months is from 2 to 1200, or 0, not {number}")
        if name == "journal_years" and number and not 3 <= number <= 100:
            # who looked is told for three years at least: Regulation (EU) 2025/327, art. 9
            raise SettingsError(f"journal_years is from 3 to 100, or 0, not {number}")
        return number
    if name == "seal_origins":
        try:
            origins_of(text)
        except ValueError as error:
            raise SettingsError(f"seal_origins: {error}") from error
    if name == "rates":
        try:
            read_rates(text)
        except ValueError as error:
            raise SettingsError(f"rates: {error}") from error
    if name == "probing":
        try:
            read_bounds(text)
        except ValueError as error:
            raise SettingsError(f"probing: {error}") from error
    if name == "basic_registers" and not text.startswith(("https://", "http://")):
        raise SettingsError(f"basic_registers is an address, http(s)://…, not {text!r}")
    if name == "mail_tls" and text not in ("", "starttls", "tls"):
        raise SettingsError(f"mail_tls is starttls or tls, not {text!r}")
    if name == "policy":
        try:
            named(text)
        except PolicyError as error:
            raise SettingsError(f"policy: {error.problems[0]}") from error
    if name in ("hook_networks", "certificate_proxies", "acme_networks"):
        try:
            [ip_network(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise SettingsError(f"{name} lists networks, and {error}") from error
    if name in ("strict_identifiers", "demo"):
        lowered = text.lower()
        if lowered not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
            raise SettingsError(f"{name} is yes or no, not {text!r}")
        return lowered in ("1", "true", "yes", "on")
    return Path(text) if name == "data" else text
