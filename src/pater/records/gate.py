"""The gate itself: wires reading, searching, writing and the journal to one store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from pater.access.caller import Caller
from pater.access.policy import Action
from pater.fhir.search.query import SearchRequest
from pater.records import (
    conditional,
    everything,
    histories,
    journal_search,
    reading,
    searching,
    writing,
)
from pater.records.changes import Change, HistoryPage
from pater.records.conditional import Meant
from pater.records.ports import Ports
from pater.store.database import Database
from pater.store.history import Period
from pater.store.journal import JournalRow
from pater.store.read import Stored
from pater.store.search import Page
from pater.store.write import Claim, Committer, Statement, Written, claim_key

__all__ = [
    "Change",
    "Claim",
    "Gate",
    "HistoryPage",
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
    `base_url` is the address of the FHIR API without a slash at the end.
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
    ) -> None:
        self._ports = Ports(db, committer, clock, cursor_key, new_id, base_url)

    async def read(self, caller: Caller, type: str, id: str) -> Stored:
        """The current version. Raises NotFound (also when withheld), Gone, Forbidden."""
        return await reading.read(self._ports, caller, type, id)

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
    ) -> HistoryPage:
        """Versions of one resource, newest first, deletions included. Raises as `read`."""
        return await reading.history(self._ports, caller, type, id, count, cursor, period)

    async def histories(
        self,
        caller: Caller,
        type: str,
        count: int = 50,
        cursor: str | None = None,
        period: Period | None = None,
    ) -> HistoryPage:
        """Versions of all resources of a type ("" = of every type), newest first.

        Only for who may see everybody's data, or the own record. Raises Forbidden.
        """
        return await histories.walk(self._ports, caller, type, count, cursor, period or Period())

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

    async def everything(
        self,
        caller: Caller,
        patient: str,
        *,
        types: Collection[str] = (),
        since: datetime | None = None,
        count: int = everything.MAX_COUNT,
        cursor: str | None = None,
        referred: bool = True,
    ) -> Page:
        """A page of a patient's whole record, and what it refers to. Raises NotFound, Forbidden."""
        return await everything.everything(
            self._ports,
            caller,
            patient,
            types=types,
            since=since,
            count=count,
            cursor=cursor,
            referred=referred,
        )

    async def meant(self, caller: Caller, request: SearchRequest) -> Meant:
        """What the query of a conditional interaction means now: one resource or none.

        Searches as the caller, and is recorded so. Raises Ambiguous, and as `search`.
        """
        return await conditional.meant(self._ports, caller, request)

    async def commit(
        self,
        caller: Caller,
        changes: Sequence[Change],
        *,
        claims: Sequence[Claim] = (),
        statements: Sequence[Statement] = (),
        interaction: str = "",
    ) -> list[Written]:
        """All changes or none, in one transaction with claims, statements and the journal.

        Gives one Written for each change, in order; version 0 = there was nothing to delete.
        `interaction` names the journal's interaction (default: each change's own). Raises
        Forbidden, NotFound, PreconditionFailed, Conflict, AlreadyClaimed, Unprocessable.
        """
        return await writing.commit(self._ports, caller, changes, claims, statements, interaction)

    def new_id(self) -> str:
        """A fresh resource id, for references that are needed before the commit."""
        return self._ports.new_id()

    async def require(self, caller: Caller, action: Action, type: str) -> None:
        """Decides about the type alone, before any work is done for it. Raises Forbidden."""
        await writing.require(self._ports, caller, action, type)

    async def refuse(
        self, caller: Caller, action: Action, type: str, reason: str, *, id: str = ""
    ) -> None:
        """Records that something was refused before it came to the gate."""
        await self._ports.refused(caller, action, type, reason, id=id)

    async def journal(
        self,
        caller: Caller,
        *,
        person: int | None = None,
        agent: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        count: int = 50,
        before: int | tuple[datetime, int] | None = None,
    ) -> list[JournalRow]:
        """Who looked at what, newest first: for a patient their own, for the loader anybody's.

        `before` is the `seq` (or `at` and `seq`) of the last row
        of the page before. Raises Forbidden.
        """
        return await journal_search.rows(
            self._ports,
            caller,
            person=person,
            agent=agent,
            since=since,
            until=until,
            count=count,
            before=before[1] if isinstance(before, tuple) else before,
        )
