"""Orphanet's nomenclature of rare diseases: the XML or JSON of Orphadata's product 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from pater.fhir.json import JsonError, parse
from pater.terminology.loading import LoadError, Row, System
from pater.terminology.sources.files import Options, Part, parts

URL: Final = "http://www.orpha.net"
_LARGEST: Final = 512 * 1024 * 1024
_CHUNK: Final = 1 << 20


def read(paths: Sequence[Path], options: Options) -> Iterator[tuple[System, Iterator[Row]]]:
    """One file a language; those after the first add names in theirs."""
    found = parts(paths)
    made: dict[str, Row] = {}
    version, language = options.version, ""
    for part in found:
        said, spoken, disorders = _json(part) if part.last.endswith(".json") else _xml(part)
        version = version or said
        language = language or spoken
        for code, name, synonyms, kind, references in disorders:
            row = made.get(code)
            if row is None:
                row = made[code] = Row(code, name)
                if kind:
                    row.properties.append(("type", "valueString", kind))
                row.properties += [(s, "valueString", c) for s, c in references]
            elif name != row.display:
                row.names.append((spoken, "", name))
            row.names += [(spoken, "", each) for each in synonyms]
    if not made:
        raise LoadError("there is no disorder in the files")
    kinds = sorted({code for row in made.values() for code, _, _ in row.properties})
    if not version:
        raise LoadError("say which release this is: --version")
    system = System(
        options.url or URL, version, "ORPHA", "Orphanet", language or "en",
        properties=tuple((each, "", "string") for each in kinds),
    )  # fmt: skip
    yield system, iter(made.values())


Disorder = tuple[str, str, list[str], str, list[tuple[str, str]]]


def _xml(part: Part) -> tuple[str, str, list[Disorder]]:
    reader = _Reader(part.name)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = reader.entity
    with part.opened() as file:
        try:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise LoadError(f"{part.name}:{error.lineno}: {said}") from error
    return reader.version, reader.language, reader.disorders


class _Reader:
    """Collects the disorders of an XML file while it is read."""

    def __init__(self, name: str) -> None:
        self.version = ""
        self.language = ""
        self.disorders: list[Disorder] = []
        self._name = name
        self._path: list[str] = []
        self._text = ""
        self._disorder: Disorder | None = None
        self._source = ""
        self._kind = ""

    def entity(self, *_: object) -> None:
        """Such a file has no reason to define entities."""
        raise LoadError(f"{self._name}: entities are not read")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if tag == "JDBOR":
            self.version = attributes.get("version", "").partition(" ")[0]
        if tag == "Disorder" and self._path and self._path[-1] == "DisorderList":
            self._disorder, self._kind = ("", "", [], "", []), ""
        if tag == "Name" and not self.language:
            self.language = attributes.get("lang", "")
        self._path.append(tag)
        self._text = ""

    def text(self, data: str) -> None:
        """Characters of an element."""
        self._text += data

    def end(self, tag: str) -> None:
        """An element ends."""
        self._path.pop()
        above = self._path[-1] if self._path else ""
        said, self._text = self._text.strip(), ""
        if self._disorder is None:
            return
        code, name, synonyms, kind, references = self._disorder
        if above == "Disorder" and tag == "OrphaCode":
            code = said
        elif above == "Disorder" and tag == "Name":
            name = said
        elif above == "SynonymList" and tag == "Synonym" and said:
            synonyms.append(said)
        elif above == "DisorderType" and tag == "Name":
            kind = said
        elif above == "ExternalReference" and tag == "Source":
            self._source = said
        elif above == "ExternalReference" and tag == "Reference" and said:
            references.append((self._source or "reference", said))
        self._disorder = (code, name, synonyms, kind, references)
        if tag == "Disorder" and above == "DisorderList":
            if not code:
                raise LoadError(f"{self._name}: a disorder without OrphaCode")
            self.disorders.append(self._disorder)
            self._disorder = None


def _json(part: Part) -> tuple[str, str, list[Disorder]]:
    with part.opened() as file:
        data = file.read(_LARGEST)
    try:
        root = parse(data)
    except JsonError as error:
        raise LoadError(f"{part.name}: {error}") from error
    top = _first(root.get("JDBOR")) or root
    version = str(top.get("version", "")).partition(" ")[0]
    found: list[Disorder] = []
    language = ""
    for holder in _all(top.get("DisorderList")):
        for each in _all(holder.get("Disorder")):
            name = _first(each.get("Name")) or {}
            language = language or str(name.get("lang", ""))
            code = str(each.get("OrphaCode", "") or each.get("ORPHAcode", ""))
            if not code:
                raise LoadError(f"{part.name}: a disorder without OrphaCode")
            synonyms = [
                str(s.get("label", ""))
                for held in _all(each.get("SynonymList"))
                for s in _all(held.get("Synonym"))
            ]
            references = [
                (str(r.get("Source", "reference")), str(r.get("Reference", "")))
                for held in _all(each.get("ExternalReferenceList"))
                for r in _all(held.get("ExternalReference"))
            ]
            kind = _first((_first(each.get("DisorderType")) or {}).get("Name")) or {}
            found.append(
                (code, str(name.get("label", "")), [s for s in synonyms if s],
                 str(kind.get("label", "")), [r for r in references if r[1]])
            )  # fmt: skip
    return version, language, found


def _all(value: Any) -> list[dict[str, Any]]:
    many = value if isinstance(value, list) else [value]
    return [each for each in many if isinstance(each, dict)]


def _first(value: Any) -> dict[str, Any] | None:
    found = _all(value)
    return found[0] if found else None
