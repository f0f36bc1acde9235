"""Follows a plain path of FHIRPath (`contained.meta.versionId`) in JSON, for guards of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pater.fhir.fhirpath.items import Field, fields
from pater.fhir.fhirpath.parser import Binary, Call, Literal, Member, Node

Json = dict[str, Any]
Answer = Callable[[Json], bool | None]
"""True, False, or None: it cannot be told from here."""
_Steps = tuple[tuple[Field, ...], ...]


def existence(node: Node, kind: str) -> Answer | None:
    """Whether a path, or what of it meets `where(…)`, leads anywhere from an object of a type."""
    if isinstance(node, Call) and node.name == "where" and len(node.arguments) == 1:
        steps = () if node.target is None else _steps(node.target, kind)
        if steps is None:
            return None
        inner = kind if not steps else _kind_after(steps)
        meets = None if inner is None else _criterion(node.arguments[0], inner)
        return None if meets is None else _some(steps, meets)
    steps = _steps(node, kind)
    if not steps:
        return None
    path = steps

    def check(holder: Json) -> bool | None:
        found = _values(holder, path)
        return None if found is None else bool(found)

    return check


def _some(steps: _Steps, meets: Answer) -> Answer:
    def check(holder: Json) -> bool | None:
        found = _values(holder, steps)
        if found is None:
            return None
        answer: bool | None = False
        for each in found:
            met = meets(each) if type(each) is dict else None
            if met is True:
                return True
            if met is None:
                answer = None
        return answer

    return check


def _steps(node: Node, kind: str) -> _Steps | None:
    """The JSON keys of each step of a path of names; None when it is no such path."""
    if not isinstance(node, Member):
        return None
    above: _Steps = ()
    if node.target is not None:
        outer = _steps(node.target, kind)
        inner = None if outer is None else _kind_after(outer)
        if outer is None or inner is None:
            return None
        above, kind = outer, inner
    found = fields(kind).get(node.name)
    return None if found is None else (*above, found)


def _kind_after(steps: _Steps) -> str | None:
    """The type that the elements at the end of a path have, when it is one."""
    last = steps[-1]
    if len(last) != 1:
        return None
    return "DomainResource" if last[0].resource else last[0].type.name


def _values(holder: Json, steps: _Steps) -> list[Any] | None:
    """The values at the end of a path; None where a primitive is extended or something is odd."""
    found: list[Any] = [holder]
    for step in steps:
        below: list[Any] = []
        for each in found:
            if type(each) is not dict:
                return None
            for field in step:
                if field.hidden in each:
                    return None
                value = each.get(field.key)
                if type(value) is list:
                    below += value
                elif value is not None:
                    below.append(value)
        if None in below:
            return None
        found = below
    return found


def _criterion(node: Node, kind: str) -> Answer | None:
    """Whether an object meets a condition of texts compared with literals, joined by `and`, `or`.

    What is absent is not equal, and with these two alone it makes no difference that the language
    says nothing there instead of false.
    """
    if not isinstance(node, Binary):
        return None
    if node.operator in ("and", "or"):
        left, right = _criterion(node.left, kind), _criterion(node.right, kind)
        if left is None or right is None:
            return None
        return either(left, right, node.operator == "or")
    found = _steps(node.left, kind)
    literal = node.right
    if node.operator != "=" or not isinstance(literal, Literal) or found is None:
        return None
    if len(found) != 1 or len(found[0]) != 1 or not isinstance(literal.value, str):
        return None
    key, wanted = found[0][0].key, literal.value

    def check(holder: Json) -> bool | None:
        value = holder.get(key)
        if type(value) is str:
            return value == wanted
        return False if value is None else None

    return check


def either(first: Answer, second: Answer, decides: bool) -> Answer:
    """`or` (True decides) and `and` (False decides)."""

    def check(holder: Json) -> bool | None:
        answer = first(holder)
        if answer is decides:
            return decides
        other = second(holder)
        if other is decides:
            return decides
        return None if answer is None or other is None else not decides

    return check
