"""The template engine of the pages: one strict, escaping environment for each language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
)

from pater.web.assets import Assets
from pater.web.charts import bars
from pater.web.i18n import LANGUAGES, N_, NAMES, Language

HERE = Path(__file__).resolve().parent / "templates"

ROLE_NAMES: Mapping[str, str] = {
    "patient": N_("Patient"),
    "proxy": N_("Representative"),
    "clinician": N_("Clinician"),
    "provider-system": N_("Hospital system"),
    "loader": N_("Data loading"),
    "app": N_("App"),
    "khs": N_("Public health authority"),
    "rescue": N_("Rescue service"),
    "police": N_("Police"),
    "insurer": N_("Health insurance company"),
    "researcher": N_("Researcher"),
    "administrator": N_("Administrator"),
    "privacy-officer": N_("Privacy officer"),
    "auditor": N_("Auditor"),
    "registrar": N_("Registrar"),
    "none": N_("No access to records"),
}


class Templates:
    """Renders the shell's templates by name and a domain's as `<domain>/<name>`.

    The language is fixed when a template is chosen, so `_`, dates and numbers work in macros too.
    Every template knows: `_`, `ngettext`, `lang`, `icon(name, label)`, `asset(path)`, `bars`,
    `role_name(role)`, `pick({cs, en})` and the filters `date`, `datetime`, `number`, `filesize` and
    `translate` (the values of a mapping, marked in Python with `N_`).
    """

    def __init__(
        self, languages: Mapping[str, Language], assets: Assets, domains: Mapping[str, Path]
    ) -> None:
        """`domains` maps a domain's name to its `templates` folder."""
        loader = ChoiceLoader(
            [
                FileSystemLoader(HERE),
                PrefixLoader({name: FileSystemLoader(path) for name, path in domains.items()}),
            ]
        )
        self._environments = {
            code: _environment(loader, language, assets) for code, language in languages.items()
        }

    def render(self, lang: str, template: str, values: Mapping[str, Any]) -> str:
        """One page as text. An unknown variable is an error, never an empty place."""
        return self._environments[lang].get_template(template).render(values)


def _environment(loader: ChoiceLoader, language: Language, assets: Assets) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]  # by the extension
        language.texts, newstyle=True
    )

    def role_name(role: str) -> str:
        return language.gettext(ROLE_NAMES.get(role, role))

    environment.globals.update(
        lang=language.code,
        languages=[(code, NAMES[code]) for code in LANGUAGES],
        icon=assets.icon,
        asset=assets.url,
        bars=bars,
        role_name=role_name,
        pick=language.pick,
    )

    def day(value: date | datetime | str | None, form: str = "long") -> str:
        return language.date(value, form)

    def moment(value: datetime | str | None, form: str = "medium") -> str:
        return language.datetime(value, form)

    def filesize(value: int) -> str:
        if value < 1024:
            return f"{value} B"
        if value < 1024 * 1024:
            return f"{language.number(value / 1024, 0)} kB"
        return f"{language.number(value / 1024 / 1024, 1)} MB"

    def translate(texts: Mapping[str, str]) -> dict[str, str]:
        return {key: language.gettext(text) for key, text in texts.items()}

    environment.filters["translate"] = translate
    environment.filters.update(date=day, datetime=moment, number=language.number, filesize=filesize)
    return environment
