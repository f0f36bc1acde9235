"""`GET /opravneni/over`: the question of the state's register of authorisations, a boolean back.

The names of the parameters are the register's; errors are problem details (RFC 7807, RFC 9457).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Services
from pater.rest.authorisations.answering import Desk
from pater.rest.authorisations.question import read_question
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.native import HEADERS, problems, under

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "service": "idSluzbyEZ",
        "document": "idTypuDokumentace",
        "grantorRole": "opravnujiciOsoba.role",
        "grantor": "opravnujiciOsoba.hodnota",
        "granteeRole": "opravnenaOsoba.role",
        "grantee": "opravnenaOsoba.hodnota",
    }
)
_FIELDS: Final = MappingProxyType({name.lower(): field for field, name in NAMES.items()})


def routes(services: Services, desk: Desk) -> list[BaseRoute]:
    """The address, with the register's capital letters and without; parameters in either case."""

    async def over(request: Request, caller: Caller) -> Response:
        values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            field = _FIELDS.get(name.lower())
            if field is None:
                raise HttpError(400, "not-supported", f"there is no parameter {name[:64]} here")
            if field in values:
                raise HttpError(400, "value", f"{NAMES[field]} stands here once")
            values[field] = value
        [verdict] = await desk.ask(caller, [read_question(values, NAMES)])
        return Response(orjson.dumps(verdict.allowed), 200, HEADERS, "application/json")

    endpoint = problems(guarded(services, over))
    roots = {"/opravneni": "/over", "/Opravneni": "/Over"}
    return [
        route
        for root, path in roots.items()
        for route in under(root, [Route(root + path, endpoint, methods=["GET"])])
    ]
