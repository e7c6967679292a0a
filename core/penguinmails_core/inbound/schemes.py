"""The ways in which senders of webhooks prove themselves, by name. What each one checks stands in the receiver."""

from __future__ import annotations

from enum import StrEnum


class InboundScheme(StrEnum):
    """How the sender proves itself; docs/inbound.md has a table of what each one signs."""

    STANDARD_WEBHOOKS = "standard_webhooks"
    SVIX = "svix"
    HUBSPOT = "hubspot"
    SLACK = "slack"
    STRIPE = "stripe"
    GITHUB = "github"
    SEGMENT = "segment"
    MAILGUN = "mailgun"
    PIPEDRIVE = "pipedrive"
    POSTMARK = "postmark"
    BASIC = "basic"
    TOKEN = "token"  # noqa: S105  (the name of a scheme)
    HMAC = "hmac"
    SNS = "sns"
