"""The three things that are measured: documents in, reads, and a search; as requests to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import asyncpg

from bench.documents import Subject, documents
from bench.http import encode
from bench.server import Server
from pater.fhir.definitions import TYPE_NUMBER
from pater.registers.identifiers import RID

FHIR_JSON: Final = "application/fhir+json"
DISCHARGE: Final = "http://loinc.org|34105-7"
READS: Final = {
    "read-document": "GET /fhir/Bundle/{id}",
    "read-observation": "GET /fhir/Observation/{id}",
    "search": "GET /fhir/DocumentReference?patient.identifier=&type=",
}


@dataclass(frozen=True, slots=True)
class Sender:
    """A demonstration client with its token."""

    token: str

    @classmethod
    def of(cls, server: Server, name: str) -> Sender:
        """The client of this name."""
        return cls(server.token(name))

    def get(self, path: str) -> bytes:
        """A reading request."""
        return encode("GET", path, {"Authorization": f"Bearer {self.token}", "Accept": FHIR_JSON})

    def post(self, path: str, body: bytes) -> bytes:
        """A writing request."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": FHIR_JSON,
            "Content-Type": FHIR_JSON,
        }
        return encode("POST", path, headers, body)


def document_requests(
    sender: Sender, count: int, *, with_original: bool, first: int
) -> list[bytes]:
    """Documents to send, all different."""
    made = documents(count, with_original=with_original, first=first)
    return [sender.post("/fhir/Bundle", body) for body in made]


async def read_requests(
    sender: Sender, dsn: str, name: str, subjects: Sequence[Subject], most: int = 500
) -> list[bytes]:
    """Requests of one of READS about what is stored."""
    if name == "search":
        kind = quote(DISCHARGE, safe="")
        return [
            sender.get(
                "/fhir/DocumentReference?patient.identifier="
                f"{quote(f'{RID}|{one.rid}', safe='')}&type={kind}"
            )
            for one in subjects[:most]
        ]
    kind = {"read-document": "Bundle", "read-observation": "Observation"}[name]
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select id from resource where type = $1 and not deleted order by md5(id) limit $2",
            TYPE_NUMBER[kind],
            most,
        )
    finally:
        await connection.close()
    return [sender.get(f"/fhir/{kind}/{row['id']}") for row in rows]
