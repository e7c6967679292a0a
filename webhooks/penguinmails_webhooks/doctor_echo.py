"""What a receiver under test says it computed, and the diagnosis of it in words. Pure.

A receiver may answer a test with `webhook-echo-signature`, `webhook-echo-timestamp`, `webhook-echo-body-sha256`,
`webhook-echo-body` (base64) and `webhook-echo-verified` (true or false), or with a JSON body whose member
`penguinmails_echo` holds the same without the prefix.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penguinmails_webhooks.doctor import Finding, Level, Secret, Signed, capitalised, explain_text, read_signatures
from penguinmails_webhooks.doctor_bodies import altered, difference
from penguinmails_webhooks.signing import SECRET_PREFIX

PREFIX = "webhook-echo-"
MEMBER = "penguinmails_echo"
CLOCK_LIMIT, CLOCK_NOTICE = 300, 30  # seconds: what verifiers allow, and what is worth a word
_MOST = 128 * 1024


@dataclass(frozen=True, slots=True)
class Echo:
    """None for what the receiver did not say. `body`: the bytes that it signed. `verified`: what its verifier said."""

    signature: str | None = None
    timestamp: str | None = None
    body_sha256: str | None = None
    body: bytes | None = None
    verified: bool | None = None

    @property
    def empty(self) -> bool:
        return self == Echo()


def read_echo(headers: Mapping[str, str], body: bytes) -> Echo:
    """Headers win over the JSON body. Whatever is not readable counts as not said."""
    said = _from_json(body)
    for name, value in headers.items():
        if name.lower().startswith(PREFIX):
            said[name.lower().removeprefix(PREFIX).replace("-", "_")] = value.strip()
    raw = said.get("body_base64", said.get("body") if _is_header(headers, "body") else None)
    text = None if _is_header(headers, "body") else said.get("body")
    return Echo(
        signature=_text(said.get("signature")),
        timestamp=_text(said.get("timestamp")),
        body_sha256=_text(said.get("body_sha256")),
        verified={"true": True, "false": False}.get(str(said.get("verified")).strip().lower()),
        body=text.encode("utf-8", "replace")[:_MOST] if isinstance(text, str) else _base64(raw),
    )


def _is_header(headers: Mapping[str, str], name: str) -> bool:
    return any(found.lower() == PREFIX + name for found in headers)


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    said = value.get(MEMBER) if isinstance(value, dict) else None
    return {str(name): item for name, item in said.items()} if isinstance(said, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:2000] or None


def _base64(value: Any) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)[:_MOST] if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None


def diagnose(signed: Signed, secrets: Sequence[Secret], echo: Echo, *, now: float) -> list[Finding]:
    """Every mistake that the echo shows, or `signature_ok`. `secrets`: those that are right first, then others whose
    use would be a mistake. `now`: Unix seconds when the answer came."""
    findings = [*_clock(echo, now), *_body(signed, echo)]
    if echo.signature is not None:
        findings += _signature(signed, secrets, echo, body_is_known=bool(findings and findings[-1].difference))
    elif echo.verified is not None:
        findings += _verdict(echo.verified, findings)
    return [capitalised(finding) for finding in _once(findings)]


def _verdict(verified: bool, findings: Sequence[Finding]) -> list[Finding]:
    if verified:
        return [Finding(Level.OK, "signature_ok", "your verifier accepts the signature")]
    if any(finding.level is Level.ERROR for finding in findings):
        return []  # there is the reason
    detail = (
        f"your verifier refuses the signature; echo `{PREFIX}signature` and `{PREFIX}body-sha256`, too, to learn why"
    )
    return [Finding(Level.ERROR, "signature_refused", detail)]


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """One of each code; that the body is right goes without saying when the signature is."""
    found: dict[str, Finding] = {}
    for finding in findings:
        kept = found.get(finding.code)
        if kept is None or (kept.difference is None and finding.difference is not None):
            found[finding.code] = finding
    if "signature_ok" in found:
        found.pop("body_ok", None)
    return list(found.values())


def _clock(echo: Echo, now: float) -> list[Finding]:
    if echo.timestamp is None:
        return []
    try:
        theirs = float(echo.timestamp)
    except ValueError:
        theirs = float("nan")
    if not abs(theirs) < 1e15:
        detail = f"`{PREFIX}timestamp` is no number; echo your clock in Unix seconds"
        return [Finding(Level.WARNING, "echo_unreadable", detail)]
    if theirs > 1e11:
        detail = "your clock is in milliseconds; `webhook-timestamp` is in seconds"
        findings, theirs = [Finding(Level.ERROR, "clock_in_milliseconds", detail)], theirs / 1000
    else:
        findings = []
    off = round(theirs - now)
    if abs(off) > CLOCK_NOTICE:
        way = "ahead" if off > 0 else "behind"
        level = Level.ERROR if abs(off) > CLOCK_LIMIT else Level.WARNING
        detail = f"clock off by {abs(off)} s: yours is {way}; verifiers allow {CLOCK_LIMIT} s. Synchronise it (NTP)"
        findings.append(Finding(level, "clock_off", detail))
    return findings


def _body(signed: Signed, echo: Echo) -> list[Finding]:
    digest = hashlib.sha256(signed.body).hexdigest()
    if echo.body is not None:
        if echo.body == signed.body:
            return [Finding(Level.OK, "body_ok", "you have the body as it was sent")]
        return [_changed(signed, hashlib.sha256(echo.body).hexdigest(), echo.body)]
    if echo.body_sha256 is None:
        return []
    theirs = echo.body_sha256.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", theirs):
        detail = f"`{PREFIX}body-sha256` is not 64 hex digits"
        return [Finding(Level.WARNING, "echo_unreadable", detail)]
    if theirs == digest:
        return [Finding(Level.OK, "body_ok", "you have the body as it was sent")]
    return [_changed(signed, theirs, None)]


def _changed(signed: Signed, digest: str, body: bytes | None) -> Finding:
    advice = "sign the bytes as they were received, before any parsing"
    for code, words, result in altered(signed.body):
        if hashlib.sha256(result).hexdigest() == digest:
            parting = difference(signed.body, result)
            tail = f". Here is the first byte that differs: {parting.words()}" if parting else ""
            return Finding(Level.ERROR, code, f"{words}; {advice}{tail}", parting)
    parting = difference(signed.body, body) if body is not None else None
    tail = f". Here is the first byte that differs: {parting.words()}" if parting else ""
    detail = f"the body you signed is not the one that was sent; {advice}{tail}"
    return Finding(Level.ERROR, "body_changed", detail, parting)


def _signature(signed: Signed, secrets: Sequence[Secret], echo: Echo, *, body_is_known: bool) -> list[Finding]:
    assert echo.signature is not None
    if not read_signatures(echo.signature):
        detail = f"`{PREFIX}signature` is no signature: echo what you computed, such as `v1,` and base64"
        return [Finding(Level.ERROR, "echo_unreadable", detail)]
    if not any(secret.value.startswith(SECRET_PREFIX) for secret in secrets if secret.mistake is None):
        detail = f"this endpoint signs with Ed25519, which nobody else can compute; echo `{PREFIX}verified` instead"
        return [Finding(Level.WARNING, "echo_not_comparable", detail)]
    found = explain_text(signed, secrets, echo.signature)
    if found is None and echo.body is not None and echo.body != signed.body:
        # The body is known to differ; with it, is all else right?
        theirs = Signed(signed.msg_id, signed.timestamp, echo.body)
        found = explain_text(theirs, secrets, echo.signature)
        if found == []:
            return []
    if found == [] or (found and all(finding.level is not Level.ERROR for finding in found)):
        return [Finding(Level.OK, "signature_ok", "you computed the right signature"), *found]
    if found is not None:
        return found
    if body_is_known:
        return []
    if (echo.body_sha256 or "").lower() == hashlib.sha256(signed.body).hexdigest() or echo.body == signed.body:
        detail = "your body is right, so the secret is wrong: it is none of your endpoints'"
        return [Finding(Level.ERROR, "wrong_secret", detail)]
    detail = (
        "no known mistake gives this signature: either the secret is none of your endpoints', or the body was changed. "
        f"Echo `{PREFIX}body-sha256`, too, to tell"
    )
    return [Finding(Level.ERROR, "signature_mismatch", detail)]
