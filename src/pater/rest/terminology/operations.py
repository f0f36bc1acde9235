"""The terminology operations: reads what is asked, has it answered, and writes the answer down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.fhir.json import dumps, parse
from pater.rest.errors import HttpError
from pater.rest.terminology import asking, closures
from pater.rest.terminology.parameters import Given
from pater.terminology.expand import expand
from pater.terminology.issues import TxError, outcome
from pater.terminology.lookup import lookup, subsumes, system_or_error
from pater.terminology.model import BadFilterError, UnknownFilterError
from pater.terminology.resource_system import text
from pater.terminology.service import Terminology
from pater.terminology.session import Session
from pater.terminology.translate import Match, matches, succeeded
from pater.terminology.validate import (
    NOTHING_ASKED,
    Asked,
    validate_in_system,
    validate_in_value_set,
)

Json = dict[str, Any]
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/"
_BOTH: Final = frozenset({"GET", "POST"})
_MOST_VALIDATIONS: Final = 500
_BATCH: Final = (
    "Validates several codes in one call: each validation is a $validate-code of the same type, "
    "with the parameters that stand beside them shared by all."
)
_BATCH_TAKES: Final = (
    Parameter("validation", "Parameters", "what one $validate-code would take; what it says itself "
              f"goes before what is shared; up to {_MOST_VALIDATIONS}", 0, "*"),
    Parameter("url", "uri", "shared; so is every other parameter of $validate-code"),
    Parameter("tx-resource", "Resource", "shared: a definition that only this call knows", 0, "*"),
)  # fmt: skip
_BATCH_GIVES: Final = (
    Parameter("validation", "Resource", "in the order asked: the Parameters that $validate-code "
              "answers, or an OperationOutcome that says why it could not", 0, "*"),
)  # fmt: skip
Run = Callable[[Caller, OperationRequest], Awaitable[Answer]]


def _json(body: Json, status: int = 200) -> Answer:
    return Answer(status, dumps(body))


def parameters(rows: Sequence[Json]) -> Json:
    """A Parameters resource."""
    return {"resourceType": "Parameters", "parameter": list(rows)}


class Operations:
    """All operations over one terminology service."""

    def __init__(self, services: Services, terms: Terminology) -> None:
        self._gate = services.gate
        self._db = services.db
        self._clock = services.clock
        self._new_id = services.new_id
        self._terms = terms

    def all(self) -> list[Operation]:
        """The operations with the places they stand at."""
        found = []
        for name, type_, run in (
            ("expand", "ValueSet", self.expand),
            ("validate-code", "ValueSet", self.validate_value_set),
            ("validate-code", "CodeSystem", self.validate_system),
            ("lookup", "CodeSystem", self.lookup),
            ("subsumes", "CodeSystem", self.subsumes),
            ("translate", "ConceptMap", self.translate),
        ):
            for instance in (False, True):
                if instance and name == "lookup":
                    continue
                found.append(
                    Operation(
                        name,
                        self._answering(type_, run),
                        frozenset({type_}),
                        instance,
                        _BOTH,
                        f"{_DEFINITION}{type_}-{name}",
                    )
                )
        for type_, run in (
            ("ValueSet", self.validate_value_set),
            ("CodeSystem", self.validate_system),
        ):
            batch = self._answering(type_, self._batch(run))
            found.append(
                Operation("batch-validate-code", batch, frozenset({type_}), text=_BATCH,
                          takes=_BATCH_TAKES, gives=_BATCH_GIVES)
            )  # fmt: skip
        found.append(
            Operation(
                "closure",
                self._answering("ConceptMap", self.closure),
                definition=f"{_DEFINITION}ConceptMap-closure",
            )
        )
        return found

    def _answering(self, type_: str, run: Run) -> Run:
        """Decides whether the caller may read the type, and turns failures into answers."""

        async def answered(caller: Caller, request: OperationRequest) -> Answer:
            await self._gate.require(caller, "read", type_, whole=True)
            try:
                return await run(caller, request)
            except TxError as error:
                return _json(outcome(error.issues), error.status)
            except (BadFilterError, UnknownFilterError) as error:
                raise HttpError(422, "invalid", str(error)) from None

        return answered

    async def _own(self, caller: Caller, request: OperationRequest) -> Json | None:
        """The resource that an operation on an instance is about."""
        if not request.id:
            return None
        return parse((await self._gate.read(caller, request.type, request.id)).body)

    async def _value_set(self, session: Session, given: Given, own: Json | None) -> Json:
        sent = given.object("valueSet")
        if own is not None:
            return own
        if sent is not None:
            return sent
        url = given.text("url")
        if not url:
            raise HttpError(400, "required", "name the value set: url or valueSet", path="url")
        version = given.text("valueSetVersion")
        found = await session.value_set(f"{url}|{version}" if version else url)
        return dict(found)

    def _session(self, given: Given, own: Json | None = None) -> Session:
        sent = given.objects("tx-resource")
        value_set = given.object("valueSet")
        brought = [*sent, *([value_set] if value_set else []), *([own] if own else [])]
        return self._terms.session(brought, asking.rules(given))

    async def expand(self, caller: Caller, request: OperationRequest) -> Answer:
        """ValueSet/$expand (R4 ValueSet-expand)."""
        own = await self._own(caller, request)
        given = Given.read(request.parameters, request.resource)
        session = self._session(given)
        value_set = await self._value_set(session, given, own)
        await session.require_supplements(asking.supplements(given, value_set))
        options = asking.options(given, value_set, request.headers)
        done = await expand(
            session,
            value_set,
            options,
            identifier=f"urn:uuid:{self._new_id()}",
            timestamp=self._clock().isoformat(timespec="milliseconds"),
        )
        return _json(done)

    async def validate_value_set(self, caller: Caller, request: OperationRequest) -> Answer:
        """ValueSet/$validate-code (R4 ValueSet-validate-code)."""
        own = await self._own(caller, request)
        given = Given.read(request.parameters, request.resource)
        session = self._session(given)
        value_set = await self._value_set(session, given, own)
        await session.require_supplements(asking.supplements(given, value_set))
        asked = asking.asked(given)
        choices = asking.choices(given, value_set, request.headers)
        answer = await validate_in_value_set(session, value_set, asked, choices)
        return _json(parameters(asking.answered(answer)))

    async def validate_system(self, caller: Caller, request: OperationRequest) -> Answer:
        """CodeSystem/$validate-code (R4 CodeSystem-validate-code)."""
        own = await self._own(caller, request)
        given = Given.read(request.parameters, request.resource)
        sent = given.object("codeSystem") or own
        session = self._session(given, sent)
        await session.require_supplements(given.texts("useSupplement"))
        url = text(sent, "url") if sent else given.text("url")
        asked = asking.asked(given, url, text(sent, "version") if sent else "")
        for coding in asked.codings:
            if not coding.system:
                raise HttpError(400, "required", "name the code system: url", path="url")
        choices = asking.choices(given, None, request.headers)
        answer = await validate_in_system(session, _pinned(session, asked), choices)
        return _json(parameters(asking.answered(answer)))

    async def lookup(self, caller: Caller, request: OperationRequest) -> Answer:
        """CodeSystem/$lookup (R4 CodeSystem-lookup)."""
        given = Given.read(request.parameters, request.resource)
        session = self._session(given)
        await session.require_supplements(given.texts("useSupplement"))
        system, version, code = asking.one_code(given, ("code", "system", "version"), "coding")
        wish = asking.wish_of(given, None, request.headers)
        source = await system_or_error(session, system, version)
        return _json(parameters(await lookup(source, code, wish, given.texts("property"))))

    async def subsumes(self, caller: Caller, request: OperationRequest) -> Answer:
        """CodeSystem/$subsumes (R4 CodeSystem-subsumes)."""
        own = await self._own(caller, request)
        given = Given.read(request.parameters, request.resource)
        session = self._session(given, own)
        named = ("system", "version")
        first = asking.one_code(given, ("codeA", *named), "codingA", own)
        second = asking.one_code(given, ("codeB", *named), "codingB", own)
        if first[0] != second[0]:
            raise HttpError(400, "invalid", "both codes are of one code system", path="codingB")
        source = await system_or_error(session, first[0], first[1] or second[1])
        said = await subsumes(source, first[2], second[2])
        return _json(parameters([{"name": "outcome", "valueCode": said}]))

    async def translate(self, caller: Caller, request: OperationRequest) -> Answer:
        """ConceptMap/$translate (R4 ConceptMap-translate, the names of R5 too)."""
        own = await self._own(caller, request)
        given = Given.read(request.parameters, request.resource)
        session = self._session(given, own)
        sent = own or given.object("conceptMap")
        url = given.text("url")
        version = given.text("conceptMapVersion")
        found: list[Match] = []
        for question in asking.questions(given):
            maps = (
                [sent]
                if sent
                else await session.concept_maps(
                    url, system=question.system, reverse=question.reverse
                )
            )
            if version:
                maps = [each for each in maps if text(each, "version") == version]
            if (url or version) and not maps:
                raise HttpError(404, "not-found", "there is no such concept map here", path="url")
            found += matches(maps, question)
        rows: list[Json] = [{"name": "result", "valueBoolean": succeeded(found)}]
        if not found:
            message = "no concept map that is here translates this code"
            rows.append({"name": "message", "valueString": message})
        return _json(parameters([*rows, *(asking.matched(each) for each in found)]))

    async def closure(self, caller: Caller, request: OperationRequest) -> Answer:
        """$closure (R4 ConceptMap-closure)."""
        given = Given.read(request.parameters, request.resource)
        body = await closures.run(self._db, self._terms, caller.id, given, self._clock())
        return _json(body)

    def _batch(self, run: Run) -> Run:
        """`$batch-validate-code`: each `validation` with the parameters of the whole."""

        async def all_of(caller: Caller, request: OperationRequest) -> Answer:
            given = Given.read(request.parameters, request.resource)
            parts = given.objects("validation")
            if len(parts) > _MOST_VALIDATIONS:
                raise HttpError(422, "too-costly", f"ask at most {_MOST_VALIDATIONS} at a time")
            shared = Given([row for row in given if row[0] != "validation"])
            rows: list[Json] = []
            for part in parts:
                rows.append(
                    {
                        "name": "validation",
                        "resource": await _one(run, caller, request, shared, part),
                    }
                )
            return _json(parameters(rows))

        return all_of


async def _one(
    run: Run, caller: Caller, request: OperationRequest, shared: Given, part: Json
) -> Json:
    whole = Given.within(shared, part)
    alone = replace(request, parameters=list(whole), resource=None)
    try:
        answer = await run(caller, alone)
    except TxError as error:
        return outcome(error.issues)
    except HttpError as error:
        return {
            "resourceType": "OperationOutcome",
            "issue": [
                {"severity": each.severity, "code": each.code, "details": {"text": each.text}}
                for each in error.issues
            ],
        }
    return parse(answer.body)


def _pinned(session: Session, asked: Asked) -> Asked:
    """The codings in the version that the request's rules mean."""
    codings = tuple(
        replace(each, version=session.wanted_version(each.system, each.version))
        for each in asked.codings
    )
    return replace(asked, codings=codings)


__all__ = ["NOTHING_ASKED", "Operations", "parameters"]
