"""Reaches the public test data beside the checkout, and skips with a reason when it is absent."""

from __future__ import annotations

import io
import json
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def shared(name: str) -> Path:
    """The path of one file of the public test data."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the public test data {name} are not beside this checkout")
    return path


@lru_cache(maxsize=4)
def _members(name: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(shared(name).read_bytes()), mode="r:gz") as archive:
        out: dict[str, bytes] = {}
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and member.name.endswith(".json"):
                out[member.name.removeprefix("./")] = file.read()
        return out


def documents(*folders: str) -> dict[str, bytes]:
    """Whole Bundles of the published guides by path, of the named folders (`cz-hdr` …) or all."""
    return {
        name: body
        for name, body in sorted(_members("documents.tgz").items())
        if not folders or name.split("/")[0] in folders
    }


def r4_examples() -> dict[str, bytes]:
    """The examples of the R4 specification by file name."""
    return dict(sorted(_members("r4-examples.tgz").items()))


def packaged(type: str) -> list[dict[str, Any]]:
    """The conformance resources of one type in the published FHIR packages."""
    with tarfile.open(shared("fhir-packages.tgz"), mode="r:gz") as archive:
        named = [m for m in archive if m.name.rpartition("/")[2].startswith(f"{type}-")]
        files = [archive.extractfile(member) for member in named]
        return [load(file.read()) for file in files if file is not None]


def synthea() -> list[bytes]:
    """Transaction Bundles of synthetic records, their hospitals and practitioners first."""
    found = _members("synthea.tgz")
    shared_ones = ("hospital", "practitioner")
    return [found[name] for name in sorted(found, key=lambda n: (not n.startswith(shared_ones), n))]


def discharge_reports() -> dict[str, bytes]:
    """The Czech and European discharge reports and ten of the synthetic ones."""
    chosen = documents("cz-hdr", "eu-hdr")
    synthetic = list(documents("synderai-hdr").items())[:10]
    return {**chosen, **dict(synthetic)}


def load(body: bytes) -> dict[str, Any]:
    """One resource as plain Python, by the standard library, independent of the product."""
    value = json.loads(body)
    assert isinstance(value, dict)
    return value
