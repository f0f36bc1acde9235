"""What a document made of a Composition holds: the Composition and what it leads to."""

from __future__ import annotations

from dataclasses import replace

from pater.access.caller import Caller
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.issues import Issue
from pater.fhir.json import dumps, parse
from pater.records.errors import Unprocessable
from pater.records.everything import referred
from pater.records.ports import DONE, Ports
from pater.records.reading import read
from pater.store.read import Stored

MOST_ENTRIES = 2000
_ROUNDS = 6
# Other documents, and who looked: they are about a document, and not part of one.
_TYPES = frozenset(RESOURCE_TYPES) - {"AuditEvent", "Bundle", "Composition", "Provenance"}


async def document(ports: Ports, caller: Caller, id: str) -> list[Stored]:
    """The Composition, then what it refers to, and what that refers to in turn.

    Of the same person or of nobody, as far as the caller may read it. Raises as `read`, and
    Unprocessable when it would be too much.
    """
    stored = await read(ports, caller, "Composition", id)
    said = {key: value for key, value in parse(stored.body).items() if key != "relatesTo"}
    head = replace(stored, body=dumps(said))
    sight = await ports.sight(caller, {stored.person})
    found = await referred(ports, sight, [head], _TYPES, rounds=_ROUNDS, most=MOST_ENTRIES)
    if len(found) >= MOST_ENTRIES:
        text = f"the document would have more than {MOST_ENTRIES} entries"
        raise Unprocessable([Issue("error", "too-costly", "Bundle.entry", text)])
    await ports.record(
        [
            ports.entry(
                caller,
                "read",
                DONE,
                sight.decide("read", "Composition", stored.person).reason,
                person=stored.person,
                patient=await ports.patient_of(stored.person),
                type="Composition",
                id=id,
                version=stored.version,
                query="$document",
                interaction="operation",
            )
        ]
    )
    return [stored, *found]
