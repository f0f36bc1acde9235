"""The terminology service in process, for validation and search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.store.database import Database
from pater.terminology.compose import Coded, Evaluator, UnclosedError, Wanted
from pater.terminology.issues import (
    TooCostlyError,
    TxError,
    UnknownSystemError,
)
from pater.terminology.languages import NO_WISH, wish
from pater.terminology.model import Filter, Query
from pater.terminology.session import Catalogue, Rules, Session
from pater.terminology.validate import Asked, Choices, validate_in_system, validate_in_value_set

Pair = tuple[str, str]
STEP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code is right (None: nobody here can tell), why not, and its name."""

    ok: bool | None
    text: str = ""
    display: str = ""


class Terminology:
    """Answers about codes; one for a process. See the package's docstring."""

    def __init__(self, db: Database) -> None:
        self.catalogue = Catalogue(db)

    def session(
        self, resources: Sequence[Mapping[str, Any]] = (), rules: Rules | None = None
    ) -> Session:
        """A view for one request: looks each definition up once; `resources` come first."""
        return Session(self.catalogue, resources, rules)

    async def expand_codes(
        self, value_set: str, *, limit: int = 10_000, session: Session | None = None
    ) -> frozenset[Pair]:
        """Every (system, code) of a value set. Raises TxError."""
        session = session or self.session()
        found: set[Pair] = set()
        definition = await session.value_set(value_set)
        try:
            async for step in Evaluator(session).stream(definition, Wanted()):
                found.update((each.system.info.url, each.concept.code) for each in step)
                if len(found) > limit:
                    raise TooCostlyError(value_set, limit)
        except UnclosedError:
            raise TooCostlyError(value_set, limit) from None
        return frozenset(found)

    async def in_value_set(
        self, value_set: str, codes: Iterable[Pair], *, session: Session | None = None
    ) -> frozenset[Pair]:
        """Those of the codes that a value set holds. Raises TxError."""
        session = session or self.session()
        asked = list(dict.fromkeys(codes))
        definition = await session.value_set(value_set)
        coded = [Coded(system, "", code) for system, code in asked]
        there = await Evaluator(session).members(definition, coded)
        return frozenset(each for each, holds in zip(asked, there, strict=True) if holds)

    async def validate_code(
        self,
        value_set: str,
        system: str,
        code: str,
        *,
        version: str = "",
        display: str = "",
        language: str = "",
        session: Session | None = None,
    ) -> Verdict:
        """Whether a code is in a value set (and its display right). Raises TxError."""
        session = session or self.session()
        definition = await session.value_set(value_set)
        asked = Asked.of_coding(
            {"system": system, "version": version, "code": code, "display": display}
        )
        choices = Choices(wish=wish(language) if language else NO_WISH)
        answer = await validate_in_value_set(session, definition, asked, choices)
        ok = None if answer.undecided else answer.result
        return Verdict(ok, "" if answer.result else answer.message, answer.display)

    async def known_code(
        self,
        system: str,
        code: str,
        *,
        version: str = "",
        display: str = "",
        session: Session | None = None,
    ) -> Verdict:
        """Whether a code system has a code (and the display is one of its names)."""
        session = session or self.session()
        asked = Asked.of_coding(
            {"system": system, "version": version, "code": code, "display": display}
        )
        try:
            answer = await validate_in_system(session, asked, Choices())
        except TxError as error:
            return Verdict(None, str(error))
        ok = None if answer.undecided else answer.result
        return Verdict(ok, "" if answer.result else answer.message, answer.display)

    async def descendants(
        self, system: str, code: str, *, limit: int = 10_000, session: Session | None = None
    ) -> frozenset[str]:
        """A code and all below it. Raises UnknownSystemError, TooCostlyError."""
        found = {code}
        source = await (session or self.session()).system(system)
        offset = 0
        while True:
            query = Query((Filter("concept", "descendent-of", code),), offset=offset, limit=STEP)
            page = await source.page(query)
            found.update(each.code for each in page.concepts)
            offset += STEP
            if len(found) > limit:
                raise TooCostlyError(f"{system}?fhir_vs=isa/{code}", limit)
            if len(page.concepts) < STEP:
                return frozenset(found)

    async def ancestors(
        self, system: str, code: str, *, session: Session | None = None
    ) -> frozenset[str]:
        """A code and all above it. Raises UnknownSystemError."""
        source = await (session or self.session()).system(system)
        return await source.ancestors(code) | {code}


__all__ = ["Terminology", "UnknownSystemError", "Verdict"]
