"""Single resources: create, read, vread, update, history, delete, and a mix of them all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import orjson

from bench.commits import Floor, commits
from bench.http import encode
from bench.load import Outcome
from bench.measure import BenchError, Result
from bench.patients import patient, person
from bench.section import Bench, row
from bench.workloads import FHIR_JSON

CRUD: Final = ("create", "read", "vread", "update", "history", "mix", "delete")
MIX: Final = {
    "read": 0.50, "vread": 0.10, "history": 0.05, "create": 0.15, "update": 0.15, "delete": 0.05,
}  # fmt: skip
"""How much of the mix each interaction is."""
_WRITES: Final = frozenset({"create", "update", "delete"})
_GOOD: Final = {"create": 201, "delete": 204}
_PREPARED: Final = 4000  # creates a second of the timed section: more than are ever sent
_LARGEST: Final = 6000  # requests of a mix


def crud(bench: Bench, clients: int) -> Result:
    """Rows `crud.NAME.CLIENTS`. Raises BenchError when something is not as it was written."""
    first = clients * 1_000_000  # so that nobody comes twice
    count = 100 + int(_PREPARED * bench.options.seconds * 4 / 3)
    bodies = [orjson.dumps(patient(person(number))) for number in range(first, first + 200)]
    fresh = [_numbered(bodies[n % 200], first + n) for n in range(count + _LARGEST)]
    out: Result = {}
    floors: dict[str, Floor] = {}

    def timed(name: str, requests: Sequence[bytes], **more: Any) -> Outcome:
        good = frozenset({_GOOD.get(name, 200)} if name != "mix" else {200, 201, 204})
        outcome = bench.send(requests, connections=clients, good=good, **more)
        if name != "mix":
            size = outcome.body_bytes // outcome.done
            floors[name] = write if name in _WRITES else bench.static(size, clients)
            out[f"crud.{name}.{clients}"] = _row(outcome, floors[name], clients, name in _WRITES)
        return outcome

    write = asyncio.run(
        commits(bench.server.dsn, bodies[0], clients, bench.options.floor_seconds, bench.server.pid)
    )
    made = timed("create", [_post(bench, body) for body in fresh[:count]], cycle=False,
                 keep_heads=True)  # fmt: skip
    ids = [_id(head) for _, head in made.heads]
    if len(set(ids)) != made.done + made.warmed:
        raise BenchError(f"{made.done + made.warmed} creates made {len(set(ids))} resources")
    kept, lost, rest = ids[::4], ids[1::4], ids[2::4] + ids[3::4]
    for name, tail in (("read", ""), ("vread", "/_history/1")):
        found = timed(name, [bench.sender.get(f"/fhir/Patient/{id}{tail}") for id in kept])
        _same(found, kept)
    written = timed("update", [_put(bench, id, bodies[0]) for id in kept])
    versions = _same(written, kept)
    found = timed("history", [bench.sender.get(f"/fhir/Patient/{id}/_history") for id in kept])
    for number, pages in found.bodies.items():
        newest = int(orjson.loads(pages[0])["entry"][0]["resource"]["meta"]["versionId"])
        if newest != versions.get(number, newest):
            raise BenchError(f"{kept[number]} is in version {newest}, not {versions[number]}")
    deleted = timed("delete", [_delete(bench, id) for id in rest], cycle=False)
    for number in list(deleted.bodies)[:20]:
        if bench.status(f"/fhir/Patient/{rest[number]}") != 410:
            raise BenchError(f"{rest[number]} was deleted and is still there")
    requests = _mixed(bench, kept, lost, fresh[count:], bodies[0])
    mixed = timed("mix", requests, cycle=False)
    shares = {name: share / floors[name].per_second for name, share in MIX.items()}
    cpu = sum(share * floors[name].cpu_ms for name, share in MIX.items())
    floor = Floor(1 / sum(shares.values()), cpu)
    out[f"crud.mix.{clients}"] = row(mixed, floor, "both", clients=clients)
    return out


def _row(outcome: Outcome, floor: Floor, clients: int, write: bool) -> Result:
    return row(outcome, floor, "commit" if write else "static", clients=clients)


def _mixed(
    bench: Bench, kept: Sequence[str], lost: Sequence[str], fresh: Sequence[bytes], body: bytes
) -> list[bytes]:
    """Requests by the shares of MIX, in a random order that is always the same."""
    sender = bench.sender
    makers = {
        "read": lambda n: sender.get(f"/fhir/Patient/{kept[n % len(kept)]}"),
        "vread": lambda n: sender.get(f"/fhir/Patient/{kept[n % len(kept)]}/_history/1"),
        "history": lambda n: sender.get(f"/fhir/Patient/{kept[n % len(kept)]}/_history"),
        "create": lambda n: _post(bench, fresh[n]),
        "update": lambda n: _put(bench, kept[n % len(kept)], body),
        "delete": lambda n: _delete(bench, lost[n]),
    }
    size = min(_LARGEST, int(len(lost) / MIX["delete"]))
    requests = [makers[name](n) for name, share in MIX.items() for n in range(int(size * share))]
    Random(size).shuffle(requests)
    return requests


def _numbered(body: bytes, number: int) -> bytes:
    """The Patient under another number; the bytes stay what they are otherwise."""
    before, found, after = body.partition(b'"value":"')
    return before + found + str(70_000_000 + number).encode() + after[after.index(b'"') :]


def _post(bench: Bench, body: bytes) -> bytes:
    return bench.sender.post("/fhir/Patient", body)


def _put(bench: Bench, id: str, body: bytes) -> bytes:
    resource = {**orjson.loads(body), "id": id}
    return encode("PUT", f"/fhir/Patient/{id}", _headers(bench), orjson.dumps(resource))


def _delete(bench: Bench, id: str) -> bytes:
    return encode("DELETE", f"/fhir/Patient/{id}", _headers(bench))


def _headers(bench: Bench) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bench.sender.token}",
        "Accept": FHIR_JSON,
        "Content-Type": FHIR_JSON,
    }


def _id(head: bytes) -> str:
    """The id in the Location of a created resource."""
    line = next(one for one in head.split(b"\r\n") if one.lower().startswith(b"location:"))
    return line.split(b"/Patient/", 1)[1].split(b"/", 1)[0].decode().strip()


def _same(outcome: Outcome, ids: Sequence[str]) -> dict[int, int]:
    """The versions that were answered, by number of the request; each is what was asked for."""
    versions = {}
    for number, pages in outcome.bodies.items():
        found = orjson.loads(pages[0])
        if found["id"] != ids[number]:
            raise BenchError(f"asked for {ids[number]}, {found['id']} came")
        versions[number] = int(found["meta"]["versionId"])
    return versions
