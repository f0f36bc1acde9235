"""The pages of this domain: the professional's and the patient's portal."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.exchange import pages_patient, pages_professional
from pater.web.context import PageContext


def pages(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """All pages, ready to be mounted."""
    return [
        *pages_professional.routes(context, services),
        *pages_patient.routes(context, services),
    ]
