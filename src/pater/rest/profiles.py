"""Validation against the profiles that are stored here, with the terminology service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pater.fhir.issues import Issue
from pater.fhir.json import dumps, parse
from pater.fhir.validation.profiles import CORE, Profiles
from pater.fhir.validation.run import Settings
from pater.fhir.validation.terms import UNKNOWN, Verdict
from pater.fhir.validation.walk import declares
from pater.fhir.validation.whole import validate_profiles, validate_whole
from pater.store.canonicals import Place, current_places
from pater.store.database import Database
from pater.store.read import read_many
from pater.terminology.issues import TxError
from pater.terminology.service import Terminology
from pater.terminology.session import Session
from pater.terminology.validate import Asked, Choices, validate_in_value_set
from pater.terminology.versions import matches, sort_key

Json = dict[str, Any]
Question = tuple[str, str, str, str]
Check = Callable[[Json], list[Issue]]
Result = TypeVar("Result")

_TYPES: Final = (
    "StructureDefinition", "Questionnaire", "Measure", "CodeSystem", "SearchParameter",
)  # fmt: skip
# A definition is kept without what validation does not read.
_KEPT: Final = frozenset(
    ("resourceType", "url", "version", "type", "kind", "derivation", "baseDefinition",
     "differential", "context", "contextInvariant", "abstract")
)  # fmt: skip
_WORDS: Final = frozenset(
    ("short", "definition", "comment", "requirements", "mapping", "alias", "base", "example",
     "code", "label", "condition", "isSummary", "meaningWhenMissing", "orderMeaning",
     "isModifierReason")
)  # fmt: skip
MOST_DEFINITIONS: Final = 2_000
"""Definitions kept in memory; more than any known guide with all it builds on has."""
_MOST_QUESTIONS: Final = 3_000
_MOST_RECENT: Final = 5_000
_SHORT: Final = 500  # characters of a question that is remembered
_ROUNDS: Final = 16
LARGE: Final = 20_000
"""Bytes of JSON from which a check takes a thread: below that it is done in a few milliseconds."""
_THREADS: Final = 2  # more would only wait for each other
_FRESH: Final = 1.0  # seconds for which writes trust what was read


class _MoreNeededError(Exception):
    """A check in the middle of a write misses something that has to be fetched."""


class _Answers:
    """Terms (see `fhir.validation.terms`) from answers got beforehand; notes what it misses.

    `recent` are answers that others got; `known` those got for this check.
    """

    def __init__(self, recent: Mapping[Question, Verdict] = MappingProxyType({})) -> None:
        self.recent = recent
        self.known: dict[Question, Verdict] = {}
        self.missing: set[Question] = set()

    def _ask(self, question: Question) -> Verdict:
        found = self.known.get(question) or self.recent.get(question)
        if found is None:
            self.missing.add(question)
            return UNKNOWN
        return found

    def validate(self, value_set: str, system: str | None, code: str | None) -> Verdict:
        if code is None:
            return Verdict(False)
        return self._ask(("in", value_set, "?" if system is None else system, code))

    def lookup(self, system: str, code: str, display: str | None = None) -> Verdict:
        found = self._ask(("code", system, code, ""))
        if display is None or found.result is not True:
            return found
        named = self._ask(("name", system, code, display))
        return found._replace(misnamed=named.misnamed, displays=named.displays)

    def is_value_set(self, url: str) -> bool:
        return self._ask(("set", url, "", "")).result is True


class StoredProfiles:
    """Compiled profiles of one database; one for a process.

    Definitions are compared with the store before each `$validate`; before writes too, at most
    once a second: a profile that is written is in force for writes a second later. As long the
    writes share what the terminology said of a code.
    """

    def __init__(
        self, db: Database, clock: Callable[[], datetime], terms: Terminology | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._terms = terms or Terminology(db)
        self._places: dict[str, frozenset[Place]] = {}
        self._held: dict[Place, Json] = {}
        self._missing: set[str] = set()
        self._profiles = Profiles(self._source)
        self._turn = asyncio.Lock()  # one at a time changes what is known
        self._threads = asyncio.Semaphore(_THREADS)
        self._compared: float | None = None
        self._recent: dict[Question, Verdict] = {}  # what the terminology said since then

    async def whole(
        self, resource: Json, asked: Sequence[str] = (), *, must_support: bool = False
    ) -> list[Issue]:
        """Everything: base R4, invariants, profiles, extensions, codes, rules of the type."""
        settings = replace(self._settings(), must_support=must_support)
        await self._compare()

        def check(profiles: Profiles, terms: _Answers) -> list[Issue]:
            return validate_whole(resource, profiles, terms=terms, settings=settings, asked=asked)

        return await self._settle(check, resource, _Answers())

    async def declared(self, resource: Json, path: str | None = None) -> list[Issue]:
        """What of a resource (or of the entries of a document or collection) does not conform to
        the profiles it declares; a warning for each that is not known here. Costs nothing when it
        declares none."""
        if not declares(resource):
            return []
        await self._trust()
        settings = self._settings()

        def check(profiles: Profiles, terms: _Answers) -> list[Issue]:
            return validate_profiles(resource, profiles, terms=terms, settings=settings, path=path)

        recent, terms = self._recent, _Answers(self._recent)
        issues = await self._settle(check, resource, terms)
        for question, verdict in terms.known.items():
            if len(recent) < _MOST_RECENT and sum(map(len, question)) <= _SHORT:
                recent[question] = verdict
        return issues

    async def declared_later(self, write: Callable[[Check], Awaitable[Result]]) -> Result:
        """As `declared`, for a resource that is only known while it is written (a PATCH).

        `write` is given the check and calls it with the resource; it is started again while the
        check misses a definition or an answer, so it must have done nothing before it checks.
        """
        await self._trust()
        settings, terms, session = self._settings(), _Answers(), self._terms.session()
        asked: set[Question] = set()
        rounds = 0

        def check(resource: Json) -> list[Issue]:
            terms.missing.clear()
            issues = validate_profiles(resource, self._profiles, terms=terms, settings=settings)
            if rounds < _ROUNDS and (self._missing or terms.missing - asked):
                raise _MoreNeededError
            return issues

        while True:
            try:
                return await write(check)
            except _MoreNeededError:
                rounds += 1
                questions = set(terms.missing)
                asked |= questions
                await self._load(set(self._missing))
                for question in sorted(questions)[:_MOST_QUESTIONS]:
                    terms.known[question] = await self._answer(session, question)

    async def _trust(self) -> None:
        """Compares with the store unless that was done just now."""
        if self._compared is None or time.monotonic() - self._compared > _FRESH:
            await self._compare()
            self._recent = {}

    def _settings(self) -> Settings:
        return Settings(clock=self._clock)

    async def _settle(
        self, check: Callable[[Profiles, _Answers], list[Issue]], resource: Json, terms: _Answers
    ) -> list[Issue]:
        """Checks again until no definition and no answer is missed that could be had.

        The check itself neither waits nor asks: what it misses is fetched in one go. That of a
        large resource takes a thread, so that others are served meanwhile.
        """
        session = self._terms.session()
        issues: list[Issue] = []
        large = len(dumps(resource)) > LARGE
        for _ in range(_ROUNDS):
            terms.missing.clear()
            profiles = self._profiles
            if large:
                async with self._threads:
                    issues = await asyncio.to_thread(check, profiles, terms)
            else:
                issues = check(profiles, terms)
            await self._load(set(self._missing))
            open_ = terms.missing if len(terms.known) < _MOST_QUESTIONS else set()
            if profiles is self._profiles and not open_:
                break
            for question in sorted(open_)[:_MOST_QUESTIONS]:
                terms.known[question] = await self._answer(session, question)
        return issues

    # --- definitions -----------------------------------------------------------------------------

    def _source(self, canonical: str) -> Json | None:
        url, _, version = canonical.partition("|")
        held = self._held  # another thread may ask while definitions are forgotten
        places = self._places.get(url)
        if places is None:
            self._missing.add(url)
            return None
        # Of the same version twice, the choice is at least the same each time.
        found = [held[place] for place in sorted(places) if place in held]
        if version:
            found = [each for each in found if _fits(version, str(each.get("version", "")))]
        return max(found, key=lambda each: sort_key(str(each.get("version", ""))), default=None)

    async def _load(self, urls: set[str]) -> None:
        """Reads definitions that were missed. Whoever misses them too until they are here finds
        them among the missing, and waits as well."""
        if not urls:
            return
        async with self._turn:
            new = urls - self._places.keys()
            if len(self._places) + len(new) > 4 * MOST_DEFINITIONS:
                self._forget()
            await self._hold(await current_places(self._db, {url: _types_of(url) for url in new}))
            self._missing -= urls

    async def _hold(self, places: dict[str, frozenset[Place]]) -> None:
        wanted = [each for found in places.values() for each in found if each not in self._held]
        if len(self._held) + len(wanted) > MOST_DEFINITIONS:
            self._forget()
        for start in range(0, len(wanted), 100):
            part = {(each.type, each.id): each for each in wanted[start : start + 100]}
            for stored in await read_many(self._db, list(part)):
                if not stored.deleted and not stored.person:
                    body = parse(stored.body)
                    place = part[(stored.type, stored.id)]
                    self._held[place] = _slim(body)
        self._places |= places
        if any(places.values()):
            self._profiles = Profiles(self._source)

    async def _compare(self) -> None:
        """Drops everything when a definition was written, replaced or deleted since."""
        async with self._turn:
            known = dict(self._places)
            current = await current_places(self._db, {url: _types_of(url) for url in known})
            if any(current[url] != places for url, places in known.items()):
                self._forget()
            self._compared = time.monotonic()

    def _forget(self) -> None:
        self._places, self._held = {}, {}
        self._profiles = Profiles(self._source)

    # --- codes -----------------------------------------------------------------------------------

    async def _answer(self, session: Session, question: Question) -> Verdict:
        kind, first, second, code = question
        try:
            if kind == "set":
                return Verdict(bool(await session.value_sets(first)))
            if kind == "in":
                return await self._in_set(session, first, second, code)
            display = code if kind == "name" else ""
            found = await self._terms.known_code(first, second, display=display, session=session)
        except TxError as error:
            return Verdict(None, reason=str(error)[:200])
        if kind == "name":
            names = (found.display,) if found.display else ()
            return Verdict(True, names, misnamed=found.ok is False)
        return Verdict(found.ok, reason=found.text[:200])

    async def _in_set(self, session: Session, url: str, system: str, code: str) -> Verdict:
        definition = await session.value_set(url)
        coding = {"code": code} if system == "?" else {"code": code, "system": system}
        asked = Asked.of_coding(coding)
        if system == "?":
            asked = Asked(asked.codings, infer=True)
        answer = await validate_in_value_set(session, definition, asked, Choices())
        undecided = answer.undecided
        return Verdict(None if undecided else answer.result, reason=answer.message[:200])


def _types_of(url: str) -> tuple[str, ...]:
    """The types of the resources an address can name; the core's own are no other."""
    return ("StructureDefinition",) if url.startswith(CORE) else _TYPES


def _fits(wanted: str, have: str) -> bool:
    return matches(wanted, have) or have.startswith(wanted + ".")


def _slim(resource: Json) -> Json:
    if resource.get("resourceType") != "StructureDefinition":
        return resource
    kept = {key: value for key, value in resource.items() if key in _KEPT}
    if "differential" not in kept and "snapshot" in resource:
        kept["snapshot"] = resource["snapshot"]
    for part in ("differential", "snapshot"):
        elements = kept[part].get("element") if isinstance(kept.get(part), dict) else None
        if isinstance(elements, list):
            kept[part] = {"element": [_bare(each) for each in elements]}
    return kept


def _bare(element: Any) -> Any:
    if not isinstance(element, dict):
        return element
    return {key: value for key, value in element.items() if key not in _WORDS}
