"""Reads a policy from its file, strictly: what is not understood is an error and says where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pater.access import policy_texts
from pater.access.deciding import (
    ACTIONS,
    GROUPS,
    READING,
    RELATIONS,
    WRITING,
    Ages,
    Policy,
    Rule,
)
from pater.access.roles import ROLE_PURPOSES
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import JsonError, parse
from pater.fhir.labels import CATEGORIES

FOLDER: Final = Path(__file__).parent / "policies"
SHIPPED: Final = ("cz", "declared")
LARGEST: Final = 1024 * 1024
"""Bytes of a policy file."""
_MOST_RULES: Final = 500
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_ICO: Final = re.compile(r"[0-9]{8}", re.ASCII)

_TOP: Final = {"name", "version", "since", "bases", "roles", "territories", "rules"}
_OPTIONAL: Final = {"parents"}
_OLDEST: Final = 30
_LISTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "actions": ACTIONS,
        "relations": RELATIONS,
        "labels": CATEGORIES,
        "hides": CATEGORIES,
        "always": CATEGORIES,
    }
)
_FLAGS: Final = ("lifts", "wrote", "own", "shared", "bound", "organization", "mine")
_RULE: Final = {
    "name", "roles", "group", "reason", "types", "purposes", "strength", "basis",
    *_LISTS, *_FLAGS,
}  # fmt: skip
_GROUPS_OF_ACTIONS: Final = MappingProxyType({"reading": READING, "writing": WRITING})


class PolicyError(ValueError):
    """A policy that cannot be used; `problems` are all that is wrong, each with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def named(setting: str) -> Policy:
    """The policy of a name that ships, or of a file; raises PolicyError."""
    if setting in SHIPPED:
        return shipped(setting)
    if _NAME.fullmatch(setting) and not Path(setting).exists():
        raise PolicyError(
            [f"there is no policy {setting!r}: it is {', '.join(SHIPPED)} or the path of a file"]
        )
    return read_policy(body_of(setting))


def body_of(setting: str) -> bytes:
    """The bytes of a policy of that name or path; raises PolicyError."""
    path = FOLDER / f"{setting}.json" if setting in SHIPPED else Path(setting)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise PolicyError([f"{path} cannot be read: {error.strerror}"]) from error
    if len(data) > LARGEST:
        raise PolicyError([f"{path} is larger than {LARGEST} bytes"])
    return data


@cache
def shipped(name: str) -> Policy:
    """One of the policies that come with the product: `cz` or `declared`."""
    return read_policy((FOLDER / f"{name}.json").read_bytes())


def read_policy(data: bytes) -> Policy:
    """The policy in the bytes of a file; raises PolicyError with everything that is wrong."""
    try:
        body = parse(data)
    except JsonError as error:
        raise PolicyError([f"line {error.line}, column {error.column}: {error.message}"]) from error
    problems: list[str] = []
    problems += [f"{name}: is not known" for name in sorted(body.keys() - _TOP - _OPTIONAL)]
    problems += [f"{name}: is missing" for name in sorted(_TOP - body.keys())]
    if problems:
        raise PolicyError(problems)
    texts = {name: body[name] for name in ("name", "version", "since")}
    problems += [f"{n}: is a text" for n, v in texts.items() if not isinstance(v, str) or not v]
    if isinstance(body["name"], str) and not _NAME.fullmatch(body["name"]):
        problems.append("name: small letters, digits and dashes, at most 40")
    if isinstance(body["since"], str) and not _is_day(body["since"]):
        problems.append("since: is a day, YYYY-MM-DD")
    roles = _roles(body["roles"], problems)
    bases = _bases(body["bases"], problems)
    territories = _territories(body["territories"], problems)
    parents = _parents(body.get("parents", {}), problems)
    rules = list(_rules(body["rules"], roles, bases.keys(), problems))
    if problems:
        raise PolicyError(problems)
    return Policy(
        body["name"], body["version"], body["since"], tuple(rules),
        MappingProxyType(territories), MappingProxyType(bases), sha256(data).hexdigest(), parents,
    )  # fmt: skip


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _roles(value: Any, problems: list[str]) -> frozenset[str]:
    found = _words(value, "roles", tuple(ROLE_PURPOSES), problems)
    return frozenset(found)


def _bases(value: Any, problems: list[str]) -> dict[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {}
    if not isinstance(value, dict):
        problems.append("bases: is an object")
        return found
    for key, texts in value.items():
        if (
            not isinstance(texts, dict)
            or set(texts) != {"cs", "en"}
            or not all(isinstance(text, str) and text for text in texts.values())
        ):
            problems.append(f"bases.{key}: is one text in `cs` and one in `en`")
        else:
            found[key] = MappingProxyType(texts)
    return found


def _territories(value: Any, problems: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    if not isinstance(value, dict):
        problems.append("territories: is an object")
        return found
    for ico, codes in value.items():
        if not _ICO.fullmatch(ico):
            problems.append(f"territories.{ico}: the organization is an IČO of eight digits")
        elif not isinstance(codes, list) or not all(isinstance(c, str) and c for c in codes):
            problems.append(f"territories.{ico}: is a list of codes or names of territories")
        else:
            found[ico] = frozenset(codes)
    return found


def _parents(value: Any, problems: list[str]) -> Ages:
    if not isinstance(value, dict):
        problems.append("parents: is an object")
        return Ages()
    strange = sorted(value.keys() - {"until", "own_say", "hides"})
    problems += [f"parents.{key}: is not known" for key in strange]
    usual = Ages()
    ages: list[int] = []
    for key, otherwise in (("until", usual.until), ("own_say", usual.own_say)):
        age = value.get(key, otherwise)
        if type(age) is not int or not 0 <= age <= _OLDEST:
            problems.append(f"parents.{key}: is an age in years, at most {_OLDEST}")
            age = otherwise
        ages.append(age)
    hides = usual.hides
    if "hides" in value:
        hides = frozenset(_words(value["hides"], "parents.hides", CATEGORIES, problems, empty=True))
    return Ages(ages[0], ages[1], hides)


def _rules(value: Any, roles: frozenset[str], bases: object, problems: list[str]) -> Iterator[Rule]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_RULES:
        problems.append(f"rules: is a list of 1 to {_MOST_RULES} rules")
        return
    names: set[str] = set()
    for number, each in enumerate(value):
        place = f"rules[{number}]"
        if not isinstance(each, dict):
            problems.append(f"{place}: is an object")
            continue
        name = each.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(f"{place}.name: small letters, digits and dashes, at most 40")
            continue
        place += f" ({name})"
        if name in names:
            problems.append(f"{place}: another rule has this name")
        names.add(name)
        before = len(problems)
        yield from _rule(each, place, roles, bases, problems, before)


def _rule(
    each: dict[str, Any],
    place: str,
    roles: frozenset[str],
    bases: Any,
    problems: list[str],
    before: int,
) -> Iterator[Rule]:
    problems += [f"{place}.{key}: is not known" for key in sorted(each.keys() - _RULE)]
    for key in ("roles", "actions", "group", "reason"):
        if key not in each:
            problems.append(f"{place}.{key}: is missing")
    if len(problems) > before:
        return
    sets: dict[str, frozenset[str]] = {}
    for key, known in _LISTS.items():
        if key in each:
            wanted = each[key]
            if key == "actions" and isinstance(wanted, str):
                wanted = sorted(_GROUPS_OF_ACTIONS.get(wanted, [wanted]))
            sets[key] = frozenset(_words(wanted, f"{place}.{key}", known, problems))
    actors = _words(each["roles"], f"{place}.roles", sorted(roles), problems)
    if "types" in each:
        sets["types"] = frozenset(
            _words(each["types"], f"{place}.types", tuple(TYPE_NUMBER), problems)
        )
    if "purposes" in each:
        open_to = sorted({p for role in actors for p in ROLE_PURPOSES.get(role, ())})
        sets["purposes"] = frozenset(
            _words(each["purposes"], f"{place}.purposes", open_to, problems)
        )
    basis = _words(each.get("basis", []), f"{place}.basis", tuple(bases), problems, empty=True)
    if each["group"] not in GROUPS:
        problems.append(f"{place}.group: is one of {', '.join(GROUPS)}")
    if not isinstance(each["reason"], str) or each["reason"] not in policy_texts.TEXTS:
        problems.append(f"{place}.reason: there is no text for this reason")
    strength = each.get("strength", 0)
    if type(strength) is not int or not 0 <= strength <= 3:
        problems.append(f"{place}.strength: is 0, 1, 2 or 3")
    for key in _FLAGS:
        if not isinstance(each.get(key, False), bool):
            problems.append(f"{place}.{key}: is true or false")
    problems += [f"{place}: {text}" for text in _contradictions(each, sets)]
    if len(problems) > before:
        return
    for role in actors:
        yield Rule(
            name=each["name"],
            role=role,
            actions=sets["actions"],  # type: ignore[arg-type]  # checked above to be Actions
            group=each["group"],
            reason=each["reason"],
            types=sets.get("types"),
            purposes=sets.get("purposes"),
            strength=strength,
            relations=sets.get("relations"),
            labels=sets.get("labels"),
            hides=sets.get("hides", frozenset()),
            always=sets.get("always", frozenset()),
            basis=tuple(basis),
            **{key: each.get(key, False) for key in _FLAGS},
        )


def _contradictions(each: Mapping[str, Any], sets: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """What would make a rule mean less, or more, than it says."""
    limited = each.get("own") or each.get("mine") or each.get("shared")
    if each.get("wrote") and not (each.get("organization") and each.get("relations")):
        yield "wrote needs an organization and a relation"
    if sum(bool(each.get(key)) for key in ("own", "mine", "shared")) > 1:
        yield "only one of own, mine and shared can hold"
    narrow = [key for key in ("relations", "labels", "hides", "always") if key in each]
    if narrow and each.get("group") == "public":
        yield f"{narrow[0]} says nothing of data that are of no person"
    reads = bool(sets.get("actions", frozenset()) & READING)
    narrow = [key for key in ("relations", "labels") if key in each]
    if narrow and reads and not limited and not each.get("bound"):
        # else one search would be about everybody, of whom nothing is known
        yield f"a rule with {narrow[0]} that reads must be bound"
    if "always" in sets and sets["always"] & sets.get("hides", frozenset()):
        yield "a category cannot be in always and in hides"


def _words(
    value: Any, place: str, known: Sequence[str], problems: list[str], *, empty: bool = False
) -> list[str]:
    """A list of different known words; else problems, and what of it is known."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        problems.append(f"{place}: is a list of texts")
        return []
    if not value and not empty:
        problems.append(f"{place}: must not be empty")
    if len(set(value)) < len(value):
        problems.append(f"{place}: says something twice")
    strange = [each for each in value if each not in known]
    if strange:
        few = f" (known: {', '.join(known)})" if len(known) <= 20 else ""
        problems.append(f"{place}: {', '.join(map(repr, strange))} is not known{few}")
    return [each for each in value if each in known]
