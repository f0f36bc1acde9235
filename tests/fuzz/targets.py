"""What reads the bytes and texts of strangers, each as a function that only raises for a fault.

A target takes bytes, feeds the reader, swallows the errors its documentation names, and asserts
what must hold of what was read. Hypothesis and atheris run the same targets.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from pater.access import relations, will
from pater.access.actors import Around
from pater.access.audit_told import entry_of, named, recorded, told_to_fhir
from pater.access.caller import Caller
from pater.access.scopes import ScopeError, allows, parse_scope
from pater.access.tokens import TokenError, Tokens
from pater.access.transparency import exporting
from pater.domains.directory.columns import form_of
from pater.domains.directory.reading import FileError, RowError, layout_of, rows
from pater.domains.persons.files.columns import NUMBER, Columns, number_of, patient_of
from pater.domains.persons.hl7 import codec as hl7_codec
from pater.domains.persons.hl7 import reading as hl7_reading
from pater.domains.persons.hl7 import writing as hl7_writing
from pater.domains.persons.hl7.codec import Hl7Error
from pater.domains.persons.hl7.mllp import Broken, Frames
from pater.fhir import json, patch, xml
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.fhirpath import EvaluationError, FhirPathError, compile_expression
from pater.fhir.issues import has_errors
from pater.fhir.json import JsonError
from pater.fhir.patch import PatchError
from pater.fhir.references import iter_references
from pater.fhir.search.index import index_values
from pater.fhir.search.match import matches
from pater.fhir.search.parse import parse_search
from pater.fhir.search.request import SearchError
from pater.fhir.search.words import resource_words
from pater.fhir.ucum import UcumError, converted, is_valid, scale, unit
from pater.fhir.validation import validate
from pater.fhir.validation.base import validate_base
from pater.fhir.xml import XmlError
from pater.records.import_lines import Prepare, prepare
from pater.registers import csv_files
from pater.rest import json_patch
from pater.rest.compression import accepted_encoding
from pater.rest.errors import HttpError
from pater.rest.formats import accepted_format, sent_format
from pater.rest.graphql.operations import _read as read_query
from pater.rest.requests import (
    expected_version,
    knows_version,
    parse_parameters,
    prefer_return,
    request_id,
)
from pater.store.journal import JournalRow
from pater.store.journal_received import Original
from pater.terminology.filters import regex
from pater.terminology.languages import BadLanguageError, wish
from pater.terminology.model import BadFilterError
from pater.testscript.messages import ScriptError
from pater.testscript.running import Run
from pater.trust.keys import Keys
from tests.fuzz import trust_targets

NOW: Final = datetime(2026, 1, 15, tzinfo=UTC)
TYPES: Final = tuple(sorted(RESOURCE_TYPES))
SUBJECT: Final[Mapping[str, Any]] = {
    "resourceType": "Observation",
    "id": "a",
    "meta": {"versionId": "1", "tag": [{"system": "s", "code": "c"}]},
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
    "subject": {"reference": "Patient/1", "display": "Eva"},
    "effectiveDateTime": "2026-03-01T08:00:00Z",
    "_status": {"extension": [{"url": "http://e.example", "valueDecimal": 1.50}]},
    "valueQuantity": {"value": 72, "unit": "/min", "code": "/min",
                      "system": "http://unitsofmeasure.org"},
    "component": [
        {"code": {"text": "x"}, "valueString": "long " * 4},
        {"code": {"text": "y"}, "valueRange": {"low": {"value": 1}, "high": {"value": 2}}},
    ],
    "note": [{"text": "a"}, {"text": "b"}],
}  # fmt: skip


def text_of(data: bytes) -> str:
    """The bytes as a text that an HTTP library could hand over: no lone surrogates."""
    return data.decode("utf-8", "replace")


def json_text(data: bytes) -> None:
    """FHIR JSON: what is read is written back alike and can be checked, indexed, put in XML."""
    try:
        value = json.parse(data)
    except JsonError as error:
        assert error.line >= 0 and str(error)
        return
    written = json.dumps(value)
    assert json.dumps(json.parse(written)) == written
    resource(value)


def resource(value: dict[str, Any]) -> None:
    """Any JSON object, as the rooms after the parser see it."""
    validate(value)
    kind = value.get("resourceType")
    with suppress(XmlError):
        xml.dumps(value)
    if kind not in RESOURCE_TYPES:
        return
    # the index and all that follows is made of what base R4 and its invariants accept
    if has_errors(validate_base(value)):
        return
    index_values(kind, value)
    resource_words(value)
    for _, holder in iter_references(value):
        assert isinstance(holder["reference"], str)
    try:
        again = xml.parse(xml.dumps(value))
    except XmlError as error:
        assert "XML cannot hold" in str(error)  # control characters: R4 only advises against them
    else:
        assert not has_errors(validate(again))


def xml_text(data: bytes) -> None:
    """FHIR XML: what is read can be written, and reads the same again."""
    try:
        value = xml.parse(data)
    except XmlError:
        return
    validate(value)
    try:
        written = xml.dumps(value)
    except XmlError:
        return
    assert xml.parse(written) == value


def search(data: bytes) -> None:
    """A type and its parameters; a search that is understood can be held to a resource."""
    kind = TYPES[data[0] % len(TYPES)] if data[:1] > b"\x7f" else "Observation"
    try:
        pairs = parse_parameters(data[1:])
    except HttpError:
        pairs = [("code", text_of(data[1:]))]
    for whole in (False, True):
        try:
            asked = parse_search(kind, pairs, base_url="http://a.example", whole=whole)
        except SearchError as error:
            assert error.issues
            continue
        if kind == "Observation":
            index = index_values(kind, dict(SUBJECT))
            for condition in asked.conditions:
                if condition.kind not in ("chain", "has"):
                    with suppress(NotImplementedError):
                        matches(condition, dict(SUBJECT), index)


def filter_text(data: bytes) -> None:
    """A `_filter`."""
    with suppress(SearchError):
        parse_search("Observation", [("_filter", text_of(data))], whole=True)


def fhirpath(data: bytes) -> None:
    """An expression, compiled for a type and for anything, and evaluated."""
    for kind in ("Observation", "Resource"):
        try:
            expression = compile_expression.__wrapped__(text_of(data), kind)
        except FhirPathError:
            continue
        with suppress(EvaluationError):
            expression.typed(dict(SUBJECT))


def fhirpath_patch(data: bytes) -> None:
    """FHIRPath Patch: a Parameters resource, or a path alone."""
    try:
        given = json.parse(data)
    except JsonError:
        given = {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [
                        {"name": "type", "valueCode": "replace"},
                        {"name": "path", "valueString": text_of(data)},
                        {"name": "value", "valueString": "x"},
                    ],
                }
            ],
        }
    with suppress(PatchError):
        changed = patch.apply(dict(SUBJECT), patch.read_patch(given))
        if not has_errors(validate(changed)):
            there = patch.read_patch(patch.difference(dict(SUBJECT), changed))
            assert json.dumps(patch.apply(dict(SUBJECT), there)) is not None


def json_patch_text(data: bytes) -> None:
    """JSON Patch."""
    with suppress(JsonError, HttpError):
        json_patch.apply(dict(SUBJECT), json_patch.read_patch(data))


def ucum(data: bytes) -> None:
    """A unit of UCUM."""
    code = text_of(data)
    try:
        found = unit(code)
    except UcumError:
        assert not is_valid(code) and scale(code) is None
        return
    assert is_valid(code) and found.dimension
    made = scale(code)
    assert made is not None
    made.base_number(1.5)
    made.base_number(Decimal("1e300"))
    assert converted(Decimal(2), code, code) == 2
    with suppress(UcumError):
        converted(2, code, found.dimension)


def scope(data: bytes) -> None:
    """A SMART scope with arguments."""
    text = text_of(data)
    allows(text.split(), "system", "Observation", "rs")
    try:
        found = parse_scope(text)
    except ScopeError:
        return
    assert found.letters and found.context in ("system", "user", "patient")


@lru_cache(maxsize=1)
def _tokens() -> Tokens:
    return Tokens(Keys.generate(), "http://a.example", lambda: NOW)


def token(data: bytes) -> None:
    """An access token that we did not sign."""
    with suppress(TokenError):
        _tokens().verify(text_of(data))
        raise AssertionError("a token of nobody was accepted")


def graphql(data: bytes) -> None:
    """The text of a GraphQL query."""
    with suppress(HttpError):
        read_query(text_of(data), "")


_PREPARE: Final = Prepare(NOW, "http://a.example", False, frozenset(("Patient",)))


def import_lines(data: bytes) -> None:
    """NDJSON as it is imported: each line is rows, or says what is wrong."""
    lines = [(n, line) for n, line in enumerate(data.split(b"\n")) if line.strip()][:20]
    for line in prepare(lines, list(range(1, len(lines) + 1)), _PREPARE):
        assert line.rows is not None or line.special or line.issues or line.waits


def headers(data: bytes) -> None:
    """Headers and query strings of a request."""
    text = data.decode("latin-1")
    names = ("accept", "content-type", "prefer", "if-match", "if-none-match")
    given = dict.fromkeys(names, text)
    readers: tuple[Callable[[], object], ...] = (
        lambda: accepted_format(given, ()),
        lambda: accepted_format({}, (text,)),
        lambda: sent_format(given),
        lambda: prefer_return(given),
        lambda: expected_version(given),
        lambda: knows_version(given, 1),
        lambda: parse_parameters(data),
        lambda: accepted_encoding(text),
        lambda: request_id(text),
        lambda: wish(text),
    )
    for read in readers:
        with suppress(HttpError, BadLanguageError):
            read()


def pattern(data: bytes) -> None:
    """A regular expression of a value set filter."""
    with suppress(BadFilterError):
        regex(text_of(data))


def _answer(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=dict(SUBJECT), headers={"etag": 'W/"1"'})


def testscript(data: bytes) -> None:
    """A TestScript against a server that always says the same."""
    try:
        script = json.parse(data)
    except JsonError:
        return
    if script.get("resourceType") != "TestScript" or has_errors(validate_base(script)):
        return
    with (
        httpx.Client(transport=httpx.MockTransport(_answer)) as client,
        tempfile.TemporaryDirectory() as folder,
        suppress(ScriptError),
    ):
        Run(script, Path(folder), client, "http://a.example").run()


def log_line(data: bytes) -> None:
    """A file that says it is an export of the log."""

    async def read() -> None:
        async for _ in exporting.read(data.splitlines()):
            pass

    with suppress(exporting.ExportError):
        exporting.read_header(data)
    with suppress(exporting.ExportError):
        asyncio.run(read())


def told_event(data: bytes) -> None:
    """An audit event of another system, however odd, once it is valid: read and shown again."""
    try:
        event = json.parse(data)
    except JsonError:
        return
    if event.get("resourceType") != "AuditEvent" or has_errors(validate_base(event)):
        return
    at = datetime(2026, 11, 23, tzinfo=UTC)
    sender = Caller(kind="system", id="his", name="HIS", role="provider-system")
    persons = {one.index: 1 + one.index % 2 for one in named(event, "http://x.test/fhir")}
    recorded(event)
    entry = entry_of(event, data, sender, at, 1, "p1")
    row = JournalRow(**asdict(entry), id=UUID(int=1), seq=0)
    shown = told_to_fhir(row, Original("his", persons, data))
    if 2 in persons.values():
        assert all("p2" not in str(entity.get("what")) for entity in shown.get("entity", ()))


def consent(data: bytes) -> None:
    """A declaration of a patient, or whatever says who has them in care: understood or refused."""
    try:
        found = json.parse(data)
    except JsonError:
        return
    now = datetime(2026, 11, 23, tzinfo=UTC)
    rules, issues = will.read_consent(found, Around())
    assert not (rules and issues)
    assert will.read_rules(will.write_rules(rules)) == rules
    will.compile_will(rules, will.Whom(frozenset({"ico|12345679"}), "TREAT"), now)
    will.referred(found, Around())
    for type_ in relations.SAYING:
        for each in relations.relations_of(type_, found, Around(), now):
            assert each.until > now


_DAY: Final = date(2026, 1, 1)


def register_file(data: bytes) -> None:
    """A CSV file of the register of providers: refused, or rows that are valid or refused."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        with suppress(FileError):
            layout = layout_of(Path(file.name))
            form = form_of(layout.header)
            places = form.places(layout.header)
            for row in rows(Path(file.name), layout):
                with suppress(RowError):
                    made = form.made(form.cells(places, row.cells), _DAY) if not row.problem else []
                    for each in made:
                        assert not has_errors(validate(each)), each


def person_file(data: bytes) -> None:
    """A CSV file of persons: refused, or rows that are valid Patients or refused; all are there."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        with suppress(FileError):
            layout = csv_files.survey(Path(file.name))
            columns = Columns.of(layout.header)
            end = layout.begins[0]
            for row in csv_files.rows(Path(file.name), layout):
                assert end <= row.at < row.end[0] <= len(data)
                end = row.end[0]
                with suppress(RowError):
                    cells = columns.cells(row.cells) if not row.problem else {NUMBER: ""}
                    number_of(cells)
                    made = patient_of(cells)
                    assert not has_errors(validate(made)), made


def hl7_message(data: bytes) -> None:
    """An HL7 v2 message: refused, or read; the person in it is a Patient that goes there again."""
    with suppress(Hl7Error):
        message = hl7_codec.parse(data)
        pid = message.first("PID")
        if pid is not None:
            told = hl7_reading.told(message, pid)
            if not told.faults:
                assert not has_errors(validate_base(told.patient)), told.patient
            line = hl7_codec.segment("PID", hl7_writing.pid(told.patient))
            again = hl7_codec.parse(hl7_codec.encoded([_HL7_HEAD, line], "UNICODE UTF-8"))
            assert again.first("PID") is not None
    frames = Frames(1000)
    with suppress(Broken):
        frames.feed(data)
        while frames.take() is not None:
            pass


_HL7_HEAD: Final = "MSH|^~\\&|A|B|C|D|20240101||ADT^A28|1|P|2.5"


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "seal": trust_targets.seal,
    "json": json_text,
    "xml": xml_text,
    "search": search,
    "filter": filter_text,
    "fhirpath": fhirpath,
    "fhirpath-patch": fhirpath_patch,
    "json-patch": json_patch_text,
    "ucum": ucum,
    "scope": scope,
    "token": token,
    "graphql": graphql,
    "import": import_lines,
    "headers": headers,
    "pattern": pattern,
    "testscript": testscript,
    "certification-request": trust_targets.certification_request,
    "acme": trust_targets.acme_message,
    "ocsp": trust_targets.certificate_question,
    "time-stamp-request": trust_targets.time_stamp_request,
    "time-stamp": trust_targets.time_stamp,
    "log-line": log_line,
    "told-event": told_event,
    "archive-statement": trust_targets.archive_statement,
    "consent": consent,
    "register-file": register_file,
    "person-file": person_file,
    "hl7": hl7_message,
}
