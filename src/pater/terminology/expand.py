"""$expand: the codes of a value set, filtered, paged or nested, as an R4 ValueSet.expansion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pater.terminology import statuses
from pater.terminology.compose import (
    STEP,
    Evaluator,
    Include,
    Item,
    UnclosedError,
    Wanted,
    merges_versions,
    name_of,
    read_includes,
    understood,
)
from pater.terminology.contains import Renderer, in_r4
from pater.terminology.grammar import GrammarSystem
from pater.terminology.issues import TooCostlyError
from pater.terminology.languages import NO_WISH, Wish
from pater.terminology.model import Query
from pater.terminology.resource_system import text
from pater.terminology.session import Session
from pater.terminology.versions import sort_key
from pater.terminology.words import asked

Json = Mapping[str, Any]

MOST_UNPAGED: Final = 1_000
"""How many codes an expansion without `count` may have."""
DEEPEST: Final = 25
"""How far down entries are nested; a deeper expansion comes flat."""
MOST_SEEN: Final = 100_000
"""How many codes are looked at for one page, or to count them all."""
_DEFINITION: Final = frozenset(
    {"compose", "extension", "contained", "modifierExtension", "description", "publisher",
     "contact", "purpose", "copyright", "useContext", "jurisdiction", "meta"}
)  # fmt: skip
UNCLOSED: Final = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of $expand; `echo` are those to repeat in the answer."""

    wish: Wish = NO_WISH
    filter: str = ""
    active_only: bool = False
    nested: bool = True
    designations: bool = False
    designation_kinds: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    count: int | None = None
    offset: int = 0
    definition: bool = False  # the value set's own definition goes with it
    echo: tuple[tuple[str, str, Any], ...] = ()

    @property
    def paged(self) -> bool:
        """Whether a part of the expansion is wanted."""
        return self.count is not None or self.offset > 0


@dataclass(slots=True)
class _Collected:
    items: list[Item] = field(default_factory=list)
    total: int | None = 0
    unclosed: str = ""
    common: Json | None = None


async def expand(
    session: Session, value_set: Json, options: Options, *, identifier: str, timestamp: str
) -> dict[str, Any]:
    """The value set with its expansion. Raises TxError (TooCostlyError without `count`)."""
    merging = merges_versions(value_set)
    evaluator = Evaluator(session, merge_versions=merging is True)
    wanted = Wanted(asked(options.filter), options.active_only)
    if options.filter.strip() and not wanted.words:
        collected = _Collected()
        await _whole(evaluator, value_set, Wanted(("\x00",)), collected, options)
    else:
        collected = await _collect(evaluator, value_set, wanted, options)
    renderer = Renderer(options.wish, options.designations, options.designation_kinds,
                        options.properties)  # fmt: skip
    several = merging is True or _versions_of_one_system(collected.items)
    entries = [renderer.entry(each, with_version=several) for each in collected.items]
    if options.nested and not options.paged:
        entries = _nested(collected.items, entries)
    expansion: dict[str, Any] = {"identifier": identifier, "timestamp": timestamp}
    if collected.unclosed:
        expansion["extension"] = _unclosed(collected.unclosed)
    elif collected.total is not None:
        expansion["total"] = collected.total
    if any(name == "offset" for name, _, _ in options.echo):
        expansion["offset"] = options.offset
    parameters = _parameters(session, value_set, options, merging, collected.common)
    if parameters:
        expansion["parameter"] = parameters
    if renderer.declared:
        expansion["property"] = renderer.declarations()
    if entries:
        expansion["contains"] = entries
    dropped = {"expansion", "text"} | (set() if options.definition else _DEFINITION)
    out = {key: value for key, value in value_set.items() if key not in dropped}
    return {**out, "expansion": in_r4(expansion)}


async def _collect(
    evaluator: Evaluator, value_set: Json, wanted: Wanted, options: Options
) -> _Collected:
    collected = _Collected()
    single = _single(value_set)
    if single is not None and options.paged:
        await _one_page(evaluator, single, value_set, wanted, options, collected)
        return collected
    await _whole(evaluator, value_set, wanted, collected, options)
    return collected


def _single(value_set: Json) -> Include | None:
    """The one include of a plain value set whose pages its code system itself can give."""
    includes = read_includes(value_set)
    if len(includes) != 1 or read_includes(value_set, "exclude"):
        return None
    plain = includes[0].system and includes[0].concepts is None and not includes[0].value_sets
    return includes[0] if plain else None


async def _one_page(
    evaluator: Evaluator,
    include: Include,
    value_set: Json,
    wanted: Wanted,
    options: Options,
    collected: _Collected,
) -> None:
    system = await evaluator.system_of(include)
    if isinstance(system, GrammarSystem):
        await _whole(evaluator, value_set, wanted, collected, options)
        return
    inactive = (value_set.get("compose") or {}).get("inactive")
    count = STEP if options.count is None else options.count
    query = Query(
        include.filters,
        wanted.words,
        wanted.active_only or inactive is False,
        options.offset,
        min(count, MOST_UNPAGED),
        bare=not (options.wish.tags or options.designations or options.properties),
    )
    with understood(include, text(value_set, "url")):
        page = await system.page(query)
    collected.items = [Item(system, concept) for concept in page.concepts]
    collected.total = page.total


async def _whole(
    evaluator: Evaluator,
    value_set: Json,
    wanted: Wanted,
    collected: _Collected,
    options: Options,
) -> None:
    seen: set[tuple[str, str, str]] = set()
    looked = 0
    end = MOST_UNPAGED if options.count is None else min(options.count, MOST_UNPAGED)
    if options.offset and options.count is None:
        end = STEP
    end += options.offset
    try:
        async for step in evaluator.stream(value_set, wanted):
            looked += len(step)
            for item in step:
                info = item.system.info
                version = "" if evaluator.merge_versions else info.version
                key = (info.url, version, item.concept.code)
                if key in seen:
                    if evaluator.merge_versions:
                        _newer(collected.items, item)
                    continue
                seen.add(key)
                if options.offset < len(seen) <= end:
                    collected.items.append(item)
            if len(seen) > end and options.count is None and not options.offset:
                raise TooCostlyError(name_of(value_set), MOST_UNPAGED)
            if looked > MOST_SEEN and len(seen) >= end:
                collected.total = None
                return
    except UnclosedError as error:
        await _common(evaluator, error.system, value_set, wanted, collected, options)
        return
    collected.total = len(seen)


def _newer(items: list[Item], item: Item) -> None:
    """Where versions are merged, the newest one that has a code stands for it."""
    for place, each in enumerate(items):
        same = each.system.info.url == item.system.info.url
        if same and each.concept.code == item.concept.code:
            newer = sort_key(item.system.info.version) > sort_key(each.system.info.version)
            items[place] = Item(item.system if newer else each.system, each.concept, each.overlay)


async def _common(
    evaluator: Evaluator,
    system: GrammarSystem,
    value_set: Json,
    wanted: Wanted,
    collected: _Collected,
    options: Options,
) -> None:
    """A system without end: the codes in common use stand for all, and the answer says so."""
    if not system.common:
        raise TooCostlyError(name_of(value_set), MOST_UNPAGED)
    common = await evaluator.session.value_set(system.common)
    collected.common = common
    start = options.offset
    most = MOST_UNPAGED if options.count is None else min(options.count, MOST_UNPAGED)
    found: list[Item] = []
    async for step in evaluator.stream(common, wanted):
        found += step
    collected.items = found[start : start + (len(found) if options.count is None else most)]
    collected.unclosed = (
        f"The code System '{system.info.url}' has a grammar and so has infinite members."
        f" This extension is based on {system.common}"
    )


def _unclosed(reason: str) -> list[dict[str, Any]]:
    return [
        {"url": UNCLOSED, "valueBoolean": True},
        {"url": UNCLOSED + "-reason", "valueString": reason},
    ]


def _versions_of_one_system(items: Sequence[Item]) -> bool:
    versions: dict[str, str] = {}
    for each in items:
        info = each.system.info
        if versions.setdefault(info.url, info.version) != info.version:
            return True
    return False


def _nested(items: Sequence[Item], entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries below their parents, where a parent is a member too."""
    places = {
        (each.system.info.canonical, each.concept.code): n
        for n, each in enumerate(items)
        if each.nested
    }
    roots, below = [], dict[int, list[int]]()
    above: dict[int, int] = {}
    for n, item in enumerate(items):
        parent = None
        if item.nested:
            system = item.system.info.canonical
            found = (places.get((system, code)) for code in item.concept.parents)
            parent = next((p for p in found if p is not None and not _under(p, n, above)), None)
        if parent is None:
            roots.append(n)
        else:
            above[n] = parent
            below.setdefault(parent, []).append(n)
    if any(_deep(n, above) for n in above):
        return entries
    for n, children in below.items():
        entries[n]["contains"] = [entries[child] for child in children]
    return [entries[n] for n in roots]


def _deep(place: int, above: Mapping[int, int]) -> bool:
    """Whether a code stands too far down for a document that anybody can read."""
    level = 0
    while place in above and level <= DEEPEST:
        place, level = above[place], level + 1
    return level > DEEPEST


def _under(place: int, other: int, above: Mapping[int, int]) -> bool:
    """Whether `place` is `other` or stands below it already: a circle of parents."""
    while True:
        if place == other:
            return True
        if place not in above:
            return False
        place = above[place]


def _parameters(
    session: Session,
    value_set: Json,
    options: Options,
    merging: bool | None,
    common: Json | None,
) -> list[dict[str, Any]]:
    """What was asked and what was used, as `expansion.parameter`."""
    used = session.used
    rows = [{"name": name, kind: value} for name, kind, value in options.echo]
    rows += [{"name": name, "valueUri": rule} for name, rule in used.rules]
    if merging is not None:
        rows.append({"name": "versionsMatch", "valueBoolean": merging})
    rows += [{"name": "used-codesystem", "valueUri": each} for each in sorted(used.systems)]
    rows += [{"name": "used-valueset", "valueUri": each} for each in used.value_sets]
    rows += [{"name": "used-supplement", "valueUri": each} for each in used.supplements]
    rows += [
        {"name": f"warning-{warning}", "valueUri": canonical}
        for warning, _, canonical in statuses.notes(session, value_set)
    ]
    warning = statuses.warning_of(common, value_set) if common is not None else ""
    if warning and common is not None:
        rows.append({"name": f"warning-{warning}", "valueUri": name_of(common)})
    return rows
