"""The registers' own question "set the address of notifications": it becomes Subscriptions.

Who is told what, how an address is judged before anything is sent there, and how often it is tried
again, is what holds for every Subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from pater.access.caller import Caller
from pater.domain import Services
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Forbidden, Unprocessable
from pater.registers.identifiers import RID, check_rid
from pater.rest.errors import HttpError
from pater.rest.subscriptions.definition import BACKPORT, JSON, PROFILE
from pater.rest.subscriptions.topics import PERSONS, PROFESSIONALS, PROVIDERS
from pater.store.read import read_many

Json = dict[str, Any]

TOPICS: Final = {"krp": PERSONS, "krpzs": PROVIDERS, "krzp": PROFESSIONALS}
EACH: Final = 50
"""Persons of one Subscription: as many as one search may name."""
MOST: Final = 1_000
"""Persons of one address."""
_PLACES: Final = 2 * MOST // EACH
_LONGEST: Final = 2_000
_HEARTBEAT: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class _Wish:
    url: str
    header: str
    people: tuple[str, ...]
    end: bool


async def set_address(services: Services, caller: Caller, register: str, data: Json) -> Json:
    """Sets, replaces or (`zrusit`) takes away where a system is told of changes of a register.

    `zadostData`: `url`; `hlavicka`, a header that is sent along; in KRP `rid`, of whom. Raises
    HttpError 400, 422, Forbidden.
    """
    if caller.kind != "system" or caller.app:
        await services.gate.refuse(caller, "create", "Subscription", "no-role")
        raise Forbidden("no-role", "a system has an address of notifications")
    wish = _wish(data, named=register == "krp")
    places = [
        str(uuid5(NAMESPACE_URL, f"urn:pater:notifications:{register}:{caller.id}:{n}"))
        for n in range(_PLACES)
    ]
    held = await read_many(services.db, [("Subscription", id_) for id_ in places])
    known = {each.id: each for each in held}
    # what somebody deleted is never used again
    ids = [id_ for id_ in places if id_ not in known or not known[id_].deleted]
    wanted = [] if wish.end else _subscriptions(TOPICS[register], wish)
    if len(wanted) > len(ids):
        raise HttpError(422, "too-costly", "too many Subscriptions of this address were deleted")
    changes = [
        Change("update" if id_ in known else "create", "Subscription", id_, {**made, "id": id_})
        for id_, made in zip(ids, wanted, strict=False)
    ]
    for id_ in ids[len(wanted) :]:
        if id_ in known and (old := parse(known[id_].body)).get("status") != "off":
            changes.append(Change("update", "Subscription", id_, {**old, "status": "off"}))
    try:
        await services.gate.commit(caller, changes)
    except Unprocessable as error:
        first = error.issues[0]
        place = "hlavicka" if "header" in first.path else "url"
        raise HttpError(422, first.code, first.text, path=f"zadostData.{place}") from error
    if wish.end:
        return {"notifikace": {"stav": "Zrušeno", "subscription": []}}
    made = ids[: len(wanted)]
    return {"notifikace": {"url": wish.url, "stav": "Nastaveno", "subscription": made}}


def _wish(data: Json, *, named: bool) -> _Wish:
    end = data.get("zrusit", False)
    if not isinstance(end, bool):
        raise HttpError(400, "value", "true or false", path="zadostData.zrusit")
    if end:
        return _Wish("", "", (), end=True)
    url, header = _text(data, "url", needed=True), _text(data, "hlavicka", needed=False)
    listed = data.get("rid", [])
    if listed and not named:
        raise HttpError(400, "value", "only KRP tells of single persons", path="zadostData.rid")
    if not isinstance(listed, list) or len(listed) > MOST or (named and not listed):
        raise HttpError(400, "value", f"1 to {MOST} RIDs", path="zadostData.rid")
    for number, each in enumerate(listed):
        if not isinstance(each, str) or check_rid(each).ok is False:
            raise HttpError(400, "value", "no RID", path=f"zadostData.rid[{number}]")
    return _Wish(url, header, tuple(dict.fromkeys(listed)), end=False)


def _text(data: Json, name: str, *, needed: bool) -> str:
    value = data.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise HttpError(400, "value", f"a text of up to {_LONGEST} characters",
                        path=f"zadostData.{name}")  # fmt: skip
    if needed and not value.strip():
        raise HttpError(400, "required", "this is missing", path=f"zadostData.{name}")
    return value.strip()


def _subscriptions(topic: str, wish: _Wish) -> list[Json]:
    if not wish.people:
        return [_subscription(topic, wish, ())]
    return [
        _subscription(topic, wish, wish.people[begin : begin + EACH])
        for begin in range(0, len(wish.people), EACH)
    ]


def _subscription(topic: str, wish: _Wish, people: Sequence[str]) -> Json:
    channel: Json = {
        "type": "rest-hook",
        "endpoint": wish.url,
        "payload": JSON,
        "_payload": {
            "extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": "id-only"}]
        },
        "extension": [
            {"url": BACKPORT + "backport-heartbeat-period", "valueUnsignedInt": _HEARTBEAT}
        ],
    }
    if wish.header:
        channel["header"] = [wish.header]
    made: Json = {
        "resourceType": "Subscription",
        "meta": {"profile": [PROFILE]},
        "status": "requested",
        "reason": "address of notifications",
        "criteria": topic,
        "channel": channel,
    }
    if people:
        named = ",".join(f"{RID}|{each}" for each in people)
        extension = {
            "url": BACKPORT + "backport-filter-criteria",
            "valueString": f"Patient?identifier={named}",
        }
        made["_criteria"] = {"extension": [extension]}
    return made
