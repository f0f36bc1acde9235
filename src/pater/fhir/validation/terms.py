"""What validation asks of terminology: is a code in a value set, does a code system have it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Verdict(NamedTuple):
    """An answer: True, False, or None when it cannot be told (the set or system is not known).

    `displays` are names of the code where they are known, `misnamed` says that the name that was
    asked for is none of them; `reason` says more about a None or False.
    """

    result: bool | None
    displays: tuple[str, ...] = ()
    reason: str = ""
    misnamed: bool = False


UNKNOWN = Verdict(None)


class Terms(Protocol):
    """A terminology service, as far as validation needs one; it never raises."""

    def validate(self, value_set: str, system: str | None, code: str | None) -> Verdict:
        """Whether the value set (canonical, perhaps with a version) has the code; without a
        system the code of any system counts."""

    def lookup(self, system: str, code: str, display: str | None = None) -> Verdict:
        """Whether the code system has the code, and whether the display is a name of it."""

    def is_value_set(self, url: str) -> bool:
        """Whether a value set of that address is known."""


class _NoTerms:
    def validate(self, value_set: str, system: str | None, code: str | None) -> Verdict:
        return UNKNOWN

    def lookup(self, system: str, code: str, display: str | None = None) -> Verdict:
        return UNKNOWN

    def is_value_set(self, url: str) -> bool:
        return False


NO_TERMS: Terms = _NoTerms()
"""Knows nothing."""
