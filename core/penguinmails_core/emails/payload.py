"""The `data` of every `email.*` event: made once when a message is accepted, and again from the row by the sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def message_id(email_id: str, from_domain: str) -> str:
    """The Message-ID (RFC 5322 §3.6.4) without angle brackets; the same on every attempt, so receivers can dedupe."""
    return f"{email_id}@{from_domain}"


def email_data(
    *,
    email_id: str,
    recipient_id: str,
    kind: str,
    address: str,
    name: str | None,
    from_address: str,
    from_domain: str,
    subject: str,
    message_class: str,
    tags: Sequence[str],
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """One recipient's view of a message. Events add what happened: `attempt`, `smtp`, `reason`, `next_attempt_at`."""
    return {
        "email_id": email_id,
        "recipient_id": recipient_id,
        "recipient": {"address": address, "name": name, "kind": kind},
        "from": from_address,
        "subject": subject,
        "class": message_class,
        "tags": tags,
        "metadata": metadata,
        "message_id": message_id(email_id, from_domain),
    }
