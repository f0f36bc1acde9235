"""The keeping of the search index: its jobs, and how far a re-indexing is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Parts, Services
from pater.fhir.json import dumps
from pater.store import parameters, reindex, relabel, text_index
from pater.store.database import Database
from pater.store.jobs import schedule

_TEXT_EVERY: Final = timedelta(minutes=1)


@asynccontextmanager
async def kept_up(db: Database) -> AsyncIterator[None]:
    """Has the indexes looked after, and this process know the search parameters in force."""
    await parameters.open_parameters(db)
    await schedule(db, text_index.KIND, text_index.KIND, _TEXT_EVERY)
    following = asyncio.create_task(parameters.follow(db))
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def parts(services: Services) -> Parts:
    """The jobs that index, and SearchParameter/$reindex-status."""

    async def status(caller: Caller, request: OperationRequest) -> Answer:
        await services.gate.require(caller, "search", "SearchParameter")
        return Answer(200, dumps(_status(await reindex.progress(services.db))))

    operation = Operation(
        "reindex-status", status, frozenset({"SearchParameter"}), methods=frozenset({"GET"}),
        text="How far resources are indexed for the search parameters that were added here.",
        gives=(
            Parameter("complete", "boolean", "whether everything is indexed", 1),
            Parameter("type", "", "a resource type that was ever indexed anew", 0, "*", (
                Parameter("code", "code", "the type", 1),
                Parameter("complete", "boolean", "whether all of it is indexed", 1),
                Parameter("done", "integer", "resources that are indexed", 1),
                Parameter("total", "integer", "resources that there are, about", 1),
                Parameter("asked", "instant", "when it was asked for", 1),
            )),
        ),
    )  # fmt: skip
    return Parts(
        operations=(operation,),
        jobs={
            parameters.KIND: reindex.reindex,
            text_index.KIND: text_index.index_words,
            relabel.KIND: relabel.relabel,
        },
    )


def _status(progress: list[reindex.Progress]) -> dict[str, Any]:
    """Parameters: one `type` for each that was ever indexed anew."""
    found: dict[str, Any] = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "complete", "valueBoolean": all(each.finished for each in progress)}
        ],
    }
    for each in progress:
        found["parameter"].append(
            {
                "name": "type",
                "part": [
                    {"name": "code", "valueCode": each.type},
                    {"name": "complete", "valueBoolean": each.finished},
                    {"name": "done", "valueInteger": each.done},
                    {"name": "total", "valueInteger": each.total},
                    {"name": "asked", "valueInstant": each.asked.isoformat(timespec="seconds")},
                ],
            }
        )
    return found
