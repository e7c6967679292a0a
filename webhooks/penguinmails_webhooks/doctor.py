"""The webhook doctor: says in words what a receiver did with a signature. Pure: nothing is sent from here.

A receiver that computed another signature than ours made one of a handful of mistakes. Each is tried, alone and with
the others, until one gives what the receiver computed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum

from penguinmails_webhooks.doctor_bodies import Difference, altered, difference
from penguinmails_webhooks.signing import SECRET_PREFIX, SecretError, decode_secret


class Level(StrEnum):
    """`warning`: it works, and something will break or hides a mistake."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` for programs, `detail` for people."""

    level: Level
    code: str
    detail: str
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that may have been used. `mistake`: what to say when it was; None for one that is right."""

    value: str = field(repr=False)
    mistake: Finding | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed and sent. `timestamp` is in Unix seconds."""

    msg_id: str
    timestamp: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Guess:
    value: bytes
    mistakes: tuple[Finding, ...] = ()


def fits(signed: Signed, secrets: Sequence[str], digests: Sequence[bytes]) -> bool:
    """Whether one of `digests` is the right signature with one of the secrets. Raises `SecretError`."""
    content = next(_contents(signed, _Guess(signed.body))).value
    return any(hmac.digest(decode_secret(secret), content, "sha256") in digests for secret in secrets)


def explain(signed: Signed, secrets: Sequence[Secret], digests: Sequence[bytes]) -> list[Finding] | None:
    """The fewest mistakes that lead from what was sent to one of `digests`: an empty list when there is none, None
    when nothing that is tried gives any of them."""
    wanted = set(digests)
    best: list[Finding] | None = None
    for body in _bodies(signed.body):
        contents = list(_contents(signed, body))
        for secret in secrets:
            own = secret.mistake is None
            for key in _keys(secret, all_forms=own):
                for content in contents if own else contents[:1]:
                    so_far = [*key.mistakes, *content.mistakes]
                    if best is not None and len(so_far) >= len(best):
                        continue
                    found = _algorithm(key.value, content.value, wanted, exact=not body.mistakes)
                    if found is not None and (best is None or len(so_far + found) < len(best)):
                        best = so_far + found
    return best


def _algorithm(key: bytes, content: bytes, wanted: set[bytes], *, exact: bool) -> list[Finding] | None:
    """None: no algorithm that is tried gives what is wanted. Others than SHA-256 are tried on the exact body only."""
    if hmac.digest(key, content, "sha256") in wanted:
        return []
    for name in ("sha512", "sha1") if exact else ():
        if hmac.digest(key, content, name) in wanted:
            detail = f"you used HMAC-{name.upper()}; signatures are HMAC-SHA256"
            return [Finding(Level.ERROR, "wrong_algorithm", detail)]
    return None


def _bodies(body: bytes) -> Iterator[_Guess]:
    yield _Guess(body)
    for code, words, result in altered(body):
        parting = difference(body, result)
        advice = "sign the bytes as they were received, before any parsing"
        detail = f"{words}; {advice}" + (f". Here {parting.words()}" if parting else "")
        yield _Guess(result, (Finding(Level.ERROR, code, detail, parting),))


def _contents(signed: Signed, body: _Guess) -> Iterator[_Guess]:
    msg_id, stamp, raw = signed.msg_id.encode(), signed.timestamp.encode(), body.value

    def wrong(code: str, detail: str) -> tuple[Finding, ...]:
        return (*body.mistakes, Finding(Level.ERROR, code, f"{detail}; signed is `id.timestamp.body`"))

    yield _Guess(b"%s.%s.%s" % (msg_id, stamp, raw), body.mistakes)
    yield _Guess(raw, wrong("id_and_timestamp_missing", "you signed the body without id and timestamp"))
    yield _Guess(b"%s.%s" % (stamp, raw), wrong("id_missing", "you signed `timestamp.body` without the id"))
    yield _Guess(b"%s.%s" % (msg_id, raw), wrong("timestamp_missing", "you signed `id.body` without the timestamp"))
    yield _Guess(b"%s.%s.%s" % (stamp, msg_id, raw), wrong("wrong_order", "you signed `timestamp.id.body`"))
    yield _Guess(
        b"%s%s%s" % (msg_id, stamp, raw), wrong("dots_missing", "you signed id, timestamp and body without dots")
    )
    if not body.mistakes:
        yield _Guess(b"%s.%s" % (msg_id, stamp), wrong("body_missing", "you signed id and timestamp without the body"))


def _keys(secret: Secret, *, all_forms: bool) -> Iterator[_Guess]:
    mistakes = (secret.mistake,) if secret.mistake else ()
    with suppress(SecretError):
        yield _Guess(decode_secret(secret.value), mistakes)
    if not all_forms:
        return
    text = secret.value.removeprefix(SECRET_PREFIX)
    decoded = "base64_not_decoded"
    prefix = "prefix_not_removed"
    remove = f"remove `{SECRET_PREFIX}` before the rest is decoded from base64"
    yield _wrong_key(
        text.encode(), decoded, "you used the secret's text as the key; the key is that text decoded from base64"
    )
    yield _wrong_key(
        secret.value.encode(),
        prefix,
        f"you used the whole secret with `{SECRET_PREFIX}` as the key; {remove}",
    )
    for key in _decoded_with_prefix(secret.value):
        yield _wrong_key(key, prefix, f"you decoded the secret together with its prefix; {remove}")


def _wrong_key(key: bytes, code: str, detail: str) -> _Guess:
    return _Guess(key, (Finding(Level.ERROR, code, detail),))


def _decoded_with_prefix(secret: str) -> Iterator[bytes]:
    """As lenient decoders read ``whsec_...``: the underscore is passed over (Python, PHP, Ruby), or is a slash of the
    URL-safe alphabet (Node)."""
    for text in (re.sub(r"[^A-Za-z0-9+/]", "", secret), secret.replace("_", "/").replace("-", "+").rstrip("=")):
        text = text[: len(text) - 1] if len(text) % 4 == 1 else text
        with suppress(binascii.Error, ValueError):
            yield base64.b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Reading:
    """A signature as bytes, and what is wrong with how it was written."""

    digest: bytes
    mistake: Finding | None = None


_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z", re.IGNORECASE)
_LENGTHS = (32, 64, 20)  # SHA-256, SHA-512, SHA-1


def read_signatures(text: str) -> list[Reading]:
    """Every signature in `text`, with or without ``v1,``, however it was written. Empty when nothing is one."""
    readings = []
    for part in text.split():
        part = re.sub(r"^(?:v1[,=]|sha256=)", "", part)
        if (reading := _read_signature(part)) is not None:
            readings.append(reading)
    return readings


def _read_signature(text: str) -> Reading | None:
    if _HEX.match(text) and len(text) // 2 in _LENGTHS:
        detail = "you wrote the signature in hex instead of base64"
        return Reading(bytes.fromhex(text), Finding(Level.ERROR, "hex_not_base64", detail))
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    with suppress(UnicodeDecodeError):
        inner = raw.decode("ascii")
        if _HEX.match(inner) and len(inner) // 2 in _LENGTHS:
            detail = "you encoded the hex digits of the signature in base64 instead of its bytes"
            return Reading(bytes.fromhex(inner), Finding(Level.ERROR, "hex_not_base64", detail))
    if len(raw) in _LENGTHS:
        url_safe = standard != text.rstrip("=")
        unpadded = not text.endswith("=") and len(raw) % 3 != 0
        if not url_safe and not unpadded:
            return Reading(raw)
        what = "the URL-safe alphabet of base64" if url_safe else "base64 without its padding"
        return Reading(
            raw, Finding(Level.ERROR, "wrong_base64", f"you wrote the signature in {what}; use standard base64")
        )
    return None


def explain_text(signed: Signed, secrets: Sequence[Secret], text: str) -> list[Finding] | None:
    """As `explain`, of signatures as they are written; what is wrong with their writing counts, too. None also when
    nothing in `text` can be read."""
    best: list[Finding] | None = None
    for reading in read_signatures(text):
        found = explain(signed, secrets, [reading.digest])
        if found is not None:
            found = [*found, *([reading.mistake] if reading.mistake else [])]
            if best is None or len(found) < len(best):
                best = found
    return best


def capitalised(finding: Finding) -> Finding:
    """A sentence of its own."""
    detail = finding.detail[:1].upper() + finding.detail[1:]
    return replace(finding, detail=detail if detail.endswith((".", "`")) else detail + ".")
