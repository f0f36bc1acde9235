"""Whatever a reader is given, it reads it or says why not, with the errors that it documents."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.fhir import json, xml
from pater.fhir.fhirpath import EvaluationError, FhirPathError, compile_expression
from pater.fhir.search.parse import parse_search
from pater.fhir.search.request import SearchError
from pater.fhir.ucum import is_valid
from tests.fuzz.odd import spoiled, spoiled_bytes, texts
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import SUBJECT, TARGETS, resource

LARGEST = 200 * 1024 * 1024
"""Bytes that reading a bomb may take; each bomb is at most 8 MB."""


@contextmanager
def bounded(seconds: int = 60) -> Iterator[None]:
    """Ends what would never end, and refuses what takes too much memory."""

    def stop(*_: object) -> None:
        raise AssertionError("it does not end")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    tracemalloc.start(1)
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LARGEST
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


SETTINGS = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
PARTS = st.sampled_from(
    ["Observation", "component", ".", "where(", "select(", "all(", "repeat(", "aggregate(", ")",
     "(", "$this", "$index", "$total", "%resource", "%context", "%`a`", "|", "and", " implies ",
     " div ", " mod ", "/", "*", "-", "+", "&", "=", "~", "!~", "<=", "is ", "as ",
     "ofType(Quantity)", "'a'", "'\\u00'", "'\\u0041'", "1", "0", "1.50", "9" * 30, "1 'mg'",
     "4 days", "@2026", "@T12", "@2026-01-01T00:00:00.000+14:00", "{}", "[", "]", "0]", ",",
     "now()", "today()", "toInteger()", "descendants()", "children()", "power(99)", "exp()",
     "sqrt()", "round(40)", "matches('(a*)*b')", "replaceMatches('a', '$2')", "substring(-1)",
     "indexOf('')", "split('')", "join()", "encode('x')", "trace('x')", "iif(true, 1)",
     "combine(", "exclude(", "resolve()", "extension('a')", "memberOf(''", "lowBoundary(30)",
     "precision()", "// c\n", "/* c", "`x`", "\t", "conformsTo('a')", "type()"]
)  # fmt: skip
SEARCHES = st.sampled_from(
    ["code", "date", "value-quantity", "patient", "subject", "_has", "Observation", "Patient",
     "name", "_filter", "_sort", "_include", "_elements", "_count", "combo-code-value-quantity",
     "_text", "_cursor", "_id", "_lastUpdated", "=", "&", ":", ".", ",", "|", "$", "%5C", "%24",
     "%00", "%F0", ":missing", ":not", ":in", ":of-type", ":identifier", ":Patient", ":iterate",
     ":above", "true", "ge", "ap", "ne", "2026-01", "T24:00", "1e400", "-1", "NaN", "5.40",
     "mg", "eq ", "and ", "or ", "not(", ")", "(", "pr ", "%22", "http://a|1", "*"]
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in ("json", "import")])
def test_spoiled_bytes(name: str) -> None:
    @SETTINGS
    @given(spoiled_bytes(seeds(name)))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", ["json", "import"])
def test_spoiled_examples(name: str) -> None:
    @settings(SETTINGS, max_examples=200)
    @given(spoiled_bytes(seeds(name)))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@settings(SETTINGS, max_examples=200)
@given(st.data())
def test_a_spoiled_tree_is_judged_and_what_is_good_goes_through_all_rooms(data: Any) -> None:
    start = json.parse(data.draw(st.sampled_from(seeds("json"))))
    resource(data.draw(spoiled([start], 1)))


@settings(SETTINGS, max_examples=200)
@given(st.lists(PARTS | texts, max_size=12).map("".join))
def test_any_expression(text: str) -> None:
    TARGETS["fhirpath"](text.encode())


@settings(SETTINGS, max_examples=200)
@given(st.lists(SEARCHES, max_size=14).map("".join))
def test_any_parameters(text: str) -> None:
    TARGETS["search"](b"\x00" + text.encode())
    TARGETS["filter"](text.encode())


BOMBS: dict[str, tuple[str, bytes]] = {
    "deep JSON": ("json", b'{"a":' * 200_000),
    "deep arrays": ("json", b'{"a":' + b"[" * 200_000),
    "many keys": ("json", b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}"),
    "equal keys": ("json", b'{"a":1' + b',"a":1' * 100_000 + b"}"),
    "long number": ("json", b'{"a":' + b"9" * 1_000_000 + b"}"),
    "large exponent": ("json", b'{"resourceType":"Observation","valueInteger":1e999999}'),
    "long key": ("json", b'{"' + b"a" * 1_000_000 + b'":1}'),
    "deep XML": ("xml", b'<Patient xmlns="http://hl7.org/fhir">' + b"<contact>" * 100_000),
    "deep extensions": (
        "xml",
        b'<Patient xmlns="http://hl7.org/fhir">' + b'<extension url="a">' * 100_000,
    ),
    "many attributes": (
        "xml",
        b"<Patient " + b" ".join(b'a%d="1"' % n for n in range(20_000)) + b"/>",
    ),
    "deep expression": ("fhirpath", b"(" * 15_000),
    "long chain": ("fhirpath", b"a" + b".a" * 9_000),
    "many signs": ("fhirpath", b"-" * 15_000 + b"1"),
    "many operators": ("fhirpath", b"1" + b"+1" * 9_000),
    "deep filter": ("filter", b"(" * 50_000),
    "many nots": ("filter", b"not(" * 50_000),
    "long filter": ("filter", b"code eq 1" + b" and code eq 1" * 20_000),
    "many values": ("search", b"\x00code=" + b"a," * 100_000),
    "many parameters": ("search", b"\x00" + b"code=a&" * 1_000_000),
    "long chain of searches": ("search", b"\x00patient" + b".link" * 20_000 + b"=a"),
    "long has": ("search", b"\x00" + b"_has:Observation:patient:" * 5_000 + b"code=a"),
    "large power": ("ucum", b"m9" * 90),
    "nested units": ("ucum", b"(" * 190),
    "huge unit": ("ucum", b"10*9999"),
    "many steps": ("json-patch", b"[" + b'{"op":"remove","path":"/a"},' * 100_000 + b"]"),
    "growing": (
        "json-patch",
        b"[" + b",".join([b'{"op":"copy","from":"/note","path":"/note/-"}'] * 60) + b"]",
    ),
    "deep query": ("graphql", b"{a" * 6_000),
    "many fragments": ("graphql", b"{" + b"...a " * 4_000 + b"}"),
    "large pattern": ("pattern", b"(((a{1,100}){1,100}){1,100}){1,100}"),
    "long scope": ("scope", b"system/Observation.rs?" + b"code=a&" * 50_000),
    "long token": ("token", b"e30." * 100_000),
    "long accept": ("headers", b"a/b;q=0.1," * 50_000),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs_end_in_little_memory(name: str) -> None:
    target, data = BOMBS[name]
    with bounded():
        TARGETS[target](data)


ENTITIES = [
    b'<!DOCTYPE a [<!ENTITY b "c">]><Patient xmlns="http://hl7.org/fhir"><id value="&b;"/>'
    b"</Patient>",
    b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000
    + b'">]><Patient xmlns="http://hl7.org/fhir"><id value="' + b"&b;" * 1000 + b'"/></Patient>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>',
    b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/">%p;]><Patient/>',
]  # fmt: skip


@pytest.mark.parametrize("data", ENTITIES, ids=["inner", "laughs", "file", "address"])
def test_entities_are_refused(data: bytes) -> None:
    with pytest.raises(xml.XmlError):
        xml.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "descendants().descendants().descendants().descendants()",
        "repeat(component | note | $this | descendants())",
        "(1|2|3|4|5|6|7|8|9).select($this.toString().replace('', 'xxxxxxxxxxxxxxxxxxxxxx')).join()",
        "'" + "x" * 1000 + "'.replace('', '" + "y" * 1000 + "').replace('', '" + "z" * 1000 + "')",
        "'" + "a" * 9000 + "'.matches('(a*)*(a*)*(a*)*$b')",
        "9.power(9.power(9.power(9)))",
        "(2).power(100000)",
        "@2026.lowBoundary(9999)",
        ".".join(["Observation", *["select($this | $this.note | descendants())"] * 12]),
    ],
)
def test_costly_expressions_end(text: str) -> None:
    with bounded(), suppress(FhirPathError, EvaluationError):
        compile_expression(text, "Observation").evaluate(dict(SUBJECT))


@given(texts)
@SETTINGS
def test_a_unit_of_any_text_never_breaks_a_search(text: str) -> None:
    try:
        parse_search("Observation", [("value-quantity", f"1|http://unitsofmeasure.org|{text}")])
    except SearchError as error:
        assert error.issues
    is_valid(text)
