"""Slices: which value belongs to which slice, how many there may be, and what they must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pater.fhir.fhirpath.items import Item
from pater.fhir.validation.discriminators import Match, Seen, matcher
from pater.fhir.validation.layers import Json, Stack, first, slice_stack
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import LIMIT, Finding, Findings

if TYPE_CHECKING:
    from pater.fhir.validation.elements import Member
    from pater.fhir.validation.profiles import Profiles

ItemCheck = Callable[[Run, Item, Frame], Findings]
Compile = Callable[[Stack, str, "Profiles"], ItemCheck | None]


class _Slice:
    """One slice of this layer or, with `own` False, one that only a lower layer defines."""

    __slots__ = ("below", "check", "highest", "id", "lowest", "match", "name", "own")

    def __init__(
        self, stack: Stack, name: str, match: Match, *, own: bool, check: ItemCheck | None,
        below: Slices | None,
    ) -> None:  # fmt: skip
        row = stack[0].row if own else {}
        low, high = row.get("min"), row.get("max")
        self.name, self.id, self.match, self.own = name, stack[0].id, match, own
        self.lowest = low if isinstance(low, int) else 0
        self.highest = int(high) if isinstance(high, str) and high.isdigit() else None
        self.check = check
        self.below = below


class Slices:
    """The slices of one element, as one layer sees them."""

    __slots__ = ("_at_end", "_closed", "_label", "_ordered", "_slices", "_url")

    def __init__(
        self, slices: list[_Slice], slicing: Json, *, states_rules: bool, label: str, url: str
    ) -> None:
        rules = slicing.get("rules")
        self._slices = slices
        self._closed = states_rules and rules == "closed"
        self._at_end = states_rules and rules == "openAtEnd"
        self._ordered = slicing.get("ordered") is True
        self._label, self._url = label, url

    @property
    def may_be_absent(self) -> bool:
        """Whether nothing is wrong where there are no values at all."""
        return all(
            not each.own or (each.lowest == 0 and (each.below is None or each.below.may_be_absent))
            for each in self._slices
        )

    def run(self, run: Run, found: list[Member]) -> Findings:
        """The findings, seen from the holder of the members."""
        out: list[Finding] = []
        counts = [0] * len(self._slices)
        groups: list[list[Member]] = [[] for _ in self._slices]
        latest, loose = 0, False
        for member in found:
            place = self._place(run, member)
            if place is None:
                loose = True
                if self._closed:
                    text = f"This fits no slice of {self._label}, which is closed ({self._url})."
                    out.append(Finding(member.path, "structure", text))
                continue
            if self._at_end and loose:
                text = f"What fits no slice of {self._label} comes after all slices."
                out.append(Finding(member.path, "structure", text))
            if self._ordered and place < latest:
                text = f"The slices of {self._label} come in their order."
                out.append(Finding(member.path, "structure", text))
            latest = max(latest, place)
            counts[place] += 1
            if self._slices[place].below is not None:
                groups[place].append(member)
            check = self._slices[place].check
            below = check(run, member.item, member.frame) if check is not None else None
            if below:
                path = member.path
                out += [one._replace(path=path + one.path) for one in below]
                if len(out) > LIMIT:
                    return out
        name = f".{found[0].key}" if found else f".{self._slices[0].id.rpartition('.')[2]}"
        name = name.partition(":")[0].removesuffix("[x]")
        for each, count, group in zip(self._slices, counts, groups, strict=True):
            if not each.own:
                continue
            if count < each.lowest:
                text = f"{each.id}: at least {each.lowest} required, found {count} ({self._url})."
                out.append(Finding(name, "required", text))
            elif each.highest is not None and count > each.highest:
                text = f"{each.id}: at most {each.highest} allowed, found {count} ({self._url})."
                out.append(Finding(name, "structure", text))
            if each.below is not None:
                out += each.below.run(run, group) or ()
        return out or None

    def _place(self, run: Run, member: Member) -> int | None:
        seen: Seen = {}
        for place, each in enumerate(self._slices):
            if each.match(run, member, seen):
                return place
        return None


def compile_slices(
    stack: Stack, url: str, profiles: Profiles, compile: Compile, inherited: Json | None = None,
    general: Stack = (),
) -> Slices | None:  # fmt: skip
    """The slices of an element (its stack). Reslices take the slicing of the slice, or else what
    is `inherited` from the element, whose stack is then `general`. Slices that nothing tells
    apart are left out."""
    slicing = first(stack, "slicing")
    slicing = slicing if isinstance(slicing, dict) else inherited or {}
    own = stack[0].slices
    names = list(own)
    # Those of the lower layers too: closed slicing and the order count them.
    names = list(dict.fromkeys([*(n for node in reversed(stack) for n in node.slices), *names]))
    if not names:
        return None
    slices: list[_Slice] = []
    for name in names:
        found = slice_stack(stack, name)
        mine = name in own
        # What the element says without its slices holds for each of them too.
        whole = (*found, *(general or stack))
        match = matcher(whole, slicing, name, profiles, compile)
        if match is None:
            continue
        check = compile(whole, url, profiles) if mine else None
        below = (
            compile_slices(found, url, profiles, compile, slicing, whole)
            if mine and found[0].slices else None
        )  # fmt: skip
        slices.append(_Slice(found, name, match, own=mine, check=check, below=below))
    if not slices:
        return None
    return Slices(
        slices, slicing, states_rules="slicing" in stack[0].row or bool(own),
        label=stack[0].id, url=url,
    )  # fmt: skip
