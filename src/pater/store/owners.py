"""Whose a Patient is, remembered: saves a look-up for every search of one patient's record."""

from __future__ import annotations

from collections.abc import Mapping

_MOST = 50_000


class Owners:
    """The person of Patient ids as last seen. A record may have moved since: who uses a person
    from here has the database confirm it in the same statement (see `search.where`).
    """

    def __init__(self) -> None:
        self._persons: dict[str, int] = {}

    def get(self, patient: str) -> int | None:
        """The person of a Patient id, None when it was not seen."""
        return self._persons.get(patient)

    def learn(self, persons: Mapping[str, int]) -> None:
        """Remembers what a look-up found."""
        if len(self._persons) + len(persons) > _MOST:
            self._persons.clear()
        self._persons.update(persons)
