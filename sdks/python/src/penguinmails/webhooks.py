"""Checks the signature of webhooks and reads them. Usable without a client and without an API key.

    event = webhooks.unwrap(body, headers, secret="whsec_...")

Standard Webhooks 1.0.0: a signature over ``{webhook-id}.{webhook-timestamp}.{body}``, HMAC-SHA256 with a shared secret
(``whsec_...``) or Ed25519 with the endpoint's public key (``whpk_...``, which needs ``penguinmails[ed25519]``); the
header may hold several, which is how secrets are replaced without a gap.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from penguinmails._errors import InvalidWebhookSignatureError, PenguinMailsError

if TYPE_CHECKING:
    from penguinmails._generated.unions import Event

__all__ = ["InvalidWebhookSignatureError", "WebhookEvent", "Webhooks", "unwrap", "verify"]

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_VARIABLE = "PENGUINMAILS_WEBHOOK_SECRET"
PUBLIC_PREFIX = "whpk_"
_SIGNATURE_BYTES = {"v1": 32, "v1a": 64}

Check = Callable[[bytes, bytes], bool]
"""(what was signed, a signature) -> whether the two fit."""


@attrs.frozen
class WebhookEvent:
    """Something that happened.

    `id` is the same on every delivery attempt: remember it to process each event once. `type` is such as
    ``email.delivered``; types this version does not know arrive like any other. `data` depends on the type; `raw` is
    the whole body, `typed()` an object of it.
    """

    id: str
    type: str
    timestamp: datetime.datetime
    data: dict[str, Any]
    raw: dict[str, Any] = attrs.field(repr=False)

    def typed(self) -> Event:
        """The event as `client.events` gives it: one class per type, `UnknownEvent` for types of newer servers.

        Raises `PenguinMailsError` when the body lacks what every event has.
        """
        from penguinmails._generated.unions import Event
        from penguinmails._models import decoder

        found: Event | dict[str, Any] = decoder(Event)(self.raw)
        if isinstance(found, dict):
            raise PenguinMailsError(f"the body of {self.id} is not an event of this API")
        return found


class Webhooks:
    """`client.webhooks`: the functions of this module, with the client's webhook secret."""

    def __init__(self, secret: str | None = None) -> None:
        self._secret = secret

    def unwrap(
        self,
        body: bytes | str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        secret: str | Sequence[str] | None = None,
        tolerance: int = 300,
    ) -> WebhookEvent:
        """Like `penguinmails.webhooks.unwrap`."""
        return unwrap(body, headers, secret or self._secret, tolerance)

    def verify(
        self,
        body: bytes | str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        secret: str | Sequence[str] | None = None,
        tolerance: int = 300,
    ) -> None:
        """Like `penguinmails.webhooks.verify`."""
        verify(body, headers, secret or self._secret, tolerance)


def unwrap(
    body: bytes | str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    secret: str | Sequence[str] | None = None,
    tolerance: int = 300,
) -> WebhookEvent:
    """The event inside a webhook request, once its signature is checked. Arguments and errors as `verify`.

    Raises also `InvalidWebhookSignatureError` with code invalid_body for a signed body that is not an event.
    """
    verify(body, headers, secret, tolerance)
    try:
        raw = json.loads(body)
        timestamp = datetime.datetime.fromisoformat(raw["timestamp"])
        data = raw.get("data")
        kind = raw["type"]
        if not isinstance(kind, str):
            raise TypeError("type is no text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidWebhookSignatureError("invalid_body", f"the body is not an event ({error})") from None
    return WebhookEvent(
        id=_lower(headers)[ID_HEADER],
        type=kind,
        timestamp=timestamp,
        data=data if isinstance(data, dict) else {},
        raw=raw,
    )


def verify(
    body: bytes | str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    secret: str | Sequence[str] | None = None,
    tolerance: int = 300,
) -> None:
    """Returns when the request was signed with the endpoint's secret, at most `tolerance` seconds ago or ahead.

    `body` must be exactly what was received, before any parsing; `headers` in any case, of any framework. `secret` is
    the endpoint's ``whsec_...`` or its public key ``whpk_...`` (or several of them); left out,
    PENGUINMAILS_WEBHOOK_SECRET is read.
    Raises `InvalidWebhookSignatureError`, or `PenguinMailsError` for an unusable secret.
    """
    checks = [_check_of(item) for item in _secrets(secret)]
    found = _lower(headers)
    for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER):
        if not found.get(name):
            raise InvalidWebhookSignatureError("missing_header", f"the request has no {name} header")
    stamp = found[TIMESTAMP_HEADER]
    _check_age(stamp, tolerance)
    raw = body.encode() if isinstance(body, str) else bytes(body)
    content = f"{found[ID_HEADER]}.{stamp}.".encode() + raw
    matched = False
    for kind, signature in _signatures(found[SIGNATURE_HEADER], {version for version, _ in checks}):
        for version, check in checks:  # no early exit: the time taken must not tell which one matched
            if version == kind:
                matched |= check(content, signature)
    if not matched:
        raise InvalidWebhookSignatureError(
            "signature_mismatch", "no signature fits this secret and body; give the body as received, unparsed"
        )


def _secrets(secret: str | Sequence[str] | None) -> list[str]:
    chosen = secret or os.environ.get(SECRET_VARIABLE)
    if not chosen:
        raise PenguinMailsError(f"no webhook secret: give secret= or set {SECRET_VARIABLE} (whsec_ or whpk_)")
    return [chosen] if isinstance(chosen, str) else list(chosen)


def _check_of(secret: str) -> tuple[str, Check]:
    """(the version of the signatures that it checks, the check)."""
    if secret.startswith(PUBLIC_PREFIX):
        return "v1a", _ed25519(secret)
    key = _decode(secret.removeprefix("whsec_"))
    if not key:
        raise PenguinMailsError("the webhook secret is not usable: it is whsec_ followed by base64")

    def check(content: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(key, content, "sha256"), signature)

    return "v1", check


def _ed25519(public: str) -> Check:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise PenguinMailsError("public keys (whpk_) need: pip install 'penguinmails[ed25519]'") from None
    raw = _decode(public.removeprefix(PUBLIC_PREFIX))
    if len(raw) != 32:
        raise PenguinMailsError("the public key is not usable: it is whpk_ followed by base64 of 32 bytes")
    key = Ed25519PublicKey.from_public_bytes(raw)

    def check(content: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    return check


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _lower(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    pairs: Iterable[tuple[Any, Any]] = headers.items() if isinstance(headers, Mapping) else headers
    return {_text(name).lower(): _text(value) for name, value in pairs}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)  # ASGI has bytes


def _check_age(value: str, tolerance: int) -> None:
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and str(int(value)) == value):
        raise InvalidWebhookSignatureError("invalid_timestamp", f"{TIMESTAMP_HEADER} is not a number of Unix seconds")
    age = time.time() - int(value)
    if age > tolerance:
        raise InvalidWebhookSignatureError("timestamp_too_old", f"signed {age:.0f} s ago, {tolerance} s are allowed")
    if age < -tolerance:
        raise InvalidWebhookSignatureError("timestamp_too_new", f"signed {-age:.0f} s ahead, {tolerance} s are allowed")


def _signatures(header: str, versions: set[str]) -> list[tuple[str, bytes]]:
    """The readable signatures of these versions; the specification asks to pass over others."""
    found = []
    for part in header.split():
        version, _, text = part.partition(",")
        signature = _decode(text) if version in versions else b""
        if signature and len(signature) == _SIGNATURE_BYTES[version]:
            found.append((version, signature))
    if not found:
        known = " or ".join(sorted(versions))
        raise InvalidWebhookSignatureError(
            "invalid_signature", f"{SIGNATURE_HEADER} holds no {known} signature in base64"
        )
    return found
