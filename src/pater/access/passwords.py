"""Which passwords are refused: short ones, and those that everybody tries first."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal

from pater.access.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD, normal_password

Fault = Literal["short", "long", "common", "name"]

# What is written instead of a letter does not make a common word rare.
_LEET: Final = str.maketrans("0134578@$!€", "oieastbasie")
_FEWEST_CHARACTERS: Final = 5
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm", "qazwsxedcrfvtgbyhnujmikolp", "1qaz2wsx3edc4rfv5tgb6yhn",
    "1q2w3e4r5t6y7u8i9o0p", "escrzyaie",
)  # fmt: skip
_LEAST_RUN: Final = 4  # characters that follow one another on a row


def fault(password: str, *names: str) -> Fault | None:
    """What is wrong with a password for somebody with these names (login, full name), or None.

    Length is all that is asked (NIST SP 800-63B, 5.1.1.2), but for passwords that would be among
    the first guesses: words of the list, runs on the keyboard and the person's own names, alone
    or one after another, with whatever digits and signs around.
    """
    if len(password) < SHORTEST_PASSWORD:
        return "short"
    if len(normal_password(password)) > LONGEST_PASSWORD:
        return "long"
    text = _bare(normal_password(password).decode("utf-8", "replace"))
    if len(set(text)) < _FEWEST_CHARACTERS:
        return "common"
    words = common_words()
    if text in words or _made_of(text, words):
        return "common"
    own = frozenset(
        word for name in names for word in re.split(r"\W+", _bare(name)) if len(word) > 2
    )
    return "name" if own and _made_of(text, words | own) else None


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """The shipped list, in small letters without accents."""
    text = (files("pater.access") / "common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in _bare(text).splitlines() if line)


def _made_of(text: str, words: frozenset[str]) -> bool:
    """Whether words of the list and keyboard runs, and digits and signs between, are all of it.

    The place up to which the text can be made so moves on; one walk, so long texts cost little.
    """
    longest = max(map(len, words))
    plain = text.translate(_LEET)
    reached = [True] + [False] * len(text)
    for end in range(1, len(text) + 1):
        if not text[end - 1].isalpha() and reached[end - 1]:
            reached[end] = True
            continue
        for start in range(max(0, end - longest), end):
            if reached[start] and (text[start:end] in words or plain[start:end] in words):
                reached[end] = True
                break
        else:
            reached[end] = any(
                reached[start] and _is_run(text[start:end])
                for start in range(max(0, end - 2 * _LEAST_RUN), end - _LEAST_RUN + 1)
            )
    return reached[-1]


def _bare(text: str) -> str:
    """Small letters without accents: what people change first is no difference."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in split if not unicodedata.combining(c))


def _is_run(part: str) -> bool:
    return len(set(part)) == 1 or any(part in row or part[::-1] in row for row in _ROWS)
