"""Discriminators: how a slice knows its values (R4 section 5.1.0.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.items import Item
from pater.fhir.fhirpath.types import is_a, resource_type
from pater.fhir.validation.bindings import judge
from pater.fhir.validation.layers import (
    Json,
    Node,
    Stack,
    child_stack,
    first,
    prefixed,
    profiles_of,
)
from pater.fhir.validation.run import Frame, Run, failed
from pater.fhir.validation.targets import type_code
from pater.fhir.validation.types import Findings
from pater.fhir.validation.values import fits, same

if TYPE_CHECKING:
    from pater.fhir.validation.elements import Member
    from pater.fhir.validation.profiles import Profile, Profiles

ItemCheck = Callable[[Run, Item, Frame], Findings]
Compile = Callable[[Stack, str, "Profiles"], ItemCheck | None]
Place = tuple[Item, Frame]
Test = Callable[[Run, list[Place]], bool]


class Step(NamedTuple):
    """One step of a discriminator path: `child` a name, `extension` an address, `type` a type
    name, or `resolve`."""

    kind: str
    name: str


_STEP = re.compile(
    r"(?P<extension>extension\(\s*['\"](?P<url>[^'\"]+)['\"]\s*\))|(?P<resolve>resolve\(\))"
    r"|(?:ofType|as)\(\s*(?:FHIR\.)?(?P<type>\w+)\s*\)|(?P<this>\"*\$this\"*)|(?P<name>\w+(?:\[x\])?)"
)


def steps(path: str) -> tuple[Step, ...] | None:
    """A discriminator path taken apart; None when it is not one of the restricted subset."""
    out: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        if match["extension"]:
            out.append(Step("extension", match["url"]))
        elif match["resolve"]:
            out.append(Step("resolve", ""))
        elif match["type"]:
            out.append(Step("type", match["type"]))
        elif match["name"]:
            out.append(Step("child", match["name"].removesuffix("[x]")))
        at = match.end()
        if at < len(path):
            if path[at] != ".":
                return None
            at += 1
    return tuple(out)


Seen = dict[tuple[Step, ...], list[Place]]
"""What was found at the paths of one member: its slices mostly ask along the same ones."""
Match = Callable[[Run, "Member", Seen], bool]


class Defined(NamedTuple):
    """What is known of the element at the end of a path: its stack, and the profiles of its type
    that make it one of several alternatives."""

    stack: Stack
    profiles: tuple[Profile, ...]
    types: tuple[str, ...]


def matcher(
    stack: Stack, slicing: Json, name: str, profiles: Profiles, compile: Compile
) -> Match | None:
    """Whether a member belongs to a slice: all discriminators of which it says something say so;
    None when it says nothing of any."""
    listed = [each for each in slicing.get("discriminator") or () if isinstance(each, dict)]
    if not listed:
        listed = _implied(stack, name)
    tests: list[tuple[tuple[Step, ...], Test]] = []
    for each in listed:
        path = steps(str(each.get("path", "")))
        if path is None:
            return None
        test = _test(str(each.get("type")), path, stack, name, profiles, compile)
        if test is not None:
            tests.append((path, test))
    if listed and not tests:
        return None
    if len(tests) == 1 and (short := _by_key(stack, tests[0][0], listed, profiles)) is not None:
        return short
    if not tests:
        whole = compile(stack, "", profiles)
        return lambda run, member, seen: (
            whole is None or not failed(whole(run, member.item, member.frame))
        )

    def match(run: Run, member: Member, seen: Seen) -> bool:
        for path, test in tests:
            places = seen.get(path)
            if places is None:
                places = seen[path] = follow(run, [(member.item, member.frame)], path)
            if not test(run, places):
                return False
        return True

    return match


def _by_key(
    stack: Stack, path: tuple[Step, ...], listed: list[Json], profiles: Profiles
) -> Match | None:
    """The match of the usual discriminator: one key of an object has one text."""
    if len(listed) != 1 or len(path) != 1 or path[0].kind != "child":
        return None
    alternatives = defined(stack, path, profiles)
    found = [prefixed(node.row, "fixed") for node in alternatives[0].stack]
    texts = [each[1] for each in found if each is not None]
    if len(alternatives) != 1 or len(texts) != 1 or not isinstance(texts[0], str):
        return None
    key, wanted = path[0].name, texts[0]

    def match(run: Run, member: Member, seen: Seen) -> bool:
        value = member.item[1]
        return type(value) is dict and value.get(key) == wanted

    return match


def _implied(stack: Stack, name: str) -> list[Json]:
    """Extensions are sliced by their address and choices by their type, said or not."""
    element = stack[0].name
    if element in ("extension", "modifierExtension"):
        return [{"type": "value", "path": "url"}]
    if name.startswith(element) and name != element:
        return [{"type": "type", "path": "$this"}]
    return []


def follow(run: Run, places: list[Place], path: tuple[Step, ...]) -> list[Place]:
    """The values at a path, from some values."""
    from pater.fhir.validation.elements import members

    for step in path:
        out: list[Place] = []
        for item, frame in places:
            if step.kind == "child":
                out += [(m.item, m.frame) for m in members(run, item, step.name, frame)]
            elif step.kind == "extension":
                out += [
                    (m.item, m.frame) for m in members(run, item, "extension", frame)
                    if isinstance(m.item[1], dict) and m.item[1].get("url") == step.name
                ]  # fmt: skip
            elif step.kind == "type":
                out += [(item, frame)] if is_a(item[0].name, step.name) else []
            else:
                out += _resolved(run, item, frame)
        places = out
    return places


def _resolved(run: Run, item: Item, frame: Frame) -> list[Place]:
    value = item[1]
    text = value.get("reference") if isinstance(value, dict) else value
    found = run.resolve(frame, text) if isinstance(text, str) else None
    if found is None:
        return []
    return [((resource_type(found.resource), found.resource, None), found.frame)]


def _types(stack: Stack) -> list[Json]:
    rows = first(stack, "type")
    return [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []


def _of(urls: Iterable[str], profiles: Profiles) -> tuple[Profile, ...]:
    return tuple(found for url in urls if (found := profiles.get(url)) is not None)


def _start(stack: Stack, profiles: Profiles) -> Defined:
    rows = _types(stack)
    urls = [url for row in rows for url in profiles_of(row)]
    return Defined(stack, _of(urls, profiles), tuple(type_code(row) for row in rows))


def defined(stack: Stack, path: tuple[Step, ...], profiles: Profiles) -> list[Defined]:
    """What layers say of the element at a path below a slice; several where types differ."""
    found = [_start(stack, profiles)]
    for step in path:
        found = [each for one in found for each in _next(one, step, profiles)]
    return found


def _next(one: Defined, step: Step, profiles: Profiles) -> list[Defined]:
    if step.kind == "type":
        return [one]
    if step.kind == "resolve":
        urls = [url for row in _types(one.stack) for url in row.get("targetProfile") or ()]
        targets = _of(urls, profiles)
        return [Defined(each.stack, (each,), (each.type,)) for each in targets] or [
            Defined((), (), ())
        ]
    stacks = [one.stack, *(each.stack for each in one.profiles)]
    out: list[Defined] = []
    for stack in stacks:
        below = child_stack(stack, "extension" if step.kind == "extension" else step.name)
        if not below and step.kind == "child":
            below = _typed(stack, step.name)
        if step.kind == "extension":
            below = _extension(below, step.name)
        elif step.kind == "child":
            below = (*below, *_within(stack, step.name))
        if below:
            out.append(_start(below, profiles))
    if len(out) > 1 and len(one.profiles) <= 1:
        # One profile only: what it says and what stands beside it hold together.
        joined = tuple(node for each in out for node in each.stack)
        return [_start(joined, profiles)]
    return out or [Defined((), (), ())]


def _within(stack: Stack, name: str) -> Stack:
    """A child as the fixed value or pattern of its holder has it."""
    for node in stack:
        for stem in ("fixed", "pattern"):
            found = prefixed(node.row, stem)
            value = found[1].get(name) if found and isinstance(found[1], dict) else None
            if isinstance(value, list):
                value = value[0] if value else None
            if value is not None:
                return (Node(name, f"{node.id}.{name}", {"patternValue": value}),)
    return ()


def _typed(stack: Stack, name: str) -> Stack:
    """The children that name the type of a choice with it (`valueCode` of `value`)."""
    return tuple(
        each for node in stack for key, each in node.children.items()
        if key.startswith(name) and key[len(name) : len(name) + 1].isupper()
    )  # fmt: skip


def _extension(stack: Stack, url: str) -> Stack:
    named: set[str] = set()
    for node in stack:
        for name, each in node.slices.items():
            rows = each.row.get("type") or ()
            if name == url or any(url in (row.get("profile") or ()) for row in rows):
                named.add(name)
    out: list[Node] = []
    for node in stack:
        for name in named & node.slices.keys():
            out += [*node.slices[name].slices.values(), node.slices[name]]
    return tuple(out)


def _test(
    kind: str, path: tuple[Step, ...], stack: Stack, name: str, profiles: Profiles,
    compile: Compile,
) -> Test | None:  # fmt: skip
    alternatives = defined(stack, path, profiles)
    if kind == "exists":
        return _exists(alternatives)
    if kind == "type":
        return _type(alternatives, stack, name, path)
    if kind == "profile":
        return _profile(alternatives)
    tests = [found for each in alternatives if (found := _value(each, profiles, compile))]
    if not tests:
        url = _extension_url(stack, path)
        if url is not None:
            return lambda run, places: any(item[1] == url for item, _ in places)
        return None
    return lambda run, places: any(test(run, places) for test in tests)


def _extension_url(stack: Stack, path: tuple[Step, ...]) -> str | None:
    """The address of an extension whose definition is not known: that of its profile, or the
    name of the slice within a complex extension."""
    if path != (Step("child", "url"),) or stack[0].name not in ("extension", "modifierExtension"):
        return None
    for row in _types(stack):
        for url in row.get("profile") or ():
            return str(url).partition("|")[0]
    return stack[0].id.rpartition(":")[2].removesuffix("[x]")


def _exists(alternatives: list[Defined]) -> Test | None:
    stack = alternatives[0].stack if alternatives else ()
    most, least = first(stack, "max"), first(stack, "min")
    if most == "0":
        return lambda run, places: not places
    if not isinstance(least, int) or least < 1:
        return None
    return lambda run, places: bool(places)


def _type(
    alternatives: list[Defined], stack: Stack, name: str, path: tuple[Step, ...]
) -> Test | None:
    wanted = {kind for each in alternatives for kind in each.types if kind}
    wanted |= {each.type for one in alternatives for each in one.profiles}
    if not wanted and not path:
        said = name.removeprefix(stack[0].name)
        wanted = {kind for kind in (said, said[:1].lower() + said[1:]) if type_kind(kind)}
    if not wanted:
        return None
    return lambda run, places: any(
        is_a(item[0].name, kind) for item, _ in places for kind in wanted
    )


def _profile(alternatives: list[Defined]) -> Test | None:
    wanted = [each for one in alternatives for each in one.profiles]
    if not wanted:
        return None

    def test(run: Run, places: list[Place]) -> bool:
        return any(
            is_a(item[0].name, profile.type) and not failed(run.conforms(item, frame, profile))
            for item, frame in places
            for profile in wanted
        )

    return test


def _value(one: Defined, profiles: Profiles, compile: Compile) -> Test | None:
    """The test of a value by what is fixed, a pattern, a required binding, or all of these below
    the element."""
    for node in one.stack:
        if found := prefixed(node.row, "fixed"):
            return _by(same, found[1])
        if found := prefixed(node.row, "pattern"):
            return _by(fits, found[1])
    if any(node.children or node.slices for node in one.stack):
        checks = [
            check for place in range(len(one.stack))
            if (check := compile(one.stack[place:], "", profiles)) is not None
        ]  # fmt: skip
        if checks:
            return lambda run, places: any(
                not any(failed(check(run, item, frame)) for check in checks)
                for item, frame in places
            )
    for node in one.stack:
        binding = node.row.get("binding")
        if isinstance(binding, dict) and binding.get("strength") == "required":
            url = binding.get("valueSet")
            if isinstance(url, str):
                return _bound(url)
    if one.profiles:
        return _profile([one])
    if first(one.stack, "max") == "0":
        return lambda run, places: not places
    return None


def _by(test: Callable[[Any, Any], bool], wanted: Any) -> Test:
    return lambda run, places: any(test(wanted, item[1]) for item, _ in places)


def _bound(url: str) -> Test:
    def test(run: Run, places: list[Place]) -> bool:
        for item, _ in places:
            verdict = judge(run, item[1], url)
            if verdict is not None and verdict.result is not False:
                return True
        return False

    return test
