"""What of an import the gate has to look at resource by resource."""

from __future__ import annotations

from pater.access.caller import Caller
from pater.access.policy import group
from pater.access.relations import SAYING
from pater.fhir.definitions import RESOURCE_TYPES
from pater.records.ports import Ports
from pater.records.scope_filter import filter_of


def special(ports: Ports, caller: Caller) -> frozenset[str]:
    """The types of which every resource has to be looked at by the gate itself."""
    narrow = filter_of(caller, "create", "update")
    # those that may say who has a patient in care are looked at one by one (`import_lines`)
    found = set(ports.keepers) - set(SAYING)
    for type_ in RESOURCE_TYPES:
        decisions = [
            ports.policy.decide(caller, "create", type_),
            ports.policy.decide(caller, "update", type_),
        ]
        free = all(each.allowed and each.persons is None for each in decisions)
        if not free or group(type_) not in ("personal", "public"):
            found.add(type_)
        if narrow is not None and narrow.touches(type_):
            found.add(type_)
    return frozenset(found)
