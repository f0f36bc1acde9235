"""Rules of Questionnaires that their invariants do not say: conditions lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]


def items_of(holder: Json) -> list[Json]:
    """The items below a Questionnaire, a response, an item or an answer."""
    found = holder.get("item")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def everything(holder: Json, path: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """All items below a holder with their paths, outer ones first."""
    for place, item in enumerate(items_of(holder)):
        where = f"{path}.item[{place}]"
        yield where, item
        if depth < 60:
            yield from everything(item, where, depth + 1)


def questionnaire_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What is wrong with the conditions of a Questionnaire."""
    known = {item.get("linkId") for _, item in everything(resource)}
    out: list[Finding] = []
    for path, item in everything(resource):
        listed = item.get("enableWhen")
        if not isinstance(listed, list):
            continue
        inner = {each.get("linkId") for _, each in everything(item)} | {item.get("linkId")}
        for place, rule in enumerate(listed):
            question = rule.get("question") if isinstance(rule, dict) else None
            where = f"{path}.enableWhen[{place}].question"
            if question in inner:
                text = "What enables an item is not a part of it."
                out.append(Finding(where, "business-rule", text))
            elif isinstance(question, str) and question not in known:
                text = f"The questionnaire has no item {question[:64]}."
                out.append(Finding(where, "not-found", text))
    return out or None
