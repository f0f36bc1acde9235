"""What registrars' pages compare and draw, without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pater.domains.persons.pages import words
from pater.domains.persons.pages.view import Say, beside, lines, pairs
from pater.domains.persons.pages.waterfall import waterfall
from pater.registers.identifiers import BIRTH_NUMBER, RID
from pater.registers.matching.comparing import ATTRIBUTES
from pater.registers.surviving import Said, Source, disputed, survive

SAY = Say(lambda text: text, lambda day: day)
AT = datetime(2026, 1, 5, tzinfo=UTC)
WEIGHTS = st.floats(-60, 60, allow_nan=False)
PARTS = st.lists(st.tuples(st.sampled_from([*ATTRIBUTES]), st.just("same"), WEIGHTS), max_size=15)


@given(PARTS, WEIGHTS, WEIGHTS)
def test_every_step_of_a_waterfall_stays_in_the_picture(
    parts: list[tuple[str, str, float]], possible: float, automatic: float
) -> None:
    drawn = waterfall(parts, possible, automatic)
    assert len(drawn.steps) == len(parts)
    assert abs(drawn.total - sum(weight for _, _, weight in parts)) < 1e-6
    for step in drawn.steps:
        assert 0 <= step.left < step.left + step.width < 100.5
        assert 0 <= step.y < drawn.height
    for place in (drawn.total_at, drawn.possible_at, drawn.automatic_at):
        assert 0 <= place <= 100


def test_every_level_of_a_comparison_has_its_words() -> None:
    for name, attribute in ATTRIBUTES.items():
        assert name in words.COMPARED
        assert set(attribute.levels) <= words.LEVELS.keys(), name
    assert words.speaks(20) != words.speaks(-20) != words.speaks(0)


def _said(source: str, /, **patient: Any) -> Said:
    return Said(Source(source, "urn:own", "1", title=source.title()), patient, AT)


def test_what_sources_disagree_about_is_marked() -> None:
    one = _said("a", birthDate="1980-01-02", name=[{"family": "Nová", "given": ["Eva"]}])
    other = _said("b", birthDate="1980-01-02", name=[{"family": "Stará", "given": ["Eva"]}])
    master = survive(None, [one, other])
    table = {row[0]: row for row in beside(master, [one, other], SAY).lines}
    assert [cell.differs for cell in table["birthDate"][3]] == [False, False]
    assert sorted(cell.differs for cell in table["name"][3]) in ([False, True], [False, False])
    known = {line.attribute: line for line in lines(master, SAY, {"a": "A", "b": "B"})}
    assert {value.source for value in known["name"].values} == {"A", "B"}
    marked = disputed(master, "birthDate", open=True)
    known = {line.attribute: line for line in lines(marked, SAY, {})}
    assert known["birthDate"].values[0].disputed


def test_numbers_of_two_systems_are_not_compared() -> None:
    def numbered(*numbers: tuple[str, str]) -> dict[str, Any]:
        return {"identifier": [{"system": s, "value": v} for s, v in numbers]}

    rids = numbered((RID, "1")), numbered((RID, "2"))
    assert [pair.same for pair in pairs(*rids, SAY)] == [None]
    births = numbered((RID, "1"), (BIRTH_NUMBER, "7")), numbered((RID, "2"), (BIRTH_NUMBER, "8"))
    assert [pair.same for pair in pairs(*births, SAY)] == [False]
    assert [pair.same for pair in pairs(births[0], births[0], SAY)] == [True]
