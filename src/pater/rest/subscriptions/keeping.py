"""What happens when a Subscription, or a topic, is written: checked, sealed, and kept in a row.

Every way to write comes here (create, update, PATCH, transactions), because the gate asks this
room about each change of these types. The row is written in the resource's own transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from pater.access.caller import Caller
from pater.access.policy import is_bound
from pater.fhir.issues import Issue
from pater.fhir.json import dumps, parse
from pater.records.changes import Change
from pater.records.errors import Forbidden, Unprocessable
from pater.records.search_terms import pairs
from pater.rest.subscriptions import tables
from pater.rest.subscriptions.definition import Asked, read_subscription, topic_of
from pater.rest.subscriptions.ports import HOUSE, Ports
from pater.rest.subscriptions.rights import Owner
from pater.rest.subscriptions.tables import Kept
from pater.rest.subscriptions.topics import SHIPPED, Topic, is_topic, read_topic
from pater.store.read import Stored

MASK: Final = "********"
MOST_OWNED: Final = 10_000
_QUIET: Final = ("off", "error")
_SAME: Final = ("criteria", "_criteria", "channel", "end")


async def find_topic(ports: Ports, url: str) -> Topic | None:
    """The topic of a canonical address, shipped or of an operator."""
    if url in SHIPPED or not url:
        return SHIPPED.get(url)
    text = await tables.topic_definition(ports.db, url)
    return None if text is None else read_topic(orjson.loads(text), ports.base_url)[0]


async def asked_of(
    ports: Ports, kept: Kept, topics: dict[str, Topic | None] | None = None
) -> Asked | None:
    """What a kept subscription asks for; None when its topic is gone or has changed too far.

    `topics` keeps what was found, for who asks about many.
    """
    found = {} if topics is None else topics
    if kept.topic not in found:
        found[kept.topic] = await find_topic(ports, kept.topic)
    topic = found[kept.topic]
    return read_subscription(kept.asked, topic, ports.rules, ports.base_url)[0]


def secret_headers(ports: Ports, kept: Kept) -> list[tuple[str, str]]:
    """The headers of a rest-hook as they are sent."""
    if kept.headers is None:
        return []
    opened = ports.keys.decrypt(kept.headers, _context(kept.id))
    return [(name, value) for name, value in orjson.loads(opened)]


def _context(id: str) -> bytes:
    return b"subscription|" + id.encode()


@dataclass(frozen=True, slots=True)
class Keeping:
    """The keepers of Subscription and Basic."""

    ports: Ports

    async def subscription(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """A Subscription is written: see `records.changes.Keeper`."""
        id_ = change.id or ""
        if caller is HOUSE:
            return change
        if change.method == "delete":
            return replace(change, statements=(*change.statements, *tables.forget(id_)))
        resource = change.resource or {}
        old = None
        if change.method != "create":
            old = next(iter(await tables.find(self.ports.db, [id_])), None)
        mine = old is None or (old.owner.kind, old.owner.id) == (caller.kind, caller.id)
        owner = Owner.of(caller) if old is None or mine else old.owner
        topic = await find_topic(self.ports, topic_of(resource))
        asked, issues = read_subscription(resource, topic, self.ports.rules, self.ports.base_url)
        plain, masked = self._headers(id_, resource, old)
        channel = resource.get("channel")
        if isinstance(channel, dict) and "header" in channel:
            resource = {**resource, "channel": {**channel, "header": masked}}
        state = self._state(resource, old)
        if state not in _QUIET:
            if asked is not None and asked.channel == "email" and not self.ports.mail.host:
                text = "this server sends no mail"
                issues = [Issue("error", "not-supported", "Subscription.channel.type", text)]
            _refuse(issues, change.path)
            if asked is not None and mine:
                await self._rights(caller, change, asked, owner, fresh=old is None)
            resource = {key: value for key, value in resource.items() if key != "error"}
        resource = {**resource, "status": state}
        row = tables.save(
            id_,
            state,
            owner,
            {key: value for key, value in resource.items() if key not in ("text", "contained")},
            asked.topic if asked else "",
            asked.channel if asked else "",
            self.ports.keys.encrypt(orjson.dumps(plain), _context(id_)) if plain else None,
            asked.ends if asked else None,
            asked.heartbeat if asked else 0,
        )
        return replace(
            change,
            resource=resource,
            raw=None,
            person=owner.number if stored is None else stored.person,
            statements=(*change.statements, row),
        )

    def _headers(
        self, id: str, resource: dict[str, Any], old: Kept | None
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """The headers as they are sent, and as they are shown.

        Whoever sends back what they were shown means the values that are kept.
        """
        channel = resource.get("channel")
        given = channel.get("header") if isinstance(channel, dict) else None
        known: dict[str, list[str]] = {}
        if old is not None:
            for name, value in secret_headers(self.ports, old):
                known.setdefault(name.lower(), []).append(value)
        plain: list[tuple[str, str]] = []
        masked: list[str] = []
        for text in given if isinstance(given, list) else ():
            name, _, value = str(text).partition(":")
            name, value = name.strip(), value.strip()
            if value == MASK:
                values = known.get(name.lower())
                if values:
                    plain.append((name, values.pop(0)))
            else:
                plain.append((name, value))
            masked.append(f"{name}: {MASK}")
        return plain, masked

    def _state(self, resource: dict[str, Any], old: Kept | None) -> str:
        """The state that a client's wish comes to; only we say that it is active."""
        wish = str(resource.get("status"))
        if wish in _QUIET:
            return wish
        if wish == "active" and old is not None and old.state == "active":
            same = all(resource.get(name) == old.asked.get(name) for name in _SAME)
            channel = resource.get("channel")
            given = channel.get("header") if isinstance(channel, dict) else None
            if same and (not given or all(str(h).endswith(MASK) for h in given)):
                return "active"
        return "requested"

    async def _rights(
        self, caller: Caller, change: Change, asked: Asked, owner: Owner, *, fresh: bool
    ) -> None:
        """Refuses what the caller might not search for either. Raises Forbidden, Unprocessable."""
        closed = ""
        some = False
        for watch in asked.watches:
            type_ = watch.trigger.type
            reason = self.ports.gate.open_to(caller, type_)
            if not reason:
                some = True
                decision = self.ports.gate.decide(caller, "search", type_)
                if decision.patient_bound and not is_bound(type_, pairs(watch.filters)):
                    reason = "not-bound"
                    some = False
            closed = closed or reason
            if reason == "not-bound":
                break
        if not some or closed == "not-bound":
            await self.ports.gate.refuse(
                caller, change.method, "Subscription", closed, id=change.id or ""
            )
            raise Forbidden(closed)
        if fresh and await tables.count_of(self.ports.db, owner, MOST_OWNED) >= MOST_OWNED:
            text = f"nobody has more than {MOST_OWNED} subscriptions"
            raise Unprocessable([Issue("error", "too-costly", change.path, text)])

    async def basic(self, caller: Caller, change: Change, stored: Stored | None) -> Change:
        """A Basic is written: it may be, or have been, a topic."""
        id_ = change.id or ""
        was = stored is not None and not stored.deleted and is_topic(parse(stored.body))
        if change.method == "delete" or not is_topic(change.resource or {}):
            more = tables.forget_topic(id_) if was else ()
            return replace(change, statements=(*change.statements, *more))
        if caller.role != "loader":
            raise Forbidden("no-role")
        resource = change.resource or {}
        topic, issues = read_topic(resource, self.ports.base_url)
        if topic is not None and await tables.topic_holder(self.ports.db, topic.url) not in (
            "", id_,
        ):  # fmt: skip
            text = "another topic has this canonical address"
            issues = [Issue("error", "duplicate", "Basic.extension", text)]
        _refuse(issues, change.path)
        rows = tables.save_topic(topic.url if topic else "", id_, dumps(resource).decode())
        return replace(change, statements=(*change.statements, *rows))


def _refuse(issues: Sequence[Issue], path: str) -> None:
    """Raises Unprocessable with the issues at their place in what was sent."""
    if issues:
        raise Unprocessable(
            [
                replace(issue, path=path + issue.path[issue.path.find(".") :]) if path else issue
                for issue in issues
            ]
        )
