"""The endpoint service with the rules of webhooks: which events there are, what filters and secrets look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penguinmails_core.config import WebhookSettings
from penguinmails_core.errors import FieldError
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.webhook_endpoints.secrets import SigningSecret
from penguinmails_core.webhook_endpoints.service import EndpointRules, WebhookEndpoints
from penguinmails_webhooks import signing
from penguinmails_webhooks.catalogue import LATEST_VERSION
from penguinmails_webhooks.destinations.registry import check
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns
from penguinmails_webhooks.filters import InvalidFilter, parse


def webhook_endpoints(box: SecretBox, settings: WebhookSettings) -> WebhookEndpoints:
    allow_private = settings.allow_private

    def _check_place(kind: str, url: str, given: Mapping[str, Any], secret: str | None) -> Sequence[FieldError]:
        return check(kind, url, given, secret, allow_private=allow_private)

    rules = EndpointRules(
        _check_events, _check_filter, _new_secret, _read_secret, LATEST_VERSION, allow_private, _check_place
    )
    return WebhookEndpoints(box, rules)


def _check_events(patterns: Sequence[str]) -> tuple[list[str], Sequence[FieldError]]:
    try:
        return validate_patterns(patterns), ()
    except InvalidPatterns as error:
        return [], error.errors


def _check_filter(given: Any) -> Sequence[FieldError]:
    try:
        parse(given)
    except InvalidFilter as error:
        return error.errors
    return ()


def _new_secret(signature: str) -> SigningSecret:
    if signature == "ed25519":
        key = signing.generate_key()
        return SigningSecret(key, signature, signing.public_key(key))
    return SigningSecret(signing.generate_secret(), signature, None)


def _read_secret(text: str) -> SigningSecret:
    """Raises `SecretError` (a ValueError)."""
    if text.startswith(signing.PRIVATE_PREFIX):
        return SigningSecret(text, "ed25519", signing.public_key(text))
    if not text.startswith(signing.SECRET_PREFIX):
        raise signing.SecretError(
            f"it begins with {signing.SECRET_PREFIX} (shared) or {signing.PRIVATE_PREFIX} (Ed25519), then base64"
        )
    signing.decode_secret(text)
    return SigningSecret(text, "hmac", None)
