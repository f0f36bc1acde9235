"""Lines of an import made ready to be written: the part that needs no database, in any process."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson

from pater.access.policy import group
from pater.access.relations import says_something
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER, SearchParameter
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import JsonError, dumps, parse
from pater.fhir.references import iter_references
from pater.fhir.search.custom import NONE, Custom, together
from pater.fhir.validation.base import validate_base
from pater.fhir.validation.walk import declares
from pater.records.compartments import owner_of
from pater.records.import_input import Chunk
from pater.store.body import BodyCodec
from pater.store.copying import Rows, Tails, rows_of, tails
from pater.store.write import Put
from pater.store.write_rows import body_of, index

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_CONDITIONAL: Final = re.compile(rb'"reference"\s*:\s*"([A-Z][A-Za-z]{2,40}\?[^"\\]{1,500})"')
_NAMELESS: Final = UUID("5b1f6a0e-7a0e-5b0e-9c53-6e1d3a1d9f11")
"""Names resources that bring no id, by their content: again the same, again the same id."""
_ONE_AT_A_TIME: Final = threading.Lock()  # two threads must not share one codec
MOST_ISSUES: Final = 20
"""Problems of one line that are reported."""


class Line(NamedTuple):
    """One line: what it is, and either its rows, or what is wrong, or what it waits for.

    `owner` is the type and id of whose record it is ("" type = nobody's). `special` = to be
    written one by one through the gate.
    """

    number: int
    type: str = ""
    id: str = ""
    owner: tuple[str, str] = ("", "")
    special: bool = False
    rows: Tails | None = None
    issues: tuple[Issue, ...] = ()
    waits: str = ""
    keys: tuple[bytes, ...] = ()
    beside: Any = None
    declares: bool = False


@dataclass(slots=True)
class Made:
    """What became of the lines of a chunk: the `odd` ones, and the rows of the others in columns.

    `numbers` are the lines, `owner` is the place of each one's owner in `owners` (a Patient's is
    itself); `keys` has the business keys of Patients and `beside` what is kept beside them, by
    their id; `declaring` are the lines that declare profiles, which are not looked at here.
    """

    odd: list[Line]
    numbers: list[int]
    owner: list[int]
    owners: list[tuple[str, str]]
    keys: dict[str, tuple[bytes, ...]]
    beside: dict[str, Any]
    rows: Rows
    declaring: frozenset[int]

    def beside_of(self, persons: Mapping[str, int]) -> list[tuple[int, str, Any]]:
        """What is kept beside the Patients with these ids: person, id, and what."""
        return [(who, id, self.beside[id]) for id, who in persons.items() if id in self.beside]

    def line(self, place: int) -> Line:
        """What is known of one of the others."""
        type_ = RESOURCE_TYPES[self.rows.types[place]]
        return Line(self.numbers[place], type_, self.rows.ids[place])


@dataclass(frozen=True, slots=True)
class Prepare:
    """How lines are made ready. `references` gives the targets of conditional references,
    `refused` those that cannot have one, and why;
    `dictionaries` is a file of `save_dictionaries`, "" = none. `special` types go one by one.
    `keys` gives the business keys of a Patient and `beside` what a register keeps beside it (None
    = nothing); they are found by their names in other processes.
    """

    updated: datetime
    base_url: str
    trust: bool
    special: frozenset[str]
    dictionaries: str = ""
    references: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[SearchParameter, ...] = ()  # those beyond R4
    keys: Callable[[Mapping[str, Any]], tuple[bytes, ...]] | None = None
    beside: Callable[[Mapping[str, Any]], Any] | None = None


def conditional_references(data: bytes) -> frozenset[str]:
    """The conditional references (`Type?query`) that stand in the lines."""
    return frozenset(found.decode("utf-8", "replace") for found in _CONDITIONAL.findall(data))


def prepare(lines: Sequence[tuple[int, bytes]], rids: Sequence[int], how: Prepare) -> list[Line]:
    """Each (number, bytes) parsed, checked, indexed, compressed and encoded; `rids` one each."""
    with _ONE_AT_A_TIME:
        codec = _codec(how.dictionaries)
        return [_line(number, data, rid, how, codec) for (number, data), rid in
                zip(lines, rids, strict=True)]  # fmt: skip


def make(chunk: Chunk, rids: Sequence[int], how: Prepare) -> Made:
    """All lines of a chunk made ready; `rids` has at least as many as there are lines."""
    lines = chunk.lines()
    good = [(code, data) for code, data in lines if data is not None]
    made = prepare(good, rids[: len(good)], how)
    odd = [Line(code, issues=(_TOO_LONG,)) for code, data in lines if data is None]
    odd += [each for each in made if each.rows is None]
    ready = [each for each in made if each.rows is not None]
    owners: dict[tuple[str, str], int] = {}
    return Made(
        odd,
        [each.number for each in ready],
        [owners.setdefault(each.owner, len(owners)) for each in ready],
        list(owners),
        {each.id: each.keys for each in ready if each.keys},
        {each.id: each.beside for each in ready if each.beside is not None},
        rows_of((TYPE_NUMBER[e.type], e.id, e.rows) for e in ready if e.rows is not None),
        frozenset(each.number for each in made if each.declares),
    )


def read_line(data: bytes, how: Prepare) -> tuple[dict[str, Any], str, str, tuple[Issue, ...]]:
    """The resource of a line, its type and id, and what is wrong with it; references resolved.

    A conditional reference without a target stays as it is.
    """
    try:
        resource = parse(data)
    except JsonError as error:
        where = f" (column {error.column})" if error.column else ""
        return {}, "", "", (Issue("fatal", "structure", error.path or "", error.message + where),)
    type_, id_ = resource.get("resourceType"), resource.get("id")
    if not isinstance(type_, str) or type_ not in TYPE_NUMBER:
        issue = Issue("error", "structure", "resourceType", "a line is one resource of FHIR R4")
        return resource, "", "", (issue,)
    if group(type_) == "audit":
        text = "the journal takes no entries from outside"
        return resource, type_, "", (Issue("error", "not-supported", type_, text),)
    if id_ is None:
        id_ = str(uuid5(_NAMELESS, dumps(resource).decode()))
    elif not isinstance(id_, str) or not _ID.match(id_):
        issue = Issue("error", "value", f"{type_}.id", "an id has letters, digits, - and .")
        return resource, type_, "", (issue,)
    if b"\\u0000" in data and "\x00" in orjson.dumps(resource).decode().replace("\\u0000", "\x00"):
        issue = Issue("error", "value", type_, "a string holds the character U+0000")
        return resource, type_, id_, (issue,)
    if how.references:
        for _, holder in iter_references(resource):
            target = how.references.get(holder["reference"])
            if target:
                holder["reference"] = target
    if not how.trust:
        issues = validate_base(resource)
        if has_errors(issues):
            wrong = [each for each in issues if each.severity in ("error", "fatal")]
            return resource, type_, id_, tuple(wrong[:MOST_ISSUES])
    return resource, type_, id_, ()


def _line(number: int, data: bytes, rid: int, how: Prepare, codec: BodyCodec) -> Line:
    resource, type_, id_, issues = read_line(data, how)
    if issues:
        return Line(number, type_, id_, issues=issues)
    if b"?" in data:
        for path, holder in iter_references(resource):
            text = holder["reference"]
            if "?" in text and _CONDITIONAL.match(b'"reference":"' + text.encode() + b'"'):
                if text in how.refused:
                    issue = Issue("error", "value", f"{path}.reference", how.refused[text])
                    return Line(number, type_, id_, issues=(issue,))
                return Line(number, type_, id_, waits="a conditional reference means nothing here")
    declaring = not how.trust and declares(resource)
    if type_ in how.special or says_something(type_, resource, how.updated):
        return Line(number, type_, id_, special=True, declares=declaring)
    owner = owner_of(type_, resource, how.base_url)
    whose = ("Patient", id_) if type_ == "Patient" else ("", "")
    keys: tuple[bytes, ...] = ()
    beside: Any = None
    if type_ == "Patient":
        try:
            keys = how.keys(resource) if how.keys is not None else ()
            beside = how.beside(resource) if how.beside is not None else None
        except (AttributeError, TypeError):  # nobody has validated it
            issue = Issue("error", "structure", "Patient.identifier", "it cannot be read")
            return Line(number, type_, id_, issues=(issue,))
    if owner is not None:
        if not owner.type or not owner.id:
            text = "the patient of this record is not known here"
            return Line(number, type_, id_, issues=(Issue("error", "not-found", type_, text),))
        whose = (owner.type, owner.id)
    put = Put(type_, id_, 0, resource)
    indexed = index(put, _custom(how.parameters) if how.parameters else NONE)
    dictionary, packed = codec.compress(indexed.type_number, body_of(put, 1, how.updated))
    rows = tails(indexed, rid, how.updated, dictionary, packed)
    return Line(number, type_, id_, whose, rows=rows, keys=keys, beside=beside, declares=declaring)


def same(stored: bytes, resource: Mapping[str, Any]) -> bool:
    """Whether a stored body says the same as a resource, but for version and time."""
    return _content(parse(stored)) == _content(resource)


def _content(resource: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    meta = resource.get("meta")
    if isinstance(meta, dict):
        said = {k: v for k, v in meta.items() if k not in ("versionId", "lastUpdated")}
        if said:
            kept["meta"] = said
    return kept


def save_dictionaries(path: Path, rows: Sequence[tuple[int, int, bytes]]) -> None:
    """Writes (id, type, content) of dictionaries where worker processes find them."""
    records = b"".join(
        number.to_bytes(4, "big") + type_.to_bytes(2, "big") + len(data).to_bytes(4, "big") + data
        for number, type_, data in rows
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(records)


@lru_cache(maxsize=2)
def _codec(path: str) -> BodyCodec:
    codec = BodyCodec()
    data = Path(path).read_bytes() if path else b""
    at = 0
    while at < len(data):
        number, type_ = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 6]
        size = int.from_bytes(data[at + 6 : at + 10], "big")
        codec.add(number, int.from_bytes(type_, "big"), data[at + 10 : at + 10 + size])
        at += 10 + size
    return codec


def parameters_of(custom: Custom) -> tuple[SearchParameter, ...]:
    """The definitions of the search parameters beyond R4 that are in force."""
    found = {
        parameter.definition.url: parameter.definition
        for parameters in custom.by_type.values()
        for parameter in parameters.values()
    }
    return tuple(found[url] for url in sorted(found))


@lru_cache(maxsize=2)
def _custom(parameters: tuple[SearchParameter, ...]) -> Custom:
    return together(parameters, {})


_TOO_LONG: Final = Issue("error", "too-long", "", "a line has at most 16 MiB")
