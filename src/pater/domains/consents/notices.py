"""What a person is told at once: a Communication in their record, in Czech and in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.domains.consents.declaration import moment_of
from pater.registers.identifiers import ICO

Resource = dict[str, Any]

EMERGENCY: Final = "emergency-access"
KINDS: Final = "urn:pater:notice"
CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/communication-category"
_LANGUAGE: Final = "http://hl7.org/fhir/StructureDefinition/language"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as a page shows it; `kind` "" = one that came from elsewhere."""

    id: str
    sent: datetime | None
    kind: str
    text: str
    sender: str


def notice_of_emergency(
    *, id: str, patient: str, who: str, organization: str, ico: str, reason: str, now: datetime
) -> Resource:
    """What the patient is told when their record was opened in an emergency.

    It names who, from where, and the reason in the words that were given.
    """
    place = f" ({organization})" if organization else ""
    texts = {
        "cs": f"Váš záznam byl otevřen v nouzi: {who}{place}. Uvedený důvod: „{reason}“. "
        "Přístup prověří pověřená osoba. Co bylo otevřeno, najdete v přehledu Kdo nahlížel.",
        "en": f"Your record was opened in an emergency: {who}{place}. The reason given: "
        f"“{reason}”. A privacy officer will review the access. What was opened is listed under "
        "Who looked.",
    }
    whose = {"reference": f"Patient/{patient}"}
    sender: Resource = {"display": organization or who}
    if ico:
        sender |= {"type": "Organization", "identifier": {"system": ICO, "value": ico}}
    return {
        "resourceType": "Communication",
        "id": id,
        "status": "completed",
        "category": [{"coding": [{"system": CATEGORIES, "code": "notification"}]}],
        "priority": "urgent",
        "subject": whose,
        "sent": now.isoformat(timespec="seconds"),
        "recipient": [whose],
        "sender": sender,
        "reasonCode": [{"coding": [{"system": KINDS, "code": EMERGENCY}]}],
        "payload": [
            {
                "contentString": text,
                "_contentString": {"extension": [{"url": _LANGUAGE, "valueCode": lang}]},
            }
            for lang, text in texts.items()
        ],
    }


def notice_of(communication: Mapping[str, Any], lang: str) -> Notice:
    """A Communication as a notice in a language, or in the one there is."""
    payload: Sequence[Mapping[str, Any]] = communication.get("payload") or ()
    texts = [(_language(each), str(each.get("contentString") or "")) for each in payload]
    in_language = [text for said, text in texts if said in (lang, "")]
    codes = [
        coding.get("code")
        for reason in communication.get("reasonCode") or ()
        for coding in reason.get("coding") or ()
        if coding.get("system") == KINDS
    ]
    return Notice(
        id=str(communication.get("id", "")),
        sent=moment_of(communication.get("sent")),
        kind=str(codes[0]) if codes else "",
        text=" ".join(in_language or [text for _, text in texts]),
        sender=str((communication.get("sender") or {}).get("display") or ""),
    )


def _language(payload: Mapping[str, Any]) -> str:
    extensions = (payload.get("_contentString") or {}).get("extension") or ()
    found = (e.get("valueCode") for e in extensions if e.get("url") == _LANGUAGE)
    return str(next(found, ""))
