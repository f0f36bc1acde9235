"""Whether a client that is known may ask once more now."""

from __future__ import annotations

from collections.abc import Mapping

from pater.access.caller import Caller
from pater.access.rates import Clients, cost_of
from pater.rest.errors import HttpError


def admit(
    clients: Clients | None, caller: Caller, segments: list[str], headers: Mapping[str, str]
) -> None:
    """Counts a request. Raises HttpError 429 with the time to wait."""
    if clients is None:
        return
    seconds = clients.wait(caller, cost_of(segments, headers))
    if seconds:
        text = f"this client asks too often: try again in {seconds} s"
        raise HttpError(429, "throttled", text, headers=clients.told(caller, seconds))
