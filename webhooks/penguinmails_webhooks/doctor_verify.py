"""What is wrong with a webhook request that somebody holds: headers, body and the secret it should fit. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from penguinmails_webhooks.doctor import Finding, Level, Signed, capitalised, fits, read_signatures
from penguinmails_webhooks.doctor_bodies import altered, difference
from penguinmails_webhooks.signing import (
    ID_HEADER,
    PUBLIC_PREFIX,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SecretError,
    SignatureError,
    decode_secret,
    verify,
)


def examine(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, tolerance: int, now: float
) -> list[Finding]:
    """Everything that is wrong, or one finding `signature_ok`. `now` is in Unix seconds. A request is to be trusted
    when no finding is an error."""
    found = {name.lower(): value.strip() for name, value in headers.items()}
    usable, findings = _usable(secrets)
    missing = _missing(found)
    if missing or not usable:
        return [*findings, *missing]
    too_far = _age(found[TIMESTAMP_HEADER], tolerance, now)
    return [*findings, *too_far, *_signature(found, body, usable, now)]


def _usable(secrets: Sequence[str]) -> tuple[list[str], list[Finding]]:
    usable, findings = [], []
    for secret in secrets:
        try:
            _check(secret)
            usable.append(secret)
        except SecretError as error:
            findings.append(capitalised(Finding(Level.ERROR, "secret_unusable", f"the secret cannot be used: {error}")))
    return usable, findings


def _check(secret: str) -> None:
    """Raises `SecretError`."""
    if not secret.startswith(PUBLIC_PREFIX):
        decode_secret(secret)
        return
    try:
        key = base64.b64decode(secret.removeprefix(PUBLIC_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise SecretError(f"a public key is {PUBLIC_PREFIX} and 32 bytes in base64")


def _missing(headers: Mapping[str, str]) -> list[Finding]:
    findings = []
    for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER):
        if not headers.get(name):
            detail = f"The header {name} is missing."
            other = name.replace("webhook-", "svix-")
            if headers.get(other):
                detail += f" There is {other}: this request is signed, and not by PenguinMails."
            findings.append(Finding(Level.ERROR, "missing_header", detail))
    return findings


def _age(value: str, tolerance: int, now: float) -> list[Finding]:
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and str(int(value)) == value):
        detail = f"{TIMESTAMP_HEADER} is not a whole number of Unix seconds."
        return [Finding(Level.ERROR, "invalid_timestamp", detail)]
    age = round(now - int(value))
    if age > tolerance:
        detail = f"Too old by {age - tolerance} s: signed {age} s ago, at most {tolerance} s are allowed."
        return [Finding(Level.ERROR, "timestamp_too_old", detail)]
    if -age > tolerance:
        detail = f"Too new by {-age - tolerance} s: signed {-age} s in the future, at most {tolerance} s are allowed."
        return [Finding(Level.ERROR, "timestamp_too_new", detail + " One of the two clocks is wrong.")]
    return []


def _signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> list[Finding]:
    """Apart from the age, which is looked at elsewhere."""
    stamp = headers[TIMESTAMP_HEADER]
    at = float(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 else now
    try:
        verify(secrets, headers, body, now=at)
    except SignatureError as error:
        if error.code == "invalid_timestamp":
            return []
        if error.code == "invalid_signature":
            return [Finding(Level.ERROR, "invalid_signature", _unreadable(headers[SIGNATURE_HEADER]))]
        return [_mismatch(headers, body, secrets)]
    return [Finding(Level.OK, "signature_ok", "The signature is right.")]


def _unreadable(header: str) -> str:
    versions = sorted({part.partition(",")[0] for part in header.split(" ") if "," in part} - {"v1"})
    if versions and "v1," not in header:
        return f"{SIGNATURE_HEADER} holds no v1 signature, only {', '.join(versions)[:60]}."
    for reading in read_signatures(header):
        if reading.mistake is not None:
            return f"The signature in {SIGNATURE_HEADER} is not standard base64 ({reading.mistake.code})."
    return f"{SIGNATURE_HEADER} holds bad base64, or not 32 bytes: it looks like `v1,` and 44 characters of base64."


def _mismatch(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Finding:
    """Either the body is not the one that was signed, or the secret is another."""
    shared = [secret for secret in secrets if not secret.startswith(PUBLIC_PREFIX)]
    digests = [reading.digest for reading in read_signatures(headers[SIGNATURE_HEADER]) if reading.mistake is None]
    for code, _, original in altered(body):
        signed = Signed(headers[ID_HEADER], headers[TIMESTAMP_HEADER], original)
        if fits(signed, shared, digests):
            parting = difference(original, body)
            how = "the JSON was re-serialised" if code == "body_reserialised" else "the body was changed"
            detail = f"The secret is right, but {how} after it was signed"
            return Finding(Level.ERROR, code, f"{detail}: {parting.words()}." if parting else f"{detail}.", parting)
    return _unexplained(headers[ID_HEADER], body)


def _unexplained(msg_id: str, body: bytes) -> Finding:
    no_fit = "No signature fits this secret and body."
    try:
        value = json.loads(body)
        plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError, UnicodeError):
        detail = f"{no_fit} The body is no complete JSON, so it was cut or changed after it was signed."
        return Finding(Level.ERROR, "body_changed", detail)
    if plain == body and isinstance(value, dict) and value.get("id") == msg_id:
        detail = f"{no_fit} The body looks as it was sent, so the secret is wrong: take the one of this very endpoint."
        return Finding(Level.ERROR, "wrong_secret", detail)
    detail = f"{no_fit} Either the secret is another endpoint's, or the body is not the one that was received."
    return Finding(Level.ERROR, "signature_mismatch", detail)
