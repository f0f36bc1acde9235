"""What is to be thought of a signature once its format has read it (EN 319 102-1, 5.3 to 5.6).

The stamps are looked at from the newest to the oldest, each at the time at which those after it
show that it existed; so each proves the existence of what it covers. The certificate is then
judged at the earliest time at which the signature is proved to have existed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pater.trust.seal import texts
from pater.trust.seal.certificates import UNREADABLE, PathResult, Purpose, check_path, subject_of
from pater.trust.seal.model import (
    FAILURES,
    Check,
    Format,
    Indication,
    Level,
    Material,
    Rules,
    SealError,
    SignatureReport,
    StampReport,
    Sub,
    Text,
    Tools,
)
from pater.trust.tsa.verifying import Opened, OtherError, StampError, open_token

_NOTHING: Final = Material()
_ORDER: Final = timedelta(seconds=1)  # what clocks of two authorities may differ by
_MOST_STAMPS: Final = 50


@dataclass(frozen=True, slots=True)
class StampFound:
    """A time stamp in a seal: its token, the digest (by hash name) of what it should be over.

    `over` is `content` (signed with the signature), `signature`, `document`, or `archive` (over
    the signature and the material that shows it was good);
    `proves` are SHA-256 digests of lists, answers and tokens (DER) that it covers.
    """

    token: bytes
    imprint: Callable[[str], bytes | None]
    over: str
    proves: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """A signature as its format has read it.

    `problem` with `text` is the first thing the format found wrong (then `checks` holds what was
    right before); `hashes` are those by which content and attributes are signed; `stamps` come
    oldest first; `others` and `material` are what the seal brings.
    """

    format: Format
    checks: tuple[Check, ...] = ()
    problem: Sub | None = None
    text: Text | None = None
    code: str = "structure"  # of the check that did not pass
    certificate: bytes = field(default=b"", repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)
    material: Material = field(default=_NOTHING, repr=False)
    hashes: tuple[str, ...] = ()
    claimed: datetime | None = None
    stamps: tuple[StampFound, ...] = ()
    covers: tuple[str, ...] = ()


def good(*codes: str) -> tuple[Check, ...]:
    """Checks that passed, in the usual words."""
    return tuple(Check(code, True, texts.GOOD[code]) for code in codes)


def sha256(data: bytes) -> bytes:
    """The name of a list, an answer or a token in `proves` and `known`."""
    return hashlib.sha256(data).digest()


def stamp_time(token: bytes) -> datetime | None:
    """When a token says it was made, without believing it; None when it cannot be read."""
    try:
        content = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
        when: datetime = tsp.TSTInfo.load(bytes(content))["gen_time"].native
    except UNREADABLE:
        return None
    return when


@dataclass(slots=True)
class _Stamps:
    """What the stamps of one signature show."""

    known: dict[bytes, datetime] = field(default_factory=dict)
    proved: datetime | None = None  # the signature existed then
    after: datetime | None = None  # the signature was made after that
    good: set[str] = field(default_factory=set)
    used: Material = _NOTHING
    checks: list[Check] = field(default_factory=list)
    reports: list[StampReport] = field(default_factory=list)
    problem: Sub | None = None


async def judge(one: Found, rules: Rules) -> SignatureReport:
    """The report of a signature."""
    subject = subject_of(one.certificate) if one.certificate else ""
    if one.problem is not None:
        text = one.text or texts.OF[one.problem]
        checks = (*one.checks, Check(one.code, False, text))
        return _report(one, subject, checks, one.problem, Level.B, _Stamps())
    weak = _weak(one, rules)
    if weak is not None:
        checks = (*one.checks, Check("algorithms", False, weak))
        return _report(one, subject, checks, Sub.CRYPTO_CONSTRAINTS_FAILURE, Level.B, _Stamps())
    brought = Material(certificates=one.others) + one.material
    rules = replace(rules, material=brought + rules.material)
    stamps = await _stamps(one.stamps, rules)
    checks = (*one.checks, *good("algorithms"), *stamps.checks)
    if stamps.problem is not None:
        return _report(one, subject, checks, stamps.problem, Level.B, stamps)
    at = stamps.proved or rules.at
    path = await check_path(one.certificate, one.others, at, rules, known=stamps.known)
    sub = _meaning(path, one.certificate, stamps.after)
    code = "revocation" if sub in _REVOCATION else "path"
    text = texts.GOOD["path"] if sub is None else (path.text if sub is path.problem
                                                   else texts.OF[sub])  # fmt: skip
    checks = (*checks, Check(code, sub is None, text))
    return _report(one, subject, checks, sub, _level(path, stamps, brought), stamps)


_REVOCATION: Final = frozenset(
    {Sub.REVOKED, Sub.REVOKED_NO_POE, Sub.REVOKED_CA_NO_POE, Sub.TRY_LATER}
)


def _report(
    one: Found,
    subject: str,
    checks: Sequence[Check],
    sub: Sub | None,
    level: Level,
    stamps: _Stamps,
) -> SignatureReport:
    indication = Indication.PASSED
    if sub is not None:
        indication = Indication.FAILED if sub in FAILURES else Indication.INDETERMINATE
    return SignatureReport(
        indication, sub, tuple(checks), one.format, level, subject, one.certificate, one.claimed,
        stamps.proved, tuple(stamps.reports), one.covers,
    )  # fmt: skip


def _weak(one: Found, rules: Rules) -> Text | None:
    for name in one.hashes:
        if name not in rules.hashes:
            return Text(
                f"Hašovací algoritmus {name} už není bezpečný.",
                f"The hash algorithm {name} is not safe any more.",
            )
    try:
        key = x509.load_der_x509_certificate(one.certificate).public_key()
    except UNREADABLE:
        return None  # the path says so
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < rules.smallest_rsa:
        return Text(
            f"Klíč RSA má jen {key.key_size} bitů.", f"The RSA key has only {key.key_size} bits."
        )
    return None


async def _stamps(found: Sequence[StampFound], rules: Rules) -> _Stamps:
    state = _Stamps()
    if len(found) > _MOST_STAMPS:
        state.problem = Sub.FORMAT_FAILURE
        state.checks.append(Check("time-stamp", False, texts.OF[Sub.FORMAT_FAILURE]))
        return state
    later: datetime | None = None
    for one in reversed(found):
        try:
            opened = await asyncio.to_thread(open_token, one.token, one.imprint)
        except OtherError:
            state.problem = Sub.SIG_CONSTRAINTS_FAILURE
            state.checks.append(Check("time-stamp", False, texts.STAMP_OTHER))
            continue
        except StampError:
            state.problem = Sub.SIG_CONSTRAINTS_FAILURE
            state.checks.append(Check("time-stamp", False, texts.STAMP_UNREADABLE))
            continue
        when, by = opened.stamp.time, opened.stamp.authority
        at = state.known.get(sha256(one.token), rules.at)
        path = await _stamp_path(opened, at, rules, state)
        is_good = path.problem is None
        state.reports.append(StampReport(when, by, one.over, is_good))
        if not is_good:
            state.checks.append(Check("time-stamp", False, texts.stamp_bad(path.problem)))  # type: ignore[arg-type]  # is_good says it is there
            continue
        if later is not None and when > later + _ORDER:
            state.problem = Sub.TIMESTAMP_ORDER_FAILURE
            text = texts.OF[Sub.TIMESTAMP_ORDER_FAILURE]
            state.checks.append(Check("time-stamp", False, text))
            continue
        later = when
        state.checks.append(Check("time-stamp", True, texts.stamp_good(when)))
        _believe(state, one, when, path)
    state.checks.reverse()
    state.reports.reverse()
    return state


def _believe(state: _Stamps, one: StampFound, when: datetime, path: PathResult) -> None:
    if state.good or one.over not in ("archive", "document"):
        # what shows that the newest archive stamp is good comes with the next one
        state.used += path.used
    state.good.add(one.over)
    if one.over == "content":
        state.after = when
        return
    state.proved = min(when, state.proved or when)
    for digest in one.proves:
        state.known[digest] = min(when, state.known.get(digest, when))


async def _stamp_path(opened: Opened, at: datetime, rules: Rules, state: _Stamps) -> PathResult:
    certificate, *others = (
        one.public_bytes(Encoding.DER) for one in (opened.certificate, *opened.others)
    )
    if opened.stamp.time > at + _ORDER:
        # made after the time at which it is looked at: it cannot show what it says
        return PathResult(Sub.TIMESTAMP_ORDER_FAILURE, texts.OF[Sub.TIMESTAMP_ORDER_FAILURE])
    return await check_path(
        certificate, others, at, rules, purpose=Purpose.STAMP, known=state.known
    )


def _meaning(path: PathResult, certificate: bytes, after: datetime | None) -> Sub | None:
    """The problem of the path, sharper when a stamp of the content shows that the signature was
    made after its certificate had ended (EN 319 102-1, 5.3.4 step 5)."""
    if after is None or path.problem is None:
        return path.problem
    if path.problem is Sub.REVOKED_NO_POE and path.revoked is not None and path.revoked <= after:
        return Sub.REVOKED
    if path.problem is Sub.OUT_OF_BOUNDS_NO_POE:
        try:
            ended = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        except UNREADABLE:
            return path.problem
        if ended < after:
            return Sub.EXPIRED
    return path.problem


def _level(path: PathResult, stamps: _Stamps, brought: Material) -> Level:
    if not stamps.good & {"signature", "document", "archive"}:
        return Level.B
    needed = path.used + stamps.used
    shown = bool(path.used.crls or path.used.ocsps) or len(path.chain) == 1
    there = set(needed.crls) <= set(brought.crls) and set(needed.ocsps) <= set(brought.ocsps)
    if not shown or not there:
        return Level.T
    return Level.LTA if "archive" in stamps.good else Level.LT


async def material_for(
    certificate: bytes, others: Sequence[bytes], at: datetime, rules: Rules, purpose: Purpose
) -> Material:
    """What shows that a certificate was good at a time, for level LT. Raises SealError."""
    path = await check_path(certificate, others, at, rules, purpose=purpose)
    if path.problem is not None:
        raise SealError("evidence", path.text)
    return path.used


async def material_of_stamp(token: bytes, rules: Rules, at: datetime | None = None) -> Material:
    """What shows that the authority of a stamp was good when it stamped, or later at a time.

    Raises SealError.
    """
    when = stamp_time(token)
    try:
        opened = open_token(token, _any_digest(token))
    except StampError as error:
        raise SealError("stamp", texts.STAMP_UNREADABLE) from error
    others = [one.public_bytes(Encoding.DER) for one in opened.others]
    own = opened.certificate.public_bytes(Encoding.DER)
    at = max(at or when or rules.at, opened.stamp.time)
    return await material_for(own, others, at, rules, Purpose.STAMP)


def _any_digest(token: bytes) -> Callable[[str], bytes | None]:
    """The digest that the token itself says, when only its own signature is asked about."""

    def digest_of(_: str) -> bytes | None:
        content = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
        found: bytes = tsp.TSTInfo.load(bytes(content))["message_imprint"]["hashed_message"].native
        return found

    return digest_of


async def stamped(tools: Tools, digest: bytes, algorithm: str) -> bytes:
    """A token over a digest, seen to be over it. Raises SealError."""
    if tools.stamper is None:
        raise SealError(
            "stamp",
            Text("Není nastavena autorita časových razítek.", "There is no time-stamp authority."),
        )
    token = await tools.stamper.stamp(digest, algorithm)
    try:
        open_token(token, lambda name: digest if name == algorithm else None)
    except StampError as error:
        raise SealError("stamp", texts.STAMP_OTHER) from error
    return token
