"""The origins of which evidence may be fetched, as a setting names them."""

from __future__ import annotations

from urllib.parse import urlsplit


def origins_of(text: str) -> frozenset[str]:
    """The origins of a setting: `http://host[:port]` or https, apart by spaces. ValueError."""
    found = set()
    for one in text.split():
        parts = urlsplit(one)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{one!r} is no origin: http://host[:port] or https://host[:port]")
        found.add(origin(one))
    return frozenset(found)


def origin(address: str) -> str:
    """Scheme, host and port of an address, in one way of writing."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
