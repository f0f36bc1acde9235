"""Languages: every text has its Czech, dates and numbers read as people write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import pater.web
from pater.web.i18n import Language, catalogues, negotiate

SHELL = Path(pater.web.__file__).parent
DOMAINS = SHELL.parent / "domains"
ROOMS = [SHELL, *sorted(path for path in DOMAINS.glob("*") if (path / "__init__.py").is_file())]
KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}


def marked(folder: Path) -> set[str]:
    """Every text that a room's templates and modules mark for translation."""
    found = extract_from_dir(
        folder,
        method_map=[("**.html", "jinja2"), ("**.py", "python")],
        options_map={"**.html": {"newstyle_gettext": "true"}},
        keywords=KEYWORDS,
    )
    return {m if isinstance(m, str) else m[0] for _, _, m, _, _ in found}


def texts(folder: Path) -> dict[str, object]:
    """The Czech texts of a room by their source, without the header."""
    out: dict[str, object] = {}
    for path in catalogues(folder / "locale", "cs"):
        with path.open("rb") as file:
            catalogue: Catalog = read_po(file, locale="cs")
        for message in catalogue:
            if message.id and not message.fuzzy:
                key = message.id if isinstance(message.id, str) else message.id[0]
                out[key] = message.string
    return out


def complete(translation: object) -> bool:
    """Whether a translation is there, in each of its plural forms."""
    return all(translation) if isinstance(translation, tuple) else bool(translation)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_text_of_a_room_has_its_czech(room: Path) -> None:
    known = {**texts(SHELL), **texts(room)}
    missing = sorted(text for text in marked(room) if text and not complete(known.get(text)))
    assert missing == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_translations_keep_the_places_of_values(room: Path) -> None:
    places = re.compile(r"%\(\w+\)s")
    for source, translation in texts(room).items():
        if isinstance(translation, str):
            assert sorted(places.findall(source)) == sorted(places.findall(translation)), source


def test_no_translation_of_the_shell_is_left_over() -> None:
    assert set(texts(SHELL)) - marked(SHELL) == set()


def test_dates_and_numbers_are_written_as_the_language_writes_them() -> None:
    cs, en = Language("cs", []), Language("en", [])
    assert cs.date("2026-03-05") == "5. března 2026"
    assert en.date(date(2026, 3, 5)) == "5 March 2026"
    assert cs.date("2026-03") == "březen 2026" and cs.date("2026") == "2026"
    assert cs.date(None) == "" and cs.date("sometime") == "sometime"
    # midnight in UTC is the next day's morning in Prague only after 22:00 in summer
    assert cs.date(datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "short") == "02.07.26"
    assert cs.datetime("2026-07-01T22:30:00Z") == "2. 7. 2026 00:30"
    assert cs.datetime("2026-07-01") == "1. 7. 2026"
    assert cs.datetime("2026-07-01T99:00:00Z") == "2026-07-01T99:00:00Z"
    assert cs.number(12345.678) == "12\xa0345,678" and en.number(12345.678) == "12,345.678"
    assert cs.number("0.0000001") == "0,0000001"
    assert cs.number(4.25, 1) == "4,2" and cs.number(7) == "7" and cs.number(None) == ""


def test_czech_plurals_have_three_forms(tmp_path: Path) -> None:
    folder = tmp_path / "cs" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messages.po").write_text(
        'msgid "%(num)s record"\nmsgid_plural "%(num)s records"\n'
        'msgstr[0] "%(num)s záznam"\nmsgstr[1] "%(num)s záznamy"\nmsgstr[2] "%(num)s záznamů"\n'
    )
    language = Language("cs", [tmp_path])
    forms = [language.texts.ngettext("%(num)s record", "%(num)s records", n) for n in (1, 3, 5)]
    assert forms == ["%(num)s záznam", "%(num)s záznamy", "%(num)s záznamů"]


def test_earlier_catalogues_win_and_others_fill_in(tmp_path: Path) -> None:
    for name, content in (("a", [("one", "první")]), ("b", [("one", "jiný"), ("two", "druhý")])):
        folder = tmp_path / name / "cs"
        folder.mkdir(parents=True)
        entries = "".join(f'msgid "{source}"\nmsgstr "{text}"\n\n' for source, text in content)
        (folder / "messages.po").write_text(entries)
    language = Language("cs", [tmp_path / "a", tmp_path / "b"])
    assert language.gettext("one") == "první" and language.gettext("two") == "druhý"
    assert language.gettext("three") == "three" and language.gettext("") == ""


def test_negotiation_survives_nonsense() -> None:
    for header in ("", ",,,", "*", "en;q=nan", "en;q=-1", "x" * 100_000, ";q=1", "cs-CZ"):
        assert negotiate(header) == "cs"
    assert negotiate("EN-us") == "en"
