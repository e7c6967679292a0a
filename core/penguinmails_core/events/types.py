"""Names of everything that can happen. What each one carries is written down in the webhook event catalogue.

Here, and not there, because the accept path and the sender write events and do not know webhooks.
"""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """`family.what_happened`, lower case. A name is never reused and never changes its meaning."""

    EMAIL_QUEUED = "email.queued"
    EMAIL_SCHEDULED = "email.scheduled"
    EMAIL_SENT = "email.sent"  # handed over to the next system, not yet in the recipient's
    EMAIL_DELIVERED = "email.delivered"
    EMAIL_DELIVERY_DELAYED = "email.delivery_delayed"
    EMAIL_BOUNCED = "email.bounced"
    EMAIL_COMPLAINED = "email.complained"
    EMAIL_SUPPRESSED = "email.suppressed"
    EMAIL_FAILED = "email.failed"
    EMAIL_CANCELLED = "email.cancelled"
    SUPPRESSION_CREATED = "suppression.created"
    SUPPRESSION_LIFTED = "suppression.lifted"
    SUPPRESSION_RESTORED = "suppression.restored"
    DOMAIN_CREATED = "domain.created"
    DOMAIN_VERIFIED = "domain.verified"
    DOMAIN_FAILED = "domain.failed"
    DOMAIN_DELETED = "domain.deleted"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_EXPIRING = "api_key.expiring"
    USAGE_THRESHOLD_REACHED = "usage.threshold_reached"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    WEBHOOK_ENDPOINT_ENABLED = "webhook_endpoint.enabled"
    MESSAGE_ATTEMPT_EXHAUSTED = "message.attempt.exhausted"
    WEBHOOK_TEST = "webhook.test"
