"""What the parameters of the terminology operations mean, and how their answers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pater.rest.errors import HttpError
from pater.rest.terminology.parameters import Given
from pater.terminology.expand import Options
from pater.terminology.issues import TxError, TxIssue, outcome
from pater.terminology.languages import NO_WISH, BadLanguageError, Wish, wish
from pater.terminology.resource_system import dicts, text
from pater.terminology.session import Rules
from pater.terminology.translate import Match, Question
from pater.terminology.validate import NOTHING_ASKED, Answer, Asked, Choices
from pater.terminology.versions import split_canonical

Json = Mapping[str, Any]
_SUPPLEMENT: Final = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
_PARAMETER: Final = "StructureDefinition/valueset-expansion-parameter"
_ECHO: Final[Mapping[str, str]] = {
    "activeOnly": "valueBoolean",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "excludePostCoordinated": "valueBoolean",
    "includeDesignations": "valueBoolean",
    "includeDefinition": "valueBoolean",
    "count": "valueInteger",
    "offset": "valueInteger",
    "filter": "valueString",
    "designation": "valueString",
}
RELATIONSHIPS: Final[Mapping[str, str]] = {
    "equivalent": "equivalent",
    "equal": "equivalent",
    "wider": "source-is-narrower-than-target",
    "subsumes": "source-is-narrower-than-target",
    "narrower": "source-is-broader-than-target",
    "specializes": "source-is-broader-than-target",
    "inexact": "related-to",
    "relatedto": "related-to",
    "disjoint": "not-related-to",
}


def rules(given: Given) -> Rules:
    """The parameters about versions."""

    def canonicals(name: str) -> tuple[tuple[str, str], ...]:
        pairs = []
        for each in given.texts(name):
            url, version = split_canonical(each)
            if not url or not version:
                raise HttpError(400, "value", f"{name} is url|version", path=name)
            pairs.append((url, version))
        return tuple(pairs)

    return Rules(
        canonicals("system-version"),
        canonicals("check-system-version"),
        canonicals("force-system-version"),
        canonicals("default-valueset-version"),
    )


def supplements(given: Given, value_set: Json) -> list[str]:
    """The supplements that the request or the value set needs."""
    named = [
        str(value)
        for each in dicts(value_set, "extension")
        if each.get("url") == _SUPPLEMENT
        for key, value in each.items()
        if key in ("valueCanonical", "valueUri")
    ]
    return list(dict.fromkeys([*named, *given.texts("useSupplement")]))


def set_parameter(value_set: Json, name: str) -> str:
    """A parameter that the value set itself fixes for its expansion, "" when it does not."""
    compose = value_set.get("compose")
    holders = [value_set, compose if isinstance(compose, dict) else {}]
    for extension in (each for holder in holders for each in dicts(holder, "extension")):
        if not text(extension, "url").endswith(_PARAMETER):
            continue
        parts = {text(each, "url"): each for each in dicts(extension, "extension")}
        if name in parts.get("name", {}).values():
            value = (v for k, v in parts.get("value", {}).items() if k.startswith("value"))
            return str(next(value, ""))
    return ""


def wish_of(given: Given, value_set: Json | None, headers: Mapping[str, str]) -> Wish:
    """The language: by parameter, by the value set, by the header, by the value set's own."""
    asked = given.text("displayLanguage")
    try:
        if asked:
            return wish(asked)
        fixed = set_parameter(value_set, "displayLanguage") if value_set else ""
        if fixed:
            return wish(fixed)
    except BadLanguageError as error:
        sentence = f"Invalid displayLanguage: '{error}'"
        issue = TxIssue(
            "error", "processing", "invalid-display", sentence, id="INVALID_DISPLAY_NAME"
        )
        raise TxError(400, issue) from None
    header = headers.get("accept-language", "")
    try:
        if header and header.strip() != "*":
            return wish(header)
        own = text(value_set, "language") if value_set else ""
        return wish(own) if own else NO_WISH
    except BadLanguageError:
        return NO_WISH  # a header that nobody can read is no reason to refuse


def options(given: Given, value_set: Json, headers: Mapping[str, str]) -> Options:
    """The parameters of $expand."""
    wanted = wish_of(given, value_set, headers)
    echo: list[tuple[str, str, Any]] = []
    for name, kind in _ECHO.items():
        if kind == "valueBoolean":
            flag = given.flag(name)
            echo += [] if flag is None else [(name, kind, flag)]
        elif kind == "valueInteger":
            number = given.number(name)
            echo += [] if number is None else [(name, kind, number)]
        else:
            echo += [(name, kind, each) for each in given.texts(name)]
    if wanted.text:
        echo.append(("displayLanguage", "valueCode", wanted.text))
    return Options(
        wish=wanted,
        filter=given.text("filter"),
        active_only=given.flag("activeOnly") is True,
        nested=given.flag("excludeNested") is not True,
        designations=given.flag("includeDesignations") is True or bool(given.texts("designation")),
        designation_kinds=tuple(given.texts("designation")),
        properties=tuple(given.texts("property")),
        count=given.number("count"),
        offset=given.number("offset") or 0,
        echo=tuple(echo),
        definition=given.flag("includeDefinition") is True,
    )


def asked(given: Given, system: str = "", version: str = "") -> Asked:
    """What is to be validated; `system` is the one of CodeSystem/$validate-code."""
    concept = given.object("codeableConcept")
    if concept is not None:
        return Asked.of_concept(concept)
    coding = given.object("coding")
    if coding is not None:
        if system and not coding.get("system"):
            coding = {**coding, "system": system}
        return Asked.of_coding(coding)
    code = given.text("code")
    named = system or given.text("system")
    infer = given.flag("inferSystem") is True and not named
    if not code or not (named or infer):
        raise HttpError(400, "invalid", NOTHING_ASKED)
    raw = {
        "system": named,
        "version": given.text("systemVersion", "version") or version,
        "code": code,
        "display": given.text("display"),
    }
    found = Asked.of_coding(raw, "")
    return Asked(found.codings, None, infer)


def choices(given: Given, value_set: Json | None, headers: Mapping[str, str]) -> Choices:
    """How strictly to validate."""
    abstract = given.flag("abstract")
    return Choices(
        wish=wish_of(given, value_set, headers),
        lenient=given.flag("lenient-display-validation") is True,
        active_only=given.flag("activeOnly") is True,
        abstract=abstract is not False,
        membership_only=given.flag("valueset-membership-only") is True,
    )


def answered(answer: Answer) -> list[dict[str, Any]]:
    """The parameters of a $validate-code answer."""
    rows: list[dict[str, Any]] = [{"name": "result", "valueBoolean": answer.result}]
    coding, system, concept = answer.coding, answer.system, answer.concept
    if coding is not None and coding.code:
        rows.append({"name": "code", "valueCode": coding.code})
        if coding.system:
            rows.append({"name": "system", "valueUri": coding.system})
    if system is not None and system.info.version:
        rows.append({"name": "version", "valueString": system.info.version})
    if answer.display:
        rows.append({"name": "display", "valueString": answer.display})
    if concept is not None:
        if coding is not None and concept.code != coding.code:
            rows.append({"name": "normalized-code", "valueCode": concept.code})
        if concept.inactive:
            rows.append({"name": "inactive", "valueBoolean": True})
        if concept.status and (concept.inactive or concept.status in ("deprecated", "withdrawn")):
            rows.append({"name": "status", "valueCode": concept.status})
    if answer.concept_asked is not None:
        rows.append({"name": "codeableConcept", "valueCodeableConcept": answer.concept_asked})
    rows += [{"name": "x-unknown-system", "valueCanonical": each} for each in answer.unknown]
    rows += [
        {"name": "x-caused-by-unknown-system", "valueCanonical": each} for each in answer.causes
    ]
    if answer.message:
        rows.append({"name": "message", "valueString": answer.message})
    if answer.issues:
        rows.append({"name": "issues", "resource": outcome(answer.issues)})
    return rows


def one_code(
    given: Given, names: tuple[str, str, str], coding: str, own: Json | None = None
) -> tuple[str, str, str]:
    """(system, version, code) from a Coding or from single parameters. Raises HttpError 400."""
    sent = given.object(coding)
    if sent is not None:
        found = text(sent, "system"), text(sent, "version"), text(sent, "code")
    else:
        code, system, version = names
        found = given.text(system), given.text(version), given.text(code)
    if own is not None:
        found = text(own, "url"), text(own, "version"), found[2]
    if not found[2]:
        raise HttpError(400, "required", f"name the code: {names[0]} or {coding}", path=names[0])
    if not found[0]:
        raise HttpError(400, "required", "name the code system: system", path=names[1])
    return found


def questions(given: Given) -> list[Question]:
    """What $translate asks: a code, a Coding, or each Coding of a CodeableConcept."""
    reverse = given.flag("reverse") is True
    concept = given.object("codeableConcept") or given.object("sourceCodeableConcept")
    coding = given.object("coding") or given.object("sourceCoding")
    backwards = given.object("targetCoding")
    if backwards is not None:
        coding, reverse = backwards, True
    code = given.text("code", "sourceCode")
    if not code and given.text("targetCode"):
        code, reverse = given.text("targetCode"), True
    if concept is not None:
        raw: Sequence[Json] = dicts(concept, "coding")
    elif coding is not None:
        raw = [coding]
    elif code:
        raw = [{"code": code, "system": given.text("system", "sourceSystem")}]
    else:
        text_ = "name what to translate: code and system, coding or codeableConcept"
        raise HttpError(400, "required", text_, path="code")
    wanted = given.text("targetsystem", "targetSystem")
    source, target = given.text("source", "sourceScope"), given.text("target", "targetScope")
    return [
        Question(
            text(each, "code"), text(each, "system"), text(each, "version"), wanted, source,
            target, reverse,
        )
        for each in raw
    ]  # fmt: skip


def matched(match: Match) -> dict[str, Any]:
    """One `match` of $translate."""
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.code:
        concept = {
            "system": match.system,
            "version": match.version,
            "code": match.code,
            "display": match.display,
        }
        parts.append({"name": "concept", "valueCoding": {k: v for k, v in concept.items() if v}})
    if match.equivalence in RELATIONSHIPS:
        said = RELATIONSHIPS[match.equivalence]
        parts.append({"name": "relationship", "valueCode": said})
    if match.origin:
        parts.append({"name": "originMap", "valueCanonical": match.origin})
    return {"name": "match", "part": parts}
