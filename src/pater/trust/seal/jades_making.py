"""Makes JAdES seals and adds to them: header, signature, members of etsiU (TS 119 182-1)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from cryptography import x509

from pater.trust.seal.jose import NAMES, JoseProblem, Jws, coded, decoded, fits, raw_signature
from pater.trust.seal.judging import stamped as stamp_token
from pater.trust.seal.model import (
    Algorithm,
    Content,
    Level,
    Material,
    Order,
    Packaging,
    SealError,
    SealKey,
    Text,
    Tools,
)

BY_URI_HASH: Final = "http://uri.etsi.org/19182/ObjectIdByURIHash"
HASH_NAMES: Final = {"sha256": "S256", "sha384": "S384", "sha512": "S512"}
MOST_CONTENTS: Final = 200


async def made(order: Order, tools: Tools) -> Jws:
    """A seal of level B over the content of an order. Raises SealError."""
    key = tools.key
    if key is None:
        raise no_key()
    certificate = x509.load_der_x509_certificate(key.certificate)
    name = NAMES[key.algorithm]
    if not fits(name, certificate):
        raise SealError(
            "key",
            Text(
                f"Klíč certifikátu se nehodí k algoritmu {name}.",
                f"The key of the certificate does not fit the algorithm {name}.",
            ),
        )
    detached = order.packaging is Packaging.DETACHED
    compact = _compact(order)
    header: dict[str, Any] = {
        "alg": name,
        **_cty(order),
        "typ": "jose" if compact else "jose+json",
        "x5t#S256": coded(hashlib.sha256(key.certificate).digest()),
        "x5c": [base64.b64encode(one).decode() for one in (key.certificate, *_below_root(key))],
        "iat": int(tools.clock().timestamp()),
    }
    payload: str | None = None
    if detached:
        # a payload that is signed as it is can be sealed by its hash alone (b64 = false)
        header |= {"b64": False, "sigD": _named(order.content, key.algorithm)}
        header["crit"] = ["b64", "sigD"]
    else:
        payload = coded(_only(order.content))
    protected = coded(orjson.dumps(header))
    signature = await _signed(key, name, f"{protected}.{payload or ''}".encode("ascii"))
    return Jws(protected, header, payload, signature, compact=compact)


def _below_root(key: SealKey) -> list[bytes]:
    """The authorities above the key without the root: who believes it has it."""
    loaded = [(one, x509.load_der_x509_certificate(one)) for one in key.chain]
    return [one for one, certificate in loaded if certificate.subject != certificate.issuer]


def no_key() -> SealError:
    """Nothing to seal with was given."""
    return SealError("key", Text("Chybí klíč, kterým se pečetí.", "There is no key to seal with."))


async def _signed(key: SealKey, name: str, data: bytes) -> str:
    value = await key.sign(data, key.algorithm)
    return coded(raw_signature(name, value) if key.algorithm.kind == "ecdsa" else value)


def _compact(order: Order) -> bool:
    wanted = order.option("serialization")
    if wanted not in ("", "compact", "json"):
        raise SealError(
            "unsupported",
            Text(
                "Zápis JAdES je compact nebo json.",
                "The serialization of JAdES is compact or json.",
            ),
        )
    if wanted == "compact" and order.level > Level.B:
        raise SealError(
            "unsupported",
            Text(
                "Zápis compact neunese nic nad úroveň B: použijte json.",
                "The compact serialization holds nothing above level B: use json.",
            ),
        )
    return wanted == "compact"


def _cty(order: Order) -> dict[str, str]:
    """The type of attached content, without the prefix that RFC 7515, 4.1.10 says to leave out."""
    if order.packaging is Packaging.DETACHED:
        return {}
    mime = order.content[0].mime if order.content else ""
    short = mime.removeprefix("application/")
    return {"cty": mime if "/" in short else short} if mime else {}


def _only(content: Sequence[Content]) -> bytes:
    if len(content) != 1 or content[0].data is None:
        raise SealError(
            "content",
            Text(
                "Připojit k podpisu lze právě jeden celý obsah.",
                "Exactly one whole content can be attached.",
            ),
        )
    return content[0].data


def _named(content: Sequence[Content], algorithm: Algorithm) -> dict[str, Any]:
    """sigD: what is sealed, by names and hashes (TS 119 182-1, 5.2.8.3.3)."""
    if not 0 < len(content) <= MOST_CONTENTS:
        raise SealError(
            "content",
            Text(
                f"Zapečetit lze 1 až {MOST_CONTENTS} obsahů.",
                f"1 to {MOST_CONTENTS} contents can be sealed.",
            ),
        )
    names = [one.name or f"content-{place}" for place, one in enumerate(content, 1)]
    if len(set(names)) != len(names):
        raise SealError(
            "content", Text("Dva obsahy mají totéž jméno.", "Two contents have the same name.")
        )
    hash_name = algorithm.hash
    return {
        "mId": BY_URI_HASH,
        "pars": names,
        "hashM": HASH_NAMES[hash_name],
        "hashV": [coded(digest_of(one, hash_name)) for one in content],
        "ctys": [one.mime for one in content],
    }


def digest_of(content: Content, hash_name: str) -> bytes:
    """The hash of content that is there, or that was brought as a hash. Raises SealError."""
    if content.data is not None:
        return hashlib.new(hash_name, content.data).digest()
    found = dict(content.digests).get(hash_name)
    if found is None or len(found) != hashlib.new(hash_name).digest_size:
        raise SealError(
            "content",
            Text(
                f"Chybí obsah, nebo jeho otisk {hash_name}.",
                f"The content is missing, or its {hash_name} hash.",
            ),
        )
    return found


def with_member(jws: Jws, name: str, value: Any) -> Jws:
    """The seal with one more element of etsiU, base64url as in all that is made here."""
    if jws.unsigned and not all(isinstance(one, str) for one in jws.unsigned):
        raise SealError(
            "unsupported",
            Text(
                "Podpis má v etsiU části, které nejsou v base64url; rozšířit ho nelze.",
                "The seal has clear members in etsiU; such seals cannot be extended.",
            ),
        )
    added = coded(orjson.dumps({name: value}))
    return replace(jws, unsigned=(*jws.unsigned, added), compact=False)


async def stamped(jws: Jws, tools: Tools) -> Jws:
    """With a time stamp over the signature value (5.3.4)."""
    if tools.stamper is None:
        raise SealError(
            "stamp",
            Text("Chybí autorita časových razítek.", "There is no time-stamp authority."),
        )
    digest = hashlib.sha256(jws.signature.encode()).digest()
    # not opened and looked at here, as other stamps are: each document that arrives has one
    return with_member(jws, "sigTst", _tokens(await tools.stamper.stamp(digest, "sha256")))


async def archived(jws: Jws, payload: bytes, tools: Tools) -> Jws:
    """With a time stamp over all that is there (5.3.6.3). `payload` as `archive_payload` gives."""
    digest = hashlib.sha256(archive_input(jws, payload, len(jws.unsigned))).digest()
    return with_member(jws, "arcTst", _tokens(await stamp_token(tools, digest, "sha256")))


def archive_input(jws: Jws, payload: bytes, before: int) -> bytes:
    """What an archive stamp is over that stands at place `before` in etsiU (5.3.6.3.1.1).

    Raises JoseProblem when an element of etsiU is not base64url: how others are written down is
    not agreed on.
    """
    members = jws.unsigned[:before]
    if not all(isinstance(one, str) for one in members):
        raise JoseProblem("an archive stamp over clear members of etsiU is not supported")
    return b".".join(
        [
            payload,
            jws.protected.encode(),
            jws.signature.encode(),
            "".join(members).encode(),
        ]
    )


def archive_payload(jws: Jws, content: Sequence[Content]) -> bytes:
    """The sealed data as an archive stamp takes them: attached, or one after the other."""
    if jws.payload is not None:
        return jws.payload.encode()
    if any(one.data is None for one in content) or not content:
        raise SealError(
            "content",
            Text(
                "K archivnímu razítku je třeba celý zapečetěný obsah.",
                "An archive stamp needs all of the sealed content.",
            ),
        )
    whole = [one.data or b"" for one in content]
    return b"".join(one if jws.plain else coded(one).encode() for one in whole)


def with_material(jws: Jws, found: Material, *, of_stamps: bool = False) -> Jws:
    """With certificates, lists and answers: xVals and rVals (5.3.5), `of_stamps` in a tstVD."""
    lists: dict[str, Any] = {}
    if found.crls:
        lists["crlVals"] = [_value(one) for one in found.crls]
    if found.ocsps:
        lists["ocspVals"] = [_value(one) for one in found.ocsps]
    certificates = [{"x509Cert": _value(one)} for one in found.certificates]
    parts = {name: each for name, each in (("xVals", certificates), ("rVals", lists)) if each}
    if of_stamps:
        return with_member(jws, "tstVD", parts) if parts else jws
    for name, each in parts.items():
        jws = with_member(jws, name, each)
    return jws


def _value(der: bytes) -> dict[str, str]:
    return {"val": base64.b64encode(der).decode()}


def _tokens(token: bytes) -> dict[str, Any]:
    return {"tstTokens": [_value(token)]}


def members(jws: Jws) -> list[tuple[str, Any]]:
    """The elements of etsiU by name, in order. Raises JoseProblem."""
    found: list[tuple[str, Any]] = []
    for each in jws.unsigned:
        value = each
        if isinstance(each, str):
            try:
                value = orjson.loads(decoded(each))
            except orjson.JSONDecodeError as error:
                raise JoseProblem("an element of etsiU is not JSON") from error
        if not isinstance(value, dict) or len(value) != 1:
            raise JoseProblem("an element of etsiU is not one named value")
        found.append(next(iter(value.items())))
    return found
