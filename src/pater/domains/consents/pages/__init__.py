"""The pages of this domain."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.consents.emergency import Desk
from pater.domains.consents.pages import directives, emergency, notices, privacy, proxies, will
from pater.web.context import PageContext


def routes(context: PageContext, services: Services, desk: Desk) -> Sequence[BaseRoute]:
    """All of them."""
    return [
        *will.routes(context, services),
        *directives.routes(context, services),
        *proxies.routes(context, services),
        *notices.routes(context, services),
        *emergency.routes(context, services, desk),
        *privacy.routes(context, services),
    ]
