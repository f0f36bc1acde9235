"""Lists of documents and of looks at them, as pages show them: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from pater.access.audit import APP_MARK
from pater.access.audit_told import TOLD
from pater.records.gate import JournalRow
from pater.terminology.names import Language, display

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DocumentItem:
    """One document in a list; `bundle` is the id of the document itself."""

    bundle: str
    title: str
    type: str
    date: datetime | None  # when it was written
    organization: str
    status: str  # DocumentReference.status
    size: int


@dataclass(frozen=True, slots=True)
class PatientItem:
    """One person in a list of hits."""

    id: str
    name: str
    birth_date: str
    gender: str
    rid: str
    temporary: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One line of "who looked": who, on whose behalf, what, why, with what outcome."""

    at: datetime
    who: str
    role: str
    organization: str
    what: str  # key of the page's words: read, search, document, …
    about: str  # name of the kind of record
    purpose: str
    refused: bool
    reason: str
    own: bool  # the patient's own look
    entry: str  # id of its AuditEvent
    times: int = 1  # how many looks of the patient's own this line stands for
    told: bool = False  # the provider told of it: it was in a system of theirs


def document_items(
    references: Iterable[Resource], organizations: Mapping[str, str], lang: Language
) -> list[DocumentItem]:
    """DocumentReferences as a list, newest document first; `organizations` by `Organization/id`."""
    items = [_document(r, organizations, lang) for r in references]
    return sorted(
        (i for i in items if i is not None),
        key=lambda item: (item.date is not None, item.date.timestamp() if item.date else 0),
        reverse=True,
    )


def _document(
    reference: Resource, organizations: Mapping[str, str], lang: Language
) -> DocumentItem | None:
    attachment = next(
        (
            c["attachment"]
            for c in reference.get("content", ())
            if str(c.get("attachment", {}).get("url", "")).startswith("Bundle/")
        ),
        None,
    )
    if attachment is None:
        return None
    codings = reference.get("type", {}).get("coding", ())
    names = (display(str(c.get("system")), str(c.get("code")), lang) for c in codings)
    kind = next((n for n in names if n), None) or next(
        (str(c["display"]) for c in codings if c.get("display")), ""
    )
    custodian = reference.get("custodian", {})
    organization = organizations.get(str(custodian.get("reference", "")), "") or str(
        custodian.get("display", "")
    )
    return DocumentItem(
        bundle=str(attachment["url"]).removeprefix("Bundle/"),
        title=str(reference.get("description") or kind),
        type=kind,
        date=moment(attachment.get("creation") or reference.get("date")),
        organization=organization,
        status=str(reference.get("status", "")),
        size=int(attachment.get("size", 0)),
    )


def moment(text: object) -> datetime | None:
    """An instant of the standard as an aware datetime; None when it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def by_year(items: Sequence[DocumentItem]) -> list[tuple[int | None, list[DocumentItem]]]:
    """A sorted list cut into years."""
    return [
        (year, list(group))
        for year, group in groupby(items, key=lambda i: i.date.year if i.date else None)
    ]


def patient_item(patient: Resource, rid_system: str) -> PatientItem:
    """A Patient as a hit; of several names the official one."""
    names = list(patient.get("name", ()))
    names.sort(
        key=lambda n: (
            ("official", "usual").index(n["use"]) if n.get("use") in ("official", "usual") else 2
        )
    )
    rids = [
        str(i["value"])
        for i in patient.get("identifier", ())
        if i.get("system") == rid_system and i.get("value")
    ]
    return PatientItem(
        id=str(patient.get("id", "")),
        name=person_name(names[0]) if names else "",
        birth_date=str(patient.get("birthDate", "")),
        gender=str(patient.get("gender", "")),
        rid=rids[0] if rids else "",
        temporary=bool(rids) and rids[0].startswith("D"),
    )


def person_name(name: Resource) -> str:
    """A HumanName in the order of speaking; `text` when the parts are missing."""
    parts = [
        *name.get("prefix", ()),
        *name.get("given", ()),
        *([name["family"]] if name.get("family") else []),
    ]
    spoken = " ".join(str(p) for p in parts if p)
    suffix = ", ".join(str(s) for s in name.get("suffix", ()) if s)
    return (f"{spoken}, {suffix}" if suffix else spoken) or str(name.get("text", ""))


WHAT: Mapping[str, str] = {
    "read": "read",
    "vread": "read",
    "history": "read",
    "history-instance": "read",
    "search": "search",
    "search-type": "search",
    "document": "document",
    "create": "write",
    "update": "write",
    "transaction": "write",
    "batch": "write",
    "delete": "delete",
}


def looks(rows: Iterable[JournalRow], own: str) -> list[Look]:
    """Journal rows as lines, newest first; `own` is the patient's own account id.

    Looks of the patient's own that follow one another on one day become one line: the page is
    about the others.
    """
    lines: list[Look] = []
    for row in rows:
        look = _look(row, own)
        last = lines[-1] if lines else None
        if last and last.own and look.own and last.at.date() == look.at.date():
            lines[-1] = replace(last, times=last.times + 1)
        else:
            lines.append(look)
    return lines


def _look(row: JournalRow, own: str) -> Look:
    return Look(
        at=row.at,
        who=row.agent_name or row.agent,
        role=row.role,
        organization=row.organization_name,
        what=WHAT.get(row.interaction, "other"),
        about=row.entity_type,
        purpose=row.purpose,
        refused=row.outcome != "0",
        reason=row.reason,
        # what an app did for the patient is shown apart
        own=row.agent == own and row.outcome == "0" and APP_MARK not in row.agent_name,
        entry=str(row.id),
        told=row.reason == TOLD,
    )
