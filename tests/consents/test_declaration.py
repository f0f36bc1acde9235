"""What a form declares stands in the Consent, and is read back as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.consents import declaration as declarations
from pater.domains.consents import directive as directives
from pater.domains.consents.declaration import SPOKEN_OF, Declaration, Party
from pater.domains.consents.directive import Directive
from pater.domains.consents.emergency import plain_reason, readable
from pater.fhir.validation import validate
from pater.registers.identifiers import ICO, PROFESSIONAL

NOW = datetime(2026, 11, 15, 9, 30, tzinfo=UTC)
PRAGUE = ZoneInfo("Europe/Prague")
DAYS = st.dates(date(2020, 1, 1), date(2050, 1, 1))
NAMES = st.text("aábč ", max_size=20).map(str.strip)
DECLARATIONS = st.builds(
    Declaration,
    permits=st.booleans(),
    categories=st.lists(st.sampled_from(SPOKEN_OF), max_size=3, unique=True).map(tuple),
    documents=st.lists(st.tuples(st.sampled_from(["a-1", "b-2"]), NAMES), max_size=2).map(tuple),
    parties=st.lists(
        st.builds(Party, st.sampled_from([ICO, PROFESSIONAL]), st.just("123456789"), NAMES),
        max_size=2,
    ).map(tuple),
    since=st.none() | DAYS.map(lambda day: declarations.first_moment(day, PRAGUE)),
    until=st.none() | DAYS.map(lambda day: declarations.last_moment(day, PRAGUE)),
)


@given(DECLARATIONS)
def test_a_declaration_is_a_valid_consent_and_comes_back_as_it_was(wish: Declaration) -> None:
    consent = declarations.consent_of(wish, "p-1", NOW)
    assert [issue for issue in validate(consent) if issue.severity != "warning"] == []
    read = declarations.declaration_of({**consent, "id": "c-1"}, 1, NOW)
    assert read.same_as(wish)
    assert (read.at, read.ended, read.active, read.plain) == (NOW, None, True, True)
    ended = declarations.declaration_of(declarations.ended(consent), 2, NOW)
    assert (ended.active, ended.ended) == (False, NOW)
    assert not ended.in_force(NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"purpose": [{"code": "TREAT"}]},
        {"provision": [{"type": "permit"}]},
        {"class": [{"system": "http://loinc.org", "code": "34105-7"}]},
        {"data": [{"meaning": "related", "reference": {"reference": "DocumentReference/1"}}]},
        {"actor": [{"reference": {"reference": "Device/1"}}]},
    ],
)
def test_a_consent_that_says_more_is_not_shown_as_less(
    more: dict[str, object],
) -> None:
    consent = declarations.consent_of(Declaration(), "p-1", NOW)
    consent["provision"] |= more
    assert not declarations.declaration_of(consent, 1, NOW).plain


def test_bare_days_and_years_bound_a_declaration_from_their_first_to_their_last_moment() -> None:
    moment = declarations.moment_of
    assert moment("2026") == datetime(2026, 1, 1, tzinfo=UTC)
    assert moment("2026-02", last=True) == datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)
    assert moment("2026-12-31", last=True) == moment("2026", last=True)
    assert moment("2026-12", last=True) == moment("2026", last=True)
    assert moment("2026-11-15T10:30:00+01:00", last=True) == NOW
    assert moment("soon") is None and moment(None) is None


def test_a_directive_carries_its_paper_and_who_instructed() -> None:
    paper = b"%PDF-1.7\nsigned\n%%EOF\n"
    wish = Directive("dnr", date(2026, 5, 4), "MUDr. Hora", date(2026, 5, 1))
    consent = directives.consent_of(wish, paper, "p-1", NOW)
    assert [issue for issue in validate(consent) if issue.severity != "warning"] == []
    read = directives.directive_of(consent, 1, NOW)
    assert read is not None
    assert (read.kind, read.signed, read.physician, read.instructed) == (
        "dnr", date(2026, 5, 4), "MUDr. Hora", date(2026, 5, 1),
    )  # fmt: skip
    assert directives.paper_of(consent) == paper
    assert directives.directive_of(declarations.consent_of(Declaration(), "p", NOW), 1, NOW) is None


@pytest.mark.parametrize(
    "paper", [b"", b"<html>%PDF-1.7 %%EOF", b"%PDF-1.7 torn off", b"\x89PNG\r\n%%EOF"]
)
def test_what_is_no_whole_pdf_is_no_paper(paper: bytes) -> None:
    assert not directives.is_pdf(paper)


@pytest.mark.parametrize("text", ["", "short", "..........", "aaaaaaaaaaaaaa", "1234567890123"])
def test_a_reason_has_to_say_something(text: str) -> None:
    assert not readable(plain_reason(text))


@given(st.text(max_size=600))
def test_a_kept_reason_is_one_line_that_can_be_seen(text: str) -> None:
    kept = plain_reason(text)
    assert kept.isprintable() and len(kept) <= 500 and kept == " ".join(kept.split())
