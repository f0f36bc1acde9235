"""Holds a MeasureReport against its Measure: scores, groups, populations, stratifiers, counts."""

from __future__ import annotations

from typing import Any

from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def measure_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """A Measure whose criteria name no library has none to take them from."""
    if resource.get("library"):
        return None
    out: list[Finding] = []
    for place, group in enumerate(_dicts(resource.get("group"))):
        for name in ("population", "stratifier"):
            for index, each in enumerate(_dicts(group.get(name))):
                criteria = each.get("criteria")
                language = criteria.get("language") if isinstance(criteria, dict) else None
                if language in ("text/cql", "text/cql.identifier", "text/cql-identifier"):
                    text = "The measure has no library for this criterion in CQL."
                    out.append(Finding(f".group[{place}].{name}[{index}]", "invalid", text))
    return out or None


def measure_report_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What of a report does not go with its measure; nothing when that is not known."""
    url = resource.get("measure")
    measure = run.profiles.definition(url) if isinstance(url, str) else None
    out = _subjects(run, resource, frame)
    if measure is None or measure.get("resourceType") != "Measure":
        return out or None
    scoring = _codes(measure.get("scoring"))
    wanted = _dicts(measure.get("group"))
    for place, group in enumerate(_dicts(resource.get("group"))):
        where = f".group[{place}]"
        scored = "measureScore" in group
        if scored and "cohort" in {code for _, code in scoring}:
            text = "A measure of a cohort has no score."
            out.append(Finding(f"{where}.measureScore", "business-rule", text))
        definition = _match(group, wanted)
        if definition is None:
            if len(wanted) > 1 or not _same_or_absent(group, wanted):
                text = "The measure has no group of this code."
                out.append(Finding(where, "business-rule", text))
            continue
        for name in ("population", "stratifier"):
            out += [
                each._replace(path=where + each.path)
                for each in _parts(_dicts(group.get(name)), _dicts(definition.get(name)), name)
            ]
    return out or None


def _codes(concept: Any) -> set[tuple[Any, Any]]:
    listed = concept if isinstance(concept, list) else [concept]
    return {
        (coding.get("system"), coding.get("code"))
        for each in listed if isinstance(each, dict)
        for coding in _dicts(each.get("coding"))
    }  # fmt: skip


def _match(given: Json, wanted: list[Json]) -> Json | None:
    codes = _codes(given.get("code"))
    for each in wanted:
        own = _codes(each.get("code"))
        if own and own & codes:
            return each
    if len(wanted) == 1 and not codes and not _codes(wanted[0].get("code")):
        return wanted[0]
    return None


def _same_or_absent(given: Json, wanted: list[Json]) -> bool:
    return not wanted or not _codes(wanted[0].get("code"))


def _parts(given: list[Json], wanted: list[Json], name: str) -> list[Finding]:
    out: list[Finding] = []
    allowed = {code for each in wanted for code in _codes(each.get("code"))}
    components = {
        code for each in wanted for part in _dicts(each.get("component"))
        for code in _codes(part.get("code"))
    }  # fmt: skip
    for place, each in enumerate(given):
        codes = _codes(each.get("code"))
        if wanted and not codes & allowed and (codes or allowed):
            text = f"The measure has no {name} of this code."
            out.append(Finding(f".{name}[{place}]", "business-rule", text))
        for index, stratum in enumerate(_dicts(each.get("stratum"))):
            for at, part in enumerate(_dicts(stratum.get("component"))):
                if components and not _codes(part.get("code")) & components:
                    text = "The measure has no stratifier component of this code."
                    path = f".{name}[{place}].stratum[{index}].component[{at}]"
                    out.append(Finding(path, "business-rule", text))
    return out


def _subjects(run: Run, resource: Json, frame: Frame) -> list[Finding]:
    """Lists of subjects stand in reports that list subjects, and are as long as the count."""
    out: list[Finding] = []
    listing = resource.get("type") == "subject-list"
    for place, group in enumerate(_dicts(resource.get("group"))):
        for index, each in enumerate(_dicts(group.get("population"))):
            where = f".group[{place}].population[{index}]"
            holder = each.get("subjectResults")
            if not isinstance(holder, dict):
                continue
            if not listing:
                text = "Only a report of the type subject-list lists subjects."
                out.append(Finding(f"{where}.subjectResults", "business-rule", text))
                continue
            text_ = holder.get("reference")
            found = run.resolve(frame, text_) if isinstance(text_, str) else None
            count = each.get("count")
            if found is not None and found.resource.get("resourceType") == "List":
                number = len(_dicts(found.resource.get("entry")))
                if isinstance(count, int) and count != number:
                    text = f"The count says {count}, the list has {number} subjects."
                    out.append(Finding(f"{where}.count", "business-rule", text))
    return out
