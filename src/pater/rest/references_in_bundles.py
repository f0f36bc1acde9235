"""References between the entries of a transaction: from the sender's names to addresses here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pater.fhir.references import parse_reference, rewrite

_HTTP: Final = ("http://", "https://")
# Elements of type uri, url, oid or uuid (and of no type of plain text) that may mean an entry.
_LINKS: Final = frozenset(
    {
        "definitionUri", "derivedFromUri", "endpoint", "eventUri", "instantiatesUri", "issuer",
        "onlineInformation", "policy", "rendering", "sourceUri", "targetUri", "uri", "url",
        "valueOid", "valueUri", "valueUrl", "valueUuid",
    }
)  # fmt: skip


def names_of(full_url: str, address: str) -> list[str]:
    """Every text by which other entries may refer to the entry that will stand at `address`.

    Its fullUrl; and when that is a RESTful address, also its relative form (FHIR R4 bundle,
    "Resolving references in Bundles").
    """
    if not full_url:
        return []
    names = [full_url]
    ref = parse_reference(full_url)
    if full_url.startswith(_HTTP) and ref.type and ref.id:
        names.append(f"{ref.type}/{ref.id}")
    return [name for name in names if name != address]


def resolved(resource: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The resource with references to other entries rewritten (the given one stays as it is).

    So are uris and the links of narratives (R4 3.1.0.11.2). A version or fragment behind a known
    name (`urn:uuid:…#x`) is not touched.
    """
    return rewrite(resource, names, _LINKS)
