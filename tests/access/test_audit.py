"""The journal as AuditEvents: valid R4, complete, and without what must not stand there."""

from __future__ import annotations

import base64
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from pater.access.audit import entry, to_fhir
from pater.access.caller import Caller
from pater.access.sessions import login_entry
from pater.fhir.validation import validate
from pater.store.journal import JournalRow

AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
BASE = "https://pater.example/fhir"
SYSTEM = Caller(
    kind="system",
    id="hospital-b",
    name="Nemocnice B",
    role="provider-system",
    organization="00000019",
    organization_name="Nemocnice Podhůří",
    purpose="TREAT",
    request_id="r-1",
    source="192.0.2.1",
)
PERSON = replace(SYSTEM, kind="person", id="clinician-b", name="MUDr. B", role="clinician")


def row(
    caller: Caller, action: str, interaction: str, outcome: str = "0", **more: Any
) -> JournalRow:
    made = entry(caller, action, interaction, outcome, clock=lambda: AT, **more)
    return JournalRow(**asdict(made), id=UUID(int=7), seq=1)


def read(caller: Caller = SYSTEM) -> JournalRow:
    return row(
        caller,
        "R",
        "read",
        reason="treatment",
        person=5,
        patient="p5",
        entity_type="Bundle",
        entity_id="b1",
        entity_version=2,
    )


ROWS = {
    "read": read(),
    "read by a person": read(PERSON),
    "create": row(SYSTEM, "C", "create", patient="p5", entity_type="Bundle", entity_id="b1"),
    "update": row(PERSON, "U", "update", patient="p5", entity_type="Patient", entity_id="p5"),
    "delete": row(SYSTEM, "D", "delete", patient="p5", entity_type="Patient", entity_id="p5"),
    "search": row(SYSTEM, "E", "search-type", patient="p5", entity_type="Condition",
                  query="patient=p5"),
    "refused": row(SYSTEM, "R", "read", "4", reason="no-purpose", entity_type="Bundle"),
    "own operation": row(SYSTEM, "E", "document-view", patient="p5"),
    "bare": row(Caller(kind="system", id="", name="", role=""), "E", "", "8"),
    "unknown type": row(SYSTEM, "R", "read", "4", entity_type="Nonsense", entity_id="<x>"),
    "login": row(PERSON, "E", "login", reason="login"),
    "token": row(SYSTEM, "E", "token", reason="token"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_every_event_is_valid_r4(name: str) -> None:
    for base in (BASE, ""):
        assert validate(to_fhir(ROWS[name], base)) == []


def test_a_read_says_who_what_whose_when_and_why() -> None:
    event = to_fhir(read(), BASE)
    assert event["id"] == str(UUID(int=7))
    assert event["recorded"] == "2026-11-22T09:00:00.123Z"
    assert (event["action"], event["outcome"]) == ("R", "0")
    assert event["type"]["code"] == "rest"
    assert [each["code"] for each in event["subtype"]] == ["read"]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    asked = [agent for agent in event["agent"] if agent["requestor"]]
    assert len(asked) == 1
    assert asked[0]["who"]["identifier"]["value"] == "hospital-b"
    assert asked[0]["network"] == {"address": "192.0.2.1", "type": "2"}
    assert asked[0]["policy"] == ["urn:pater:policy:treatment"]
    assert any(
        agent["who"].get("identifier", {}).get("value") == "00000019" for agent in event["agent"]
    )
    what = [each["what"].get("reference") for each in event["entity"]]
    assert what[:2] == ["Patient/p5", "Bundle/b1/_history/2"]


def codes(event: dict[str, Any]) -> list[str]:
    return [agent["type"]["coding"][0]["code"] for agent in event["agent"]]


def test_the_profile_of_balp_is_claimed_only_where_it_is_met() -> None:
    """Client and server roles, network and entities as IHE BALP 1.1 lays down."""
    claimed = {name: to_fhir(each, BASE)["meta"].get("profile", [""])[0] for name, each in
               ROWS.items()}  # fmt: skip
    assert {name: url.rsplit(".", 1)[-1] for name, url in claimed.items() if url} == {
        "read": "PatientRead",
        "read by a person": "PatientRead",
        "create": "PatientCreate",
        "update": "PatientUpdate",
        "search": "PatientQuery",
    }
    for name, url in claimed.items():
        if not url:
            continue
        event = to_fhir(ROWS[name], BASE)
        sending, receiving = "110153", "110152"
        client, server = (receiving, sending) if event["action"] == "R" else (sending, receiving)
        assert codes(event).count(client) == 1
        assert codes(event).count(server) == 1
        for agent in event["agent"]:
            code = agent["type"]["coding"][0]["code"]
            assert ("network" in agent) == (code in (client, server))
    no_network = to_fhir(read(replace(SYSTEM, source="")), BASE)
    assert "profile" not in no_network["meta"]


def test_a_person_stands_beside_the_client_that_carried_the_request() -> None:
    event = to_fhir(read(PERSON), BASE)
    (person,) = [agent for agent in event["agent"] if agent["requestor"]]
    assert person["type"]["coding"][0]["code"] == "IRCP"
    assert person["name"] == "MUDr. B"
    assert "network" not in person


def test_a_search_keeps_its_text() -> None:
    event = to_fhir(ROWS["search"], BASE)
    (query,) = [each for each in event["entity"] if each.get("query")]
    assert query["role"]["code"] == "24"
    assert base64.b64decode(query["query"]) == b"Condition?patient=p5"


def test_a_failed_login_by_nobody_keeps_nothing_that_was_typed() -> None:
    made = login_entry(None, "login-failed", clock=lambda: AT, source="192.0.2.1", request_id="r-2")
    assert (made.agent, made.agent_name, made.outcome, made.interaction) == ("", "", "4", "login")
    event = to_fhir(JournalRow(**asdict(made), id=UUID(int=8), seq=2), BASE)
    assert validate(event) == []
    assert event["type"]["code"] == "110114"


def test_times_are_utc() -> None:
    assert to_fhir(replace(read(), at=datetime(2026, 1, 1, tzinfo=UTC)), BASE)["recorded"] == (
        "2026-01-01T00:00:00.000Z"
    )
