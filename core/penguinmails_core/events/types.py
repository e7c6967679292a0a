"""Names of everything that can happen. What each one carries is written down in the webhook event catalogue.

Here, and not there, because the accept path and the sender write events and do not know webhooks.
"""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """`family.what_happened`, lower case. A name is never reused and never changes its meaning.

    Names of features that are still to come are here already, so that nothing else takes them; the catalogue says which
    events are sent today (`available`)."""

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
    EMAIL_OPENED = "email.opened"
    EMAIL_CLICKED = "email.clicked"
    EMAIL_REPLIED = "email.replied"
    EMAIL_UNSUBSCRIBED = "email.unsubscribed"
    THREAD_CREATED = "thread.created"
    THREAD_INTEREST_CHANGED = "thread.interest_changed"
    THREAD_CLOSED = "thread.closed"
    SUPPRESSION_CREATED = "suppression.created"
    SUPPRESSION_LIFTED = "suppression.lifted"
    SUPPRESSION_RESTORED = "suppression.restored"
    DOMAIN_CREATED = "domain.created"
    DOMAIN_VERIFIED = "domain.verified"
    DOMAIN_FAILED = "domain.failed"
    DOMAIN_DRIFT = "domain.drift"
    DOMAIN_DELETED = "domain.deleted"
    MAILBOX_CREATED = "mailbox.created"
    MAILBOX_CONNECTED = "mailbox.connected"
    MAILBOX_DISCONNECTED = "mailbox.disconnected"
    MAILBOX_PAUSED = "mailbox.paused"
    MAILBOX_RESUMED = "mailbox.resumed"
    MAILBOX_DELETED = "mailbox.deleted"
    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_UNSUBSCRIBED = "contact.unsubscribed"
    CONTACT_DELETED = "contact.deleted"
    CAMPAIGN_CREATED = "campaign.created"
    CAMPAIGN_LAUNCHED = "campaign.launched"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_COMPLETED = "campaign.completed"
    IMPORT_COMPLETED = "import.completed"
    IMPORT_FAILED = "import.failed"
    ORGANIZATION_UPDATED = "organization.updated"
    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_UPDATED = "workspace.updated"
    WORKSPACE_DELETED = "workspace.deleted"
    MEMBER_ADDED = "member.added"
    MEMBER_UPDATED = "member.updated"
    MEMBER_REMOVED = "member.removed"
    INVITATION_CREATED = "invitation.created"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_REVOKED = "invitation.revoked"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_EXPIRING = "api_key.expiring"
    USAGE_THRESHOLD_REACHED = "usage.threshold_reached"
    WEBHOOK_ENDPOINT_CREATED = "webhook_endpoint.created"
    WEBHOOK_ENDPOINT_UPDATED = "webhook_endpoint.updated"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    WEBHOOK_ENDPOINT_ENABLED = "webhook_endpoint.enabled"
    WEBHOOK_ENDPOINT_SECRET_ROTATED = "webhook_endpoint.secret_rotated"  # noqa: S105  (an event)
    WEBHOOK_ENDPOINT_DELETED = "webhook_endpoint.deleted"
    MESSAGE_ATTEMPT_EXHAUSTED = "message.attempt.exhausted"
    INBOUND_RECEIVED = "inbound.received"
    INBOUND_FAILED = "inbound.failed"
    WEBHOOK_TEST = "webhook.test"
