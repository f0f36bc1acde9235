"""Turns the result of a run into the tables that `make bench` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.api import IN_RESOURCES
from bench.table import number, percent, render
from bench.workloads import READS

_DOCUMENTS: Final = {
    "documents": "POST /fhir/Bundle",
    "documents-pdf": "POST /fhir/Bundle, with PDF",
}
_LATENCY: Final = ("p50_ms", "p95_ms", "p99_ms")
_CPU: Final = ("program_cpu_ms", "database_cpu_ms")


def report(result: Mapping[str, Any]) -> str:
    """The conditions and all tables as Markdown; what was not measured is left out."""
    parts = [_conditions(result)]
    if _there(result, _DOCUMENTS):
        parts.append(_documents(result))
    if _there(result, READS):
        parts.append(_reads(result))
    if result.get("api"):
        parts.append(_api(result["api"]))
    return "\n\n".join([*parts, _notes(result)])


def _there(
    result: Mapping[str, Any], titles: Mapping[str, str]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What was measured of these, with its title."""
    return [(title, result[name]) for name, title in titles.items() if name in result]


def _conditions(result: Mapping[str, Any]) -> str:
    machine, disk = result["machine"], result["disk"]
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['processors']} processors,"
        f" {machine['memory']}, Linux {machine['kernel']}, Python {machine['python']}\n"
        f"{versions}\n"
        f"fdatasync of 8 KB: p50 {number(disk['p50_ms'])} ms, p95 {number(disk['p95_ms'])} ms;"
        f" {result['options']['documents']['connections']} connections where no number of clients"
        " is said, one server process"
    )


def _documents(result: Mapping[str, Any]) -> str:
    head = (
        "documents", "KB", "rows", "docs/s", "resources/s", "COPY docs/s", "ratio",
        "COPY each/s", "ratio", "p50 ms", "p95", "p99", "server CPU ms", "db CPU ms",
        "COPY CPU ms", "others",
    )  # fmt: skip
    rows = []
    for title, one in _there(result, _DOCUMENTS):
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
    for title, one in _there(result, READS):
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


def _api(rows: Mapping[str, Any]) -> str:
    head = (
        "API", "clients", "per s", "p50 ms", "p95", "p99", "server CPU ms", "db CPU ms", "floor",
        "floor per s", "ratio", "floor CPU ms", "others",
    )  # fmt: skip
    lines = []
    for name, one in rows.items():
        floor = one.get("floor", {})
        lines.append(
            [
                f"{name}, resources" if name in IN_RESOURCES else name,
                number(one.get("clients") and str(one["clients"])),
                number(one["rate"]),
                *(number(one.get(key)) for key in _LATENCY + _CPU),
                number(floor.get("kind")),
                number(floor.get("rate")),
                percent(one.get("ratio")),
                number(floor.get("cpu_ms")),
                percent(one.get("others_cpu")),
            ]
        )
    return render(head, lines)


def _notes(result: Mapping[str, Any]) -> str:
    timed = [result[name] for name in (*_DOCUMENTS, *READS) if name in result]
    timed += [one for one in result.get("api", {}).values() if "client_cpu_us" in one]
    client = max((one["client_cpu_us"] for one in timed), default=0)
    return (
        "Ratios are ours to the floor's. COPY: the same rows (id text, body bytea as JSON), one"
        " table, no index; all in one COPY, and each document or transaction in a transaction of"
        " its own on as many connections. COPY in: the rows of an import into our tables with our"
        " indexes; COPY out: the stored rows of an export. static: a ready body of the same size"
        " from Starlette on the same HTTP server."
        " commit: one row inserted and committed on as many connections, at most 32, without HTTP."
        " both: static and commit by their shares of the mix. CPU: milliseconds an operation (of"
        " bulk data: a resource). others: share of the machine that neither the server nor the"
        f" client used. The client took at most {number(client)} µs a request."
    )
