"""The operations that come with the API itself, each in the shape that a domain's have."""

from __future__ import annotations

from collections.abc import Sequence

from pater.domain import Operation
from pater.rest import graphql
from pater.rest.interactions import Api
from pater.rest.operations import (
    converting,
    documents,
    everything,
    latest,
    metas,
)
from pater.rest.operations.own import own


def core(api: Api) -> Sequence[Operation]:
    """All of them, over one gate."""
    gate, base_url = api.gate, api.config.base_url
    return (
        *everything.operations(gate, base_url),
        *metas.operations(api),
        *documents.operations(gate, base_url),
        *latest.operations(gate, base_url),
        *own(gate, base_url),
        *converting.operations(),
        *graphql.operations(gate, base_url),
    )
