"""The gate itself: wires reading, searching, writing and the journal to one store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from pater.access.caller import Caller
from pater.access.facts import NoStanding, Standing
from pater.access.policy import Action, Decision, Policy, shipped
from pater.access.probing import Probing
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.search.custom import Custom
from pater.fhir.search.query import SearchRequest
from pater.records import (
    audit_intake,
    conditional,
    disclosing,
    documents,
    everything,
    export_walk,
    exporting,
    expunging,
    histories,
    identifying,
    importing,
    isolation,
    journal_search,
    latest,
    reading,
    rehearsing,
    searching,
    searching_types,
    writing,
)
from pater.records.changes import Change, Closed, Forget, HistoryPage, Keeper, in_turn
from pater.records.conditional import Meant
from pater.records.everything import Wish
from pater.records.export_walk import ExportTask
from pater.records.exporting import ExportPlan
from pater.records.expunging import Expunge, Expunged
from pater.records.importing import ImportTask
from pater.records.ports import Ports
from pater.store.database import Database
from pater.store.files import Files
from pater.store.history import Key, Period
from pater.store.jobs import Job
from pater.store.journal import JournalRow
from pater.store.journal_received import Kept
from pater.store.read import Damaged, Stored, held_types
from pater.store.search import Page
from pater.store.versions import VersionKey
from pater.store.write import Before, Claim, Committer, Put, Statement, Written, claim_key
from pater.terminology.service import Terminology

__all__ = [
    "Change",
    "Claim",
    "Damaged",
    "ExportPlan",
    "ExportTask",
    "Gate",
    "HistoryPage",
    "ImportTask",
    "JournalRow",
    "Meant",
    "Page",
    "Period",
    "Statement",
    "Stored",
    "Written",
    "claim_key",
]


class Gate:
    """Every call decides by policy, does it, and has it durably recorded before it returns.

    `clock` gives aware times, `new_id` fresh resource ids, `cursor_key` signs page cursors;
    `base_url` is the address of the FHIR API without a slash at the end. `policy` decides (None =
    the shipped one that asks for no relation), `standing` knows how callers stand to persons,
    `probing` counts who looks for people and is shown none.
    """

    def __init__(
        self,
        db: Database,
        committer: Committer,
        clock: Callable[[], datetime],
        cursor_key: bytes,
        new_id: Callable[[], str],
        *,
        base_url: str = "",
        policy: Policy | None = None,
        standing: Standing | None = None,
        probing: Probing | None = None,
    ) -> None:
        self._ports = Ports(
            db,
            committer,
            clock,
            cursor_key,
            new_id,
            base_url,
            Terminology(db),
            policy or shipped("declared"),
            standing or NoStanding(),
            probing=probing,
        )

    @property
    def terms(self) -> Terminology:
        """The terminology service of this process, with what it remembers of definitions."""
        return self._ports.terms

    def decide(
        self, caller: Caller, action: Action, type: str, *, person: int | None = None
    ) -> Decision:
        """The policy's word on a type in general, or on what belongs to nobody or to an account.

        Nothing is looked up and none recorded: of a patient's data it says no more than that.
        """
        return self._ports.policy.decide(caller, action, type, person=person)

    def admit(self, caller: Caller) -> None:
        """To be asked before people are looked for by what names them. Raises TooMany."""
        self._ports.admit(caller)

    async def missed(self, caller: Caller, guesses: Sequence[str]) -> None:
        """To be told of people who were named and of whom nothing was shown, each by the text
        that named them: who does not exist like who is refused. See `access.probing`."""
        await self._ports.missed(caller, guesses)

    def open_to(self, caller: Caller, type: str) -> str:
        """The policy's reason why a type is closed to a subscriber; "" when it is open."""
        return disclosing.open_to(self._ports.policy, caller, type)

    def keep(self, type: str, keeper: Keeper, *, after: bool = False) -> None:
        """Lets a room see (and change, and refuse) every change of a type before it is written.

        It takes the place of the keeper before, or (`after`) sees what that one made of the change.
        """
        before = self._ports.keepers.get(type) if after else None
        self._ports.keepers[type] = keeper if before is None else in_turn(before, keeper)

    def close(self, type: str, closed: Closed) -> None:
        """Lets a room refuse edits (PATCH) of a type before what stands there is looked at."""
        self._ports.closed[type] = closed

    def forget(self, type: str, forget: Forget) -> None:
        """Lets a domain take its own rows out together with resources that are expunged."""
        self._ports.forgets[type] = forget

    def guard(self, type: str, guard: Callable[[Sequence[Stored]], Awaitable[None]]) -> None:
        """Lets a domain look at all that is read of a type, before anybody gets it.

        It raises Damaged for what is not what was written.
        """
        self._ports.db.bodies.guards[TYPE_NUMBER[type]] = guard

    async def read(self, caller: Caller, type: str, id: str) -> Stored:
        """The current version. Raises NotFound (also when withheld), Gone, Forbidden."""
        return await reading.read(self._ports, caller, type, id)

    async def read_all(
        self, caller: Caller, keys: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], Stored]:
        """Those of the resources that are there and that the caller may see, by (type, id)."""
        return await reading.read_all(self._ports, caller, keys)

    async def vread(self, caller: Caller, type: str, id: str, version: int) -> Stored:
        """One version, superseded or current. Raises NotFound, Gone, Forbidden."""
        return await reading.vread(self._ports, caller, type, id, version)

    async def history(
        self,
        caller: Caller,
        type: str,
        id: str,
        count: int = 50,
        cursor: str | None = None,
        period: Period | None = None,
        only: Collection[Key] | None = None,
    ) -> HistoryPage:
        """Versions of one resource, newest first, deletions included. Raises as `read`.

        A `count` of 0 gives their number alone; `only` = of these resources and versions.
        """
        return await reading.history(self._ports, caller, type, id, count, cursor, period, only)

    async def histories(
        self,
        caller: Caller,
        type: str,
        count: int = 50,
        cursor: str | None = None,
        period: Period | None = None,
        only: Collection[Key] | None = None,
    ) -> HistoryPage:
        """Versions of all resources of a type ("" = of every type), newest first, as `history`.

        Only for who may see everybody's data, or the own record. Raises Forbidden; Unprocessable
        when there are too many to be counted.
        """
        return await histories.walk(
            self._ports, caller, type, count, cursor, period or Period(), only
        )

    async def types_held(self) -> frozenset[str]:
        """The resource types of which there is any (nothing is told of whom)."""
        return await held_types(self._ports.db)

    @property
    def custom(self) -> Custom:
        """The search parameters beyond R4 that are in force, as this process knows them."""
        return self._ports.db.parameters.custom

    async def search(
        self,
        caller: Caller,
        request: SearchRequest,
        *,
        count: int | None = None,
        within: str | None = None,
    ) -> Page:
        """A page of hits within what the caller may see. Raises Forbidden, SearchError.

        `count` bounds the page; None = what the request asks, at most `searching.MAX_COUNT`.
        `within` is the id of the Patient whose record alone is searched (else NotFound).
        """
        return await searching.search(self._ports, caller, request, count, within)

    async def search_types(
        self, caller: Caller, requests: Sequence[SearchRequest], size: int
    ) -> list[searching_types.Part]:
        """A page over several types in one order. Raises as `search`."""
        return await searching_types.search(self._ports, caller, requests, size)

    async def everything(self, caller: Caller, patient: str, wish: Wish) -> Page:
        """A page of a patient's whole record ("" = of every patient's that the caller may see),
        and what it refers to. Raises NotFound, Forbidden."""
        if not patient:
            return await everything.of_everybody(self._ports, caller, wish)
        return await everything.of_patient(self._ports, caller, patient, wish)

    async def everything_of_encounter(self, caller: Caller, id: str, wish: Wish) -> Page:
        """A page of an Encounter's compartment and what it refers to. Raises as `everything`."""
        return await everything.of_encounter(self._ports, caller, id, wish)

    async def latest(self, caller: Caller, patient: str, request: SearchRequest, each: int) -> Page:
        """The newest `each` observations of every code of a patient. Raises as `everything`."""
        return await latest.latest(self._ports, caller, patient, request, each)

    async def document(self, caller: Caller, id: str) -> list[Stored]:
        """A Composition and what it leads to, to be made a document of. Raises as `read`."""
        return await documents.document(self._ports, caller, id)

    async def expunge(self, caller: Caller, wish: Expunge) -> Expunged:
        """Takes versions or a resource out for good, one batch. Raises Forbidden."""
        return await expunging.expunge(self._ports, caller, wish)

    async def meant(self, caller: Caller, request: SearchRequest) -> Meant:
        """What the query of a conditional interaction means now: one resource or none.

        Searches as the caller, and is recorded so. Raises Ambiguous, and as `search`.
        """
        return await conditional.meant(self._ports, caller, request)

    async def isolation_ordered(self, caller: Caller, person: int, patient: str) -> bool:
        """Whether an order of isolation or quarantine is in force for a person (0 = nobody is
        known); nothing else is told. Raises Forbidden."""
        return await isolation.ordered(self._ports, caller, person, patient)

    async def identify(
        self, caller: Caller, persons: Sequence[int], what: str
    ) -> dict[int, Stored]:
        """The Patients of persons whom a register found, recorded; see `identifying.identify`."""
        return await identifying.identify(self._ports, caller, persons, what)

    async def commit(
        self,
        caller: Caller,
        changes: Sequence[Change],
        *,
        claims: Sequence[Claim] = (),
        statements: Sequence[Statement] = (),
        interaction: str = "",
        reason: str = "",
        also: Sequence[Put] = (),
        back: frozenset[int] = frozenset(),
        before: Before | None = None,
    ) -> list[Written]:
        """All changes or none, in one transaction with claims, statements and the journal.

        Gives one Written for each change, in order; version 0 = there was nothing to delete.
        `interaction` names the journal's interaction (default: each change's own). Where all are
        derived from something that is no change itself, `reason` is why they are written. `also`
        goes with them as it is: versions of records that the register moves between two persons
        who were found to be one (`back`: who is a person of their own again); `before` makes such
        sets where there are too many to be held in memory, written first in the same transaction.
        Raises Forbidden, NotFound, PreconditionFailed, Conflict, AlreadyClaimed, Unprocessable.
        """
        return await writing.commit(
            self._ports, caller, changes, claims, statements, interaction, reason, also, back,
            before,
        )  # fmt: skip

    def hold(self, persons: Collection[int], patients: Collection[str]) -> None:
        """Lets changes of these wait while a register moves them; see `Committer.hold`."""
        self._ports.committer.hold(persons, patients)

    async def rehearse(self, caller: Caller, change: Change) -> list[Issue]:
        """What would keep a change from being written; nothing is. Raises as `commit`."""
        return await rehearsing.rehearse(self._ports, caller, change)

    async def visible(self, caller: Caller, versions: Sequence[Stored]) -> list[Stored]:
        """Those versions that a subscriber may be told of now; nothing leaves, none is recorded."""
        return await disclosing.visible(self._ports, caller, versions)

    async def disclose(
        self, caller: Caller, keys: Sequence[VersionKey], why: str
    ) -> dict[VersionKey, Stored]:
        """The versions among `keys` that may be sent to a subscriber, decided and recorded."""
        return await disclosing.disclose(self._ports, caller, keys, why)

    def now(self) -> datetime:
        """The time by which everything here is written."""
        return self._ports.clock()

    def new_id(self) -> str:
        """A fresh resource id, for references that are needed before the commit."""
        return self._ports.new_id()

    async def require(
        self, caller: Caller, action: Action, type: str, *, whole: bool = False
    ) -> None:
        """Decides about the type alone, before any work is done for it. Raises Forbidden.

        `whole`: every resource of the type is needed, so no scope may narrow it.
        """
        await writing.require(self._ports, caller, action, type, whole=whole)

    async def refuse(
        self, caller: Caller, action: Action, type: str, reason: str, *, id: str = ""
    ) -> None:
        """Records that something was refused before it came to the gate."""
        await self._ports.refused(caller, action, type, reason, id=id)

    async def plan_export(
        self,
        caller: Caller,
        *,
        types: Collection[str] = (),
        patients: Collection[str] | None = None,
        personal: bool = False,
        query: str = "",
        only_known: bool = False,
    ) -> ExportPlan:
        """What a bulk export may contain, recorded. Raises Forbidden, NotFound."""
        return await exporting.plan(
            self._ports, caller, types=types, patients=patients, personal=personal, query=query,
            only_known=only_known,
        )  # fmt: skip

    async def export(
        self, caller: Caller, job: Job, files: Files, task: ExportTask
    ) -> Mapping[str, Any]:
        """Writes what was planned for the caller into files; see `export_walk.run`."""
        return await export_walk.run(self._ports, files, job, caller, task)

    async def export_fetched(self, caller: Caller, plan: ExportPlan, name: str) -> None:
        """Records that a file of an export is about to be handed out."""
        await exporting.fetched(self._ports, caller, plan, name)

    async def require_import(self, caller: Caller, query: str) -> None:
        """Decides whether the caller may import, and records that it begins. Raises Forbidden."""
        await importing.require(self._ports, caller, query)

    async def run_import(
        self, caller: Caller, job: Job, files: Files, task: ImportTask
    ) -> Mapping[str, Any]:
        """Writes the lines of files; see `importing.run`. Raises JobFailed."""
        return await importing.run(self._ports, files, job, caller, task)

    async def receive_event(self, caller: Caller, event: dict[str, Any], raw: bytes) -> Kept:
        """Enters an AuditEvent that another system tells; see `audit_intake.receive`."""
        return await audit_intake.receive(self._ports, caller, event, raw)

    async def retry_events(self) -> int:
        """Tries events again that were told of unknown patients; how many are entered now."""
        return await audit_intake.retry_waiting(self._ports)

    async def journal(
        self,
        caller: Caller,
        *,
        person: int | None = None,
        agent: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        count: int = 50,
        before: tuple[datetime, int] | None = None,
        keep: Callable[[JournalRow], bool] | None = None,
    ) -> list[JournalRow]:
        """Who looked at what, newest first: for a patient their own, for the loader anybody's.

        `before` is `at` and `seq` of the last row of the page before, `keep` says which are
        wanted. Raises Forbidden.
        """
        return await journal_search.rows(
            self._ports,
            caller,
            person=person,
            agent=agent,
            since=since,
            until=until,
            count=count,
            before=before,
            keep=keep,
        )
