"""Verifies PenguinMails webhooks (Standard Webhooks). Python 3.9 or newer, no dependencies for whsec_ secrets."""

import base64
import binascii
import hashlib
import hmac
import re
import time


class WebhookError(Exception):
    """Do not trust the request. `code` says why, such as signature_mismatch."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def verify_webhook(secrets, headers, body, tolerance=300, now=None):
    """Returns when the request was signed with one of `secrets`, at most `tolerance` seconds ago or ahead.

    `secrets`: the endpoint's whsec_... (or whpk_..., the public key of an Ed25519 endpoint), or a list of them.
    `headers`: a mapping, names in any case. `body`: the bytes as received, before any parsing.
    """
    found = {name.lower(): value for name, value in headers.items()}
    msg_id, stamp, given = (found.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not msg_id or not stamp or not given:
        raise WebhookError("missing_header")
    if not re.fullmatch(r"0|[1-9][0-9]{0,11}", stamp):
        raise WebhookError("invalid_timestamp")
    age = (time.time() if now is None else now) - int(stamp)
    if age > tolerance:
        raise WebhookError("timestamp_too_old")
    if age < -tolerance:
        raise WebhookError("timestamp_too_new")
    readable = re.compile(r"v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==")
    signatures = [part for part in given.split(" ") if readable.fullmatch(part)]
    if not signatures:
        raise WebhookError("invalid_signature")
    content = f"{msg_id}.{stamp}.".encode() + body
    good = False
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        for signature in signatures:
            good |= _fits(secret, content, signature)
    if not good:
        raise WebhookError("signature_mismatch")


def _fits(secret, content, signature):
    version, _, text = signature.partition(",")
    if secret.startswith("whpk_"):
        key = _decode(secret[len("whpk_") :], 32, 32)
        return version == "v1a" and _fits_ed25519(key, content, base64.b64decode(text))
    key = _decode(secret[len("whsec_") :] if secret.startswith("whsec_") else secret, 24, 64)
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return hmac.compare_digest("v1," + expected, signature)


def _fits_ed25519(key, content, signature):
    from cryptography.exceptions import InvalidSignature  # pip install cryptography
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _decode(text, least, most):
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not least <= len(key) <= most:
        raise WebhookError("invalid_secret")
    return key
