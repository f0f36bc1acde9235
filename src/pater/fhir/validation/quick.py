"""Sees in one walk that a resource is right; of one that may not be, it says nothing.

Nearly all that is written is right, and then neither paths nor texts are wanted. What has to be
asked of an object follows from its type and the names in it, so it is worked out once for each
such combination (`_plan`): whether names are unknown, missing or double is known without looking
at a value, and so are most invariants. Whatever is out of the ordinary is left to `validate` and
`invariants.check`, which decide alone what is wrong: this may be ignorant but never wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as made
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from pater.fhir.definitions import TYPE_NUMBER, required_codes, type_kind
from pater.fhir.fhirpath import Environment
from pater.fhir.fhirpath.items import Field, Scope, fields_by_key, values_at
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.guard_paths import Answer
from pater.fhir.invariants import ADVICE, Rule, holds, plan_of
from pater.fhir.validation.coded import coding_check, concept_check, may_point, reference_check
from pater.fhir.validation.compile import Shape, shape_of
from pater.fhir.validation.primitives import primitive_check
from pater.fhir.validation.types import Check, Findings

_LONG: Final = 1_000  # characters; whether a longer text is too long, the full check knows
_SHORT: Final = 300  # characters; longer ones are not remembered
_MOST_NAMES: Final = 64  # of one object; no element of R4 has as many
_TEXTS: Final = frozenset(("string", "markdown"))
_TOKENS: Final = frozenset(("uri", "url", "canonical", "code"))
_ELEMENT: Final = TypeRef("Element")


class _DoubtError(Exception):
    """Something is out of the ordinary."""


class _Around:
    """The resource that rules are asked in, and the one that contains it (itself mostly)."""

    __slots__ = ("_scope", "resource", "root")

    def __init__(self, resource: dict[str, Any], root: dict[str, Any]) -> None:
        self.resource = resource
        self.root = root
        self._scope: Scope | None = None

    def scope(self) -> Scope:
        """What FHIRPath needs; most resources never do."""
        if self._scope is None:
            self._scope = Scope(Environment(self.resource, root=self.root), 0, [])
        return self._scope

    def contains(self, id: str) -> bool:
        """Whether a resource of that id is contained."""
        contained = self.root.get("contained")
        return type(contained) is list and any(
            type(each) is dict and each.get("id") == id for each in contained
        )


_Ask = Callable[[Any, _Around | None], bool]
"""Whether something holds for a value; without a resource around it no rules are asked."""


class _Kind:
    """A type as it is at some place; equal to nothing but itself, so that it is quickly found."""

    __slots__ = ("is_resource", "type")

    def __init__(self, type: TypeRef, is_resource: bool) -> None:
        self.type = type
        self.is_resource = is_resource


class _Plan(NamedTuple):
    """What to ask of the values of an object with certain names.

    `texts`: names of strings; `tokens`: of what has no blanks, mostly, with the full check;
    `codes`: of codes with those allowed; `values`: of other values with their checks;
    `objects` and `arrays` (of objects) with what asks them; `more`: what is rare; `rules`: the
    invariants that the names do not answer, with what may answer them in place of FHIRPath.
    """

    texts: tuple[str, ...]
    tokens: tuple[tuple[str, Check], ...]
    codes: tuple[tuple[str, frozenset[str]], ...]
    values: tuple[tuple[str, Check], ...]
    objects: tuple[tuple[str, _Ask], ...]
    arrays: tuple[tuple[str, _Ask], ...]
    more: tuple[_Ask, ...]
    rules: tuple[tuple[Answer | None, Rule], ...]


def is_right(resource: Any, *, rules: bool = True) -> bool:
    """Whether a resource certainly is good base R4: `validate` finds nothing at all, and with
    `rules` neither does `invariants.check` without advice. False = look closely."""
    try:
        return _resource(resource, None, rules=rules)
    except (_DoubtError, RecursionError):
        return False


def _resource(value: Any, root: dict[str, Any] | None, *, rules: bool) -> bool:
    name = value.get("resourceType") if type(value) is dict else None
    if type(name) is not str or name not in TYPE_NUMBER:
        return False
    around = _Around(value, value if root is None else root) if rules else None
    return _kind(_type_ref(name))(value, around)


@cache
def _kind(type: TypeRef) -> _Ask:
    """What asks an object of a type (or of the path of a backbone) that may have a binding or
    targets of its own where it stands."""
    general = _general(_Kind(type, type_kind(type.name) == "resource"))
    if type.name == "Reference":
        return _reference(frozenset(type.targets), general)
    return _coding(general) if type.name == "Coding" and not type.value_set else general


def _general(kind: _Kind) -> _Ask:
    def ask(value: Any, around: _Around | None) -> bool:
        if type(value) is not dict:
            return False
        texts, tokens, codes, values, objects, arrays, more, rules = _plan(kind, tuple(value))
        for name in texts:
            text = value[name]
            usual = type(text) is str and 0 < len(text) < _LONG and not text.isspace()
            if not usual and _string(text) is not None:
                return False
        for name, check in tokens:
            text = value[name]
            usual = type(text) is str and text.split(None, 1) == [text]
            if not usual and check(text) is not None:
                return False
        for name, allowed in codes:
            text = value[name]
            if type(text) is not str or text not in allowed:
                return False
        for name, check in values:
            if check(value[name]) is not None:
                return False
        for name, below in objects:
            if not below(value[name], around):
                return False
        for name, below in arrays:
            children = value[name]
            if type(children) is not list or not children:
                return False
            for child in children:
                if not below(child, around):
                    return False
        for each in more:
            if not each(value, around):
                return False
        if around is not None:
            for guard, rule in rules:
                if guard is not None and guard(value) is True:
                    continue
                if not holds(rule, (kind.type, value, None), around.scope()):
                    return False
        return True

    return ask


def _reference(allowed: frozenset[str], general: _Ask) -> _Ask:
    """Most references are a text and perhaps a name."""

    def ask(value: Any, around: _Around | None) -> bool:
        if type(value) is dict and (len(value) == 1 or (len(value) == 2 and "display" in value)):
            text, name = value.get("reference"), value.get("display", "-")
            if (
                type(text) is str and 0 < len(text) < _LONG and _string(name) is None
                and (text[0] != "#" or around is None or around.contains(text[1:]))
            ):  # fmt: skip
                return may_point(text, allowed)
        return general(value, around)

    return ask


def _coding(general: _Ask) -> _Ask:
    """Codings are a third of all objects, and mostly the same ones."""

    def ask(value: Any, around: _Around | None) -> bool:
        if type(value) is dict:
            system, code = value.get("system"), value.get("code")
            name = value.get("display", "-")
            if (
                type(system) is str and type(code) is str and type(name) is str
                and len(value) == (3 if "display" in value else 2)
                and len(system) + len(code) + len(name) < _SHORT
            ):  # fmt: skip
                return _sound_coding(system, code, name)
        return general(value, around)

    return ask


@lru_cache(maxsize=8_192)
def _sound_coding(system: str, code: str, display: str) -> bool:
    return _uri(system) is None and _code(code) is None and _string(display) is None


@cache
def _type_ref(name: str) -> TypeRef:
    return TypeRef(name)


_string: Final = primitive_check("string")
_uri: Final = primitive_check("uri")
_code: Final = primitive_check("code")


def _nothing(_: Any) -> Findings:
    return None


# --- plans ----------------------------------------------------------------------------------------


@lru_cache(maxsize=8_192)
def _plan(kind: _Kind, names: tuple[str, ...]) -> _Plan:
    """What to ask of an object of a kind with these names. Raises _DoubtError when the names alone
    are not as they should be, which is not remembered: names may be whatever a client writes."""
    if len(names) > _MOST_NAMES or (not kind.is_resource and set(names) <= {"id"}):
        raise _DoubtError
    shape, fields = shape_of(kind.type.name), fields_by_key(kind.type.name)
    _names_are_right(shape, names)
    parts = _Parts()
    invariants = plan_of(kind.type.name)
    for name in names:
        if name == "resourceType" and kind.is_resource:
            continue
        field = fields.get(name)
        if field is None:
            raise _DoubtError
        _, own = invariants.fields[name]
        if own and field.resource:
            raise _DoubtError
        if own and (name == field.key or field.key not in names):
            parts.more.append(_own_rules(field, own))
        if name in shape.siblings:
            parts.more.append(_sibling(field, shape))
        elif name not in shape.each or field.hidden not in names:
            _sort(parts, field, shape)
    beside = _beside(kind.type, names)
    if beside is not None:
        parts.more.append(beside)
    probe = dict.fromkeys(names, _ANYTHING)
    rules = tuple(
        (each.guard, each)
        for each in invariants.rules
        if each.definition.key not in ADVICE
        and (each.guard is None or each.guard(probe) is not True)
    )
    return _Plan(
        tuple(parts.texts), tuple(parts.tokens), tuple(parts.codes), tuple(parts.values),
        tuple(parts.objects), tuple(parts.arrays), tuple(parts.more), rules,
    )  # fmt: skip


@dataclass(slots=True)
class _Parts:
    """A plan while it is made."""

    texts: list[str] = made(default_factory=list)
    tokens: list[tuple[str, Check]] = made(default_factory=list)
    codes: list[tuple[str, frozenset[str]]] = made(default_factory=list)
    values: list[tuple[str, Check]] = made(default_factory=list)
    objects: list[tuple[str, _Ask]] = made(default_factory=list)
    arrays: list[tuple[str, _Ask]] = made(default_factory=list)
    more: list[_Ask] = made(default_factory=list)


def _sort(parts: _Parts, field: Field, shape: Shape) -> None:
    """Puts an element where it belongs."""
    name, type_, many = field.key, field.type, field.key in shape.each
    if field.resource:
        parts.more.append(_resources(field, many=many))
    elif type_kind(type_.name) != "primitive":
        (parts.arrays if many else parts.objects).append((name, _kind(type_)))
    elif many:
        parts.values.append((name, shape.fields[name]))
    elif type_.name in _TEXTS:
        parts.texts.append(name)
    elif type_.name == "code" and (allowed := required_codes(type_.value_set)) is not None:
        parts.codes.append((name, allowed))
    elif type_.name in _TOKENS:
        parts.tokens.append((name, shape.fields[name]))
    else:
        parts.values.append((name, shape.fields[name]))


_ANYTHING: Final = object()
"""Stands for a value not looked at: what a guard says with it holds whatever the value is."""


def _beside(type: TypeRef, names: tuple[str, ...]) -> _Ask | None:
    """What a target or a binding asks of an object of a data type as a whole."""
    check: Check | None = None
    if type.name == "Reference":
        if "type" not in names:
            return _target(frozenset(type.targets)) if "reference" in names else None
        check = reference_check(_nothing, type.targets)
    elif type.value_set and type.name == "Coding":
        check = coding_check(_nothing, type.value_set)
    elif type.value_set and type.name == "CodeableConcept":
        check = concept_check(_nothing, type.value_set)
    if check is None:
        return None
    whole = check
    return lambda holder, around: whole(holder) is None


def _target(allowed: frozenset[str]) -> _Ask:
    return lambda holder, around: may_point(holder["reference"], allowed)


def _names_are_right(shape: Shape, names: tuple[str, ...]) -> None:
    """Raises _DoubtError when a name is unknown or missing, or a choice given twice."""
    said = {name[1:] if name in shape.siblings else name for name in names}
    if not (shape.fields.keys() >= said >= shape.required):
        raise _DoubtError
    choices = [shape.choice_of[name] for name in said if name in shape.choice_of]
    if len(set(choices)) < len(choices) or not shape.required_choices.issubset(choices):
        raise _DoubtError


def _own_rules(field: Field, rules: tuple[Rule, ...]) -> _Ask:
    """Rules that stand at an element instead of its type."""

    def ask(holder: dict[str, Any], around: _Around | None) -> bool:
        if around is None:
            return True
        for child in values_at(holder, field):
            plain = child[1]
            for rule in rules:
                if rule.guard is not None and type(plain) is dict and rule.guard(plain) is True:
                    continue
                if not holds(rule, child, around.scope()):
                    return False
        return True

    return ask


def _resources(field: Field, *, many: bool) -> _Ask:
    """Resources inside: each is asked by itself, a contained one with its container as root."""
    contained = field.key == "contained"

    def ask(holder: dict[str, Any], around: _Around | None) -> bool:
        value = holder[field.key]
        if many and (type(value) is not list or not value):
            return False
        root = around.resource if around is not None and contained else None
        for child in value if many else (value,):
            if not _resource(child, root, rules=around is not None):
                return False
            if contained and "contained" in child:
                return False
        return True

    return ask


def _sibling(field: Field, shape: Shape) -> _Ask:
    """`_name`: the ids and extensions of the primitive `name` or of its values."""
    name, hidden, element = field.key, field.hidden, _kind(_ELEMENT)
    each = shape.each.get(name)

    def one(holder: dict[str, Any], around: _Around | None) -> bool:
        extra = holder[hidden]
        return element(extra, around)

    def several(holder: dict[str, Any], around: _Around | None) -> bool:
        extras = holder[hidden]
        if type(extras) is not list or not extras or each is None:
            return False
        values = holder.get(name, [None] * len(extras))
        if type(values) is not list or len(values) != len(extras):
            return False
        for value, extra in zip(values, extras, strict=True):
            if value is not None and each(value) is not None:
                return False
            if extra is not None:
                if not element(extra, around):
                    return False
            elif value is None:
                return False
        return True

    return one if each is None else several
