"""The one decision who may do what: a table of rules and a pure function over it.

The decision stands on role, action, type of data, purpose of use, strength of login, SMART scopes
and, for the data of one person, on how the caller stands to that person. What the table leaves
out, it does not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from pater.access import policy_texts, scopes
from pater.access.caller import Caller, Kind, owner_number
from pater.access.facts import Facts
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    PROVIDER_MASK,
    Level,
    Veil,
    category_bits,
    provider_bits,
)

Action = Literal["read", "search", "create", "update", "delete", "history", "validate", "ask"]
"""`ask` is a question that is answered yes or no, and shows no record."""
Group = Literal["personal", "public", "audit", "owned"]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
READING: Final[frozenset[Action]] = frozenset({"read", "search", "history"})
WRITING: Final[frozenset[Action]] = frozenset({"create", "update", "delete"})

RELATIONS: Final = (
    "registered", "encounter", "referral", "prescription", "care-team", "author", "override",
    "territory", "outbreak", "insured", "proxy",
)  # fmt: skip
"""Kinds of relation between a caller and a person; see `facts.Facts`."""

# Types that say nothing about a patient when they stand by themselves. What came in a document
# belongs to its patient whatever its type. Everything else is personal, so that a type nobody
# thought of is guarded and not open.
PUBLIC_TYPES: Final = frozenset(
    {
        "ActivityDefinition", "CapabilityStatement", "ChargeItemDefinition", "CodeSystem",
        "CompartmentDefinition", "ConceptMap", "DeviceDefinition", "Endpoint",
        "EventDefinition", "ExampleScenario", "GraphDefinition", "HealthcareService",
        "ImplementationGuide", "InsurancePlan", "Library", "Location", "Measure", "Medication",
        "MedicationKnowledge", "MessageDefinition", "NamingSystem", "OperationDefinition",
        "Organization", "OrganizationAffiliation", "PlanDefinition", "Practitioner",
        "PractitionerRole", "Questionnaire", "SearchParameter", "StructureDefinition",
        "StructureMap", "Substance", "TerminologyCapabilities", "ValueSet",
    }
)  # fmt: skip

# Types whose resources belong to the account or client that made them, and to nobody else.
OWNED_TYPES: Final = frozenset({"Subscription"})

# Why a role has nothing where no rule speaks of it, beyond that none does.
_CLOSED: Final[Mapping[str, str]] = MappingProxyType({"researcher": "secondary-use"})

# The letters of SMART v2 of which one is needed; a check that stores nothing takes any of them.
LETTERS: Final[dict[Action, str]] = {
    "read": "r", "search": "s", "create": "c", "update": "u", "delete": "d", "history": "r",
    "validate": scopes.LETTERS, "ask": "s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the policy: who, what, on which data, under which conditions, and why.

    `types` None = every type of the group; `purposes` None = any purpose or none. `relations`:
    for a person's data one of them must hold (None = none is asked for). `labels`: only these
    categories of records; `hides`: categories that nobody sees under the rule who did not write
    them; `always`: categories that are shown whatever the person holds back; `lifts` = what the
    person holds back is shown; `wrote` = only what the caller's organization wrote. `own` = only
    the caller's own person; `shared` = only what belongs to nobody; `bound` = a search must name
    the patient; `mine` = only what the caller made; `organization` = the caller must have one.
    `basis` are the acts that allow it.
    """

    name: str
    role: str
    actions: frozenset[Action]
    group: Group
    reason: str
    types: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    strength: int = 0
    relations: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    hides: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    lifts: bool = False
    wrote: bool = False
    own: bool = False
    shared: bool = False
    bound: bool = False
    organization: bool = False
    mine: bool = False
    basis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ages:
    """What the policy says of parents who act for their children.

    They do `until` the child has this age; from the age `own_say` records of the categories
    `hides`, and those that are marked as restricted, are hidden from them.
    """

    until: int = 18
    own_say: int = 15
    hides: frozenset[str] = frozenset(
        {"ambulatory-report", "laboratory-order", "laboratory-report", "medication"}
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says.

    `reason` is a key of `policy_texts`. `persons` is whose personal data may be shown: None =
    everybody's; a denied decision has the empty set. `patient_bound` = a search must identify a
    patient (see `binding.is_bound`). `veil` is what of the person's rows does not exist for the
    caller (None = nothing is left out), where a person was decided about. `rule` is the name of
    the rule that decided, "" when none fitted.
    """

    allowed: bool
    reason: str
    persons: frozenset[int] | None
    patient_bound: bool
    veil: Veil | None = None
    rule: str = ""

    def shows(self, label: int) -> bool:
        """Whether a row of the person with this label may be shown."""
        return self.allowed and (self.veil is None or not self.veil.holds_back(label))


def group(type: str) -> Group:
    """The group of a resource type; unknown types count as personal."""
    if type == "AuditEvent":
        return "audit"
    if type in OWNED_TYPES:
        return "owned"
    return "public" if type in PUBLIC_TYPES else "personal"


def is_personal(type: str) -> bool:
    """Whether resources of the type always may say something about a patient (AuditEvent does)."""
    return type not in PUBLIC_TYPES


class Bearer(NamedTuple):
    """What of a caller decides; the same for all requests of a token."""

    role: str
    kind: Kind
    id: str
    person: int | None
    scopes: tuple[str, ...]
    purpose: str
    strength: int
    organization: str
    app: bool
    context: int | None


def bearer_of(caller: Caller) -> Bearer:
    """What of the caller decides."""
    return Bearer(
        caller.role, caller.kind, caller.id, caller.person, caller.scopes, caller.purpose,
        caller.strength, caller.organization, bool(caller.app), caller.context,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Policy:
    """One version of the policy. Decisions are pure and remembered.

    `territories` says of an organization (IČO) for which territories it has powers. `bases` are
    the texts of the acts by the keys that rules name, by language. `since` is the day from which
    the version is meant to hold (ISO 8601) and `digest` the SHA-256 of what it was read from.
    """

    name: str
    version: str
    since: str
    rules: tuple[Rule, ...]
    territories: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    bases: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    digest: str = ""
    parents: Ages = field(default_factory=Ages)
    _asking: frozenset[str] = field(init=False, repr=False)
    _remembered: Callable[..., Decision] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        asking = {
            rule.role
            for rule in self.rules
            if rule.relations is not None
            or (rule.group == "personal" and rule.actions & READING and not _sees_all(rule))
        }
        object.__setattr__(self, "_asking", frozenset(asking))
        object.__setattr__(self, "_remembered", lru_cache(maxsize=8192)(self._decided))

    def decide(
        self,
        caller: Caller,
        action: Action,
        type: str,
        *,
        person: int | None = None,
        facts: Facts | None = None,
    ) -> Decision:
        """Decide one action of a caller on a type, or on the data of one person.

        With `person=None` the answer is about the type in general, and whoever asked must hold to
        `persons`, and decide about each of them. A person number (0 = data of no person) decides
        about that person's data, also when they are of a public type (the physician or the place
        of a document); `facts` is how the caller stands to that person, None = nothing is known.
        With `person=None` facts may be given where the caller has one person only (a patient, an
        app with context): they are that one's.
        """
        who = bearer_of(caller)
        return self._remembered(who, action, type, person, facts)

    def asks(self, caller: Caller) -> bool:
        """Whether facts about persons can change any decision for this caller."""
        return caller.role in self._asking

    def explain(
        self,
        caller: Caller,
        action: Action,
        type: str,
        *,
        person: int | None = None,
        facts: Facts | None = None,
        lang: str = "en",
    ) -> str:
        """One line for people saying why the action is or is not allowed; `lang` is cs or en."""
        found = self.decide(caller, action, type, person=person, facts=facts)
        return policy_texts.text(found.reason, lang)

    def fitting(
        self, who: Bearer, action: Action, type: str, which: Group
    ) -> tuple[str, tuple[Rule, ...]]:
        """The rules that may speak, in their order, or the reason why there is none."""
        rules = tuple(
            rule
            for rule in self.rules
            if rule.role == who.role
            and action in rule.actions
            and rule.group == which
            and (rule.types is None or type in rule.types)
        )
        if not rules:
            if which == "audit" and action in WRITING:
                return "journal-only-grows", ()
            return _CLOSED.get(who.role, "no-role"), ()
        if not scopes.allows(who.scopes, who.kind, type, LETTERS[action]):
            return "no-scope", ()
        fit = tuple(rule for rule in rules if rule.purposes is None or who.purpose in rule.purposes)
        return ("", fit) if fit else ("no-purpose", ())

    def judged(
        self,
        rule: Rule,
        who: Bearer,
        action: Action,
        type: str,
        person: int | None,
        facts: Facts | None,
    ) -> Decision:
        """What one fitting rule says."""
        if who.strength < rule.strength:
            return _denied("weak-login", rule)
        if rule.organization and not who.organization:
            return _denied("no-organization", rule)
        if who.app and rule.group == "owned":
            # a subscription would go on when the app is gone
            return _denied("no-scope", rule)
        persons: frozenset[int] | None = None
        personal: Decision | None = None
        # what needs a relation is never open for everybody's data at once
        bound = rule.bound and (action == "search" or rule.relations is not None)
        if rule.mine:
            persons = frozenset({owner_number(who.kind, who.id)})
            if person is not None and person not in persons:
                return _denied("not-owner", rule)
        elif rule.own:
            # 0 means "of no person" in the store, so it can never be somebody's own number.
            if not who.person:
                return _denied("no-person", rule)
            persons = frozenset({who.person})
            if person is not None and person not in persons:
                return _denied("other-person", rule)
        elif who.context is not None and not rule.shared:
            # an app that was given one record sees this one, whatever its person may see
            persons, bound = frozenset({who.context}), False
            if person is not None and person not in persons:
                return _denied("other-person", rule)
        elif rule.shared:
            own = who.context or who.person if person is None else None
            if own:
                personal = self._decided_as(who, action, type, own, facts, "personal")
            persons = frozenset({0}) | ((personal.persons if personal else None) or frozenset())
        about = person if person is not None else 0 if facts is None else _only(persons)
        if (
            rule.relations is not None
            and about > 0
            and rule.relations.isdisjoint(facts.relations if facts else ())
        ):
            return _denied("no-relation", rule)
        if rule.shared:
            veil = personal.veil if personal else None
        else:
            veil = _veil(rule, who, facts) if about > 0 else None
        return Decision(True, rule.reason, persons, bound, veil, rule.name)

    def _decided(
        self, who: Bearer, action: Action, type: str, person: int | None, facts: Facts | None
    ) -> Decision:
        which = group(type)
        which = "personal" if which == "public" and person else which
        return self._decided_as(who, action, type, person, facts, which)

    def _decided_as(
        self,
        who: Bearer,
        action: Action,
        type: str,
        person: int | None,
        facts: Facts | None,
        which: Group,
    ) -> Decision:
        """The first rule that allows it decides; else the first refusal."""
        reason, rules = self.fitting(who, action, type, which)
        refusal: Decision | None = None
        for rule in rules:
            found = self.judged(rule, who, action, type, person, facts)
            if found.allowed:
                return found
            refusal = refusal or found
        return refusal or _denied(reason)


def _sees_all(rule: Rule) -> bool:
    return rule.lifts and rule.relations is None and rule.labels is None and not rule.hides


def _only(persons: frozenset[int] | None) -> int:
    """The one person of a caller who has only one; else 0."""
    if persons is None:
        return 0
    some = [person for person in persons if person > 0]
    return some[0] if len(some) == 1 else 0


def _denied(reason: str, rule: Rule | None = None) -> Decision:
    return Decision(False, reason, frozenset(), False, None, rule.name if rule else "")


def _veil(rule: Rule, who: Bearer, facts: Facts | None) -> Veil | None:
    """What is left out under a rule: by the rule itself, and by the person's will."""
    levels: list[Level] = []
    nothing: frozenset[int] = frozenset()
    if rule.labels is not None:
        levels.append(Level(CATEGORY_MASK, nothing, _bits(frozenset(CATEGORIES) - rule.labels)))
    own = provider_bits(who.organization)
    if rule.wrote:
        levels.append(Level(PROVIDER_MASK, frozenset({own} if own else ()), nothing))
        levels.append(Level(CATEGORY_MASK, _bits(frozenset({"identification"})), nothing))
        return Veil(tuple(levels), otherwise=True)
    will = None if rule.lifts or facts is None else facts.veil
    if will is not None or (rule.lifts and rule.hides):
        if own:
            levels.append(Level(PROVIDER_MASK, frozenset({own}), nothing))
        if rule.always or rule.hides:
            levels.append(Level(CATEGORY_MASK, _bits(rule.always), _bits(rule.hides)))
    if will is not None:
        return Veil((*levels, *will.levels), will.otherwise)
    return Veil(tuple(levels)) if levels else None


def _bits(categories: frozenset[str]) -> frozenset[int]:
    return frozenset(map(category_bits, categories))
