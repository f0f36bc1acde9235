"""What a document makes the gate write, and the keys that make it exactly once: pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from pater.access.caller import Caller
from pater.domains.exchange import tables
from pater.domains.exchange.checking import Received
from pater.domains.exchange.document import Resource
from pater.domains.exchange.splitting import Part
from pater.fhir.issues import Issue
from pater.fhir.labelling import category_of, confidentiality_of
from pater.fhir.labels import label
from pater.fhir.references import rewrite
from pater.records.changes import Change
from pater.records.gate import Claim, claim_key
from pater.registers.patients import Identity


@dataclass(frozen=True, slots=True)
class Keys:
    instance: bytes
    document_set: bytes | None


def keys_of(caller: Caller, received: Received) -> Keys:
    """The business keys of a document: of this version, and of its versions together.

    Composition.identifier is only as unique as its organisation makes it.
    """
    one = received.bundle["identifier"]
    instance = claim_key("document", str(one.get("system", "")), str(one["value"]))
    many = received.composition.get("identifier")
    if not isinstance(many, dict) or "value" not in many:
        return Keys(instance, None)
    return Keys(
        instance,
        claim_key(
            "document-set", caller.organization, str(many.get("system", "")), str(many["value"])
        ),
    )


def document_claims(
    keys: Keys,
    chain: UUID,
    version: int,
    previous: tables.Version | None,
    person: int,
    bundle_id: str,
) -> list[Claim]:
    """Claims that let one of several simultaneous senders win."""
    claims = []
    if previous is not None:
        claims.append(
            Claim(claim_key("document-version", str(chain), str(version)), person, bundle_id)
        )
    if previous is None or previous.instance != keys.instance:
        claims.append(Claim(keys.instance, person, bundle_id, replace=previous is not None))
    if keys.document_set is not None and (
        previous is None or previous.document_set != keys.document_set
    ):
        claims.append(Claim(keys.document_set, person, bundle_id, replace=previous is not None))
    return claims


def distinct(identities: dict[int, Identity]) -> list[Identity]:
    """Each person once, though two Patient entries may be one person."""
    return list({i.person: i for i in identities.values()}.values())


def master_changes(identities: dict[int, Identity], names: dict[str, str]) -> list[Change]:
    """The register's Patients that are new or have learnt an identifier."""
    changes = []
    for identity in distinct(identities):
        if identity.master is None:
            continue
        changes.append(
            Change(
                "create" if identity.master_version == 0 else "update",
                "Patient",
                identity.patient,
                rewrite(identity.master, names),
                if_match=identity.master_version,
                person=identity.person,
                derived=True,
            )
        )
    return changes


def label_in(received: Received, organization: str, chain: UUID, resource: Resource) -> int:
    """The label of what a document brings: its own category, and at least its confidentiality."""
    return label(
        category_of("Bundle", received.bundle),
        max(confidentiality_of(received.bundle), confidentiality_of(resource)),
        organization,
        str(chain),
    )


def part_changes(
    parts: list[Part],
    previous: tables.Version | None,
    labelled: Callable[[Resource], int],
) -> list[Change]:
    """The entries: new ones, and those that an older version of the document had already.

    The ids of a first version are made of its chain, which was made just now. `labelled` gives
    the label of a part.
    """
    before = frozenset(previous.entries) if previous else frozenset()
    return [
        Change(
            "update" if f"{part.type}/{part.id}" in before else "create",
            part.type,
            part.id,
            part.resource,
            person=part.person,
            derived=True,
            fresh=previous is None,
            label=labelled(part.resource),
        )
        for part in parts
    ]


def leftover_changes(kept: list[str], previous: tables.Version | None) -> list[Change]:
    """Entries that the older version had and this one has not: deleted, their history stays."""
    gone = sorted(set(previous.entries) - set(kept)) if previous else []
    deletions: list[Change] = []
    for name in gone:
        kind, _, resource_id = name.partition("/")
        deletions.append(Change("delete", kind, resource_id, derived=True))
    return deletions


def identity_issues(identities: dict[int, Identity]) -> list[Issue]:
    """What the sender should know about how each Patient was tied to a person."""
    issues = []
    for position, identity in identities.items():
        place = f"Bundle.entry[{position}].resource"
        if identity.state == "unsure":
            issues.append(
                Issue(
                    "warning",
                    "incomplete",
                    place,
                    f"the person is registered under the temporary identifier {identity.rid}:"
                    f" {identity.reason}",
                )
            )
        elif identity.state == "new":
            issues.append(
                Issue("information", "informational", place, "a new person was registered")
            )
    return issues
