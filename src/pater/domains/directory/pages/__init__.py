"""The public pages of the register: nobody logs in to see who offers what, where and when."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.directory.pages import details, listing
from pater.web.context import PageContext


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """All of them."""
    return [*listing.routes(context, services), *details.routes(context, services)]
