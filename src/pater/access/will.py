"""What a person wants to be shown to whom: from FHIR Consents to rules, from rules to a veil.

The model is opt-out: what no rule speaks of is shown. Of the rules that speak of a row and of a
caller the most specific one wins: what names documents before what names categories or
recipients, a recipient before everybody, a category before everything; of two equally specific
ones the later; of two of the same time an exception, and then the refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from pater.access.actors import Around, Key, codings, items, wanted, who
from pater.fhir.issues import Issue
from pater.fhir.labelling import CATEGORY_SYSTEM, category_of
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    RESTRICTED,
    VERY_RESTRICTED,
    Level,
    Veil,
    category_bits,
)
from pater.fhir.search.dates import date_span

SCOPE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
MOST_NAMED: Final = 200
"""Recipients, categories or documents of one provision, and exceptions of one Consent."""
OPEN_CATEGORIES: Final = frozenset(CATEGORIES) - {"identification", "consent", "notice"}
"""What a person may hold back: who they are must be found, and the rest nobody else sees anyway."""

T = TypeVar("T")

_TICK: Final = timedelta(microseconds=1)
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC)

_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_LEVELS: Final = {"R": RESTRICTED, "V": VERY_RESTRICTED}
_PURPOSES: Final = frozenset({"TREAT", "ETREAT"})
_RECIPIENTS: Final = frozenset({"IRCP", "PRCP"})
_ACTIONS: Final = frozenset({"access", "disclose"})
_KNOWN: Final = frozenset(
    {
        "id", "type", "period", "actor", "action", "securityLabel", "purpose", "class", "data",
        "provision",
    }
)  # fmt: skip
_IDENTIFICATION: Final = Level(
    CATEGORY_MASK, frozenset({category_bits("identification")}), frozenset()
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission or refusal, of one moment (`at`).

    None = not said: any recipient, category, document, confidentiality or purpose; no beginning,
    no end. `recipients` are names as in `Who.names`; `documents` are bits of
    labels; `security` is the least confidentiality. `source` and `place` say where it stands.
    """

    permit: bool
    at: datetime
    since: datetime | None = None
    until: datetime | None = None
    recipients: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    documents: frozenset[int] | None = None
    security: int | None = None
    purposes: frozenset[str] | None = None
    exception: bool = False
    source: str = ""
    place: str = ""

    def speaks_to(self, whom: Whom) -> bool:
        """Whether it speaks of this caller, at whatever time."""
        return (self.recipients is None or not self.recipients.isdisjoint(whom.names)) and (
            self.purposes is None or whom.purpose in self.purposes
        )

    def matches(self, label: int) -> bool:
        """Whether it speaks of a row with this label."""
        level = (label & CONFIDENTIALITY_MASK) >> 6
        return (
            (self.documents is None or label & DOCUMENT_MASK in self.documents)
            and (self.categories is None or CATEGORIES[label & CATEGORY_MASK] in self.categories)
            and (self.security is None or level >= self.security)
        )

    def holds_at(self, now: datetime) -> bool:
        """Whether its period has begun and not ended."""
        return (self.since is None or self.since <= now) and (
            self.until is None or now < self.until
        )

    @property
    def rank(self) -> tuple[bool, bool, bool, bool]:
        """The less, the more specific."""
        return (
            self.documents is None,
            self.recipients is None,
            self.categories is None,
            self.security is None,
        )


class Whom(NamedTuple):
    """A caller as wills see them: the names of `Who.names`, and the purpose of use."""

    names: frozenset[str]
    purpose: str


class Compiled(NamedTuple):
    """A veil and from when until when it is right (None = always)."""

    veil: Veil
    since: datetime | None
    until: datetime | None


def is_will(resource: Mapping[str, Any]) -> bool:
    """Whether a Consent says to whom a record is shown (scope `patient-privacy`)."""
    return has_scope(resource, "patient-privacy")


def is_directive(resource: Mapping[str, Any]) -> bool:
    """Whether a Consent is an advance directive (scope `adr`)."""
    return has_scope(resource, "adr")


def has_scope(resource: Mapping[str, Any], scope: str) -> bool:
    """Whether a Consent has a scope of consentscope."""
    return any(
        each.get("code") == scope and each.get("system") in (SCOPE_SYSTEM, None)
        for each in codings(resource.get("scope"))
    )


def compile_will(rules: Iterable[Rule], whom: Whom, now: datetime) -> Compiled:
    """What the rules hold back from a caller at a moment."""
    mine = [rule for rule in rules if rule.speaks_to(whom)]
    edges = [edge for rule in mine for edge in (rule.since, rule.until) if edge is not None]
    since = max((edge for edge in edges if edge <= now), default=None)
    until = min((edge for edge in edges if edge > now), default=None)
    ranked: dict[tuple[bool, ...], list[Rule]] = {}
    for rule in mine:
        if rule.holds_at(now):
            ranked.setdefault(rule.rank, []).append(rule)
    levels: list[Level] = []
    otherwise = False
    for rank in sorted(ranked):
        level = _level(ranked[rank])
        if all(rank):
            otherwise = bool(level.held)
        else:
            levels.append(level)
    if not otherwise and not any(level.held for level in levels):
        return Compiled(Veil(()), since, until)
    return Compiled(Veil((_IDENTIFICATION, *levels), otherwise), since, until)


def _level(rules: Sequence[Rule]) -> Level:
    """Rules that name the same kinds of things: of each combination the last word counts."""
    first = rules[0]
    mask = 0
    if first.documents is not None:
        mask |= DOCUMENT_MASK
    if first.categories is not None:
        mask |= CATEGORY_MASK
    if first.security is not None:
        mask |= CONFIDENTIALITY_MASK
    words: dict[int, bool] = {}
    for rule in sorted(rules, key=last_word):
        documents = rule.documents if rule.documents is not None else (0,)
        categories = map(category_bits, rule.categories) if rule.categories is not None else (0,)
        levels = range(rule.security, VERY_RESTRICTED + 1) if rule.security is not None else (0,)
        for document, category, level in product(documents, categories, levels):
            words[document | category | level << 6] = rule.permit
    return Level(
        mask,
        frozenset(part for part, permit in words.items() if permit),
        frozenset(part for part, permit in words.items() if not permit),
    )


def last_word(rule: Rule) -> tuple[datetime, bool, bool]:
    """By this order the last of equally specific rules counts."""
    return rule.at, rule.exception, not rule.permit


def deciding_rule(rules: Iterable[Rule], whom: Whom, now: datetime, label: int) -> Rule | None:
    """The rule that decides about a row and a caller; None = nothing was said. For explanations."""
    found = [r for r in rules if r.speaks_to(whom) and r.holds_at(now) and r.matches(label)]
    best = min((rule.rank for rule in found), default=None)
    return max((r for r in found if r.rank == best), key=last_word, default=None)


def write_rules(rules: Sequence[Rule]) -> str:
    """Rules as they are kept."""
    return orjson.dumps([_kept(rule) for rule in rules]).decode()


def _kept(rule: Rule) -> dict[str, Any]:
    said = {
        "permit": rule.permit,
        "at": rule.at.isoformat(),
        "since": rule.since.isoformat() if rule.since else None,
        "until": rule.until.isoformat() if rule.until else None,
        "recipients": None if rule.recipients is None else sorted(rule.recipients),
        "categories": None if rule.categories is None else sorted(rule.categories),
        "documents": None if rule.documents is None else sorted(rule.documents),
        "security": rule.security,
        "purposes": None if rule.purposes is None else sorted(rule.purposes),
        "exception": rule.exception or None,
        "place": rule.place,
    }
    return {key: value for key, value in said.items() if value is not None}


def read_rules(text: str, source: str = "") -> tuple[Rule, ...]:
    """What `write_rules` wrote; `source` is the id of the Consent."""
    return tuple(
        Rule(
            each["permit"],
            datetime.fromisoformat(each["at"]),
            _moment(each.get("since")),
            _moment(each.get("until")),
            _set(each.get("recipients")),
            _set(each.get("categories")),
            None if each.get("documents") is None else frozenset(each["documents"]),
            each.get("security"),
            _set(each.get("purposes")),
            each.get("exception", False),
            source,
            each.get("place", ""),
        )
        for each in orjson.loads(text)
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _set(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def referred(resource: Mapping[str, Any], around: Around) -> set[Key]:
    """The resources that have to be read to understand a Consent."""
    return wanted(_holders(resource.get("provision")), around)


def _holders(provision: Any, depth: int = 0) -> Iterator[Any]:
    if not isinstance(provision, dict) or depth > 1:
        return
    for name in ("actor", "data"):
        for each in items(provision.get(name))[:MOST_NAMED]:
            yield each.get("reference")
    for each in items(provision.get("provision"))[:MOST_NAMED]:
        yield from _holders(each, depth + 1)


def read_consent(
    resource: Mapping[str, Any], around: Around, person: int | None = None
) -> tuple[tuple[Rule, ...], list[Issue]]:
    """The rules of a Consent of scope `patient-privacy`, and why it cannot be enforced.

    Total for whatever JSON. One that is not active says nothing. With `person` the documents it
    names must be that person's.
    """
    if resource.get("status") != "active":
        return (), []
    reader = _Reader(resource, around, person)
    return reader.read(), reader.issues


class _Reader:
    """Reads one Consent and gathers what in it cannot be enforced."""

    def __init__(self, resource: Mapping[str, Any], around: Around, person: int | None) -> None:
        self._resource, self._around, self._person = resource, around, person
        self.issues: list[Issue] = []

    def read(self) -> tuple[Rule, ...]:
        at = self._span(self._resource.get("dateTime"), "Consent.dateTime")
        if at is None and "dateTime" not in self._resource:
            self._no("required", "Consent.dateTime", "which of two declarations is later is needed")
        for name in ("modifierExtension", "implicitRules"):
            if name in self._resource:
                self._no("not-supported", f"Consent.{name}", "this is not understood here")
        root = self._resource.get("provision")
        place = "Consent.provision"
        if not isinstance(root, dict):
            self._no("required", place, "what is permitted or refused is needed")
            return ()
        rule = self._provision(root, place, at[0] if at else datetime.min.replace(tzinfo=UTC))
        if rule is None:
            return ()
        rules = [rule]
        nested = items(root.get("provision"))
        if len(nested) > MOST_NAMED:
            self._no("too-costly", f"{place}.provision", f"at most {MOST_NAMED} exceptions")
        for number, each in enumerate(nested[:MOST_NAMED]):
            inner = f"{place}.provision[{number}]"
            if "provision" in each:
                self._no("not-supported", f"{inner}.provision", "an exception has no exceptions")
            found = self._provision(each, inner, rule.at)
            if found is None:
                continue
            found = replace(found, exception=True)
            if found.permit == rule.permit:
                text = "an exception is of the other type than what it excepts"
                self._no("business-rule", f"{inner}.type", text)
            met = _within(found, rule)
            if met is None:
                text = "the exception is outside of what it excepts"
                self._no("business-rule", inner, text)
            else:
                rules.append(met)
        return () if self.issues else tuple(rules)

    def _provision(self, provision: Mapping[str, Any], place: str, at: datetime) -> Rule | None:
        for name in sorted(provision.keys() - _KNOWN):
            if not name.startswith("_"):
                self._no("not-supported", f"{place}.{name}", "this is not enforced here")
        kind = provision.get("type")
        if kind not in ("permit", "deny"):
            self._no("required", f"{place}.type", "is permit or deny")
            return None
        since = until = None
        period = provision.get("period")
        if isinstance(period, dict):
            start = self._span(period.get("start"), f"{place}.period.start")
            end = self._span(period.get("end"), f"{place}.period.end")
            since = start[0] if start else None
            # the end of a period belongs to it, in all the length of its precision
            until = end[1] + _TICK if end and end[1] < _LAST else None
            if since and until and since >= until:
                self._no("value", f"{place}.period", "ends before it begins")
        return Rule(
            kind == "permit", at, since, until,
            self._recipients(provision, place),
            self._categories(provision, place),
            self._documents(provision, place),
            self._security(provision, place),
            self._purposes(provision, place),
            place=place,
        )  # fmt: skip

    def _recipients(self, provision: Mapping[str, Any], place: str) -> frozenset[str] | None:
        if "actor" not in provision:
            return None
        found: set[str] = set()
        for path, each in self._each(provision, "actor", place):
            roles = codings(each.get("role"))
            if not any(str(role.get("code")) in _RECIPIENTS for role in roles):
                self._no("not-supported", f"{path}.role", "only recipients (IRCP) are told apart")
            means = who(each.get("reference"), self._around, self._resource)
            ref = self._around.ref(each.get("reference"))
            if ref.type == "PractitionerRole" or not means:
                text = "is an Organization with an IČO, or a Practitioner or a KRZP number"
                self._no("not-supported", f"{path}.reference", text)
            found |= means.names
        return frozenset(found)

    def _categories(self, provision: Mapping[str, Any], place: str) -> frozenset[str] | None:
        if "class" not in provision:
            return None
        found: set[str] = set()
        for path, each in self._each(provision, "class", place):
            code = each.get("code")
            if each.get("system") == CATEGORY_SYSTEM and isinstance(code, str):
                name = code
            else:
                name = category_of("Composition", {"type": {"coding": [each]}})
                name = "" if name == "other" else name
            if name not in OPEN_CATEGORIES:
                known = ", ".join(sorted(OPEN_CATEGORIES))
                text = f"is the code of a document type, or of {CATEGORY_SYSTEM}: {known}"
                self._no("not-supported", path, text)
            found.add(name)
        return frozenset(found)

    def _documents(self, provision: Mapping[str, Any], place: str) -> frozenset[int] | None:
        if "data" not in provision:
            return None
        found: set[int] = set()
        for path, each in self._each(provision, "data", place):
            if each.get("meaning") != "instance":
                self._no("not-supported", f"{path}.meaning", "only `instance` is enforced")
            ref = self._around.ref(each.get("reference"))
            person, label = (0, 0)
            if ref.kind == "relative" and ref.type == "DocumentReference" and ref.id:
                person, label = self._around.documents.get(ref.id, (0, 0))
            if not label & DOCUMENT_MASK or (self._person is not None and person != self._person):
                text = "is a DocumentReference of a document in this person's record"
                self._no("not-found", f"{path}.reference", text)
            found.add(label & DOCUMENT_MASK)
        return frozenset(found)

    def _security(self, provision: Mapping[str, Any], place: str) -> int | None:
        if "securityLabel" not in provision:
            return None
        found: list[int] = []
        for path, each in self._each(provision, "securityLabel", place):
            level = _LEVELS.get(str(each.get("code")))
            if level is None or each.get("system") != _CONFIDENTIALITY:
                self._no("not-supported", path, "is R or V of v3 Confidentiality")
            else:
                found.append(level)
        return min(found, default=RESTRICTED)

    def _purposes(self, provision: Mapping[str, Any], place: str) -> frozenset[str] | None:
        for path, each in self._each(provision, "action", place):
            if not any(str(one.get("code")) in _ACTIONS for one in codings(each)):
                self._no("not-supported", path, "only access and disclosure are decided here")
        if "purpose" not in provision:
            return None
        found: set[str] = set()
        for path, each in self._each(provision, "purpose", place):
            code = str(each.get("code"))
            if code not in _PURPOSES:
                text = "is TREAT or ETREAT: other purposes do not follow the patient's wish"
                self._no("not-supported", path, text)
            found.add(code)
        return frozenset(found)

    def _each(
        self, provision: Mapping[str, Any], name: str, place: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The elements of a list, each with its path; too many, or none, is an issue."""
        found = items(provision.get(name))
        if name in provision and not found:
            self._no("structure", f"{place}.{name}", "is a list of objects")
        if len(found) > MOST_NAMED:
            self._no("too-costly", f"{place}.{name}", f"at most {MOST_NAMED} of them")
        for number, each in enumerate(found[:MOST_NAMED]):
            yield f"{place}.{name}[{number}]", each

    def _span(self, value: Any, path: str) -> tuple[datetime, datetime] | None:
        if value is None:
            return None
        try:
            return date_span(str(value))
        except ValueError:
            self._no("value", path, "is a date, perhaps with a time")
            return None

    def _no(self, code: str, path: str, text: str) -> None:
        self.issues.append(Issue("error", code, path, text))


def _within(inner: Rule, outer: Rule) -> Rule | None:
    """An exception narrowed to what it excepts; None when nothing is left."""
    documents = _meet(inner.documents, outer.documents)
    recipients = _meet(inner.recipients, outer.recipients)
    categories = _meet(inner.categories, outer.categories)
    purposes = _meet(inner.purposes, outer.purposes)
    security = max(filter(None, (inner.security, outer.security)), default=None)
    starts = [edge for edge in (inner.since, outer.since) if edge is not None]
    ends = [edge for edge in (inner.until, outer.until) if edge is not None]
    since, until = max(starts, default=None), min(ends, default=None)
    named = (documents, recipients, categories, purposes)
    if any(each is not None and not each for each in named) or (
        since is not None and until is not None and since >= until
    ):
        return None
    return replace(
        inner, documents=documents, recipients=recipients, categories=categories,
        purposes=purposes, security=security, since=since, until=until,
    )  # fmt: skip


def _meet(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
