"""Reads a FHIR package, packed (`.tgz`) or unpacked (a folder), resource by resource."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pater.fhir.json import JsonError, parse

LARGEST = 128 * 1024 * 1024
"""Bytes of one file; more is refused before it is read."""

_NOT_RESOURCES = frozenset(("package.json", ".index.json"))


class PackageError(ValueError):
    """What is no package, or holds what cannot be read; says which file."""


def resources(source: Path | IO[bytes], *, folder: str = "package") -> Iterator[dict[str, Any]]:
    """The resources in `package/*.json` of a FHIR package, in the order of the archive.

    `source` is a `.tgz` file (or an open one) or a folder that has the folder `package`. One file
    at a time is in memory. Other JSON (`package.json`, indexes) is left out. Raises PackageError.
    """
    for name, body in _files(source, folder):
        try:
            found = parse(body, max_depth=256)
        except JsonError as error:
            raise PackageError(f"{name}: {error}") from error
        if isinstance(found.get("resourceType"), str):
            yield found


def _files(source: Path | IO[bytes], folder: str) -> Iterator[tuple[str, bytes]]:
    if isinstance(source, Path) and source.is_dir():
        for path in sorted((source / folder).glob("*.json")):
            if path.name not in _NOT_RESOURCES:
                yield path.name, _bounded(path.name, path.stat().st_size, path.read_bytes)
        return
    try:
        with _open(source) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                above, _, last = name.rpartition("/")
                wanted = above == folder and last.endswith(".json") and last not in _NOT_RESOURCES
                file = archive.extractfile(member) if wanted and member.isfile() else None
                if file is not None:
                    yield name, _bounded(name, member.size, file.read)
                archive.members = []  # type: ignore[attr-defined]  # what was read is not kept
    except (tarfile.TarError, OSError, EOFError) as error:
        raise PackageError(f"not a FHIR package: {error}") from error


def _open(source: Path | IO[bytes]) -> tarfile.TarFile:
    if isinstance(source, Path):
        return tarfile.open(source, mode="r|gz")
    return tarfile.open(fileobj=source, mode="r|gz")


def _bounded(name: str, size: int, read: Any) -> bytes:
    if size > LARGEST:
        raise PackageError(f"{name}: {size} bytes; at most {LARGEST} are read")
    body: bytes = read()
    return body
