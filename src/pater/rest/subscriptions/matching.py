"""Which subscriptions a written resource is an event for, at a cost that does not grow with them.

A subscription usually names one thing by equality (a patient, a code). The index keeps it under
that key; a resource is compared only with what stands under its own keys, and with the few that
have none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pater.fhir.fhirpath import Environment, EvaluationError, compile_expression
from pater.fhir.search.index import IndexValues, index_values
from pater.fhir.search.parameters import asked_as
from pater.fhir.search.query import Condition, ReferenceTerm, TokenTerm, matches
from pater.rest.subscriptions.criteria import conditions_of
from pater.rest.subscriptions.definition import Watch
from pater.rest.subscriptions.topics import VARIABLES

Families = Mapping[str, tuple[str, ...]]
NO_FAMILIES: Families = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Version:
    """A resource before or after a write, with its index values and the ids it is known by: a
    Patient's also those of the Patients that were merged into it.
    """

    resource: dict[str, Any]
    index: IndexValues
    ids: tuple[str | None, ...]

    @classmethod
    def of(cls, resource: dict[str, Any], one: Families = NO_FAMILIES) -> Version:
        """The version with its index values worked out.

        `one` has the ids of Patients who are one, the survivor's first: who watches one of them is
        told of all that refers to any, and of the survivor.
        """
        type_, id_ = str(resource["resourceType"]), resource.get("id")
        index = index_values(type_, resource)
        if not one:
            return cls(resource, index, (id_,))
        index.references += [
            value._replace(id=name)
            for value in index.references
            if value.type == "Patient"
            for name in one.get(value.id or "", ())
            if name != value.id
        ]
        names = one.get(str(id_), ()) if type_ == "Patient" else ()
        return cls(resource, index, names if names and names[0] == id_ else (id_,))


@dataclass(frozen=True, slots=True)
class Write:
    """One write: what stood before (None: nothing) and what stands now (None: deleted).

    `previous` is needed of deletions, and where `Index.needs_previous` says so.
    """

    interaction: str  # create, update, delete
    previous: Version | None
    current: Version | None

    @property
    def focus(self) -> Version | None:
        """The version that filters look at: what is there, or what was deleted."""
        return self.current or self.previous


@dataclass(frozen=True, slots=True)
class _Watched:
    subscription: str
    watch: Watch
    previous: tuple[Condition, ...]
    current: tuple[Condition, ...]


class Index:
    """The watches of all living subscriptions of one process."""

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url
        self._keyed: dict[Hashable, list[_Watched]] = {}
        self._loose: dict[str, list[_Watched]] = {}
        self._types: dict[str, int] = {}
        self._previous: dict[str, int] = {}
        self._places: dict[str, list[tuple[Hashable, _Watched]]] = {}

    def __contains__(self, subscription: str) -> bool:
        return subscription in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, subscription: str, watches: Iterable[Watch]) -> None:
        """Follows what a subscription watches, instead of what it watched before."""
        self.remove(subscription)
        places = self._places.setdefault(subscription, [])
        for watch in watches:
            type_ = watch.trigger.type
            watched = _Watched(
                subscription,
                watch,
                conditions_of(type_, watch.trigger.previous, self._base_url),
                conditions_of(type_, watch.trigger.current, self._base_url),
            )
            for key in _keys_of(watch) or (None,):
                place = self._loose if key is None else self._keyed
                name: Any = type_ if key is None else key
                place.setdefault(name, []).append(watched)
                places.append((key, watched))
            self._types[type_] = self._types.get(type_, 0) + 1
            if _looks_back(watched):
                self._previous[type_] = self._previous.get(type_, 0) + 1

    def remove(self, subscription: str) -> None:
        """Follows a subscription no longer."""
        counted: set[int] = set()
        for key, watched in self._places.pop(subscription, ()):
            type_ = watched.watch.trigger.type
            place: dict[Any, list[_Watched]] = self._loose if key is None else self._keyed
            name = type_ if key is None else key
            left = [each for each in place[name] if each is not watched]
            if left:
                place[name] = left
            else:
                del place[name]
            if id(watched) not in counted:
                counted.add(id(watched))
                _less(self._types, type_)
                if _looks_back(watched):
                    _less(self._previous, type_)

    def follows(self, type: str) -> bool:
        """Whether anybody watches resources of the type."""
        return type in self._types

    def needs_previous(self, type: str) -> bool:
        """Whether what stood before an update of the type decides about anything."""
        return type in self._previous

    def events(self, type: str, write: Write) -> list[str]:
        """The subscriptions that the write is an event for, each once."""
        focus = write.focus
        if focus is None:
            return []
        found: dict[str, None] = {}
        for watched in self._candidates(type, focus):
            if watched.subscription not in found and _is_event(watched, write, focus):
                found[watched.subscription] = None
        return list(found)

    def _candidates(self, type: str, focus: Version) -> Iterator[_Watched]:
        yield from self._loose.get(type, ())
        if self._keyed:
            for key in _keys_in(type, focus):
                yield from self._keyed.get(key, ())


def _looks_back(watched: _Watched) -> bool:
    trigger = watched.watch.trigger
    return bool(trigger.previous or trigger.fhirpath)


def _less(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _keys_of(watch: Watch) -> tuple[Hashable, ...]:
    """The keys of one condition of the watch; () when none of them names something exactly."""
    type_ = watch.trigger.type
    found: tuple[Hashable, ...] = ()
    for condition in watch.filters:
        keys = _condition_keys(type_, condition)
        if keys and (not found or len(keys) < len(found)):
            found = keys
    return found


def _condition_keys(type: str, condition: Condition) -> tuple[Hashable, ...]:
    if not condition.values:
        return ()
    param = condition.param
    keys: list[Hashable] = []
    if condition.kind == "id" and condition.modifier is None:
        return tuple(
            (type, "i", value.code) for value in condition.values if isinstance(value, TokenTerm)
        )
    if asked_as(type, param) != (param,) or condition.modifier in ("missing", "not"):
        return ()
    for value in condition.values:
        if condition.kind == "reference" and isinstance(value, ReferenceTerm):
            if value.id is not None:
                keys += [(type, "r", param, target, value.id) for target in value.types]
            else:
                keys.append((type, "u", param, value.url))
        elif (
            condition.kind == "token"
            and condition.modifier is None
            and (isinstance(value, TokenTerm) and value.code is not None)
        ):
            keys.append((type, "t", param, value.system, value.code))
        else:
            return ()
    return tuple(keys)


def _keys_in(type: str, version: Version) -> set[Hashable]:
    keys: set[Hashable] = {(type, "i", each) for each in version.ids}
    for value in version.index.references:
        keys.add((type, "r", value.param, value.type, value.id))
        if value.url is not None:
            keys.add((type, "u", value.param, value.url))
    for token in version.index.tokens:
        keys.add((type, "t", token.param, None, token.code))
        keys.add((type, "t", token.param, token.system or "", token.code))
    return keys


def _is_event(watched: _Watched, write: Write, focus: Version) -> bool:
    trigger = watched.watch.trigger
    if write.interaction not in trigger.interactions:
        return False
    if not _all(watched.watch.filters, focus):
        return False
    return _triggered(watched, write) and _by_path(trigger.fhirpath, trigger.type, write)


def _triggered(watched: _Watched, write: Write) -> bool:
    """SubscriptionTopic.resourceTrigger.queryCriteria."""
    trigger = watched.watch.trigger
    tests: list[bool] = []
    if watched.previous:
        before = write.previous
        tests.append(trigger.passes_create if before is None else _all(watched.previous, before))
    if watched.current:
        now = write.current
        tests.append(trigger.passes_delete if now is None else _all(watched.current, now))
    if len(tests) == 2:
        return all(tests) if trigger.both else any(tests)
    return all(tests)


def _by_path(text: str, type: str, write: Write) -> bool:
    """SubscriptionTopic.resourceTrigger.fhirPathCriteria; what cannot be told is no event."""
    if not text:
        return True
    resources: Mapping[str, Any] = {
        "previous": write.previous.resource if write.previous else None,
        "current": write.current.resource if write.current else None,
    }
    focus = write.focus
    if focus is None:
        return False
    try:
        expression = compile_expression(text, type, VARIABLES)
        environment = Environment(focus.resource, variables=resources)
        return expression.holds(focus.resource, environment)
    except EvaluationError:
        return False


def _all(conditions: Sequence[Condition], version: Version) -> bool:
    return all(_one(each, version) for each in conditions)


def _one(condition: Condition, version: Version) -> bool:
    if condition.kind == "id" and len(version.ids) > 1:
        known_by = ({**version.resource, "id": each} for each in version.ids)
        return any(matches(condition, each, version.index) for each in known_by)
    return matches(condition, version.resource, version.index)
