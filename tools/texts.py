"""Lists the texts of templates and Python of a room that have no Czech translation yet.

python tools/texts.py src/pater/web src/pater/domains/exchange
"""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"**.html": {"trimmed": "true", "silent": "false"}}
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def texts(folder: Path) -> dict[str, str]:
    """Every marked text with the place of its first use."""
    found: dict[str, str] = {}
    for name, line, message, _, _ in extract_from_dir(
        str(folder),
        METHODS,
        OPTIONS,
        KEYWORDS,  # type: ignore[arg-type]
    ):
        for one in (message,) if isinstance(message, str) else tuple(message or ()):
            if one:
                found.setdefault(one, f"{name}:{line}")
    return found


def translated(folder: Path) -> set[str]:
    """The texts of a room's Czech catalogues that have a translation."""
    done: set[str] = set()
    for path in sorted((folder / "locale" / "cs").rglob("*.po")):
        with path.open("rb") as file:
            done |= {str(m.id) for m in read_po(file) if m.id and m.string}
    return done


def missing(folder: Path) -> dict[str, str]:
    """What is marked and not translated."""
    done = translated(folder)
    return {text: place for text, place in texts(folder).items() if text not in done}


if __name__ == "__main__":
    open_texts = {t: f"{arg}/{p}" for arg in sys.argv[1:] for t, p in missing(Path(arg)).items()}
    for text, place in open_texts.items():
        print(f'# {place}\nmsgid "{text}"\nmsgstr ""\n')
    sys.exit(1 if open_texts else 0)
