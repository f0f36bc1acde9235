"""$validate-code: whether a code, a Coding or a CodeableConcept is right, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pater.terminology import statuses
from pater.terminology.asked import Answer, Asked, Choices, Coding
from pater.terminology.compose import Coded, Evaluator, merges_versions, name_of
from pater.terminology.displays import check_display
from pater.terminology.issues import (
    TxError,
    TxIssue,
    UnknownValueSetError,
    unknown_system,
    unknown_system_id,
)
from pater.terminology.languages import choose
from pater.terminology.membership import Found, Looked, Member
from pater.terminology.model import CodeSystem, Concept, Designation
from pater.terminology.resource_system import dicts, text
from pater.terminology.session import Session
from pater.terminology.versions import joined, matches, sort_key

Json = Mapping[str, Any]


async def validate_in_value_set(
    session: Session, value_set: Json, asked: Asked, choices: Choices
) -> Answer:
    """Whether what was asked is in a value set. Raises TxError where that cannot be looked up."""
    answer = Answer(concept_asked=asked.concept)
    evaluator = Evaluator(session, merge_versions=merges_versions(value_set) is True)
    if asked.infer:
        asked = await _inferred(evaluator, value_set, asked, answer)
        if answer.issues:
            return answer
    inside = False
    decided = True
    for coding in asked.codings:
        member = Member(evaluator, value_set, coding.system, coding.version, coding.code)
        try:
            looked = await member.look()
        except UnknownValueSetError as error:
            answer.issues += error.issues
            answer.undecided = True
            return answer
        there, sure = await _judge(session, value_set, coding, looked, choices, answer, asked)
        inside = inside or there
        decided = decided and sure
    if asked.concept is not None and not inside and decided:
        sentence = f"No valid coding was found for the value set '{name_of(value_set)}'"
        answer.issues.append(
            TxIssue(
                "error", "code-invalid", "not-in-vs", sentence, id="TX_GENERAL_CC_ERROR_MESSAGE"
            )
        )
    if inside or asked.concept is None:
        answer.issues += statuses.remarks(session, value_set)
    return answer


async def _inferred(evaluator: Evaluator, value_set: Json, asked: Asked, answer: Answer) -> Asked:
    """The code with the one system of the value set that has it, else the reasons in `answer`."""
    (coding,) = asked.codings
    answer.coding = coding
    member = Member(evaluator, value_set, "", "", coding.code)
    systems = sorted({each.system.info.url for each in (await member.look()).found})
    if len(systems) == 1:
        return Asked((replace(coding, system=systems[0]),))
    considered = await member.systems()
    start = (
        f"The System URI could not be determined for the code '{coding.code}' in the ValueSet"
        f" '{name_of(value_set)}'"
    )
    why = (
        f"value set expansion has multiple matches: [{', '.join(systems)}]"
        if systems
        else f"none of its code systems has it: [{', '.join(considered)}]"
    )
    answer.issues = [
        not_in(value_set, coding),
        TxIssue(
            "error",
            "not-found",
            "cannot-infer",
            f"{start}: {why}",
            coding.at("code"),
            id="Unable_to_resolve_system__value_set_has_multiple_matches"
            if systems
            else "UNABLE_TO_INFER_CODESYSTEM",
        ),
    ]
    return asked


def not_in(value_set: Json, coding: Coding, *, one_of_several: bool = False) -> TxIssue:
    """That a code is not in the value set."""
    sentence = (
        f"The provided code '{coding.shown}' was not found in the value set '{name_of(value_set)}'"
    )
    kind, severity = ("not-in-vs", "error")
    if one_of_several:
        kind, severity = ("this-code-not-in-vs", "information")
    return TxIssue(
        severity,
        "code-invalid",
        kind,
        sentence,
        coding.at("code"),
        told=not one_of_several,
        id="None_of_the_provided_codes_are_in_the_value_set_one",
    )


async def _judge(
    session: Session,
    value_set: Json,
    coding: Coding,
    looked: Looked,
    choices: Choices,
    answer: Answer,
    asked: Asked,
) -> tuple[bool, bool]:
    """Adds to the answer what is to be said of one coding: (in the value set, sure of it)."""
    several = asked.concept is not None
    if asked.concept is None:
        answer.coding = coding
    if not coding.system:
        if not choices.membership_only:
            sentence = (
                "Coding has no system. A code with no system has no defined meaning, and it cannot"
                " be validated. A system should be provided"
            )
            id_ = "Coding_has_no_system__cannot_validate"
            issue = TxIssue("warning", "invalid", "invalid-data", sentence, coding.whole, id=id_)
            answer.issues.append(issue)
        answer.issues.append(not_in(value_set, coding, one_of_several=several))
        return False, True
    if looked.missing and not looked.found:
        _missing(value_set, coding, looked, answer)
        return False, False
    found = _best(coding, looked.found, choices)
    active = choices.active_only or looked.active_only
    if found is not None:
        concept = found.concept
        if concept is None:  # a fragment: nobody here knows all of its codes
            _take(answer, coding, found.system, None, choices)
            _unknown_code(coding, found.system, answer)
            return True, True
        _take(answer, coding, found.system, concept, choices)
        answer.issues += _versions(coding, found)
        answer.causes |= dict.fromkeys(found.causes)
        out = (active and concept.inactive) or (not choices.abstract and concept.abstract)
        if out:
            if several:
                answer.coding = answer.system = answer.concept = None
            answer.issues.append(not_in(value_set, coding, one_of_several=several))
        _concept_remarks(coding, found, choices, answer, value_set, active=active)
        return not out, True
    answer.issues.append(not_in(value_set, coding, one_of_several=several))
    if looked.consulted:
        best = max(
            looked.consulted,
            key=lambda each: (not each.conflicts, sort_key(each.system.info.version)),
        )
        answer.issues += _versions(coding, best)
        answer.causes |= dict.fromkeys(best.causes)
        if not several:
            _take(answer, coding, best.system, best.concept, choices)
        if not choices.membership_only:
            if best.concept is None:
                _unknown_code(coding, best.system, answer)
            else:
                _concept_remarks(coding, best, choices, answer, value_set, active=active)
        return False, True
    if not choices.membership_only:
        await _elsewhere(session, coding, choices, answer, take=not several)
    return False, True


def _best(coding: Coding, found: Sequence[Found], choices: Choices) -> Found | None:
    """Of several versions that have the code: without conflict, right display, newest."""

    def rank(each: Found) -> tuple[bool, bool, Any]:
        right = True
        if coding.display and each.concept is not None:
            issue = check_display(
                coding.display, each.concept, each.system.info, choices.wish, "",
                more=_overlay_names(each),
            )  # fmt: skip
            right = issue is None or issue.severity != "error"
        return (not each.conflicts, right, sort_key(each.system.info.version))

    return max(found, key=rank, default=None)


def _take(
    answer: Answer,
    coding: Coding,
    system: CodeSystem,
    concept: Concept | None,
    choices: Choices,
) -> None:
    """Makes this coding the one that the answer names, unless one before it was."""
    if answer.system is not None:
        return
    answer.coding, answer.system, answer.concept = coding, system, concept
    if concept is not None:
        name = choose(concept, system.info, choices.wish)
        answer.display = name.value if name is not None else concept.display


def _versions(coding: Coding, found: Found) -> list[TxIssue]:
    """What is to be said of the versions that stand against each other."""
    at = coding.at("version")
    issues = [
        TxIssue("error", "invalid", "vs-invalid", sentence, at, id=conflict_id(sentence))
        for sentence in found.conflicts
    ]
    if found.refused is not None:
        id_ = "VALUESET_VERSION_CHECK"
        issues.append(TxIssue("error", "exception", "version-error", found.refused, at, id=id_))
    id_ = "VALUESET_VALUE_MISMATCH_DEFAULT"
    issues += [
        TxIssue("warning", "invalid", "vs-invalid", sentence, at, told=False, id=id_)
        for sentence in found.notes
    ]
    id_ = "UNKNOWN_CODESYSTEM_VERSION"
    issues += [
        TxIssue("error", "not-found", "not-found", sentence, coding.at("system"), id=id_)
        for sentence in found.absent
    ]
    return issues


def conflict_id(sentence: str) -> str:
    """The name of the sentence about two versions."""
    changed = " resulting from the version '" in sentence
    return "VALUESET_VALUE_MISMATCH_CHANGED" if changed else "VALUESET_VALUE_MISMATCH"


def _missing(value_set: Json, coding: Coding, looked: Looked, answer: Answer) -> None:
    """A code system that the value set draws from is not here."""
    answer.undecided = True
    for each in looked.missing:
        answer.causes.setdefault(joined(each.system, each.version))
        so = "so the code cannot be validated"
        sentence = unknown_system(each.system, each.version, each.known, so)
        at = coding.at("system")
        id_ = unknown_system_id(each.version, each.known)
        answer.issues.append(TxIssue("error", "not-found", "not-found", sentence, at, id=id_))
        if each.conflict:
            at = coding.at("version")
            id_ = conflict_id(each.conflict)
            answer.issues.append(
                TxIssue("error", "invalid", "vs-invalid", each.conflict, at, id=id_)
            )
        if not each.version:
            sentence = (
                f"Unable to check whether the code is in the value set '{name_of(value_set)}'"
                f" because the code system {each.system} was not found"
            )
            id_ = "UNABLE_TO_CHECK_IF_THE_PROVIDED_CODES_ARE_IN_THE_VALUE_SET_CS"
            issue = TxIssue("warning", "not-found", "vs-invalid", sentence, told=False, id=id_)
            answer.issues.append(issue)


def _unknown_code(coding: Coding, system: CodeSystem, answer: Answer) -> None:
    info = system.info
    version = f" version '{info.version}'" if info.version else ""
    if info.content == "fragment":
        sentence = (
            f"Unknown Code '{coding.code}' in the CodeSystem '{info.url}'{version} - note that the"
            " code system is labeled as a fragment, so the code may be valid in some other fragment"
        )
        severity, id_ = "warning", "UNKNOWN_CODE_IN_FRAGMENT"
    else:
        sentence = f"Unknown code '{coding.code}' in the CodeSystem '{info.url}'{version}"
        severity, id_ = "error", f"Unknown_Code_in{'_Version' if info.version else ''}"
    at = coding.at("code")
    told = severity == "error"
    issue = TxIssue(severity, "code-invalid", "invalid-code", sentence, at, told=told, id=id_)
    answer.issues.append(issue)


def _overlay_names(found: Found) -> tuple[Designation, ...]:
    overlay = found.overlay or {}
    names = [Designation(text(overlay, "display"))] if overlay.get("display") else []
    names += [
        Designation(text(each, "value"), text(each, "language"))
        for each in dicts(overlay, "designation")
    ]
    return tuple(each for each in names if each.value)


def _concept_remarks(
    coding: Coding,
    found: Found,
    choices: Choices,
    answer: Answer,
    value_set: Json | None,
    *,
    active: bool = False,
) -> None:
    """What is to be said of a concept that exists: case, activity, display."""
    concept, info = found.concept, found.system.info
    if concept is None or choices.membership_only:
        return
    if concept.code != coding.code:
        sentence = (
            f"The code '{coding.code}' differs from the correct code '{concept.code}' by case."
            f" Although the code system '{info.canonical}' is case insensitive, implementers are"
            " strongly encouraged to use the correct case anyway"
        )
        at = coding.at("code")
        answer.issues.append(
            TxIssue(
                "information",
                "business-rule",
                "code-rule",
                sentence,
                at,
                told=False,
                id="CODE_CASE_DIFFERENCE",
            )
        )
    if active and concept.inactive:
        sentence = f"The concept '{concept.code}' is valid but is not active"
        at, id_ = coding.at("code"), "STATUS_CODE_WARNING_CODE"
        answer.issues.append(TxIssue("error", "business-rule", "code-rule", sentence, at, id=id_))
    if not choices.abstract and concept.abstract:
        sentence = f"Code '{info.url}#{concept.code}' is abstract, and not allowed in this context"
        at, id_ = coding.at("code"), "ABSTRACT_CODE_NOT_ALLOWED"
        answer.issues.append(TxIssue("error", "business-rule", "code-rule", sentence, at, id=id_))
    answer.issues += statuses.of_concept(concept, coding.whole)
    if value_set is not None:
        answer.issues += statuses.in_value_set(
            concept, info.url, found.overlay or {}, name_of(value_set), coding.at("code")
        )
    if coding.display:
        issue = check_display(
            coding.display, concept, info, choices.wish, coding.at("display"),
            lenient=choices.lenient, more=_overlay_names(found),
        )  # fmt: skip
        if issue is not None:
            answer.issues.append(issue)


async def _elsewhere(
    session: Session, coding: Coding, choices: Choices, answer: Answer, *, take: bool
) -> None:
    """Looks at the code in its own code system, which the value set does not draw from."""
    known = await session.versions(coding.system)
    fitting = [v for v in known if not coding.version or matches(coding.version, v)]
    if not fitting:
        so = "so the code cannot be validated"
        sentence = unknown_system(coding.system, coding.version, known, so)
        at = coding.at("system")
        id_ = unknown_system_id(coding.version, known)
        answer.issues.append(TxIssue("error", "not-found", "not-found", sentence, at, id=id_))
        if not known:
            answer.unknown.setdefault(coding.system)
        else:
            answer.causes.setdefault(joined(coding.system, coding.version))
        return
    system = await session.system(coding.system, coding.version)
    concept = (await system.locate([coding.code])).get(coding.code)
    if take:
        _take(answer, coding, system, concept, choices)
    if concept is None:
        _unknown_code(coding, system, answer)
    else:
        found = Found(system, concept, None)
        _concept_remarks(coding, found, choices, answer, None)


async def validate_in_system(session: Session, asked: Asked, choices: Choices) -> Answer:
    """Whether the codes exist in their code systems."""
    answer = Answer(concept_asked=asked.concept)
    for coding in asked.codings:
        if asked.concept is None:
            answer.coding = coding
        supplement = await _supplement(session, coding)
        if supplement:
            sentence = (
                f"CodeSystem {supplement} is a supplement, so can't be used as a value in"
                " Coding.system"
            )
            at = coding.at("system")
            id_ = "CODESYSTEM_CS_NO_SUPPLEMENT"
            answer.issues.append(TxIssue("error", "invalid", "invalid-data", sentence, at, id=id_))
            continue
        await _elsewhere(session, coding, choices, answer, take=True)
        if answer.unknown or answer.causes:
            answer.undecided = True
    if not asked.codings:
        raise TxError(400, TxIssue("error", "invalid", "", NOTHING_ASKED))
    answer.issues += statuses.remarks(session, None)
    return answer


NOTHING_ASKED = (
    "Unable to find code to validate (looked for coding | codeableConcept | code+system |"
    " code+inferSystem in parameters"
)


async def _supplement(session: Session, coding: Coding) -> str:
    """The supplement that somebody took for a code system, "" when it is none."""
    entries = await session.entries(coding.system)
    if entries and all(each.content == "supplement" for each in entries):
        return joined(coding.system, entries[0].version)
    return ""


__all__ = ["Answer", "Asked", "Choices", "Coded", "validate_in_system", "validate_in_value_set"]
