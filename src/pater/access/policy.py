"""The one decision who may do what with which type: a table of rules and a pure function over it.

The decision stands on role, action, type of data, purpose of use, strength of login and SMART
scopes. It answers for a type in general (`person=None`, and then `persons` says whose data may be
shown) or for the data of one person. What it leaves out, the table does not allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from pater.access import policy_texts, scopes
from pater.access.binding import is_bound
from pater.access.caller import TWO_FACTORS, Caller, Kind, owner_number

__all__ = [
    "ACTIONS",
    "PUBLIC_TYPES",
    "ROLES",
    "ROLE_PURPOSES",
    "ROLE_SCOPES",
    "RULES",
    "Action",
    "Decision",
    "Group",
    "Rule",
    "decide",
    "explain",
    "group",
    "is_bound",
    "is_personal",
]

Action = Literal["read", "search", "create", "update", "delete", "history", "validate"]
Group = Literal["personal", "public", "audit", "owned"]

ACTIONS: tuple[Action, ...] = get_args(Action)
ROLES = ("provider-system", "clinician", "patient", "loader", "none")

# Types that say nothing about a patient when they stand by themselves. What came in a document
# belongs to its patient whatever its type. Everything else is personal, so that a type nobody
# thought of is guarded and not open.
PUBLIC_TYPES = frozenset(
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
OWNED_TYPES = frozenset({"Subscription"})

# The purposes of use that an account or a client of a role may choose from.
ROLE_PURPOSES: dict[str, tuple[str, ...]] = {
    "provider-system": ("TREAT", "ETREAT"),
    "clinician": ("TREAT", "ETREAT"),
    "patient": ("PATRQT",),
    "loader": ("SYSADMIN",),
    "none": (),
}

# What a session of a person may be used for; a client has the scopes it is registered with.
ROLE_SCOPES: dict[str, tuple[str, ...]] = {
    "provider-system": ("system/*.rs", "system/Bundle.c", "system/Subscription.cud"),
    "clinician": ("user/*.rs", "user/Subscription.cud"),
    "patient": ("patient/*.rs", "patient/Subscription.cud"),
    "loader": ("system/*.cruds", "user/*.cruds"),
    "none": (),
}

# The letters of SMART v2 of which one is needed; a check that stores nothing takes any of them.
_LETTERS: dict[Action, str] = {
    "read": "r", "search": "s", "create": "c", "update": "u", "delete": "d", "history": "r",
    "validate": scopes.LETTERS,
}  # fmt: skip

_READING: frozenset[Action] = frozenset({"read", "search", "history"})
_WRITING: frozenset[Action] = frozenset({"create", "update", "delete"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the policy: who, what, on which data, under which conditions, and why.

    `types` None = every type of the group; `purposes` None = any purpose or none.
    `own` = only the caller's own person; `shared` = only what belongs to nobody; `bound` = a
    search must name the patient; `mine` = only what the caller made.
    """

    role: str
    actions: frozenset[Action]
    group: Group
    reason: str
    types: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    strength: int = 0
    own: bool = False
    shared: bool = False
    bound: bool = False
    organization: bool = False
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says.

    `reason` is a key of `policy_texts`. `persons` is whose personal data may be shown: None =
    everybody's; a denied decision has the empty set. `patient_bound` = a search must identify a
    patient (see `binding.is_bound`).
    """

    allowed: bool
    reason: str
    persons: frozenset[int] | None
    patient_bound: bool


def _rule_table() -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for role in ("provider-system", "clinician"):
        for purpose, reason in (("TREAT", "treatment"), ("ETREAT", "emergency")):
            rules.append(
                Rule(
                    role, _READING, "personal", reason,
                    purposes=frozenset({purpose}), strength=TWO_FACTORS, bound=True,
                )
            )  # fmt: skip
    rules += [
        Rule(
            "provider-system", frozenset({"create"}), "personal", "document",
            types=frozenset({"Bundle"}), strength=TWO_FACTORS, organization=True,
        ),
        Rule("patient", _READING, "personal", "own-record", strength=TWO_FACTORS, own=True),
        Rule("patient", _READING, "audit", "own-audit", strength=TWO_FACTORS, own=True),
        Rule("loader", _READING | _WRITING, "personal", "loading"),
        Rule("loader", _READING | _WRITING, "public", "loading"),
        Rule("loader", _READING | _WRITING, "owned", "loading"),
        Rule("loader", _READING, "audit", "loading"),
    ]  # fmt: skip
    for role in ("provider-system", "clinician", "patient"):
        rules.append(Rule(role, _READING, "public", "public", shared=True))
        rules.append(
            Rule(role, _READING | _WRITING, "owned", "own-subscription",
                 strength=TWO_FACTORS, mine=True)
        )  # fmt: skip
    for role in ("provider-system", "clinician", "patient", "loader"):
        rules.append(Rule(role, frozenset({"validate"}), "personal", "check"))
        rules.append(Rule(role, frozenset({"validate"}), "public", "check"))
        rules.append(Rule(role, frozenset({"validate"}), "owned", "check"))
    return tuple(rules)


RULES = _rule_table()


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


def decide(caller: Caller, action: Action, type: str, *, person: int | None) -> Decision:
    """Decide one action of a caller on a type, or on the data of one person.

    With `person=None` the answer is about the type in general, and whoever asked must hold to
    `persons`. A person number (0 = data of no person) decides about that person's data, also
    when they are of a public type (the physician or the place of a document).
    """
    who = _Bearer(
        caller.role, caller.kind, caller.id, caller.person, caller.scopes, caller.purpose,
        caller.strength, bool(caller.organization), bool(caller.app), caller.context,
    )  # fmt: skip
    return _remembered(who, action, type, person)


class _Bearer(NamedTuple):
    """What of a caller decides; the same for all requests of a token."""

    role: str
    kind: Kind
    id: str
    person: int | None
    scopes: tuple[str, ...]
    purpose: str
    strength: int
    organization: bool
    app: bool
    context: int | None


@lru_cache(maxsize=4096)
def _remembered(caller: _Bearer, action: Action, type: str, person: int | None) -> Decision:
    which = group(type)
    return _decided(
        caller, action, type, person, "personal" if which == "public" and person else which
    )


def _decided(
    caller: _Bearer, action: Action, type: str, person: int | None, which: Group
) -> Decision:
    if which == "audit" and action in _WRITING:
        return _denied("journal-only-grows")
    rules = [
        rule
        for rule in RULES
        if rule.role == caller.role
        and action in rule.actions
        and rule.group == which
        and (rule.types is None or type in rule.types)
    ]
    if not rules:
        return _denied("no-role")
    if not scopes.allows(caller.scopes, caller.kind, type, _LETTERS[action]):
        return _denied("no-scope")
    fitting = [rule for rule in rules if rule.purposes is None or caller.purpose in rule.purposes]
    if not fitting:
        return _denied("no-purpose")
    rule = fitting[0]
    if caller.strength < rule.strength:
        return _denied("weak-login")
    if rule.organization and not caller.organization:
        return _denied("no-organization")
    persons: frozenset[int] | None = None
    bound = rule.bound and action == "search"
    if caller.app and which == "owned":
        return _denied("no-scope")  # a subscription would go on when the app is gone
    if rule.mine:
        persons = frozenset({owner_number(caller.kind, caller.id)})
        if person is not None and person not in persons:
            return _denied("not-owner")
    elif rule.own:
        # 0 means "of no person" in the store, so it can never be somebody's own number.
        if not caller.person:
            return _denied("no-person")
        persons = frozenset({caller.person})
        if person is not None and person not in persons:
            return _denied("other-person")
    elif caller.context is not None and not rule.shared:
        # an app that was given one record sees this one, whatever its person may see
        persons, bound = frozenset({caller.context}), False
        if person is not None and person not in persons:
            return _denied("other-person")
    elif rule.shared:
        own = caller.context or caller.person if person is None else None
        personal = _decided(caller, action, type, own, "personal") if own else None
        persons = frozenset({0}) | ((personal.persons if personal else None) or frozenset())
    return Decision(True, rule.reason, persons, bound)


def _denied(reason: str) -> Decision:
    return Decision(False, reason, frozenset(), False)


def explain(
    caller: Caller, action: Action, type: str, *, person: int | None = None, lang: str = "en"
) -> str:
    """One line for people saying why the action is or is not allowed; `lang` is cs or en."""
    return policy_texts.text(decide(caller, action, type, person=person).reason, lang)
