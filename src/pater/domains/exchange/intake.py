"""Takes in a FHIR document Bundle: check, tie to a person, split, write once.

Everything of one document is written in one transaction; whoever sends at the same moment loses a
claim, and looking again finds what the other one wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import random
from typing import Final
from uuid import uuid4

from pater.access.caller import Caller
from pater.access.relations import authored
from pater.domain import Answer, Services
from pater.domains.exchange import tables
from pater.domains.exchange.changes import (
    Keys,
    distinct,
    document_claims,
    identity_issues,
    keys_of,
    label_in,
    leftover_changes,
    master_changes,
    part_changes,
)
from pater.domains.exchange.checking import Received, check_document, with_profiles
from pater.domains.exchange.document import (
    Resource,
    replaced_compositions,
    replaced_identifiers,
    replacement_issues,
    subject_entry,
)
from pater.domains.exchange.own_signature import own_signature
from pater.domains.exchange.splitting import (
    Person,
    digest_of,
    document_reference,
    encounter_of,
    parts_of,
    provenance,
    server_names,
    superseded,
    type_code,
)
from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.records.changes import Change
from pater.records.errors import (
    AlreadyClaimed,
    Conflict,
    Merged,
    PreconditionFailed,
    Unprocessable,
)
from pater.records.gate import Claim, Statement, claim_key
from pater.registers.patients import Identity, PatientRegister

TRIES: Final = 12  # against others who write the same person or document at the same moment
_PAUSE: Final = 0.004  # seconds, times the try: those who meet again and again step apart


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a document."""

    bundle: str
    version: int  # within its chain
    known: bool  # it was here already, nothing was written
    replaced: bool
    issues: tuple[Issue, ...]


class Intake:
    """The intake of documents over one gate and one register."""

    def __init__(
        self,
        services: Services,
        register: PatientRegister,
        clock: Callable[[], datetime],
    ) -> None:
        self._services = services
        self._register = register
        self._clock = clock

    async def create(
        self, caller: Caller, resource: Resource, raw: bytes, prefer: str
    ) -> Answer | None:
        """Answers POST /Bundle when it is a document; None leaves other Bundles to the API."""
        if resource.get("type") != "document":
            return None
        accepted = await self.accept(caller, resource, raw)
        base = self._services.base_url
        headers = {
            "Location": f"{base}/Bundle/{accepted.bundle}/_history/1",
            "ETag": 'W/"1"',
        }
        body = {"minimal": b"", "representation": raw}.get(prefer)
        if body is None:
            body = dumps(operation_outcome(accepted.issues))
        return Answer(200 if accepted.known else 201, body, headers)

    async def accept(self, caller: Caller, bundle: Resource, raw: bytes) -> Accepted:
        """Takes in one document. Raises Unprocessable, Conflict, Forbidden."""
        await self._services.gate.require(caller, "create", "Bundle")
        try:
            strict = self._services.strict_identifiers
            received = check_document(bundle, raw, strict=strict)
            if self._services.conforming is not None:
                found = await self._services.conforming(bundle)
                received = with_profiles(received, found, strict=strict)
        except Unprocessable:
            await self._services.gate.refuse(caller, "create", "Bundle", "invalid")
            raise
        for attempt in range(TRIES):
            try:
                return await self._accept(caller, received)
            except (AlreadyClaimed, Merged, PreconditionFailed) as error:
                # Somebody registered or merged the person, or sent it, just now: look again.
                if attempt == TRIES - 1:
                    raise Conflict("the same document or person is being written, try again") from (
                        error
                    )
                await asyncio.sleep(random() * _PAUSE * (attempt + 1))  # noqa: S311  # a pause
            except Conflict:
                await self._services.gate.refuse(caller, "create", "Bundle", "conflict")
                raise
        raise AssertionError("unreachable")

    async def _accept(self, caller: Caller, received: Received) -> Accepted:
        keys = keys_of(caller, received)
        previous = await self._previous(caller, received, keys)
        if previous is not None and previous.digest == digest_of(received.raw):
            note = Issue(
                "information",
                "duplicate",
                "",
                f"this document is known: Bundle/{previous.bundle}, nothing was changed",
            )
            return Accepted(previous.bundle, previous.version, True, False, (note,))
        if previous is not None:
            db = self._services.db
            earlier = await tables.of_bytes(db, previous.chain, digest_of(received.raw))
            if earlier is not None:  # sent again by somebody who missed our answer then
                text = (
                    f"this document is known: Bundle/{earlier.bundle}, replaced since by"
                    f" Bundle/{previous.bundle}, nothing was changed"
                )
                known = Issue("information", "duplicate", "", text)
                return Accepted(earlier.bundle, earlier.version, True, False, (known,))
        if previous is not None and received.stamp < previous.stamped:
            raise Conflict("a newer version of this document is here already")
        people = await self._identify(received)
        return await self._write(caller, received, keys, previous, people)

    async def _previous(
        self, caller: Caller, received: Received, keys: Keys
    ) -> tables.Version | None:
        """The newest version of the chain that this document continues, if there is one.

        Raises Conflict when it belongs to another organisation.
        """
        db = self._services.db
        found, of_set = await tables.newest_of_either(db, keys.instance, keys.document_set)
        if found is not None and found.digest == digest_of(received.raw):
            return found
        if found is not None:
            found = await tables.newest_of_chain(db, found.chain)
        if found is None:
            found = of_set
        for system, value in () if found else replaced_identifiers(received.composition):
            found = await tables.newest_of_instance(db, claim_key("document", system, value))
            found = found or await tables.newest_of_set(
                db, claim_key("document-set", caller.organization, system, value)
            )
            if found is not None:
                found = await tables.newest_of_chain(db, found.chain)
                break
        base = self._services.base_url
        for name in () if found else replaced_compositions(received.composition, base):
            found = await tables.newest_of_composition(db, name)
            if found is not None:
                break
        if found is not None and found.organization != caller.organization:
            raise Conflict("the identifier of this document belongs to another organisation")
        return found

    async def _identify(self, received: Received) -> dict[int, Identity]:
        """The person of every Patient entry, the subject of the document first."""
        subject = subject_entry(received.entries)
        patients = [e for e in received.entries if e.resource["resourceType"] == "Patient"]
        patients.sort(key=lambda entry: entry is not subject)
        identities: dict[int, Identity] = {}
        fresh: dict[bytes, Identity] = {}  # two entries of one document may be one new person
        for entry in patients:
            identity = await self._register.resolve(entry.resource)
            same = next((fresh[c.key] for c in identity.claims if c.key in fresh), None)
            identities[entry.position] = same or identity
            fresh.update({c.key: identity for c in identity.claims if same is None})
        return identities

    async def _write(
        self,
        caller: Caller,
        received: Received,
        keys: Keys,
        previous: tables.Version | None,
        identities: dict[int, Identity],
    ) -> Accepted:
        now = self._clock()
        chain = previous.chain if previous else uuid4()
        version = previous.version + 1 if previous else 1
        bundle_id, reference_id = str(uuid4()), str(uuid4())
        people = {p: Person(i.person, i.patient) for p, i in identities.items()}
        subject = next(iter(people.values()))
        names = server_names(received.entries, people, chain)
        parts = parts_of(received.entries, people, names)
        replaces = previous.reference if previous else None
        reference = document_reference(
            reference_id=reference_id,
            bundle_id=bundle_id,
            bundle=received.bundle,
            raw=received.raw,
            composition=received.composition,
            names=names,
            subject=subject,
            received=now,
            custodian_name=caller.organization_name,
            replaces=replaces,
            encounter=encounter_of(received.entries, received.composition),
        )
        origin = provenance(
            targets=[f"DocumentReference/{reference_id}", f"Bundle/{bundle_id}"]
            + [f"{p.type}/{p.id}" for p in parts],
            received=now,
            organization=caller.organization,
            organization_name=caller.organization_name,
            client=caller.name,
            bundle=received.bundle,
            replaces=replaces,
        )
        labelled = partial(label_in, received, caller.organization, chain)
        written_entries = [f"{p.type}/{p.id}" for p in parts]
        changes = [
            # the document itself is what the policy decides about; all else follows from it
            Change(
                "create",
                "Bundle",
                bundle_id,
                received.bundle,
                raw=received.raw,
                person=subject.person,
                path="Bundle",
                label=labelled(received.bundle),
            ),
            Change(
                "create",
                "DocumentReference",
                reference_id,
                reference,
                person=subject.person,
                derived=True,
                label=labelled(reference),
            ),
            Change(
                "create",
                "Provenance",
                None,
                origin,
                person=subject.person,
                derived=True,
                label=labelled(origin),
            ),
            *master_changes(identities, names),
            *part_changes(parts, previous, labelled),
            *leftover_changes(written_entries, previous),
        ]
        if replaces is not None:
            changes.append(
                Change("update", "DocumentReference", replaces, edit=superseded, derived=True)
            )
        row = tables.Version(
            bundle_id,
            reference_id,
            chain,
            version,
            keys.instance,
            keys.document_set,
            digest_of(received.raw),
            caller.organization,
            type_code(received.composition),
            received.stamp,
            subject.person,
            written_entries,
            now,
        )
        own = await own_signature(seals, received.bundle) if (seals := self._services.seals) else ""
        claims: list[Claim] = []
        statements = [
            Statement(tables.INSERT_DOCUMENT, row.row()),
            Statement(tables.INSERT_SEAL, (bundle_id, subject.person, row.digest, now, own)),
        ]
        for identity in distinct(identities):
            claims += identity.claims
            statements += identity.statements
            statements.append(authored(identity.person, caller.organization, now))
        claims += document_claims(keys, chain, version, previous, subject.person, bundle_id)
        await self._services.gate.commit(
            caller, changes, claims=claims, statements=statements, interaction="document"
        )
        issues = [*identity_issues(identities), *received.issues]
        text = f"stored as Bundle/{bundle_id}, indexed by DocumentReference/{reference_id}"
        if not previous:
            issues += replacement_issues(received.composition)
        else:
            text += f", version {version}, replacing Bundle/{previous.bundle}"
        issues.insert(0, Issue("information", "informational", "", text))
        return Accepted(bundle_id, version, False, previous is not None, tuple(issues))
