"""An assert of a TestScript: whether what came back is what the script expects."""

from __future__ import annotations

import operator as compare
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pater.fhir.issues import Issue
from pater.testscript.messages import Message, ScriptError, State, evaluate, plain
from pater.testscript.paths import PathError, find

Result = Literal["pass", "skip", "fail", "warning", "error"]
Validate = Callable[[dict[str, Any], str], Sequence[Issue]]
"""(resource, canonical of a profile) -> what is wrong with it. Raises LookupError: not known."""

CODES = {
    "okay": 200, "created": 201, "noContent": 204, "notModified": 304, "bad": 400,
    "forbidden": 403, "notFound": 404, "methodNotAllowed": 405, "conflict": 409, "gone": 410,
    "preconditionFailed": 412, "unprocessable": 422,
}  # fmt: skip
_FORMATS = {"json": "application/fhir+json", "xml": "application/fhir+xml"}
_LINKS = frozenset({"self", "first", "previous", "prev", "next", "last", "alternate"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an assert or an operation came to, and why."""

    result: Result
    message: str = ""


def told(rule: Mapping[str, Any]) -> str:
    """What an assert looks at, for people: its own words, else its fields."""
    if rule.get("description") or rule.get("label"):
        return str(rule.get("description") or rule["label"])
    left_out = ("warningOnly", "direction")
    return " ".join(str(value) for name, value in rule.items() if name not in left_out)


def check(
    rule: Mapping[str, Any],
    state: State,
    profiles: Mapping[str, str],
    validate: Validate,
) -> Verdict:
    """The verdict on one assert; never raises. `profiles`: ids of the script to canonicals."""
    try:
        verdict = _check(rule, state, profiles, validate)
    except (ScriptError, PathError) as error:
        verdict = Verdict("error", str(error))
    if verdict.result == "fail" and rule.get("warningOnly"):
        return Verdict("warning", verdict.message)
    return verdict


def _check(
    rule: Mapping[str, Any], state: State, profiles: Mapping[str, str], validate: Validate
) -> Verdict:
    message = _looked_at(rule, state)
    sign = str(rule.get("operator", ""))
    wanted = state.fill(str(rule["value"])) if "value" in rule else None
    if "compareToSourceId" in rule:
        wanted = _other(rule, state, wanted)
    verdicts = []
    if "response" in rule:
        expected = CODES.get(str(rule["response"]))
        verdicts.append(_compared("response", str(message.status), str(expected), sign))
    if "responseCode" in rule:
        codes = state.fill(str(rule["responseCode"]))
        verdicts.append(_compared("responseCode", str(message.status), codes, sign))
    if "contentType" in rule:
        kind = message.headers.get("content-type", "").partition(";")[0].strip()
        expected_type = _FORMATS.get(str(rule["contentType"]), str(rule["contentType"]))
        verdicts.append(_compared("contentType", kind, expected_type, sign))
    if "headerField" in rule:
        name = str(rule["headerField"])
        verdicts.append(_compared(name, message.headers.get(name.lower()), wanted, sign))
    if "requestMethod" in rule:
        method = _request(state).method
        verdicts.append(
            _compared("requestMethod", method, str(rule["requestMethod"]).upper(), sign)
        )
    if "requestURL" in rule:
        url = _request(state).url
        verdicts.append(_compared("requestURL", url, state.fill(str(rule["requestURL"])), sign))
    if "resource" in rule:
        type_ = _resource(message).get("resourceType") if message.resource else None
        verdicts.append(_compared("resource", type_, str(rule["resource"]), sign))
    if "expression" in rule or ("compareToSourceExpression" in rule and "path" not in rule):
        # without an expression of its own the same is looked for in both sources
        expression = state.fill(str(rule.get("expression", rule.get("compareToSourceExpression"))))
        verdicts.append(_values(expression, evaluate(expression, _resource(message)), wanted, sign))
    if "path" in rule or ("compareToSourcePath" in rule and "expression" not in rule):
        path = state.fill(str(rule.get("path", rule.get("compareToSourcePath"))))
        verdicts.append(_values(path, find(path, _resource(message)), wanted, sign))
    if "minimumId" in rule:
        least = state.filled(state.resource(str(rule["minimumId"])))
        verdicts.append(_minimum(least, _resource(message)))
    if rule.get("navigationLinks"):
        verdicts.append(_links(_resource(message)))
    if "validateProfileId" in rule:
        verdicts.append(_profile(rule, _resource(message), profiles, validate))
    if not verdicts:
        return Verdict("error", "the assert says nothing that can be checked")
    return next((each for each in verdicts if each.result != "pass"), verdicts[0])


def _looked_at(rule: Mapping[str, Any], state: State) -> Message:
    if "sourceId" in rule:
        return state.message(str(rule["sourceId"]))
    found = state.request if rule.get("direction") == "request" else state.response
    if found is None:
        raise ScriptError("nothing was sent before this assert")
    return found


def _request(state: State) -> Message:
    if state.request is None:
        raise ScriptError("nothing was sent before this assert")
    return state.request


def _resource(message: Message) -> dict[str, Any]:
    if message.resource is None:
        raise ScriptError("there is no resource to look at")
    return message.resource


def _other(rule: Mapping[str, Any], state: State, value: str | None) -> str | None:
    """What the other source says: the value to compare with."""
    source = state.resource(str(rule["compareToSourceId"]))
    if "compareToSourceExpression" in rule:
        found = evaluate(state.fill(str(rule["compareToSourceExpression"])), source)
    elif "compareToSourcePath" in rule:
        found = find(state.fill(str(rule["compareToSourcePath"])), source)
    else:
        return value
    return plain(found[0]) if found else ""


def _values(what: str, values: Sequence[Any], wanted: str | None, sign: str) -> Verdict:
    """Values of an expression or path: any of them may be meant, none of them for a negation."""
    texts = [plain(value) for value in values]
    if sign in ("empty", "notEmpty"):
        return _said((not texts) is (sign == "empty"), f"{what} is {', '.join(texts) or 'empty'}")
    if wanted is None:
        holds = bool(texts) and texts != ["false"]
        return _said(holds, f"{what} is {', '.join(texts) or 'empty'}")
    if not texts:
        return _compared(what, None, wanted, sign)
    verdicts = [_compared(what, text, wanted, sign) for text in texts]
    if sign in ("notEquals", "notIn", "notContains"):
        return next((each for each in verdicts if each.result != "pass"), verdicts[0])
    return next((each for each in verdicts if each.result == "pass"), verdicts[0])


def _compared(what: str, value: Any, wanted: str | None, sign: str) -> Verdict:
    text = None if value is None else plain(value)
    text_of = f"{what} is {text!r}, expected {sign or 'equals'} {wanted!r}"
    match sign:
        case "empty":
            return _said(not text, text_of)
        case "notEmpty":
            return _said(bool(text), text_of)
    if wanted is None:
        return _said(bool(text), f"{what} is {text!r}")
    match sign:
        case "" | "equals" | "eval":
            return _said(text == wanted, text_of)
        case "notEquals":
            return _said(text != wanted, text_of)
        case "in" | "notIn":
            among = text in [each.strip() for each in wanted.split(",")]
            return _said(among is (sign == "in"), text_of)
        case "contains" | "notContains":
            return _said((text is not None and wanted in text) is (sign == "contains"), text_of)
        case "greaterThan" | "lessThan":
            return _said(text is not None and _ordered(text, wanted, sign), text_of)
        case _:
            raise ScriptError(f"there is no operator {sign!r}")


def _ordered(text: str, wanted: str, sign: str) -> bool:
    test = compare.gt if sign == "greaterThan" else compare.lt
    try:
        return bool(test(Decimal(text), Decimal(wanted)))
    except InvalidOperation:
        return bool(test(text, wanted))  # dates of one precision are ordered as texts


def _minimum(least: Any, found: Any, path: str = "") -> Verdict:
    """Everything of the one stands in the other, in whatever order its lists are."""
    if isinstance(least, dict):
        if not isinstance(found, dict):
            return Verdict("fail", f"{path or 'the resource'} is missing")
        for name, value in least.items():
            if not path and name in ("id", "meta", "text"):
                continue  # the server's own affair
            verdict = _minimum(value, found.get(name), f"{path}.{name}" if path else name)
            if verdict.result != "pass":
                return verdict
        return Verdict("pass")
    if isinstance(least, list):
        for number, value in enumerate(least):
            among = found if isinstance(found, list) else []
            if not any(_minimum(value, each, f"{path}[]").result == "pass" for each in among):
                return Verdict("fail", f"{path}[{number}] is not there")
        return Verdict("pass")
    return _said(least == found, f"{path} is {found!r}, expected {least!r}")


def _links(bundle: Mapping[str, Any]) -> Verdict:
    """The links of a Bundle: a self link, known relations, each once, with an address."""
    links = bundle.get("link", [])
    relations = [str(link.get("relation")) for link in links]
    good = (
        bundle.get("resourceType") == "Bundle"
        and "self" in relations
        and len(set(relations)) == len(relations)
        and set(relations) <= _LINKS
        and all(link.get("url") for link in links)
    )
    return _said(good, f"the links of the Bundle are {', '.join(relations) or 'missing'}")


def _profile(
    rule: Mapping[str, Any],
    resource: dict[str, Any],
    profiles: Mapping[str, str],
    validate: Validate,
) -> Verdict:
    id = str(rule["validateProfileId"])
    if id not in profiles:
        raise ScriptError(f"the script has no profile {id!r}")
    try:
        issues = validate(resource, profiles[id])
    except LookupError:
        return Verdict("skip", f"the profile {profiles[id]} is not known here")
    errors = [each for each in issues if each.severity in ("error", "fatal")]
    return _said(not errors, "; ".join(f"{each.path}: {each.text}" for each in errors[:5]))


def _said(good: bool, message: str) -> Verdict:
    return Verdict("pass") if good else Verdict("fail", message)
