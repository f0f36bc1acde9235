"""Requests that are made to fill the memory are refused, and the server stays small and well."""

from __future__ import annotations

import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fuzz.server import Target, memory

FHIR = {"content-type": "application/fhir+json"}
XML = {"content-type": "application/fhir+xml"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MORE = 400 * 1024 * 1024
"""Bytes that all bombs together may add to what the server holds at most."""


def zeros(megabytes: int) -> bytes:
    """That many megabytes of blanks as gzip, a thousandth of it on the wire."""
    packer = zlib.compressobj(9, wbits=31)
    block = b" " * (1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def bundle(entries: int) -> bytes:
    entry = {"request": {"method": "GET", "url": "Patient/none"}}
    return json.dumps(
        {"resourceType": "Bundle", "type": "batch", "entry": [entry] * entries}
    ).encode()


def observation(value: str) -> bytes:
    return (
        '{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        '"subject":{"reference":"Patient/fuzz"},"valueQuantity":{"value":' + value + "}}"
    ).encode()


BOMBS: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "a gigabyte in gzip": ("POST", "/Patient", zeros(1024), FHIR | {"content-encoding": "gzip"}),
    "gzip in gzip": (
        "POST", "/Patient", gzip.compress(zeros(64)), FHIR | {"content-encoding": "gzip"}),
    "zstd": (
        "POST", "/Patient", b"\x28\xb5\x2f\xfd" + b"\0" * 99, FHIR | {"content-encoding": "zstd"}),
    "fifty megabytes": ("POST", "/Patient", b" " * 50_000_000, FHIR),
    "deep JSON": ("POST", "/Patient", b'{"resourceType":"Patient","a":' + b"[" * 5_000_000, FHIR),
    "many small values": (
        "POST", "/Patient", b'{"resourceType":"Patient","a":[' + b"{}," * 1_000_000 + b"1]}", FHIR),
    "many contained": (
        "POST", "/Patient",
        b'{"resourceType":"Patient","contained":[' + b'{"resourceType":"Basic"},' * 100_000
        + b'{"resourceType":"Basic"}]}', FHIR),
    "deep XML": (
        "POST", "/Patient", b'<Patient xmlns="http://hl7.org/fhir">' + b"<a>" * 1_000_000, XML),
    "a billion laughs": (
        "POST", "/Patient", b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
        + b']><Patient xmlns="http://hl7.org/fhir"><id value="&a9;"/></Patient>', XML),
    "a large exponent": ("POST", "/Observation", observation("1e999999"), FHIR),
    "a long number": ("POST", "/Observation", observation("9" * 1_000_000), FHIR),
    "a million parameters": ("POST", "/Patient/_search", b"a=b&" * 1_000_000, FORM),
    "a long value": ("POST", "/Patient/_search", b"name=" + b"a" * 5_000_000, FORM),
    "many values": ("POST", "/Patient/_search", b"name=" + b"a," * 1_000_000, FORM),
    "a large batch": ("POST", "/", bundle(50_000), FHIR),
    "a long patch": (
        "PATCH", "/Patient/fuzz", b"[" + b'{"op":"add","path":"/a","value":1},' * 50_000
        + b'{"op":"add","path":"/a","value":1}]', {"content-type": "application/json-patch+json"}),
    "a patch that doubles": (
        "PATCH", "/Patient/fuzz",
        json.dumps([{"op": "copy", "from": "/name", "path": "/name/0/x"}] * 60).encode(),
        {"content-type": "application/json-patch+json"}),
    "a deep query": (
        "POST", "/$graphql", json.dumps({"query": "{a" * 100_000}).encode(),
        {"content-type": "application/json"}),
    "a query of fragments": (
        "POST", "/$graphql", json.dumps({"query": "{...a0} " + " ".join(
            f"fragment a{n} on Query {{...a{n + 1} ...a{n + 1}}}" for n in range(60))}).encode(),
        {"content-type": "application/json"}),
    "a large expression": (
        "POST", "/ValueSet/$expand", json.dumps({"resourceType": "Parameters", "parameter": [
            {"name": "valueSet", "resource": {"resourceType": "ValueSet", "status": "active",
             "compose": {"include": [{"system": "http://e.example/cs", "filter": [
                 {"property": "code", "op": "regex", "value": "((a{1,99}){1,99}){1,99}"}]}] * 500},
             }}]}).encode(), FHIR),
    "a value set of itself": (
        "POST", "/ValueSet/$expand", json.dumps({"resourceType": "ValueSet", "url": "http://e/a",
            "status": "active", "compose": {"include": [{"valueSet": ["http://e/a"]}]}}).encode(),
        FHIR),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused(target: Target, name: str) -> None:
    method, path, body, headers = BOMBS[name]
    assert target.running.process is not None
    before = memory(target.running.process.pid, "VmHWM")
    assert target.send(method, path, body, headers) is None, target.running.said()
    assert memory(target.running.process.pid, "VmHWM") - before < MORE
    assert target.clients[0].get("/Patient/fuzz").status_code == 200


def test_bombs_together(target: Target) -> None:
    assert target.running.process is not None
    before = memory(target.running.process.pid, "VmHWM")
    chosen = [each for name, each in BOMBS.items() if "gigabyte" in name or "deep" in name]
    with ThreadPoolExecutor(8) as pool:
        wrong = list(pool.map(lambda each: target.send(*each), chosen * 3))
    assert wrong == [None] * len(wrong), target.running.said()
    assert memory(target.running.process.pid, "VmHWM") - before < MORE
