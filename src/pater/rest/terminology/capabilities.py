"""TerminologyCapabilities: what the terminology service has, generated from what is there."""

from __future__ import annotations

from typing import Any, Final

from pater import __version__
from pater.domain import Services
from pater.fhir.json import dumps
from pater.terminology import builtin
from pater.terminology.grammar import grammar_systems
from pater.terminology.service import Terminology

_PARAMETERS: Final = (
    "activeOnly", "check-system-version", "count", "default-valueset-version", "designation",
    "displayLanguage", "excludeNested", "filter", "force-system-version", "includeDefinition",
    "includeDesignations", "offset", "property", "system-version", "tx-resource", "useSupplement",
)  # fmt: skip
_MOST_SYSTEMS: Final = 5_000


class Capabilities:
    """Makes the statement anew only when something was written or loaded since."""

    def __init__(self, terms: Terminology, services: Services) -> None:
        self._terms = terms
        self._services = services
        self._made: tuple[object, bytes] | None = None

    async def __call__(self) -> bytes:
        """GET /metadata?mode=terminology."""
        loaded = await self._terms.catalogue.loaded.all()
        key = (
            await self._terms.catalogue.stored.state("CodeSystem"),
            tuple(each.canonical for each in loaded),
        )
        if self._made is None or self._made[0] != key:
            self._made = (key, await _capabilities(self._terms, self._services))
        return self._made[1]


async def _capabilities(terms: Terminology, services: Services) -> bytes:
    """R4 TerminologyCapabilities."""
    versions: dict[str, dict[str, None]] = {}
    for info in await terms.catalogue.loaded.all():
        versions.setdefault(info.url, {}).setdefault(info.version)
    for _, resource in await terms.catalogue.stored.all_of("CodeSystem", _MOST_SYSTEMS):
        if resource.get("content") in ("complete", "fragment") and resource.get("url"):
            versions.setdefault(resource["url"], {}).setdefault(resource.get("version", ""))
    for url, version in builtin.addresses("CodeSystem"):
        versions.setdefault(url, {}).setdefault(version)
    for url, system in grammar_systems().items():
        versions.setdefault(url, {}).setdefault(system.info.version)
    body: dict[str, Any] = {
        "resourceType": "TerminologyCapabilities",
        "id": "pater",
        "url": f"{services.base_url}/metadata",
        "version": __version__,
        "name": "PaterTerminology",
        "title": "Terminology service of Páteř",
        "status": "active",
        "date": services.clock().date().isoformat(),
        "kind": "instance",
        "software": {"name": "Páteř", "version": __version__},
        "implementation": {"description": "Páteř", "url": services.base_url},
        "codeSystem": [{"uri": url, **_versions(found)} for url, found in sorted(versions.items())],
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": True,
            "parameter": [{"name": name} for name in _PARAMETERS],
            "textFilter": "Words of the filter begin words of code, display or designations, in"
            " any order; accents and case do not matter.",
        },
        "codeSearch": "all",
        "validateCode": {"translations": True},
        "translation": {"needsMap": True},
        "closure": {"translation": False},
    }
    return dumps(body)


def _versions(found: dict[str, None]) -> dict[str, Any]:
    named = [version for version in found if version]
    return {"version": [{"code": version} for version in named]} if named else {}
