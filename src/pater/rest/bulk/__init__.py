"""Bulk Data Access 2.0: `$export`, its status and files; `$import` of NDJSON."""

from __future__ import annotations

from pater.domain import Parts, Services
from pater.rest.bulk.exports import Exports
from pater.rest.bulk.http import routes
from pater.rest.bulk.imports import Imports
from pater.rest.bulk.owners import EXPORT, IMPORT


def parts(services: Services) -> Parts:
    """What bulk data add to the API."""
    exports, imports = Exports(services), Imports(services)
    return Parts(
        operations=[*exports.operations(), *imports.operations()],
        jobs={EXPORT: exports.work, IMPORT: imports.work},
        routes=routes(services, exports, imports),
    )
