"""Languages of the pages: catalogues of the shell and the domains, dates and numbers.

Source strings are English in templates (`_('…')`) and Python (`N_('…')` where a text is only
marked). Catalogues are `.po` files read at start, so that nobody needs a compile step:
`<folder>/<language>/LC_MESSAGES/messages.po` (or `<folder>/<language>/messages.po`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations

LANGUAGES = ("cs", "en")
DEFAULT = "cs"
NAMES: Mapping[str, str] = {"cs": "Čeština", "en": "English"}
_LOCALES: Mapping[str, Locale] = {"cs": Locale("cs", "CZ"), "en": Locale("en", "GB")}


def N_(text: str) -> str:  # noqa: N802 - the usual gettext name for "mark, do not translate yet"
    """Marks a text for the catalogues; it is translated where it is shown."""
    return text


class Language:
    """One language of the pages: its texts and its ways to write dates and numbers."""

    def __init__(self, code: str, folders: Sequence[Path], zone: str = "Europe/Prague") -> None:
        """`folders` are `locale` folders; texts of earlier ones win."""
        self.code = code
        self.locale = _LOCALES[code]
        self.zone = ZoneInfo(zone)
        # not an empty `Translations()`: that one would count plurals the English way
        self.texts = _compiled(Catalog(locale=code))
        for folder in reversed(folders):
            for path in catalogues(folder, code):
                self.texts.merge(_read(path, code))

    def gettext(self, text: str) -> str:
        """The text in this language; the English text itself where there is no translation."""
        return self.texts.gettext(text) if text else ""

    def pick(self, texts: Mapping[str, str]) -> str:
        """The text of a mapping by language (as domains give their titles)."""
        return texts.get(self.code) or texts.get("en") or next(iter(texts.values()), "")

    def date(self, value: date | datetime | str | None, form: str = "long") -> str:
        """A day, e.g. `5. března 2026`; partial FHIR dates (`2026`, `2026-03`) stay partial."""
        if value is None or value == "":
            return ""
        if isinstance(value, str):
            return self._fhir_date(value, form)
        if isinstance(value, datetime):
            value = value.astimezone(self.zone).date()
        return format_date(value, form, locale=self.locale)

    def datetime(self, value: datetime | str | None, form: str = "medium") -> str:
        """A moment in local time without seconds; a FHIR dateTime may be a day only."""
        if value is None or value == "":
            return ""
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return value
            if len(value) <= 10 or moment.tzinfo is None:
                return self._fhir_date(value[:10], form)
            value = moment
        day = self.date(value, form)
        return f"{day} {format_datetime(value, 'HH:mm', tzinfo=self.zone, locale=self.locale)}"

    def number(self, value: float | int | str | None, places: int | None = None) -> str:
        """A number with the language's separators; `places` fixes the digits after the comma."""
        if value is None or value == "":
            return ""
        pattern = None if places is None else "#,##0" + ("." + "0" * places if places else "")
        if pattern is None and not isinstance(value, int):
            return format_decimal(value, locale=self.locale, decimal_quantization=False)
        return format_decimal(value, format=pattern, locale=self.locale)

    def _fhir_date(self, text: str, form: str) -> str:
        parts = text[:10].split("-")
        try:
            if len(parts) == 1:
                return str(int(parts[0]))
            if len(parts) == 2:
                month = date(int(parts[0]), int(parts[1]), 1)
                return format_date(month, "LLLL yyyy", locale=self.locale)
            return format_date(date.fromisoformat(text[:10]), form, locale=self.locale)
        except ValueError:
            return text


def languages(folders: Sequence[Path], zone: str = "Europe/Prague") -> dict[str, Language]:
    """Every language of the pages with the catalogues of the given `locale` folders."""
    return {code: Language(code, folders, zone) for code in LANGUAGES}


def catalogues(folder: Path, code: str) -> list[Path]:
    """The `.po` files of one language in a `locale` folder."""
    return sorted((folder / code).rglob("*.po")) if (folder / code).is_dir() else []


def negotiate(header: str) -> str:
    """The best of our languages for an Accept-Language header (RFC 9110 12.5.4), else Czech."""
    best, best_weight = DEFAULT, 0.0
    for part in header[:1000].split(",")[:30]:
        tag, _, options = part.strip().partition(";")
        code = tag.strip().lower().split("-")[0]
        name, _, value = options.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if code == "sk":  # Slovak readers read Czech
            code, weight = "cs", weight * 0.99
        if code in LANGUAGES and weight > best_weight:
            best, best_weight = code, weight
    return best


def _read(path: Path, code: str) -> Translations:
    with path.open("rb") as file:
        return _compiled(read_po(file, locale=code))


def _compiled(catalogue: Catalog) -> Translations:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
