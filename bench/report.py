"""Turns the result of a run into the tables that `make bench` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.table import number, percent, render
from bench.workloads import READS

_DOCUMENTS: Final = {
    "documents": "POST /fhir/Bundle",
    "documents-pdf": "POST /fhir/Bundle, with PDF",
}
_LATENCY: Final = ("p50_ms", "p95_ms", "p99_ms")
_CPU: Final = ("program_cpu_ms", "database_cpu_ms")


def report(result: Mapping[str, Any]) -> str:
    """The conditions and all tables as Markdown."""
    parts = [_conditions(result), _documents(result), _reads(result), _notes(result)]
    return "\n\n".join(parts)


def _conditions(result: Mapping[str, Any]) -> str:
    machine, disk = result["machine"], result["disk"]
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['processors']} processors,"
        f" {machine['memory']}, Linux {machine['kernel']}, Python {machine['python']}\n"
        f"{versions}\n"
        f"fdatasync of 8 KB: p50 {number(disk['p50_ms'])} ms, p95 {number(disk['p95_ms'])} ms;"
        f" {result['options']['connections']} connections, one server process"
    )


def _documents(result: Mapping[str, Any]) -> str:
    head = (
        "documents", "KB", "rows", "docs/s", "resources/s", "COPY docs/s", "ratio",
        "COPY each/s", "ratio", "p50 ms", "p95", "p99", "server CPU ms", "db CPU ms",
        "COPY CPU ms", "others",
    )  # fmt: skip
    rows = []
    for name, title in _DOCUMENTS.items():
        one = result[name]
        floor = one["floor"]
        rows.append(
            [
                title,
                number(one["document_bytes"] / 1000),
                number(one["rows_per_document"]),
                number(one["per_second"]),
                number(one["resources_per_second"]),
                number(floor["copy_documents_per_second"]),
                percent(one["ratio"]),
                number(floor["copy_each_documents_per_second"]),
                percent(one["ratio_each"]),
                *(number(one[key]) for key in _LATENCY + _CPU),
                number(floor["copy_cpu_ms"]),
                percent(one["others_cpu"]),
            ]
        )
    return render(head, rows)


def _reads(result: Mapping[str, Any]) -> str:
    head = (
        "reads", "bytes", "per s", "static per s", "ratio", "p50 ms", "p95", "p99",
        "server CPU ms", "db CPU ms", "static CPU ms", "others",
    )  # fmt: skip
    rows = []
    for name, title in READS.items():
        one = result[name]
        floor = one["floor"]
        rows.append(
            [
                title,
                number(one["body_bytes"]),
                number(one["per_second"]),
                number(floor["per_second"]),
                percent(one["ratio"]),
                *(number(one[key]) for key in _LATENCY + _CPU),
                number(floor["program_cpu_ms"]),
                percent(one["others_cpu"]),
            ]
        )
    return render(head, rows)


def _notes(result: Mapping[str, Any]) -> str:
    client = max(result[name]["client_cpu_us"] for name in (*_DOCUMENTS, *READS))
    static = max(result[name]["floor"]["client_cpu_us"] for name in READS)
    return (
        "Ratios are ours to the floor's. COPY: the same rows (id text, body bytea as JSON), one"
        " table, no index; all in one COPY, and each document in a transaction of its own on as"
        " many connections. static: a ready body of the same size from Starlette on the same HTTP"
        " server. CPU: milliseconds an operation. others: share of the machine that neither the"
        f" server nor the client used. The client took at most {number(client)} µs a request"
        f" ({number(static)} µs beside the floor)."
    )
