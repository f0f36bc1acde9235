"""What goes out with a document that is expunged: that it is known, so that it may come again."""

from __future__ import annotations

from collections.abc import Sequence

from pater.domain import Services
from pater.domains.exchange import tables
from pater.records.gate import Statement, claim_key


async def expunged(services: Services, ids: Sequence[str]) -> list[Statement]:
    """The statements that forget the documents of these Bundles.

    What an older version of the document did not hold is counted with that version from then on:
    it is still there, and a newer version will change or delete it.
    """
    versions = await tables.of_bundles(services.db, ids)
    if not versions:
        return []
    gone = [each.bundle for each in versions]
    instances = [each.instance for each in versions]
    sets = [each.document_set for each in versions if each.document_set is not None]
    numbers = [claim_key("document-version", str(v.chain), str(v.version)) for v in versions]
    left = {f"{v.chain}/{name}": (v.chain, name) for v in versions for name in v.entries}
    return [
        Statement(tables.FORGET_DOCUMENTS, (gone,)),
        Statement(tables.FORGET_SEALS, (gone,)),
        Statement(
            tables.INHERIT_ENTRIES,
            ([chain for chain, _ in left.values()], [name for _, name in left.values()]),
        ),
        Statement(tables.FORGET_CLAIMS, (instances, sets, numbers)),
    ]
