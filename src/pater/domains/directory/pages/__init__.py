"""The register's pages: nobody logs in to see who offers what, where and when; disputes beside."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from pater.domain import Services
from pater.domains.directory.pages import details, disputing, listing
from pater.web.context import PageContext


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """All of them."""
    rooms = (listing, details, disputing)
    return [route for each in rooms for route in each.routes(context, services)]
