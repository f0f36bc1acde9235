"""Lists for pages: the patient's own looks do not hide the others', names are spoken right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pater.domains.exchange.pages.listing import by_year, document_items, looks, person_name
from pater.records.gate import JournalRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(agent: str, minutes: int, outcome: str = "0") -> JournalRow:
    return JournalRow(
        at=NOON - timedelta(minutes=minutes),
        person=1,
        patient="p",
        action="R",
        interaction="read",
        outcome=outcome,
        reason="treatment",
        agent_kind="person",
        agent=agent,
        agent_name=agent.title(),
        role="clinician",
        organization="",
        organization_name="",
        purpose="TREAT",
        entity_type="Bundle",
        entity_id="b",
        entity_version=1,
        query="",
        request_id="",
        source="",
        id=uuid4(),
        seq=minutes,
    )


def test_own_looks_in_a_row_are_one_line_and_others_never_merge() -> None:
    lines = looks([row("me", 1), row("me", 2), row("doc", 3), row("doc", 4), row("me", 5)], "me")
    assert [(one.who, one.own, one.times) for one in lines] == [
        ("Me", True, 2),
        ("Doc", False, 1),
        ("Doc", False, 1),
        ("Me", True, 1),
    ]


def test_a_refused_attempt_under_ones_own_account_is_shown_by_itself() -> None:
    lines = looks([row("me", 1), row("me", 2, "4"), row("me", 3)], "me")
    assert [one.refused for one in lines] == [False, True, False]


def test_own_looks_of_two_days_are_two_lines() -> None:
    lines = looks([row("me", 1), row("me", 60 * 24)], "me")
    assert [one.times for one in lines] == [1, 1]


def reference(title: str, creation: str | None, **more: object) -> dict[str, object]:
    attachment = {"url": f"Bundle/{title}"} | ({"creation": creation} if creation else {})
    return {"description": title, "content": [{"attachment": attachment}], **more}


def test_documents_stand_newest_first_and_undated_ones_last() -> None:
    items = document_items(
        [
            reference("old", "2024-05-01T10:00:00+02:00"),
            reference("none", None),
            reference("new", "2026-05-01T10:00:00+02:00"),
            {"content": [{"attachment": {"url": "https://elsewhere.example/x"}}]},
        ],
        {},
        "en",
    )
    assert [i.title for i in items] == ["new", "old", "none"]
    assert [year for year, _ in by_year(items)] == [2026, 2024, None]


def test_the_organisation_is_the_included_custodian_or_its_display() -> None:
    items = document_items(
        [
            reference("a", None, custodian={"reference": "Organization/1", "display": "x"}),
            reference("b", None, custodian={"display": "Nemocnice B"}),
        ],
        {"Organization/1": "Nemocnice A"},
        "cs",
    )
    assert {i.organization for i in items} == {"Nemocnice A", "Nemocnice B"}


def test_names_are_spoken_in_order_with_titles() -> None:
    name = {"prefix": ["Ing."], "given": ["Petr", "Pavel"], "family": "Novák", "suffix": ["Ph.D."]}
    assert person_name(name) == "Ing. Petr Pavel Novák, Ph.D."
    assert person_name({"text": "Neznámý"}) == "Neznámý"
