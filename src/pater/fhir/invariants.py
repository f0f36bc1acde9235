"""The invariants of R4: the FHIRPath rules of a resource and of all its elements.

What a rule says is compiled when the first element of its type comes. `validation` checks
structure; a resource that fails there may make rules fail here for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.definitions import Constraint, constraints, type_kind
from pater.fhir.fhirpath import Environment, EvaluationError, Expression, compile_expression
from pater.fhir.fhirpath.items import Field, Item, Scope, fields_by_key, truth, values_at
from pater.fhir.fhirpath.types import TypeRef, is_a
from pater.fhir.guard_paths import Answer
from pater.fhir.guards import guard
from pater.fhir.issues import Issue

LIMIT = 200
"""As many issues are reported; the last one then says that there are more."""

# Said of everything and worked out here without FHIRPath: something has to be in an element.
_FILLED = "ele-1"
# The narrative: `validation` checks it as XHTML, which FHIRPath cannot.
_ELSEWHERE = frozenset(("txt-1", "txt-2"))
# Published with names no element has (`name` of ChargeItemDefinition, `definitionReference`).
_MISTAKEN = frozenset(("cid-0", "evv-1"))
# R4's own rule says System.Boolean where it means the boolean of FHIR.
_CORRECTED = MappingProxyType(
    {
        "que-7": "operator = 'exists' implies (answer is boolean)",
        "que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",
    }
)
# What R4 calls best practice: a narrative in every resource.
ADVICE = frozenset(("dom-6",))
_LEFT_OUT = _ELSEWHERE | _MISTAKEN | {_FILLED}
_DOMAIN = ("Resource", "DomainResource")


class Rule(NamedTuple):
    """One invariant, compiled for the type of the element it stands on."""

    definition: Constraint
    expression: Expression
    guard: Answer | None


class Plan(NamedTuple):
    """What to do with an element of a type: its rules, and those of each child by JSON key."""

    rules: tuple[Rule, ...]
    fields: Mapping[str, tuple[Field, tuple[Rule, ...]]]
    resource: bool


@cache
def _by_path(type_name: str) -> Mapping[str, tuple[Constraint, ...]]:
    out: dict[str, tuple[Constraint, ...]] = {}
    for each in constraints(type_name):
        if each.key not in _LEFT_OUT:
            path = each.path.removesuffix("[x]")
            out[path] = (*out.get(path, ()), each)
    return out


def _compiled(found: tuple[Constraint, ...], type_name: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(each, compile_expression(text, type_name), guard(each.key, text, type_name))
        for each in found
        for text in (_CORRECTED.get(each.key, each.expression),)
    )


def rules_of(type_name: str) -> tuple[Rule, ...]:
    """The invariants of a type or of the path of a backbone, those it inherits included.

    Without ele-1, which `check` answers by itself, those of the narrative's XHTML, and
    cid-0 and evv-1, which name elements that R4 does not have.
    """
    return _plan(type_name).rules


def plan_of(type_name: str) -> Plan:
    """The plan of a type or of the path of a backbone."""
    return _plan(type_name)


@cache
def _plan(type_name: str) -> Plan:
    root = type_name.partition(".")[0]
    resource = type_kind(type_name) == "resource"
    found = list(_by_path(root).get(type_name, ()))
    if resource:
        for parent in _DOMAIN:
            if parent != type_name and is_a(type_name, parent):
                found += _by_path(parent).get(parent, ())
    elif "." not in type_name and type_name != "Quantity" and is_a(type_name, "Quantity"):
        found += _by_path("Quantity").get("Quantity", ())
    children: dict[str, tuple[Field, tuple[Rule, ...]]] = {}
    for key, field in fields_by_key(type_name).items():
        children[key] = field, _own_rules(type_name, field)
    return Plan(_compiled(tuple(found), type_name), children, resource)


def _own_rules(type_name: str, field: Field) -> tuple[Rule, ...]:
    """The rules of an element that is no backbone: they stand where it is, not on its type."""
    root = type_name.partition(".")[0]
    inner = field.type.name
    found: list[Constraint] = []
    stems = [field.key]
    if not inner.startswith(f"{type_name}."):
        if field.key.endswith(inner[:1].upper() + inner[1:]):
            stems.append(field.key[: -len(inner)])
        for stem in stems:
            found += _by_path(root).get(f"{type_name}.{stem}", ())
    # A rule on a choice speaks of all its types, so it is not held against one of them.
    return _compiled(tuple(found), inner if len(stems) == 1 else "Resource")


def holds(rule: Rule, item: Item, scope: Scope) -> bool:
    """Whether an item certainly does not break a rule."""
    scope.environment.context = [item]
    try:
        return truth(rule.expression.run([item], scope)) is not False
    except EvaluationError:
        return False


class _Run:
    """One walk over a resource."""

    __slots__ = ("_clock", "_left_out", "_member_of", "_resolver", "issues")

    def __init__(
        self,
        resolver: Callable[[str], dict[str, Any] | None] | None,
        clock: Callable[[], datetime] | None,
        member_of: Callable[[Any, str], bool | None] | None,
        left_out: frozenset[str] = frozenset(),
    ) -> None:
        self._left_out = left_out
        self._resolver = resolver
        self._clock = clock
        self._member_of = member_of
        self.issues: list[Issue] = []

    def environment(self, resource: Any, root: Any) -> Environment:
        return Environment(
            resource, root=root, resolver=self._resolver, clock=self._clock,
            member_of=self._member_of,
        )  # fmt: skip

    def walk(self, item: Item, path: str, scope: Scope) -> None:
        """The rules of an element, then those of its children."""
        _, value, extra = item
        if type(value) is not dict:
            if value is None and (type(extra) is not dict or extra.keys() <= {"id"}):
                self._empty(path)
            if type(extra) is dict:
                self._children(_plan("Element"), extra, path, scope)
            return
        self._object(item, path, scope)

    def _object(self, item: Item, path: str, scope: Scope) -> None:
        value = item[1]
        plan = _plan(item[0].name)
        if len(value) < 2 and not plan.resource and value.keys() <= {"id"}:
            self._empty(path)
        for rule in plan.rules:
            if rule.guard is None or rule.guard(value) is not True:
                self._apply(rule, item, path, scope)
        self._children(plan, value, path, scope)

    def _children(self, plan: Plan, holder: dict[str, Any], path: str, scope: Scope) -> None:
        fields = plan.fields
        for key, given in holder.items():
            found = fields.get(key)
            if found is None or len(self.issues) > LIMIT:
                continue
            field, rules = found
            if not rules and not field.resource and field.hidden not in holder:
                # The usual case: objects that bring their rules with their type, or primitives.
                if type(given) is dict:
                    self._object((field.type, given, None), f"{path}.{key}", scope)
                elif type(given) is list:
                    for place, each in enumerate(given):
                        if type(each) is dict:
                            self._object((field.type, each, None), f"{path}.{key}[{place}]", scope)
                continue
            if key != field.key and field.key in holder:
                continue  # what extends a primitive is met with it
            value = holder[key]
            many = type(value) is list
            plain = not many and type(value) is not dict and key == field.key
            if plain and not rules and field.hidden not in holder:
                continue  # a primitive that nothing extends and no rule speaks of
            for place, child in enumerate(values_at(holder, field)):
                where = f"{path}.{field.key}[{place}]" if many else f"{path}.{field.key}"
                inner = scope
                if field.resource:
                    root = scope.environment.resource if field.key == "contained" else child[1]
                    inner = Scope(self.environment(child[1], root), 0, [])
                for rule in rules:
                    held = rule.guard is not None and type(child[1]) is dict
                    if not held or rule.guard is None or rule.guard(child[1]) is not True:
                        self._apply(rule, child, where, inner)
                self.walk(child, where, inner)

    def _apply(self, rule: Rule, item: Item, path: str, scope: Scope) -> None:
        definition = rule.definition
        if definition.key in self._left_out:
            return
        scope.environment.context = [item]
        try:
            holds = truth(rule.expression.run([item], scope))
        except EvaluationError as problem:
            self._report("warning", path, f"{definition.key} could not be checked: {problem}")
            return
        # Nothing at all means that the rule has no answer here, such as ref-1 for a reference
        # with only a display, or per-1 for a start on a day and an end in its month.
        if holds is False:
            self._report(definition.severity, path, f"{definition.key}: {definition.text}")

    def _empty(self, path: str) -> None:
        found = next(each for each in constraints("Element") if each.key == _FILLED)
        self._report("error", path, f"{_FILLED}: {found.text}")

    def _report(self, severity: Any, path: str, text: str) -> None:
        if len(self.issues) < LIMIT:
            self.issues.append(Issue(severity, "invariant", path, text))
        elif len(self.issues) == LIMIT:
            text = f"There are more than {LIMIT} issues; the rest is not shown."
            self.issues.append(Issue("information", "informational", "", text))


def check(
    type: str,
    resource: dict[str, Any],
    *,
    path: str | None = None,
    resolver: Callable[[str], dict[str, Any] | None] | None = None,
    clock: Callable[[], datetime] | None = None,
    member_of: Callable[[Any, str], bool | None] | None = None,
    advice: bool = True,
) -> list[Issue]:
    """The invariants of R4 that a resource of `type` breaks, with the paths of the elements.

    Contained resources and the entries of a Bundle are checked too, each as `%resource` of its
    own elements. `path` stands for the resource in the issues (its type by default), the rest
    is what FHIRPath may ask of the outside (see `Environment`). Without `advice` the rules that
    R4 calls best practice are left out. At most `LIMIT` issues. A rule that cannot be evaluated
    on these values is a warning. Meant for a resource whose structure
    is valid; for another one it finds something or nothing, but never raises.
    """
    run = _Run(resolver, clock, member_of, frozenset() if advice else ADVICE)
    scope = Scope(run.environment(resource, resource), 0, [])
    run.walk((TypeRef(type), resource, None), type if path is None else path, scope)
    return run.issues
