"""Why a caller may or may not do something with a person's data, step by step in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from pater.access import policy_texts
from pater.access.caller import Caller
from pater.access.deciding import LETTERS, Action, Decision, Group, Policy, bearer_of, group
from pater.access.facts import Facts
from pater.access.relations import EVER
from pater.access.representation import REGISTER, REZA, Representation
from pater.access.scopes import allows
from pater.access.standing import Said, Seen
from pater.access.will import deciding_rule
from pater.fhir.labels import CATEGORIES, label

_TEXTS: Final = MappingProxyType(
    {
        "policy": {
            "cs": "Politika {name}, verze {version}, otisk {digest}.",
            "en": "Policy {name}, version {version}, digest {digest}.",
        },
        "caller": {
            "cs": "Volající {id}: role {role}, IČO {organization}, účel {purpose}.",
            "en": "Caller {id}: role {role}, IČO {organization}, purpose {purpose}.",
        },
        "scope": {"cs": "Rozsah {scope} to dovoluje.", "en": "Scope {scope} allows it."},
        "no-scope": {
            "cs": "Žádný rozsah (scope) to nedovoluje.",
            "en": "No scope allows it.",
        },
        "said": {
            "cs": "Vztah {kind}: {source}, platí {until}.",
            "en": "Relation {kind}: {source}, holds {until}.",
        },
        "acting": {
            "cs": "Jedná za člověka jako {kind} ({source}), od {since} {until}: {holds}.",
            "en": "Acts for the person as {kind} ({source}), since {since} {until}: {holds}.",
        },
        "holds": {"cs": "platí", "en": "holds"},
        "over": {"cs": "v tu chvíli neplatí", "en": "does not hold at that moment"},
        "parent": {"cs": "rodič", "en": "a parent"},
        "guardian": {"cs": "opatrovník", "en": "a guardian"},
        "authorised": {"cs": "zmocněný člověk", "en": "an authorised person"},
        "reza": {"cs": "registr oprávnění", "en": "register of rights"},
        "register": {"cs": "zapsal úřad", "en": "an official entered it"},
        "own-will": {"cs": "souhlas člověka", "en": "the person's consent"},
        "override": {
            "cs": "Vztah override: otevřený nouzový přístup s důvodem.",
            "en": "Relation override: an emergency access with a reason is open.",
        },
        "territory": {
            "cs": "Vztah territory: člověk bydlí na území úřadu.",
            "en": "Relation territory: the person lives where the office has powers.",
        },
        "nothing": {
            "cs": "O vztahu volajícího k člověku nic nevíme.",
            "en": "Nothing is known of how the caller stands to the person.",
        },
        "until": {"cs": "do {at}", "en": "until {at}"},
        "ever": {"cs": "bez konce", "en": "without end"},
        "written": {"cs": "dřívější zápisy", "en": "earlier writings"},
        "rule": {
            "cs": "Pravidlo {rule}: {text}",
            "en": "Rule {rule}: {text}",
        },
        "no-rule": {
            "cs": "Žádné pravidlo nemluví o této roli, činnosti a typu.",
            "en": "No rule speaks of this role, action and type.",
        },
        "allowed": {"cs": "DOVOLENO: {text}", "en": "ALLOWED: {text}"},
        "denied": {"cs": "ODMÍTNUTO: {text}", "en": "REFUSED: {text}"},
        "basis": {"cs": "Opírá se o: {acts}.", "en": "It rests on: {acts}."},
        "held": {
            "cs": "Nevidí kategorii {category}: {why}.",
            "en": "Does not see category {category}: {why}.",
        },
        "shown": {
            "cs": "Vidí kategorii {category}: {why}.",
            "en": "Sees category {category}: {why}.",
        },
        "consent": {
            "cs": "Consent/{source}, {place}, z {at}",
            "en": "Consent/{source}, {place}, of {at}",
        },
        "by-rule": {"cs": "tak říká pravidlo", "en": "the rule says so"},
        "all": {
            "cs": "Vidí všechny kategorie záznamu.",
            "en": "Sees all categories of the record.",
        },
        "general": {
            "cs": "Bez určení člověka: o každém se rozhodne zvlášť.",
            "en": "No person is named: each one is decided about by itself.",
        },
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: may the caller do the action on the type, of the person (None = in general)?

    `seen` and `said` are what is known of caller and person, None and empty without a person;
    `acting` is how the caller acts for the person, or did (the caller is then asked as who acts).
    """

    caller: Caller
    action: Action
    type: str
    person: int | None
    at: datetime
    seen: Seen | None = None
    said: Sequence[Said] = ()
    acting: Representation | None = None


def explain(policy: Policy, asked: Asked, lang: str, *, discreet: bool = False) -> list[str]:
    """The steps of the decision, one a line; `lang` is cs or en.

    With `discreet` they name no resource and nothing of what the person wants.
    """
    facts = asked.seen.facts if asked.seen else None
    caller = asked.caller
    found = policy.decide(caller, asked.action, asked.type, person=asked.person, facts=facts)
    lines = [
        _text(
            "policy", lang, name=policy.name, version=policy.version, digest=policy.digest[:12]
        ),
        _text(
            "caller", lang, id=caller.id, role=caller.role or "-",
            organization=caller.organization or "-", purpose=caller.purpose or "-",
        ),
        _scope(asked, lang),
    ]  # fmt: skip
    if asked.person is None:
        lines.append(_text("general", lang))
    else:
        lines += _relations(asked, facts, lang, discreet)
    lines += _rules(policy, asked, facts, found, lang)
    text = policy_texts.text(found.reason, lang)
    lines.append(_text("allowed" if found.allowed else "denied", lang, text=text))
    rule = next((r for r in policy.rules if (r.name, r.role) == (found.rule, caller.role)), None)
    if found.allowed and rule is not None and rule.basis:
        acts = "; ".join(policy.bases[each][lang] for each in rule.basis)
        lines.append(_text("basis", lang, acts=acts))
    if found.allowed and asked.seen is not None and asked.person and not discreet:
        lines += _categories(asked, asked.seen, found, lang)
    return lines


def _scope(asked: Asked, lang: str) -> str:
    caller = asked.caller
    letters = LETTERS[asked.action]
    for scope in caller.scopes:
        if allows((scope,), caller.kind, asked.type, letters):
            return _text("scope", lang, scope=scope)
    return _text("no-scope", lang)


def _relations(asked: Asked, facts: Facts | None, lang: str, discreet: bool) -> Iterator[str]:
    known = facts.relations if facts else frozenset()
    if asked.acting is not None:
        yield _acting(asked.acting, asked.at, lang, discreet)
    for each in asked.said:
        source = f"{each.type}/{each.id}" if each.type else _text("written", lang)
        if discreet and each.type:
            source = each.type
        until = (
            _text("until", lang, at=f"{each.until:%Y-%m-%d %H:%M} UTC")
            if each.until
            else _text("ever", lang)
        )
        yield _text("said", lang, kind=each.kind, source=source, until=until)
    for kind in ("override", "territory"):
        if kind in known:
            yield _text(kind, lang)
    if not known:
        yield _text("nothing", lang)


def _acting(one: Representation, at: datetime, lang: str, discreet: bool) -> str:
    source = one.source if one.source in (REGISTER, REZA) else "own-will"
    named = _text(source, lang)
    if one.reference and not discreet:
        named = f"{named}, {one.reference}"
    over = one.until if one.ended is None else min(one.until, one.ended)
    until = _text("ever", lang)
    if over < EVER:
        until = _text("until", lang, at=f"{over:%Y-%m-%d %H:%M} UTC")
    return _text(
        "acting", lang, kind=_text(one.kind, lang), source=named, until=until,
        since=f"{one.since:%Y-%m-%d}", holds=_text("holds" if one.holds(at) else "over", lang),
    )  # fmt: skip


def _rules(
    policy: Policy, asked: Asked, facts: Facts | None, found: Decision, lang: str
) -> Iterator[str]:
    """What each rule that may speak says, until one allows it."""
    who = bearer_of(asked.caller)
    which: Group = group(asked.type)
    which = "personal" if which == "public" and asked.person else which
    _, rules = policy.fitting(who, asked.action, asked.type, which)
    for rule in rules:
        said = policy.judged(rule, who, asked.action, asked.type, asked.person, facts)
        text = policy_texts.text(said.reason, lang)
        yield _text("rule", lang, rule=rule.name, text=text)
        if said.allowed:
            return
    if not rules and found.reason in ("no-role", "secondary-use"):
        yield _text("no-rule", lang)


def _categories(asked: Asked, seen: Seen, found: Decision, lang: str) -> Iterator[str]:
    """Of each category whether it is shown, and which line of which Consent says so."""
    if found.veil is None:
        yield _text("all", lang)
        return
    for category in CATEGORIES:
        number = label(category)
        shown = found.shows(number)
        will = deciding_rule(seen.rules, seen.whom, asked.at, number)
        why = _text("by-rule", lang)
        if will is not None and will.permit == shown:
            at = f"{will.at:%Y-%m-%d %H:%M} UTC"
            why = _text("consent", lang, source=will.source, place=will.place, at=at)
        elif shown:
            continue
        yield _text("shown" if shown else "held", lang, category=category, why=why)


def _text(key: str, lang: str, **values: str) -> str:
    line = _TEXTS[key]
    return line.get(lang, line["en"]).format(**values)
