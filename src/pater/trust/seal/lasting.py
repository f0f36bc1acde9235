"""What a seal still needs so that it can be validated when nobody can be asked any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pater.trust.seal.certificates import Purpose
from pater.trust.seal.judging import material_for, material_of_stamp, stamp_time
from pater.trust.seal.model import Material, Rules, SealError, Text


async def needed(
    certificate: bytes,
    others: Sequence[bytes],
    tokens: Sequence[bytes],
    brought: Material,
    rules: Rules,
    *,
    archived: bool,
) -> Material:
    """Certificates, lists and answers of the seal and its stamps that it does not bring yet.

    `others` are certificates in the signature, `tokens` its stamps, oldest first. A stamp is
    looked at as it stands now, because that is what a further stamp will show; of what is
    `archived` already only the newest stamp is still to be shown. Raises SealError `evidence` when
    something was not good, or nothing is known of it.
    """
    rules = replace(rules, material=brought + rules.material)
    used = Material()
    if not archived:
        times = [time for one in tokens if (time := stamp_time(one)) is not None]
        at = min(times, default=rules.at)
        used = await material_for(certificate, others, at, rules, Purpose.SEAL)
    for one in tokens[-1:] if archived else tokens:
        used += await material_of_stamp(one, rules, rules.at)
    there = {*brought.certificates, *brought.crls, *brought.ocsps, *others}
    return Material(
        *(
            tuple(one for one in group if one not in there)
            for group in (used.certificates, used.crls, used.ocsps)
        )
    )


def already() -> SealError:
    """The seal has the level that is asked for."""
    return SealError("level", Text("Pečeť už tuto úroveň má.", "The seal has this level already."))
