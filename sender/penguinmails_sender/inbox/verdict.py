"""Is the mail signed, and do the signatures hold? DKIM verification (RFC 6376, RFC 8301, RFC 8463).

Stricter than the letter where a developer is better served: a body length (``l=``) is refused, since text can be added
behind it. Keys come from the lookup that is passed in; nothing here asks the DNS.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from penguinmails_core.kit.dns import NameNotFound
from penguinmails_sender.inbox.canonical import canonical_body, signed_headers, split_fields, split_message
from penguinmails_sender.inbox.dkim_key import Key, check_signature, read_key
from penguinmails_sender.inbox.dkim_tags import SignatureError, Verdict, decode_base64, parse_tags

TxtLookup = Callable[[str], Awaitable[list[bytes]]]
"""The TXT records of a name, strings joined; an empty list when there are none. May raise: then temperror."""

MAX_SIGNATURES = 10  # each costs a lookup and a hash of the message
_LARGE_BODY = 256 * 1024  # hashing more than this on the event loop would be felt
_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")
_ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
_CANONICALIZATIONS = ("simple", "relaxed")


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """The verdict on one DKIM-Signature field; domain, selector and algorithm as far as they could be read."""

    domain: str
    selector: str
    algorithm: str
    verdict: Verdict
    reason: str


async def verify(raw: bytes, txt: TxtLookup) -> list[SignatureVerdict]:
    """One verdict for each DKIM-Signature, top down; empty when there is none. Does not raise for bad mail."""
    head, body = split_message(raw)
    fields = split_fields(head)
    signatures = [value for name, value in fields if name == b"dkim-signature"]
    hashes: dict[str, bytes] = {}  # two signatures mostly share one body canonicalization

    async def body_hash(mode: str) -> bytes:
        if mode not in hashes:
            if len(body) > _LARGE_BODY:
                hashes[mode] = await asyncio.to_thread(_body_hash, body, mode)
            else:
                hashes[mode] = _body_hash(body, mode)
        return hashes[mode]

    results = [await _verify_one(signature, fields, body_hash, txt) for signature in signatures[:MAX_SIGNATURES]]
    if len(signatures) > MAX_SIGNATURES:
        reason = f"only the first {MAX_SIGNATURES} of {len(signatures)} signatures were checked"
        results.append(SignatureVerdict("", "", "", "permerror", reason))
    return results


def overall(results: Sequence[SignatureVerdict]) -> Verdict:
    """One good signature is enough (RFC 6376 §6.1); otherwise the first verdict stands; none without signatures."""
    if not results:
        return "none"
    return "pass" if any(result.verdict == "pass" for result in results) else results[0].verdict


def _body_hash(body: bytes, mode: str) -> bytes:
    return hashlib.sha256(canonical_body(body, mode)).digest()


async def _verify_one(
    signature: bytes,
    fields: list[tuple[bytes, bytes]],
    body_hash: Callable[[str], Awaitable[bytes]],
    txt: TxtLookup,
) -> SignatureVerdict:
    tags: dict[str, str] = {}
    try:
        tags = parse_tags(signature.partition(b":")[2].decode("utf-8", "replace"))
        header_mode, body_mode = _check_tags(tags)
        if decode_base64(tags["bh"], "bh") != await body_hash(body_mode):
            raise SignatureError("fail", "body hash did not verify: the body was changed after signing")
        key = await _fetch_key(tags, txt)
        check_signature(key, decode_base64(tags["b"], "b"), signed_headers(signature, fields, tags, header_mode))
    except SignatureError as error:
        verdict, reason = error.verdict, error.reason
    else:
        verdict, reason = "pass", "signature verified" + ("; the key is in test mode (t=y)" if key.testing else "")
    return SignatureVerdict(tags.get("d", ""), tags.get("s", ""), tags.get("a", ""), verdict, reason)


# The rules on a signature's tags


def _check_tags(tags: dict[str, str]) -> tuple[str, str]:
    """The two canonicalizations, when the tags allow the signature to be checked at all (RFC 6376 §6.1.1)."""
    for name in _REQUIRED:
        if not tags.get(name):
            raise SignatureError("permerror", f"tag {name}= is missing")
    if tags["v"] != "1":
        raise SignatureError("permerror", f"version v={tags['v'][:20]} is not 1")
    if tags["a"].lower() not in _ALGORITHMS:
        raise SignatureError("permerror", f"algorithm {tags['a'][:40]} is not accepted; use rsa-sha256 (RFC 8301)")
    if "l" in tags:
        raise SignatureError("permerror", "a body length (l=) is refused: text could be added behind it")
    header_mode, _, body_mode = tags.get("c", "simple").lower().partition("/")
    body_mode = body_mode or "simple"
    if header_mode not in _CANONICALIZATIONS or body_mode not in _CANONICALIZATIONS:
        raise SignatureError("permerror", f"canonicalization c={tags['c'][:40]} is unknown")
    if "dns/txt" not in (method.strip() for method in tags.get("q", "dns/txt").split(":")):
        raise SignatureError("permerror", f"query method q={tags['q'][:40]} is unknown")
    if "from" not in (name.strip().lower() for name in tags["h"].split(":")):
        raise SignatureError("permerror", "the From header is not signed (h=)")
    identity = tags.get("i", "@" + tags["d"]).rpartition("@")[2].lower()
    if identity != tags["d"].lower() and not identity.endswith("." + tags["d"].lower()):
        raise SignatureError("permerror", "the identity i= is not within the domain d=")
    _check_times(tags)
    return header_mode, body_mode


def _check_times(tags: dict[str, str]) -> None:
    times: dict[str, int] = {}
    for name in ("t", "x"):
        if name in tags:
            if not (tags[name].isascii() and tags[name].isdigit() and len(tags[name]) <= 12):
                raise SignatureError("permerror", f"tag {name}= is not a time in seconds")
            times[name] = int(tags[name])
    if "x" in times and times["x"] <= times.get("t", -1):
        raise SignatureError("permerror", "the signature expires (x=) before it was made (t=)")
    if "x" in times and times["x"] < time.time():
        raise SignatureError("fail", "the signature has expired (x=)")


async def _fetch_key(tags: dict[str, str], txt: TxtLookup) -> Key:
    name = f"{tags['s']}._domainkey.{tags['d']}"
    try:
        records = await txt(name)
    except NameNotFound:
        records = []
    except Exception as error:
        raise SignatureError("temperror", f"looking up {name} failed ({type(error).__name__})") from error
    if not records:
        raise SignatureError("permerror", f"no key for {name}")
    if len(records) > 1:
        raise SignatureError("permerror", f"{len(records)} records at {name}; there must be one")
    return read_key(records[0], name, tags)
