"""One answer of a QuestionnaireResponse against its question: type, limits, permitted values."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pater.fhir.references import parse_reference
from pater.fhir.validation.bindings import judge
from pater.fhir.validation.run import Run
from pater.fhir.validation.types import Finding
from pater.fhir.validation.units import compare_quantities
from pater.fhir.validation.values import compare, fits, same

Json = dict[str, Any]

_EXT = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"
_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "boolean": ("Boolean",), "decimal": ("Decimal",), "integer": ("Integer",),
        "date": ("Date",), "dateTime": ("DateTime",), "time": ("Time",), "string": ("String",),
        "text": ("String",), "url": ("Uri",), "choice": ("Coding",),
        "open-choice": ("Coding", "String"), "attachment": ("Attachment",),
        "reference": ("Reference",), "quantity": ("Quantity",),
    }
)  # fmt: skip


def answer_findings(run: Run, question: Json, answer: Json, questionnaire: Json) -> list[Finding]:
    """What is wrong with one answer."""
    key = next((key for key in answer if key.startswith("value")), None)
    if key is None:
        return []
    kind = str(question.get("type"))
    allowed = _allowed_types(question, kind)
    path = f".{key}"
    if allowed and key[5:] not in allowed:
        text = f"The answer is of the type {' or '.join(allowed)}, found {key[5:]}."
        return [Finding(path, "invariant", text)]
    value = answer[key]
    out = _limits(question, value) + _options(run, question, key, value, questionnaire)
    if kind == "attachment" and isinstance(value, dict):
        out += _attachment(question, value)
    if kind == "quantity" and isinstance(value, dict):
        out += _unit(run, question, value)
    if kind == "reference" and isinstance(value, dict):
        out += _target(question, value)
    return [each._replace(path=path + each.path) for each in out]


def _allowed_types(question: Json, kind: str) -> tuple[str, ...]:
    """The types an answer may have; a choice among other values has theirs (R4 answerOption)."""
    found = _TYPES.get(kind, ())
    if kind in ("choice", "open-choice"):
        options = [each for each in question.get("answerOption") or () if isinstance(each, dict)]
        more = {key[5:] for each in options for key in each if key.startswith("value")}
        if more:
            extra = ("String",) if kind == "open-choice" else ()
            found = tuple(dict.fromkeys((*sorted(more), *extra)))
    return found


def _extensions(holder: Json, name: str) -> list[Any]:
    return [
        next((v for k, v in each.items() if k.startswith("value")), None)
        for each in holder.get("extension") or ()
        if isinstance(each, dict) and each.get("url") == _EXT + name
    ]


def matches(operator: str, wanted: Any, answer: Json) -> bool:
    """Whether an answer is equal to, more or less than … a wanted value."""
    value = next((v for k, v in answer.items() if k.startswith("value")), None)
    if operator == "=":
        if isinstance(wanted, dict) and isinstance(value, dict):
            if "value" in wanted:
                return compare_quantities(wanted, value) == 0
            keys = [key for key in ("system", "code", "reference") if key in wanted]
            return all(wanted[key] == value.get(key) for key in keys)
        return same(wanted, value)
    if isinstance(wanted, dict):
        order = compare_quantities(wanted, value) if isinstance(value, dict) else None
    else:
        order = compare(wanted, value)
    return order is not None and {
        ">": order > 0, "<": order < 0, ">=": order >= 0, "<=": order <= 0
    }.get(operator, False)  # fmt: skip


def _limits(question: Json, value: Any) -> list[Finding]:
    out: list[Finding] = []
    bounds = [("minValue", -1), ("maxValue", 1)]
    if isinstance(value, dict):
        bounds += [
            (prefix + side, sign)
            for prefix in ("questionnaire-", _SDC + "sdc-questionnaire-")
            for side, sign in (("minQuantity", -1), ("maxQuantity", 1))
        ]
    for name, sign in bounds:
        for limit in _limit_values(question, name):
            out += _bound(limit, value, sign)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        out += _places(question, value)
    if isinstance(value, str):
        most = question.get("maxLength")
        if isinstance(most, int) and len(value) > most:
            out.append(Finding("", "invariant", f"The answer has at most {most} characters."))
        for least in _extensions(question, "minLength"):
            if isinstance(least, int) and len(value) < least:
                out.append(Finding("", "invariant", f"The answer has at least {least} characters."))
        for pattern in _extensions(question, "regex"):
            if isinstance(pattern, str) and _fails(pattern, value):
                out.append(Finding("", "invariant", "The answer has not the expected form."))
    return out


def _places(question: Json, value: Any) -> list[Finding]:
    exponent = Decimal(str(value)).as_tuple().exponent
    found = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return [
        Finding("", "invariant", f"The answer has at most {most} decimal places.")
        for most in _extensions(question, "maxDecimalPlaces")
        if isinstance(most, int) and found > most
    ]


def _target(question: Json, value: Json) -> list[Finding]:
    """The type of what an answer refers to."""
    types = _extensions(question, "questionnaire-referenceResource")
    text = value.get("reference")
    kind = parse_reference(text).type if isinstance(text, str) else None
    if not types or kind is None or kind in types:
        return []
    return [Finding("", "invalid", f"The answer refers to {', '.join(map(str, types))}.")]


def exclusive(question: Json, answers: list[Json]) -> bool:
    """Whether one of several answers is an option that excludes all others."""
    options = [each for each in question.get("answerOption") or () if isinstance(each, dict)]
    alone = [each for each in options if True in _extensions(each, "questionnaire-optionExclusive")]
    return any(
        key.startswith("value") and _is_option(option.get(key), value)
        for option in alone
        for answer in answers
        for key, value in answer.items()
    )


def _limit_values(question: Json, name: str) -> list[Any]:
    if not name.startswith("http"):
        return _extensions(question, name)
    return [
        each.get("valueQuantity")
        for each in question.get("extension") or ()
        if isinstance(each, dict) and each.get("url") == name
    ]


def _bound(limit: Any, value: Any, sign: int) -> list[Finding]:
    word = "less" if sign < 0 else "more"
    if isinstance(limit, dict) != isinstance(value, dict):
        return []
    if isinstance(limit, dict):
        order = compare_quantities(limit, value)
        formal = limit.get("code") and value.get("code")
        if order is None or not formal:
            text = "The quantity cannot be compared to its limit: the units have nothing in common."
            return [Finding("", "invariant", text)]
    else:
        order = compare(limit, value)
        if order is None and isinstance(limit, str) and isinstance(value, str):
            order = None if value.startswith(limit) and sign < 0 else sign
    if order != sign:
        return []
    return [Finding("", "invariant", f"The value is {word} than what is allowed.")]


_MOST_PATTERN = 200
_RISKY = re.compile(r"\([^()]*[+*}][^()]*\)[+*{]|\\[1-9]")


def _fails(pattern: str, value: str) -> bool:
    """Whether a value has not the form; False for expressions that could run without end."""
    if len(pattern) > _MOST_PATTERN or len(value) > 4 * _MOST_PATTERN or _RISKY.search(pattern):
        return False
    try:
        return re.fullmatch(pattern, value) is None
    except re.error:
        return False


def _options(run: Run, question: Json, key: str, value: Any, questionnaire: Json) -> list[Finding]:
    kind = question.get("type")
    options = [each for each in question.get("answerOption") or () if isinstance(each, dict)]
    open_text = kind == "open-choice" and key == "valueString"
    if options and not open_text and not any(_is_option(o.get(key), value) for o in options):
        text = "The answer is not one of the permitted values."
        return [Finding("", "code-invalid", text)]
    url = question.get("answerValueSet")
    if isinstance(url, str) and not open_text:
        return _in_set(run, question, url, value, questionnaire)
    return []


def _is_option(option: Any, value: Any) -> bool:
    if option is None:
        return False
    if isinstance(option, dict) and isinstance(value, dict) and "code" in option:
        return option.get("code") == value.get("code") and (
            option.get("system") == value.get("system")
        )
    return fits(option, value)


def _in_set(run: Run, question: Json, url: str, value: Any, questionnaire: Json) -> list[Finding]:
    if url.startswith("#"):
        return []
    verdict = judge(run, value, url)
    if verdict is None or verdict.result is True:
        return []
    if verdict.result is None:
        text = f"Whether the answer is in {url[:200]} could not be checked."
        return [Finding("", "not-found", text, "warning")]
    return [Finding("", "code-invalid", f"The answer is not in the value set {url[:200]}.")]


def _attachment(question: Json, value: Json) -> list[Finding]:
    out: list[Finding] = []
    data = value.get("data")
    size: Any = value.get("size")
    if isinstance(data, str):
        try:
            size = len(b64decode("".join(data.split()), validate=True))
        except ValueError:
            return []
    for most in _extensions(question, "maxSize"):
        if isinstance(most, int | float) and isinstance(size, int) and size > most:
            out.append(Finding("", "required", f"The attachment has at most {most} bytes."))
    types = [each for each in _extensions(question, "mimeType") if isinstance(each, str)]
    if types and value.get("contentType") not in types:
        out.append(Finding("", "invalid", f"The attachment is of the type {', '.join(types)}."))
    return out


def _unit(run: Run, question: Json, value: Json) -> list[Finding]:
    options = [
        each for each in _extensions(question, "questionnaire-unitOption") if isinstance(each, dict)
    ]
    if options and not any(
        each.get("code") == value.get("code") and each.get("system") == value.get("system")
        for each in options
    ):
        return [Finding("", "invariant", "The unit is not one of the permitted units.")]
    for url in _extensions(question, "questionnaire-unitValueSet"):
        verdict = judge(run, value, url) if isinstance(url, str) else None
        if verdict is not None and verdict.result is False:
            return [Finding("", "code-invalid", f"The unit is not in the value set {url}.")]
    return []
