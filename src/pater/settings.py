"""The settings of one running Páteř: from the environment, over one TOML file, over defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "PATER_"
_NUMBERS: Final = ("port", "workers", "max_body", "mail_port", "feed_days")
SECRET: Final = frozenset({"mail_password", "database_url"})


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
    feed_days: int = 30  # how long listeners can look back; 0 = for ever
    stamp_url: str = ""  # time-stamp authority of the transparency log; our own when empty
    stamp_roots: str = ""  # PEM file with the root of that authority
    log_level: str = "info"

    @property
    def base_url(self) -> str:
        """The public address without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

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
        if name == "feed_days" and not 0 <= number <= 36_500:
            raise SettingsError(f"feed_days is from 0 to 36500, not {number}")
        return number
    if name == "mail_tls" and text not in ("", "starttls", "tls"):
        raise SettingsError(f"mail_tls is starttls or tls, not {text!r}")
    if name == "hook_networks":
        try:
            [ip_network(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise SettingsError(f"hook_networks lists networks, and {error}") from error
    if name in ("strict_identifiers", "demo"):
        lowered = text.lower()
        if lowered not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
            raise SettingsError(f"{name} is yes or no, not {text!r}")
        return lowered in ("1", "true", "yes", "on")
    return Path(text) if name == "data" else text
