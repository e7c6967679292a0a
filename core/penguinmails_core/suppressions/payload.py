"""What is kept as evidence, and the `data` of every `suppression.*` event, from the sender and from the API alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.ids import Prefix, encode


def make_evidence(
    *,
    email_id: UUID | None,
    recipient_id: UUID,
    code: int | None = None,
    enhanced_code: str | None = None,
    reply: str | None = None,
    remote_host: str | None = None,
) -> dict[str, Any]:
    """Which message told us, and in which words. `email_id` None: the message is gone."""
    return {
        "email_id": encode(Prefix.EMAIL, email_id) if email_id is not None else None,
        "recipient_id": encode(Prefix.RECIPIENT, recipient_id),
        "code": code,
        "enhanced_code": enhanced_code,
        "reply": reply,
        "remote_host": remote_host,
        "observed_at": rfc3339(utcnow()),
    }


def event_data(
    suppression_id: UUID,
    *,
    address: str,
    reason: str,
    note: str | None,
    evidence: Mapping[str, Any],
    expires_at: datetime | None,
    scope: str = "organization",
    scope_value: str = "",
) -> dict[str, Any]:
    return {
        "suppression_id": encode(Prefix.SUPPRESSION, suppression_id),
        "address": address,
        "reason": reason,
        "note": note,
        "evidence": dict(evidence) or None,
        "expires_at": rfc3339(expires_at) if expires_at else None,
        "scope": scope,
        "scope_value": scope_value or None,
    }
