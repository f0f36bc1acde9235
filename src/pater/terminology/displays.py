"""Whether the display that came with a code is one of its names, in the language wanted."""

from __future__ import annotations

from typing import Final

from pater.terminology.issues import TxIssue, any_of
from pater.terminology.languages import Wish, all_displays, fits
from pater.terminology.model import Concept, Designation, SystemInfo

KIND: Final = "invalid-display"


def _plain(name: str) -> str:
    return name.casefold()


def _bare(name: str) -> str:
    return " ".join(name.casefold().split())


def check_display(
    given: str,
    concept: Concept,
    info: SystemInfo,
    wanted: Wish,
    path: str,
    *,
    lenient: bool = False,
    more: tuple[Designation, ...] = (),
) -> TxIssue | None:
    """What is wrong with a display, or worth saying of it; `more` are names of a value set."""
    have = [*more, *all_displays(concept, info)]
    active = [each for each in have if not each.status]
    if wanted.tags:
        spoken = [
            each
            for each in active
            if not each.language or any(fits(each.language, tag) for tag in wanted.tags)
        ]
    else:
        spoken = active
    if any(_plain(each.value) == _plain(given) for each in spoken):
        return None
    for each in have:
        if each.status and _plain(each.value) == _plain(given):
            return _outdated(given, concept, spoken, path)
    severity = "warning" if lenient else "error"
    what = f"{info.url}#{concept.code}"
    languages = f"(for the language(s) '{wanted.shown}')"
    if not spoken:
        return _no_language(given, concept, active, what, wanted, severity, path)
    shown = [_shown(each) for each in spoken]
    valid = (
        f"Valid display is {shown[0]} {languages}"
        if len(shown) == 1
        else f"Valid display is one of {len(shown)} choices: {any_of(shown)} {languages}"
    )
    start, id_ = "Wrong Display Name", "Display_Name_for__should_be_one_of__instead_of"
    if any(_bare(each.value) == _bare(given) for each in spoken):
        start = "Wrong whitespace in Display Name"
        id_ = "Display_Name_WS_for__should_be_one_of__instead_of"
    sentence = f"{start} '{given}' for {what}. {valid}"
    return TxIssue(severity, "invalid", KIND, sentence, path, id=id_)


def _shown(designation: Designation) -> str:
    language = f" ({designation.language})" if designation.language else ""
    return f"'{designation.value}'{language}"


def _no_language(
    given: str,
    concept: Concept,
    active: list[Designation],
    what: str,
    wanted: Wish,
    severity: str,
    path: str,
) -> TxIssue:
    """Nothing in the language wanted: the names of the system's own language are good enough."""
    languages = f"for language(s) '{wanted.shown}'"
    if any(_plain(each.value) == _plain(given) for each in active):
        sentence = (
            f"There are no valid display names found for the code {what} {languages}."
            f" The display is '{given}' which is a valid display for the default language"
        )
        id_ = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK"
        return TxIssue("information", "invalid", KIND, sentence, path, id=id_)
    sentence = (
        f"Wrong Display Name '{given}' for {what}. There are no valid display names found"
        f" {languages}. Default display is '{concept.display}'"
    )
    id_ = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR"
    return TxIssue(severity, "invalid", KIND, sentence, path, id=id_)


def _outdated(given: str, concept: Concept, spoken: list[Designation], path: str) -> TxIssue:
    right = any_of([f'"{each.value}"' for each in spoken])
    sentence = (
        f"'{given}' is no longer considered a correct display for code '{concept.code}'"
        f" (status = deprecated). The correct display is one of {right}."
    )
    id_ = "INACTIVE_DISPLAY_FOUND"
    return TxIssue("warning", "invalid", "display-comment", sentence, path, told=False, id=id_)
