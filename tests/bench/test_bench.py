"""The benchmark reads HTTP right, sends good documents, and draws true tables."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from io import BytesIO
from typing import Any

import asyncpg
import pytest
from bench.copying import encode as encode_rows
from bench.documents import BLOCK, about_twice, documents, people, subject_number
from bench.http import HttpError, Response, ResponseParser, encode
from bench.load import Job, send
from bench.machine import flush_latency, tree_time
from bench.measure import figures, middle
from bench.profiling import fold
from bench.report import report
from bench.table import number, percent, percentile, render
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.exchange.checking import check_document
from pater.fhir.json import parse
from tests.waiting import PATIENCE

PLAIN = b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nETag: W/"1"\r\n\r\nhello'
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN


def read_all(pieces: list[bytes]) -> list[Response]:
    parser, found = ResponseParser(), []
    for piece in pieces:
        response = parser.feed(piece)
        while response is not None:
            found.append(response)
            response = parser.feed(b"")
    return found


@given(st.lists(st.sampled_from([PLAIN, CHUNKED, EMPTY, CONTINUED]), max_size=4), st.data())
def test_responses_are_read_however_the_bytes_arrive(
    sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    bodies = {PLAIN: b"hello", CONTINUED: b"hello", CHUNKED: b"abc0123456789", EMPTY: b""}
    found = read_all(pieces)
    assert [one.body for one in found] == [bodies[one] for one in sent]
    assert [one.keep_alive for one in found] == [one is not EMPTY for one in sent]


def test_header_fields_are_found_whatever_their_case() -> None:
    [response] = read_all([PLAIN])
    assert response.status == 200
    assert response.header("etag") == 'W/"1"'
    assert response.header("Content-Length") == "5"
    assert response.header("etagg") == ""


def test_a_body_without_length_ends_with_the_connection() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf") is None
    assert parser.feed(b" and half") is None
    response = parser.eof()
    assert response is not None
    assert response.body == b"half and half"


def test_a_truncated_response_is_none_at_all() -> None:
    parser = ResponseParser()
    assert parser.feed(PLAIN[:-1]) is None
    assert parser.eof() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(HttpError):
        ResponseParser().feed(data)


def test_a_request_says_how_long_its_body_is() -> None:
    assert encode("GET", "/x", {"Accept": "a/b"}) == (
        b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: a/b\r\n\r\n"
    )
    assert encode("POST", "/x", {}, "é".encode()).endswith(b"Content-Length: 2\r\n\r\n\xc3\xa9")


class Backend:
    """A little server: answers by path, counts what it is asked, closes when told to."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.connections = 0
        self.open = 0
        self.idle = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.idle.clear()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode()
                self.paths[path] += 1
                if path == "/drop":
                    break
                writer.write(b"HTTP/1.1 404 Gone\r\ncontent-length: 2\r\n\r\nno" if path == "/none"
                             else CHUNKED if path == "/chunked" else PLAIN)  # fmt: skip
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self.idle.set()


async def sent(paths: list[str], **options: Any) -> tuple[Any, Backend]:
    backend = Backend()
    server = await asyncio.start_server(backend, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        requests = [encode("GET", path, {}) for path in paths]
        job = Job(port, requests, 20, **{"warmup": 0, "cycle": False, **options})
        outcome = await send(job)
        async with asyncio.timeout(PATIENCE):
            await backend.idle.wait()  # the client closes what it opened
        return outcome, backend


async def test_every_request_is_sent_once_over_few_connections() -> None:
    paths = [f"/{n}" for n in range(40)]
    outcome, backend = await sent(paths, connections=3, keep_heads=True)
    assert outcome.done == 40
    assert outcome.errors == {}
    assert backend.paths == Counter(paths)
    assert backend.connections == 3
    assert len(outcome.latencies) == 40
    assert sorted(number for number, _ in outcome.heads) == list(range(40))


async def test_answers_that_are_not_good_are_counted_and_shown() -> None:
    outcome, _ = await sent(["/a", "/none", "/chunked"], good=frozenset({200, 201}))
    assert outcome.done == 2
    assert outcome.errors == {"404": 1}
    assert outcome.first_error == "no"
    assert outcome.body_bytes == len(b"hello" + b"no" + b"abc0123456789")


async def test_a_dropped_connection_is_an_error_and_is_replaced() -> None:
    outcome, backend = await sent(["/a", "/drop", "/b", "/c"], connections=1)
    assert outcome.done == 3
    assert outcome.errors == {"closed": 1}
    assert backend.connections == 2


@pytest.mark.parametrize("with_original", [False, True])
def test_the_documents_are_different_and_acceptable(with_original: bool) -> None:
    made = list(documents(6, with_original=with_original))
    keys = [{parse(one)["identifier"]["value"]} for one in made]
    assert len(set.union(*keys)) == len(made)
    subjects = people(BLOCK)
    for number_, raw in enumerate(made):
        received = check_document(parse(raw), raw, strict=True)
        patients = [e.resource for e in received.entries if e.resource["resourceType"] == "Patient"]
        assert [one["identifier"][0]["value"] for one in patients] == [subjects[number_].rid]
        assert (b"application/pdf" in raw) == with_original


def test_every_person_has_two_documents() -> None:
    numbers = range(4 * BLOCK)
    assert set(Counter(map(subject_number, numbers)).values()) == {2}
    assert len(about_twice(numbers)) == 2 * BLOCK
    assert len(about_twice(range(BLOCK + 5))) == 5
    assert len({one.rid for one in people(500)}) == len({one.birth_number for one in people(500)})


async def test_rows_for_copy_are_what_postgresql_reads(database: Any) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute("create table floor (id text, body bytea)")
        rows = [(b"Patient/1", b"{}"), ("Patient/ž".encode(), bytes(range(256)))]
        await connection.copy_to_table("floor", source=BytesIO(encode_rows(rows)), format="binary")
        found = await connection.fetch("select id, body from floor order by id")
        assert [(row["id"].encode(), row["body"]) for row in found] == rows
    finally:
        await connection.close()


def test_tables_are_aligned_markdown() -> None:
    assert render(("what", "n"), [["a", "1"], ["long name", "1000"]]) == (
        "| what      |    n |\n| --------- | ---: |\n| a         |    1 |\n| long name | 1000 |"
    )
    assert [number(v) for v in (None, 0, 0.1234, 12.34, 1234.5)] == [
        "–",
        "0",
        "0.12",
        "12.3",
        "1234",
    ]
    assert [percent(v) for v in (None, 0.051, 0.51)] == ["–", "5.1%", "51%"]
    assert percentile([1_000_000, 2_000_000, 3_000_000, 4_000_000], 50) == 2
    assert percentile([], 99) == 0


async def test_a_whole_report_can_be_drawn_of_a_result_that_went_through_json() -> None:
    outcome, _ = await sent([f"/{n}" for n in range(20)])
    one = figures(outcome)
    documents_ = {
        **one, "document_bytes": 43_000, "rows_per_document": 42.0, "resources_per_second": 900.0,
        "ratio": 0.2, "ratio_each": 0.3,
        "floor": {"copy_documents_per_second": 100.0, "copy_each_documents_per_second": 90.0,
                  "copy_cpu_ms": 2.0},
    }  # fmt: skip
    reads = {**middle([one, one]), "body_bytes": 900, "ratio": 0.0567, "floor": middle([one])}
    assert reads["requests"] == 40
    result = {
        "machine": {"date": "2026-01-01", "cpu": "X1", "processors": 2, "memory": "8 GiB",
                    "kernel": "6", "python": "3.11", "versions": {"uvicorn": "9.9"}},
        "disk": {"p50_ms": 0.5, "p95_ms": 0.7},
        "options": {"documents": {"connections": 8}},
        "documents": documents_, "documents-pdf": documents_,
        "read-document": reads, "read-observation": reads, "search": reads,
        "api": {"bulk.export": {"rate": 55_000.0, "program_cpu_ms": 0.01}},
    }  # fmt: skip
    text = report(json.loads(json.dumps(result)))
    assert "bulk.export, resources" in text and "55000" in text
    assert "X1" in text and "uvicorn 9.9" in text
    assert "5.7%" in text and "20%" in text and "900" in text


def test_samples_are_added_up_by_function_and_line() -> None:
    found = fold(
        [
            "a (pater/x.py:1);b (y.py:7) 3",
            "a (pater/x.py:2);b (y.py:8);b (y.py:7) 2",
            "",
            "c (z.py:1) 1",
        ]
    )
    assert found.samples == 6
    assert found.own == {"b (y.py)": 5, "c (z.py)": 1}
    assert found.within == {"a (pater/x.py)": 5, "b (y.py)": 5, "c (z.py)": 1}
    assert found.lines == {"a (pater/x.py:1)": 3, "a (pater/x.py:2)": 2, "c (z.py:1)": 1}


def test_the_machine_tells_its_times(tmp_path: Any) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    child = subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        used = tree_time(child.pid)
        child.communicate(b"\n", timeout=PATIENCE)
    assert used.program >= 0.2
    assert used.database == 0
    assert flush_latency(tmp_path, writes=5)["p50_ms"] > 0
    assert not list(tmp_path.iterdir())
