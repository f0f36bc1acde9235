"""The policy as other rooms see it: what decides, its words, and the policies that ship."""

from __future__ import annotations

from pater.access.binding import is_bound
from pater.access.caller import Caller
from pater.access.deciding import (
    ACTIONS,
    OWNED_TYPES,
    PUBLIC_TYPES,
    Action,
    Decision,
    Group,
    Policy,
    Rule,
    group,
    is_personal,
)
from pater.access.policy_files import PolicyError, named, shipped
from pater.access.roles import ROLE_PURPOSES, ROLE_SCOPES, ROLES

__all__ = [
    "ACTIONS",
    "OWNED_TYPES",
    "PUBLIC_TYPES",
    "ROLES",
    "ROLE_PURPOSES",
    "ROLE_SCOPES",
    "Action",
    "Decision",
    "Group",
    "Policy",
    "PolicyError",
    "Rule",
    "decide",
    "explain",
    "group",
    "is_bound",
    "is_personal",
    "named",
    "shipped",
]


def decide(caller: Caller, action: Action, type: str, *, person: int | None) -> Decision:
    """Decide by the policy `declared`, which asks for no relation: see `Policy.decide`."""
    return shipped("declared").decide(caller, action, type, person=person)


def explain(
    caller: Caller, action: Action, type: str, *, person: int | None = None, lang: str = "en"
) -> str:
    """One line for people saying why the action is or is not allowed; `lang` is cs or en."""
    return shipped("declared").explain(caller, action, type, person=person, lang=lang)
