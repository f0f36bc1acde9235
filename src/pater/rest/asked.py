"""Searches that were asked lately, parsed: the same address comes again from whoever follows it."""

from __future__ import annotations

from collections.abc import Sequence

from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.query import SearchRequest, parse_search
from pater.rest.own_addresses import with_own_addresses

_MOST = 1000
_LONGEST = 1000
"""Characters of a search that is worth being remembered."""

_Key = tuple[str, bool, tuple[tuple[str, str], ...]]


class Asked:
    """A bounded memory of parameters and what they mean; the same parameters, the same object."""

    def __init__(self) -> None:
        self._known: dict[_Key, SearchRequest] = {}
        self._custom: Custom = NONE

    def of(
        self,
        type: str,
        parameters: Sequence[tuple[str, str]],
        base_url: str,
        custom: Custom,
        *,
        lenient: bool,
    ) -> SearchRequest:
        """The search of a type, addresses of this server understood. Raises SearchError.

        `base_url` is always the same; `custom` are the parameters beyond R4 in force now.
        """
        if custom is not self._custom:
            self._known.clear()
            self._custom = custom
        key = (type, lenient, tuple(parameters))
        request = self._known.get(key)
        if request is None:
            read = parse_search(type, parameters, custom=custom, lenient=lenient, whole=True)
            request = with_own_addresses(read, base_url)
            if sum(len(name) + len(value) for name, value in parameters) <= _LONGEST:
                if len(self._known) >= _MOST:
                    del self._known[next(iter(self._known))]
                self._known[key] = request
        return request
