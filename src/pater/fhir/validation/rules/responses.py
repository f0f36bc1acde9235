"""Holds a QuestionnaireResponse against its Questionnaire (R4 section 2.45.6)."""

from __future__ import annotations

from typing import Any, NamedTuple

from pater.fhir.validation.rules.answers import answer_findings, exclusive, matches
from pater.fhir.validation.rules.questionnaires import everything, items_of
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]

_EXT = "http://hl7.org/fhir/StructureDefinition/"
_UNFINISHED = frozenset(("in-progress", "stopped", "entered-in-error"))


class _Around(NamedTuple):
    """The items around the one looked at, the response last."""

    holder: Json
    above: _Around | None


class _State(NamedTuple):
    run: Run
    questionnaire: Json
    contained: Json
    finished: bool
    out: list[Finding]


def response_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What of a response does not go with its questionnaire; nothing when that is not known."""
    url = resource.get("questionnaire")
    if not isinstance(url, str):
        return None
    found: Json | None
    if url.startswith("#"):
        resolved = run.resolve(frame, url)
        found = None if resolved is None else resolved.resource
    else:
        found = run.profiles.definition(url)
    if found is None or found.get("resourceType") != "Questionnaire":
        text = f"The questionnaire {url[:200]} is not known; the answers were not checked."
        return [Finding(".questionnaire", "not-found", text, "warning")]
    finished = str(resource.get("status")) not in _UNFINISHED
    state = _State(run, found, found, finished, [])
    _items(state, items_of(found), resource, _Around(resource, None), "")
    return state.out or None


def _items(state: _State, wanted: list[Json], holder: Json, around: _Around, path: str) -> None:
    """The items of a holder (response, item or answer) against those asked for."""
    by_link = {each.get("linkId"): each for each in wanted}
    order = {link: place for place, link in enumerate(by_link)}
    groups: dict[Any, list[tuple[str, Json]]] = {}
    latest = -1
    for place, item in enumerate(items_of(holder)):
        where = f"{path}.item[{place}]"
        link = item.get("linkId")
        if link not in by_link:
            _misplaced(state, link, where)
            continue
        if order[link] < latest:
            text = "The items come in the order of the questionnaire."
            state.out.append(Finding(where, "structure", text))
        latest = max(latest, order[link])
        groups.setdefault(link, []).append((where, item))
    for link, question in by_link.items():
        given = groups.get(link, [])
        if not _enabled(state, question, around):
            if any("answer" in item or items_of(item) for _, item in given):
                text = f"The item {_short(link)} has an answer although it is not enabled."
                state.out.append(Finding(given[0][0], "invalid", text))
            continue
        _item(state, question, given, around, path)


def _misplaced(state: _State, link: Any, where: str) -> None:
    if any(item.get("linkId") == link for _, item in everything(state.questionnaire)):
        text = f"The item {_short(link)} stands in another place of the questionnaire."
        state.out.append(Finding(where, "structure", text))
    else:
        text = f"The questionnaire has no item {_short(link)}."
        state.out.append(Finding(f"{where}.linkId", "not-found", text))


def _short(link: Any) -> str:
    return str(link)[:64]


def _item(
    state: _State, question: Json, given: list[tuple[str, Json]], around: _Around, path: str
) -> None:
    kind, link = question.get("type"), question.get("linkId")
    if kind == "display":
        for where, item in given:
            if "answer" in item or items_of(item):
                text = "A text to display has no answers."
                state.out.append(Finding(where, "structure", text))
        return
    if question.get("required") is True and not _filled(kind, given):
        text = f"The required item {_short(link)} has no answer."
        severity = "error" if state.finished else "warning"
        state.out.append(Finding(path, "required", text, severity))  # type: ignore[arg-type]  # one of two severities
    if kind == "group":
        if len(given) > 1 and question.get("repeats") is not True:
            text = f"The group {_short(link)} does not repeat."
            state.out.append(Finding(given[1][0], "invalid", text))
        for where, item in given:
            if "answer" in item:
                state.out.append(Finding(where, "structure", "A group has no answers."))
            _items(state, items_of(question), item, _Around(item, around), where)
        return
    if len(given) > 1:
        text = f"All answers to {_short(link)} stand in one item."
        state.out.append(Finding(given[1][0], "invalid", text))
    for where, item in given:
        _answers(state, question, item, where, around)


def _filled(kind: Any, given: list[tuple[str, Json]]) -> bool:
    if kind == "group":
        return any(items_of(item) for _, item in given)
    return any(item.get("answer") for _, item in given)


def _answers(state: _State, question: Json, item: Json, where: str, around: _Around) -> None:
    if items_of(item):
        text = "Items below a question stand in its answers."
        state.out.append(Finding(f"{where}.item", "structure", text))
    found = item.get("answer")
    answers = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    count = len(answers)
    if count > 1 and question.get("repeats") is not True:
        text = "There is one answer to this question."
        state.out.append(Finding(where, "invalid", text))
    if count > 1 and exclusive(question, answers):
        text = "One of the answers is an option that excludes the others."
        state.out.append(Finding(where, "invalid", text))
    least = _extension(question, "questionnaire-minOccurs")
    most = _extension(question, "questionnaire-maxOccurs")
    if isinstance(least, int) and count < least:
        text = f"At least {least} answers are required, found {count}."
        severity = "error" if state.finished else "warning"
        state.out.append(Finding(where, "invalid", text, severity))  # type: ignore[arg-type]  # one of two severities
    if isinstance(most, int) and count > most:
        state.out.append(Finding(where, "invalid", f"At most {most} answers, found {count}."))
    for place, answer in enumerate(answers):
        below = f"{where}.answer[{place}]"
        for each in answer_findings(state.run, question, answer, state.questionnaire):
            state.out.append(each._replace(path=below + each.path))
        _items(state, items_of(question), answer, _Around(item, around), below)


def _extension(holder: Json, name: str) -> Any:
    for each in holder.get("extension") or ():
        if isinstance(each, dict) and each.get("url") == _EXT + name:
            return next((v for k, v in each.items() if k.startswith("value")), None)
    return None


def _enabled(state: _State, question: Json, around: _Around) -> bool:
    rules = [each for each in question.get("enableWhen") or () if isinstance(each, dict)]
    if not rules:
        return True
    results = [_condition(rule, around) for rule in rules]
    return any(results) if question.get("enableBehavior") == "any" else all(results)


def _condition(rule: Json, around: _Around) -> bool:
    link, operator = rule.get("question"), rule.get("operator")
    answers = _answers_to(link, around)
    wanted = next(
        ((key[6:], value) for key, value in rule.items() if key.startswith("answer")), None
    )
    if wanted is None:
        return False
    if operator == "exists":
        return bool(answers) == (wanted[1] is True)
    if operator == "!=":
        return bool(answers) and not any(matches("=", wanted[1], each) for each in answers)
    return any(matches(str(operator), wanted[1], each) for each in answers)


def _answers_to(link: Any, around: _Around) -> list[Json]:
    """The answers to a question, nearest first: of the holder, else of what is around it."""
    here: _Around | None = around
    while here is not None:
        found = _below(here.holder, link, 0)
        if found:
            return found
        here = here.above
    return []


def _below(holder: Json, link: Any, depth: int) -> list[Json]:
    out: list[Json] = []
    if depth > 60:
        return out
    if holder.get("linkId") == link:
        answers = holder.get("answer")
        out += [each for each in answers if isinstance(each, dict)] if isinstance(
            answers, list) else []  # fmt: skip
    for item in items_of(holder):
        out += _below(item, link, depth + 1)
    answers = holder.get("answer")
    for answer in answers if isinstance(answers, list) else ():
        if isinstance(answer, dict):
            out += [each for item in items_of(answer) for each in _below(item, link, depth + 1)]
    return out
