"""What a Subscription asks for: read from the resource, with everything that is wrong with it.

Both kinds of R4: the criteria of R4 itself (`Observation?code=…`), and the topics of the
Subscriptions Backport guide (1.1), whose criteria is the canonical address of a topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.search.query import Condition
from pater.rest.subscriptions import endpoints
from pater.rest.subscriptions.criteria import (
    CriteriaError,
    conditions_of,
    parse_pairs,
    read_conditions,
    split_criteria,
)
from pater.rest.subscriptions.endpoints import Rules
from pater.rest.subscriptions.topics import Topic, Trigger

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
PROFILE: Final = BACKPORT + "backport-subscription"
CHANNELS: Final = ("rest-hook", "websocket", "email")
CONTENTS: Final = ("empty", "id-only", "full-resource")
JSON: Final = "application/fhir+json"
XML: Final = "application/fhir+xml"
_MIMES: Final = {JSON: JSON, XML: XML, "application/json": JSON, "application/xml": XML,
                 "text/json": JSON}  # fmt: skip
_VERSIONS: Final = ("4.0", "4.0.1")
_WRITTEN: Final = frozenset({"create", "update"})
TIMEOUT: Final = 10
MOST_TIMEOUT: Final = 60
MOST_COUNT: Final = 100
MOST_HEARTBEAT: Final = 366 * 24 * 3600
_MOST_FILTERS: Final = 20


@dataclass(frozen=True, slots=True)
class Watch:
    """Resources of one type that are followed: the trigger, and what the subscriber narrows."""

    trigger: Trigger
    filters: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One subscription. `topic` "" = the criteria of R4; `mime` "" = without a payload.

    `headers` are name and value as sent (masked where they were read from what is stored);
    `heartbeat` and `timeout` are seconds, a heartbeat of 0 is none.
    """

    topic: str
    watches: tuple[Watch, ...]
    channel: str
    endpoint: str
    mime: str
    content: str
    headers: tuple[tuple[str, str], ...]
    heartbeat: int
    timeout: int
    most: int
    ends: datetime | None


class _Reading:
    """Collects the issues of one resource."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def wrong(self, path: str, text: str, code: str = "value") -> None:
        self.issues.append(Issue("error", code, f"Subscription.{path}", text))


def topic_of(resource: Mapping[str, Any]) -> str:
    """The canonical address of the topic that a Subscription names; "" = criteria of R4."""
    text = resource.get("criteria")
    if not isinstance(text, str):
        return ""
    head = text.partition("?")[0]
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    if head in TYPE_NUMBER and not (isinstance(profiles, list) and PROFILE in profiles):
        return ""
    return text if ":" in head or (isinstance(profiles, list) and PROFILE in profiles) else ""


def read_subscription(
    resource: Mapping[str, Any], topic: Topic | None, rules: Rules, base_url: str = ""
) -> tuple[Asked | None, list[Issue]]:
    """What a Subscription asks for, or all that is wrong. `topic` is that of `topic_of`."""
    it = _Reading()
    url = topic_of(resource)
    channel = resource.get("channel")
    if not isinstance(channel, dict):
        it.wrong("channel", "a subscription has a channel", "required")
        return None, it.issues
    kind = str(channel.get("type"))
    if kind not in CHANNELS or _extension(channel.get("_type"), "backport-channel-type"):
        it.wrong("channel.type", f"expected one of {', '.join(CHANNELS)}", "not-supported")
    watches = _watches(it, resource, url, topic, base_url)
    mime, content = _payload(it, channel, kind, url)
    endpoint = channel.get("endpoint")
    endpoint = endpoint if isinstance(endpoint, str) else ""
    if kind == "rest-hook":
        _report(it, "channel.endpoint", endpoints.problem(endpoint, rules))
    elif kind == "email":
        _report(it, "channel.endpoint", endpoints.mail_problem(endpoint))
    headers = _headers(it, channel, kind)
    numbers = {
        name: _number(it, channel, f"backport-{name}", most)
        for name, most in (
            ("heartbeat-period", MOST_HEARTBEAT), ("timeout", MOST_TIMEOUT), ("max-count", None),
        )
    }  # fmt: skip
    ends = _instant(resource.get("end"))
    if it.issues:
        return None, it.issues
    return Asked(
        topic=url,
        watches=watches,
        channel=kind,
        endpoint=endpoint,
        mime=mime,
        content=content,
        headers=headers,
        heartbeat=numbers["heartbeat-period"] or 0,
        timeout=numbers["timeout"] or TIMEOUT,
        most=min(numbers["max-count"] or 1, MOST_COUNT),
        ends=ends,
    ), []


def _report(it: _Reading, path: str, problem: str) -> None:
    if problem:
        it.wrong(path, problem)


def _watches(
    it: _Reading, resource: Mapping[str, Any], url: str, topic: Topic | None, base_url: str
) -> tuple[Watch, ...]:
    text = resource.get("criteria")
    if not isinstance(text, str):
        it.wrong("criteria", "a subscription has a criteria", "required")
        return ()
    try:
        if not url:
            type_, query = split_criteria(text)
            return (Watch(Trigger(type_, _WRITTEN), conditions_of(type_, query, base_url)),)
    except CriteriaError as error:
        it.wrong("criteria", str(error), "not-supported")
        return ()
    if topic is None:
        it.wrong("criteria", "this server knows no such topic", "not-found")
        return ()
    filters: list[tuple[str, list[tuple[str, str]]]] = []
    for number, filter_ in enumerate(_filter_texts(resource)):
        path = f"criteria.extension[{number}].value"
        if number >= _MOST_FILTERS:
            it.wrong(path, f"at most {_MOST_FILTERS} filters", "too-costly")
            break
        try:
            filters += _parameters(filter_)
        except CriteriaError as error:
            it.wrong(path, str(error), "not-supported")
    try:
        return tuple(
            Watch(trigger, _narrowed(topic, trigger.type, filters, base_url))
            for trigger in topic.triggers
        )
    except CriteriaError as error:
        it.wrong("criteria.extension", str(error), "not-supported")
        return ()


def _parameters(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The parameters of one filter, each with the type it is about ("" = whichever)."""
    head, mark, query = text.partition("?")
    if mark and head in TYPE_NUMBER:
        yield head, parse_pairs(query)
        return
    for name, value in parse_pairs(text):
        type_, dot, rest = name.partition(".")
        if dot and type_ in TYPE_NUMBER:
            yield type_, [(rest, value)]
        else:
            yield "", [(name, value)]


def _narrowed(
    topic: Topic, type: str, filters: list[tuple[str, list[tuple[str, str]]]], base_url: str
) -> tuple[Condition, ...]:
    pairs = [pair for about, some in filters if about in ("", type) for pair in some]
    known = topic.filters.get(type, frozenset()) | topic.filters.get("", frozenset())
    for name, _ in pairs:
        if name.partition(":")[0].partition(".")[0] not in known:
            offered = ", ".join(sorted(known)) or "nothing"
            raise CriteriaError(f"the topic lets {type} be filtered by {offered}")
    return read_conditions(type, pairs, base_url)


def _filter_texts(resource: Mapping[str, Any]) -> list[str]:
    return [
        str(each.get("valueString"))
        for each in _extensions(resource.get("_criteria"))
        if each.get("url") == BACKPORT + "backport-filter-criteria"
    ]


def _payload(it: _Reading, channel: Mapping[str, Any], kind: str, url: str) -> tuple[str, str]:
    """The MIME type of what is sent, and how much of the resource it holds."""
    given = channel.get("payload")
    text = given if isinstance(given, str) else ""
    content = str(_extension(channel.get("_payload"), "backport-payload-content") or "")
    if content and content not in CONTENTS:
        it.wrong("channel.payload.extension", f"expected one of {', '.join(CONTENTS)}")
    if kind == "email":
        if (text and text.partition(";")[0].strip() != "text/plain") or ";" in text:
            it.wrong("channel.payload", "mail is sent as text/plain", "not-supported")
        if content == "full-resource":
            text_ = "mail carries no resources: empty or id-only"
            it.wrong("channel.payload.extension", text_, "not-supported")
        return "text/plain", content or "id-only"
    if not text:
        if url:
            it.wrong("channel.payload", "a topic subscription names its MIME type", "required")
        return "", content or "empty"
    name, *parameters = (part.strip() for part in text.split(";"))
    mime = _MIMES.get(name.lower(), "")
    versions = [p.partition("=")[2].strip() for p in parameters if p.startswith("fhirVersion")]
    if not mime or any(version not in _VERSIONS for version in versions):
        it.wrong("channel.payload", f"expected {JSON} or {XML} of FHIR R4", "not-supported")
    if url and not content:
        problem = "a topic subscription says how much it wants: backport-payload-content"
        it.wrong("channel.payload", problem, "required")
    return mime, content or "full-resource"


def _headers(it: _Reading, channel: Mapping[str, Any], kind: str) -> tuple[tuple[str, str], ...]:
    given = channel.get("header")
    listed = given if isinstance(given, list) else []
    if listed and kind != "rest-hook":
        it.wrong("channel.header", "headers go with a rest-hook only", "not-supported")
        return ()
    if len(listed) > endpoints.MOST_HEADERS:
        it.wrong("channel.header", f"at most {endpoints.MOST_HEADERS} headers", "too-costly")
        return ()
    found = []
    for number, text in enumerate(listed):
        header = endpoints.header(text)
        if header is None:
            it.wrong(f"channel.header[{number}]", "expected `Name: value` that may be sent along")
        else:
            found.append(header)
    return tuple(found)


def _number(it: _Reading, channel: Mapping[str, Any], name: str, most: int | None) -> int | None:
    value = _extension(channel, name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        it.wrong("channel.extension", f"{name} is a whole number")
        return None
    return value if most is None else min(value, most)


def _extensions(holder: Any) -> Iterator[Mapping[str, Any]]:
    listed = holder.get("extension") if isinstance(holder, dict) else None
    if isinstance(listed, list):
        yield from (each for each in listed if isinstance(each, dict))


def _extension(holder: Any, name: str) -> Any:
    """The value of an extension of the guide, or None."""
    for each in _extensions(holder):
        if each.get("url") == BACKPORT + name:
            return next((v for key, v in each.items() if key.startswith("value")), None)
    return None


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else None
