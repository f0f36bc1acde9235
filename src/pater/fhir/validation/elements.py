"""Compiles what a profile says of an element to a check of an item and all below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pater.fhir.fhirpath import EvaluationError, Expression, FhirPathError, compile_expression
from pater.fhir.fhirpath.items import (
    Field,
    Item,
    Scope,
    fields,
    fields_by_key,
    truth,
    values_at,
)
from pater.fhir.fhirpath.types import TypeRef
from pater.fhir.issues import Severity
from pater.fhir.validation import slicing
from pater.fhir.validation.bindings import binding_check
from pater.fhir.validation.facets import facet_checks
from pater.fhir.validation.layers import Json, Node, Stack, child_stack
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.targets import type_check
from pater.fhir.validation.types import LIMIT, Finding, Findings

if TYPE_CHECKING:
    from pater.fhir.validation.profiles import Profiles

ItemCheck = Callable[[Run, Item, Frame], Findings]


class Member(NamedTuple):
    """One child of an element: where it is and what it is."""

    key: str
    place: int  # -1 = it does not repeat
    item: Item
    frame: Frame

    @property
    def path(self) -> str:
        return f".{self.key}" if self.place < 0 else f".{self.key}[{self.place}]"


_EXTENSION = Field("extension", "_extension", TypeRef("Extension"), False)
_ID = Field("id", "_id", TypeRef("string"), False)


@lru_cache(maxsize=16_384)
def _keys(kind: str, name: str) -> frozenset[str]:
    """The JSON keys under which `members` looks for the children of that name."""
    found = fields(kind).get(name)
    if found is None:
        one = fields_by_key(kind).get(name)
        found = () if one is None else (one,)
    return frozenset(key for field in found for key in (field.key, field.hidden))


def members(run: Run, item: Item, name: str, frame: Frame) -> list[Member]:
    """The children of an item with an element name, or with a JSON key such as valueQuantity."""
    kind, value, extra = item
    out: list[Member] = []
    if type(value) is dict:
        found = fields(kind.name).get(name)
        if found is None:
            one = fields_by_key(kind.name).get(name)
            found = () if one is None else (one,)
        for field in found:
            key = field.key
            if field.hidden in value or field.resource:
                out += _under(run, value, field, frame)
                continue
            given = value.get(key)
            if given is None:
                continue
            of = field.type
            if type(given) is list:
                out += [
                    Member(key, place, (of, each, None), frame)
                    for place, each in enumerate(given)
                    if each is not None
                ]
            else:
                out.append(Member(key, -1, (of, given, None), frame))
    elif type(extra) is dict and name in ("extension", "id") and name in extra:
        out += _under(run, extra, _EXTENSION if name == "extension" else _ID, frame)
    return out


def _under(run: Run, holder: Json, field: Field, frame: Frame) -> Iterator[Member]:
    many = type(holder.get(field.key)) is list or type(holder.get(field.hidden)) is list
    for place, child in enumerate(values_at(holder, field)):
        inner = run.inner(frame, field.key, holder, child[1]) if field.resource else frame
        yield Member(field.key, place if many else -1, child, inner)


def element_check(stack: Stack, url: str, profiles: Profiles) -> ItemCheck | None:
    """The check of what the first layer of a stack says; None when it says nothing."""
    node = stack[0]
    checks: list[ItemCheck] = []
    row = node.row
    if row.get("type"):
        checks.append(type_check(row["type"], node.id, profiles))
    checks += facet_checks(row, node.id, url)
    if "binding" in row:
        checks.append(binding_check(row["binding"], node.id))
    if row.get("constraint"):
        inner = "." in node.id
        checks += [
            _constraint(each, inner=inner) for each in row["constraint"] if each.get("expression")
        ]
    if node.children:
        checks.append(_children_check(stack, url, profiles))
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]
    several = tuple(checks)

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        out: Findings = None
        for each in several:
            found = each(run, item, frame)
            if found:
                out = [*out, *found] if out else found
        return out

    return check


class _Plan:
    """What is asked of the children of one name."""

    __slots__ = (
        "check", "highest", "id", "lowest", "may_be_absent", "name", "profiles", "ready",
        "slices", "stack", "supported", "url",
    )  # fmt: skip

    def __init__(self, stack: Stack, url: str, profiles: Profiles) -> None:
        row = stack[0].row
        self.stack, self.url, self.profiles = stack, url, profiles
        self.name, self.id = stack[0].name, stack[0].id
        self.lowest, self.highest = limits(row)
        self.supported = row.get("mustSupport") is True
        self.check: ItemCheck | None = None
        self.slices: slicing.Slices | None = None
        self.ready = False
        self.may_be_absent = False

    def prepare(self) -> None:
        """Compiles the parts; late, because definitions go round in circles."""
        self.check = element_check(self.stack, self.url, self.profiles)
        if self.stack[0].slices or "slicing" in self.stack[0].row:
            self.slices = slicing.compile_slices(self.stack, self.url, self.profiles, element_check)
        self.may_be_absent = self.lowest == 0 and (self.slices is None or self.slices.may_be_absent)
        self.ready = True

    def run(self, run: Run, found: list[Member], label: str) -> Findings:
        """The findings, seen from the holder."""
        out: list[Finding] = []
        count = len(found)
        if count < self.lowest:
            text = f"{self.id}: at least {self.lowest} required, found {count} ({self.url})."
            out.append(Finding(f".{self.name}", "required", text))
        elif self.highest is not None and count > self.highest:
            text = f"{self.id}: at most {self.highest} allowed, found {count} ({self.url})."
            out.append(Finding(f".{self.name}", "structure", text))
        if not found:
            if self.supported and run.settings.must_support:
                text = f"{self.id} is supported by {self.url} and absent."
                out.append(Finding(f".{self.name}", "informational", text, "information"))
            if self.slices is None:
                return out or None
        check = self.check
        if check is not None:
            for each in found:
                below = check(run, each.item, each.frame)
                if below:
                    path = each.path
                    out += [one._replace(path=path + one.path) for one in below]
                    if len(out) > LIMIT:
                        return out
        if self.slices is not None:
            out += self.slices.run(run, found) or ()
        return out or None


def limits(row: Json) -> tuple[int, int | None]:
    """The least and most of an element; None = as many as one likes."""
    low, high = row.get("min"), row.get("max")
    most = int(high) if isinstance(high, str) and high.isdigit() else None
    return (low if isinstance(low, int) else 0), most


def _children_check(stack: Stack, url: str, profiles: Profiles) -> ItemCheck:
    label = stack[0].id
    plans = [_Plan(child_stack(stack, name), url, profiles) for name in stack[0].children]

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        out: list[Finding] = []
        kind, value, _ = item
        # Most of what a profile speaks of is not there; only who asks for it is told of that.
        skips = type(value) is dict and not run.settings.must_support
        for plan in plans:
            if not plan.ready:
                plan.prepare()
            if skips and plan.may_be_absent and _keys(kind.name, plan.name).isdisjoint(value):
                continue
            found = plan.run(run, members(run, item, plan.name, frame), label)
            if found:
                out += found
                if len(out) > LIMIT:
                    break
        return out or None

    return check


def _constraint(row: Json, *, inner: bool) -> ItemCheck:
    text = str(row["expression"])
    key, said = str(row.get("key", "")), str(row.get("human", ""))
    severity: Severity = "warning" if row.get("severity") == "warning" else "error"
    compiled: dict[str, Expression | str] = {}

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        kind = item[0].name
        expression = compiled.get(kind)
        if expression is None:
            try:
                expression = compile_expression(text, kind)
            except FhirPathError as problem:
                expression = str(problem)
            compiled[kind] = expression
        if isinstance(expression, str):
            return [
                Finding("", "not-supported", f"{key} could not be read: {expression}", "warning")
            ]
        # A rule on Bundle.entry.resource is one of the Bundle.
        outside = inner and item[1] is frame.resource and frame.outer is not None
        environment = run.environment(frame.outer if outside and frame.outer else frame)
        environment.context = [item]
        try:
            holds = truth(expression.run([item], Scope(environment, 0, [])))
        except EvaluationError as problem:
            return [Finding("", "processing", f"{key} could not be checked: {problem}", "warning")]
        return None if holds else [Finding("", "invariant", f"{key}: {said}", severity)]

    return check


__all__ = ["ItemCheck", "Member", "Node", "element_check", "limits", "members"]
