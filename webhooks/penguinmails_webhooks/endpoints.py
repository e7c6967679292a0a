"""The endpoint service with the rules of webhooks: which events there are, what a secret looks like."""

from __future__ import annotations

from collections.abc import Sequence

from penguinmails_core.config import WebhookSettings
from penguinmails_core.errors import FieldError
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.webhook_endpoints.service import EndpointRules, WebhookEndpoints
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns
from penguinmails_webhooks.signing import generate_secret


def webhook_endpoints(box: SecretBox, settings: WebhookSettings) -> WebhookEndpoints:
    return WebhookEndpoints(box, EndpointRules(_check_events, generate_secret, settings.allow_private))


def _check_events(patterns: Sequence[str]) -> tuple[list[str], Sequence[FieldError]]:
    try:
        return validate_patterns(patterns), ()
    except InvalidPatterns as error:
        return [], error.errors
