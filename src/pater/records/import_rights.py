"""What of an import the gate has to look at resource by resource."""

from __future__ import annotations

from pater.access.caller import Caller
from pater.access.policy import decide, group
from pater.fhir.definitions import RESOURCE_TYPES
from pater.records.ports import Ports
from pater.records.scope_filter import filter_of


def special(ports: Ports, caller: Caller) -> frozenset[str]:
    """The types of which every resource has to be looked at by the gate itself."""
    narrow = filter_of(caller, "create", "update")
    found = set(ports.keepers)
    for type_ in RESOURCE_TYPES:
        decisions = [
            decide(caller, "create", type_, person=None),
            decide(caller, "update", type_, person=None),
        ]
        free = all(each.allowed and each.persons is None for each in decisions)
        if not free or group(type_) not in ("personal", "public"):
            found.add(type_)
        if narrow is not None and narrow.touches(type_):
            found.add(type_)
    return frozenset(found)
