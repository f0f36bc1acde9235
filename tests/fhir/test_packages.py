"""FHIR packages are read file by file, packed or not."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pater.fhir.packages import PackageError, resources

FILES: dict[str, Any] = {
    "package/package.json": {"name": "x"},
    "package/.index.json": {"files": []},
    "package/StructureDefinition-a.json": {"resourceType": "StructureDefinition", "url": "urn:a"},
    "package/ValueSet-b.json": {"resourceType": "ValueSet", "url": "urn:b"},
    "package/other.json": {"no": "resource"},
    "package/example/Patient-c.json": {"resourceType": "Patient"},
    "other/ValueSet-d.json": {"resourceType": "ValueSet"},
}


def _pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def test_the_same_resources_packed_and_unpacked(tmp_path: Path) -> None:
    bodies = {name: json.dumps(each).encode() for name, each in FILES.items()}
    packed = _pack(tmp_path / "x.tgz", bodies)
    for name, body in bodies.items():
        target = tmp_path / "x" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    expected = ["urn:a", "urn:b"]
    assert [each["url"] for each in resources(packed)] == expected
    assert [each["url"] for each in resources(tmp_path / "x")] == expected
    with packed.open("rb") as file:
        assert [each["url"] for each in resources(file)] == expected


def test_what_is_no_package_is_said_with_the_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"not a package")
    with pytest.raises(PackageError):
        list(resources(broken))
    wrong = _pack(tmp_path / "wrong.tgz", {"package/ValueSet-a.json": b'{"resourceType":'})
    with pytest.raises(PackageError, match=r"ValueSet-a\.json"):
        list(resources(wrong))
