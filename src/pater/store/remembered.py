"""What was worked out of a value, kept for as long as that very value is in use.

Like `functools.lru_cache`, but by identity: to hash a search costs as much as what it saves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import ReferenceType, ref

K = TypeVar("K")
V = TypeVar("V")
P = ParamSpec("P")


def remembered(function: Callable[Concatenate[K, P], V]) -> Callable[Concatenate[K, P], V]:
    """A pure function of one immutable object, worked out once for each and each further argument.

    The further ones are hashable, few, and given by place.
    """
    known: dict[int, tuple[ReferenceType[K], dict[object, V]]] = {}

    @wraps(function)
    def of(value: K, /, *args: P.args, **named: P.kwargs) -> V:
        number = id(value)
        found = known.get(number)
        if found is None or found[0]() is not value:
            # gone with the value, before another can have its number
            found = known[number] = (ref(value, lambda _: known.pop(number, None)), {})
        results = found[1]
        if args not in results:
            results[args] = function(value, *args, **named)
        return results[args]

    return of
