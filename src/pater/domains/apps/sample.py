"""The demonstration's own app: one page that asks, is allowed, and shows what it can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.apps import App
from pater.web.context import PageContext

ID: Final = "demo-app"
PATH: Final = "/demo-app"
SCOPES: Final = (
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "offline_access",
    "patient/*.rs",
)


def app(issuer: str) -> App:
    """How it is registered: a public app, as any page in a browser is."""
    address = issuer + PATH
    return App(
        id=ID,
        name="Ukázková aplikace",
        redirect_uris=(address,),
        scopes=SCOPES,
        launch_url=address,
        demo=True,
    )


def routes(context: PageContext, issuer: str) -> Sequence[BaseRoute]:
    """`/demo-app`."""

    async def page(request: Request) -> Response:
        return context.render(
            request,
            "apps/demo_app.html",
            client=ID,
            issuer=issuer,
            scope="openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs"
            " patient/DocumentReference.rs",
            launch_scope="openid fhirUser launch patient/Patient.rs patient/Observation.rs"
            " patient/DocumentReference.rs",
        )

    return [Route(PATH, page)]
