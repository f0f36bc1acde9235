"""The pages of this domain: the professional's and the patient's portal."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.exchange.pages import access, patient, professional
from pater.web.context import PageContext


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """All pages, ready to be mounted."""
    return [
        *professional.routes(context, services),
        *patient.routes(context, services),
        *access.routes(context, services),
    ]
