"""The compression dictionaries that an import writes with, made as soon as there is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from pater.fhir.definitions import RESOURCE_TYPES
from pater.records.import_lines import save_dictionaries
from pater.records.ports import Ports
from pater.store.dictionaries import train
from pater.store.files import Files

_ENOUGH: Final = 2_000


class Dictionaries:
    """`path`: a file with the newest of every type, for processes that compress; "" = none."""

    def __init__(self, ports: Ports, files: Files, folder: str) -> None:
        self._ports, self._files, self._folder = ports, files, folder
        self._trained: set[str] = set()
        self.path = ""

    async def load(self) -> None:
        """Writes the file anew."""
        rows = await self._ports.db.fetch(
            "select distinct on (type) id, type, data from dictionary order by type, id desc"
        )
        self._trained |= {RESOURCE_TYPES[row["type"]] for row in rows}
        if rows:
            newest = max(row["id"] for row in rows)
            path = self._files.path(self._folder, f"dictionaries.{newest}")
            found = [(row["id"], row["type"], row["data"]) for row in rows]
            await asyncio.to_thread(save_dictionaries, path, found)
            self.path = str(path)

    async def train(self, counts: Mapping[str, Sequence[int]]) -> None:
        """A dictionary for every type of which enough were created and that has none yet."""
        for type_, (created, *_) in counts.items():
            if created >= _ENOUGH and type_ not in self._trained:
                self._trained.add(type_)
                await train(self._ports.db, type_, self._ports.clock())
                await self.load()
