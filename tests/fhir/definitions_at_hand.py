"""The definitions of the published packages, read once a session and parsed when asked for."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from tests.shared_data import shared

Json = dict[str, Any]
Source = Callable[[str], Json | None]

# What the reference validator has loaded before it reads anything else.
REFERENCE = (
    "hl7.fhir.uv.extensions.r4",
    "hl7.fhir.r4.core",
    "hl7.terminology.r4",
    "hl7.fhir.uv.xver-r5.r4",
)
_TYPES = frozenset(("StructureDefinition", "ValueSet", "CodeSystem", "Questionnaire", "Measure"))


@lru_cache(maxsize=1)
def _packages() -> dict[str, list[tuple[str, str, bytes]]]:
    """package → (url, version, resource without snapshot and text)."""
    out: dict[str, list[tuple[str, str, bytes]]] = {}
    with tarfile.open(shared("fhir-packages.tgz"), "r:gz") as archive:
        for member in archive:
            folder, _, name = member.name.removeprefix("./").partition("/package/")
            if name.partition("-")[0] not in _TYPES:
                continue
            file = archive.extractfile(member)
            assert file is not None
            resource = orjson.loads(file.read())
            if "url" in resource:
                resource.pop("text", None)
                resource.pop("snapshot", None)
                row = (resource["url"], resource.get("version", ""), orjson.dumps(resource))
                out.setdefault(folder.partition("#")[0], []).append(row)
    return out


@lru_cache(maxsize=4)
def source_of(*packages: str) -> Source:
    """Canonical address → definition, of the named packages in that order (all when none is)."""
    found = _packages()
    names = packages or (*REFERENCE, *(name for name in sorted(found) if name not in REFERENCE))
    index: dict[str, bytes] = {}
    for name in names:
        for url, version, body in found[name]:
            index.setdefault(url, body)
            index.setdefault(f"{url}|{version}", body)

    @lru_cache(maxsize=20_000)
    def source(canonical: str) -> Json | None:
        body = index.get(canonical) or index.get(canonical.partition("|")[0])
        return None if body is None else orjson.loads(body)

    return source
